"""A person's mail program, for the demo and the tests: reads messages and replies to them as Gmail does."""

import html
import re
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.policy import SMTP, default
from email.utils import parseaddr
from urllib.parse import parse_qsl, unquote, urlsplit

_WIRE = SMTP.clone(max_line_length=998)  # long ids stay whole (cpython#79986)


def read(raw: bytes) -> EmailMessage:
    """Return a message of the service, parsed."""
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)  # what policy.default makes
    return message


def body(raw: bytes, kind: str = "plain") -> str:
    """Return the text of the message's ``text/<kind>`` body, "" if it has none."""
    part = read(raw).get_body((kind,))
    return str(part.get_content()) if part else ""


def reply(received: bytes, *, sender: str, message_id: str, text: str) -> bytes:
    """Return *sender*'s reply to the message *received*: their *text* above a full quotation, as text and as HTML.

    *sender* is ``Name <address>``; *message_id* is without angle brackets.
    """
    original = read(received)
    writer = str(original["Reply-To"] or original["From"])
    name, address = parseaddr(writer)
    introduction = f"On Mon, Mar 2, 2026 at 10:00\u202fAM {name} <{address}> wrote:"
    quoted = "".join(f"> {line}\n" for line in body(received).splitlines())
    inner = body(received, "html") or html.escape(body(received)).replace("\n", "<br>")
    written = html.escape(text).replace("\n", "<br>")
    shown = f'{html.escape(name)} &lt;<a href="mailto:{address}">{address}</a>&gt;'

    message = EmailMessage(policy=_WIRE)
    message["From"] = sender
    message["To"] = writer
    subject = str(original["Subject"])
    message["Subject"] = subject if subject.lower().startswith("re:") else f"Re: {subject}"
    message["Message-ID"] = f"<{message_id}>"
    message["In-Reply-To"] = str(original["Message-ID"])
    message["References"] = f"{original['References'] or ''} {original['Message-ID']}".strip()
    message.set_content(f"{text}\n\n{introduction}\n\n{quoted}")
    message.add_alternative(
        f'<div dir="ltr">{written}</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">'
        f"On Mon, Mar 2, 2026 at 10:00\u202fAM {shown} wrote:<br></div>"
        f'<blockquote class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex">'
        f"{inner}</blockquote></div>",
        subtype="html",
    )
    return message.as_bytes()


def written(*, sender: str, to: str, subject: str, message_id: str, text: str) -> bytes:
    """Return a new message as *sender*'s program writes it."""
    message = EmailMessage(policy=_WIRE)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = f"<{message_id}>"
    message.set_content(f"{text}\n")
    return message.as_bytes()


def opened_link(received: bytes, label: str, *, sender: str, message_id: str) -> bytes:
    """Return the message that *sender*'s program writes when the ``mailto:`` link *label* of *received* is opened and sent.

    Raises LookupError if there is no such link.
    """
    found = re.search(rf"{re.escape(label)}: (mailto:\S+)", body(received))
    if found is None:
        raise LookupError(f"no link called {label}")
    return from_link(found[1], sender=sender, message_id=message_id)


def from_link(url: str, *, sender: str, message_id: str) -> bytes:
    """Return the message that *sender*'s program writes when the link *url* (``mailto:``, RFC 6068) is opened and sent."""
    link = urlsplit(url)
    fields = dict(parse_qsl(link.query))
    return written(
        sender=sender,
        to=unquote(link.path),
        subject=fields.get("subject", ""),
        message_id=message_id,
        text=fields.get("body", ""),
    )


def with_fields(raw: bytes, **fields: str) -> bytes:
    """Return *raw* with header fields (``In_Reply_To="<a@b.example>"``) on top, in place of those of the same name."""
    head, separator, rest = raw.partition(b"\r\n\r\n")
    for name, value in fields.items():
        written = name.replace("_", "-").encode()
        head = re.sub(rb"(?im)^%s:.*(?:\r\n[ \t].*)*(?:\r\n|\Z)" % written, b"", head)
        head = written + b": " + value.encode() + b"\r\n" + head
    return head.rstrip(b"\r\n") + separator + rest


def readable(raw: bytes) -> str:
    """Return everything that a person or program could read in a message: the bytes themselves, and every header and
    part decoded, with entities and percent-encoding decoded and tags removed."""
    seen = [raw.decode("utf-8", "replace")]
    for part in message_from_bytes(raw).walk():
        seen += [f"{name}: {decoded(str(value))}" for name, value in part.items()]
        seen += _contents(part)
    plain = "\n".join(seen)
    markup = html.unescape(plain)
    return "\n".join((plain, markup, unquote(markup), re.sub(r"<[^<>]*>", "", markup), re.sub(r"\s+", " ", markup)))


def _contents(part: Message) -> list[str]:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return []
    texts = [payload.decode(charset, "replace") for charset in ("utf-8", "latin-1", "utf-16")]
    return [*texts, str(part.get_filename() or "")]


def decoded(value: str) -> str:
    """Return a header field's text with encoded words decoded (RFC 2047), or *value* itself if they cannot be."""
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError, HeaderParseError):  # an unknown charset, bytes that are not in it, bad base64
        return value
