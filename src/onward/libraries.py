"""The compiled C libraries of onward. Each exists only if there was a C compiler at installation."""

import ctypes
from importlib.util import find_spec


def installed_library(module: str) -> ctypes.CDLL | None:
    """Returns the library that was compiled as a module, or None if it was not built or cannot be loaded."""
    found = find_spec(module)
    if found is None or found.origin is None:
        return None
    try:
        return ctypes.CDLL(found.origin)
    except OSError:
        return None
