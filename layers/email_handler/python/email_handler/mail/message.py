"""A received message as values: its header fields, parts, attachments, and what they say together."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from email_handler.mail.addresses import Mailbox
from email_handler.mail.html import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One header field. ``name`` as received, ``raw`` unfolded but undecoded text (bounded), ``value`` decoded
    (RFC 2047), on one line, without control characters, bounded."""

    name: str
    raw: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One MIME entity. A leaf holds its transfer-decoded ``payload``; a container holds ``children``."""

    content_type: str  # lower-case ``type/subtype`` as declared, ``text/plain`` where unreadable
    parameters: dict[str, str]  # Content-Type's parameters, names lower-case, RFC 2231 decoded, bounded
    disposition: str  # "inline", "attachment" or "" where none is declared
    filename: str  # decoded, one line, without path separators; "" where none
    content_id: str  # without angle brackets; "" where none
    headers: tuple[Header, ...]
    payload: bytes  # decoded bytes of a leaf; b"" for containers. message/rfc822: the nested message's bytes
    children: tuple["Part", ...] = ()

    def walk(self) -> Iterator["Part"]:
        """Yield this part and all below it, depth first, in the order of the message."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A leaf that a person would call an attachment (inline images included; body texts excluded)."""

    number: int  # 1-based, in the order of the message; names the archive's ``<nn>``
    name: str  # file name to show and to store; made up from the type where the mail has none
    content_type: str  # as declared
    inline: bool  # referred to by the HTML body through its Content-ID, or disposition inline
    payload: bytes
    part: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What :func:`email_handler.mail.parsing.parse` makes of any bytes. Lists keep the order of the message."""

    headers: tuple[Header, ...]
    root: Part
    subject: str
    from_: tuple[Mailbox, ...]  # of the From fields, all of them; may be empty
    from_fields: int  # how many From header fields there were (proof needs exactly one)
    sender: tuple[Mailbox, ...]
    reply_to: tuple[Mailbox, ...]
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    message_id: str  # ``local@host`` without angle brackets; "" where none
    in_reply_to: tuple[str, ...]  # ids without angle brackets
    references: tuple[str, ...]
    date: datetime | None  # aware; None where missing or unreadable
    text: str  # the plain text a reader sees: text/plain parts, else the HTML's text
    html: str  # the HTML body, decoded; "" where none
    page: Page | None  # what `html` holds, where it is the only body and so was read for `text`
    attachments: tuple[Attachment, ...]
    defects: tuple[str, ...]  # short constants such as "unknown charset"; never content of the mail
    size: int  # octets as received
    raw: bytes = field(default=b"", repr=False)  # as received: what is forwarded whole when it must stay intact

    def header(self, name: str) -> str:
        """Return the decoded value of the first field called *name* (any case), "" where there is none."""
        wanted = name.lower()
        return next((h.value for h in self.headers if h.name.lower() == wanted), "")

    def header_all(self, name: str) -> tuple[str, ...]:
        """Return the decoded values of all fields called *name*, topmost first."""
        wanted = name.lower()
        return tuple(h.value for h in self.headers if h.name.lower() == wanted)
