"""RTF: its text with a boundary at every control word and brace, and the files within it as hexadecimal."""

import re
from collections.abc import Iterator

from email_handler.mail.documents.reading import BOUNDARY, TOO_LARGE, Budget, Found, Member, Raw, Text, Unread
from email_handler.mail.patterns import regex

_HEX = regex(r"(?:[0-9A-Fa-f]{2}[\r\n]{0,4}){64,}+")
_TOKENS = (
    r"\\'(?P<code>[0-9A-Fa-f]{2})|\\u(?P<unicode>-?[0-9]{1,6})[ \r\n]{0,3}(?:\\'[0-9A-Fa-f]{2}|[^\\{}\r\n]){0,%d}"
    r"|\\(?P<symbol>[^A-Za-z0-9'\r\n])|\\[A-Za-z]{1,40}(?:-?[0-9]{1,12})? ?|[{}\r\n]+|\\[\r\n]"
)
_REPLACEMENTS = regex(r"\\uc([0-9])(?![0-9])")  # how many characters stand in for one that "\u" gives
_WITHIN = r"(?:[^{}]|\{(?:[^{}]|\{[^{}]{0,500}+\}){0,500}+\}){0,2000}+"  # up to two levels of groups
_ASIDE = regex(
    r"\{(?:\\\*|\\(?:v|deleted|xe|tc|footnote|annotation|pict|nonshppict|fldinst)(?![A-Za-z0-9]))" + _WITHIN + r"\}"
)
"""A group that readers do not show in its place: bookmarks and styles, hidden and deleted text, notes, pictures, codes of
fields."""
_OUTLOOK = regex(r"\\htmlrtf1?(?![0-9a-z]).{0,1000}?\\htmlrtf0 ?", re.DOTALL)
"""What Outlook shows of HTML in RTF leaves this out (MS-OXRTFEX §2.1.3.1.4)."""
_OBJECT = b"\1\5\0\0"  # how an embedded object begins (MS-OLEDS §2.2.4)
_SYMBOLS = {"~": "\u00a0", "_": "-", "-": BOUNDARY, "*": BOUNDARY, "|": BOUNDARY, ":": BOUNDARY}


def read_rtf(payload: bytes, budget: Budget) -> Iterator[Found]:
    """Yield the text of the document, and its embedded objects and pictures."""
    source = payload.decode("cp1252", "replace")
    if not budget.take(len(source)):
        yield Unread(TOO_LARGE)
        return
    for count in sorted({"1", *_REPLACEMENTS.findall(source)}):
        tokens = re.compile(_TOKENS % int(count))
        for shown in dict.fromkeys((source, _ASIDE.sub("{}", _OUTLOOK.sub("", source)))):
            yield Text(tokens.sub(_meaning, shown))
    for run in _HEX.finditer(source):
        content = bytes.fromhex(re.sub(r"[\r\n]+", "", run[0]))
        yield Raw(content)
        if content.startswith((b"\x89PNG", b"\xff\xd8\xff", _OBJECT)):
            yield Member("", content)


def _meaning(token: re.Match[str]) -> str:
    if token["code"]:
        return bytes([int(token["code"], 16)]).decode("cp1252", "replace")
    if token["unicode"]:
        return chr(int(token["unicode"]) % 0x10000)
    if token["symbol"]:
        return _SYMBOLS.get(token["symbol"], token["symbol"])
    return BOUNDARY
