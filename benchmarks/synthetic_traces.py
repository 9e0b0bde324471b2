"""Synthetic system-call traces: programs are nested loops and choices over shared routines.

The routines of a library are short runs of calls, some with a loop or a choice. A program is a grammar over
some of these routines and calls of its own. Its traces have the same beginning and walk through its states up
to a random length. Sometimes a signal interrupts them with a routine of the library. Few calls and programs
are frequent, and some programs are rare.

Attacks use the same calls: traces of an unknown program, of a shell (routines of the library in any order,
some cut short), and of a known program that one of these two takes over for a part.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

CLASSES = ("unknown_program", "shell", "taken_over")
_LIBRARY, _OWN, _STATES = 60, 3, 8
_INTERRUPTED, _CUT, _TAKEN = 0.02, 0.15, (0.1, 0.3)


@dataclass(frozen=True)
class System:
    """Programs over one set of calls.

    Attributes:
        seed: seed of the whole system.
        calls: number of distinct calls.
        programs: number of programs that run normally.
        unknown: number of programs that only run in attacks.
    """

    seed: int
    calls: int = 180
    programs: int = 30
    unknown: int = 8

    def normal(self, count: int, seed: int) -> list[list[str]]:
        """Returns normal traces."""
        rng = np.random.default_rng((self.seed, 1, seed))
        return [_named(self._trace(rng, self._known(rng), _length(rng))) for _ in range(count)]

    def attacks(self, count: int, seed: int) -> dict[str, list[list[str]]]:
        """Returns `count` traces of each class in `CLASSES`."""
        rng = np.random.default_rng((self.seed, 2, seed))
        return {kind: [_named(self._attack(rng, kind)) for _ in range(count)] for kind in CLASSES}

    def _attack(self, rng: np.random.Generator, kind: str) -> list[int]:
        length = _length(rng)
        match kind:
            case "unknown_program":
                return self._trace(rng, int(rng.integers(self.programs, len(self._grammars))), length)
            case "shell":
                return self._start[:4] + self._shell(rng, length)
            case _:
                trace = self._trace(rng, self._known(rng), length)
                taken = int(length * rng.uniform(*_TAKEN))
                unknown = int(rng.integers(self.programs, len(self._grammars)))
                other = self._shell(rng, taken) if rng.random() < 0.5 else self._walk(rng, unknown, taken)
                place = int(rng.integers(len(trace) - taken))
                return trace[:place] + other + trace[place + taken :]

    def _known(self, rng: np.random.Generator) -> int:
        shares = 1 / np.arange(1, self.programs + 1)
        return int(rng.choice(self.programs, p=shares / shares.sum()))

    def _trace(self, rng: np.random.Generator, program: int, length: int) -> list[int]:
        return (self._start + self._walk(rng, program, length))[:length]

    def _shell(self, rng: np.random.Generator, length: int) -> list[int]:
        """Returns routines in any order, some cut short."""
        found: list[int] = []
        while len(found) < length:
            run = _run(rng, self._library[int(rng.integers(_LIBRARY))])
            found += run[: 1 + int(rng.integers(len(run)))] if rng.random() < _CUT else run
        return found[:length]

    def _walk(self, rng: np.random.Generator, program: int, length: int) -> list[int]:
        """Walks through the states of a program; each state runs some routines, a few times."""
        grammar, found = self._grammars[program], list[int]()
        state = 0
        while len(found) < length:
            for _ in range(int(rng.geometric(grammar.stay[state]))):
                for routine in grammar.routines[state]:
                    found += _run(rng, routine)
                    if rng.random() < _INTERRUPTED:
                        found += _run(rng, self._library[int(rng.integers(_LIBRARY))])
            state = int(rng.choice(_STATES, p=grammar.moves[state]))
        return found[:length]

    @cached_property
    def _rng(self) -> np.random.Generator:
        return np.random.default_rng((self.seed, 0))

    @cached_property
    def _start(self) -> list[int]:
        """Returns the loader's calls, with which every program starts."""
        return self._drawn(24)

    @cached_property
    def _library(self) -> list["Routine"]:
        return [self._routine() for _ in range(_LIBRARY)]

    @cached_property
    def _grammars(self) -> list["Grammar"]:
        return [self._grammar() for _ in range(self.programs + self.unknown)]

    def _grammar(self) -> "Grammar":
        """Makes a program of library routines and its own, two or three for a state."""
        rng, library = self._rng, self._library
        own = [self._routine() for _ in range(_OWN)]
        chosen = [library[i] for i in rng.choice(_LIBRARY, 12, replace=False)] + own
        routines = [
            [chosen[i] for i in rng.integers(len(chosen), size=int(rng.integers(1, 4)))]
            for _ in range(_STATES)
        ]
        moves = rng.dirichlet(np.full(_STATES, 0.35), _STATES)
        return Grammar(routines, moves * 0.96 + 0.04 / _STATES, rng.uniform(0.15, 0.9, _STATES))

    def _routine(self) -> "Routine":
        rng = self._rng
        calls = self._drawn(int(rng.integers(2, 8)))
        other = self._drawn(int(rng.integers(1, 4)))
        return Routine(calls, other, float(rng.uniform(0, 0.5)), float(rng.choice([1.0, 1.0, 0.5, 0.2])))

    def _drawn(self, count: int) -> list[int]:
        shares = 1 / np.arange(2, self.calls + 2)
        return self._rng.choice(self.calls, count, p=shares / shares.sum()).tolist()


@dataclass(frozen=True)
class Routine:
    """A run of calls, with an alternative for the middle call, and a number of repetitions."""

    calls: list[int]
    other: list[int]
    otherwise: float
    ends: float


@dataclass(frozen=True)
class Grammar:
    """The routines of each state, and the transition probabilities."""

    routines: list[list[Routine]]
    moves: np.ndarray
    stay: np.ndarray


def _run(rng: np.random.Generator, routine: Routine) -> list[int]:
    half = len(routine.calls) // 2
    found: list[int] = []
    for _ in range(int(rng.geometric(routine.ends))):
        middle = routine.other if rng.random() < routine.otherwise else routine.calls[half : half + 1]
        found += routine.calls[:half] + middle + routine.calls[half + 1 :]
    return found


def _length(rng: np.random.Generator) -> int:
    return int(np.clip(rng.lognormal(np.log(350), 0.7), 80, 3000))


def _named(calls: list[int]) -> list[str]:
    return [f"call{call}" for call in calls]
