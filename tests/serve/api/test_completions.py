"""Completions, as the clients of others ask for them."""

import re
import threading
from operator import itemgetter

import numpy as np
import openai
import pytest

import onward
from onward.data.vocabulary import BEGIN


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


def judged(answer: dict, contexts: list[int]) -> list[tuple[float, bool]]:
    """What lm-evaluation-harness (0.4.13, `LocalCompletionsAPI.parse_logprobs`) reads of an answer: the
    log-likelihood of what follows so many symbols of context, and whether it is the likeliest."""
    read = []
    for choice, context in zip(sorted(answer["choices"], key=itemgetter("index")), contexts, strict=True):
        logprobs = choice["logprobs"]["token_logprobs"][context:-1]
        top = choice["logprobs"]["top_logprobs"][context:-1]
        greedy = all(one == max(others.values()) for one, others in zip(logprobs, top, strict=True))
        read.append((sum(logprobs), greedy))
    return read


LIKELIHOOD = {"model": "small", "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": True}
"""What its `local-completions` sends for a log-likelihood, but for the prompts."""


@pytest.mark.parametrize("as_ids", [True, False])
def test_lm_evaluation_harness_reads_the_likelihood_that_the_model_gives(server, model, as_ids: bool) -> None:
    trained = onward.load(model)
    pairs = [("the lane goes", " on"), ("the state", " is.\n"), ("where", " zebra"), ("t", "h")]
    encoded = [trained.vocabulary.encode("".join(pair)).tolist() for pair in pairs]
    prompts = encoded if as_ids else ["".join(pair) for pair in pairs]
    answer = server.client.post("/v1/completions", json=LIKELIHOOD | {"prompt": prompts}).json()
    found = judged(answer, [len(context) for context, _ in pairs])
    for (context, rest), (likelihood, _) in zip(pairs, found, strict=True):
        assert likelihood == pytest.approx(
            trained.score(context).nats - trained.score(context + rest).nats, rel=1e-4, abs=1e-4
        )
    assert [greedy for _, greedy in found] == [True, True, False, True]
    alone = LIKELIHOOD | {"prompt": prompts[1] if not as_ids else prompts[1:2]}
    assert judged(server.client.post("/v1/completions", json=alone).json(), [len(pairs[1][0])]) == [
        (pytest.approx(found[1][0], rel=1e-5), True)
    ]


def test_a_prompt_of_ids_may_begin_with_begin(server, model) -> None:
    # the harness puts it before a whole text whose likelihood it asks for
    trained, text = onward.load(model), "the lane goes on"
    prompt = [[BEGIN, *trained.vocabulary.encode(text).tolist()]]
    answer = server.client.post("/v1/completions", json=LIKELIHOOD | {"prompt": prompt}).json()
    ((likelihood, _),) = judged(answer, [1])
    assert likelihood == pytest.approx(-trained.score(text).nats, rel=1e-4)
    assert answer["choices"][0]["logprobs"]["tokens"][:2] == ["<begin>", "t"]


def test_lm_evaluation_harness_has_texts_written_until_what_it_names(server, model) -> None:
    trained = onward.load(model)
    primes = ["the lane goes", "the state goes on"]
    payload = {"model": "small", "max_tokens": 60, "temperature": 0, "seed": 1234}
    payload |= {"prompt": [trained.vocabulary.encode(prime).tolist() for prime in primes]}
    answer = server.client.post("/v1/completions", json=payload | {"stop": ["\n", ",", "<end>"]}).json()
    texts = [choice["text"] for choice in sorted(answer["choices"], key=itemgetter("index"))]
    whole = [trained.write(prime, length=60, temperature=0) for prime in primes]
    assert texts == [re.split("[\n,]", text)[0] for text in whole]
    assert [choice["finish_reason"] for choice in answer["choices"]] == ["stop", "stop"]


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
