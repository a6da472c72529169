"""Models of email clients: how each writes a reply, and which messages each shows as one thread.

docs/adr/0009 describes both: which ids a reply keeps, how it changes the subject, how it quotes, and how clients form
threads. Each predicate applies the strictest form of its rule.
"""

import base64
import hashlib
import html
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.policy import SMTP
from email.utils import parseaddr
from functools import lru_cache

_WIRE = SMTP.clone(max_line_length=998)  # long ids stay whole (cpython#79986)
_OUTLOOK_TOPIC = 255  # characters of the topic that Outlook compares


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a person puts into a reply."""

    sender: str  # ``Name <address>``
    message_id: str  # without angle brackets
    text: str


type Client = Callable[[bytes, Draft], bytes]
"""Takes a message as delivered and returns the reply to it, both as bytes on the wire."""


# --- How they reply -------------------------------------------------------------------------------------------------


def gmail_web(received: bytes, draft: Draft) -> bytes:
    """Reply with Re:, complete References, and the quotation in a ``gmail_quote``."""
    name, address = _read(received).writer
    line = f"On Mon, Mar 2, 2026 at 10:00\u202fAM {name} <{address}> wrote:"
    shown = f'{html.escape(name)} &lt;<a href="mailto:{address}">{address}</a>&gt;'
    markup = (
        f'<div dir="ltr">{_html(draft.text)}</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">'
        f"On Mon, Mar 2, 2026 at 10:00\u202fAM {shown} wrote:<br></div>"
        f'<blockquote class="gmail_quote" style="margin:0 0 0 .8ex">{_read(received).markup}</blockquote></div>'
    )
    return _reply(
        received,
        draft,
        prefix="Re: ",
        references=[*_read(received).chain, _read(received).message_id],
        text=f"{draft.text}\n\n{line}\n\n{_quoted(_read(received).text)}",
        markup=markup,
    )


def outlook_desktop(received: bytes, draft: Draft) -> bytes:
    """Reply with AW: (German), only the parent in References, and a copy of the header above the unquoted original.

    Outlook's own fields identify the conversation: a Thread-Index that grows by a block, and the Thread-Topic.
    """
    fields = _repeated_header(received, ("Von", "Gesendet", "An", "Betreff"))
    markup = (
        f'<div class="WordSection1"><p class="MsoNormal">{_html(draft.text)}</p>'
        '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"><p class="MsoNormal">'
        + "<br>".join(f"<b>{name}:</b> {html.escape(value)}" for name, value in fields)
        + f"</p></div>{_read(received).markup}</div>"
    )
    header_lines = "\n".join(f"{name}: {value}" for name, value in fields)
    return _reply(
        received,
        draft,
        prefix="AW: ",
        references=[_read(received).message_id],
        text=f"{draft.text}\n\n-----Urspr\u00fcngliche Nachricht-----\n{header_lines}\n\n{_read(received).text}",
        markup=markup,
        extra={"Thread-Topic": _without_short_prefix(_read(received).subject), "Thread-Index": _next_index(received)},
    )


def outlook_web(received: bytes, draft: Draft) -> bytes:
    """Reply with Re: and a company's ``[EXT]`` label, complete References, and a line above the original."""
    fields = _repeated_header(received, ("From", "Sent", "To", "Subject"))
    markup = (
        f'<div class="elementToProof">{_html(draft.text)}</div><hr tabindex="-1" style="display:inline-block">'
        '<div id="divRplyFwdMsg" dir="ltr">'
        + "<br>".join(f"<b>{name}:</b> {html.escape(value)}" for name, value in fields)
        + f"</div>{_read(received).markup}"
    )
    header_lines = "\n".join(f"{name}: {value}" for name, value in fields)
    return _reply(
        received,
        draft,
        prefix="Re: [EXT] ",
        references=[*_read(received).chain, _read(received).message_id],
        text=f"{draft.text}\n\n________________________________\n{header_lines}\n\n{_read(received).text}",
        markup=markup,
        extra={"Thread-Topic": _without_short_prefix(_read(received).subject), "Thread-Index": _next_index(received)},
    )


def apple_mail(received: bytes, draft: Draft) -> bytes:
    """Reply with Re:, complete References, and the quotation in ``blockquote type=cite``."""
    name, address = _read(received).writer
    line = f"On 2. Mar 2026, at 10:00, {name} <{address}> wrote:"
    markup = (
        f'<div>{_html(draft.text)}</div><div><br><blockquote type="cite"><div>{html.escape(line)}</div><br>'
        f"<div>{_read(received).markup}</div></blockquote></div>"
    )
    return _reply(
        received,
        draft,
        prefix="Re: ",
        references=[*_read(received).chain, _read(received).message_id],
        text=f"{draft.text}\n\n> {line}\n> \n{_quoted(_read(received).text)}",
        markup=markup,
    )


