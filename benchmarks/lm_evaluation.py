"""Does lm-evaluation-harness compute the model's own results through `onward serve`?

    python benchmarks/lm_evaluation.py MODEL TEXT --lm-eval ENVIRONMENT/bin/lm_eval

MODEL is a model of characters, TEXT a file that it was not trained on. ENVIRONMENT has `lm-eval[api]` and
`transformers` (the harness needs a tokenizer to count symbols; this program makes one). The harness's
`local-completions` requests likelihoods of four possible next words, likelihoods of whole passages, and texts
written to the end of a line. Each result is compared with that of the model in this process.
"""

import json
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onward
from onward.data.vocabulary import SPECIAL, Vocabulary
from record import command_line, record
from serve_load import start

CONTEXT, PASSAGE, WRITTEN = 80, 400, 60
TASKS: dict[str, dict[str, Any]] = {
    "next_word": {
        "output_type": "multiple_choice",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{right}}",
        "metric_list": [{"metric": "acc_norm"}],
    },
    "passages": {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{context}}",
        "metric_list": [{"metric": "bits_per_byte"}],
    },
    "written": {
        "output_type": "generate_until",
        "doc_to_target": "{{goes_on}}",
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": WRITTEN, "temperature": 0},
        "metric_list": [{"metric": "exact_match"}],
    },
}


def main() -> None:
    parser = command_line(__doc__, "model", "text")
    parser.add_argument("--lm-eval", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=50)
    arguments = parser.parse_args()
    trained = onward.load(arguments.model)
    text = arguments.text.read_text(encoding="utf-8")
    server = start(arguments.model)
    try:
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), trained.vocabulary, text, arguments.documents)
            address = f"http://{server.host}:{server.port}/v1/completions"
            evaluate(arguments.lm_eval, Path(folder), address, arguments.model.stem)
            figures = compare(Path(folder), trained)
    finally:
        server.process.terminate()
    record("lm_evaluation", figures, packages=version(arguments.lm_eval))


def prepare(folder: Path, vocabulary: Vocabulary, text: str, count: int) -> None:
    """Writes the tasks, their documents, and a tokenizer with the model's ids."""
    for name, task in TASKS.items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in documents(text, name, count)))
        data = {"data_files": {"test": str(path)}}
        place = {"task": name, "dataset_path": "json", "dataset_kwargs": data, "test_split": "test"}
        (folder / f"{name}.yaml").write_text(json.dumps(place | {"doc_to_text": "{{context}}"} | task))
    ids = {
        vocabulary.symbol(i) if i < len(SPECIAL) else vocabulary.decode([i]): i
        for i in range(len(vocabulary))
    }
    split = {"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": False}
    tokenizer = {
        "version": "1.0", "added_tokens": [], "pre_tokenizer": split, "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": ids, "unk_token": SPECIAL[1]},
    }  # fmt: skip
    names = {"unk_token": SPECIAL[1], "bos_token": SPECIAL[2], "eos_token": SPECIAL[3]}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = {"tokenizer_class": "PreTrainedTokenizerFast"} | names
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def documents(text: str, task: str, count: int) -> Iterator[dict[str, Any]]:
    """Returns the documents of a task, from random positions of the text."""
    chance = random.Random(task)
    for _ in range(count):
        if task == "passages":
            at = chance.randrange(len(text) - PASSAGE)
            yield {"context": text[at : at + PASSAGE]}
            continue
        found = [word_at(text, chance) for _ in range(4)]
        choices, right = [word for _, word in found], chance.randrange(4)
        choices[0], choices[right] = choices[right], choices[0]
        yield {"context": found[0][0], "choices": choices, "right": right, "goes_on": found[0][1]}


def word_at(text: str, chance: random.Random) -> tuple[str, str]:
    """Returns the text before a random space, and the word after it with that space."""
    at = text.index(" ", chance.randrange(CONTEXT, len(text) - 10 * CONTEXT))
    return text[at - CONTEXT : at], " " + text[at : at + CONTEXT].split(maxsplit=1)[0]


def evaluate(harness: Path, folder: Path, address: str, model: str) -> None:
    settings = {"model": model, "base_url": address, "tokenizer": folder, "tokenizer_backend": "huggingface"}
    command = [
        harness, "run", "--model", "local-completions", "--batch_size", "8", "--log_samples",
        "--model_args", ",".join(f"{name}={value}" for name, value in settings.items()),
        "--tasks", ",".join(TASKS), "--include_path", folder, "--output_path", folder / "out",
    ]  # fmt: skip
    alone = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "cache")}
    subprocess.run([str(part) for part in command], check=True, env=os.environ | alone)


def compare(folder: Path, trained: onward.TrainedModel) -> dict[str, Any]:
    """Returns the harness's figures, and their distance from the model's own figures."""
    (results,) = folder.glob("out/**/results_*.json")
    figures = json.loads(results.read_text())["results"]
    furthest, likelihoods, texts, same = 0.0, 0, 0, 0
    for path in folder.glob("out/**/samples_*.jsonl"):
        for sample in map(json.loads, path.read_text().splitlines()):
            asked = [list(each.values()) for each in sample["arguments"].values()]
            for given, (answer, *_) in zip(asked, sample["resps"], strict=True):
                if "written" in path.name:
                    texts += 1
                    same += answer == trained.write(given[0], length=WRITTEN, temperature=0, stop="\n")
                else:
                    likelihoods += 1
                    value = float(answer[0] if isinstance(answer, list) else answer)
                    furthest = max(furthest, abs(value - likelihood(trained, *given)))
    return {
        "likelihoods": likelihoods,
        "furthest_from_the_model_nats": round(furthest, 6),
        "texts": texts,
        "texts_as_the_model_writes_them": same,
        "right_of_four": round(figures["next_word"]["acc_norm,none"], 3),
        "bits_per_byte": round(figures["passages"]["bits_per_byte,none"], 3),
    }


def likelihood(trained: onward.TrainedModel, context: str, rest: str | None = None) -> float:
    """Returns the log-likelihood of a text, or of its rest."""
    if rest is None:
        return -trained.score(context).nats
    return trained.score(context).nats - trained.score(context + rest).nats


def version(harness: Path) -> dict[str, str]:
    """Returns the harness's version."""
    code = "import importlib.metadata as m; print(m.version('lm_eval'))"
    ran = subprocess.run(
        [harness.with_name("python"), "-c", code], capture_output=True, text=True, check=True
    )
    return {"lm_eval": ran.stdout.strip()}


if __name__ == "__main__":
    main()
