"""The banner: what the owner should know about a message before reading it.

When all is well it is one quiet line: who wrote, whether that is verified, which of their messages it is. It grows only for
what the owner must know. In HTML it stands above the contact's words; in plain text only warnings do, so that a list of
messages shows the contact's own words first. Addresses and file names stay as the client itself shows them; nothing else
of the contact's becomes a link here.
"""

import html
import re
from collections.abc import Iterator
from datetime import datetime

from email_handler.conversations.commands import EVERYONE
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import Conversation, MessageRecord
from email_handler.conversations.thread_address import thread_address
from email_handler.mail import writer
from email_handler.mail.addresses import displayed
from email_handler.mail.message import Message
from email_handler.outgoing import pieces
from email_handler.outgoing.context import ForwardContext
from email_handler.outgoing.pieces import Action, Box, Tone
from email_handler.outgoing.reasons import may_hold_a_virus, words
from email_handler.outgoing.sentinels import (
    BEGIN,
    BY_EMAIL,
    NO_ADDRESS,
    VERIFIED,
    defused,
    nth_message,
    reads_as_banner,
)
from email_handler.senders.machines import first_keyword, is_automatic_subject, is_list
from email_handler.values import dataclass

_KILO = 1000
REASONS = 3  # that are told, of those for which a message is flagged
SHOWN = 10  # other recipients and files that are listed; the rest is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Who wrote a message."""

    name: str  # "" if they gave none or one that reads like our words
    address: str  # words where there is none
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """What is known about a message, as the owner is told."""

    boxes: tuple[Box, ...]  # warnings, the gravest first
    notes: tuple[tuple[str, str], ...]  # what kind of message it is: a name and a few words
    also_to: str  # other recipients, "" without
    everyone: Action | None  # replies to all of them
    linkedin: str  # address of the conversation there
    who: Who
    nth: str  # "first message]": the end of the banner
    actions: tuple[Action, ...] = ()  # at the end of the message
    copy: str = ""  # of a copy of the owner's own message: what stands instead of who wrote


def size(length: int) -> str:
    """Return *length* (bytes) for people: ``840 B``, ``12 kB``, ``3.4 MB``."""
    if length < _KILO:
        return f"{length} B"
    return f"{length / _KILO:.0f} kB" if length < _KILO**2 else f"{length / _KILO**2:.1f} MB"


def banner(
    message: Message,
    context: ForwardContext,
    left_out: tuple[str, ...] = (),
    invitations: tuple[str, ...] = (),
    files: tuple[Action, ...] = (),
) -> Banner:
    """Return the banner of *message*. *left_out* describes what stayed in the archive, *files* are how to get it, and
    *invitations* what is to be known about those that could not be changed (see :mod:`invitations`)."""
    if context.copy:
        return _of_copy(context, context.copy.line, left_out)
    others = _others(message, context)
    record, conversation = context.record, context.conversation
    everyone = thread_address(conversation, context.identity.thread_domain, EVERYONE)
    return Banner(
        boxes=(
            *_warnings(context),
            *(Box(Tone.CAUTION, "About the invitation", warning) for warning in invitations),
            *_left_out(left_out, files, refused=context.text_only),
        ),
        notes=tuple(_notes(message, context)),
        also_to=_listed(others),
        everyone=Action("Reply to everyone", f"mailto:{everyone}") if others and record.verified else None,
        linkedin=_shown(conversation.linkedin_thread, 300),
        who=_who(record, conversation),
        nth=nth_message(context.number, _day(conversation.started_at)),
        actions=context.actions,
    )


def _of_copy(context: ForwardContext, line: str, left_out: tuple[str, ...]) -> Banner:
    return Banner(
        boxes=tuple(_left_out(left_out, (), refused=False)),
        notes=tuple(_repeated(context)),
        also_to="",
        everyone=None,
        linkedin="",
        who=_who(context.record, context.conversation),
        nth="",
        copy=line,
    )


def unread_banner(record: MessageRecord, conversation: Conversation, box: Box) -> Banner:
    """Return the banner of a message that a mistake of ours kept from being shown, as *box* says."""
    return Banner(
        boxes=(
            box,
            *(() if record.verified else (_not_verified(record),)),
            *_replying(record.reply_address, record, differs=False),
        ),
        notes=(),
        also_to="",
        everyone=None,
        linkedin="",
        who=_who(record, conversation),
        nth=nth_message(max(conversation.received, 1), _day(conversation.started_at)),
    )


