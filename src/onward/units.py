"""Conversions between nats, bits and perplexity, and probabilities as text.

Losses are computed in nats (natural logarithm) and shown in both units. A name says which unit it has, and
whether it is a sum (`nats`) or a mean (`nats_per_symbol`).
"""

import math

_RARE = 1e-4


def nats_to_bits(nats: float) -> float:
    return nats / math.log(2.0)


def perplexity(nats_per_symbol: float) -> float:
    """Returns the number of equally likely symbols with the same surprise: exp of the mean nats."""
    return math.exp(nats_per_symbol)


def as_percent(probability: float) -> str:
    """Returns a probability in percent: 83.1, 0.42, or 2e-05 if it is below one in ten thousand."""
    percent = 100 * probability
    return f"{percent:.3g}" if probability >= _RARE else f"{percent:.0e}"
