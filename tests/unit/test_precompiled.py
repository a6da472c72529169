"""Patterns that ``re`` takes from a file. Here the file says something else than ``re``, so that one can see it used."""

import marshal
import re
import re._compiler as compiler  # type: ignore[import-not-found]
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from email_handler.precompiled import ENGINE, use


def given(pattern: str | bytes, *, as_if: str, flags: int = 0) -> dict[Any, Any]:
    parsed = compiler._parser.parse(as_if, 0)
    names = tuple(dict.fromkeys([None, *parsed.state.groupdict]))
    code = array("I", compiler._code(parsed, 0)).tobytes()
    return {(pattern, flags): (parsed.state.flags, code, parsed.state.groups - 1, parsed.state.groupdict, names)}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield where the file is, and undo what its use changes."""
    monkeypatch.setattr(compiler, "compile", compiler.compile)
    re.purge()
    yield tmp_path / "file"
    re.purge()


def test_a_pattern_in_the_file_is_not_compiled(path: Path) -> None:
    path.write_bytes(marshal.dumps((ENGINE, given("known", as_if="(?P<word>[a-f]+)0"))))
    use(str(path))

    found = re.fullmatch("known", "cafe0")

    assert found
    assert found["word"] == found[1] == "cafe"
    assert found.re.pattern == "known"


@pytest.mark.parametrize(
    ("pattern", "flags"), [("unknown", 0), ("known", re.IGNORECASE), (b"known", 0)], ids=["text", "flags", "bytes"]
)
def test_every_other_pattern_compiles_as_ever(path: Path, pattern: Any, flags: int) -> None:
    path.write_bytes(marshal.dumps((ENGINE, given("known", as_if="x"))))
    use(str(path))

    assert re.fullmatch(pattern, pattern, flags)
    with pytest.raises(re.error):
        re.compile("(")


def test_a_file_for_another_engine_is_not_used(path: Path) -> None:
    path.write_bytes(marshal.dumps(((*ENGINE[:-1], ENGINE[-1] + 1), given("known", as_if="x"))))
    use(str(path))

    assert re.fullmatch("known", "known")


def test_without_a_file_everything_compiles_as_ever(path: Path) -> None:
    use(str(path))

    assert re.fullmatch("known", "known")


@pytest.mark.parametrize("content", [b"", b"no marshal", marshal.dumps((ENGINE, {}))[:-3], marshal.dumps(7)])
def test_with_a_file_that_cannot_be_read_everything_compiles_as_ever(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    use(str(path))

    assert re.fullmatch("known", "known")
