"""The forward: a contact's message as the owner gets it, and the copy that a mailbox gets of another's reply.

The body keeps its structure, its HTML is confined below the banner, and every attachment keeps its bytes; the headers are
ours. A signed or encrypted message goes unchanged beside the banner, unless what is signed could pass for the banner or
cover it. A message that cannot be rebuilt is attached whole; of one that is too large, the text and a list of the rest
are sent.
"""

import re
from collections.abc import Iterable

from email_handler.mail import writer
from email_handler.mail.calendar import TYPES as CALENDAR_TYPES
from email_handler.mail.charsets import decode
from email_handler.mail.confinement import MAX_CONFINED, Confined, confine
from email_handler.mail.html import html_text
from email_handler.mail.message import HOPS, Message, Part, hops
from email_handler.mail.parsing import parse, part_text
from email_handler.mail.patterns import regex
from email_handler.mistakes import attempt_or
from email_handler.outgoing import banner, frame, invitations, pieces
from email_handler.outgoing.actions import files_action
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.context import ForwardContext
from email_handler.outgoing.files import in_messages, left_out
from email_handler.outgoing.headers import sender_name, threading_fields
from email_handler.outgoing.original import FORWARD_LIMIT, original
from email_handler.outgoing.sentinels import defused_runs, marked

TEXT_KEPT = 1_000_000  # characters of the text that are sent with the list if the message is too large
LIST_KEPT = 200  # entries of that list
_ARMOUR = "-----BEGIN PGP "

type _Flow = tuple[tuple[str, str], ...]
"""Parameters of flowed text (RFC 3676 §4)."""


def compose_forward(message: Message, context: ForwardContext) -> Composed:
    """Return *message* as it goes to the owner. Never raises, whatever the message holds; never held.

    The bytes depend on the arguments alone: a retry composes the same message.
    """
    fields = (*_fields(context), (HOPS, str(hops(message) + 1)))
    found = invitations.unchangeable(message.root)
    if not context.text_only:
        raw = writer.write(fields, _entity(message, context, found), message.raw or repr(fields).encode())
        if len(raw) <= FORWARD_LIMIT:
            return Composed(raw=raw)
    shortened = _text_and_list(message, context, found)
    raw = writer.write(fields, shortened, message.raw or repr(fields).encode())
    return Composed(raw=raw, left_out=left_out(message, context.record))


def file_entities(message: Message, context: ForwardContext, number: int) -> list[writer.Entity]:
    """Return the files of the *number*-th message with what was left out, as a forward of them would hold them."""
    found = invitations.unchangeable(message.root)
    rebuilt = _Rebuilding(message, context, banner.banner(message, context), found.sealed)
    return [rebuilt.unchanged(file.part) for file in in_messages(message)[0][number - 1]]


def _fields(context: ForwardContext) -> writer.Fields:
    name = context.copy.sender if context.copy else sender_name(context.record, context.conversation)
    return (
        ("From", writer.mailbox(name, context.thread_address)),
        ("To", context.identity.public_address),
        *threading_fields(context.threading),
        *([("Auto-Submitted", "auto-generated")] if context.copy else []),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),
        ("X-Email-Handler-Conversation", context.conversation.id),
        ("X-Email-Handler-Inbox", writer.unstructured(_inbox(context))),
        ("X-Email-Handler-Score", f"{context.record.score:.1f}"),
    )


def _inbox(context: ForwardContext) -> str:
    local, _, domain = context.identity.public_address.partition("@")
    return f"{local}+{context.record.source}@{domain}" if context.record.source else context.identity.public_address


def _entity(message: Message, context: ForwardContext, found: invitations.Unchangeable) -> writer.Entity:
    shown = banner.banner(message, context, invitations=found.warnings)
    rebuilt = _Rebuilding(message, context, shown, found.sealed)
    entity = rebuilt.with_banner(message.root) or writer.multipart(
        "mixed", (rebuilt.plain(""), rebuilt.unchanged(message.root))
    )
    return writer.multipart("mixed", (entity, original(message.raw))) if rebuilt.whole else entity


