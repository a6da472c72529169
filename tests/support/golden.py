"""Goldens: what a transformation makes of a mail, kept beside the mail so that a person can read both.

``tests/data/golden/<transformation>/<case>.in.eml`` and ``.out.eml``. Where the outcome differs, the test fails and
leaves ``<case>.out.actual.eml``; ``make golden`` accepts those after they have been read.
"""

import re
from pathlib import Path

GOLDEN = Path(__file__).parent.parent / "data" / "golden"

_BOUNDARY = re.compile(rb"=_[0-9a-f]{24}_(\d+)")


def cases(transformation: str) -> list[str]:
    """Return the names of the mails that wait for *transformation*, such as ``forward/inline_image``."""
    return sorted(f"{transformation}/{p.name[: -len('.in.eml')]}" for p in (GOLDEN / transformation).glob("*.in.eml"))


def given(name: str) -> bytes:
    """Return the mail that goes in."""
    return (GOLDEN / f"{name}.in.eml").read_bytes()


def assert_same_mail(actual: bytes, name: str) -> None:
    """Compare *actual* with the golden, MIME boundaries aside; keep it beside the golden where they differ."""
    actual = _BOUNDARY.sub(rb"=_boundary_\1", actual)
    expected = GOLDEN / f"{name}.out.eml"
    if expected.exists() and expected.read_bytes() == actual:
        return
    expected.with_name(expected.name.replace(".eml", ".actual.eml")).write_bytes(actual)
    wanted = expected.read_bytes().decode("utf-8", "replace") if expected.exists() else ""
    assert wanted == actual.decode("utf-8", "replace"), f"{name}: read the .actual.eml, then make golden"
