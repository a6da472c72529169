"""Mail programs as others write them: how each answers a mail, and which mails each shows as one thread.

The habits are of docs/adr/0009: what an answer keeps of the ids it answers, what it makes of the subject, how it
quotes. The predicates are that page's rules, each at its strictest, so that what passes here needs no goodwill.
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
_OUTLOOK_TOPIC = 255  # characters of a topic that Outlook's conversation id is made of


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a person puts into an answer."""

    sender: str  # ``Name <address>``
    message_id: str  # without angle brackets
    text: str


type Answer = Callable[[bytes, Written], bytes]
"""Takes the mail as it was delivered and returns the answer to it, as bytes on the wire."""


# --- How they answer ------------------------------------------------------------------------------------------------


def gmail_web(received: bytes, written: Written) -> bytes:
    """Re:, both fields whole, the quotation in a ``gmail_quote``."""
    name, address = _read(received).writer
    line = f"On Mon, Mar 2, 2026 at 10:00\u202fAM {name} <{address}> wrote:"
    shown = f'{html.escape(name)} &lt;<a href="mailto:{address}">{address}</a>&gt;'
    markup = (
        f'<div dir="ltr">{_html(written.text)}</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">'
        f"On Mon, Mar 2, 2026 at 10:00\u202fAM {shown} wrote:<br></div>"
        f'<blockquote class="gmail_quote" style="margin:0 0 0 .8ex">{_read(received).markup}</blockquote></div>'
    )
    return _answer(
        received,
        written,
        mark="Re: ",
        references=[*_read(received).chain, _read(received).message_id],
        text=f"{written.text}\n\n{line}\n\n{_quoted(_read(received).text)}",
        markup=markup,
    )


def outlook_desktop(received: bytes, written: Written) -> bytes:
    """AW: (a German one), only the parent in References, the header repeated over the unquoted original, and the
    ids that Outlook itself goes by: a Thread-Index that grows by a block, and the topic."""
    fields = _repeated_header(received, ("Von", "Gesendet", "An", "Betreff"))
    markup = (
        f'<div class="WordSection1"><p class="MsoNormal">{_html(written.text)}</p>'
        '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"><p class="MsoNormal">'
        + "<br>".join(f"<b>{name}:</b> {html.escape(value)}" for name, value in fields)
        + f"</p></div>{_read(received).markup}</div>"
    )
    said = "\n".join(f"{name}: {value}" for name, value in fields)
    return _answer(
        received,
        written,
        mark="AW: ",
        references=[_read(received).message_id],
        text=f"{written.text}\n\n-----Urspr\u00fcngliche Nachricht-----\n{said}\n\n{_read(received).text}",
        markup=markup,
        extra={"Thread-Topic": _without_short_mark(_read(received).subject), "Thread-Index": _next_index(received)},
    )


def outlook_web(received: bytes, written: Written) -> bytes:
    """Re: with the company's ``[EXT]`` that came with the mail, the whole chain, a rule above the original."""
    fields = _repeated_header(received, ("From", "Sent", "To", "Subject"))
    markup = (
        f'<div class="elementToProof">{_html(written.text)}</div><hr tabindex="-1" style="display:inline-block">'
        '<div id="divRplyFwdMsg" dir="ltr">'
        + "<br>".join(f"<b>{name}:</b> {html.escape(value)}" for name, value in fields)
        + f"</div>{_read(received).markup}"
    )
    said = "\n".join(f"{name}: {value}" for name, value in fields)
    return _answer(
        received,
        written,
        mark="Re: [EXT] ",
        references=[*_read(received).chain, _read(received).message_id],
        text=f"{written.text}\n\n________________________________\n{said}\n\n{_read(received).text}",
        markup=markup,
        extra={"Thread-Topic": _without_short_mark(_read(received).subject), "Thread-Index": _next_index(received)},
    )


def apple_mail(received: bytes, written: Written) -> bytes:
    """Re:, References whole, the quotation in ``blockquote type=cite``."""
    name, address = _read(received).writer
    line = f"On 2. Mar 2026, at 10:00, {name} <{address}> wrote:"
    markup = (
        f'<div>{_html(written.text)}</div><div><br><blockquote type="cite"><div>{html.escape(line)}</div><br>'
        f"<div>{_read(received).markup}</div></blockquote></div>"
    )
    return _answer(
        received,
        written,
        mark="Re: ",
        references=[*_read(received).chain, _read(received).message_id],
        text=f"{written.text}\n\n> {line}\n> \n{_quoted(_read(received).text)}",
        markup=markup,
    )


def thunderbird(received: bytes, written: Written) -> bytes:
    """SV: (a Swedish gateway's), plain text only, the chain cut to its first and its last few ids."""
    _, address = _read(received).writer
    chain = [*_read(received).chain, _read(received).message_id]
    return _answer(
        received,
        written,
        mark="SV: ",
        references=chain if len(chain) <= 4 else [chain[0], *chain[-3:]],
        text=f"On 02/03/2026 10:00, {address} wrote:\n{_quoted(_read(received).text)}\n{written.text}\n",
    )


def phone(received: bytes, written: Written) -> bytes:
    """回复 (Chinese, on Android), no References at all, the original below a line of its own."""
    markup = (
        f"<div>{_html(written.text)}</div><div><br></div><div>发自我的手机</div>"
        f"<div>---- 原始邮件 ----</div><blockquote>{_read(received).markup}</blockquote>"
    )
    return _answer(
        received,
        written,
        mark="回复\uff1a",
        references=[],
        text=f"{written.text}\n\n发自我的手机\n---- 原始邮件 ----\n{_quoted(_read(received).text)}",
        markup=markup,
    )