def thunderbird(received: bytes, draft: Draft) -> bytes:
    """Reply with SV: (a Swedish gateway), plain text only, and References cut to the first and the last three ids."""
    _, address = _read(received).writer
    chain = [*_read(received).chain, _read(received).message_id]
    return _reply(
        received,
        draft,
        prefix="SV: ",
        references=chain if len(chain) <= 4 else [chain[0], *chain[-3:]],
        text=f"On 02/03/2026 10:00, {address} wrote:\n{_quoted(_read(received).text)}\n{draft.text}\n",
    )


def phone(received: bytes, draft: Draft) -> bytes:
    """Reply with 回复 (Chinese, on Android), without References, with the original below a separator line."""
    markup = (
        f"<div>{_html(draft.text)}</div><div><br></div><div>发自我的手机</div>"
        f"<div>---- 原始邮件 ----</div><blockquote>{_read(received).markup}</blockquote>"
    )
    return _reply(
        received,
        draft,
        prefix="回复\uff1a",
        references=[],
        text=f"{draft.text}\n\n发自我的手机\n---- 原始邮件 ----\n{_quoted(_read(received).text)}",
        markup=markup,
    )


CLIENTS: dict[str, Client] = {
    client.__name__: client for client in (gmail_web, outlook_desktop, outlook_web, apple_mail, thunderbird, phone)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Received:
    """What a reply takes from the message it replies to."""

    writer: tuple[str, str]  # name and address that a reply goes to
    to: str
    sender: str
    subject: str
    message_id: str
    chain: tuple[str, ...]
    index: str
    text: str
    markup: str


@lru_cache(maxsize=1024)
def _read(received: bytes) -> _Received:
    mail = message_from_bytes(received)
    sender, text = _decoded(mail["From"]), _body(mail, "text/plain")
    return _Received(
        writer=parseaddr(str(mail["Reply-To"] or mail["From"])),
        to=_decoded(mail["To"]),
        sender=sender,
        subject=_decoded(mail["Subject"]),
        message_id=str(mail["Message-ID"] or "").strip("<>"),
        chain=_ids(str(mail["References"] or mail["In-Reply-To"] or "")),
        index=str(mail["Thread-Index"] or ""),
        text=text,
        markup=_body(mail, "text/html") or _html(text),
    )


def _decoded(value: object) -> str:
    return " ".join(str(make_header(decode_header(str(value or "")))).split())


def _body(mail: Message, kind: str) -> str:
    part = next((part for part in mail.walk() if part.get_content_type() == kind), None)
    payload = part.get_payload(decode=True) if part else b""
    return payload.decode("utf-8", "replace").replace("\r\n", "\n") if isinstance(payload, bytes) else ""


def _ids(value: str) -> tuple[str, ...]:
    return tuple(value.replace("<", " ").replace(">", " ").split())


def _quoted(text: str) -> str:
    return "".join(f"> {line}\n" for line in text.splitlines())


def _html(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")


def _repeated_header(received: bytes, names: Sequence[str]) -> list[tuple[str, str]]:
    mail = _read(received)
    values = (mail.sender, "2. M\u00e4rz 2026 10:00", mail.to, mail.subject)
    return list(zip(names, values, strict=True))


def _reply(
    received: bytes,
    draft: Draft,
    *,
    prefix: str,
    references: Iterable[str],
    text: str,
    markup: str = "",
    extra: dict[str, str] | None = None,
) -> bytes:
    reply = EmailMessage(policy=_WIRE)
    reply["From"] = draft.sender
    reply["To"] = "{} <{}>".format(*_read(received).writer)
    subject = _read(received).subject
    reply["Subject"] = subject if subject.startswith(prefix) else prefix + subject
    reply["Message-ID"] = f"<{draft.message_id}>"
    reply["Date"] = "Mon, 02 Mar 2026 10:00:00 +0000"
    if _read(received).message_id:
        reply["In-Reply-To"] = f"<{_read(received).message_id}>"
    if named := " ".join(f"<{one}>" for one in dict.fromkeys(references) if one):
        reply["References"] = named
    for name, value in (extra or {}).items():
        reply[name] = value
    reply.set_content(text)
    if markup:
        reply.add_alternative(markup, subtype="html")
    return reply.as_bytes()


def _next_index(received: bytes) -> str:
    """Return the Thread-Index of a reply (MS-OXOMSG 2.2.1.3): the parent's and five bytes more, or a new one."""
    parent = base64.b64decode(_read(received).index)
    started = b"\x01" + b"\xda\x00\x00\x00\x00" + hashlib.sha256(received).digest()[:16]
    return base64.b64encode(parent + b"\x00\x00\x00\x00\x10" if parent else started).decode()


# --- What they show as one thread -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxMessage:
    """One message in a person's mailbox: received, or their own copy of what they sent."""

    message_id: str
    subject: str
    referenced: tuple[str, ...]  # ids in In-Reply-To and References, in that order
    thread_index: bytes
    ours: bool  # sent by the system

    @classmethod
    def of(cls, raw: bytes, *, ours: bool) -> "MailboxMessage":
        """Return the fields of *raw* by which a client forms threads."""
        mail = message_from_bytes(raw.partition(b"\r\n\r\n")[0])
        return cls(
            message_id=str(mail["Message-ID"] or "").strip("<>"),
            subject=_decoded(mail["Subject"]),
            referenced=tuple(dict.fromkeys(_ids(f"{mail['In-Reply-To'] or ''} {mail['References'] or ''}"))),
            thread_index=base64.b64decode(str(mail["Thread-Index"] or "")),
            ours=ours,
        )


def one_thread_in_gmail(mailbox: Sequence[MailboxMessage]) -> bool:
    """Return whether Gmail shows all our messages in *mailbox* as one conversation.

    A message joins an earlier one if both have the same subject apart from Re: and Fwd:, and share an id. A
    conversation has at most 100 messages.
    """
    threads: list[tuple[str, set[str], set[bool]]] = []
    for mail in mailbox:
        subject, ids = _without_known_prefixes(mail.subject), {mail.message_id, *mail.referenced}
        joined = next((t for t in threads if t[0] == subject and not t[1].isdisjoint(ids)), None)
        if joined is None:
            threads.append(joined := (subject, set(), set()))
        joined[1].update(ids)
        joined[2].add(mail.ours)
    return sum(True in ours for _, _, ours in threads) == 1 and len(mailbox) <= 100


def one_thread_in_outlook(mailbox: Sequence[MailboxMessage]) -> bool:
    """Return whether Outlook shows all our messages in *mailbox* as one conversation, by both of its rules.

    One rule is the conversation id of MS-OXOMSG 2.2.1.2 (the GUID in the index, else the topic), the other is
    Exchange's (the same topic, and ids that connect the messages).
    """
    ours = [mail for mail in mailbox if mail.ours]
    topics = {_without_short_prefix(mail.subject)[:_OUTLOOK_TOPIC].upper() for mail in ours}
    conversations = {mail.thread_index[6:22] for mail in ours}
    return len(topics) == len(conversations) == 1 and _connected(mailbox)


def one_thread_in_apple_mail(mailbox: Sequence[MailboxMessage]) -> bool:
    """Return whether Apple Mail shows all our messages in *mailbox* as one conversation, by their ids alone."""
    return _connected(mailbox)


def in_reply_to_is_known(mailbox: Sequence[MailboxMessage]) -> bool:
    """Return whether In-Reply-To names a message of *mailbox* in each of our messages that reply to one."""
    known = {mail.message_id for mail in mailbox}
    return all(mail.referenced[0] in known for mail in mailbox if mail.ours and len(mail.referenced) > 1)


def _connected(mailbox: Sequence[MailboxMessage]) -> bool:
    """Return whether ids connect all our messages, directly or through other messages of the mailbox."""
    threads: list[set[str]] = []
    for mail in mailbox:
        ids = {mail.message_id, *mail.referenced}
        touched = [thread for thread in threads if not thread.isdisjoint(ids)]
        threads = [thread for thread in threads if thread.isdisjoint(ids)] + [ids.union(*touched)]
    return sum(any(mail.ours and mail.message_id in thread for mail in mailbox) for thread in threads) == 1


def _without_known_prefixes(subject: str) -> str:
    """Return *subject* without the prefixes that every client knows."""
    return re.sub(r"(?i)^(?:(?:re|fwd?) ?: *)+", "", subject)


def _without_short_prefix(subject: str) -> str:
    """Return *subject* without one short prefix, by Exchange's rule (MS-OXCMAIL 2.2.3.2.6.1)."""
    return re.sub(r"^[^: 0-9]{1,3}: *", "", subject)