def _text_and_list(message: Message, context: ForwardContext, found: invitations.Unchangeable) -> writer.Entity:
    listed = [
        f"{writer.one_line(file.name, 80)} ({banner.size(len(file.payload))})"
        for file in message.attachments[:LIST_KEPT]
    ]
    if (more := len(message.attachments) - LIST_KEPT) > 0:
        listed.append(f"and {more} more")
    listed = listed or [f"parts of the message ({banner.size(message.size)})"]
    files = (
        (files_action(context.conversation, context.record.receipt, context.identity.thread_domain),)
        if in_messages(message)[0]
        else ()
    )
    shown = banner.banner(message, context, tuple(listed), found.warnings, files)
    cut = "\n[the rest of the text is in the archive]" if len(message.text) > TEXT_KEPT else ""
    kept = invitations.text_for_owner(message.text[:TEXT_KEPT], context)
    return _Rebuilding(message, context, shown, found.sealed).plain(kept + cut)


class _Rebuilding:
    """Turns the parts of a parsed message into the MIME entities of its forward."""

    def __init__(self, message: Message, context: ForwardContext, shown: banner.Banner, sealed: frozenset[int]) -> None:
        self._context = context
        self._shown = shown
        self._text = message.text
        self._subject = context.threading.subject
        self._words = frame.first_words(context.record.snippet or message.text)
        self._attached = {id(attachment.part) for attachment in message.attachments}
        self._sealed = sealed
        self._signed = {
            id(part): None if id(part) in self._sealed or self._could_mislead(part) else _signed(part, message.raw)
            for part in message.root.walk()
            if part.content_type == "multipart/signed" and len(part.children) > 1  # RFC 1847 §2.1: two
        }
        self.whole = bool(message.raw) and (
            None in self._signed.values() or not _UNREAD.isdisjoint(message.defects)
        )  # whether the message must be attached whole, beside what could be read of it
        self._has_raw = bool(message.raw)

    def _could_mislead(self, part: Part) -> bool:
        """Return whether *part*, shown unchanged near the banner, could cover it or pass for it."""
        leaves = [leaf for leaf in part.walk() if not leaf.children and id(leaf) not in self._attached]
        html = any(leaf.content_type == "text/html" for leaf in leaves)
        return html or any(marked(text) != text for text in map(_text, leaves))

    def plain(self, text: str, given: str | None = None, flow: _Flow = (), fields: writer.Fields = ()) -> writer.Entity:
        """Return the contact's *text* with the banner, as plain text (*given*, if that differs: flowed) and as HTML, for
        one look of all messages. What is long, or signed within itself (RFC 4880 §7), stays plain text."""
        plain = writer.text(banner.around(self._shown, marked(text if given is None else given)), "plain", flow, fields)
        if len(text) > frame.MAX_TEXT or _ARMOUR in text:
            return plain
        theirs = frame.from_text(text)
        page = (
            self._page(theirs, plain=True)
            if theirs.shows
            else pieces.page(banner.as_html(self._shown), title=self._subject, preview="")
        )
        return writer.multipart("alternative", (plain, writer.text(page, "html")))

    def _page(self, theirs: Confined, *, plain: bool) -> str:
        above, below = banner.as_html(self._shown), banner.actions_as_html(self._shown)
        return frame.page(theirs, plain=plain, above=above, below=below, subject=self._subject, words=self._words)

    def _html(self, part: Part, *, first: bool, fields: writer.Fields = ()) -> writer.Entity:
        """Return *part*'s HTML confined, with the banner if it is the *first*. What cannot be confined is shown as text and
        attached whole."""
        text = _text(part)
        # A mistake of ours in a page must not keep its text from the owner.
        confined = attempt_or(None, confine, text, defused_runs) if len(text) <= MAX_CONFINED else None
        if confined is None:
            self.whole = self._has_raw
        plain = confined is None or not confined.shows
        if confined is None or plain:
            confined = frame.from_text(html_text(text[: 10 * TEXT_KEPT]))
        page = self._page(confined, plain=plain) if first else frame.page(confined, plain=plain)
        return writer.text(page, "html", (), fields)

    def with_banner(self, part: Part) -> writer.Entity | None:
        """Return *part* with the banner on top of its body, or None if it has no body."""
        is_closed = id(part) in self._attached or id(part) in self._sealed
        if is_closed or self._signed.get(id(part)) or part.content_type == "multipart/encrypted":
            return None
        if part.children:
            return self._container_with_banner(part)
        if part.content_type == "text/html":
            return self._html(part, first=True, fields=writer.placement("", "", part.content_id))
        if part.content_type == "text/plain" or part.content_type.startswith("multipart/"):  # one without boundary
            if part.content_id:  # others refer to it as it is
                return self._text_alone(part)
            text, given = (invitations.text_for_owner(one, self._context) for one in (part_text(part), _text(part)))
            return self.plain(text, given, _flow(part))
        return None

    def _text_alone(self, part: Part) -> writer.Entity:
        body = banner.around(self._shown, marked(invitations.text_for_owner(_text(part), self._context)))
        return writer.text(body, "plain", _flow(part), writer.placement("", "", part.content_id))

    def _container_with_banner(self, part: Part) -> writer.Entity | None:
        if part.content_type == "multipart/alternative":
            return self._alternatives_with_banner(part)
        first, *rest = _root_first(part)
        entity = self.with_banner(first)
        if entity is not None:
            return _container(part, (entity, *map(self.unchanged, rest)))
        if part.content_type != "multipart/mixed":
            return None
        return _container(part, (self.plain(""), *map(self.unchanged, part.children)))

    def _alternatives_with_banner(self, part: Part) -> writer.Entity | None:
        """Return *part* with the banner in each alternative. One that cannot have it follows as a file: a client that
        preferred it would show no banner. Clients show an invitation beside the text, so it stays."""
        shown: list[writer.Entity] = []
        others: list[writer.Entity] = []
        found = False
        for child in part.children:
            entity = self._alternative_text(child) or self.with_banner(child)
            if entity or child.content_type in CALENDAR_TYPES:
                shown.append(entity or self.unchanged(child))
            else:
                others.append(self.unchanged(child))
            found = found or entity is not None
        if not found:
            return None
        kept = _container(part, shown)
        return writer.multipart("mixed", (kept, *others)) if others else kept

    def _alternative_text(self, part: Part) -> writer.Entity | None:
        """Return *part*, if it is the plain text of several alternatives, with the banner; of a blank one, the others' text:
        its reader would see the banner alone."""
        if part.content_type != "text/plain" or id(part) in self._attached:
            return None
        if not _text(part).strip():
            return writer.text(banner.around(self._shown, marked(self._text)))
        return self._text_alone(part)

    def unchanged(self, part: Part) -> writer.Entity:
        """Return *part* rebuilt: calendars changed, sealed invitations closed, HTML confined, and nothing else."""
        if signed := self._signed.get(id(part)):
            return signed
        if part.children:
            return _container(part, map(self.unchanged, part.children))
        if (invitation := self._invitation(part)) is not None:
            return invitation
        if part.content_type in {"text/plain", "text/html"} and id(part) not in self._attached:
            return self._further_body(part)
        return _file(part, part.payload)

    def _invitation(self, part: Part) -> writer.Entity | None:
        if id(part) in self._sealed:
            return invitations.closed(part)
        if (ours := invitations.for_owner(part, self._context)) is None:
            return None
        main, _, subtype = part.content_type.partition("/")
        if main == "text":
            return writer.text(ours, subtype, part.parameters.items(), _placement(part))
        return _file(part, ours.encode())

    def _further_body(self, part: Part) -> writer.Entity:
        """Return a text or HTML that clients show below the first, in the same page."""
        if part.content_type == "text/html":
            return self._html(part, first=False, fields=_placement(part))
        return writer.text(marked(_text(part)), "plain", _flow(part), _placement(part))


