"""The banner: what the owner should know of a message before reading it, and its removal from their answer.

It is made for a phone: a few short lines, the important ones first, nothing said that the mail itself shows.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from email_handler.mail import writer as mime
from email_handler.mail.html import body_start
from email_handler.mail.message import Message
from email_handler.outgoing.context import ForwardContext
from email_handler.outgoing.leak_gate.needles import LINES, view
from email_handler.outgoing.sentinels import BEGIN, END, SENTINEL, SENTINEL_START, defused

_KILO = 1000
_NO_FILES = frozenset(  # what clients show as something else than a file
    ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature", "text/calendar")
)
SHOWN = 10  # others, attachments, earlier conversations and rules that are named; of the rest the number is told
LINES_LIMIT = 300  # lines that a banner can have, the list of what was left out included
REGION_LIMIT = 20_000  # characters between two sentinels that are still one banner


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the banner. ``warning`` lines stand out."""

    text: str
    warning: bool = False


def size(octets: int) -> str:
    """Return a size for people: ``840 B``, ``12 kB``, ``3.4 MB``."""
    if octets < _KILO:
        return f"{octets} B"
    return f"{octets / _KILO:.0f} kB" if octets < _KILO**2 else f"{octets / _KILO**2:.1f} MB"


def lines(message: Message, context: ForwardContext, left_out: tuple[str, ...] = ()) -> tuple[Line, ...]:
    """Return the banner's lines for *message*. *left_out* describes attachments that stayed in the archive."""
    return (
        *_warnings(context),
        *_answering(message, context),
        *_files(message, left_out),
        *_standing(context),
        *_filtering(context),
    )


def _warnings(context: ForwardContext) -> Iterator[Line]:
    if context.possible_duplicate:
        yield Line("This may be a second copy: SES's answer to the first was lost.", warning=True)
    if context.flagged:
        yield Line("Looks like spam. No acknowledgement was sent.", warning=True)
    sender = _shown(context.sender) or "no sender address"
    if context.verified:
        yield Line(f"{sender}, sender verified ({_shown(context.verification)})")
    else:
        yield Line(f"{sender}: sender NOT verified ({_shown(context.verification)})", warning=True)


def _answering(message: Message, context: ForwardContext) -> Iterator[Line]:
    target = _shown(context.reply_address)
    if not target:
        yield Line("An answer cannot be sent: the mail names no address to answer to.", warning=True)
    elif context.reply_differs:
        yield Line(f"Your answer goes to {target}: another domain than the sender's", warning=True)
    else:
        yield Line(f"Your answer goes to {target}")
    if others := _others(message, context):
        yield Line("Also addressed: " + _listed(others))
        if context.verified:
            yield Line(f"To answer everyone, write to {context.everyone_address}")


def _files(message: Message, left_out: tuple[str, ...]) -> Iterator[Line]:
    files = [
        f"{_shown(file.name, 60)} ({size(len(file.payload))})"
        for file in message.attachments
        if not file.inline and file.content_type not in _NO_FILES
    ]
    if left_out:
        yield Line("Too large to forward whole. Left out, and kept in the archive:", warning=True)
        yield from (Line(f"- {entry}") for entry in left_out)
    elif files:
        yield Line("Attachments: " + _listed(files))


def _standing(context: ForwardContext) -> Iterator[Line]:
    count = "first message" if context.number == 1 else f"message {context.number} since {_day(context.started_at)}"
    tag = f", tag {_shown(context.source, 60)}" if context.source else ""
    yield Line(f"{context.conversation}: {count}, to {context.identity.public_address}{tag}")
    if context.earlier:
        earlier = [f"{of} “{_shown(subject, 50)}” ({_day(at)})" for of, subject, at in context.earlier]
        yield Line("Earlier: " + _listed(earlier, 3))
    if context.linkedin_thread:
        yield Line(f"On LinkedIn: {_shown(context.linkedin_thread, 300)}")


