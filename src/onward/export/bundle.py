"""Joins ES modules to one script, for a page that is a single file.

Each module becomes a function that returns its exports, so that names of different modules do not clash. The
modules use two forms, at the beginning of a line:

    import { name, other as alias } from "./module.js";
    export const ..., export class ..., export function ...
"""

import re
from collections.abc import Sequence
from importlib.resources.abc import Traversable

_IMPORT = re.compile(r'^import \{ (?P<names>[^}]+) \} from "\./(?P<module>[\w.]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|class|(?:async )?function\*?) (?P<name>\w+))", re.MULTILINE)
_LEFT = re.compile(r"^(?:import|export)\b.*|</script|<!--", re.MULTILINE | re.IGNORECASE)


def bundle(entry: str, folders: Sequence[Traversable]) -> str:
    """Returns a script that does what the module `entry` does.

    Args:
        entry: file name of the module.
        folders: where modules are, by their file names; the first folder that has a module provides it.

    Raises:
        ValueError: a module is missing, imports itself, or has a form that is not supported.
    """
    parts: list[str] = []
    done: dict[str, bool] = {}

    def add(name: str) -> None:
        if done.get(name):
            return
        if name in done:
            raise ValueError(f"the module {name} imports itself")
        done[name] = False
        source = _source(name, folders)
        for found in _IMPORT.finditer(source):
            add(found["module"])
        parts.append(_wrapped(name, source))
        done[name] = True

    add(entry)
    return "\n".join(parts)


def _source(name: str, folders: Sequence[Traversable]) -> str:
    for folder in folders:
        file = folder.joinpath(name)
        if file.is_file():
            return file.read_text(encoding="utf-8")
    raise ValueError(f"there is no module {name}")


def _wrapped(name: str, source: str) -> str:
    """Returns a statement that runs a module, and binds its exports to a name."""
    names = [found["name"] for found in _EXPORT.finditer(source)]
    body = _EXPORT.sub("", _IMPORT.sub(_destructured, source))
    if left := _LEFT.search(body):
        raise ValueError(f"{name} has a form that a bundle does not support: {left[0]}")
    return f"const {_variable(name)} = (() => {{\n{body}return {{ {', '.join(names)} }};\n}})();\n"


def _destructured(found: re.Match[str]) -> str:
    names = found["names"].replace(" as ", ": ")
    return f"const {{ {names} }} = {_variable(found['module'])};\n"


def _variable(name: str) -> str:
    return name.replace(".", "_")
