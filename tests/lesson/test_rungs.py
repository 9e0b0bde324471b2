"""Neighbouring rungs agree where they are the same function, and short runs of them learn."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from onward.data.lanes import Lanes
from onward.errors import InputError
from onward.lesson import (
    deep,
    eight,
    embeddings,
    ladder,
    onehot,
    recurrent,
    runner,
    sequence,
    stateful,
    three,
)
from onward.lesson.fit import cross_entropy, epoch, evaluate, shuffled_batches
from onward.lesson.rung import LessonSettings, Outcome
from onward.lesson.text import read_text

SYMBOLS = 86
TOLERANCE = 1e-6


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Uses one thread, as `onward lesson` does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def characters(lanes: int, steps: int) -> torch.Tensor:
    return torch.randint(1, SYMBOLS, (lanes, steps))


def test_the_unrolled_and_the_recurrent_form_are_equal() -> None:
    network = recurrent.Recurrent(SYMBOLS)
    x, y = characters(16, 8), characters(16, 1)[:, 0]
    assert recurrent.greatest_difference(network, recurrent.Unrolled(network), x, y) < TOLERANCE


def test_a_wrong_unrolled_form_is_detected() -> None:
    network = recurrent.Recurrent(SYMBOLS)
    other = recurrent.Recurrent(SYMBOLS)
    x, y = characters(16, 8), characters(16, 1)[:, 0]
    assert recurrent.greatest_difference(network, recurrent.Unrolled(other), x, y) > 100 * TOLERANCE


def test_the_last_output_of_rung_sequence_equals_rung_recurrent() -> None:
    network, below = sequence.SequenceNetwork(SYMBOLS), recurrent.Recurrent(SYMBOLS)
    below.load_state_dict(network.state_dict())
    x = characters(16, 8)
    torch.testing.assert_close(network(x)[:, -1], below(x), atol=TOLERANCE, rtol=0)


def test_one_hot_equals_an_embedding_with_the_identity() -> None:
    network, twin = onehot.OneHot(SYMBOLS), onehot.OneHot(SYMBOLS, onehot.row_of_identity)
    twin.load_state_dict(network.state_dict())
    x, y = characters(16, 8), characters(16, 8)
    for each in (network, twin):
        cross_entropy(each(x), y).backward()
    for one, other in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=TOLERANCE, rtol=0)


def test_losses_from_integers_and_from_one_hot_targets_are_equal() -> None:
    logits, y = torch.randn(16, 8, SYMBOLS), characters(16, 8)
    dense = onehot.one_hot_cross_entropy(logits, nn.functional.one_hot(y, SYMBOLS))
    torch.testing.assert_close(cross_entropy(logits, y), dense)


def test_the_first_block_of_rung_stateful_equals_rung_sequence() -> None:
    below = sequence.SequenceNetwork(SYMBOLS)
    network = stateful.Stateful(SYMBOLS, below.rnn)
    network.embedding, network.readout = below.embedding, below.blue
    x = characters(16, 8)
    logits, _ = network(x.t(), network.stack.initial_state(16))
    torch.testing.assert_close(logits.transpose(0, 1), below(x), atol=TOLERANCE, rtol=0)


def test_rung_eight_on_three_characters_equals_rung_three_without_its_tanh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, below = eight.Eight(SYMBOLS), three.Three(SYMBOLS)
    below.embedding, below.green, below.blue = network.embedding, network.green, network.blue
    below.orange = network.orange
    x = characters(16, 3)
    assert not torch.allclose(below(x), network(x))
    monkeypatch.setattr(torch.Tensor, "tanh", torch.Tensor.relu)
    torch.testing.assert_close(below(x), network(x))


def test_a_lookup_equals_a_one_hot_vector_times_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        embeddings.greatest_difference(10) < 1e-6
    )  # 64 lookups of 10 symbols, so each occurs more than once
    monkeypatch.setattr(embeddings, "multiplied", lambda ids, table: table[ids] * 1.01)
    assert embeddings.greatest_difference(10) > 1e-3


def test_the_lessons_lanes_jump_504_characters() -> None:
    ids = torch.arange(4 * stateful.LANES * stateful.STEPS + 1)
    first, second, *_ = stateful.shifted_blocks(ids)
    jumps = second.x[0] - (first.x[-1] + 1)
    assert jumps.unique().tolist() == [504]


def test_the_right_lanes_do_not_jump() -> None:
    ids = torch.arange(4, 4 * stateful.LANES * stateful.STEPS)
    lanes = Lanes(ids.numpy(), lanes=stateful.LANES, steps=stateful.STEPS)
    first, second = list(stateful.right_blocks(lanes))[:2]
    assert torch.equal(second.x[0], first.y[-1])


def test_examples_do_not_overlap_and_leave_no_gaps() -> None:
    text = read_text("pydoc")
    x, y = sequence.examples(text)
    assert torch.equal(x.flatten(), text.ids[: x.numel()])
    assert torch.equal(y.flatten(), text.ids[1 : y.numel() + 1])


def test_the_text_has_the_size_that_the_lesson_states(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONWARD_DATA", str(shared_data))
    text = read_text()
    assert (text.name, len(text.ids), len(text.symbols)) == ("nietzsche", 600_901, 86)
    assert text.ids.min() == 1
    assert text.decode(text.ids[:7]) == "PREFACE"
    assert torch.equal(text.encode("PREFACE"), text.ids[:7])


def test_without_the_text_a_rung_uses_the_built_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onward.data.named.NAMED", {})
    assert read_text().name == "pydoc"


def test_training_lowers_the_loss_and_evaluating_changes_nothing() -> None:
    network = three.Three(SYMBOLS)
    x, y = characters(256, 3), torch.full((256,), 5)
    before = evaluate(network, x, y)
    weights = [p.clone() for p in network.parameters()]
    evaluate(network, x, y)
    assert all(torch.equal(a, b) for a, b in zip(weights, network.parameters(), strict=True))
    optimiser = torch.optim.Adam(network.parameters())
    for _ in range(3):
        epoch(network, optimiser, shuffled_batches(x, y, 64, torch.Generator().manual_seed(0)))
    assert evaluate(network, x, y) < before - 1


def test_only_the_cost_of_the_product_grows_with_the_table() -> None:
    small, large = embeddings.costs(86), embeddings.costs(10_000)
    assert large["lookup_megabytes"] < 2 * small["lookup_megabytes"]
    assert large["product_megabytes"] > 50 * small["product_megabytes"]


def test_words_become_ids_and_vectors() -> None:
    found = embeddings.words_as_vectors("the cat that killed the rat")
    assert found["words"] == ["cat", "killed", "rat", "that", "the"]
    assert found["ids"] == [4, 0, 3, 1, 4, 2]
    assert found["shape"] == (6, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(a)", {"(": {"within 50": 1.0}}),
        ("(a", {"(": {"never": 1.0}}),
        ("(" + "x" * 100 + ")", {"(": {"within 150": 1.0}}),
        ('"a" "b', {'"': {"never": 0.5, "within 50": 0.5}}),
        ("(a (b)", {"(": {"never": 0.5, "within 50": 0.5}}),
    ],
)
def test_closed_quotes_and_brackets_are_counted(text: str, expected: dict[str, dict[str, float]]) -> None:
    assert deep.closed(text) == expected


def test_rung_deep_carries_its_state_in_evaluation() -> None:
    network = deep.Deep(60).eval()
    x = torch.randint(60, (12, 2))
    whole, _ = network(x, network.initial_state(2))
    first, state = network(x[:5], network.initial_state(2))
    second, _ = network(x[5:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, atol=1e-5, rtol=0)


def test_every_rung_has_a_description() -> None:
    rungs = ladder.rungs()
    assert [rung.name for rung in rungs] == list(ladder.MODULES)
    assert all(rung.new and rung.measure and rung.minutes > 0 for rung in rungs)


def test_an_unknown_rung_is_refused() -> None:
    with pytest.raises(InputError, match="got 'four'"):
        ladder.module_of("four")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "share"), [("stateful", 0.05), ("deep", 0.1)])
def test_a_short_run_of_a_long_rung_learns(
    name: str, share: float, shared_data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ONWARD_DATA", str(shared_data))
    row = runner.run_rung(name, LessonSettings(share=share, pictures=tmp_path, report=lambda line: None))
    assert row["figure"] < 2.9
    assert row["held_out"] < 2.9
    assert row["reached"] is None  # a short run does not count
    assert all(Path(picture).stat().st_size > 10_000 for picture in row["pictures"])


@pytest.mark.slow
def test_a_short_run_of_rung_embeddings_is_better_with_biases(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONWARD_DATA", str(shared_data))
    outcome = embeddings.run(LessonSettings(share=0.15, report=lambda line: None))
    assert outcome.figure < 0.85 < outcome.details["error_without_biases"]
    assert outcome.holds


@pytest.mark.parametrize(
    ("figure", "holds", "reached"), [(1.9, True, True), (1.9, False, False), (2.1, True, False)]
)
def test_a_rung_is_reached_if_its_figure_and_all_other_checks_are_good(
    figure: float, holds: bool, reached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = Outcome(figure=figure, holds=holds, text="nietzsche")
    monkeypatch.setattr(three, "run", lambda settings: outcome)
    assert runner.run_rung("three", LessonSettings(report=lambda line: None))["reached"] is reached


@pytest.mark.slow
@pytest.mark.parametrize("name", ["three", "eight", "recurrent", "sequence", "onehot"])
def test_a_short_run_of_a_rung_learns(
    name: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ONWARD_DATA", str(shared_data))
    lines: list[str] = []
    outcome = ladder.module_of(name).run(LessonSettings(share=0.1, pictures=tmp_path, report=lines.append))
    assert outcome.figure < 2.7  # after the first epoch; `eight` has 2.56
    assert outcome.held_out is not None and outcome.held_out < 2.5
    assert lines
    assert all(picture.stat().st_size > 10_000 for picture in outcome.pictures)
