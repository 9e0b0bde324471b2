"""Changes to safetensors files of onward, as damage or a hostile author would make them."""

import copy
import hashlib
import json
import math
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

NASTY: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 64, 4096, 65_535, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 10**30,
    10**400, 0.0, -0.0, 0.5, 1.5, 1e-320, 1e-30, 1e30, 1e300, -1e300, math.nan, math.inf, -math.inf, "", "a",
    "\x1b]0;title\x07", "\u202egnp", "\ud800", "\0", "x" * 5000, "(a+)+$", "../../etc/passwd", [], [[]], {},
    [None], [0], [1e308, -1e308], [math.nan], [*range(300)], {"": 0}, {"a": {"b": [1, {"c": None}]}},
    [[0, 1], [2, 3]], [[[0], [1]]], [[[], []]] * 50, ["a", "a"], ["\x1b[2J"],
    {"values": [0.0], "scale": 1e-320},
)  # fmt: skip
"""Values that replace others in a header."""

_NUMBERS = (math.nan, math.inf, -math.inf, 3e38, -3e38, 1e30, 1e19, 1e-42, 0.0, -1.0)
_TYPES = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}
_TYPE_NAMES = {np.dtype(code): name for name, code in _TYPES.items()}


class Content(NamedTuple):
    """A safetensors file: the JSON object of onward in its header, and its tensors by name."""

    header: Any
    tensors: dict[str, np.ndarray]


def mutated(raw: bytes, key: str, chance: random.Random) -> tuple[str, bytes]:
    """Returns the name of a kind of change, and the file after such a change.

    Args:
        raw: the file.
        key: name of onward's JSON object in the metadata of the file.
        chance: draws the change.
    """
    kind = chance.choices(("bytes", "header", "tensors", "json"), (20, 50, 20, 10))[0]
    if kind == "bytes":
        return kind, with_other_bytes(raw, chance)
    content = parse(raw, key)
    if kind == "header":
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            change_value(content.header, chance)
    elif kind == "tensors":
        change_tensor(content.tensors, chance)
    return kind, build(content, key, (lambda text: with_other_json(text, chance)) if kind == "json" else str)


def parse(raw: bytes, key: str) -> Content:
    """Returns the content of an undamaged file."""
    (length,) = struct.unpack("<Q", raw[:8])
    entries = json.loads(raw[8 : 8 + length])
    header, data = json.loads(entries.pop("__metadata__")[key]), raw[8 + length :]
    tensors = {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], _TYPES[entry["dtype"]]).reshape(
            entry["shape"]
        )
        for name, entry in entries.items()
    }
    return Content(header, {name: tensor.copy() for name, tensor in tensors.items()})


def build(content: Content, key: str, change: Callable[[str], str] = str) -> bytes:
    """Returns the file of a content, with digests that fit.

    Args:
        content: the content.
        key: as for `mutated`.
        change: changes the JSON text of the header.
    """
    header, entries, data = content.header, dict[str, Any](), b""
    if isinstance(header, dict):
        if isinstance(header.get("sha256"), str):
            header["sha256"] = digest_of(content.tensors)
        if isinstance(header.get("header_sha256"), str):
            others = {name: value for name, value in header.items() if name != "header_sha256"}
            header["header_sha256"] = hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()
    for name, tensor in sorted(content.tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        start, data = len(data), data + tensor.tobytes()
        entries[name] = {
            "dtype": _TYPE_NAMES[tensor.dtype], "shape": tensor.shape, "data_offsets": [start, len(data)]
        }  # fmt: skip
    entries["__metadata__"] = {key: change(json.dumps(header, sort_keys=True))}
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def digest_of(tensors: dict[str, np.ndarray]) -> str:
    """Returns the digest of tensors that `onward.artefact.digest_of` computes."""
    digest = hashlib.sha256()
    names = {
        "<f4": "float32",
        "<f8": "float64",
        "<f2": "float16",
        "<i8": "int64",
        "<i4": "int32",
        "|u1": "uint8",
    }
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} torch.{names.get(tensor.dtype.str, 'bool')} {tensor.shape}\n".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def change_value(header: Any, chance: random.Random) -> None:
    """Replaces, removes, adds or repeats a value at a random place of a JSON object."""
    places = list(places_of(header))
    if not places:
        return
    depth = chance.choice(sorted({len(place) for place in places}))
    *path, last = chance.choice([place for place in places if len(place) == depth])
    owner = header
    for step in path:
        owner = owner[step]
    match chance.randrange(10):
        case 0:
            del owner[last]
        case 1 if isinstance(owner, list):
            owner.extend(owner[: chance.choice((1, 10, 1000))])
        case 2 if isinstance(owner, dict):
            owner[chance.choice(("extra", "", "\x1b[31m", "\ud800"))] = copy.deepcopy(chance.choice(NASTY))
        case 3 if isinstance(owner[last], int | float):
            owner[last] *= chance.choice((-1, 2, 10, 1e6, 1e300, 0.1, 1.001))
        case 4 if type(owner[last]) is int:
            owner[last] += chance.choice((-1, 1))
        case 5 if isinstance(owner, list):
            owner[last], owner[-1] = owner[-1], owner[last]
        case _:
            owner[last] = copy.deepcopy(chance.choice(NASTY))


