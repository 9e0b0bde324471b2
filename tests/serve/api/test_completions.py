"""Completions, as OpenAI's client and lm-evaluation-harness request them."""

import re
import threading
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from tests.serve.conftest import Server

import onward
from onward.data.vocabulary import BEGIN


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_the_text_is_that_of_onward_write(client: openai.OpenAI, model: Path) -> None:
    made = client.completions.create(model="small", prompt="the ", max_tokens=40, seed=7, n=2)
    texts = [choice.text for choice in made.choices]
    assert texts == onward.load(model).samples("the ", 2, length=40, seed=7)
    assert made.usage
    assert made.usage.prompt_tokens == 4
    assert made.usage.completion_tokens == sum(map(len, texts))


@pytest.mark.parametrize("echo", [False, True])
def test_a_text_without_a_prompt_begins_as_that_of_onward_write(
    client: openai.OpenAI, model: Path, echo: bool
) -> None:
    made = client.completions.create(
        model="small", prompt="", max_tokens=40, seed=7, n=2, echo=echo, logprobs=1
    )
    library = onward.load(model)
    texts = library.samples("", 2, length=40, seed=7)
    assert [choice.text for choice in made.choices] == texts == library.samples("\n", 2, length=40, seed=7)
    assert made.usage
    assert made.usage.prompt_tokens == 0
    logprobs = made.choices[0].logprobs
    assert logprobs
    assert logprobs.tokens
    assert "".join(logprobs.tokens) == texts[0]


def test_a_stream_has_the_same_text(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "small", "prompt": ["the ", "and "], "max_tokens": 300, "seed": 3}
    whole = client.completions.create(**asked)
    texts, usage = ["", ""], None
    reasons: list[str | None] = [None, None]
    for event in client.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        for choice in event.choices:
            texts[choice.index] += choice.text
            reasons[choice.index] = choice.finish_reason
        usage = event.usage
    assert texts == [choice.text for choice in whole.choices]
    assert reasons == ["length", "length"]
    assert usage == whole.usage


def test_a_text_does_not_depend_on_other_requests(client: openai.OpenAI) -> None:
    def write(seed: int) -> str:
        asked: dict[str, Any] = {
            "model": "small",
            "prompt": "the lane " * (seed % 3),
            "max_tokens": 150 + 10 * seed,
        }
        return client.completions.create(**asked, seed=seed, temperature=0.5 + seed / 10).choices[0].text

    alone = [write(seed) for seed in range(12)]
    beside: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: beside.update({seed: write(seed)})) for seed in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [beside[seed] for seed in range(12)] == alone


def test_log_probabilities_of_a_prompt_are_its_surprises(client: openai.OpenAI, model: Path) -> None:
    trained, text = onward.load(model), "the lane goes"
    (choice,) = client.completions.create(
        model="small", prompt=text, max_tokens=0, echo=True, logprobs=2
    ).choices
    assert choice.logprobs and choice.logprobs.token_logprobs and choice.logprobs.tokens
    assert choice.logprobs.top_logprobs
    nats = [score.nats for score in trained.score_symbols(text)]
    np.testing.assert_allclose(choice.logprobs.token_logprobs, -np.array(nats), rtol=1e-4, atol=1e-5)
    assert (choice.text, "".join(choice.logprobs.tokens)) == (text, text)
    assert choice.logprobs.text_offset == [*range(len(text))]
    assert all(len(top) == 2 for top in choice.logprobs.top_logprobs)


def likelihoods(answer: dict[str, Any], contexts: list[int]) -> list[tuple[float, bool]]:
    """Reads an answer as lm-evaluation-harness does (0.4.13, `LocalCompletionsAPI.parse_logprobs`).

    Returns:
        For each choice, the log-likelihood of the text after its context, and whether it is the likeliest.
    """
    read = []
    for choice, context in zip(sorted(answer["choices"], key=itemgetter("index")), contexts, strict=True):
        logprobs = choice["logprobs"]["token_logprobs"][context:-1]
        top = choice["logprobs"]["top_logprobs"][context:-1]
        greedy = all(one == max(others.values()) for one, others in zip(logprobs, top, strict=True))
        read.append((sum(logprobs), greedy))
    return read


LIKELIHOOD = {"model": "small", "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": True}
"""The request of its `local-completions` for a log-likelihood, without the prompts."""


