"""Messages for tests, as bytes on the wire: `mail()` builds whole messages, `entity()` parts written by hand."""

from collections.abc import Iterable, Sequence
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from functools import lru_cache
from itertools import count

type File = tuple[str, str, bytes]
"""File name, content type, content."""

_WIRE = SMTP.clone(max_line_length=998)


def mail(
    *,
    subject: str | None = "Hello",
    sender: str | None = "Jane Doe <jane@customer.example>",
    to: str | None = "contact@example.com",
    text: str | None = "Hello, this is Jane.\r\n",
    html: str | None = None,
    attachments: Iterable[File] = (),
    inline: Iterable[File] = (),
    message_id: str | None = "<first@customer.example>",
    date: str | None = "Mon, 02 Mar 2026 09:00:00 +0000",
    **headers: str | Sequence[str],
) -> bytes:
    """Return a message with CRLF line ends. Equal arguments give equal bytes.

    None leaves a header or body out. Further header fields come as keywords, ``in_reply_to="<a@b.example>"`` for
    ``In-Reply-To``, with a sequence for a repeated field; they come first, in the given order. Non-ASCII subjects
    are written as RFC 2047 words; other values go out as given (ASCII only, no folding): tests of odd headers write
    them encoded. *inline* files sit beside the HTML (multipart/related); their Content-ID is ``<file name>``.
    """
    lines = [
        (name.replace("_", "-").title().replace("-Id", "-ID"), value)
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    lines += [
        (name, value)
        for name, value in (
            ("From", sender),
            ("To", to),
            ("Subject", None if subject is None else _encoded(subject)),
            ("Message-ID", message_id),
            ("Date", date),
            ("MIME-Version", "1.0"),
        )
        if value is not None
    ]
    return entity(lines) + _body(text, html, tuple(attachments), tuple(inline))


@lru_cache(32)  # most tests use the same few
def _body(text: str | None, html: str | None, attachments: tuple[File, ...], inline: tuple[File, ...]) -> bytes:
    body = EmailMessage(policy=_WIRE)
    if text is not None:
        body.set_content(text)
    if html is not None:
        if text is None:
            body.set_content(html, subtype="html")
        else:
            body.add_alternative(html, subtype="html")
    for name, content_type, payload in inline:
        main, _, sub = content_type.partition("/")
        where = list(body.iter_parts())[-1] if body.is_multipart() else body
        assert isinstance(where, EmailMessage)
        where.add_related(payload, main, sub, cid=f"<{name}>", filename=name, disposition="inline")
    for name, content_type, payload in attachments:
        main, _, sub = content_type.partition("/")
        body.add_attachment(payload, main, sub, filename=name)
    del body["MIME-Version"]
    numbers = count(1)
    for part in body.walk():
        if part.is_multipart():
            part.set_boundary(f"=-boundary-{next(numbers)}")
    return body.as_bytes()


def entity(headers: Iterable[tuple[str, str]], body: bytes | None = None) -> bytes:
    """Return header fields as they are written, encoded as UTF-8, and the blank line and *body* unless it is None."""
    head = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers)
    return head if body is None else head + b"\r\n" + body


def multipart(subtype: str, *parts: bytes, boundary: str = "=-outer", headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return a multipart entity with *parts* (entities with their headers) as they are, nothing encoded."""
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    content_type = ("Content-Type", f'multipart/{subtype}; boundary="{boundary}"')
    return entity([*headers, content_type], body + b"--" + boundary.encode() + b"--\r\n")


def _encoded(subject: str) -> str:
    return subject if subject.isascii() else Header(subject, "utf-8", maxlinelen=10**6).encode()
