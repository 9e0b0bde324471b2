"""The responses of the API as typed dictionaries, which also document them."""

from typing import Any, Literal

from typing_extensions import TypedDict


class ErrorDetails(TypedDict):
    """An error. `hint` is the remedy, `param` the wrong field."""

    message: str
    type: str
    param: str | None
    code: str
    hint: str


class ErrorBody(TypedDict):
    """The body of every error."""

    error: ErrorDetails


class Health(TypedDict):
    """The state of the server."""

    status: Literal["ok"]


class ModelEntry(TypedDict):
    """A model. `created` is the time of its file, in seconds since 1970."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(TypedDict):
    """The models that are served."""

    object: Literal["list"]
    data: list[ModelEntry]


class VocabularyFacts(TypedDict):
    """The vocabulary of a model."""

    kind: str
    lower: bool
    marks: bool
    size: int


class ModelFacts(ModelEntry):
    """Facts about a model; `recipe` and `facts` come from its file."""

    parameters: int
    architecture: dict[str, Any]
    vocabulary: VocabularyFacts
    recipe: dict[str, Any]
    facts: dict[str, Any]
    novelty: bool


class CurvePoint(TypedDict):
    """A loss at a step."""

    step: int
    value: float


class Curve(TypedDict):
    """The losses of the run that trained a model."""

    model: str
    unit: Literal["nats_per_symbol"]
    training: list[CurvePoint]
    validation: list[CurvePoint]


class Logprobs(TypedDict):
    """Log-probabilities of the symbols of a text, in nats. `text_offset` counts characters."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(TypedDict):
    """A sample, or the part of it that an event adds."""

    text: str
    index: int
    logprobs: Logprobs | None
    finish_reason: Literal["stop", "length"] | None


class Usage(TypedDict):
    """Numbers of symbols of the prompts and of the samples."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionHead(TypedDict):
    """The fields that each event of a stream repeats."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str


class CompletionResponse(CompletionHead):
    """The samples of all prompts."""

    choices: list[CompletionChoice]
    usage: Usage


class InfillTimings(TypedDict):
    """Times of an answer, by the names of llama.cpp's server. `prompt_n` symbols were read now."""

    prompt_n: int
    prompt_ms: float
    prompt_per_token_ms: float
    prompt_per_second: float
    predicted_n: int
    predicted_ms: float
    predicted_per_token_ms: float
    predicted_per_second: float


class InfillAnswer(TypedDict, total=False):
    """A candidate, by the names of llama.cpp's server. `response_fields` leaves out or renames some."""

    index: int
    content: str
    probability: float
    model: str
    stop: Literal[True]
    stop_type: Literal["eos", "limit"]
    tokens_predicted: int
    tokens_evaluated: int
    tokens_cached: int
    truncated: Literal[False]
    timings: InfillTimings


class LikelySymbol(TypedDict):
    """A symbol that the model expects. `symbol` is its printable name."""

    symbol: str
    text: str
    probability: float


class ScoredSymbol(TypedDict):
    """The surprise of a symbol, and the likely symbols in its place."""

    symbol: str
    text: str
    bits: float
    alternatives: list[LikelySymbol]


class ScoreResponse(TypedDict):
    """The surprise of a text."""

    model: str
    count: int
    bits: float
    bits_per_symbol: float
    symbols: list[ScoredSymbol]


class Match(TypedDict):
    """A span of the text that is in the corpus, from `line` and `position` of the document."""

    start: int
    length: int
    text: str
    document: str
    line: int
    position: int


class NoveltyReport(TypedDict):
    """How much of a text is in the corpus word for word."""

    symbols: int
    covered: int
    share: float
    minimum: int
    span_count: int
    spans: list[Match]


class SessionCompletion(TypedDict):
    """A way to continue the text at the cursor."""

    text: str
    probability: float


class SessionAnswer(TypedDict):
    """A session after an edit. `completions` and `next` are null if a newer edit has already come."""

    id: str
    model: str
    version: int
    length: int
    cursor: int
    learned: int | None
    completions: list[SessionCompletion] | None
    next: list[LikelySymbol] | None


class SessionState(SessionAnswer):
    """A session with its text."""

    text: str


class UnreadableExample(TypedDict):
    """An item that is not a record."""

    number: int
    reason: str


class UnreadableItems(TypedDict):
    """Items of a batch that are not records."""

    count: int
    examples: list[UnreadableExample]


class ExpectedEvent(TypedDict):
    """An event that the detector expects."""

    event: str
    probability: float


class UnusualCount(TypedDict):
    """An event that is too frequent or too rare in a sequence."""

    event: str
    found: int
    normal: int | str


