"""The reply: the owner's answer as the contact gets it, from the public address and with nothing of the owner's else.

Headers are ours, the body is cleaned, attachments are kept; then the leak gate reads the finished message.
"""

import hashlib
import re
from dataclasses import replace
from email.utils import format_datetime

from email_handler.conversations.identity import Identity
from email_handler.identifiers import EmailAddress
from email_handler.mail import writer as mime
from email_handler.mail.addresses import Mailbox
from email_handler.mail.charsets import decode
from email_handler.mail.message import Message, Part, parse, part_text
from email_handler.outgoing import banner_removal
from email_handler.outgoing.composed import Composed, Place, ReplyContext
from email_handler.outgoing.leak_gate import gate
from email_handler.outgoing.leak_gate.masking import mask
from email_handler.outgoing.leak_gate.needles import BANNER, Needles
from email_handler.outgoing.sentinels import defused

_SIGNATURES = frozenset(("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"))
_OF_TEXT = frozenset(("application/ics", "message/delivery-status", "message/disposition-notification"))
_NESTED_KEPT = 3  # messages within messages that are cleaned; deeper ones are left to the gate
_NESTED_ADDRESSES = 50  # addresses of one field of such a message
_ARMOURED = re.compile(
    r"^-----BEGIN PGP SIGNED MESSAGE-----\r?\n(?:[A-Za-z-]++:[^\n]*+\n)*+\r?\n|"
    r"^-----BEGIN PGP SIGNATURE-----\r?\n(?:[^-\n][^\n]*+\n|\n)*+-----END PGP SIGNATURE-----[ \t]*+\r?\n?",
    re.MULTILINE,
)
_ID_REFERENCE = re.compile(r"cid:([^\"'\s<>)]{1,500})", re.IGNORECASE)


def compose_reply(message: Message, context: ReplyContext) -> Composed:
    """Return the owner's *message* as it goes to the contact. Never raises; held where the leak gate found something
    that could not be replaced. ``places`` tell what was replaced, removed or held."""
    identity = gate.for_recipients(_with_the_writer(context.identity, message), context.recipients)
    needles = Needles(identity)
    cleaning = _Cleaning(message, context, needles)
    body = cleaning.entity(message.root) or mime.text("")
    subject, _ = cleaning.masked(defused(context.threading.subject), "header Subject")
    answered = mime.message_ids((context.threading.in_reply_to,))
    references = mime.message_ids(context.threading.references)
    fields = (
        ("From", mime.mailbox(identity.display_name, identity.public_address)),
        ("To", _recipients(context)),
        ("Subject", mime.unstructured(subject)),
        *((("In-Reply-To", answered),) if answered else ()),
        *((("References", references),) if references else ()),
    )
    seed = message.raw or message.message_id.encode("utf-8", "replace")
    return gate.composed(mime.write(fields, body, seed), needles, tuple(cleaning.places))


def _with_the_writer(identity: Identity, message: Message) -> Identity:
    """Return *identity* with the address that the answer comes from: it is an owner's, though perhaps a mailbox that
    the conversation does not go to."""
    writers = (EmailAddress(box.address.lower()) for box in message.from_)
    public = identity.public_address.lower()
    further = tuple(a for a in writers if a not in identity.private_addresses and a != public)
    return replace(identity, private_addresses=(*identity.private_addresses, *further))


def _recipients(context: ReplyContext) -> str:
    shown = (
        mime.mailbox(defused(context.contact_name) if address == context.contact else "", address)
        for address in context.recipients
    )
    return ",\r\n ".join(shown)


