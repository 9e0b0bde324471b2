"""The request bodies and queries of the API. Each model is both the check and the documentation."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from onward.inference.scoring.protocol import Learn
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
    best_of: Annotated[Literal[1], WHOLE] | None = Field(None, description="Not supported.")
    suffix: Literal[""] | None = Field(None, description="Not supported.")
    presence_penalty: Annotated[Literal[0], WHOLE] | None = Field(None, description="Not supported.")
    frequency_penalty: Annotated[Literal[0], WHOLE] | None = Field(None, description="Not supported.")
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = Field(
        None, description="Not supported."
    )

    def prompts(self) -> list[str | list[int]]:
        """Returns the prompts as a list, even if there is only one."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        ids = [each for each in self.prompt if isinstance(each, int)]
        return [ids] if ids else [each for each in self.prompt if not isinstance(each, int)]


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
    learn: Literal["memory", "both"] = Field(
        "memory",
        description="What learns from the text: the session's memory (n-gram counts), or a copy of the "
        "model's weights too.",
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
