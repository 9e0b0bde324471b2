"""Infilling, as llama.vim, llama.vscode, minuet-ai.nvim and Zed request it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.conftest import Server

import onward

PREFIX = "the state goes on where the lane ended, and the lane goes on where the state is.\n" * 3
LINE = "the state goes on where "
SUFFIX = "and the lane goes on where the state is.\n"
EXPECTED = "the lane ended, "

LLAMA_VIM: dict[str, Any] = {
    "id_slot": 0,
    "input_prefix": PREFIX,
    "input_suffix": SUFFIX,
    "input_extra": [{"text": "the lane\n", "time": [1, 2], "filename": "a.txt"}],
    "prompt": LINE,
    "n_predict": 128,
    "stop": [],
    "n_indent": 0,
    "top_k": 40,
    "top_p": 0.9,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1000,
    "response_fields": ["content", "timings/prompt_n", "timings/prompt_ms", "truncated", "tokens_cached"],
    "model": "",
}
"""The fields that llama.vim sends (January 2026)."""

LLAMA_VSCODE: dict[str, Any] = {
    "id_slot": 0,
    "input_prefix": PREFIX,
    "input_suffix": SUFFIX,
    "input_extra": [],
    "prompt": LINE,
    "n_predict": 128,
    "n_cmpl": 3,
    "top_k": 40,
    "top_p": 0.99,
    "stream": False,
    "samplers": ["top_k", "top_p", "infill"],
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 2500,
}


def infill(server: Server, **fields: Any) -> httpx.Response:
    return server.client.post(
        "/infill", json={"input_prefix": PREFIX + LINE, "input_suffix": SUFFIX} | fields
    )


def completion(server: Server, **fields: Any) -> httpx.Response:
    asked = {"prompt": PREFIX + LINE, "suffix": SUFFIX, "max_tokens": 56, "temperature": 0} | fields
    return server.client.post("/v1/completions", json=asked)


def text_of(answer: httpx.Response) -> str:
    assert answer.is_success, answer.text
    (choice,) = answer.json()["choices"]
    return choice["text"]


def test_llama_vim_gets_the_fields_that_it_reads(server: Server) -> None:
    answer = server.client.post("/infill", json=LLAMA_VIM).json()
    assert list(answer) == LLAMA_VIM["response_fields"]
    assert answer["content"] == EXPECTED
    assert answer["truncated"] is False
    assert answer["tokens_cached"] == len(PREFIX + LINE)
    again = server.client.post("/infill", json=LLAMA_VIM).json()
    assert again | {"timings/prompt_ms": 0} == answer | {"timings/prompt_n": 0, "timings/prompt_ms": 0}


def test_llama_vim_may_warm_up_a_prompt(server: Server) -> None:
    warm = LLAMA_VIM | {"input_prefix": "where " + PREFIX, "n_predict": 0, "t_max_predict_ms": 1}
    assert server.client.post("/infill", json=warm | {"response_fields": [""]}).json() == {}
    asked = LLAMA_VIM | {"input_prefix": "where " + PREFIX}
    assert server.client.post("/infill", json=asked).json()["timings/prompt_n"] == 0


def test_llama_vscode_gets_several_candidates(server: Server) -> None:
    answers = server.client.post("/infill", json=LLAMA_VSCODE).json()
    assert [answer["index"] for answer in answers] == [0, 1, 2]
    assert answers[0]["content"] == EXPECTED
    assert len({answer["content"] for answer in answers}) == 3
    assert answers[0]["timings"]["predicted_n"] == answers[0]["tokens_predicted"] == len(EXPECTED)


@pytest.fixture(scope="module")
def python() -> Iterator[Server]:
    """A server of the base model, which is less certain of what it has learned than the small one."""
    running = Server("python")
    yield running
    running.end()


CODE = "import sys\n\n\ndef main():\n    frobnicate_"
NAMES = "frobnicate_widgets(9)\nfrobnicate_widgets(8)\n"


def test_a_name_from_another_file_is_completed(python: Server) -> None:
    asked = {"input_prefix": CODE, "input_suffix": "\n"}
    assert not infill(python, **asked).json()["content"].startswith("widgets")
    extra = [{"filename": "other.py", "text": NAMES}]
    assert infill(python, **asked, input_extra=extra).json()["content"].startswith("widgets")
    found = infill(python, **asked, input_extra=extra, learn="none").json()["content"]
    assert not found.startswith("widgets")


def test_the_answer_is_that_of_the_library(server: Server, model: Path) -> None:
    found = onward.load(model).infill(PREFIX + LINE, SUFFIX, memory=4, n=3)
    answers = infill(server, n_cmpl=3).json()
    assert [answer["content"] for answer in answers] == [one.text for one in found]


@pytest.mark.parametrize("milliseconds", [1, 20, 300])
def test_a_deadline_is_kept(server: Server, milliseconds: float) -> None:
    asked = {"input_prefix": "q" * 50, "input_suffix": "zz" * 20, "n_predict": 400}
    infill(server, **asked)
    started = time.perf_counter()
    answer = infill(server, **asked, t_max_predict_ms=milliseconds).json()
    seconds = time.perf_counter() - started
    assert answer["timings"]["predicted_ms"] < milliseconds + 100
    assert seconds < milliseconds / 1000 + 0.5


def test_length_and_stop_strings_end_a_candidate(server: Server) -> None:
    answer = infill(server, n_predict=5, input_suffix="").json()
    assert (answer["content"], answer["stop_type"]) == (EXPECTED[:5], "limit")
    assert infill(server, stop=["ended"]).json()["content"] == "the lane "
    assert text_of(completion(server, stop=["ended", "lane"])) == "the "


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stream", True),
        ("grammar", "root ::= 'a'"),
        ("lora", [{"id": 0, "scale": 0.5}]),
        ("mirostat", 2),
        ("repeat_penalty", 1.1),
        ("logit_bias", [[5, 1.0]]),
        ("learn", "both"),
        ("n_cmpl", 17),
        ("n_predict", -2),
        ("input_extra", [{"filename": "a"}]),
        ("t_max_predict_ms", -1),
    ],
)
def test_what_llama_cpp_has_and_we_have_not_is_refused_by_name(
    server: Server, field: str, value: object
) -> None:
    answer = infill(server, **{field: value})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


def test_minuet_streams_the_text_before_a_suffix(server: Server) -> None:
    asked = {
        "model": "small",
        "stream": True,
        "prompt": f"# language: text\n{PREFIX}{LINE}",
        "suffix": SUFFIX,
    }
    asked |= {"max_tokens": 56, "top_p": 0.9, "temperature": 0}
    lines = server.client.post("/v1/completions", json=asked).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    events = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert "".join(event["choices"][0]["text"] for event in events) == EXPECTED
    assert events[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "template",
    [
        "<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>",
        "<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>",
        "<PRE> {prefix} <SUF>{suffix} <MID>",
        "<｜fim▁begin｜>{prefix}<｜fim▁hole｜>{suffix}<｜fim▁end｜>",
        "[SUFFIX]{suffix}[PREFIX]{prefix}",
        "<|code_prefix|>{prefix}<|code_suffix|>{suffix}<|code_middle|>",
    ],
)
def test_markers_of_zed_are_the_same_as_a_suffix(server: Server, template: str) -> None:
    stop = ["<|endoftext|>", "<|file_separator|>", "<|fim_pad|>", "<|fim_prefix|>", "<PRE>", "[PREFIX]"]
    prompt = template.format(prefix=PREFIX + LINE, suffix=SUFFIX)
    answer = completion(server, prompt=prompt, suffix="", stop=stop, model="small")
    assert text_of(answer) == EXPECTED
    assert answer.json()["usage"]["prompt_tokens"] == len(PREFIX + LINE)


def test_text_before_the_markers_is_that_of_other_files(python: Server) -> None:
    marked = f"<fim_prefix>{CODE}<fim_suffix>\n<fim_middle>"
    assert not text_of(completion(python, prompt=marked, suffix="")).startswith("widgets")
    other = "<file_sep>other.py\n" + NAMES
    assert text_of(completion(python, prompt=other + marked, suffix="")).startswith("widgets")


def test_a_prompt_with_only_some_markers_is_continued(server: Server) -> None:
    for prompt in ("<fim_prefix>the lane", "the <fim_suffix> lane<fim_middle>", "[SUFFIX] the lane"):
        answer = completion(server, prompt=prompt, suffix="", max_tokens=9)
        assert len(text_of(answer)) == 9


def test_candidates_are_drawn_by_seed_and_temperature(server: Server) -> None:
    def texts(**fields: Any) -> list[str]:
        answer = completion(server, suffix=" ", n=4, **fields).json()
        return [choice["text"] for choice in answer["choices"]]

    assert texts(temperature=5, seed=3) == texts(temperature=5, seed=3)
    assert len(set(texts(temperature=5, seed=3))) == 4
    assert len({tuple(texts(temperature=5, seed=seed)) for seed in range(8)}) > 1
    assert texts(temperature=5, top_k=1, seed=3)[0] == texts(temperature=0)[0]
    assert texts(temperature=0) == texts(temperature=0, seed=9, best_of=8)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("echo", True),
        ("logprobs", 0),
        ("presence_penalty", 0.5),
        ("repeat_penalty", 1.5),
        ("logit_bias", {"5": 1}),
        ("learn", "both"),
        ("n", 17),
        ("best_of", 17),
        ("prompt", ["a", "b"]),
        ("prompt", [5, 6]),
    ],
)
def test_what_has_no_meaning_with_a_suffix_is_refused_by_name(
    server: Server, field: str, value: object
) -> None:
    answer = completion(server, **{field: value})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)
    assert "with a suffix" in answer.json()["error"]["message"]


def test_texts_that_are_too_long_in_all_are_refused(server: Server) -> None:
    answer = infill(server, input_prefix="a" * 150_000, input_suffix="a" * 60_000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    answer = completion(server, prompt="a" * 150_000, suffix="a" * 60_000)
    assert (answer.status_code, answer.json()["error"]["param"]) == (413, "prompt")