def _who(record: MessageRecord, conversation: Conversation) -> Who:
    name = _shown(record.sender_name.translate(_NO_BRACKETS), 60)
    address = f"<{_address(record.sender)}>" if "@" in record.sender else f"({NO_ADDRESS})"
    address = "(LinkedIn)" if conversation.on_linkedin else address
    return Who(name="" if reads_as_banner(name) else name, address=address, verified=record.verified)


_NO_BRACKETS = str.maketrans("<>[]", "    ")


def _warnings(context: ForwardContext) -> Iterator[Box]:
    record = context.record
    if not record.verified:
        yield _not_verified(record)
    if record.outcome is Outcome.FLAG:
        yield _flagged(record)
    yield from _replying(context.reply_address, record, differs=context.conversation.reply_differs)
    if record.tells:
        parts = _listed([_shown(part) for part in record.tells])
        said = f"It was sent, but not all of it could be checked for your own address: {parts}"
        yield Box(Tone.CAUTION, "Your last reply", said)


def _not_verified(record: MessageRecord) -> Box:
    if "@" not in record.sender:
        return Box(Tone.GRAVE, "Not verified", "It names no sender. Anybody may have written it.")
    said = f"Nothing shows that it came from {_address(record.sender)}. Do not act on it unless you expected it."
    return Box(Tone.GRAVE, "Not verified", said)


def _flagged(record: MessageRecord) -> Box:
    found = "; ".join(words(record.reasons)[:REASONS])
    title = "May hold a virus" if may_hold_a_virus(record.reasons) else "Looks like spam"
    if all(reason.stage == "limit" for reason in record.reasons):
        title = "Could not be checked"
    return Box(Tone.CAUTION, title, "It got no acknowledgement." + (f" Why: {_shown(found, 400)}." if found else ""))


def _replying(target: str, record: MessageRecord, *, differs: bool) -> Iterator[Box]:
    if not target:
        yield Box(Tone.CAUTION, "You cannot reply", "It has no address to reply to.")
    elif differs:
        came_from = f", not to {_address(record.sender)}" if record.sender else ""
        yield Box(Tone.CAUTION, "Your reply would go elsewhere", f"Replies go to {_address(target)}{came_from}.")


def _left_out(entries: tuple[str, ...], files: tuple[Action, ...], *, refused: bool) -> Iterator[Box]:
    if entries:
        said = _REFUSED if refused else _TOO_LARGE
        yield Box(Tone.CAUTION, "Not everything is here", said, tuple(map(_shown, entries)), files)


_TOO_LARGE = "It was too large for most mailboxes. Left out, but kept in the archive:"
_REFUSED = "Your mail provider refused all of it. Left out, but kept in the archive:"
_FIXED = "&nbsp;"
_ELSEWHERE = "about nothing that was sent from here"
_REPORTS = {
    "delivery-status": ("Bounce", f"from a mail server, {_ELSEWHERE}"),
    "feedback-report": ("Complaint", f"somebody marked a message as spam, {_ELSEWHERE}"),
    "disposition-notification": ("Read receipt", "from a mail program"),
}
_BOUNCING = ("mailer-daemon", "report")


def _notes(message: Message, context: ForwardContext) -> Iterator[tuple[str, str]]:
    """Yield what kind of message it is, if no person wrote it to the owner alone."""
    yield from _repeated(context)
    sign = context.record.automatic
    if context.conversation.on_linkedin:
        return
    report = message.root.parameters.get("report-type", "").lower()
    if sign and (report in _REPORTS or sign in _BOUNCING):
        yield _REPORTS.get(report, _REPORTS["delivery-status"])
    elif sign and (
        first_keyword(message.header("Auto-Submitted")) == "auto-replied" or is_automatic_subject(message.subject)
    ):
        yield "Automatic reply", "nobody is waiting for an answer"
    elif sign:
        yield "Automatic message", "a machine wrote it"
    elif is_list(message):
        yield "Newsletter or mailing list", "it was sent to many"


def _repeated(context: ForwardContext) -> Iterator[tuple[str, str]]:
    if context.possible_duplicate:
        yield "You may have this already", "it is not known whether a first copy reached you"


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b %Y}"


