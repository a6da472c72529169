"""The banner: what the owner should know about a message before reading it.

It is made for a phone: a few short lines, the important ones first, nothing that the message itself shows. Addresses
and file names stay as the client itself shows them; nothing else of the contact's becomes a link here.
"""

import html
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.thread_address import thread_address
from email_handler.mail import writer
from email_handler.mail.addresses import displayed
from email_handler.mail.confinement import Confined
from email_handler.mail.message import Message
from email_handler.outgoing.context import ForwardContext
from email_handler.outgoing.sentinels import BEGIN, END, defused
from email_handler.outgoing.unlinked import quoted

_KILO = 1000
_NO_FILES = frozenset(  # what clients do not show as files
    ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature", "text/calendar")
)
SHOWN = 10  # other recipients, attachments and rules that are listed; the rest is counted


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the banner. ``warning`` lines stand out."""

    text: str
    warning: bool = False


def size(length: int) -> str:
    """Return *length* (bytes) for people: ``840 B``, ``12 kB``, ``3.4 MB``."""
    if length < _KILO:
        return f"{length} B"
    return f"{length / _KILO:.0f} kB" if length < _KILO**2 else f"{length / _KILO**2:.1f} MB"


def lines(
    message: Message, context: ForwardContext, left_out: tuple[str, ...] = (), invitations: tuple[str, ...] = ()
) -> tuple[Line, ...]:
    """Return the banner's lines for *message*. *left_out* describes what stayed in the archive, *invitations* what is to
    be known about those that could not be changed (see :mod:`invitations`)."""
    return (
        *_warnings(context),
        *_replying(message, context),
        *_files(message, left_out),
        *(Line(warning, warning=True) for warning in invitations),
        *_history(context),
        *_filtering(context),
    )


def _warnings(context: ForwardContext) -> Iterator[Line]:
    if context.possible_duplicate:
        yield Line("This may be a second copy: SES's response to the first was lost.", warning=True)
    if context.record.outcome is Outcome.FLAG:
        yield Line("Looks like spam. No acknowledgement was sent.", warning=True)
    if context.record.tells:
        parts = _listed([_shown(part) for part in context.record.tells])
        yield Line(f"Your reply was sent, but we could not check all of it for your own address: {parts}", warning=True)
    sender = _address(context.record.sender) or "no sender address"
    if context.record.verified:
        yield Line(f"{sender}, sender verified ({_shown(context.record.verification)})")
    else:
        yield Line(f"{sender}: sender NOT verified ({_shown(context.record.verification)})", warning=True)


def _replying(message: Message, context: ForwardContext) -> Iterator[Line]:
    target = _address(context.reply_address)
    if not target:
        yield Line("You cannot reply: the message has no address to reply to.", warning=True)
    elif context.conversation.reply_differs:
        yield Line(f"Your reply goes to {target}: not the sender's domain", warning=True)
    else:
        yield Line(f"Your reply goes to {target}")
    if others := _others(message, context):
        yield Line("Other recipients: " + _listed(others))
        if context.record.verified:
            everyone = thread_address(context.conversation, context.identity.thread_domain, everyone=True)
            yield Line(f"To reply to everyone, write to {everyone}")


def _files(message: Message, left_out: tuple[str, ...]) -> Iterator[Line]:
    files = [
        f"{_shown(file.name, 60)} ({size(len(file.payload))})"
        for file in message.attachments
        if not file.inline and file.content_type not in _NO_FILES
    ]
    if left_out:
        yield Line("Too large to forward whole. Left out, but kept in the archive:", warning=True)
        yield from (Line(f"- {entry}") for entry in left_out)
    elif files:
        yield Line("Attachments: " + _listed(files))


def _history(context: ForwardContext) -> Iterator[Line]:
    count = (
        "first message"
        if context.number == 1
        else f"message {context.number} since {_day(context.conversation.started_at)}"
    )
    tag = f", tag {defused(quoted(context.record.source, 60))}" if context.record.source else ""
    yield Line(f"{context.conversation.id}: {count}, to {context.identity.public_address}{tag}")
    if context.earlier:
        earlier = [f"{id_} “{defused(quoted(subject, 50))}” ({_day(at)})" for id_, subject, at in context.earlier]
        yield Line("Earlier: " + _listed(earlier, 3))
    if context.conversation.linkedin_thread:
        yield Line(f"On LinkedIn: {_shown(context.conversation.linkedin_thread, 300)}")


def _filtering(context: ForwardContext) -> Iterator[Line]:
    matched = [f"{reason.rule} {reason.weight:+g}" for reason in context.record.reasons if reason.stage == "patterns"]
    yield Line(f"Spam score {context.record.score:.1f}" + (": " + _listed(matched) if matched else ""))
    if further := [str(reason) for reason in context.record.reasons if reason.stage != "patterns"]:
        yield Line("Filter: " + _listed(further))


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


def as_text(shown: tuple[Line, ...]) -> str:
    """Return the banner as lines of plain text between the sentinels, and an empty line."""
    body = "\n".join(("! " if line.warning else "") + line.text for line in shown)
    return f"{BEGIN}\n{body}\n{END}\n\n"


_SHOWN = "display:block!important;visibility:visible!important;opacity:1!important;"
_FONT = "-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif"


def as_html(shown: tuple[Line, ...]) -> str:
    """Return the banner as an HTML block. Its few styles are inline, because clients drop the rest; each text has a
    background of its own, readable whatever a dark theme makes of the page."""
    # The sentinels stand outside the box: removing everything between them leaves no empty box.
    quiet = f'<div dir="ltr" style="{_SHOWN}font:11px/1.4 {_FONT};color:#595959;background:#ffffff;margin:0 0 8px">'
    body = "\r\n".join(
        f'<div style="{_SHOWN}font-size:13px;color:#b00020;background:#ffffff;font-weight:bold">'
        f"! {html.escape(line.text)}</div>"
        if line.warning
        else f'<div style="{_SHOWN}color:#222222;background:#ffffff">{html.escape(line.text)}</div>'
        for line in shown
    )
    return (
        f"\r\n{quiet}{BEGIN}</div>\r\n"
        f'<div dir="ltr" style="{_SHOWN}padding:4px 10px;border-left:3px solid #888888;background:#ffffff;'
        f'color:#222222;font:13px/1.4 {_FONT}">\r\n{body}\r\n</div>\r\n'
        f"{quiet}{END}</div>\r\n"
    )


_HEAD = (
    '<!DOCTYPE html>\r\n<html><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
)
# Nothing in it can close the frame: a cell ends what is left open or closed too often, and no <section> is confined. It
# grows with a newsletter of fixed width, but not so wide that a phone would shrink the banner with it.
_FRAME = (
    '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="border:1px solid #888888">'
    '<tbody><tr><td style="padding:8px;vertical-align:top">'
    '<section style="display:block;max-width:700px;overflow-x:auto;overflow-y:hidden">\r\n'
)
_FRAME_END = "\r\n</section></td></tr></tbody></table>\r\n"


def page(theirs: Confined, banner: str = "") -> str:
    """Return an HTML page with *banner* (HTML) on top, and under it the contact's confined HTML in a frame."""
    sheet = f"\r\n<style>\n{theirs.sheet}\n</style>\r\n" if theirs.sheet else ""
    return f"{_HEAD}{sheet}</head><body>{banner}{_FRAME}{theirs.body}{_FRAME_END}</body></html>\r\n"
