"""What SES requires of a raw message (its developer guide's page on raw email, and refusals that users report)."""

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from email.policy import default
from email.utils import getaddresses

HEADER_SECTION_LIMIT = 16 * 1024
LINE_LIMIT = 998
MESSAGE_LIMIT = 40 * 1024 * 1024
RECIPIENT_LIMIT = 50

_FIELD = re.compile(rb"([!-9;-~]+):[ \t](?:.*)")


def problems(raw: bytes) -> list[str]:
    """Return what SES would refuse or damage in *raw*."""
    return list(_problems(raw))


def _problems(raw: bytes) -> Iterator[str]:
    section, blank, _ = raw.partition(b"\r\n\r\n")
    if not blank:
        yield "no blank line after the header section"
    if len(section) > HEADER_SECTION_LIMIT:
        yield "header section over 16 KB"
    if len(raw) > MESSAGE_LIMIT:
        yield "over 40 MB"
    if any(len(line) > LINE_LIMIT for line in raw.split(b"\r\n")):
        yield "a line over 998 bytes"
    if re.search(rb"\r(?!\n)|(?<!\r)\n", raw):
        yield "a bare CR or LF"
    if not raw.isascii() or b"\0" in raw:
        yield "not seven bits, or a NUL"
    yield from _header_problems(section)
    yield from _part_problems(raw)


def _header_problems(section: bytes) -> Iterator[str]:
    names: list[bytes] = []
    for line in section.split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            if not line.strip():
                yield "a folded line of white space only"
            continue
        field = _FIELD.fullmatch(line)
        if field is None:
            yield "a header line that is not a field"
        else:
            names.append(field[1].lower())
    yield from (f"Duplicate header '{name.decode()}'" for name in sorted({n for n in names if names.count(n) > 1}))
    yield from (f"no {name.decode()}" for name in (b"from", b"to", b"subject", b"mime-version") if name not in names)


def _part_problems(raw: bytes) -> Iterator[str]:
    message = message_from_bytes(raw)
    addresses = {name: [a for _, a in getaddresses([str(message[name])])] for name in ("From", "To") if message[name]}
    if len(addresses.get("From", [])) != 1:
        yield "not exactly one From address"
    if not 1 <= len(addresses.get("To", [])) <= RECIPIENT_LIMIT:
        yield "no recipient, or too many"
    if any("@" not in address for found in addresses.values() for address in found):
        yield "an address without @"
    yield from _entity_problems(message)
    subject = message_from_bytes(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=default)["Subject"]
    if subject is not None and subject.defects:
        yield "a Subject with defects"


def _entity_problems(part: Message) -> Iterator[str]:
    if part.defects:
        yield f"a part with defects: {type(part.defects[0]).__name__}"
    names = [name.lower() for name in part.keys()]  # noqa: SIM118 - with repetitions
    if len(names) != len(set(names)):
        yield "a part with a field twice"
    if part.is_multipart() and str(part["Content-Transfer-Encoding"] or "7bit").lower() not in {
        "7bit",
        "8bit",
        "binary",
    }:
        yield "a multipart with a transfer encoding"
    if part.get_content_maintype() == "multipart" and part.is_multipart():  # an attached message is content
        for child in part.get_payload():
            assert isinstance(child, Message)
            yield from _entity_problems(child)
