"""Goldens: a message and what we compose from it, side by side so that a person can read both.

``tests/data/golden/<kind>/<case>.in.eml`` and ``.out.eml``. If the outcome differs, the test fails and leaves
``<case>.out.actual.eml``; read it, then accept it with ``make golden``.
"""

import re
from pathlib import Path

GOLDEN = Path(__file__).parent.parent / "data" / "golden"

_BOUNDARY = re.compile(rb"=_[0-9a-f]{24}_(\d+)")


def cases(kind: str) -> list[str]:
    """Return the names of the cases of *kind*, such as ``forward/inline_image``."""
    return sorted(f"{kind}/{p.name[: -len('.in.eml')]}" for p in (GOLDEN / kind).glob("*.in.eml"))


def given(name: str) -> bytes:
    """Return the message that the case *name* starts from."""
    return (GOLDEN / f"{name}.in.eml").read_bytes()


def assert_golden(actual: bytes, name: str) -> None:
    """Compare *actual* with the golden except for MIME boundaries; if they differ, keep it beside the golden."""
    actual = _BOUNDARY.sub(rb"=_boundary_\1", actual)
    expected = GOLDEN / f"{name}.out.eml"
    if expected.exists() and expected.read_bytes() == actual:
        return
    expected.with_name(expected.name.replace(".eml", ".actual.eml")).write_bytes(actual)
    wanted = expected.read_bytes().decode("utf-8", "replace") if expected.exists() else ""
    assert wanted == actual.decode("utf-8", "replace"), f"{name}: read the .actual.eml, then make golden"
