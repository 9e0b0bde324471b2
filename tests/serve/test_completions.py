"""Completions, as the clients of others ask for them."""

import threading

import numpy as np
import openai
import pytest

import onward


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_the_text_is_that_of_onward_write(client, model) -> None:
    made = client.completions.create(model="small", prompt="the ", max_tokens=40, seed=7, n=2)
    texts = [choice.text for choice in made.choices]
    assert texts == onward.load(model).samples("the ", 2, length=40, seed=7)
    assert made.usage.prompt_tokens == 4
    assert made.usage.completion_tokens == sum(map(len, texts))


def test_a_stream_has_the_same_text(client) -> None:
    asked = {"model": "small", "prompt": ["the ", "and "], "max_tokens": 300, "seed": 3}
    whole = client.completions.create(**asked)
    texts, reasons = ["", ""], [None, None]
    for event in client.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        for choice in event.choices:
            texts[choice.index] += choice.text
            reasons[choice.index] = choice.finish_reason
        usage = event.usage
    assert texts == [choice.text for choice in whole.choices]
    assert reasons == ["length", "length"]
    assert usage == whole.usage


def test_a_text_is_the_same_whatever_its_neighbours(client) -> None:
    def write(seed: int) -> str:
        asked = {"model": "small", "prompt": "the lane " * (seed % 3), "max_tokens": 150 + 10 * seed}
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


def test_log_probabilities_of_a_prompt_are_its_surprises(client, model) -> None:
    trained, text = onward.load(model), "the lane goes"
    (choice,) = client.completions.create(
        model="small", prompt=text, max_tokens=0, echo=True, logprobs=2
    ).choices
    nats = [score.nats for score in trained.score_symbols(text)]
    np.testing.assert_allclose(choice.logprobs.token_logprobs, -np.array(nats), rtol=1e-4, atol=1e-5)
    assert (choice.text, "".join(choice.logprobs.tokens)) == (text, text)
    assert choice.logprobs.text_offset == [*range(len(text))]
    assert all(len(top) == 2 for top in choice.logprobs.top_logprobs)


def test_what_lm_evaluation_harness_sends(server, model) -> None:
    # the payload of its local-completions for a log-likelihood, and what it reads of the answer
    ids = onward.load(model).vocabulary.encode("the lane goes").tolist()
    payload = {"model": "small", "prompt": [ids, ids[:9]], "temperature": 0, "max_tokens": 1}
    answer = server.client.post("/v1/completions", json=payload | {"logprobs": 1, "seed": 1234, "echo": True})
    for choice, length in zip(answer.json()["choices"], (13, 9), strict=True):
        logprobs = choice["logprobs"]
        values, tops = logprobs["token_logprobs"][4:-1], logprobs["top_logprobs"][4:-1]
        assert len(values) == len(tops) == length - 4
        assert all(value <= max(top.values()) for value, top in zip(values, tops, strict=True))


def test_a_stop_string_ends_a_text_and_is_no_part_of_it(client) -> None:
    asked = {"model": "small", "prompt": "the", "max_tokens": 200, "seed": 1}
    whole = client.completions.create(**asked).choices[0].text
    stop = whole[40:43]
    (choice,) = client.completions.create(**asked, stop=[stop], logprobs=0).choices
    assert choice.text == whole[: whole.index(stop)]
    assert choice.finish_reason == "stop"
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
        ({"suffix": "x"}, "suffix"),
    ],
)
def test_what_is_wrong_is_named_as_openai_names_it(client, wrong, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(**{"model": "small", "prompt": "a"} | wrong)
    assert (caught.value.param, caught.value.code) == (param, "invalid_value")


def test_a_model_that_is_not_there_is_not_found(client) -> None:
    with pytest.raises(openai.NotFoundError, match="expected one of the models small"):
        client.completions.create(model="other", prompt="a")
    assert [each.id for each in client.models.list()] == ["small"]