def _filtering(context: ForwardContext) -> Iterator[Line]:
    matched = [f"{reason.rule} {reason.weight:+g}" for reason in context.reasons if reason.stage == "patterns"]
    yield Line(f"Spam score {context.score:.1f}" + (": " + _listed(matched) if matched else ""))
    if further := [str(reason) for reason in context.reasons if reason.stage != "patterns"]:
        yield Line("Filter: " + _listed(further))


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b %Y}"


def _others(message: Message, context: ForwardContext) -> list[str]:
    known = {context.identity.public_address.lower(), context.sender.lower(), context.reply_address.lower()}
    thread = "@" + context.identity.thread_domain.lower()
    local, _, domain = context.identity.public_address.lower().partition("@")
    found: dict[str, None] = {}
    for box in (*message.to, *message.cc):
        address = box.address.lower()
        tagged = address.startswith(local + "+") and address.endswith("@" + domain)
        if address not in known and not address.endswith(thread) and not tagged and "@" in address:
            found[_shown(box.address)] = None
    return list(found)


def _listed(entries: list[str], most: int = SHOWN) -> str:
    more = len(entries) - most
    return ", ".join(entries[:most]) + (f" and {more} more" if more > 0 else "")


def _shown(text: str, limit: int = 120) -> str:
    return defused(mime.one_line(text, limit))


def as_text(shown: tuple[Line, ...]) -> str:
    """Return the banner as lines of plain text, sentinels included, with an empty line behind."""
    body = "\n".join(("! " if line.warning else "") + line.text for line in shown)
    return f"{BEGIN}\n{body}\n{END}\n\n"


_SEEN = "display:block!important;visibility:visible!important;opacity:1!important;"


def as_html(shown: tuple[Line, ...]) -> str:
    """Return the banner as one HTML block. Styles are inline and few: clients drop the rest, and both light and dark
    themes stay readable."""
    # A style sheet of the contact's must not hide it: an important style of the element's own wins. (What hides the
    # whole body hides their text too.)
    # The sentinels stand outside the box: when what is between them is taken out again, no empty box is left.
    quiet = f'<div dir="ltr" style="{_SEEN}font-size:11px;color:#888;margin:0 0 8px">'
    body = "\r\n".join(
        f'<div style="{_SEEN}font-size:13px!important;color:#b00020!important;font-weight:bold">'
        f"! {html.escape(line.text)}</div>"
        if line.warning
        else f'<div style="{_SEEN}">{html.escape(line.text)}</div>'
        for line in shown
    )
    return (
        f"\r\n{quiet}{BEGIN}</div>\r\n"
        f'<div dir="ltr" style="{_SEEN}padding:4px 10px;border-left:3px solid #888;'
        f'font:13px/1.4 -apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif">\r\n{body}\r\n</div>\r\n'
        f"{quiet}{END}</div>\r\n"
    )


def into_html(page: str, banner: str) -> str:
    """Return *page* with *banner* as the first thing in its body."""
    at = body_start(page)
    return page[:at] + banner + page[at:]


# --- Removal ---------------------------------------------------------------------------------------------------------


def removed_from_text(text: str) -> tuple[str, bool]:
    """Return *text* without banners, however a client quoted them, and whether there was one."""
    if SENTINEL_START not in text.lower():
        return text, False
    edits = _regions(text)
    if not edits:
        return text, False
    chunks: list[str] = []
    position = 0
    for start, end in edits:
        line = text.rfind("\n", 0, start) + 1
        following = text.find("\n", end)
        following = len(text) if following < 0 else following + 1
        # Nothing but quotation marks around it: the lines go as a whole, and an empty one of ours behind them.
        if not text[line:start].strip(" >|\t\r") and not text[end:following].strip(" >|\t\r\n"):
            start, end = line, following  # noqa: PLW2901 - the region grows to whole lines
            blank = text.find("\n", end)
            if blank >= 0 and not text[end:blank].strip(" >|\t\r"):
                end = blank + 1  # noqa: PLW2901 - likewise
        chunks.append(text[position : max(start, position)])
        position = max(end, position)
    return "".join((*chunks, text[position:])), True


