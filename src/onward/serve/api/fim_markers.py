"""Fill-in-the-middle markers in a prompt.

Models that were trained to fill in the middle read the suffix first, between special symbols. Clients write
these symbols as text. Our models have no such symbols, so the prompt is taken apart.
"""

from typing import NamedTuple

_PREFIX_FIRST = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen, CodeGemma
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, Granite
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),  # GLM
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek
    ("<PRE> ", " <SUF>", " <MID>"),  # Code Llama
)
_SUFFIX_FIRST = (("[SUFFIX]", "[PREFIX]"),)  # Codestral


class MarkedPrompt(NamedTuple):
    """A prompt that was taken apart.

    Attributes:
        context: the text before the first marker, such as parts of other files.
        prefix, suffix: the text before and after the cursor.
    """

    context: str
    prefix: str
    suffix: str


def parse_markers(prompt: str) -> MarkedPrompt | None:
    """Takes a prompt with markers apart. Returns None if it has none."""
    for first, second, last in _PREFIX_FIRST:
        context, found, rest = prompt.partition(first)
        body = rest.removesuffix(last)
        if found and body != rest and second in body:
            prefix, _, suffix = body.partition(second)
            return MarkedPrompt(context, prefix, suffix)
    for first, second in _SUFFIX_FIRST:
        context, found, rest = prompt.partition(first)
        suffix, separated, prefix = rest.partition(second)
        if found and separated:
            return MarkedPrompt(context, prefix, suffix)
    return None
