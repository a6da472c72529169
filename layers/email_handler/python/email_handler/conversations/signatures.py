"""Signatures: what is added below the owner's replies, by the public address that they leave from."""

from collections.abc import Mapping
from dataclasses import field

from email_handler.values import dataclass

DEFAULT = "default"  # the name of the signature for every other public address
MAX_LENGTH = 2000  # characters of one signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatures:
    """The signatures in force, and what is wrong with the document: constants, for log, metric and the daily report."""

    texts: Mapping[str, str] = field(default_factory=dict)  # by public address in lower case, or DEFAULT
    problems: tuple[str, ...] = ()

    def of(self, public_address: str) -> str:
        """Return the signature of replies from *public_address*, "" if there is none."""
        return self.texts.get(public_address.lower(), self.texts.get(DEFAULT, ""))


def load_signatures(document: bytes) -> Signatures:
    """Read the TOML *document*: ``"contact@example.com" = "text"``, and ``default`` for every other public address; an
    empty text is none. A bad entry is left out and named in ``problems``. This file never stops a reply."""
    import tomllib  # noqa: PLC0415  (two milliseconds that few cold starts need)

    try:
        entries = tomllib.loads(document.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return Signatures(problems=('signature: not a TOML document of lines such as "contact@example.com" = "text"',))
    texts: dict[str, str] = {}
    problems: list[str] = []
    for number, (name, text) in enumerate(entries.items(), start=1):
        if not isinstance(text, str) or len(text) > MAX_LENGTH or (name != DEFAULT and "@" not in name):
            problems.append(f"signature: entry {number} left out")
        else:
            texts[name.lower()] = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return Signatures(texts=texts, problems=tuple(problems))