def _others(message: Message, context: ForwardContext) -> list[str]:
    known = {context.identity.public_address.lower(), context.record.sender.lower(), context.reply_address.lower()}
    thread = "@" + context.identity.thread_domain.lower()
    local, _, domain = context.identity.public_address.lower().partition("@")
    found: dict[str, None] = {}
    for box in (*message.to, *message.cc):
        address = box.address.lower()
        tagged = address.startswith(local + "+") and address.endswith("@" + domain)
        if address not in known and not address.endswith(thread) and not tagged and "@" in address:
            found[_address(box.address)] = None
    return list(found)


def _listed(entries: list[str], most: int = SHOWN) -> str:
    more = len(entries) - most
    return ", ".join(entries[:most]) + (f" and {more} more" if more > 0 else "")


def _shown(text: str, limit: int = 120) -> str:
    return defused(writer.one_line(text, limit))


def _address(address: str) -> str:
    return _shown(displayed(address, 120))


def as_text(shown: Banner) -> str:
    """Return the banner as lines of plain text, from its first words to its last."""
    lines = [line for box in shown.boxes for line in pieces.text_lines(box)]
    lines += [f"{title}: {text}" for title, text in shown.notes]
    if shown.also_to:
        lines.append(f"Also sent to {shown.also_to}")
    if shown.everyone:
        lines.append(f"{shown.everyone.label}: {shown.everyone.url.removeprefix('mailto:')}")
    if shown.linkedin:
        lines.append(f"On LinkedIn: {shown.linkedin}")
    verified = VERIFIED if shown.who.verified else f"not {VERIFIED}"
    who = f"{shown.who.name} {shown.who.address}".strip()
    lines.append(shown.copy or f"{who} · {verified} · {shown.nth}")
    return f"{BEGIN} {lines[0]}" if len(lines) == 1 else "\n".join((BEGIN, *lines))


def around(shown: Banner, theirs: str) -> str:
    """Return *theirs*, the contact's plain text, with the banner: above it if it warns, below if all is well."""
    actions = (
        f"\n\n{BEGIN}\n" + "\n".join(map(_action_line, shown.actions)) + f"\n{BY_EMAIL}\n" if shown.actions else ""
    )
    if shown.boxes or not theirs.strip():
        return f"{as_text(shown)}\n\n{theirs}{actions}"
    return f"{theirs.rstrip()}\n\n{as_text(shown)}\n{actions}"


def _action_line(action: Action) -> str:
    return f"- {action.label}: {pieces.in_text(action)}"


def as_html(shown: Banner) -> str:
    """Return the banner as an HTML block. Each text has a ground of its own, readable whatever a dark theme makes of the
    page."""
    # The first and the last words stand outside all boxes: removing everything between them leaves no empty box.
    who = f"{pieces.strong(shown.who.name)} " if shown.who.name else ""
    verified = f"✓{_FIXED}{VERIFIED}" if shown.who.verified else f"not{_FIXED}{VERIFIED}"
    lines = [f"{pieces.strong(title)}: {text}" for title, text in shown.notes]
    if shown.also_to:
        everyone = f" · {pieces.link(shown.everyone)}" if shown.everyone else ""
        lines.append(f"Also sent to {html.escape(shown.also_to)}{everyone}")
    if shown.linkedin:
        lines.append(f"On LinkedIn: {html.escape(shown.linkedin)}")
    nth = re.sub(r" (?!since)", _FIXED, shown.nth)
    theirs = f"{who}{html.escape(shown.who.address)}{_FIXED}· {verified}{_FIXED}· {nth}"
    lines.append(html.escape(shown.copy) or theirs)
    if not shown.boxes:
        lines[0] = f"{BEGIN} {lines[0]}"
    quiet = "".join(_quiet(line, "0 0 2px") for line in lines[:-1]) + _quiet(lines[-1], "0 0 10px")
    if not shown.boxes:
        return quiet
    boxes = pieces.as_html(shown.boxes)
    return f"{_quiet(BEGIN, '0 0 6px')}{boxes}{quiet}"


def actions_as_html(shown: Banner) -> str:
    """Return the actions at the end of a message as HTML, "" if there are none."""
    if not shown.actions:
        return ""
    return _quiet(f"{BEGIN} {pieces.row(shown.actions)} · {BY_EMAIL}", "12px 0 0", height=24)  # room for a thumb


def _quiet(content: str, margin: str, height: int = 19) -> str:
    style = f"margin:{margin};padding:0;font-size:13px;line-height:{height}px;word-break:break-word"
    return pieces.element("div", "dim", style, content, ' lang="en" dir="ltr"')