def places_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the path of every value in nested objects and lists; of long lists only some."""
    if isinstance(value, dict):
        items = list(value.items())
    else:
        items = list(enumerate(value))[:: max(1, len(value) // 5)] if isinstance(value, list) else []
    for name, inner in items:
        yield (*path, name)
        yield from places_of(inner, (*path, name))


def change_tensor(tensors: dict[str, np.ndarray], chance: random.Random) -> None:
    """Changes the values, the shape, the type or the name of a tensor."""
    name = chance.choice(sorted(tensors))
    tensor = tensors[name]
    match chance.randrange(10):
        case 0:
            del tensors[name]
        case 1:
            tensors[chance.choice(("extra", "\x1b[31m", f"{name}x"))] = tensor
        case 2:
            tensors[name] = np.ascontiguousarray(tensor.T if tensor.ndim > 1 else tensor.reshape(-1)[:-1])
        case 3:
            tensors[name] = tensor.astype(_TYPES[chance.choice(tuple(_TYPES))], casting="unsafe")
        case 4:
            tensors[name] = tensor.reshape(1, *tensor.shape)
        case 5:
            other = chance.choice(sorted(tensors))
            tensors[name], tensors[other] = tensors[other], tensor
        case 6 if tensor.size and tensor.dtype.kind == "f":
            factor = np.float32(chance.choice((1e3, 1e10, 1e20, 1e38, -1.0)))
            for other, values in tensors.items():
                if values.dtype.kind == "f":
                    with np.errstate(over="ignore"):
                        tensors[other] = values * factor
        case _ if tensor.size and tensor.dtype.kind == "f":
            flat, count = tensor.reshape(-1), chance.choice((1, 3, tensor.size))
            flat[[chance.randrange(tensor.size) for _ in range(count)]] = chance.choice(_NUMBERS)
        case _ if tensor.size:
            flat = tensor.reshape(-1).view(np.uint8)
            flat[chance.randrange(len(flat))] ^= 1 << chance.randrange(8)


def with_other_bytes(raw: bytes, chance: random.Random) -> bytes:
    """Returns a file with changes in one to eight places."""
    changed = bytearray(raw)
    (length,) = struct.unpack("<Q", raw[:8])
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        at = min(chance.randrange(chance.choice((8, 8 + length, len(raw)))), len(changed))
        match chance.randrange(7):
            case 0:
                del changed[at:]
            case 1 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 2:
                changed[at : at + 4] = chance.randbytes(4)
            case 3:
                changed[at:at] = chance.randbytes(chance.randrange(1, 20))
            case 4:
                del changed[at : at + chance.randrange(1, 50)]
            case 5:
                changed[at:at] = changed[at : at + chance.randrange(1, 200)]
            case _:
                lengths = (0, 1, length + 1, length - 1, 2**31, 2**63, 2**64 - 1)
                changed[:8] = struct.pack("<Q", chance.choice(lengths))
    return bytes(changed)


def with_other_json(text: str, chance: random.Random) -> str:
    """Returns a JSON text with repeated names, deep nesting, or huge numbers and texts."""
    colons = [i for i, char in enumerate(text) if char == ":"]
    at = chance.choice(colons) + 1
    depth = chance.choice((500, 5_000, 100_000))
    inserted = (
        "[" * depth, '{"a":' * depth, "[" * depth + "]" * depth + ',"x":', "1" + "0" * depth + ',"x":',
        "-" + "9" * depth + '.5e999,"x":', "1e999,\"x\":", "NaN,\"x\":", '"' + "y" * depth + '","x":', "\x1b",
        '1,"format":2,"config":{},"x":', '"\\ud800","x":', "",
    )  # fmt: skip
    return text[:at] + chance.choice(inserted) + text[at:]
