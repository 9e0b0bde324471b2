"""What share of keystrokes does completion save, compared with frequent words and character n-grams?

    python benchmarks/keystrokes.py CORPUS FOLDER [--minutes 3 | --steps N] [--set NAME=VALUE]
        [--characters 15000] [--judged tail]

CORPUS is nietzsche, tinyshakespeare, python or packages. FOLDER gets the training text (CORPUS.train.txt),
the text to type (CORPUS.heldout.txt) and, unless it is there, the model (CORPUS.onward), trained with the
default recipe on the whole training text (validation=0), with the given settings and minutes. The last tenth
of nietzsche and of tinyshakespeare is held out. For python, the corpus is some packages of the standard
library (see LIBRARY, without tests); for packages, it is some packages from PyPI that the base model `python`
has not read (see PACKAGES). Every tenth file, in the order of the hashes of their names, is held out, and the
first 1,500 characters of each are typed; CORPUS.files.txt lists them.

The simulated user types the held-out text. Before each key, the user looks at the completions.

    ghost    One completion is shown. If the text continues with it, the user accepts it with one key.
    list     Three completions are shown. The user accepts the longest right one with one key.

A completion of one character is not shown, because typing it takes one key too. A right completion must also
end where the word ends in the text, so "the" is wrong if the text has "there". The user types the space or
mark after it. Every accepted completion and every typed character is a keystroke; the saved share is 1 -
keystrokes / characters. Each completer sees the text so far and nothing else.

The model finds the likeliest words of two characters or more (`until="word"`, `shortest=2`): without a
memory (network), with the default memory (model), with that and adapted weights (model_adapting), and with a
memory that starts with the training text (model_remembering, as after `onward train --remember`). The
n-grams of orders 3 to 8 learn from the same training text and use the same search. ngram_learning also counts
each typed symbol before the next key. These baselines are the best order for each kind of user, chosen on the
typed text, which favours them. The last baseline completes the current word by frequent words.

The base model `python` has read the standard library, so the corpus python is learned with `--base none`.
`--steps` trains for as many steps as another machine made in its minutes.

With `--judged tail`, the typed text is the end of the training text, which `onward train` holds out by
default and the baselines then do not learn either. Settings were chosen with this option. It records nothing.
"""

import hashlib
import platform
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from baselines import CharacterNgram, Grams, WordFrequency, ends_word, ngrams_of
from onward.data.named import find_named
from onward.inference.completion.options import CompleteOptions
from onward.inference.trained_model import TrainedModel
from onward.memory.layout import MEGABYTES
from onward.memory.remembered import MOST_REMEMBERED
from record import command_line, record