_PAGES = regex("html|^message/(?:rfc822|global|news)$|^text/(?:enriched|richtext)$")
"""Types of files that some clients show in the page of the message, where they could cover the banner."""


_UNREAD = frozenset(
    (
        "header section cut",
        "multipart without a usable boundary",
        "nested too deep",
        "too many delimiters",
        "too many parts",
    )
)
"""Defects of a message whose parts do not show everything that it holds."""


def _signed(part: Part, raw: bytes) -> writer.Entity | None:
    """Return a multipart/signed entity with its bytes unchanged: they are what is signed (RFC 1847 §2.1).

    None if they cannot be sent as they are, or would not be read as *part*.
    """
    boundary = part.parameters.get("boundary", "").encode("utf-8", "replace")
    first = re.search(rb"^--" + re.escape(boundary) + rb"[ \t]*\r?$", raw, re.MULTILINE)
    end = raw.find(b"\n--" + boundary + b"--", first.end()) if first and boundary else -1
    if first is None or end < 0:
        return None
    content = raw[first.start() : end].removesuffix(b"\r") + b"\r\n--" + boundary + b"--\r\n"
    field = writer.content_type_field(part.content_type, part.parameters.items())
    again = parse(f"Content-Type: {field}\r\n\r\n".encode() + content)
    if not writer.fits_seven_bits(content) or _payloads(again.root) != _payloads(part):
        return None
    if "no blank line behind the headers" in again.defects or any(map(_repeats_a_field, again.root.walk())):
        return None  # SES refuses a repeated field
    return writer.Entity(fields=(("Content-Type", field),), body=content)


