"""The request bodies and queries of the API. Each model is both the check and the documentation."""

import secrets
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from onward.inference.scoring.protocol import Learn
from onward.inference.step.sampling import Sampling
from onward.serve.engine.infilling import MOST_CANDIDATES
from onward.serve.engine.prompt_state import MOST_LOOKED_BACK
from onward.serve.http.validation import FROM_DIGITS, FROM_WORD, WHOLE, AtMost, ModelName, RequestModel
from onward.serve.watch.alarm_feed import RECENT

_LARGEST_SEED = (1 << 63) - 1
_LARGEST_ALARM = 1 << 53
_LARGEST_VERSION = 1 << 62


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


SymbolId: TypeAlias = Annotated[int, Field(ge=0), WHOLE]
SymbolIds: TypeAlias = Annotated[list[SymbolId], Field(fail_fast=True)]
Prompts: TypeAlias = (
    str
    | Annotated[SymbolIds, Field(min_length=1)]
    | Annotated[list[str], Field(min_length=1, fail_fast=True), AtMost("choices")]
    | Annotated[list[SymbolIds], Field(min_length=1, fail_fast=True), AtMost("choices")]
)
StopText: TypeAlias = Annotated[str, Field(min_length=1), AtMost(1000)]
Text: TypeAlias = Annotated[str, AtMost("text_characters")]


def stops_of(stop: str | list[str] | None) -> tuple[str, ...]:
    """Returns the stop strings of a request."""
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def seed_of(seed: int | None) -> int:
    """Returns the seed of a request, or a random one."""
    return secrets.randbits(62) if seed is None else seed % (1 << 64)


class StreamOptions(BaseModel):
    """Options of a stream of completions."""

    model_config = ConfigDict(strict=True, frozen=True)

    include_usage: bool | None = Field(
        None, description="Whether the last event of the stream has the symbol counts."
    )


