"""Taking the banner out of the owner's reply, however their client quoted it."""

import re

from email_handler.outgoing.leak_gate.views import LINES, view
from email_handler.outgoing.sentinels import SENTINEL, SENTINEL_START

LINES_LIMIT = 300  # lines that a banner can have, the list of what was left out included
REGION_LIMIT = 20_000  # characters between two sentinels that are still one banner


def remove_from_text(text: str) -> tuple[str, bool]:
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


def remove_from_html(page: str) -> tuple[str, bool]:
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
