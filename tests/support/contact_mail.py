"""Samples of wanted and unwanted messages, from the files in ``tests/data/contact_mail``: many messages per file.

A message begins at a line ``--- kind``; header lines, a blank line and the body follow, in UTF-8. ``Attachment`` is
not a header: it names a file attached to the message.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from tests.support.builders import entity, multipart

FOLDER = Path(__file__).parents[1] / "data" / "contact_mail"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactMail:
    """One sample."""

    name: str  # file, kind and place in the file
    kind: str
    language: str
    spam: bool
    raw: bytes

    @property
    def message(self) -> Message:
        return parse(self.raw)


def contact_mail(label: str) -> list[ContactMail]:
    """Return the samples with *label*, ``ham`` or ``spam``."""
    return [mail for path in sorted(FOLDER.glob(f"{label}_*.txt")) for mail in _samples(path)]


def _samples(path: Path) -> Iterator[ContactMail]:
    label, _, language = path.stem.partition("_")
    for number, block in enumerate(path.read_text(encoding="utf-8").split("--- ")[1:], 1):
        kind, _, text = block.partition("\n")
        head, _, body = text.partition("\n\n")
        headers = dict(line.split(": ", 1) for line in head.splitlines())
        yield ContactMail(
            name=f"{path.stem} {number} {kind}",
            kind=kind,
            language=language,
            spam=label == "spam",
            raw=_raw(headers, body.strip() + "\n", headers.pop("Attachment", "")),
        )


def _raw(headers: dict[str, str], body: str, attachment: str) -> bytes:
    content_type = headers.pop("Content-Type", "text/plain; charset=utf-8")
    text = body.replace("\n", "\r\n").encode()
    outer = [*headers.items(), ("To", "contact@example.com"), ("MIME-Version", "1.0")]
    if not attachment:
        return entity([*outer, ("Content-Type", content_type)], text)
    file = entity(
        [
            ("Content-Type", f'application/octet-stream; name="{attachment}"'),
            ("Content-Disposition", f'attachment; filename="{attachment}"'),
        ],
        b"0",
    )
    return multipart("mixed", entity([("Content-Type", content_type)], text), file, headers=outer)
