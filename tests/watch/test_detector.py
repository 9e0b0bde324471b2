"""A detector: streaming and bulk agree, files hold all of it, and what it says of anomalies."""

from dataclasses import replace

import numpy as np
import pytest

from onward.artefact import Artefact, load, save
from onward.errors import ArtefactError, CorpusError, InputError
from onward.watch.detector import Detector
from onward.watch.scoring.open_sequence import OpenSequence
from onward.watch.training import LearnSettings, learn_detector


def walk(rng: np.random.Generator, length: int) -> list[str]:
    """open, then read and write in pairs, then close: order, counts and end all tell."""
    middle = [
        event
        for _ in range(length)
        for event in (("read", "seek") if rng.random() < 0.5 else ("write", "sync"))
    ]
    return ["open", *middle, "close"]


@pytest.fixture(scope="module")
def normal() -> list[list[str]]:
    rng = np.random.default_rng(0)
    return [walk(rng, int(rng.integers(2, 6))) for _ in range(300)]


@pytest.fixture(scope="module")
def detector(normal: list[list[str]]) -> Detector:
    return learn_detector(normal, LearnSettings(folds=2, steps=150, rate=0.02))


ANOMALIES = {
    "unseen event": ["open", "read", "format", "write", "sync", "close"],
    "order": ["open", "seek", "read", "write", "sync", "close"],
    "cut short": ["open", "read", "seek", "write"],
    "too many": ["open", *["read", "seek"] * 20, "close"],
    "nothing": [],
}


@pytest.mark.parametrize("name", ANOMALIES)
def test_anomalies_are_flagged_and_normal_ones_are_not(detector, normal, name):
    wrong, *right = detector.judge([ANOMALIES[name], *normal[:50]])
    assert wrong.flagged
    assert np.mean([verdict.flagged for verdict in right]) < 0.1


def test_streaming_gives_what_bulk_gives(detector, normal):
    sequences = [*ANOMALIES.values(), *normal[:20]]
    opened = [detector.open() for _ in sequences]
    for position in range(max(map(len, sequences))):
        here = [i for i, sequence in enumerate(sequences) if position < len(sequence)]
        detector.observe([opened[i] for i in here], [sequences[i][position] for i in here])
    for streamed, judged in zip(detector.close(opened), detector.judge(sequences), strict=True):
        assert streamed.p_value == judged.p_value
        assert streamed.features == pytest.approx(judged.features, abs=1e-4)
        assert streamed.flagged == judged.flagged


def test_interleaved_keys_stay_apart_and_bytes_hold_all(detector, normal):
    alone = [detector.score_events(sequence) for sequence in normal[:3]]
    opened = [detector.open() for _ in range(3)]
    for position in range(4):
        opened = [OpenSequence.from_bytes(sequence.to_bytes()) for sequence in opened]
        scores = detector.observe(opened, [sequence[position] for sequence in normal[:3]])
        for score, expected in zip(scores, alone, strict=True):
            assert score.bits == pytest.approx(expected[position].bits, abs=1e-4)
            assert score.event == expected[position].event
    assert len(opened[0].to_bytes()) < 2000  # so that 100,000 keys take little


def test_scores_are_made_before_the_event_is_read(detector):
    first = detector.open()
    fork = first.copy()
    (known,), (unknown,) = detector.observe([first], ["open"]), detector.observe([fork], ["format"])
    assert known.expected == unknown.expected
    assert known.expected[0].event == "open" and known.rank == 0 and not known.new
    assert unknown.bits > 4 and unknown.rank > 0 and unknown.new and np.isfinite(unknown.bits)


def test_closing_leaves_the_sequence_open(detector):
    sequence = detector.open()
    detector.observe([sequence], ["open"])
    before = sequence.to_bytes()
    detector.close([sequence])
    assert sequence.to_bytes() == before


def test_repeats_scored_once_change_nothing(detector, normal):
    sequences = normal[:40] + normal[:40]
    once, each = detector.judge(sequences), detector.judge(sequences, repeats=False)
    assert [v.p_value for v in once] == [v.p_value for v in each]


def test_what_is_flagged_is_explained_where_that_is_asked_for(detector, normal):
    wrong = [*ANOMALIES.values(), *normal[:5], *reversed(ANOMALIES.values())]
    told = detector.judge(wrong, repeats=False)
    for sequence, verdict in zip(wrong, told, strict=True):
        bits = sorted((event.bits for event in detector.score_events(sequence)), reverse=True)
        found = [event.bits for event in verdict.events]
        assert found == (pytest.approx(bits[: len(found)], abs=1e-4) if verdict.flagged else [])
        assert bool(found) == verdict.flagged
    silent = detector.judge(wrong, explain=False)
    assert silent == [replace(verdict, events=()) for verdict in told]


def test_a_file_holds_all_of_it(detector, normal, tmp_path):
    path, again = tmp_path / "a.onward", tmp_path / "b.onward"
    detector.save(path)
    loaded = Detector.load(path)
    assert [v.to_json() for v in loaded.judge(normal)] == [v.to_json() for v in detector.judge(normal)]
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_learning_again_gives_the_same_file(detector, normal, tmp_path):
    learn_detector(normal, LearnSettings(folds=2, steps=150, rate=0.02)).save(tmp_path / "again")
    detector.save(tmp_path / "first")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "first").read_bytes()


def test_a_model_that_is_no_detector_is_refused(detector, tmp_path):
    artefact = detector.artefact
    save(Artefact(artefact.model, artefact.vocabulary), tmp_path / "model")
    with pytest.raises(ArtefactError, match="no detector"):
        Detector.load(tmp_path / "model")
    broken = replace(artefact, watch={"events": ["a"]})
    save(broken, tmp_path / "broken")
    with pytest.raises(ArtefactError, match="damaged"):
        Detector.load(tmp_path / "broken")


def test_a_detector_of_another_version_is_told_from_a_damaged_one(detector, tmp_path):
    detector.save(tmp_path / "now")
    watch = load(tmp_path / "now").watch
    assert watch is not None
    older = {name: value for name, value in watch.items() if name != "format"}
    older["calibration"] = {"tails": [], "scores": [], "bits_per_event": 1.0}
    for written, told in ((older, "an earlier.*expected format 2, got 1"), (watch | {"format": 3}, "got 3")):
        save(replace(detector.artefact, watch=written), tmp_path / "other")
        with pytest.raises(ArtefactError, match=told) as refused:
            Detector.load(tmp_path / "other")
        assert "learn it again" in str(refused.value.hint)


def test_deeplogs_rule_flags_by_rank_alone(detector):
    usual = ["open", "read", "seek", "write", "sync", "close"]
    strict, lax = detector.with_rate(top_k=3), detector.with_rate(top_k=9)
    assert [v.flagged for v in strict.judge([usual, ANOMALIES["unseen event"]])] == [False, True]
    assert not lax.judge([usual])[0].flagged


def test_wrong_requests_are_refused(detector):
    with pytest.raises(InputError, match="between 0 and 1"):
        detector.with_rate(0.0)
    with pytest.raises(CorpusError, match="at least 10"):
        learn_detector([["a"]] * 9)
    with pytest.raises(InputError, match="bytes of an open sequence"):
        OpenSequence.from_bytes(b"no")