@pytest.mark.parametrize("as_ids", [True, False])
def test_lm_evaluation_harness_gets_the_likelihoods_of_the_model(
    server: Server, model: Path, as_ids: bool
) -> None:
    trained = onward.load(model)
    likely = trained.write("the state", length=5, temperature=0)
    pairs = [("the lane goes", " on"), ("the state", likely), ("where", " zebra"), ("t", "h")]
    encoded = [trained.vocabulary.encode("".join(pair)).tolist() for pair in pairs]
    prompts = encoded if as_ids else ["".join(pair) for pair in pairs]
    answer = server.client.post("/v1/completions", json=LIKELIHOOD | {"prompt": prompts}).json()
    found = likelihoods(answer, [len(context) for context, _ in pairs])
    for (context, rest), (likelihood, _) in zip(pairs, found, strict=True):
        assert likelihood == pytest.approx(
            trained.score(context).nats - trained.score(context + rest).nats, rel=1e-4, abs=1e-4
        )
    expected = [trained.write(context, length=len(rest), temperature=0) == rest for context, rest in pairs]
    assert [greedy for _, greedy in found] == expected
    assert expected[1:3] == [True, False]
    alone = LIKELIHOOD | {"prompt": prompts[1] if not as_ids else prompts[1:2]}
    assert likelihoods(server.client.post("/v1/completions", json=alone).json(), [len(pairs[1][0])]) == [
        (pytest.approx(found[1][0], rel=1e-5), True)
    ]


def test_a_prompt_of_ids_may_begin_with_begin(server: Server, model: Path) -> None:
    # the harness puts it before a text when it asks for the likelihood of all of it
    trained, text = onward.load(model), "the lane goes on"
    prompt = [[BEGIN, *trained.vocabulary.encode(text).tolist()]]
    answer = server.client.post("/v1/completions", json=LIKELIHOOD | {"prompt": prompt}).json()
    ((likelihood, _),) = likelihoods(answer, [1])
    assert likelihood == pytest.approx(-trained.score(text).nats, rel=1e-4)
    assert answer["choices"][0]["logprobs"]["tokens"][:2] == ["<begin>", "t"]


def test_lm_evaluation_harness_gets_texts_that_end_at_its_stop_strings(server: Server, model: Path) -> None:
    trained = onward.load(model)
    primes = ["the lane goes", "the state goes on"]
    payload: dict[str, Any] = {"model": "small", "max_tokens": 60, "temperature": 0, "seed": 1234}
    payload |= {"prompt": [trained.vocabulary.encode(prime).tolist() for prime in primes]}
    answer = server.client.post("/v1/completions", json=payload | {"stop": ["\n", ",", "<end>"]}).json()
    texts = [choice["text"] for choice in sorted(answer["choices"], key=itemgetter("index"))]
    whole = [trained.write(prime, length=60, temperature=0) for prime in primes]
    assert texts == [re.split("[\n,]", text)[0] for text in whole]
    assert [choice["finish_reason"] for choice in answer["choices"]] == ["stop", "stop"]


@pytest.mark.parametrize(
    "sampling", [{"top_k": 3}, {"min_p": 0.2}, {"top_k": 5, "min_p": 0.05, "top_p": 0.9}]
)
def test_top_k_and_min_p_are_those_of_onward_write(
    client: openai.OpenAI, model: Path, sampling: dict[str, Any]
) -> None:
    made = client.completions.create(
        model="small", prompt="the ", max_tokens=60, seed=5, temperature=1.5, extra_body=sampling
    )
    trained = onward.load(model)
    assert made.choices[0].text == trained.write("the ", length=60, seed=5, temperature=1.5, **sampling)
    assert made.choices[0].text != trained.write("the ", length=60, seed=5, temperature=1.5)


def test_neutral_values_are_accepted(client: openai.OpenAI) -> None:
    neutral: dict[str, Any] = {
        "best_of": 1,
        "suffix": "",
        "presence_penalty": 0.0,
        "frequency_penalty": 0,
        "logit_bias": {},
        "user": "me",
    }
    answer = client.completions.create(model="small", prompt="the ", max_tokens=1, **neutral)
    assert len(answer.choices) == 1


def test_a_stop_string_ends_a_text_and_is_not_part_of_it(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "small", "prompt": "the", "max_tokens": 200, "seed": 1}
    whole = client.completions.create(**asked).choices[0].text
    stop = whole[40:43]
    (choice,) = client.completions.create(**asked, stop=[stop], logprobs=0).choices
    assert choice.text == whole[: whole.index(stop)]
    assert choice.finish_reason == "stop"
    assert choice.logprobs and choice.logprobs.tokens
    assert "".join(choice.logprobs.tokens) == choice.text


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"temperature": -1}, "temperature"),
        ({"max_tokens": 10**9}, "max_tokens"),
        ({"prompt": [[99999]]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"stop": [""]}, "stop"),
        ({"n": 1000}, "n"),
        ({"n": True}, "n"),
        ({"best_of": True}, "best_of"),
        ({"best_of": 1, "n": 2}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"),
        ({"best_of": 200}, "best_of"),
        ({"presence_penalty": False}, "presence_penalty"),
        ({"frequency_penalty": False}, "frequency_penalty"),
        ({"temperature": True}, "temperature"),
        ({"seed": False}, "seed"),
        ({"extra_body": {"min_p": False}}, "min_p"),
        ({"prompt": [True, False]}, "prompt"),
        ({"frequency_penalty": 2.5}, "frequency_penalty"),
        ({"logit_bias": {"9999": 1}}, "logit_bias"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"5": 101}}, "logit_bias"),
        ({"extra_body": {"repeat_penalty": 0}}, "repeat_penalty"),
        ({"extra_body": {"repeat_penalty": 1e-9}}, "repeat_penalty"),
        ({"extra_body": {"learn": "all"}}, "learn"),
        ({"extra_body": {"top_k": 0}}, "top_k"),
        ({"extra_body": {"min_p": 2}}, "min_p"),
    ],
)
def test_a_wrong_field_is_named_as_openai_names_it(
    client: openai.OpenAI, wrong: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(**dict[str, Any]({"model": "small", "prompt": "a"}) | wrong)
    assert (caught.value.param, caught.value.code) == (param, "invalid_value")


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="expected one of the models small"):
        client.completions.create(model="other", prompt="a")
    assert [each.id for each in client.models.list()] == ["small"]


