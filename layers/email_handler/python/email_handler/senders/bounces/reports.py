"""The parts of a message that may be a report, and delivery reports (RFC 3464)."""

from collections.abc import Iterator, Mapping, Sequence

from email_handler.identifiers import EmailAddress
from email_handler.mail.message import Message, Part
from email_handler.mail.patterns import regex
from email_handler.senders.bounces import words
from email_handler.senders.bounces.feedback import Feedback, FeedbackKind
from email_handler.values import dataclass

_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status", "message/x-delivery-status")
RETURNED_TYPES = frozenset((
    "message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "text/rfc822-header",
    "message/global", "message/global-headers", "message/partial",
))  # fmt: skip

_DIVIDER = regex(
    r"copy of (?:the|your) (?:original )?message|original (?:message|mail)|returned message|unsent message|message headers?"
    r"|message text follows|header of the original|undelivered message|forwarded message|original headers"
    r"|元のメール|исходное сообщение|ursprüngliche nachricht|message d'origine"
)
_NOT_DIVIDER = regex(r"original message was|receive a copy")
_DRAWN = ("-", "=", "*", "_", "|", "#", "~", "<")  # what lines that are drawn begin with
_DIVIDER_LIMIT = 120  # characters: a divider is one line on a screen
_HEADER_STARTS = ("received:", "return-path:", "dkim-signature:", "x-received:", "arc-seal:", "x-google-smtp-source:")
_HEADER_START_BYTES = tuple(start.encode() for start in _HEADER_STARTS)

_FIELD_NAME = regex(r"[!-9;-~]{1,60}")
_SUCCESSES = ("delivered", "relayed", "expanded", "deliverable")  # RFC 3464 §2.3.3, as mailers spell them

FORWARDED_COMPLAINT = "x-hmxmroriginalrecipient"
"""A field of Microsoft's complaints (JMRP), which are the message itself, forwarded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The parts that matter of a message that may be a report."""

    notice: str  # the text for people, up to the returned message
    below: str  # what follows in the same text: the returned message, or its header
    status: str  # delivery-status parts
    complaint: str  # feedback-report parts
    returned_text: str  # the returned message, or its header, from a part or from *below*
    returned: Mapping[str, str]  # its first fields by lower-case name
    threads_to: str  # the id that the report itself replies to, "" without one

    @property
    def original_message_id(self) -> str:
        """Return the returned message's own id, or the one replied to: Exchange and Google thread their reports."""
        own = self.returned.get("message-id", "")
        return own.strip().strip("<>").strip() or self.threads_to

    @property
    def returned_recipients(self) -> tuple[EmailAddress, ...]:
        """Return the returned message's recipient if it is only one: of several, any may have failed."""
        for name in ("x-envelope-to", FORWARDED_COMPLAINT, "x-failed-recipients", "original-recipient", "to"):
            found = words.distinct(words.addresses_in(self.returned.get(name, "")))
            if len(found) == 1:
                return found
        return ()


def read_report(message: Message) -> Report:
    """Return the parts of *message* that a report would have."""
    notice, below = _split_returned(message.text)
    status = complaint = returned_text = ""
    for part in leaves(message.root):
        if part.content_type in _STATUS_TYPES:
            status += "\n\n" + _decoded(part)
        elif part.content_type == "message/feedback-report":
            complaint += "\n\n" + _decoded(part)
        elif returned_text or part is message.root:
            continue
        elif part.content_type in RETURNED_TYPES or _holds_header(part):
            returned_text = _decoded(part)
        elif any(header.name.lower() == "received" for header in part.headers):
            # Some mailers use the returned message's own header as the part's header.
            returned_text = "\n".join(f"{header.name}: {header.raw}" for header in part.headers)
    returned_text = returned_text or below
    replied_to = (*message.in_reply_to, *reversed(message.references))
    return Report(
        notice=notice,
        below=below,
        status=status,
        complaint=complaint,
        returned_text=returned_text,
        returned=_header_fields(returned_text or status),
        threads_to=replied_to[0] if replied_to else "",
    )


