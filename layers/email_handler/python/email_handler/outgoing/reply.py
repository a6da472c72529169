"""The reply: the owner's message as the contact gets it, from the public address and without anything private.

The headers are ours, the body is cleaned, attachments are kept; then the leak gate reads the finished message.
"""

import hashlib
import re
from dataclasses import replace
from email.utils import format_datetime

from email_handler.conversations.owners import Identity
from email_handler.identifiers import EmailAddress
from email_handler.mail import writer
from email_handler.mail.addresses import Mailbox
from email_handler.mail.charsets import decode
from email_handler.mail.filenames import without_endings
from email_handler.mail.html import html_text
from email_handler.mail.message import Message, Part
from email_handler.mail.new_text import new_text
from email_handler.mail.parsing import parse, part_text
from email_handler.mail.patterns import regex
from email_handler.outgoing import banner_removal
from email_handler.outgoing.composed import Change, Composed, Place
from email_handler.outgoing.context import ReplyContext
from email_handler.outgoing.headers import threading_fields
from email_handler.outgoing.leak_gate import gate
from email_handler.outgoing.leak_gate.masking import mask
from email_handler.outgoing.leak_gate.needles import BANNER, Needles
from email_handler.outgoing.sentinels import MARK, defused
from email_handler.outgoing.signature import below_html, below_text

_SIGNATURES = frozenset(("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"))
_TEXT_TYPES = frozenset(("application/ics", "message/delivery-status", "message/disposition-notification"))
_NESTED_KEPT = 3  # levels of messages within messages that are cleaned; deeper ones are left to the gate
_NESTED_ADDRESSES = 50  # addresses of one field of such a message
_ARMOURED = regex(
    r"^-----BEGIN PGP SIGNED MESSAGE-----\r?\n(?:[A-Za-z-]++:[^\n]*+\n)*+\r?\n|"
    r"^-----BEGIN PGP SIGNATURE-----\r?\n(?:[^-\n][^\n]*+\n|\n)*+-----END PGP SIGNATURE-----[ \t]*+\r?\n?",
    re.MULTILINE,
)
_ID_REFERENCE = regex(r"cid:([^\"'\s<>)]{1,500})", re.IGNORECASE)


def compose_reply(message: Message, context: ReplyContext) -> Composed:
    """Return the owner's *message* as it goes to the contact, held if the leak gate finds what could not be replaced.

    ``places`` list what was replaced, removed or held; ``changes`` what of the owner's own new text. Never raises.
    """
    identity = gate.for_recipients(_with_sender(context.identity, message), context.recipients)
    needles = Needles(identity)
    cleaning = _Cleaning(message, context, needles)
    body = cleaning.entity(message.root) or writer.text("")
    subject, _ = cleaning.masked(defused(context.threading.subject), "header Subject")
    fields = (
        ("From", writer.mailbox(identity.display_name, identity.public_address)),
        ("To", _recipients(context)),
        *threading_fields(replace(context.threading, subject=subject)),
    )
    seed = message.raw or message.message_id.encode("utf-8", "replace")
    return gate.composed(writer.write(fields, body, seed), needles, tuple(cleaning.places), tuple(cleaning.changes))


def _with_sender(identity: Identity, message: Message) -> Identity:
    """Return *identity* with the sender of the reply among the private addresses.

    The sender is an owner, but the conversation may be routed to other mailboxes.
    """
    senders = (EmailAddress(box.address.lower()) for box in message.from_)
    public = identity.public_address.lower()
    further = tuple(a for a in senders if a not in identity.private_addresses and a != public)
    return replace(identity, private_addresses=(*identity.private_addresses, *further))


def _recipients(context: ReplyContext) -> str:
    shown = (
        writer.mailbox(defused(context.contact_name) if address == context.contact else "", address)
        for address in context.recipients
    )
    return ",\r\n ".join(shown)


