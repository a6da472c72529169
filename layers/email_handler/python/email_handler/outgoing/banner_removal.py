"""Removing the banner from the owner's reply, however their client quoted it."""

import re

from email_handler.mail.patterns import regex
from email_handler.outgoing.leak_gate.decodings import LINES
from email_handler.outgoing.leak_gate.views import view
from email_handler.outgoing.sentinels import LINES as BANNER_LINES
from email_handler.outgoing.sentinels import NO_ADDRESS, SENTINEL, SENTINEL_WORDS, VERIFIED

LINES_LIMIT = 300  # lines of a banner with a full list of what was left out
REGION_LIMIT = 20_000  # characters from one sentinel to the other of the same banner
_LINE_LIMIT = 600  # characters of the line that says who wrote, with what quotes it


def remove_from_text(text: str) -> tuple[str, bool]:
    """Return *text* without banners, however a client quoted them, and whether there was one."""
    chunks: list[str] = []
    position = 0
    for start, end in _regions(text) if _may_hold_banner(text) else ():
        line = text.rfind("\n", 0, start) + 1
        following = text.find("\n", end)
        following = len(text) if following < 0 else following + 1
        # With nothing but quotation marks around it, remove whole lines, and the empty line that we put below.
        if not text[line:start].strip(" >|\t\r") and not text[end:following].strip(" >|\t\r\n"):
            start, end = line, following  # noqa: PLW2901 - the region grows to whole lines
            blank = text.find("\n", end)
            if blank >= 0 and not text[end:blank].strip(" >|\t\r"):
                end = blank + 1  # noqa: PLW2901 - likewise
        chunks.append(text[position : max(start, position)])
        position = max(end, position)
    kept = "".join((*chunks, text[position:]))
    kept = _ACTION_LINE.sub("", kept) if _ACTION in kept else kept
    return kept, kept != text


def remove_from_html(page: str) -> tuple[str, bool]:
    """Return *page* without banners, however a client rebuilt their markup, and whether there was one.

    Tags that a banner's region opens without closing, or closes without opening, stay: they belong to the page. What
    goes on outside the quotation in which it begins is no banner.
    """
    if not _may_hold_banner(page):
        return page, False
    seen = view(page, (LINES,))
    regions = _regions(seen.text)
    chunks: list[str] = []
    position = 0
    for start, end in regions:
        sources = seen.sources(start, end)
        first, last = sources[0][0], sources[-1][1]
        if "</blockquote" in (tags := _unbalanced(page[first:last])).lower():  # the owner's own words stand between
            continue
        above = page[max(position, first - _PREVIEW_LIMIT) : first]
        chunks += (page[position : first - len(above)], _PREVIEW.sub("", above), tags)
        position = last
        if frame := _FRAME.match(page, last):  # a contact sees their own words without our border
            chunks += (frame[1], _ATTRIBUTES.sub("", frame[2]))
            position = frame.end()
    return "".join((*chunks, page[position:])), bool(chunks)


_ACTION = "?subject=email-handler"
_ACTION_LINE = regex(
    r"^[>| \t]*+(?:(?:[-*\u2022]|\[?\d{1,3}[\]).:]{1,2})[ \t]{0,4})?(?:[A-Za-z ]{1,30}:[ \t]{0,4})?"
    r"<?(?:mailto:)?[^\s<>@]{1,200}@[^\s<>@?]{1,253}" + re.escape(_ACTION) + r"[^\s<>]*+>?[ \t]*+(?:\r?\n|\Z)",
    re.MULTILINE,
)
"""A line with the address of an action alone: one that was quoted by itself, or listed below as some clients do links."""


def _may_hold_banner(text: str) -> bool:
    return any(map(text.lower().__contains__, SENTINEL_WORDS))


