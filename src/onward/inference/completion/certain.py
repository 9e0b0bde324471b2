"""The certain continuation: the likeliest next symbol, again and again, while their product is certain."""

from collections.abc import Generator

import numpy as np

from onward.data.vocabulary import Vocabulary
from onward.inference.completion.boundaries import LineEnd
from onward.inference.completion.options import Completion
from onward.inference.completion.search import SearchStart
from onward.inference.completion.search_states import Expansion, Node, StateTable, softmax
from onward.inference.step.stepper import Stepper

_STEPS_PER_SLICE = 8


def certain(
    stepper: Stepper, vocabulary: Vocabulary, start: SearchStart, floor: float, length: int
) -> Generator[None, None, Completion]:
    """Finds the longest continuation within the line whose probability is at least the floor.

    From a floor of 0.5 on there is at most one such continuation of each length. Below, this is the one of
    the likeliest symbols.

    Args:
        stepper: stepper of the model; its state changes.
        vocabulary: vocabulary of the model, of characters or bytes.
        start: the model after the text.
        floor: minimum probability that the text goes on in this way.
        length: maximum number of symbols (of characters, if the symbols are bytes).

    Returns:
        The continuation, which may be empty, and its probability.
    """
    line, prefix, probability = LineEnd(vocabulary), start.prefix, 1.0
    table = StateTable(stepper, [start.state], [0], [start.memory])
    probabilities = softmax(start.logits[None])
    if start.memory:
        probabilities = start.memory.refine(start.memory.place()[None], probabilities)
    for step in range(length):
        allowed = np.where(line.extensions(prefix), probabilities[0], 0.0)
        symbol = int(allowed.argmax())
        if allowed[symbol] < floor:
            break
        probability = float(allowed[symbol])
        prefix, _ = line.extended(prefix, symbol)
        node = Node(-probability, 0, 0, symbol, prefix)
        (probabilities,) = table.step({0: Expansion([node], 0)})
        if step % _STEPS_PER_SLICE == _STEPS_PER_SLICE - 1:
            yield
    return Completion(prefix.text, probability)
