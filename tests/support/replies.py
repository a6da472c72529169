"""What people write in reply (tests/data/new_text.toml), with the readings of it that count as right."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_WRITTEN = tomllib.loads((Path(__file__).parents[1] / "data/new_text.toml").read_text(encoding="utf-8"))

PHRASES: dict[str, list[str]] = _WRITTEN["phrases"]
"""What clients and gateways write around an author's words, by kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One message's text and HTML, and the new text that it may be read to have."""

    name: str
    text: str
    html: str
    accepted: tuple[str, ...]


def written_replies() -> Iterator[Reply]:
    """Yield the replies that were written for this project."""
    for case in _WRITTEN["cases"]:
        lines = [(line[:1], line[1:]) for line in case["text"].splitlines()]
        yield Reply(
            name=case["name"],
            text="\n".join(line for _, line in lines),
            html=case.get("html", ""),
            accepted=tuple("\n".join(line for whose, line in lines if whose in own) for own in ("+", "+~")),
        )
