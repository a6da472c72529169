"""Invitations in a forward: the owner's response comes to us, or the invitation is closed.

A closed invitation goes as a file that a client does not offer to accept: a response from it would leave from the
private mailbox. One that is packed (in an archive, or in another calendar as a file) stays as it is, because no client
opens it by itself; but a person may, so the owner is warned in words.
"""

import re
from collections.abc import Iterator

from email_handler.conversations.owners import Identity
from email_handler.mail import calendar, writer
from email_handler.mail.addresses import address_domain, split_tag
from email_handler.mail.documents import archives, formats
from email_handler.mail.documents.plain import as_utf8
from email_handler.mail.documents.reading import Budget, Member, Unread
from email_handler.mail.message import Part
from email_handler.mail.parsing import parse
from email_handler.mail.patterns import regex
from email_handler.mistakes import attempt_or
from email_handler.outgoing.context import ForwardContext
from email_handler.values import dataclass

_NESTED = 5  # levels of messages within messages that are read; a deeper one is closed
_ARCHIVES = frozenset((archives.read_zip, archives.read_tar, archives.read_compressed))
_UNPACKED = 16 * 1024 * 1024  # bytes of all archives of a message together; beyond it, names alone are seen
_SEALED_TYPES = ("application/pkcs7-mime", "application/x-pkcs7-mime", "application/ms-tnef", "application/vnd.ms-tnef")
_OTHER_TYPES = ("application/calendar+json", "application/calendar+xml", "application/jscalendar+json")
_OTHER_FORMS = regex(
    r"""\s*+(?:\[[\s\[]*+"vcalendar"|<(?:[?!][^<>]*+>\s*+<){0,9}(?:[\w-]{1,20}:)?icalendar[\s>]"""
    r"""|[\[{](?=.*"@type"\s*+:\s*+"(?:js)?(?:event|task|group)")(?=.*"(?:participants|replyTo)"\s*+:))""",
    re.IGNORECASE | re.DOTALL,
)
"""A calendar in JSON (RFC 7265, RFC 8984) or XML (RFC 6321): closed, not rewritten."""
_READ = 16_384  # bytes in which one must begin, and show what it is
_SEALED_NAMES = (".p7m", "winmail.dat")
_TNEF = b"\x78\x9f\x3e\x22"  # MS-OXTNEF §2.1.3.1
_OLE = b"\xd0\xcf\x11\xe0"  # of Outlook's message as a file, among others (MS-OXMSG §2)
_SIGNED_DATA = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"  # RFC 5652 §5.1
_SIGNED_DATA_AT = 32  # bytes
_MEETINGS = (b"ipm.schedule", b"ipm.microsoft schedule")
"""Outlook's message classes (MS-OXOCAL §2.2.10), lower-case."""
_INVITES = (b"calendar", b"begin:v", b"qkvhsu46vk", *_MEETINGS)
"""What an invitation inside a signed or Outlook's own container shows in its bytes, lower-case: the type, the first
words, these in base64, Outlook's message classes."""


def for_owner(part: Part, context: ForwardContext) -> str | None:
    """Return the text of a calendar *part* changed so that responses come to the thread address.

    None if *part* is no calendar or may stay as it is.
    """
    text = calendar.calendar_text(part)
    if text is None:
        return None
    ours = _with_us(text, context)
    return None if ours == text else ours


def text_for_owner(text: str, context: ForwardContext) -> str:
    """Return *text*, the body of a message, changed in the same way if it is a calendar itself."""
    return _with_us(text, context) if calendar.is_calendar_text(text) else text


def _with_us(text: str, context: ForwardContext) -> str:
    return calendar.with_parties(
        text,
        attendee=context.identity.public_address,
        organizer=context.thread_address,
        is_ours=lambda address: _is_ours(address, context.identity),
        sender=context.record.sender.lower() if context.record.verified else "",
    )


def _is_ours(address: str, identity: Identity) -> bool:
    return (
        address_domain(address) == identity.thread_domain
        or split_tag(address)[0] == identity.public_address.lower()
        or address in identity.private_addresses
    )