def removed_from_html(page: str) -> tuple[str, bool]:
    """Return *page* without banners, however a client rebuilt their markup, and whether there was one.

    What stays of a region are the tags that it opens and does not close, or closes and did not open: the page
    around it keeps its structure.
    """
    if "email-" not in page.lower():
        return page, False
    seen = view(page, (LINES,))
    edits = _regions(seen.text)
    if not edits:
        return page, False
    chunks: list[str] = []
    position = 0
    for start, end in edits:
        ranges = list(seen.sources(start, end))
        first, last = ranges[0][0], ranges[-1][1]
        chunks += (page[position:first], _unbalanced(page[first:last]))
        position = last
    return "".join((*chunks, page[position:])), True


_TAG = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9:-]*)[^<>]*>")
_VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"))


def _unbalanced(region: str) -> str:
    kept: list[re.Match[str]] = []
    for tag in _TAG.finditer(region):
        name = tag["name"].lower()
        if name in _VOID or tag[0].endswith("/>"):
            continue
        if tag["close"] and kept and not kept[-1]["close"] and kept[-1]["name"].lower() == name:
            kept.pop()
        else:
            kept.append(tag)
    return "".join(tag[0] for tag in kept)


def _regions(text: str) -> list[tuple[int, int]]:
    """Return where the banners in *text* stand: from a first sentinel to the second that belongs to it.

    Of a banner that the owner's trimming cut in two, a sentinel and lines of the banner's form are left: they are a
    region if they reach to the next empty line or the quotation's edge. Else the sentinel stays, for the leak gate
    to see: nobody can tell what stands around it.
    """
    regions: list[tuple[int, int]] = []
    begun: re.Match[str] | None = None
    for match in SENTINEL.finditer(text):
        if match.lastgroup == "end" and begun and match.end() - begun.start() <= REGION_LIMIT:
            regions.append((begun.start(), match.end()))
            begun = None
            continue
        if begun:
            regions += _cut_below(text, begun)
        begun = match if match.lastgroup == "begin" else None
        if begun is None:
            regions += _cut_above(text, match)
    if begun:
        regions += _cut_below(text, begun)
    return regions


_FORM = re.compile(
    r"(?:! )?(?:This may be a second copy|Looks like spam|An answer cannot be sent|Your answer goes to |"
    r"Also addressed: |To answer everyone, write to |Too large to forward whole|- |Attachments: |"
    r"Earlier: |On LinkedIn: |Spam score |Filter: |[a-z0-9-]{1,60}: (?:first message|message \d+ since)|"
    r".{1,200} sender (?:NOT )?verified \()"
)
_QUOTE_MARKS = " >|\t\r\xa0"


def _cut_below(text: str, begin: re.Match[str]) -> list[tuple[int, int]]:
    end = begin.end()
    if text[end : _line_end(text, end)].strip(_QUOTE_MARKS):
        return []
    for _ in range(LINES_LIMIT):
        start, stop = _line_end(text, end) + 1, _line_end(text, _line_end(text, end) + 1)
        line = text[start:stop].strip(_QUOTE_MARKS)
        if not line or start > len(text):
            return [(begin.start(), end)]
        if not _FORM.match(line):
            return []
        end = stop
    return []


def _cut_above(text: str, end: re.Match[str]) -> list[tuple[int, int]]:
    start = text.rfind("\n", 0, end.start()) + 1
    quoted = text[start : end.start()].strip()
    if quoted.strip(_QUOTE_MARKS):
        return []
    for _ in range(LINES_LIMIT):
        above = text.rfind("\n", 0, max(start - 1, 0)) + 1
        line = text[above : max(start - 1, 0)]
        if start == 0 or not _FORM.match(line.strip(_QUOTE_MARKS)):
            is_edge = not line.strip(_QUOTE_MARKS) or (bool(quoted) and not line.lstrip().startswith(">"))
            return [(start, end.end())] if start == 0 or is_edge else []
        start = above
    return []


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end