class AlarmBase(TypedDict):
    """An alarm. `began` is the number of the first record of the sequence, `number` that of the `line`.

    `repeats` counts the alarms of its incident before this one, `keys` the distinct keys of these alarms, and
    `earlier` the earlier incidents of the same cause; `previous` is the time of their last alarm.
    """

    type: Literal["alarm"]
    alarm: int
    incident: int
    cause: str
    repeats: int
    keys: int
    earlier: int
    previous: str | None
    key: str
    began: int
    time: str | None
    ended: bool
    p_value: float
    speaks: str
    line: str
    number: int
    counts: list[UnusualCount]


class AlarmEntry(AlarmBase, total=False):
    """An alarm. The last fields are missing if no single event raised it."""

    event: str
    bits: float
    rank: int
    new: bool
    expected: list[ExpectedEvent]


class SequenceVerdict(TypedDict):
    """The verdict on a sequence that has ended."""

    key: str
    began: int
    length: int
    p_value: float
    flagged: bool
    speaks: str


class BatchReport(TypedDict):
    """The result of a batch. `first` is the number of its first item."""

    model: str
    first: int
    records: int
    unreadable: UnreadableItems
    alarms: list[AlarmEntry]
    verdicts: list[SequenceVerdict] | None
    in_flight: int
    repeated: bool


class AlarmList(TypedDict):
    """Alarms in order. `last` is the number of the detector's last alarm."""

    object: Literal["list"]
    model: str
    data: list[AlarmEntry]
    last: int


class IncidentEntry(TypedDict):
    """An incident. `alarm` is the number of the alarm that opened it, `alarms` the number of its alarms.

    `names` has the first of its `keys` distinct keys. `first` and `last` are the times of its first and last
    alarms, and `seconds` is the time between them. A closed incident was quiet for the time of `--idle`.
    """

    type: Literal["incident"]
    incident: int
    cause: str
    alarm: int
    alarms: int
    keys: int
    names: list[str]
    first: str | None
    last: str | None
    seconds: float
    earlier: int
    closed: bool
    opening: AlarmEntry


class IncidentList(TypedDict):
    """Incidents in order. `last` is the number of the last incident, `last_alarm` that of the last alarm."""

    object: Literal["list"]
    model: str
    data: list[IncidentEntry]
    last: int
    last_alarm: int


class TimelineSlot(TypedDict):
    """What happened in the `seconds` after a time of the server.

    `bits_per_event` is the mean surprise of the events of the sequences that ended; null if none ended.
    `incidents` is the number of alarms that opened an incident.
    """

    time: str
    sequences: int
    bits_per_event: float | None
    alarms: int
    incidents: int


class EventCountEntry(TypedDict):
    """How often an event occurred, and when. The detector had not learned it if `known` is false."""

    event: str
    count: int
    known: bool
    first: str
    last: str


class WatchActivity(TypedDict):
    """A timeline without empty slots, and the events, the newest first. `others` counts further events."""

    object: Literal["watch.activity"]
    model: str
    seconds: int
    timeline: list[TimelineSlot]
    events: list[EventCountEntry]
    others: int


class ScoredEvent(TypedDict):
    """The surprise of an event of a sequence, and the expected events."""

    position: int
    event: str
    bits: float
    rank: int
    new: bool
    expected: list[ExpectedEvent]


class AlarmExplanation(TypedDict):
    """An alarm with the events of its sequence. `events` starts at event number `first` of `of` events."""

    alarm: AlarmEntry
    ended: bool
    rate: float
    bits_per_event: float
    bytes: bool
    first: int
    of: int
    events: list[ScoredEvent]


class NumberChange(TypedDict):
    """A number before and after the detector learned."""

    before: float
    after: float


class FlagChange(TypedDict):
    """Whether the sequence is flagged, before and after the detector learned."""

    before: bool
    after: bool


class FeedbackReport(TypedDict):
    """The changes that marking an alarm as normal made."""

    alarm: int
    key: str
    events: int
    p_value: NumberChange
    flagged: FlagChange
    bits_per_event: NumberChange
    repeated: bool


class WatchReport(TypedDict):
    """A detector, and its report on the records so far."""

    id: str
    object: Literal["watch"]
    form: str
    detector: dict[str, Any]
    false_alarms_asked: float | None
    budget: str | None
    share_flagged: float | None
    share_flagged_interval: list[float] | None
    records: int
    sequences: int
    flagged: int
    flagged_ended: int
    incidents: int
    suppressed: int
    unparsable: int
    in_flight: int
    odd_times: int
    drift: str | None
    last_alarm: int
    ok: list[int]


class WatchList(TypedDict):
    """The detectors that are served."""

    object: Literal["list"]
    data: list[WatchReport]
