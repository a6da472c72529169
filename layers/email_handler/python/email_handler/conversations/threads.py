"""Which conversation a message belongs to, and how both sides' clients keep it one thread."""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from email_handler.conversations.identity import Threading
from email_handler.conversations.records import Conversation, Link, Status
from email_handler.identifiers import ConversationId, EmailAddress, ReceiptId
from email_handler.mail.addresses import same_address
from email_handler.mail.message import Message

ID_LENGTH = 8  # 40 bits: ids are readable names, not secrets
TOKEN_LENGTH = 10  # 50 bits: with the rate at which SES takes mail, not to be guessed
TOPIC_AGE = timedelta(days=30)  # the same contact, same subject, still the same talk
MAX_LINKS = 10  # the first and the last nine mails: enough for References, bounded for the record
MAX_REFERENCES = 40  # ids looked up for one message: the first half and the last half of what it names
MAX_PARTICIPANTS = 10
MAX_SUBJECT = 400  # characters of a base subject that are compared, kept and sent: cut ones would fork a thread

# What clients put in front of a subject when they answer or forward, without the colon, lower-case. The base
# subject of RFC 5256 §2.1 knows "re", "fw" and "fwd"; the others are what localised clients write.
_MARKS = frozenset(
    (
        "re", "fw", "fwd", "aw", "wg", "antw", "antwort", "sv", "vs", "vb", "tr", "rif", "r", "i", "res", "enc",
        "rv", "odp", "odg", "atb", "pd", "ynt", "ilt", "i\u0307lt", "vá", "bls", "trs", "tl", "σχετ", "απ", "πρθ", "отв",
        "ответ", "回复", "答复", "回覆", "轉寄", "转发", "返信", "転送", "회신", "전달", "תגובה", "הועבר", "رد",
    )
)  # fmt: skip
_LONGEST_MARK = max(map(len, _MARKS))
_EVERYBODYS_MARKS = re.compile(r"(?i)\A(?:(?:re|fwd?) ?: *)++")
_OUTLOOKS_MARK = re.compile(r"[^: 0-9]{1,3}:")  # MS-OXCMAIL 2.2.3.2.6.1: whatever the word means
# What mail systems put before a subject they pass on: labels in brackets or asterisks, words with a colon.
_LABELS = re.compile(
    r"(?>\s*+(?:\[[^\]]{1,40}+\]|\([^)]{1,40}+\)|【[^】]{1,40}+】|\*{1,3}[^*]{1,40}+\*{1,3}|[^\s:\uff1a]{1,20}+ ?[:\uff1a]))*+\s*+"
)


def base_subject(subject: str) -> str:
    """Return *subject* without reply and forward marks (``Re:``, ``AW:``, ``RE[2]:``, ``回复:``) and without the
    warning labels that gateways put in front (``[EXT]``, ``[External]``, ``(External)``), white space folded.

    Other brackets stay: ``[ticket 7]`` is the writer's own. Linear: each step removes something from the front.
    """
    rest = " ".join(subject.split())[: MAX_SUBJECT * 2]
    while True:
        rest = rest.lstrip()
        shorter = _without_label(_without_mark(rest))
        if shorter == rest:
            return rest[:MAX_SUBJECT]
        rest = shorter


def renamed(subject: str, known: str) -> str:
    """Return the base of *subject* where a person gave the talk another name than *known* (a base subject), else "".

    Nothing but labels or marks in front of the known subject is no other name, even such as nobody has heard of: a
    mail system wrote them, and repeated they would show it to the other side and fork both sides' threads.
    """
    base = base_subject(subject)
    return "" if base.endswith(known) and _LABELS.fullmatch(base.removesuffix(known)) else base


def shown_subject(subject: str) -> str:
    """Return *subject* as the first mail of a thread may bear it, whose next mails bear ``Re: `` and its base: as it
    came where every client takes the two for one; else as an answer's. That is where it has marks that not all know
    (``AW:``), and where Outlook would take its first word for one (``Ref: 117``)."""
    base = base_subject(subject)
    if _OUTLOOKS_MARK.match(base):
        return reply_subject(subject)
    rest = " ".join(subject.split())
    marks = rest[: len(rest) - len(_EVERYBODYS_MARKS.sub("", rest, count=1))]
    return marks + base if rest[len(marks) :][:MAX_SUBJECT] == base else reply_subject(subject)


