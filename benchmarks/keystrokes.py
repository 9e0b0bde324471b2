"""What share of the keystrokes does completion save, beside words by frequency and character n-grams?

    python benchmarks/keystrokes.py CORPUS FOLDER [--minutes 3] [--characters 15000]

CORPUS is nietzsche, tinyshakespeare or python. FOLDER gets the training text (CORPUS.train.txt), the text to
be typed (CORPUS.heldout.txt) and, unless it is there, the model: `onward train` with the default recipe for
so many minutes. The last tenth of nietzsche and of tinyshakespeare is held out. Of the standard library of
the Python that runs (tests and installed packages left out) each tenth file is held out, in the order of the
hashes of their names, and of each of those the first 3,000 characters are typed; what a copy of a training
file would give is not excluded, but no file is in both.

The simulated user types the held-out text from its first character, and after each keystroke (and before the
first) looks at what is offered.

    ghost    one continuation is shown. It is right if the text goes on with it. The user then accepts it with
             one key, which enters all of it.
    list     three continuations are shown, and the user accepts with one key the longest that is right.

A continuation of one character is never accepted: typing it costs the same key. A right continuation must
also end where the word ends in the text, so that "the" is not right where "there" follows; the space or mark
after it is typed by the user. Each accepted continuation is one keystroke, so is each character typed; the
share saved is 1 - keystrokes / characters. Each completer sees all of the text before, and nothing else.
A model that adapts learns from the text that was entered, in blocks, after it was entered.

The baselines learn from the same training text. Of the n-grams, orders 3 to 8, the best for each kind of
user is the baseline, chosen on the held-out text itself, which favours it.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from baselines import CharacterNgram, WordFrequency
from onward.data.named import find_named
from onward.inference.trained import TrainedModel
from record import record

ORDERS = range(3, 9)
FROM_EACH_FILE = 3000
SHOWN = {"ghost": 1, "list": 3}
Offers = Callable[[str, int], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", choices=["nietzsche", "tinyshakespeare", "python"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--characters", type=int, default=15_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train, held_out = prepared(arguments.corpus, arguments.folder)
    model = arguments.folder / f"{arguments.corpus}.onward"
    if not model.exists():
        budget = ["--minutes", str(arguments.minutes)]
        subprocess.run([sys.executable, "-m", "onward", "train", train, "-o", model, *budget], check=True)
    text = held_out.read_text(encoding="utf-8")[: arguments.characters]
    trained, learned = TrainedModel.load(model), train.read_text(encoding="utf-8")
    saved: dict[str, dict[str, float]] = {}
    for kind, shown in SHOWN.items():
        frequent, grams = WordFrequency(learned), {}
        for order in ORDERS:
            grams[order] = share_saved(text, CharacterNgram(learned, order).offers, shown)
        best = max(grams, key=lambda order: grams[order])
        saved[kind] = {
            "model": share_saved(text, typist(trained, adapt=False), shown),
            "model_adapting": share_saved(text, typist(trained, adapt=True), shown),
            "word_frequency": share_saved(text, frequent.offers, shown),
            "ngram": grams[best],
            "ngram_order": best,
        }
        print(kind, saved[kind], file=sys.stderr)
    record(
        "keystrokes",
        {
            "corpus": arguments.corpus,
            "characters": len(text),
            "training_characters": len(learned),
            "minutes": trained.artefact.facts.get("minutes", arguments.minutes),
            **{kind: {name: round(share, 4) for name, share in each.items()} for kind, each in saved.items()},
        },
    )


def prepared(corpus: str, folder: Path) -> tuple[Path, Path]:
    """The training text and the held-out text, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    train, held_out = folder / f"{corpus}.train.txt", folder / f"{corpus}.heldout.txt"
    if corpus == "python":
        first, rest = library()
    else:
        path = find_named(corpus)
        if path is None:
            raise SystemExit(f"{corpus} is not at hand: name its folder in ONWARD_DATA")
        whole = path.read_text(encoding="utf-8", errors="replace")
        first, rest = whole[: len(whole) * 9 // 10], whole[len(whole) * 9 // 10 :]
    train.write_text(first, encoding="utf-8")
    held_out.write_text(rest, encoding="utf-8")
    return train, held_out


def library() -> tuple[str, str]:
    """The standard library: the files to train on, and the beginnings of those held out."""
    root = Path(sysconfig.get_path("stdlib"))
    left_out = {
        "site-packages",
        "test",
        "tests",
        "idlelib",
        "lib2to3",
        "__pycache__",
        "pydoc_data",
        "encodings",
    }
    files = [path for path in root.rglob("*.py") if not left_out & set(path.relative_to(root).parts)]
    files.sort(key=lambda path: hashlib.sha256(str(path.relative_to(root)).encode()).digest())
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files]
    held_out = [text[:FROM_EACH_FILE] for text in texts[::10]]
    return "".join(text for i, text in enumerate(texts) if i % 10), "".join(held_out)


def typist(trained: TrainedModel, *, adapt: bool) -> Offers:
    """The offers of a session that follows the text."""
    session: Any = trained.session(reach=0)
    if adapt:
        session.adapt()
    read = 0

    def offers(typed: str, count: int) -> list[str]:
        nonlocal read
        session.feed(typed[read:])
        read = len(typed)
        return [one.text for one in session.complete(n=count)]

    return offers


def share_saved(text: str, offers: Offers, shown: int) -> float:
    """The share of keystrokes that a simulated user saves."""
    at = keys = 0
    while at < len(text):
        right = [offer for offer in offers(text[:at], shown) if is_right(text, at, offer)]
        at += max(map(len, right), default=1)
        keys += 1
    return 1 - keys / len(text)


def is_right(text: str, at: int, offer: str) -> bool:
    """Whether the text goes on with the offer, of two characters or more, and the word ends with it."""
    end = at + len(offer)
    return len(offer) > 1 and text.startswith(offer, at) and not re.match(r"\w", text[end : end + 1])


if __name__ == "__main__":
    main()