class CompletionRequest(RequestModel):
    """A request for completions. Fields that only OpenAI's API has are ignored."""

    model_config = ConfigDict(extra="ignore") | _example(prompt="what is ", max_tokens=40, seed=1)

    model: ModelName = None
    prompt: Prompts = Field(
        "",
        union_mode="left_to_right",
        description="A text, a list of texts, a list of symbol ids, or a list of such lists.",
    )
    max_tokens: Annotated[int, Field(ge=0), WHOLE, AtMost("max_tokens")] = Field(
        16, description="Maximum number of symbols to write."
    )
    temperature: float = Field(1.0, ge=0, le=100, description="0 always takes the most likely symbol.")
    top_p: float = Field(
        1.0, ge=0, le=1, description="Draw only from the most likely symbols whose probabilities sum to this."
    )
    top_k: Annotated[int, Field(ge=1), WHOLE] | None = Field(
        None, description="Draw only from this many of the most likely symbols. Default: all."
    )
    min_p: float = Field(
        0.0, ge=0, le=1, description="Draw only symbols with at least this share of the highest probability."
    )
    n: Annotated[int, Field(ge=1), WHOLE, AtMost("choices")] = Field(
        1, description="Number of samples for each prompt."
    )
    seed: Annotated[int, Field(ge=-_LARGEST_SEED - 1, le=_LARGEST_SEED), WHOLE] | None = Field(
        None, description="The same seed gives the same text. Default: a random seed."
    )
    stop: StopText | Annotated[list[StopText], AtMost(16)] | None = Field(
        None, description="Texts that end a sample; the sample does not contain them."
    )
    logprobs: bool | Annotated[int, Field(ge=0, le=20), WHOLE] | None = Field(
        None, description="Number of the most likely symbols to list for each symbol; true means 1."
    )
    echo: bool = Field(False, description="Whether the text begins with the prompt.")
    stream: bool = Field(False, description="Whether to send server-sent events.")
    stream_options: StreamOptions | None = None
    best_of: Annotated[int, Field(ge=1), WHOLE, AtMost("choices")] | None = Field(
        None,
        description="Number of samples to make for each prompt. The answer has the n samples with the "
        "highest mean log-probability. Default: n.",
    )
    suffix: Text = Field(
        "", description="Text that follows. The model then fills in the text before it, at most one line."
    )
    presence_penalty: float = Field(
        0.0, ge=-2, le=2, description="Subtracted from the logit of each symbol that the sample has."
    )
    frequency_penalty: float = Field(
        0.0, ge=-2, le=2, description="Subtracted from the logit of a symbol for each time the sample has it."
    )
    repeat_penalty: float = Field(
        1.0,
        ge=0.01,
        le=100,
        description="Divides positive logits of the last symbols, multiplies negative ones.",
    )
    repeat_last_n: Annotated[int, Field(ge=-1, le=MOST_LOOKED_BACK), WHOLE] = Field(
        64, description=f"Number of symbols that `repeat_penalty` looks back; -1 means {MOST_LOOKED_BACK}."
    )
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] = Field(
        {}, description="Added to the logits of symbols, by id."
    )
    learn: Learn | None = Field(
        None,
        description="What learns from the prompt: a memory (n-gram counts), a copy of the model's weights, "
        'both, or nothing. Default: "none", and with a suffix "memory".',
    )

    def sampling(self) -> Sampling:
        """Returns how symbols are drawn."""
        return Sampling(temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, min_p=self.min_p)

    def stops(self) -> tuple[str, ...]:
        """Returns the stop strings."""
        return stops_of(self.stop)

    def prompts(self) -> list[str | list[int]]:
        """Returns the prompts as a list, even if there is only one."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        ids = [each for each in self.prompt if isinstance(each, int)]
        return [ids] if ids else [each for each in self.prompt if not isinstance(each, int)]


class InfillExtra(BaseModel):
    """A part of another file."""

    model_config = ConfigDict(strict=True, frozen=True)

    text: Text
    filename: str = ""


class InfillRequest(RequestModel):
    """A request of llama.cpp's clients to fill in a text. Other fields of llama.cpp's server are ignored."""

    model_config = ConfigDict(extra="ignore") | _example(
        input_prefix="def add(a, b):\n    return ", input_suffix="\n\n\nprint(add(1, 2))\n"
    )

    model: ModelName = None
    input_prefix: Text = Field("", description="The text before the cursor, up to its line.")
    prompt: Text = Field("", description="The text of the line before the cursor.")
    input_suffix: Text = Field("", description="The text after the cursor.")
    input_extra: Annotated[list[InfillExtra], Field(fail_fast=True), AtMost(1000)] = Field(
        [], description="Parts of other files. A memory counts them, so that their names can be completed."
    )
    n_predict: Annotated[int, Field(ge=-1), WHOLE, AtMost("max_tokens")] = Field(
        -1, description="Maximum number of symbols; 0 only reads the prefix, -1 is the rest of the line."
    )
    t_max_predict_ms: float = Field(
        0, ge=0, description="Milliseconds for the search, after the prefix was read; 0: no limit."
    )
    n_cmpl: Annotated[int, Field(ge=1, le=MOST_CANDIDATES), WHOLE] = Field(
        1, description="Maximum number of candidates. With more than one, the answer is a list."
    )
    temperature: float = Field(0.0, ge=0, le=100, description="0 takes the likeliest candidates.")
    top_p: float = Field(1.0, ge=0, le=1, description="Draw only from the likeliest candidates.")
    top_k: Annotated[int, Field(ge=0), WHOLE] = Field(0, description="Draw only from so many; 0: all.")
    min_p: float = Field(0.0, ge=0, le=1, description="Share of the highest probability.")
    samplers: list[str] | None = Field(
        None, description="The settings that have an effect, such as temperature and top_k. Default: all."
    )
    seed: Annotated[int, Field(ge=-_LARGEST_SEED - 1, le=_LARGEST_SEED), WHOLE] = Field(
        -1, description="Seed of the random numbers; a negative one means a random seed."
    )
    stop: StopText | Annotated[list[StopText], AtMost(16)] | None = Field(
        None, description="Texts that end a candidate; the candidate does not contain them."
    )
    response_fields: Annotated[list[str], AtMost(100)] | None = Field(
        None, description='Fields of the answer, such as "timings/prompt_ms". Default: all.'
    )
    learn: Literal["memory", "none"] = Field(
        "memory", description="Whether a memory counts the prefix, the suffix and the other files."
    )
    stream: Literal[False] = Field(False, description="Not supported.")
    repeat_penalty: Annotated[Literal[1], WHOLE] = Field(1, description="Not supported.")
    presence_penalty: Annotated[Literal[0], WHOLE] = Field(0, description="Not supported.")
    frequency_penalty: Annotated[Literal[0], WHOLE] = Field(0, description="Not supported.")
    dry_multiplier: Annotated[Literal[0], WHOLE] = Field(0, description="Not supported.")
    xtc_probability: Annotated[Literal[0], WHOLE] = Field(0, description="Not supported.")
    typical_p: Annotated[Literal[1], WHOLE] = Field(1, description="Not supported.")
    dynatemp_range: Annotated[Literal[0], WHOLE] = Field(0, description="Not supported.")
    mirostat: Annotated[Literal[0], WHOLE] = Field(0, description="Not supported.")
    n_probs: Annotated[Literal[0], WHOLE] = Field(0, description="Not supported.")
    grammar: Literal[""] = Field("", description="Not supported.")
    json_schema: Annotated[dict[str, Any], Field(max_length=0)] = Field({}, description="Not supported.")
    logit_bias: Annotated[list[Any], Field(max_length=0)] = Field([], description="Not supported.")
    lora: Annotated[list[Any], Field(max_length=0)] = Field([], description="Not supported.")

    def sampling(self) -> Sampling:
        """Returns how a candidate is drawn."""

        def used(name: str) -> bool:
            return self.samplers is None or name in self.samplers

        return Sampling(
            temperature=self.temperature if used("temperature") else 0.0,
            top_k=(self.top_k or None) if used("top_k") else None,
            top_p=self.top_p if used("top_p") else None,
            min_p=self.min_p if used("min_p") else None,
        )

    def stops(self) -> tuple[str, ...]:
        """Returns the stop strings."""
        return stops_of(self.stop)


class ScoreRequest(RequestModel):
    """The text to score."""

    model_config = _example(text="what is noble?", alternatives=3)

    model: ModelName = None
    text: Text = Field("", description="At most 20,000 symbols.")
    alternatives: Annotated[int, Field(ge=0, le=20), WHOLE] = Field(
        3, description="Number of the most likely symbols to list for each position."
    )
    learn: Learn = Field(
        "none",
        description="What learns from the text after scoring it: a memory (n-gram counts), a copy of the "
        "model's weights, or both. The model does not change.",
    )


class NoveltyRequest(RequestModel):
    """The text to look up in the corpus."""

    model_config = _example(text="what is noble? What does the word noble still mean for us", minimum=20)

    model: ModelName = None
    text: Annotated[Text, Field(min_length=1)]
    minimum: Annotated[int, Field(ge=1), WHOLE, AtMost("text_characters")] = Field(
        20, description="Minimum length of a span, in symbols."
    )
    longest: Annotated[int, Field(ge=0, le=1000), WHOLE] = Field(
        10, description="Number of spans to list, longest first."
    )


class CompletionOptions(RequestModel):
    """What a session returns. An option that is left out keeps the value of the last request."""

    completions: Annotated[int, Field(ge=0, le=20), WHOLE] | None = Field(
        None, description="Number of completions. Default in a new session: 3."
    )
    until: Literal["word", "line"] | Annotated[int, Field(ge=1, le=100), WHOLE] | None = Field(
        None,
        description='Where a completion ends; a number counts symbols. Default in a new session: "word".',
    )
    shortest: Annotated[int, Field(ge=1, le=100), WHOLE] | None = Field(
        None, description="Minimum length of a completion in characters. Default in a new session: 2."
    )
    next: Annotated[int, Field(ge=0, le=100), WHOLE] | None = Field(
        None, description="Number of the most likely next symbols. Default in a new session: 10."
    )

    def options(self) -> dict[str, Any]:
        """Returns the options by name; None: as before."""
        return {name: getattr(self, name) for name in CompletionOptions.model_fields}


class SessionRequest(CompletionOptions):
    """The text that a session begins with."""

    model_config = _example(text="what is phil", completions=3)

    model: ModelName = None
    text: Text = ""
    cursor: Annotated[int, Field(ge=0), WHOLE] | None = Field(
        None, description="Typing position: completions continue the text before it. Default: the end."
    )
    learn: Learn = Field(
        "memory",
        description="What learns from the text: the session's memory (n-gram counts), a copy of the model's "
        "weights, both, or nothing.",
    )
    adapt: bool = Field(False, description='True: the same as `learn` "both".')


class EditRequest(CompletionOptions):
    """An edit of a session's text: `delete` characters at `at` are replaced by `insert`."""

    model_config = _example(at=12, delete=0, insert="o")

    at: Annotated[int, Field(ge=0), WHOLE] | None = Field(
        None, description="Position of the edit. Default: the cursor."
    )
    delete: Annotated[int, Field(ge=0), WHOLE] | None = Field(
        None, description="Characters to delete. Default: 0."
    )
    insert: Text | None = Field(None, description="Text to insert. Default: none.")
    cursor: Annotated[int, Field(ge=0), WHOLE] | None = Field(
        None, description="Position of the cursor after the edit. Default: the end of the inserted text."
    )
    version: Annotated[int, Field(ge=0, le=_LARGEST_VERSION), WHOLE] | None = Field(
        None, description="Version that the session must have. Default: any."
    )
    forget: bool = Field(False, description="Whether to drop the learned weights.")