CLIENTS: dict[str, Answer] = {
    answer.__name__: answer for answer in (gmail_web, outlook_desktop, outlook_web, apple_mail, thunderbird, phone)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Received:
    """What an answer takes over from the mail it answers."""

    writer: tuple[str, str]  # name and address that an answer goes to
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


def _answer(
    received: bytes,
    written: Written,
    *,
    mark: str,
    references: Iterable[str],
    text: str,
    markup: str = "",
    extra: dict[str, str] | None = None,
) -> bytes:
    reply = EmailMessage(policy=_WIRE)
    reply["From"] = written.sender
    reply["To"] = "{} <{}>".format(*_read(received).writer)
    subject = _read(received).subject
    reply["Subject"] = subject if subject.startswith(mark) else mark + subject
    reply["Message-ID"] = f"<{written.message_id}>"
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
    """Return the Thread-Index of an answer (MS-OXOMSG 2.2.1.3): the parent's and five octets more, or a new one."""
    parent = base64.b64decode(_read(received).index)
    started = b"\x01" + b"\xda\x00\x00\x00\x00" + hashlib.sha256(received).digest()[:16]
    return base64.b64encode(parent + b"\x00\x00\x00\x00\x10" if parent else started).decode()


# --- What they show as one thread -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail in somebody's mailbox: received, or their own copy of what they sent."""

    message_id: str
    subject: str
    named: tuple[str, ...]  # In-Reply-To and References
    thread_index: bytes
    ours: bool  # sent by the system

    @classmethod
    def of(cls, raw: bytes, *, ours: bool) -> "Mail":
        """Return what a client goes by in *raw*."""
        mail = message_from_bytes(raw.partition(b"\r\n\r\n")[0])
        return cls(
            message_id=str(mail["Message-ID"] or "").strip("<>"),
            subject=_decoded(mail["Subject"]),
            named=tuple(dict.fromkeys(_ids(f"{mail['In-Reply-To'] or ''} {mail['References'] or ''}"))),
            thread_index=base64.b64decode(str(mail["Thread-Index"] or "")),
            ours=ours,
        )


def one_thread_in_gmail(mailbox: Sequence[Mail]) -> bool:
    """Tell whether Gmail shows all our mails of *mailbox* as one conversation: a mail joins an earlier one whose
    subject is the same but for Re: and Fwd:, and with whose ids its own References share one. At most 100 mails."""
    threads: list[tuple[str, set[str], set[bool]]] = []
    for mail in mailbox:
        subject, ids = _without_plain_marks(mail.subject), {mail.message_id, *mail.named}
        joined = next((t for t in threads if t[0] == subject and not t[1].isdisjoint(ids)), None)
        if joined is None:
            threads.append(joined := (subject, set(), set()))
        joined[1].update(ids)
        joined[2].add(mail.ours)
    return sum(True in ours for _, _, ours in threads) == 1 and len(mailbox) <= 100


def one_thread_in_outlook(mailbox: Sequence[Mail]) -> bool:
    """Tell whether Outlook shows all our mails of *mailbox* as one conversation, by both of its ways: the
    conversation id of MS-OXOMSG 2.2.1.2 (an index's GUID, else the topic), and Exchange's (the topic, and ids that
    lead from one mail to the other)."""
    ours = [mail for mail in mailbox if mail.ours]
    topics = {_without_short_mark(mail.subject)[:_OUTLOOK_TOPIC].upper() for mail in ours}
    conversations = {mail.thread_index[6:22] for mail in ours}
    return len(topics) == len(conversations) == 1 and _connected(mailbox)


def one_thread_in_apple_mail(mailbox: Sequence[Mail]) -> bool:
    """Tell whether Apple Mail shows all our mails of *mailbox* as one conversation by their ids alone."""
    return _connected(mailbox)


def named_ids_are_there(mailbox: Sequence[Mail]) -> bool:
    """Tell whether each of our mails but those that answer none has an In-Reply-To that its reader's client knows."""
    known = {mail.message_id for mail in mailbox}
    return all(mail.named[0] in known for mail in mailbox if mail.ours and len(mail.named) > 1)


def _connected(mailbox: Sequence[Mail]) -> bool:
    """Tell whether ids lead from each of our mails to each other, by way of any mail of the mailbox."""
    threads: list[set[str]] = []
    for mail in mailbox:
        ids = {mail.message_id, *mail.named}
        touched = [thread for thread in threads if not thread.isdisjoint(ids)]
        threads = [thread for thread in threads if thread.isdisjoint(ids)] + [ids.union(*touched)]
    return sum(any(mail.ours and mail.message_id in thread for mail in mailbox) for thread in threads) == 1


def _without_plain_marks(subject: str) -> str:
    """Return *subject* without the marks that every client knows."""
    return re.sub(r"(?i)^(?:(?:re|fwd?) ?: *)+", "", subject)


def _without_short_mark(subject: str) -> str:
    """Return *subject* without one mark, by Exchange's rule (MS-OXCMAIL 2.2.3.2.6.1)."""
    return re.sub(r"^[^: 0-9]{1,3}: *", "", subject)