_PREVIEW_LIMIT = 8_000  # characters of the source of the words for a list of messages
_PREVIEW = regex(
    r"<(div|span|p)\b[^<>]*(?:display:\s?none|mso-hide)[^<>]*>[^<>]*</\1>(?=(?:\s|</?(?:div|span|p|o:p|font|table|tbody|tr|td)\b[^<>]*>)*+\Z)",
    re.IGNORECASE,
)  # above the banner, as clients quote it: the contact's own first words, which only a list of messages shows
_FRAME = regex(
    r"((?:\s|</?(?:div|span|p|o:p|font|br)\b[^<>]*>)*+)"
    r"(<table\b[^<>]*>\s*+(?:<tbody\b[^<>]*>\s*+)?<tr\b[^<>]*>\s*+<td\b[^<>]*>\s*+<(?:section|div)\b[^<>]*>)",
    re.IGNORECASE,
)  # banner's frame, as clients quote it
_ATTRIBUTES = regex(r"(?<=[A-Za-z])\s[^<>]*(?=>)")
_TAG = regex(r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9:-]*)[^<>]*>")
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
    """Return the start and end of each banner in *text*, sentinels included.

    If the owner trimmed the quotation, one sentinel and some lines of the banner may be left. They are a region if
    they reach to an empty line that nothing of the banner follows, or to the quotation's edge. Otherwise the sentinel stays and the leak gate holds the
    reply, because the text around it may be anybody's.
    """
    regions: list[tuple[int, int]] = []
    begun: re.Match[str] | None = None
    for match in SENTINEL.finditer(text):
        if match.lastgroup == "end" and begun and match.end() - begun.start() <= REGION_LIMIT:
            if not _is_interrupted(text, begun.start(), match.end()):
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


_OWN_PARAGRAPH = regex(r"\n[ \t\r]*+\n(?![ \t]*+[>|])[ \t]*+\S")


def _is_interrupted(text: str, start: int, end: int) -> bool:
    """Return whether something that is not quoted stands between two sentinels of which the first is: the owner's own
    words between two quotations, in which a contact imitated them."""
    return ">" in text[text.rfind("\n", 0, start) + 1 : start] and _OWN_PARAGRAPH.search(text, start, end) is not None


_WHO = rf".{{0,200}}?(?:<[^\s<>]{{1,200}}>|\((?:LinkedIn|{NO_ADDRESS})\))\W{{0,5}}(?:not\b\W{{0,5}})?"
_WHO_LINE = regex(rf"{_WHO}(?:{VERIFIED}\W{{0,5}}(?:first|message.{{0,25}})?)?$", re.IGNORECASE)
_BANNER_LINE = regex(rf"(?:! )?(?:- |{'|'.join(map(re.escape, BANNER_LINES))})|{_WHO_LINE.pattern}", re.IGNORECASE)
_OURS = regex(
    rf"(?:! )?(?:{'|'.join(map(re.escape, BANNER_LINES))})|- .{{1,300}} \(\d[\d.]{{0,9}} [kM]?B\)$|- and \d{{1,9}} more$"
    rf"|{_WHO}{VERIFIED}\W{{0,5}}(?:first|message.{{0,25}})?$",
    re.IGNORECASE,
)
"""A line that is the banner's even below or above an empty one, as boxes are read."""
_QUOTE_MARKS = " >|\t\r\xa0"


def _cut_below(text: str, begin: re.Match[str]) -> list[tuple[int, int]]:
    """Return the region of a banner whose end is missing: from *begin* down over lines of a banner."""
    end = begin.end()
    stop = _line_end(text, end)
    following = text[end : min(stop, end + _LINE_LIMIT)].strip(_QUOTE_MARKS)
    if following and (stop - end > _LINE_LIMIT or not _WHO_LINE.match(following)):
        return []
    end, is_apart = stop, False
    for _ in range(LINES_LIMIT):
        start = stop + 1
        if start > len(text):
            return [(begin.start(), end)]
        stop = _line_end(text, start)
        line = text[start:stop].strip(_QUOTE_MARKS)
        if not line:
            is_apart = True
        elif (_OURS if is_apart else _BANNER_LINE).match(line):
            end, is_apart = stop, False
        else:
            break
    return [(begin.start(), end)] if is_apart else []


def _cut_above(text: str, end: re.Match[str]) -> list[tuple[int, int]]:
    """Return the region of a banner whose beginning is missing: from *end* up over lines of a banner."""
    at = start = text.rfind("\n", 0, end.start()) + 1
    quoted = text[start : end.start()].strip()
    before = quoted.strip(_QUOTE_MARKS)
    if before and not _WHO_LINE.match(before):
        return []
    is_apart = False
    for _ in range(LINES_LIMIT):
        if at == 0:
            return [(start, end.end())]
        above = text.rfind("\n", 0, at - 1) + 1
        line = text[above : at - 1]
        if not line.strip(_QUOTE_MARKS):
            is_apart = True
        elif (_OURS if is_apart else _BANNER_LINE).match(line.strip(_QUOTE_MARKS)):
            start, is_apart = above, False
        else:
            is_apart = is_apart or (quoted.startswith(">") and not line.lstrip().startswith(">"))
            break
        at = above
    return [(start, end.end())] if is_apart else []


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end