ORDERS, LEARNING_ORDERS = range(3, 9), range(5, 9)  # of n-grams; the best is 7 or 8
LIBRARY = (
    "asyncio", "collections", "concurrent", "email", "html", "http", "importlib", "json", "logging",
    "multiprocessing", "unittest", "urllib", "xml",
)  # fmt: skip
PACKAGES = ("attrs==25.4.0", "black==25.11.0", "httpx==0.28.1", "tqdm==4.67.1")
FROM_EACH_FILE = 1500
SHOWN = {"ghost": 1, "list": 3}
SHORTEST = 2  # characters of the shortest completion that saves a key
MOST_SHOWN = max(SHOWN.values())
OPTIONS = CompleteOptions(n=MOST_SHOWN, shortest=SHORTEST)
TAIL = 0.05  # of the training text; what `onward train` holds out
Offers = Callable[[str, int], list[str]]
Shares = dict[str, float]


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("corpus", choices=["nietzsche", "tinyshakespeare", "python", "packages"])
    parser.add_argument("folder", type=Path)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=3.0)
    length.add_argument("--steps", type=int)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--characters", type=int, default=15_000)
    parser.add_argument("--judged", choices=["heldout", "tail"], default="heldout")
    arguments = parser.parse_args()
    train, held_out = prepared(arguments.corpus, arguments.folder)
    path = arguments.folder / f"{arguments.corpus}.onward"
    if not path.exists():
        settings = ["base=none"] * (arguments.corpus == "python") + arguments.set
        settings += ["validation=0"] * (arguments.judged == "heldout")
        length = ("--steps", arguments.steps) if arguments.steps else ("--minutes", arguments.minutes)
        options = [*map(str, length), *(part for each in settings for part in ("--set", each))]
        subprocess.run([sys.executable, "-m", "onward", "train", train, "-o", path, *options], check=True)
    learned, text = train.read_text(encoding="utf-8"), held_out.read_text(encoding="utf-8")
    if arguments.judged == "tail":
        cut = len(learned) - int(len(learned) * TAIL)
        learned, text = learned[:cut], learned[cut:]
    text = text[: arguments.characters]
    started = time.monotonic()
    with ProcessPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        parts = [
            pool.submit(of_learning_ngrams, path, learned, text),
            pool.submit(of_model, path, learned, text),
            pool.submit(of_baselines, path, learned, text),
        ]
        saved: dict[str, Shares] = {name: shares for part in parts for name, shares in part.result().items()}
    artefact = TrainedModel.load(path).artefact
    figures = {
        "corpus": arguments.corpus,
        "characters": len(text),
        "training_characters": len(learned),
        "dropout": artefact.recipe["dropout"],
        "steps": artefact.facts["steps"],
        "symbols_trained": artefact.facts["symbols"],
        "seconds": round(time.monotonic() - started, 1),
        **{kind: compared(saved, kind) for kind in SHOWN},
    }
    if arguments.corpus in CODE:
        figures["texts"] = f"{platform.python_version()}, {digest(train)} {digest(held_out)}"
    if arguments.judged == "heldout":
        record("keystrokes", figures)
    else:
        print(figures)


