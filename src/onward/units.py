"""Nats and bits: the only place that converts between them.

Losses are computed in nats (natural logarithm) and shown in both; a name always says which, and
whether it is a sum (`nats`) or a mean (`nats_per_symbol`).
"""

import math


def nats_to_bits(nats: float) -> float:
    """The same amount of information, in bits."""
    return nats / math.log(2.0)


def bits_to_nats(bits: float) -> float:
    """The same amount of information, in nats."""
    return bits * math.log(2.0)


def perplexity(nats_per_symbol: float) -> float:
    """How many equally likely symbols would be as hard to guess: exp of the mean nats."""
    return math.exp(nats_per_symbol)
