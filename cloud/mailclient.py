"""A person's mail program, for the demo and the tests: reads what came out and answers it as Gmail would."""

import html
import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.policy import SMTP, default
from email.utils import parseaddr
from urllib.parse import unquote

_WIRE = SMTP.clone(max_line_length=998)  # long ids stay whole (cpython#79986)


def read(raw: bytes) -> EmailMessage:
    """Return a mail of ours, parsed."""
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)  # what policy.default makes
    return message


def body(raw: bytes, kind: str = "plain") -> str:
    """Return the text of the mail's ``text/plain`` or ``text/<kind>`` body, "" where it has none."""
    part = read(raw).get_body((kind,))
    return str(part.get_content()) if part else ""


def answer(received: bytes, *, sender: str, message_id: str, text: str) -> bytes:
    """Return *sender*'s answer to the mail *received*: their *text* above all of it quoted, as text and as HTML.

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

    reply = EmailMessage(policy=_WIRE)
    reply["From"] = sender
    reply["To"] = writer
    subject = str(original["Subject"])
    reply["Subject"] = subject if subject.lower().startswith("re:") else f"Re: {subject}"
    reply["Message-ID"] = f"<{message_id}>"
    reply["In-Reply-To"] = str(original["Message-ID"])
    reply["References"] = f"{original['References'] or ''} {original['Message-ID']}".strip()
    reply.set_content(f"{text}\n\n{introduction}\n\n{quoted}")
    reply.add_alternative(
        f'<div dir="ltr">{written}</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">'
        f"On Mon, Mar 2, 2026 at 10:00\u202fAM {shown} wrote:<br></div>"
        f'<blockquote class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex">'
        f"{inner}</blockquote></div>",
        subtype="html",
    )
    return reply.as_bytes()


def with_fields(raw: bytes, **fields: str) -> bytes:
    """Return *raw* with header fields (``In_Reply_To="<a@b.example>"``) put on top in place of those of that name."""
    head, separator, rest = raw.partition(b"\r\n\r\n")
    for name, value in fields.items():
        written = name.replace("_", "-").encode()
        head = re.sub(rb"(?im)^%s:.*(?:\r\n[ \t].*)*(?:\r\n|\Z)" % written, b"", head)
        head = written + b": " + value.encode() + b"\r\n" + head
    return head.rstrip(b"\r\n") + separator + rest


def readable(raw: bytes) -> str:
    """Return everything that a reader, or their program, could make out in a mail: the octets themselves, and every
    header and part decoded, with entities and percent signs resolved and tags removed."""
    seen = [raw.decode("utf-8", "replace")]
    for part in message_from_bytes(raw).walk():
        seen += [f"{name}: {_decoded(value)}" for name, value in part.items()]
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


def _decoded(value: object) -> str:
    try:
        return str(make_header(decode_header(str(value))))
    except (LookupError, ValueError):
        return str(value)