class _Cleaning:
    """Rebuilds the owner's parts without what is the owner's; ``places`` tell what was done, ``prefix`` where."""

    def __init__(
        self, message: Message, context: ReplyContext, needles: Needles, prefix: str = "", depth: int = 0
    ) -> None:
        self._context = context
        self._needles = needles
        self._prefix = prefix
        self._depth = depth
        self._numbers = {id(attachment.part): attachment.number for attachment in message.attachments}
        own = hashlib.sha256(message.raw).hexdigest()[:16]
        self._ids = {
            part.content_id: f"part{number}.{own}@{needles.identity.domain}"
            for number, part in enumerate(message.root.walk(), 1)
            if part.content_id
        }  # a client's own ids name its host
        # The name that a forward gives the contact, "Jane Doe (jane at customer.example)", as clients quote it.
        spoken = re.escape(context.contact.replace("@", " at "))
        self._spoken = re.compile(rf' ?\({spoken}\)(?=(?:"|&quot;)?\s{{0,4}}(?:<|&lt;|\[|:|$))')
        self.places: dict[Place, None] = {}

    def masked(self, text: str, where: str, *, markup: bool = False) -> tuple[str, bool]:
        """Return *text* masked, with the places noted, and whether it changed."""
        text = self._spoken.sub("", text)
        masked, whats = mask(text, self._needles, self._context.contact, markup=markup)
        for what in whats:
            self.places[Place(where=where, action="replaced", what=what)] = None
        return masked, bool(whats)

    def entity(self, part: Part) -> mime.Entity | None:
        """Return *part* cleaned; None where nothing of it is to leave."""
        where, kind = self._where(part), part.content_type
        if self._is_the_owners(part):
            self._removed(where, "signature")
            return None
        if kind == "multipart/signed" and part.children:
            self._removed(where, "signature")
            return self.entity(part.children[0])
        if part.children:
            return self._container(part)
        if kind == "message/rfc822":
            return self._nested(part, where)
        if kind.startswith(("text/", "multipart/")) or kind in _OF_TEXT:
            return self._text(part, where)
        return self._file(part, part.payload, where)

    def _is_the_owners(self, part: Part) -> bool:
        """Tell whether *part* is a signature, or a key with the owner's address: clients attach it unasked."""
        return part.content_type in _SIGNATURES or (
            part.content_type == "application/pgp-keys" and gate.reveals(part, self._needles)
        )

    def _container(self, part: Part) -> mime.Entity | None:
        children = [entity for child in part.children if (entity := self.entity(child)) is not None]
        subtype = part.content_type.partition("/")[2] if part.content_type.startswith("multipart/") else "mixed"
        if len(children) == 1 and subtype in {"mixed", "alternative"}:
            return children[0]
        kept = [(name, value) for name, value in part.parameters.items() if name in {"type", "report-type"}]
        return mime.multipart(subtype, children, kept) if children else None

    def _text(self, part: Part, where: str) -> mime.Entity:
        body = id(part) not in self._numbers
        if part.content_type == "text/html":
            text = part_text(part)
        else:
            text = decode(part.payload, part.parameters.get("charset", ""))  # flowed text stays flowed
        if part.content_type == "text/html":
            cleaned, found = banner_removal.remove_from_html(text)
            cleaned = _ID_REFERENCE.sub(lambda match: "cid:" + self._ids.get(match[1], match[1]), cleaned)
        else:
            cleaned, found = banner_removal.remove_from_text(text)
            if body:
                cleaned = self._without_armour(cleaned, where)
        if found:
            self._removed(where, BANNER)
        cleaned, _ = self.masked(cleaned, where, markup=part.content_type == "text/html")
        if cleaned == text and not body:
            return self._file(part, part.payload, where)
        subtype = part.content_type[5:] if part.content_type.startswith("text/") else "plain"
        if part.content_type in _OF_TEXT:
            return self._file(part, cleaned.encode("utf-8", "replace"), where)
        return mime.text(cleaned, subtype, part.parameters.items(), self._placement(part, where))

    def _without_armour(self, text: str, where: str) -> str:
        if "-----BEGIN PGP SIGNATURE-----" not in text:
            return text
        plain = _ARMOURED.sub("", text)
        if plain == text:
            return text
        self._removed(where, "signature")
        return re.sub(r"(?m)^- ", "", plain)  # RFC 4880 §7.1: dash-escaped lines

    def _nested(self, part: Part, where: str) -> mime.Entity:
        """Return an attached message as it is, or, if it gives the owner away, cleaned like the mail it came in."""
        if self._depth >= _NESTED_KEPT or not gate.reveals(part, self._needles):
            return self._file(part, part.payload, where)
        message = parse(part.payload)
        inner = _Cleaning(message, self._context, self._needles, f"{where}: ", self._depth + 1)
        body = inner.entity(message.root) or mime.text("")
        fields = [
            ("From", inner.mailboxes(message.from_, "From")),
            ("To", inner.mailboxes(message.to, "To")),
            ("Cc", inner.mailboxes(message.cc, "Cc")),
            ("Date", format_datetime(message.date) if message.date else ""),
            ("Subject", mime.unstructured(inner.masked(message.subject, f"{where}: header Subject")[0])),
        ]
        self.places |= inner.places
        raw = mime.write(tuple(field for field in fields if field[1]), body, part.payload)
        return self._file(part, raw, where)

    def mailboxes(self, boxes: tuple[Mailbox, ...], name: str) -> str:
        """Return *boxes* as the value of an address field, masked."""
        where = f"{self._prefix}header {name}"
        kept = [box for box in boxes[:_NESTED_ADDRESSES] if box.address.isascii() and " " not in box.address]
        return ",\r\n ".join(
            mime.mailbox(self.masked(box.name, where)[0], self.masked(box.address, where)[0]) for box in kept
        )

    def _file(self, part: Part, payload: bytes, where: str) -> mime.Entity:
        name, content_id = self._name(part, where), self._ids.get(part.content_id, "")
        return mime.binary(
            part.content_type,
            payload,
            part.parameters.items(),
            disposition=part.disposition,
            name=name,
            content_id=content_id,
        )

    def _placement(self, part: Part, where: str) -> mime.Fields:
        return mime.placement(part.disposition, self._name(part, where), self._ids.get(part.content_id, ""))

    def _name(self, part: Part, where: str) -> str:
        stem, dot, extension = part.filename.rpartition(".")
        masked, changed = self.masked(stem if dot else extension, f"{where} name")
        return masked + dot + (extension if dot else "") if changed else part.filename

    def _where(self, part: Part) -> str:
        number = self._numbers.get(id(part))
        return self._prefix + (f"attachment {number} ({part.content_type})" if number else part.content_type)

    def _removed(self, where: str, what: str) -> None:
        self.places[Place(where=where, action="removed", what=what)] = None
