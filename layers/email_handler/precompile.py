"""Compiles the regular expressions of a layer being built: ``python -B precompile.py FOLDER``, for its ``python`` folder.

They are those that importing the layer's modules compiles, botocore's and the standard library's too, and those that wait
for their first use (``mail/patterns.py``). ``email_handler/precompiled.py`` reads the file. ``-B``, because bytecode of
these imports would keep the right one from being written.
"""

# ruff: noqa: E402  # whatever is imported before re is watched, compiles unnoticed

import _sre as engine  # type: ignore[import-not-found]
import re._compiler as compiler  # type: ignore[import-not-found]
from types import ModuleType, SimpleNamespace
from typing import Any

found: dict[tuple[str | bytes, int], tuple[Any, ...]] = {}
compile_ = compiler.compile
latest: list[tuple[Any, ...]] = []


def noting(pattern: Any, *given: Any) -> Any:
    """Do what the engine's ``compile`` does, and note what it is given."""
    latest[:] = [given]
    return engine.compile(pattern, *given)


def watched(pattern: Any, flags: int = 0) -> Any:
    """Do what ``re`` does to compile *pattern*, and keep what it gives to the engine."""
    compiled = compile_(pattern, flags)
    if isinstance(pattern, str | bytes):
        (all_flags, code, *groups) = latest[0]
        found[pattern, flags] = (all_flags, array("I", code).tobytes(), *groups)
    return compiled


compiler._sre = SimpleNamespace(**vars(engine) | {"compile": noting})  # noqa: SLF001
compiler.compile = watched

import gc
import importlib
import marshal
import pkgutil
import sys
from array import array
from pathlib import Path


class Anything(ModuleType):
    """Stands for a library, whose names can be called and joined."""

    def __getattr__(self, _: str) -> "Anything":
        """Return what stands for any name."""
        return self

    def __call__(self, *_: object) -> "Anything":
        """Return what stands for any result."""
        return self

    def __or__(self, _: object) -> "Anything":
        return self


def main(folder: str) -> None:
    """Import everything below *folder*, and write what was compiled."""
    Path(folder, "email_handler/precompiled.bin").unlink(missing_ok=True)  # what an earlier one has, nothing compiles
    sys.path.insert(0, folder)
    for library in ("pcre2", "re2"):
        sys.modules[library] = Anything(library)  # the layer's may be for another processor
    package = importlib.import_module("email_handler")
    for module in pkgutil.walk_packages(package.__path__, "email_handler."):
        try:
            importlib.import_module(module.name)
        except ImportError:  # of what only one function brings
            continue
    patterns, precompiled = sys.modules["email_handler.mail.patterns"], sys.modules["email_handler.precompiled"]
    for waiting in gc.get_objects():
        if isinstance(waiting, patterns.Regex):
            _ = waiting.compiled
    Path(precompiled.FILE).write_bytes(marshal.dumps((precompiled.ENGINE, found)))


if __name__ == "__main__":
    main(sys.argv[1])