def write(client: openai.OpenAI, **fields: Any) -> openai.types.Completion:
    known = {"best_of", "n", "logit_bias", "presence_penalty", "frequency_penalty", "logprobs", "temperature"}
    own = {name: value for name, value in fields.items() if name in known}
    body = {name: value for name, value in fields.items() if name not in known}
    asked: dict[str, Any] = {"model": "small", "prompt": "the lane goes ", "max_tokens": 120, "seed": 4}
    return client.completions.create(**asked | own, extra_body=body)


def distinct(client: openai.OpenAI, **penalty: Any) -> int:
    """Returns the number of distinct characters, summed over samples at a high temperature."""
    made = write(client, n=8, temperature=2, **penalty)
    return sum(len(set(choice.text[:30])) for choice in made.choices)


def test_penalties_reduce_repetition(client: openai.OpenAI) -> None:
    plain = distinct(client)
    for penalty in ({"presence_penalty": 2}, {"frequency_penalty": 2}, {"repeat_penalty": 5}):
        assert distinct(client, **penalty) > plain
    assert distinct(client, presence_penalty=-2) < plain
    assert distinct(client, repeat_penalty=5, repeat_last_n=1) != distinct(client, repeat_penalty=5)
    assert distinct(client, repeat_penalty=5, repeat_last_n=0) == plain


def test_a_logit_bias_forbids_and_forces_symbols(client: openai.OpenAI, model: Path) -> None:
    the, a = (int(onward.load(model).vocabulary.encode(letter)[0]) for letter in "ta")
    made = write(client, logit_bias={str(the): -100})
    assert "t" not in made.choices[0].text
    assert set(write(client, logit_bias={str(a): 100}).choices[0].text) == {"a"}


def test_the_best_of_several_samples_is_returned(client: openai.OpenAI) -> None:
    def score(choice: Any) -> float:
        return float(np.mean(choice.logprobs.token_logprobs))

    samples = write(client, n=8, logprobs=0, temperature=1.5)
    best = sorted(samples.choices, key=score, reverse=True)
    found = write(client, n=2, best_of=8, temperature=1.5)
    assert [choice.text for choice in found.choices] == [choice.text for choice in best[:2]]
    assert [choice.index for choice in found.choices] == [0, 1]
    assert found.choices[0].logprobs is None
    assert found.usage == samples.usage


@pytest.mark.parametrize("learn", ["none", "memory", "weights", "both"])
def test_what_learns_from_the_prompt_is_chosen(client: openai.OpenAI, model: Path, learn: str) -> None:
    prompt = "no lane, no state: zoom!\n" * 4 + "no"
    session = onward.load(model).session(memory=16 if learn in ("memory", "both") else 0)
    if learn in ("weights", "both"):
        session.adapt()
    session.feed(prompt)
    asked: dict[str, Any] = {"model": "small", "prompt": prompt, "max_tokens": 30, "temperature": 0}
    made = client.completions.create(**asked, logprobs=1, extra_body={"learn": learn})
    assert made.choices[0].logprobs and made.choices[0].logprobs.token_logprobs
    ((_, probability),) = session.next_distribution().top(1)
    assert np.exp(made.choices[0].logprobs.token_logprobs[0]) == pytest.approx(probability, rel=1e-2)
    if learn in ("memory", "both"):
        assert made.choices[0].text.startswith(" lane, no state")
    asked.update(temperature=3, seed=2, n=3)
    together = client.completions.create(**asked, extra_body={"learn": learn})
    assert len({choice.text for choice in together.choices}) == 3


def test_an_echo_has_the_log_probabilities_of_what_learned(client: openai.OpenAI, model: Path) -> None:
    prompt = "no lane, no state\n" * 4
    made = client.completions.create(
        model="small", prompt=prompt, max_tokens=0, echo=True, logprobs=0, extra_body={"learn": "memory"}
    )
    assert made.choices[0].logprobs and made.choices[0].logprobs.token_logprobs
    nats = -sum(made.choices[0].logprobs.token_logprobs)
    assert nats == pytest.approx(onward.load(model).score(prompt, learn="memory").nats, rel=1e-2)