@dataclass(frozen=True, slots=True)
class Unchangeable:
    """The invitations in a message that cannot be changed."""

    sealed: frozenset[int]
    """The ``id()`` of each part that holds one: signed entities (RFC 1847 multiparts, S/MIME), attached messages, and
    Outlook's container (TNEF). These are closed."""
    is_packed: bool
    """Whether one is in an archive, or in a calendar as a file. These stay as they are."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what the owner must know about them, in words."""
        shows = "Do not respond to it from there: the response would show your own mailbox."
        closed = f"The invitation is signed or attached: we cannot change it, so it comes as a file. {shows}"
        packed = f"An invitation is packed in an attached file: we cannot change it. {shows}"
        return (*([closed] if self.sealed else []), *([packed] if self.is_packed else []))


def unchangeable(root: Part) -> Unchangeable:
    """Return which invitations below *root* cannot be changed."""
    sealed = frozenset(id(part) for part in root.walk() if _is_sealed(part))
    budget = Budget()
    budget.bytes = _UNPACKED
    leaves = (part for part in root.walk() if not part.children and id(part) not in sealed)
    # An archive that cannot be read holds nothing that a client could open.
    return Unchangeable(sealed, is_packed=any(attempt_or(False, _packs, leaf, budget, 0) for leaf in leaves))


def _is_sealed(part: Part) -> bool:
    if part.content_type == "multipart/signed":
        return any(_invites(leaf, 0) for leaf in part.walk() if not leaf.children)
    return not part.children and not calendar.is_calendar(part) and _holds_invitation(part, 0)


def _invites(leaf: Part, depth: int) -> bool:
    return calendar.is_calendar(leaf) or _holds_invitation(leaf, depth)


def _holds_invitation(leaf: Part, depth: int) -> bool:
    if _is_in_another_form(leaf):
        return True
    if leaf.content_type.startswith("message/") or leaf.filename.lower().endswith(".eml"):
        return depth >= _NESTED or any(_invites(inner, depth + 1) for inner in _leaves(leaf.payload))
    content = leaf.payload
    if content.startswith(_OLE):
        letters = content.replace(b"\0", b"").lower()  # of UTF-16
        return any(sign in letters for sign in _MEETINGS)
    is_sealed = content.startswith(_TNEF) or _SIGNED_DATA in content[:_SIGNED_DATA_AT]
    if is_sealed or leaf.content_type in _SEALED_TYPES or leaf.filename.lower().endswith(_SEALED_NAMES):
        lowered = content.lower()
        return any(sign in lowered for sign in _INVITES)
    return False


def _is_in_another_form(leaf: Part) -> bool:
    sample = as_utf8(leaf.payload[:_READ]).removeprefix(b"\xef\xbb\xbf")
    return leaf.content_type in _OTHER_TYPES or _OTHER_FORMS.match(sample.decode("utf-8", "replace")) is not None


def _packs(leaf: Part, budget: Budget, depth: int) -> bool:
    if depth > _NESTED:
        return True  # nobody packs so deep by chance
    if depth and _is_in_another_form(leaf):
        return True
    text = calendar.calendar_text(leaf)
    if text is not None:
        if depth and calendar.names_parties(text):
            return True
        inner: Iterator[Part] | list[Part] = (_file("", content) for content in calendar.inline_files(text))
    elif leaf.content_type.startswith("message/") or leaf.filename.lower().endswith(".eml"):
        inner = _leaves(leaf.payload)
    else:
        inner = _unpacked(leaf.payload, budget)
    return any(_packs(part, budget, depth + 1) for part in inner)


def _unpacked(payload: bytes, budget: Budget) -> Iterator[Part]:
    """Yield the files in an archive. One that cannot be unpacked has its name, and names a party."""
    for reader in _ARCHIVES.intersection(formats.readers_of(payload)):
        for found in reader(payload, budget):
            if isinstance(found, Member):
                yield _file(found.name, found.content)
            elif isinstance(found, Unread) and found.name:
                yield _file(found.name, b"ORGANIZER:")


def _file(name: str, content: bytes) -> Part:
    return Part(
        content_type="application/octet-stream",
        parameters={},
        disposition="attachment",
        filename=name,
        content_id="",
        headers=(),
        payload=content,
    )


def _leaves(raw: bytes) -> list[Part]:
    return [part for part in parse(raw).root.walk() if not part.children]


def closed(part: Part) -> writer.Entity:
    """Return the leaf *part* as a file that no client opens by itself, byte for byte."""
    name = part.filename or "message.eml"
    name = name if name.lower().endswith(".eml") else f"{name}.bin"  # clients go by names such as smime.p7m
    return writer.binary("application/octet-stream", part.payload, disposition="attachment", name=name)
