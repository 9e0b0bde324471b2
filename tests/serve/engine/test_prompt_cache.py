"""A prompt that was read before is not read again, and the answer is the same as without a cache."""

from pathlib import Path

import pytest
from tests.serve.loop import finish

import onward
from onward.inference.prediction import initial_state
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.serve.engine.infilling import Infilled, InfillPrompt, infill_prompt
from onward.serve.engine.prompt_cache import MOST_PROMPTS, PromptCache

LINES = [f"the lane {number} goes on where the state is.\n" for number in range(60)]


@pytest.fixture
def trained(model: Path) -> TrainedModel:
    return onward.load(model)


def cache_of(trained: TrainedModel) -> PromptCache:
    return PromptCache(trained, Stepper(trained.model, initial_state(trained.model, 1)), 4)


def ask(cache: PromptCache, prefix: str, suffix: str = "", **others: object) -> Infilled:
    asked: dict[str, object] = {"prefix": prefix, "suffix": suffix, "length": 40} | others
    return finish(infill_prompt(cache, InfillPrompt(**asked)))  # type: ignore[arg-type]


def check_same(found: Infilled, fresh: Infilled) -> None:
    assert found.candidates[0].text == fresh.candidates[0].text
    assert found.candidates[0].probability == pytest.approx(fresh.candidates[0].probability, rel=0.05)
    assert found.prompt_symbols == fresh.prompt_symbols


def test_only_what_was_typed_is_read(trained: TrainedModel) -> None:
    cache, text = cache_of(trained), "".join(LINES[:20])
    ask(cache, text, "\n")
    for typed in ("t", "th", "the", "the st", "the s", "the sta", "where"):
        found = ask(cache, text + typed, "\n")
        assert found.symbols_read <= 20
        check_same(found, ask(cache_of(trained), text + typed, "\n"))


def test_lines_that_scroll_away_are_not_read_again(trained: TrainedModel) -> None:
    cache = cache_of(trained)
    found = ask(cache, "".join(LINES[:30]), "\n")
    for first in range(1, 20):
        found = ask(cache, "".join(LINES[first : first + 30]), "\n")
        assert found.symbols_read == len(LINES[first + 29])
    assert found.prompt_symbols == len("".join(LINES[19:49]))


def test_another_text_does_not_replace_the_first(trained: TrainedModel) -> None:
    cache, first, second = cache_of(trained), "".join(LINES[:10]), "where the state is, " * 20
    ask(cache, first)
    for _ in range(3):
        assert ask(cache, second + "x").symbols_read in (len(second) + 1, 0)
        assert ask(cache, first).symbols_read == 0
    for number in range(MOST_PROMPTS):
        ask(cache, f"{number} is the state. " * 20)
    assert ask(cache, first).symbols_read == len(first)


def test_other_texts_may_change_at_any_time() -> None:
    def knows(found: Infilled) -> bool:
        return found.candidates[0].text.startswith("widgets")

    python = onward.load("python")
    cache, prefix = cache_of(python), "import sys\n\n\ndef main():\n    frobnicate_"
    names = "frobnicate_widgets(9)\nfrobnicate_widgets(8)\n"
    assert not knows(ask(cache, prefix, "\n"))
    for extra, suffix in (((names,), "\n"), (("x = 1", names), "\n"), ((), "\n\n" + names)):
        found = ask(cache, prefix, suffix, extra=extra)
        assert knows(found)
        assert found.symbols_read == 0
        assert knows(ask(cache_of(python), prefix, suffix, extra=extra))
    assert not knows(ask(cache, prefix, "\n"))
    assert not knows(ask(cache, prefix, "\n", extra=(names,), remembers=False))


def test_work_that_is_given_up_leaves_no_half_read_prompt(trained: TrainedModel) -> None:
    cache, prefix = cache_of(trained), "".join(LINES)
    ask(cache, prefix)
    work = infill_prompt(cache, InfillPrompt(prefix=prefix + "".join(LINES), length=40))
    next(work)
    work.close()
    check_same(ask(cache, prefix + "the "), ask(cache_of(trained), prefix + "the "))
