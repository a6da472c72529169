"""Regular expressions that the layer's build compiled, so that no cold start has to (docs/adr/0030-cold-starts.md).

``re`` compiles in Python: 180 patterns, two thirds of them of botocore and the standard library, took a sixth of a first
invocation. What it compiles a pattern to is code for its engine. Both state the version of that code, and ``re`` checks
nothing else before it hands code over; :func:`use` checks that too. Whatever is not in the file compiles as ever.
"""

import _sre  # type: ignore[import-not-found]
import marshal
import re._compiler as compiler  # type: ignore[import-not-found]
import sys
from array import array
from collections.abc import Callable
from typing import Any

FILE = __file__.removesuffix(".py") + ".bin"
"""Written by the layer's ``precompile.py``: :data:`ENGINE`, and by pattern and flags what the engine takes."""

ENGINE = (*sys.version_info[:2], sys.byteorder, _sre.CODESIZE, _sre.MAGIC)
"""Whose code it is: that of a version of Python, with its table of characters, and of the engine in it."""

type Key = tuple[str | bytes, int]
type Code = tuple[int, bytes, int, dict[str, int], tuple[str | None, ...]]


def use(path: str = FILE) -> None:
    """Let ``re`` take from the file at *path* what is in it. Without one, if it cannot be
    read, and for another engine, do nothing."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  (a millisecond of imports)
            engine, known = marshal.loads(file.read())  # noqa: S302  (it is ours, as the bytecode beside it)
    except (OSError, EOFError, ValueError, TypeError):  # there is none, or another version of marshal wrote it
        return
    if engine == ENGINE:
        compiler.compile = _knowing(known, compiler.compile)


def _knowing(known: dict[Key, Code], otherwise: Callable[..., Any]) -> Callable[..., Any]:
    def compile_(pattern: Any, flags: int = 0) -> Any:
        found = known.get((pattern, flags))
        if found is None:
            return otherwise(pattern, flags)
        all_flags, code, groups, numbers, names = found
        return _sre.compile(pattern, all_flags, array("I", code).tolist(), groups, numbers, names)

    return compile_
