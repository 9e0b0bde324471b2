"""Does the false-alarm rate hold if few kinds of sequences recur, and if almost no two sequences are equal?

    python benchmarks/watch_kinds.py [--seeds 3] [--learned 3000] [--asked 20000]

Four synthetic sources, drawn anew for every seed: twelve kinds of sequences with fixed shares; requests of a
shop, of some 15 kinds, one in a hundred slow; walks among twelve states, almost all different; and single
events, most of them rare (shares by Zipf's law). For each source, a detector with each way of calibrating
scores new sequences. `flagged` is the share with a p-value of at most each rate, `allowed` the interval of
the false-alarm rate (see `calibration_interval`).
"""

import random
from collections.abc import Callable

import numpy as np

from onward.watch.calibration.statistics import calibration_interval
from onward.watch.training import LearnSettings, learn_detector
from record import command_line, record

RATES = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)

Rows = list[list[str]]

SHARES = {
    "open read close": 30,
    "open write close": 20,
    "open read read close": 15,
    "open read write close": 10,
    "open write write close": 6,
    "open stat close": 5,
    "open read read read close": 4,
    "open seek read close": 3,
    "open seek write close": 3,
    "open lock write unlock close": 2,
    "open read stat close": 1.5,
    "open write fsync close": 0.5,
}


def kinds(count: int, chance: random.Random) -> Rows:
    """Returns sequences of twelve kinds with fixed shares."""
    return [kind.split() for kind in chance.choices(list(SHARES), list(SHARES.values()), k=count)]


def requests(count: int, chance: random.Random) -> Rows:
    """Returns requests of a shop; one in a hundred is slow."""
    return [_request(chance) for _ in range(count)]


def _request(chance: random.Random) -> list[str]:
    page, events = chance.choice(["index", "items", "cart", "static"]), ["accepted", "request"]
    if page != "static":
        events.append("lookup")
        if page == "cart" or chance.random() < 0.4:
            events += ["query"] * chance.choice([1, 1, 1, 2, 3])
    if page == "cart":
        events.append("commit")
    if chance.random() < 0.01:
        events.append("slow")
    return [*events, "response", "closed"]


def walks(count: int, chance: random.Random) -> Rows:
    """Returns walks of ten to forty steps among twelve states, with three kinds of rare events."""
    states, way = [f"state{i}" for i in range(12)], random.Random(5)
    nearby = {state: way.sample(states, 4) for state in states}
    rows = []
    for _ in range(count):
        state = chance.choice(states[:3])
        events = ["begin", state]
        for _ in range(chance.randrange(10, 40)):
            state = chance.choices(nearby[state], [0.5, 0.3, 0.15, 0.05])[0]
            events.append(state)
        for event, share in (("warned", 0.01), ("retried", 0.003), ("swept", 0.04)):
            if chance.random() < share:
                events.insert(chance.randrange(1, len(events)), event)
        rows.append([*events, "end"])
    return rows


def tail(count: int, chance: random.Random) -> Rows:
    """Returns single events; the i-th is i^1.6 times as rare as the first."""
    kinds = range(1, 100_000)
    return [[f"kind{kind}"] for kind in chance.choices(kinds, [kind**-1.6 for kind in kinds], k=count)]


SOURCES: dict[str, Callable[[int, random.Random], Rows]] = {
    "kinds": kinds,
    "requests": requests,
    "walks": walks,
    "tail": tail,
}


def main() -> None:
    """Records one result for each source and way of calibrating."""
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--learned", type=int, default=3000)
    parser.add_argument("--asked", type=int, default=20_000)
    given = parser.parse_args()
    for source, draw in SOURCES.items():
        for in_order in (False, True):
            flagged = [
                _flagged(draw, in_order, seed, given.learned, given.asked) for seed in range(given.seeds)
            ]
            count = given.learned // 2 if in_order else given.learned
            record(
                "watch_kinds",
                {
                    "source": source,
                    "in_order": in_order,
                    "seeds": given.seeds,
                    "learned": given.learned,
                    "asked": given.asked,
                    "rates": RATES,
                    "flagged_mean": [round(float(share), 5) for share in np.mean(flagged, axis=0)],
                    "flagged_most": [round(float(share), 5) for share in np.max(flagged, axis=0)],
                    "allowed": [[round(end, 5) for end in calibration_interval(r, count)] for r in RATES],
                },
            )


def _flagged(
    draw: Callable[[int, random.Random], Rows], in_order: bool, seed: int, learned: int, asked: int
) -> list[float]:
    """Returns the share of sequences that is flagged at each rate."""
    chance = random.Random(seed)
    detector = learn_detector(draw(learned, chance), LearnSettings(in_order=in_order, seed=seed))
    p = np.array([verdict.p_value for verdict in detector.judge(draw(asked, chance), explain=False)])
    return [float((p <= rate + 1e-12).mean()) for rate in RATES]


if __name__ == "__main__":
    main()
