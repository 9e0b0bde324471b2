import json
import os
import random
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from onward import artefact as module
from onward.artefact import FORMAT, Artefact, load, save
from onward.data.vocabulary import Vocabulary
from onward.errors import ArtefactError, WriteError
from onward.model import LanguageModel, ModelConfig

GOLDEN = Path(__file__).parent / "golden" / "format_1.onward"
Change = Callable[[dict], None]


def fill(model: LanguageModel) -> LanguageModel:
    """Weights that do not depend on a random generator: sixteenths, the same on every machine."""
    with torch.no_grad():
        for number, weight in enumerate(model.parameters()):
            weight.copy_((torch.arange(weight.numel()).view_as(weight) * 7 + number) % 33 / 16 - 1)
    return model


def small(layer: str = "gated", **config: object) -> Artefact:
    vocabulary = Vocabulary.of_text("ab\n\u4e2d\U0001f600", "characters")
    shape = ModelConfig(symbols=len(vocabulary), layer=layer, width=4, layers=1, **config)  # type: ignore[arg-type]
    return Artefact(
        fill(LanguageModel(shape)).eval(),
        vocabulary,
        {"name": "test", "rate": 0.1},
        {"steps": 3, "corpus": "\u00e9"},
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.onward"
    save(small(), path)
    return path


@pytest.mark.parametrize("config", [{}, {"tied": True}, {"feed_forward": 0.0}, {"dropout": 0.1}])
@pytest.mark.parametrize("layer", ["gated", "lstm", "gru", "simple"])
def test_what_is_loaded_is_what_was_saved(tmp_path: Path, layer: str, config: dict) -> None:
    saved = small(layer, **config)
    save(saved, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert (loaded.vocabulary, loaded.recipe, loaded.facts) == (saved.vocabulary, saved.recipe, saved.facts)
    assert loaded.model.config == saved.model.config
    assert not loaded.model.training
    weights = loaded.model.state_dict()
    assert list(weights) == list(saved.model.state_dict())
    assert all(torch.equal(weight, weights[name]) for name, weight in saved.model.state_dict().items())
    assert all(weight.requires_grad for weight in loaded.model.parameters())
    ids = torch.tensor([[2], [4], [5]])
    state = saved.model.initial_state(1)
    assert torch.equal(loaded.model(ids, state)[0], saved.model(ids, state)[0])
    if saved.model.config.tied:
        assert loaded.model.readout.weight is loaded.model.embedding.weight


def test_the_same_artefact_gives_the_same_bytes(file: Path, tmp_path: Path) -> None:
    other = small()
    reordered = Artefact(
        other.model,
        other.vocabulary,
        dict(reversed(other.recipe.items())),
        dict(reversed(other.facts.items())),
    )
    save(reordered, tmp_path / "other")
    assert (tmp_path / "other").read_bytes() == file.read_bytes()
    save(load(file), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_golden_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Format 1 is the bytes of this file. A change of them is a new format, which needs a new number."""
    monkeypatch.setattr(module, "version", lambda _: "0.1.0")
    save(small(), tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == GOLDEN.read_bytes()
    assert list(header_of(GOLDEN)) == sorted(header_of(GOLDEN))
    assert header_of(GOLDEN)["format"] == FORMAT == 1
    loaded = load(GOLDEN)
    assert loaded.vocabulary.symbols == ("\n", "a", "b", "\u4e2d", "\U0001f600")
    assert loaded.model.readout.bias.tolist() == small().model.readout.bias.tolist()


def test_a_full_disk_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="No space left"):
        save(small("lstm"), file)
    assert file.read_bytes() == before
    assert [*file.parent.iterdir()] == [file]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_both(file: Path, value: float) -> None:
    broken = small()
    with torch.no_grad():
        broken.model.readout.bias[0] = value
    with pytest.raises(ArtefactError, match=r"readout.bias of the model should hold finite numbers"):
        save(broken, file)
    weights = load_file(file) | {"readout.bias": broken.model.readout.bias.detach()}
    rewrite(file, weights=weights, change=lambda header: header.update(sha256=module.digest_of(weights)))
    with pytest.raises(ArtefactError, match=r"readout.bias of .* should hold finite numbers"):
        load(file)


def test_other_types_are_not_saved(tmp_path: Path) -> None:
    double = small()
    with pytest.raises(ArtefactError, match=r"float32, found torch\.float64"):
        save(Artefact(double.model.double(), double.vocabulary), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def header_of(path: Path) -> dict:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["onward"])


def rewrite(path: Path, change: Change | None = None, weights: dict | None = None) -> None:
    """The same file with another header or other weights."""
    header, weights = header_of(path), weights or load_file(path)
    if change:
        change(header)
    save_file(
        {name: weight.contiguous() for name, weight in weights.items()}, path, {"onward": json.dumps(header)}
    )


def config(**values: object) -> Change:
    return lambda header: header["config"].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.update(format=2), "has format 2, expected 1"),
        (lambda h: h.update(format=True), "has format True, expected 1"),
        (lambda h: h.update(format="1"), "has format 1, expected 1"),
        (lambda h: h.pop("format"), "has format None"),
        (lambda h: h.pop("facts"), "has not the fields"),
        (lambda h: h.update(more=1), "has not the fields"),
        (lambda h: h.update(facts=[]), "has not the fields"),
        (lambda h: h["config"].pop("width"), "configuration of"),
        (config(width=8), r"tensor \S+ of .* expected \(.*8.*\) in F32, found \("),
        (config(width=65536, inner=64.0), "does not fit: expected"),
        (config(inner=float("nan")), "inner must be a number"),
        (config(layers=2), "missing"),
        (config(layers=1024), "should have 1024 layers"),
        (config(layers=10**30), "layers must be a whole number"),
        (config(symbols=2**31), "expected .*2147483648"),
        (config(symbols=10), "does not fit: expected"),
        (config(layer="lstm"), "missing"),
        (config(tied=True), "not expected"),
        (lambda h: h.update(vocabulary=None), "vocabulary of"),
        (lambda h: h["vocabulary"]["symbols"].pop(), "vocabulary of 8 symbols and a model for 9"),
        (lambda h: h["vocabulary"].update(symbols=["a"] * 5), "distinct"),
        (lambda h: h["vocabulary"].update(kind="bytes", symbols=None), "vocabulary of 259 symbols"),
        (lambda h: h.update(sha256="0" * 64), "sha256 differs"),
        (lambda h: h.update(sha256=None), "sha256 differs"),
        (lambda h: h.update(recipe={"name": "other"}), "header of .* is not the one that was saved"),
        (lambda h: h["vocabulary"].update(lower=True), "header of .* is not the one that was saved"),
        (lambda h: h.update(header_sha256="0" * 64), "header of .* is not the one that was saved"),
    ],
)
def test_a_header_that_does_not_fit_is_told(file: Path, change: Change, message: str) -> None:
    rewrite(file, change)
    with pytest.raises(ArtefactError, match=message) as caught:
        load(file)
    assert str(file) in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert caught.value.hint


WITHOUT_TYPE_CHECKS = """
import sys
from onward.artefact import load
from onward.errors import ArtefactError
for path in sys.argv[1:]:
    try:
        load(path)
    except ArtefactError as error:
        print(error)
"""


def test_values_of_other_types_are_told(tmp_path: Path) -> None:
    """In a process of its own, without the checks of annotations that would find them first."""
    changes: dict[str, Change] = {
        "configuration of": lambda header: header.update(config=None),
        "width must be a whole number from 1 to 65536, got '4'": config(width="4"),
        "width must be a whole number from 1 to 65536, got True": config(width=True),
        "layer must be one of": config(layer="__import__('os')"),
        "inner * width must come to at least 1, got 0.001 * 4": config(inner=0.001),
        "width must be a whole number from 1 to 65536, got 'xxxx": config(width="x" * 10**6),
        "layer must be one of gated, lstm, gru, simple, got ['gated']": config(layer=["gated"]),
        "expected a kind of symbol": lambda header: header["vocabulary"].update(kind=["words"]),
    }
    paths = [tmp_path / str(number) for number in range(len(changes))]
    for path, change in zip(paths, changes.values(), strict=True):
        save(small(), path)
        rewrite(path, change)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TYPE_CHECKS, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for path, message, found in zip(paths, changes, done.stdout.splitlines(), strict=True):
        assert str(path) in found
        assert message in found
        assert len(found) < 1000


def test_a_later_format_asks_for_an_update(file: Path) -> None:
    rewrite(file, lambda header: header.update(format=2, surprise="new"))
    with pytest.raises(ArtefactError) as caught:
        load(file)
    assert caught.value.hint == "update onward"


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.zeros(9, dtype=torch.float16), r"readout.bias .*expected \(9,\) in F32, found \(9,\) in F16"),
        (torch.zeros(9, dtype=torch.int64), r"found \(9,\) in I64"),
        (torch.zeros(10), r"found \(10,\) in F32"),
        (torch.zeros(9, 1), r"found \(9, 1\) in F32"),
        (torch.zeros(0), r"found \(0,\) in F32"),
        (torch.zeros(9), "sha256 differs"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(file: Path, weight: torch.Tensor, message: str) -> None:
    rewrite(file, weights=load_file(file) | {"readout.bias": weight})
    with pytest.raises(ArtefactError, match=message):
        load(file)


def test_every_change_of_a_weight_is_noticed(file: Path) -> None:
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    for at in (8 + length, len(content) - 1, (8 + length + len(content)) // 2):
        changed = bytearray(content)
        changed[at] ^= 1
        file.write_bytes(changed)
        with pytest.raises(ArtefactError, match="sha256 differs"):
            load(file)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08",
        b"not a model at all, but a longer text",
        b"PK\x03\x04" + bytes(100),
        b"\x80\x04cposix\nsystem\n" + bytes(40),
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 1 << 25) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 4) + b"[[[[",
        struct.pack("<Q", 8) + b"\xff" * 8,
    ],
)
def test_foreign_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ArtefactError) as caught:
        load(tmp_path / "m")
    assert caught.value.hint


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", "/dev/null"):
        with pytest.raises(ArtefactError):
            load(path)


def test_safetensors_of_others_are_refused(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(3)}, tmp_path / "m", {"format": "pt"})
    with pytest.raises(ArtefactError, match="not written by onward"):
        load(tmp_path / "m")
    for metadata in ("", "[" * 100_000, "7", "null", '{"format": 1' + "0" * 5000 + "}"):
        save_file({"w": torch.zeros(3)}, tmp_path / "m", {"onward": metadata})
        with pytest.raises(ArtefactError):
            load(tmp_path / "m")


def test_a_model_stays_whole_when_its_file_is_cut(file: Path) -> None:
    loaded = load(file)
    os.truncate(file, 0)
    assert torch.isfinite(loaded.model.readout.weight).all()


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_a_model(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "m"
    path.write_bytes(content)
    with pytest.raises(ArtefactError):
        load(path)


def mutated(content: bytes, source: random.Random) -> bytes:
    """A file with something wrong in one to eight places."""
    changed = bytearray(content)
    (length,) = struct.unpack("<Q", content[:8])
    for _ in range(source.choice((1, 1, 1, 2, 8))):
        at = source.randrange(source.choice((8, 8 + length, len(content))))
        at = min(at, len(changed))
        match source.randrange(8):
            case 0:
                del changed[at:]
            case 1 if at < len(changed):
                changed[at] ^= 1 << source.randrange(8)
            case 2:
                changed[at : at + 4] = source.randbytes(4)
            case 3:
                changed[at:at] = source.randbytes(source.randrange(1, 20))
            case 4:
                del changed[at : at + source.randrange(1, 50)]
            case 5:
                changed[at:at] = changed[at : at + source.randrange(1, 200)]
            case 6:
                changed[:8] = struct.pack(
                    "<Q", source.choice((0, 1, length + 1, length - 1, 2**31, 2**63, 2**64 - 1))
                )
            case _:
                changed = with_other_number(changed, source)
    return bytes(changed)


def with_other_number(content: bytearray, source: random.Random) -> bytearray:
    """The file with one of the numbers in its header exchanged, and the length of the header set right."""
    (length,) = struct.unpack("<Q", bytes(content[:8]).ljust(8, b"\0"))
    header = bytes(content[8 : 8 + min(length, len(content))])
    places = [
        i for i in range(len(header)) if header[i : i + 1].isdigit() and not header[i - 1 : i].isdigit()
    ]
    if not places:
        return content
    at = source.choice(places)
    end = at
    while header[end : end + 1].isdigit():
        end += 1
    number = source.choice(
        (b"0", b"1", b"7", b"4096", b"65536", b"1e9", b"2147483647", b"99999999999999999999", b"-1")
    )
    other = header[:at] + number + header[end:]
    return bytearray(struct.pack("<Q", len(other)) + other + bytes(content[8 + len(header) :]))


FUZZ = """
import random, resource, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_artefact import fuzz
fuzz(Path({path!r}), {count})
"""


def fuzz(path: Path, count: int) -> None:
    """Loads mutations of a file: each is refused, or says the same; memory stays where it is."""
    content, source = path.read_bytes(), random.Random(0)
    target = path.with_suffix(".mutated")
    wanted = load(path)
    resource.setrlimit(resource.RLIMIT_AS, (resource_now() + (1 << 30), resource.RLIM_INFINITY))
    peak = 0
    for number in range(count):
        target.write_bytes(mutated(content, source))
        try:
            loaded = load(target)
        except ArtefactError as error:
            if len(str(error)) > 2000:
                raise SystemExit(f"a message of {len(str(error))} characters") from error
        else:  # what was changed is a name of the format or white space
            weights = [module.digest_of(module.weights_of(a.model)) for a in (loaded, wanted)]
            assert weights[0] == weights[1]
            facts = [(a.model.config, a.vocabulary, a.recipe, a.facts) for a in (loaded, wanted)]
            assert facts[0] == facts[1]
        if number == 20:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert grown < 50_000, f"memory grew by {grown} kB"


def resource_now() -> int:
    """Bytes of address space in use."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")
@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_files(file: Path, count: int) -> None:
    program = FUZZ.format(tests=str(Path(__file__).parent), path=str(file), count=count)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by the address space")
def test_a_config_of_terabytes_takes_no_memory(file: Path) -> None:
    rewrite(file, config(width=65_536, inner=64.0, symbols=2**31))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArtefactError):
        load(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_digest_tells_names_types_and_shapes_apart() -> None:
    ones = torch.ones(4)
    digests = {
        module.digest_of(weights)
        for weights in (
            {"a": ones},
            {"b": ones},
            {"a": ones.view(2, 2)},
            {"a": torch.from_numpy(ones.numpy().view(np.int32))},
            {"a": ones, "b": ones},
        )
    }
    assert len(digests) == 5