def read_delivery_report(report: Report, groups: Sequence[Mapping[str, str]]) -> Feedback | None:
    """Return what the per-recipient *groups* report (see :func:`recipient_groups`), None if only successes.

    If some recipients failed and others are delayed, it is a bounce about those that failed.
    """
    actions = [_action(group) for group in groups]
    failed = [group for group, action in zip(groups, actions, strict=True) if action not in (*_SUCCESSES, "delayed")]
    chosen = failed or [group for group, action in zip(groups, actions, strict=True) if action == "delayed"]
    if not chosen:
        return None
    kind = FeedbackKind.BOUNCE if failed else FeedbackKind.DELAY
    recipients = words.distinct(
        address
        for group in chosen
        for name in ("final-recipient", "original-recipient")
        for address in words.addresses_in(group.get(name, "").rpartition(";")[2])[:1]
    )
    diagnostic = next((group["diagnostic-code"] for group in chosen if group.get("diagnostic-code")), "")
    stated = (words.status_in(group.get("status", "")) for group in chosen)
    status = next((text for text in stated if text), "") or words.best_status_in(diagnostic)
    return Feedback(
        kind=kind,
        recipients=recipients or report.returned_recipients,
        status=status,
        permanent=kind is FeedbackKind.BOUNCE and not status.startswith("4"),
        original_message_id=report.original_message_id,
        diagnostic=words.without_addresses(diagnostic.removeprefix("smtp;").removeprefix("SMTP;")),
    )


def recipient_groups(text: str) -> list[dict[str, str]]:
    """Return the per-recipient groups of a delivery report (RFC 3464 §2.3).

    A blank line ends a group. Some mailers put blank lines elsewhere, or none: then the order of the fields decides.
    """
    groups: list[dict[str, str]] = [{}]
    for name, value in fields_in(text):
        group = groups[-1]
        starts = name in ("final-recipient", "original-recipient") and name in group
        if starts or (not name and _names_recipient(group)):
            groups.append({})
        if name:
            groups[-1].setdefault(name, value)
    found: list[dict[str, str]] = []
    for group in groups:
        if _names_recipient(group):
            found.append(group)
        elif found:
            for name, value in group.items():
                found[-1].setdefault(name, value)
    return found


def _names_recipient(group: Mapping[str, str]) -> bool:
    return "final-recipient" in group or "original-recipient" in group


def _action(group: Mapping[str, str]) -> str:
    stated = group.get("action", "failed").lower().split()
    return stated[0].strip(";,()") if stated else "failed"


def leaves(part: Part) -> Iterator[Part]:
    """Yield the leaves that belong to the report itself, none from inside the returned message."""
    if part.content_type in RETURNED_TYPES or part.content_type in _STATUS_TYPES or not part.children:
        yield part
        return
    for child in part.children:
        yield from leaves(child)


def fields_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield (name in lower case, value) of each field in *text*, continuation lines joined; ("", "") for a gap."""
    name, value = "", ""
    for line in (*words.lines_of(text), ""):
        if name and line[:1] in (" ", "\t") and line.strip():
            value += " " + line.strip() if len(value) < words.LINE_LIMIT else ""
            continue
        if name:
            yield name, value
        head, colon, rest = line.lstrip("> \t").partition(":")
        name, value = (head.lower(), rest.strip()) if colon and _FIELD_NAME.fullmatch(head) else ("", "")
        if not name:
            yield "", ""


def _header_fields(text: str) -> dict[str, str]:
    """Return the first value of each field of a returned message: those of its header, and any before it."""
    fields: dict[str, str] = {}
    for name, value in fields_in(text):
        if not name and "message-id" in fields:
            break
        if name:
            fields.setdefault(name, value)
    return fields


def _split_returned(text: str) -> tuple[str, str]:
    """Split a notice where the message it returns begins: at a divider line, or at a field of the message's header."""
    lines = words.lines_of(text)
    for number, line in enumerate(lines):
        stripped = line.strip().lower()
        drawn = stripped.startswith(_DRAWN) or stripped.endswith(":") or stripped.rstrip(". ").endswith("follows")
        divides = drawn or "follow." in stripped
        divider = divides and len(stripped) < _DIVIDER_LIMIT and _DIVIDER.search(stripped) is not None
        if (divider and not _NOT_DIVIDER.search(stripped)) or stripped.startswith(_HEADER_STARTS):
            return "\n".join(lines[:number]), "\n".join(lines[number:])
    return "\n".join(lines), ""


def _holds_header(part: Part) -> bool:
    """Return whether a text part is a returned message's header, attached as plain text."""
    return part.content_type == "text/plain" and part.payload[:40].lstrip().lower().startswith(_HEADER_START_BYTES)


def _decoded(part: Part) -> str:
    """Return the start of a report part as text. Its RFC requires ASCII; other characters do not matter here."""
    return part.payload[: words.TEXT_LIMIT].decode("utf-8", errors="replace")