def _without_mark(subject: str) -> str:
    head = subject[: _LONGEST_MARK + 8]
    for colon in (":", "\uff1a"):  # the second is what Chinese clients write
        mark, found, _ = head.partition(colon)
        mark = mark.strip().lower()
        if found and mark.endswith("]") and "[" in mark and mark[mark.index("[") + 1 : -1].isdecimal():
            mark = mark[: mark.index("[")]  # "Re[2]:", counted by some clients
        if found and mark in _MARKS:
            return subject[head.index(colon) + 1 :]
    return subject


def _without_label(subject: str) -> str:
    for opening, closing in ("[]", "()", "【】"):
        if subject.startswith(opening):
            label, found, rest = subject[1:24].partition(closing)
            if found and label.strip().lower() in {"ext", "extern", "external", "external email", "externe", "externo"}:
                return subject[1 + len(label) + 1 :] if rest or len(subject) >= len(label) + 2 else ""
    return subject


def new_id(new_token: Callable[[int], str]) -> ConversationId:
    """Return a fresh conversation id: ``c-`` and 8 random characters."""
    return ConversationId(f"c-{new_token(ID_LENGTH)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadTarget:
    """What the local part of a thread address says. It is a claim until the token has been compared."""

    conversation: ConversationId
    token: str
    everyone: bool  # ``+all``: the answer goes to all who take part


def thread_address(conversation: Conversation, thread_domain: str, *, everyone: bool = False) -> EmailAddress:
    """Return ``<id>.<token>@<thread_domain>``, with ``+all`` for *everyone*."""
    tag = "+all" if everyone else ""
    return EmailAddress(f"{conversation.id}.{conversation.token}{tag}@{thread_domain}")


def read_thread_address(address: str, thread_domain: str) -> ThreadTarget | None:
    """Return what *address* names, or None where it is no thread address of *thread_domain*."""
    local, _, domain = address.lower().rpartition("@")
    if domain != thread_domain.lower():
        return None
    base, _, tag = local.partition("+")
    conversation, _, token = base.rpartition(".")
    if not conversation or len(token) != TOKEN_LENGTH:
        return None
    return ThreadTarget(conversation=ConversationId(conversation), token=token, everyone=tag == "all")


def token_matches(target: ThreadTarget | None, conversation: Conversation | None) -> bool:
    """Tell whether *target*'s token is the conversation's. Compared in constant time: the token is a secret."""
    return (
        target is not None
        and conversation is not None
        and target.conversation == conversation.id
        and hmac.compare_digest(target.token.encode(), conversation.token.encode())
    )


def local_part(message_id: str) -> str:
    """Return the part of a Message-ID before ``@``: SES promises no host behind its ids."""
    return message_id.strip().strip("<>").partition("@")[0][:400]


def referred(message: Message) -> tuple[str, ...]:
    """Return the local parts that *message* names in In-Reply-To and References, nearest first, at most
    ``MAX_REFERENCES``: In-Reply-To, then References from its end (RFC 5322 §3.6.4), the oldest half kept too."""
    ids = [local_part(i) for i in (*message.in_reply_to, *reversed(message.references))]
    unique = list(dict.fromkeys(i for i in ids if i))
    half = MAX_REFERENCES // 2
    return tuple(unique if len(unique) <= MAX_REFERENCES else unique[:half] + unique[-half:])


def fingerprint(message: Message, raw: bytes, *, verified: bool) -> str:
    """Return what makes two receipts the same mail: Message-ID, From, body, and whether the sender is *verified*; ""
    without a Message-ID, for then a second copy cannot be told from a person who writes the same twice.

    Verified and unverified copies differ, for what anybody may have sent must not stand for the mail of the person.
    """
    if not message.message_id:
        return ""
    head, _, body = raw.partition(b"\r\n\r\n") if b"\r\n\r\n" in raw else raw.partition(b"\n\n")
    del head
    sender = ",".join(mailbox.address for mailbox in message.from_)
    parts = (b"verified" if verified else b"unverified", message.message_id.encode(), sender.encode(), body)
    return hashlib.sha256(b"\x1f".join(parts)).hexdigest()


def takes_part(conversation: Conversation, address: str | None) -> bool:
    """Tell whether the verified *address* is the contact or somebody the contact put in Cc, in any case."""
    return any(same_address(known, address or "") for known in (conversation.contact, *conversation.participants))


def choose(
    *,
    by_token: Conversation | None,
    by_reference: Iterable[Conversation],
    by_topic: Conversation | None,
    verified: EmailAddress | None,
    now: datetime,
) -> Conversation | None:
    """Return the conversation a contact's message joins, or None for a new one.

    *by_token* has had its token compared. Unverified mail joins by token only: whoever forges a contact's ids or
    subject starts a conversation of their own.
    """
    if by_token is not None:
        return by_token
    if verified is None:
        return None
    for conversation in by_reference:
        if takes_part(conversation, verified):
            return conversation
    if (
        by_topic is not None
        and same_address(by_topic.contact, verified)
        and by_topic.status in (Status.OPEN, Status.WAITING, Status.ANSWERED)
        and now - by_topic.updated_at <= TOPIC_AGE
    ):
        return by_topic
    return None


def with_link(conversation: Conversation, link: Link) -> Conversation:
    """Return *conversation* with *link* added, or put in the place of the one with the same receipt."""
    links = list(conversation.links)
    for place, known in enumerate(links):
        if known.receipt == link.receipt:
            links[place] = Link(
                receipt=link.receipt,
                contact_id=link.contact_id or known.contact_id,
                owner_ids={**known.owner_ids, **link.owner_ids},
                reply_address=known.reply_address,
            )
            return replace(conversation, links=tuple(links))
    links.append(link)
    if len(links) > MAX_LINKS:
        links = links[:1] + links[-(MAX_LINKS - 1) :]
    return replace(conversation, links=tuple(links))


def threading_for_contact(conversation: Conversation, domain: str, subject: str, *, answers: ReceiptId) -> Threading:
    """Return subject and ids for mail to the contact that answers their message *answers*.

    References begin with an id of ours that never changes for this conversation and side, so that every mail of
    ours shares an ancestor even where the contact's client dropped theirs. It stands at the public domain: an id
    at the thread subdomain would show the machine (and trip the leak gate).
    """
    ids = [link.contact_id for link in conversation.links if link.contact_id]
    answered = next((link.contact_id for link in conversation.links if link.receipt == answers), "")
    return _threading(f"{conversation.id}.c@{domain}", ids, answered, subject)


def threading_for_owner(
    conversation: Conversation, domain: str, subject: str, *, mailbox: EmailAddress, answers: str
) -> Threading:
    """Return subject and ids for mail to the owner's *mailbox*.

    *answers* is the contact-side id that the contact's mail answers ("" where it names none): it is turned into
    the id that this mailbox knows for the same mail.
    """
    known = [link for link in conversation.links if link.owner_ids.get(mailbox)]
    wanted = local_part(answers)
    answered = next((link.owner_ids[mailbox] for link in known if wanted and local_part(link.contact_id) == wanted), "")
    return _threading(f"{conversation.id}.o@{domain}", [link.owner_ids[mailbox] for link in known], answered, subject)


def _threading(root: str, ids: list[str], answered: str, subject: str) -> Threading:
    last = answered or (ids[-1] if ids else "")
    references = [root, *(i for i in ids if i != last), *([last] if last else [])]
    return Threading(subject=subject, in_reply_to=last or root, references=tuple(dict.fromkeys(references)))


def reply_subject(subject: str) -> str:
    """Return the subject line of an answer: ``Re: `` and the base subject."""
    base = base_subject(subject)
    return f"Re: {base}" if base else "Re:"


def wire_id(ses_id: str, region: str) -> str:
    """Return the Message-ID that SES puts on the wire for its API's *ses_id* (a habit, not a promise)."""
    host = "email.amazonses.com" if region == "us-east-1" else f"{region}.amazonses.com"
    return f"{ses_id}@{host}"
