"""Conversion between nats and bits.

Losses are computed in nats (natural logarithm) and shown in both units. Names state the unit, and whether the
value is a sum (`nats`) or a mean (`nats_per_symbol`).
"""

import math


def nats_to_bits(nats: float) -> float:
    return nats / math.log(2.0)


def bits_to_nats(bits: float) -> float:
    return bits * math.log(2.0)


def perplexity(nats_per_symbol: float) -> float:
    """Returns exp of the mean nats: the number of equally likely symbols that are as hard to predict."""
    return math.exp(nats_per_symbol)