class _Cleaning:
    """Rebuilds the owner's parts without anything private. ``places`` list what was done; ``prefix`` begins their names."""

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
        }  # ids of the owner's client name its host
        # What headers.sender_name adds to the contact's name, "Jane Doe (jane at customer.example)", as clients quote it.
        spelled = re.escape(context.contact.replace("@", " at "))
        self._spelled_address = re.compile(rf""" ?\({spelled}\)(?=(?:"|&quot;)?\s{{0,4}}(?:<|&lt;|\[|:|$))""")
        bodies = [leaf for leaf in message.root.walk() if not leaf.children and id(leaf) not in self._numbers]
        self._last = set({leaf.content_type: id(leaf) for leaf in bodies}.values())  # of each type: there it is signed
        self.places: dict[Place, None] = {}
        self.changes: dict[Change, None] = {}

    def masked(self, text: str, where: str, *, markup: bool = False, name: bool = False) -> tuple[str, bool]:
        """Return *text* masked, and whether anything was replaced; note it in ``places``."""
        text = self._spelled_address.sub("", MARK.sub("", text))
        masked, replaced = mask(text, self._needles, self._context.contact, markup=markup, name=name)
        for passage in replaced:
            self.places[Place(where=where, action="replaced", what=passage.what)] = None
        return masked, bool(replaced)

    def _note_changes(self, text: str, where: str, *, markup: bool) -> None:
        """Note in ``changes`` what is replaced in the owner's own part of *text*, the body of a reply."""
        own = new_text(html_text(text), text) if markup else new_text(text)
        for passage in mask(own, self._needles, self._context.contact)[1]:
            self.changes[Change(where=where, what=passage.what, before=passage.before, after=passage.after)] = None

    def entity(self, part: Part) -> writer.Entity | None:
        """Return *part* cleaned, or None if nothing of it may leave."""
        where, kind = self._where(part), part.content_type
        if self._is_signature_or_key(part):
            self._removed(where, "signature")
            return None
        if kind == "multipart/signed" and part.children:
            self._removed(where, "signature")
            return self.entity(part.children[0])
        if part.children:
            return self._container(part)
        if kind == "message/rfc822":
            return self._nested(part, where)
        if kind.startswith(("text/", "multipart/")) or kind in _TEXT_TYPES:
            return self._text(part, where)
        return self._file(part, part.payload, where)

    def _is_signature_or_key(self, part: Part) -> bool:
        """Return whether *part* is a signature, or a key that names the owner: clients attach both unasked."""
        return part.content_type in _SIGNATURES or (
            part.content_type == "application/pgp-keys" and gate.reveals(part, self._needles)
        )

    def _container(self, part: Part) -> writer.Entity | None:
        children = [entity for child in part.children if (entity := self.entity(child)) is not None]
        subtype = part.content_type.partition("/")[2] if part.content_type.startswith("multipart/") else "mixed"
        if len(children) == 1 and subtype in {"mixed", "alternative"}:
            return children[0]
        kept = [(name, value) for name, value in part.parameters.items() if name in {"type", "report-type"}]
        return writer.multipart(subtype, children, kept) if children else None

    def _text(self, part: Part, where: str) -> writer.Entity:
        is_html, is_body = part.content_type == "text/html", id(part) not in self._numbers
        if is_html:
            text = part_text(part)
            cleaned, found = banner_removal.remove_from_html(text)
            cleaned = _ID_REFERENCE.sub(lambda match: "cid:" + self._ids.get(match[1], match[1]), cleaned)
        else:
            text = decode(part.payload, part.parameters.get("charset", ""))  # flowed text stays flowed
            cleaned, found = banner_removal.remove_from_text(text)
            if is_body:
                cleaned = self._without_armour(cleaned, where)
        if found:
            self._removed(where, BANNER)
        if self._depth == 0 and id(part) in self._last:
            cleaned = self._with_signature(part, cleaned)
        if is_body and self._depth == 0:
            self._note_changes(cleaned, where, markup=is_html)
        cleaned, _ = self.masked(cleaned, where, markup=is_html)
        if cleaned == text and not is_body:
            return self._file(part, part.payload, where)
        if part.content_type in _TEXT_TYPES:
            return self._file(part, cleaned.encode("utf-8", "replace"), where)
        subtype = part.content_type[5:] if part.content_type.startswith("text/") else "plain"
        return writer.text(cleaned, subtype, part.parameters.items(), self._placement(part, where))

    def _with_signature(self, part: Part, text: str) -> str:
        if part.content_type == "text/html":
            return below_html(text, self._context.signature)
        flowed = part.parameters.get("format", "").lower() == "flowed"
        return below_text(text, self._context.signature, flowed=flowed) if part.content_type == "text/plain" else text

    def _without_armour(self, text: str, where: str) -> str:
        if "-----BEGIN PGP SIGNATURE-----" not in text:
            return text
        plain = _ARMOURED.sub("", text)
        if plain == text:
            return text
        self._removed(where, "signature")
        return re.sub(r"(?m)^- ", "", plain)  # RFC 4880 §7.1: dash-escaped lines

    def _nested(self, part: Part, where: str) -> writer.Entity:
        """Return an attached message unchanged, or, if it reveals what is private, cleaned like the message around it."""
        if self._depth >= _NESTED_KEPT or not gate.reveals(part, self._needles):
            return self._file(part, part.payload, where)
        message = parse(part.payload)
        inner = _Cleaning(message, self._context, self._needles, f"{where}: ", self._depth + 1)
        body = inner.entity(message.root) or writer.text("")
        fields = [
            ("From", inner.mailboxes(message.from_, "From")),
            ("To", inner.mailboxes(message.to, "To")),
            ("Cc", inner.mailboxes(message.cc, "Cc")),
            ("Date", format_datetime(message.date) if message.date else ""),
            ("Subject", writer.unstructured(inner.masked(message.subject, f"{where}: header Subject")[0])),
        ]
        self.places |= inner.places
        raw = writer.write(tuple(field for field in fields if field[1]), body, part.payload)
        return self._file(part, raw, where)

    def mailboxes(self, boxes: tuple[Mailbox, ...], name: str) -> str:
        """Return *boxes* as the value of an address field, masked."""
        where = f"{self._prefix}header {name}"
        kept = [box for box in boxes[:_NESTED_ADDRESSES] if box.address.isascii() and " " not in box.address]
        return ",\r\n ".join(
            writer.mailbox(self.masked(box.name, where)[0], self.masked(box.address, where)[0]) for box in kept
        )

    def _file(self, part: Part, payload: bytes, where: str) -> writer.Entity:
        name, content_id = self._name(part, where), self._ids.get(part.content_id, "")
        return writer.binary(
            part.content_type,
            payload,
            part.parameters.items(),
            disposition=part.disposition,
            name=name,
            content_id=content_id,
        )

    def _placement(self, part: Part, where: str) -> writer.Fields:
        return writer.placement(part.disposition, self._name(part, where), self._ids.get(part.content_id, ""))

    def _name(self, part: Part, where: str) -> str:
        stem = without_endings(part.filename) or part.filename
        masked, changed = self.masked(stem, f"{where} name", name=True)
        return masked + part.filename[len(stem) :] if changed else part.filename

    def _where(self, part: Part) -> str:
        number = self._numbers.get(id(part))
        return self._prefix + (f"attachment {number} ({part.content_type})" if number else part.content_type)

    def _removed(self, where: str, what: str) -> None:
        self.places[Place(where=where, action="removed", what=what)] = None