def _repeats_a_field(part: Part) -> bool:
    names = [header.name.lower() for header in part.headers]
    return len(names) != len(set(names))


def _payloads(part: Part) -> list[tuple[str, bytes]]:
    return [(leaf.content_type, leaf.payload) for leaf in part.walk()]


def _root_first(part: Part) -> list[Part]:
    """Return *part*'s children, the one first that clients show: multipart/related may name another (RFC 2387 §3.2)."""
    root = part.parameters.get("start", "").strip("<> ") if part.content_type == "multipart/related" else ""
    return sorted(part.children, key=lambda child: not root or child.content_id != root)


def _container(part: Part, children: Iterable[writer.Entity]) -> writer.Entity:
    main, _, subtype = part.content_type.partition("/")
    known = subtype if main == "multipart" and subtype != "signed" else "mixed"
    kept = [(name, value) for name, value in part.parameters.items() if name not in {"start", "start-info"}]
    return writer.multipart(known, children, kept)


def _file(part: Part, payload: bytes) -> writer.Entity:
    return writer.binary(
        part.content_type,
        payload,
        part.parameters.items(),
        disposition="attachment" if _PAGES.search(part.content_type) or _imitates(part) else part.disposition,
        name=part.filename,
        content_id=part.content_id,
    )


def _imitates(part: Part) -> bool:
    """Return whether *part*, which clients may show below the body, has lines like the banner's."""
    if part.disposition == "attachment" or not part.content_type.startswith(("text/", "message/")):
        return False
    text = decode(part.payload, part.parameters.get("charset", ""))
    return len(text) > TEXT_KEPT or marked(text) != text


def _text(part: Part) -> str:
    """Return a leaf's text; flowed text (RFC 3676) keeps its line breaks."""
    flowed = part.content_type == "text/plain"
    return decode(part.payload, part.parameters.get("charset", "")) if flowed else part_text(part)


def _flow(part: Part) -> _Flow:
    return tuple((name, part.parameters[name]) for name in ("format", "delsp") if name in part.parameters)


def _placement(part: Part) -> writer.Fields:
    return writer.placement(part.disposition, part.filename, part.content_id)
