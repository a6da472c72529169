"""The values of a message that was read: header fields, parts, attachments, and the message as a whole."""

import re
from collections.abc import Iterator
from dataclasses import field
from datetime import datetime

from email_handler.mail.addresses import Mailbox
from email_handler.mail.html import Page
from email_handler.mistakes import Mistake
from email_handler.values import dataclass

FIELDS_LEFT_OUT = "header fields left out"
"""The defect of a message with more header fields than are read (not of one of its parts)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One header field."""

    name: str  # as received
    raw: str  # unfolded, undecoded, bounded
    value: str  # decoded (RFC 2047), on one line, without control characters, bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One MIME entity. A leaf holds its transfer-decoded ``payload``; a container holds ``children``."""

    content_type: str  # lower-case ``type/subtype`` as declared, ``text/plain`` if unreadable
    parameters: dict[str, str]  # Content-Type's parameters, names lower-case, RFC 2231 decoded, bounded
    disposition: str  # "inline", "attachment" or "" if none is declared
    filename: str  # decoded, one line, without path separators; "" if none
    content_id: str  # without angle brackets; "" if none
    headers: tuple[Header, ...]
    payload: bytes  # decoded bytes of a leaf (of message/rfc822: the nested message); b"" for containers
    children: tuple["Part", ...] = ()

    def walk(self) -> Iterator["Part"]:
        """Yield this part and its descendants, depth first, in the order of the message."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A leaf that is not body text. Inline images count as attachments."""

    number: int  # 1-based, in the order of the message
    name: str  # safe file name; derived from the type if the message declares none
    content_type: str  # as declared
    inline: bool  # the HTML body shows it by its Content-ID, or its disposition is inline
    payload: bytes
    part: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A whole message, as :func:`email_handler.mail.parsing.parse` returns it for any bytes.

    Tuples keep the order of the message.
    """

    headers: tuple[Header, ...]
    root: Part
    subject: str
    from_: tuple[Mailbox, ...]  # of all From fields; may be empty
    from_fields: int  # number of From header fields; a verified sender needs exactly one
    sender: tuple[Mailbox, ...]
    reply_to: tuple[Mailbox, ...]
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    message_id: str  # ``local@host`` without angle brackets; "" if none
    in_reply_to: tuple[str, ...]  # ids without angle brackets
    references: tuple[str, ...]
    date: datetime | None  # aware; None if missing or unreadable
    text: str  # the visible text: of text/plain parts, else of the HTML
    html: str  # the HTML bodies, decoded; "" if none
    page: Page | None  # the contents of ``html`` if it is the only body, read for ``text`` anyway
    attachments: tuple[Attachment, ...]
    defects: tuple[str, ...]  # constants such as "unknown charset"; never content of the message
    size: int  # bytes as received
    raw: bytes = field(default=b"", repr=False)  # as received
    mistake: Mistake | None = (
        None  # what kept it from being read: then it has its header alone, or nothing but its bytes
    )

    def header(self, name: str) -> str:
        """Return the decoded value of the topmost field called *name* (any case), "" if there is none."""
        wanted = name.lower()
        return next((h.value for h in self.headers if h.name.lower() == wanted), "")

    def header_all(self, name: str) -> tuple[str, ...]:
        """Return the decoded values of all fields called *name* (any case), topmost first."""
        wanted = name.lower()
        return tuple(h.value for h in self.headers if h.name.lower() == wanted)


HOPS = "X-Email-Handler-Hops"
"""Name of the field that counts how many services like this one have forwarded a message."""


def hops(message: Message) -> int:
    """Return how many services like this one have forwarded *message* so far; 0 if its field is no small number."""
    value = message.header(HOPS).strip()
    return int(value) if re.fullmatch(r"[0-9]{1,3}", value) else 0


def unread(raw: bytes, mistake: Mistake) -> Message:
    """Return *raw* as a message of which nothing but its bytes could be read, because of *mistake*."""
    return Message(
        headers=(),
        root=Part(
            content_type="text/plain",
            parameters={},
            disposition="",
            filename="",
            content_id="",
            headers=(),
            payload=b"",
        ),
        subject="",
        from_=(),
        from_fields=0,
        sender=(),
        reply_to=(),
        to=(),
        cc=(),
        message_id="",
        in_reply_to=(),
        references=(),
        date=None,
        text="",
        html="",
        page=None,
        attachments=(),
        defects=("not read",),
        size=len(raw),
        raw=raw,
        mistake=mistake,
    )