def prepared(corpus: str, folder: Path) -> tuple[Path, Path]:
    """Returns the files of the training text and of the held-out text."""
    folder.mkdir(parents=True, exist_ok=True)
    train, held_out = folder / f"{corpus}.train.txt", folder / f"{corpus}.heldout.txt"
    if corpus in CODE:
        root, names = CODE[corpus](folder)
        first, rest = files_of_code(root, names, folder / f"{corpus}.files.txt")
    else:
        path = find_named(corpus)
        if path is None:
            raise SystemExit(f"{corpus} was not found: set ONWARD_DATA to its folder")
        whole = path.read_text(encoding="utf-8", errors="replace")
        first, rest = whole[: len(whole) * 9 // 10], whole[len(whole) * 9 // 10 :]
    train.write_text(first, encoding="utf-8")
    held_out.write_text(rest, encoding="utf-8")
    return train, held_out


def library(_folder: Path) -> tuple[Path, tuple[str, ...]]:
    """Returns the folder of the standard library, and the names of its packages to use."""
    return Path(sysconfig.get_path("stdlib")), LIBRARY


def packages(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """Installs packages into a folder of their own, and returns it with their names."""
    target = folder / "site-packages"
    if not target.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target]
        subprocess.run([*pip, *PACKAGES], check=True)
    return target, ("attr", "attrs", "black", "blib2to3", "httpx", "tqdm")


CODE: dict[str, Callable[[Path], tuple[Path, tuple[str, ...]]]] = {"python": library, "packages": packages}


def files_of_code(root: Path, names: Sequence[str], listed: Path) -> tuple[str, str]:
    """Returns the training files of packages, and the starts of the held-out files.

    Args:
        root: the folder of the packages.
        names: their names.
        listed: gets the paths of the files.
    """
    files = [path.relative_to(root) for name in names for path in (root / name).rglob("*.py")]
    files = [path for path in files if not {"test", "tests"} & set(path.parts)]
    files.sort(key=lambda path: hashlib.sha256(path.as_posix().encode()).digest())
    texts = [(root / path).read_text(encoding="utf-8", errors="replace") for path in files]
    kinds = ("train" if i % 10 else "held out" for i in range(len(files)))
    listed.write_text("".join(f"{kind}\t{path}\n" for kind, path in zip(kinds, files, strict=True)))
    held_out = [text[:FROM_EACH_FILE] for text in texts[::10] if len(text) >= FROM_EACH_FILE]
    return "".join(text for i, text in enumerate(texts) if i % 10), "".join(held_out)


def digest(path: Path) -> str:
    """Returns the first digits of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def of_model(path: Path, learned: str, text: str) -> dict[str, Shares]:
    """Returns the shares that the model saves without a memory, with each kind of memory, and adapting."""
    trained = TrainedModel.load(path)
    end = trained.vocabulary.encode(learned)[-MOST_REMEMBERED:]
    remembering = TrainedModel(replace(trained.artefact, remembered=end))
    return {
        "network": shares_saved(text, typist(trained, adapt=False, memory=0)),
        "model": shares_saved(text, typist(trained, adapt=False)),
        "model_adapting": shares_saved(text, typist(trained, adapt=True)),
        "model_remembering": shares_saved(text, typist(remembering, adapt=False)),
    }


def of_baselines(path: Path, learned: str, text: str) -> dict[str, Shares]:
    """Returns the shares that frequent words and n-grams of the training text save."""
    vocabulary = TrainedModel.load(path).vocabulary
    grams = Grams(ngrams_of(vocabulary.encode(learned), len(vocabulary), max(ORDERS)))
    saved = {"word_frequency": shares_saved(text, WordFrequency(learned).offers)}
    for order in ORDERS:
        saved[f"ngram {order}"] = shares_saved(text, CharacterNgram(grams, vocabulary, order, OPTIONS).offers)
    return saved


def of_learning_ngrams(path: Path, learned: str, text: str) -> dict[str, Shares]:
    """Returns the shares that n-grams save which learn from the typed text too."""
    vocabulary = TrainedModel.load(path).vocabulary
    model = ngrams_of(vocabulary.encode(learned), len(vocabulary), max(LEARNING_ORDERS))
    saved = {}
    for order in LEARNING_ORDERS:
        ngram = CharacterNgram(Grams(model), vocabulary, order, OPTIONS, learns=True)
        saved[f"ngram_learning {order}"] = shares_saved(text, ngram.offers)
    return saved


def compared(saved: dict[str, Shares], kind: str) -> dict[str, Any]:
    """Returns the shares saved for one kind of user, with the best n-gram of each kind."""
    shares = {name: round(each[kind], 4) for name, each in saved.items()}
    found: dict[str, Any] = {name: share for name, share in shares.items() if " " not in name}
    for family in ("ngram", "ngram_learning"):
        orders = {
            int(name.split()[1]): share for name, share in shares.items() if name.startswith(f"{family} ")
        }
        best = max(orders, key=lambda order: orders[order])
        found |= {family: orders[best], f"{family}_order": best}
    return found


def typist(trained: TrainedModel, *, adapt: bool, memory: float | int = MEGABYTES) -> Offers:
    """Returns the completions of a session that follows the text."""
    session = trained.session(reach=0, memory=memory)
    if adapt:
        session.adapt()
    read = 0

    def offers(typed: str, count: int) -> list[str]:
        nonlocal read
        session.feed(typed[read:])
        read = len(typed)
        return [one.text for one in session.complete(n=count, shortest=SHORTEST)]

    return offers


def shares_saved(text: str, offers: Offers) -> Shares:
    """Returns the share of keystrokes that each kind of simulated user saves.

    The completions at a position are found once for all users that reach it, as many as the longest list has.
    """
    at, keys = dict.fromkeys(SHOWN, 0), dict.fromkeys(SHOWN, 0)
    while (here := min(at.values())) < len(text):
        found = offers(text[:here], MOST_SHOWN)
        right = [is_right(text, here, offer) for offer in found]
        for kind, shown in SHOWN.items():
            if at[kind] == here:
                taken = [len(offer) for offer, is_it in zip(found[:shown], right, strict=False) if is_it]
                at[kind] += max(taken, default=1)
                keys[kind] += 1
    return {kind: 1 - number / len(text) for kind, number in keys.items()}


def is_right(text: str, at: int, offer: str) -> bool:
    """Returns whether a completion has two characters or more, is right, and ends a word."""
    return len(offer) >= SHORTEST and text.startswith(offer, at) and ends_word(text, at + len(offer))


if __name__ == "__main__":
    main()
