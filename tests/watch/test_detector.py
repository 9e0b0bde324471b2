"""A detector: streams and batches agree, a file restores it, and it flags anomalies."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.artefacts import forge

from onward.artefact import Artefact, load, save
from onward.errors import ArtefactError, CorpusError, InputError
from onward.watch.detector import Detector
from onward.watch.evaluation.summary import summary
from onward.watch.scoring.open_sequence import OpenSequence
from onward.watch.training import LearnSettings, learn_detector


def draw(rng: np.random.Generator) -> list[str]:
    """Open, then pairs that read or write, then close: order, counts and end all matter."""
    pairs = [
        ("read", "seek") if rng.random() < 0.5 else ("write", "sync") for _ in range(int(rng.integers(2, 6)))
    ]
    return ["open", *(event for pair in pairs for event in pair), "close"]


RNG = np.random.default_rng(0)
NORMAL = [draw(RNG) for _ in range(300)]
LOG_SOURCE = {"reader": {"form": "log", "event": []}, "templates": ["a <*>"]}
SETTINGS = LearnSettings(folds=2, steps=150, rate=0.02)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return learn_detector(NORMAL, SETTINGS)


LoadChanged = Callable[[tuple[Any, ...], Any], Detector]

ANOMALIES = {
    "unseen event": ["open", "read", "format", "write", "sync", "close"],
    "order": ["open", "seek", "read", "write", "sync", "close"],
    "cut short": ["open", "read", "seek", "write"],
    "too many": ["open", *["read", "seek"] * 20, "close"],
    "nothing": [],
}


@pytest.mark.parametrize("name", ANOMALIES)
def test_anomalies_are_flagged_and_normal_sequences_are_not(detector: Detector, name: str) -> None:
    anomaly, *normal = detector.judge([ANOMALIES[name], *NORMAL[:50]])
    assert anomaly.flagged
    assert np.mean([verdict.flagged for verdict in normal]) < 0.1


def test_a_stream_has_the_verdicts_of_a_batch(detector: Detector) -> None:
    sequences = [*ANOMALIES.values(), *NORMAL[:20]]
    opened = [detector.open() for _ in sequences]
    for position in range(max(map(len, sequences))):
        active = [i for i, sequence in enumerate(sequences) if position < len(sequence)]
        detector.observe([opened[i] for i in active], [sequences[i][position : position + 1] for i in active])
    for streamed, judged in zip(detector.close(opened), detector.judge(sequences), strict=True):
        assert streamed.p_value == judged.p_value
        assert streamed.features == pytest.approx(judged.features, abs=1e-4)
        assert streamed.flagged == judged.flagged


def test_interleaved_sequences_do_not_mix_and_bytes_restore_them(detector: Detector) -> None:
    alone = [detector.score_events(sequence) for sequence in NORMAL[:3]]
    opened = [detector.open() for _ in range(3)]
    for position in range(4):
        opened = [OpenSequence.from_bytes(sequence.to_bytes()) for sequence in opened]
        observed = detector.observe(opened, [sequence[position : position + 1] for sequence in NORMAL[:3]])
        for (event,), expected in zip(observed, alone, strict=True):
            assert event.score.bits == pytest.approx(expected[position].bits, abs=1e-4)
            assert event.score.event == expected[position].event
    assert len(opened[0].to_bytes()) < 2000  # 100,000 keys take less than 200 MB


def test_an_event_is_scored_before_it_is_read(detector: Detector) -> None:
    first = detector.open()
    second = first.copy()
    ((known,),) = detector.observe([first], [["open"]])
    ((unknown,),) = detector.observe([second], [["format"]])
    known, unknown = known.score, unknown.score
    assert known.expected == unknown.expected
    assert (known.expected[0].event, known.rank, known.new) == ("open", 0, False)
    assert 4 < unknown.bits < np.inf
    assert unknown.rank > 0
    assert unknown.new


def test_closing_leaves_the_sequence_open(detector: Detector) -> None:
    sequence = detector.open()
    detector.observe([sequence], [["open"]])
    before = sequence.to_bytes()
    detector.close([sequence])
    assert sequence.to_bytes() == before


def test_scoring_duplicates_once_does_not_change_verdicts(detector: Detector) -> None:
    sequences = NORMAL[:40] + NORMAL[:40]
    once, each = detector.judge(sequences), detector.judge(sequences, repeats=False)
    assert [verdict.p_value for verdict in once] == [verdict.p_value for verdict in each]


def test_flagged_sequences_have_their_most_surprising_events_unless_they_are_not_wanted(
    detector: Detector,
) -> None:
    sequences = [*ANOMALIES.values(), *NORMAL[:5], *reversed(ANOMALIES.values())]
    explained = detector.judge(sequences, repeats=False)
    for sequence, verdict in zip(sequences, explained, strict=True):
        bits = sorted((event.bits for event in detector.score_events(sequence)), reverse=True)
        found = [event.bits for event in verdict.events]
        assert found == (pytest.approx(bits[: len(found)], abs=1e-4) if verdict.flagged else [])
        assert bool(found) == verdict.flagged
    for bare, verdict in zip(detector.judge(sequences, explain=False), explained, strict=True):
        assert (bare.flagged, bare.events) == (verdict.flagged, ())
        assert bare.p_value == pytest.approx(verdict.p_value)


def test_a_file_restores_the_detector(detector: Detector, tmp_path: Path) -> None:
    path, again = tmp_path / "a.onward", tmp_path / "b.onward"
    detector.save(path)
    loaded = Detector.load(path)
    assert [v.to_json() for v in loaded.judge(NORMAL)] == [v.to_json() for v in detector.judge(NORMAL)]
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_learning_again_gives_the_same_file(detector: Detector, tmp_path: Path) -> None:
    learn_detector(NORMAL, SETTINGS).save(tmp_path / "again")
    detector.save(tmp_path / "first")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "first").read_bytes()


def test_a_model_that_is_not_a_detector_is_refused(detector: Detector, tmp_path: Path) -> None:
    artefact = detector.artefact
    save(Artefact(artefact.model, artefact.vocabulary), tmp_path / "model")
    with pytest.raises(ArtefactError, match="not a detector"):
        Detector.load(tmp_path / "model")


@pytest.fixture(scope="module")
def header(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("header") / "saved"
    detector.save(path)
    header = load(path).watch
    assert header is not None
    return header


@pytest.fixture
def load_changed(detector: Detector, header: dict[str, Any], tmp_path: Path) -> LoadChanged:
    """Loads the detector after one field of its header was changed."""

    def load_with(path: tuple[Any, ...], value: Any) -> Detector:
        changed = deepcopy(header)
        *parents, name = path
        reduce(getitem, parents, changed)[name] = value
        detector.save(tmp_path / "changed")
        forge(tmp_path / "changed", lambda content: content.update(watch=changed))
        return Detector.load(tmp_path / "changed")

    return load_with


NAN = float("nan")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("profile", "symbols"), 10**13),
        (("profile", "symbols"), -1),
        (("profile", "counts"), [[[4], [1]]] * 30_000),
        (("profile", "counts"), [[[10**9], [1]]]),
        (("profile", "pairs"), [10**18]),
        (("profile",), []),
        (("profile", "counts"), [[[4, 4], [1, 1]]]),
        (("profile", "counts"), [[[4], [65_536]]]),
        (("calibration", "scores"), []),
        (("calibration", "scores"), [2.0, 1.0]),
        (("calibration", "scores"), [1.0, 1e300]),
        (("calibration", "scores"), [[1.0]]),
        (("mixture", "bits_per_event"), 1e300),
        (("mixture", "bits_per_event"), -1.0),
        (("mixture", "weight"), 1.5),
        (("calibration", "tails"), []),
        (("calibration", "tails", 0, "scale"), 1e-300),
        (("calibration", "tails", 0, "scale"), 1e300),
        (("calibration", "tails", 0, "values"), [-1e300, 1e300]),
        (("baselines", "grams", "symbols"), 10**13),
        (("baselines", "grams", "codes"), [[10**18]]),
        (("baselines", "grams"), {"symbols": 10, "codes": [[4, 5]], "counts": [[2**53, 2**53]]}),
        (("baselines", "lengths"), [0, 2**63]),
        (("baselines", "lengths"), [5, 2]),
        (("baselines", "lengths"), [2]),
        (("baselines", "held_out"), {}),
        (("events",), ["a"]),
        (("events",), ["a"] * 6),
        (("events",), 6),
        (("events",), ["a", "b", "c", "d", "e", "\ud800"]),
        (("rate",), 0.0),
        (("rate",), "0.01"),
        (("top_k",), 0),
        (("top_k",), True),
        (("top_k",), 10**30),
        (("source",), None),
        (("source",), {"reader": {"form": "log", "event": []}}),
        (("source",), {"reader": {"form": "xml", "event": []}, "templates": None}),
        (("source",), {"reader": {"form": "log", "event": [], "key_regex": "a(?=b)"}, "templates": []}),
        (("source",), {"reader": {"form": "log", "event": []}, "templates": None}),
        (("source",), {"reader": {"form": "log", "event": []}, "templates": "abc"}),
        (("source",), {**LOG_SOURCE, "numbers": []}),
        (("source",), {**LOG_SOURCE, "numbers": {"a <*>": {"1": {}}}}),
        (("source",), {**LOG_SOURCE, "numbers": {"a <*>": {"1": {"codes": []}}}}),
        (("source",), {**LOG_SOURCE, "numbers": {"a <*>": {"1": {"codes": ["12345"]}}}}),
        (("source",), {**LOG_SOURCE, "numbers": {"a <*>": {"1": {"codes": ["1"] * 11}}}}),
        (("source",), {**LOG_SOURCE, "measures": {"a": {"b": {"bound": -1.0, "usual": 1.0, "share": 99.0}}}}),
        (
            ("source",),
            {**LOG_SOURCE, "measures": {"a": {"b": {"bound": 1e300, "usual": 1.0, "share": 99.0}}}},
        ),
        (("source",), {"reader": {"form": "log", "event": []}, "templates": [["a"]]}),
        (("more",), 1),
    ],
)
def test_a_header_with_wrong_sizes_or_numbers_is_refused(
    path: tuple[Any, ...], value: Any, load_changed: LoadChanged
) -> None:
    """Without the checks, a number in the file decides how much memory is allocated."""
    with pytest.raises(ArtefactError, match=r"the detector in .* is damaged: ") as refused:
        load_changed(path, value)
    assert "onward watch learn" in refused.value.hint


def test_an_error_of_the_header_names_the_field_and_what_was_expected(
    load_changed: LoadChanged,
) -> None:
    with pytest.raises(
        ArtefactError, match=r"expected a profile for 266 symbols, as the detector has, found 999"
    ):
        load_changed(("profile", "symbols"), 999)
    with pytest.raises(ArtefactError, match=r"rate: Input should be less than 1, found 3\.5"):
        load_changed(("rate",), 3.5)
    with pytest.raises(
        ArtefactError, match=r"scores: expected numbers up to 1e\+100 in ascending order, found"
    ):
        load_changed(("calibration", "scores"), [2.0, 1.0])


@pytest.mark.parametrize("value", [NAN, float("inf"), -float("inf")])
@pytest.mark.parametrize("path", [("rate",), ("calibration", "tails", 0, "scale")])
def test_a_number_that_is_not_finite_is_refused(
    path: tuple[Any, ...], value: float, load_changed: LoadChanged
) -> None:
    """With NaN in its calibration, a detector would flag nothing."""
    with pytest.raises(ArtefactError, match="expected finite numbers, found infinity or NaN"):
        load_changed(path, value)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"corpus": 3, "calibration": {}},
        {"corpus": {"sequences": -1, "symbols": 1}, "calibration": {"sequences": 1, "folds": None}},
        {"corpus": {"sequences": 1, "symbols": 1}, "calibration": {"sequences": 1}},
        {"forgiven": [7]},
    ],
)
def test_facts_that_a_detector_needs_are_checked(
    detector: Detector, facts: dict[str, Any], tmp_path: Path
) -> None:
    detector.save(tmp_path / "changed")
    known = detector.artefact.facts if facts and "corpus" not in facts else {}
    forge(tmp_path / "changed", lambda content: content.update(facts=known | facts))
    with pytest.raises(ArtefactError, match=r"the detector in .* is damaged: "):
        Detector.load(tmp_path / "changed")


def test_a_header_without_its_fields_is_refused(detector: Detector, tmp_path: Path) -> None:
    save(replace(detector.artefact, watch={"events": ["a"]}), tmp_path / "broken")
    with pytest.raises(ArtefactError, match="damaged"):
        Detector.load(tmp_path / "broken")


@pytest.mark.parametrize("found", [3, 5])
def test_a_detector_of_another_version_is_not_reported_as_damaged(
    found: int, detector: Detector, header: dict[str, Any], tmp_path: Path
) -> None:
    save(replace(detector.artefact, watch=header | {"format": found}), tmp_path / "other")
    with pytest.raises(ArtefactError, match=f"another version: expected format 4, found {found}") as refused:
        Detector.load(tmp_path / "other")
    assert "learn it again" in refused.value.hint


def test_deeplogs_rule_flags_by_rank_only(detector: Detector) -> None:
    usual = ["open", "read", "seek", "write", "sync", "close"]
    strict, lax = detector.with_rate(top_k=3), detector.with_rate(top_k=9)
    assert [v.flagged for v in strict.judge([usual, ANOMALIES["unseen event"]])] == [False, True]
    assert not lax.judge([usual])[0].flagged


def test_a_rate_of_almost_1_flags_everything(detector: Detector) -> None:
    every = detector.with_rate(1 - 1e-12)
    assert all(verdict.flagged for verdict in every.judge(NORMAL[:20]))
    assert every.calibration.threshold(every.rate) == -np.inf
    assert summary(every)["false_alarms_interval"] == [1.0, 1.0]
    assert summary(every)["threshold"] is None
    assert every.baselines.threshold("ngram_mean", every.rate) == -np.inf


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, NAN])
def test_a_rate_outside_0_and_1_is_refused(rate: float, detector: Detector) -> None:
    with pytest.raises(InputError, match="rate must be a number between 0 and 1"):
        detector.with_rate(rate)
    with pytest.raises(InputError, match="rate must be a number between 0 and 1"):
        LearnSettings(rate=rate)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folds": 1}, "folds must be a whole number from 2 to 100, got 1"),
        ({"held_out": 1.0}, "held_out must be a number between 0 and 1"),
        ({"steps": 0}, "steps must be a whole number of 1 or more"),
        ({"top_k": 0}, "top_k must be a whole number of 1 or more"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LearnSettings(**settings)


def test_too_few_sequences_are_refused() -> None:
    with pytest.raises(CorpusError, match="at least 10"):
        learn_detector([["a"]] * 9)


@pytest.mark.parametrize("data", [b"", b"no", b"OW1" + bytes(80), b"OW2" + bytes(61)])
def test_bytes_that_are_not_an_open_sequence_are_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="bytes of an open sequence"):
        OpenSequence.from_bytes(data)


def test_what_is_learned_later_is_normal_and_an_event_never_seen_has_unseen_words(detector: Detector) -> None:
    new = ["open", "read block", "read block", "close"]
    similar, other = ["open", "block again", "close"], ["open", "flush", "close"]
    before = detector.judge([new, similar, other])
    assert [verdict.features["new"] for verdict in before] == [2 * 1.5 + 1, 3, 3]
    learned = detector.learn([new, new])
    assert learned.events == detector.events + 2 * 5
    after = learned.judge([new, similar, other])
    assert [verdict.features["new"] for verdict in after] == [0, 2.5, 3]
    assert after[0].score < before[0].score
    assert detector.judge([new])[0].score == before[0].score  # the given detector has not changed


def test_learning_does_not_depend_on_the_division_into_calls(detector: Detector) -> None:
    sequences = [["open", "flush", "close"], ["open", "close"], ["open", "flush", "lock", "close"]] * 3
    at_once, one_by_one = detector.learn(sequences), detector
    for sequence in sequences:
        one_by_one = one_by_one.learn([sequence])
    judged = [*sequences, ["open", "lock"], ["never"]]
    assert [v.to_json() for v in at_once.judge(judged)] == [v.to_json() for v in one_by_one.judge(judged)]


EVENTS = st.sampled_from(["open", "read", "sync", "close", "flush"])


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequences=st.lists(st.lists(EVENTS, max_size=9), min_size=1))
def test_learning_raises_no_score(sequences: list[list[str]], detector: Detector) -> None:
    judged = [*ANOMALIES.values(), *NORMAL[:30], *sequences]
    learned = detector.learn(sequences)
    before, after = (each.judge(judged, explain=False) for each in (detector, learned))
    for old, new in zip(before, after, strict=True):
        assert new.score <= old.score + 1e-4
        assert all(new.features[name] <= old.features[name] + 1e-4 for name in old.features)