class FollowRequest(EditRequest):
    """A line of `onward complete --follow`: an edit, or a new text."""

    text: Text | None = Field(None, description="A text that takes the place of the whole session.")


class NoFields(RequestModel):
    """A body without fields."""


class DetectorQuery(RequestModel):
    """The query parameter that selects a detector."""

    model: str | None = Field(None, description="Id of a detector. Default: the first detector.")


class AlarmQuery(DetectorQuery):
    """The query parameters that select alarms."""

    after: Annotated[int, Field(ge=0, le=_LARGEST_ALARM), FROM_DIGITS] | None = Field(
        None, description="Return the alarms after this number. Default: the newest alarms."
    )
    limit: Annotated[int, Field(ge=1, le=RECENT), FROM_DIGITS] = Field(
        100, description="Maximum number of alarms."
    )
    stream: Annotated[bool, FROM_WORD] = Field(
        False, description="Whether to send alarms as server-sent events, until the client disconnects."
    )


class IncidentQuery(DetectorQuery):
    """The query parameters that select incidents."""

    after: Annotated[int, Field(ge=0, le=_LARGEST_ALARM), FROM_DIGITS] | None = Field(
        None, description="Return the incidents after this number. Default: the newest incidents."
    )
    limit: Annotated[int, Field(ge=1, le=RECENT), FROM_DIGITS] = Field(
        100, description="Maximum number of incidents."
    )
