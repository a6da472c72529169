"""The ways of writing text that a reader's program undoes: entities, percent-encoding, quoted-printable, escapes, tags.

Whatever a reader does not see becomes a boundary (``mail.documents.reading``). Every pattern here starts at a literal or
is bounded: the time is linear in the text.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from urllib.parse import unquote_to_bytes

from email_handler.mail.documents.reading import BOUNDARY, KERN
from email_handler.mail.entities import unescape
from email_handler.mail.headers import decode_header
from email_handler.mail.ignorable import CHARACTERS
from email_handler.mail.patterns import regex
from email_handler.outgoing.leak_gate import links
from email_handler.values import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Decoding:
    """One way of writing text that a reader's program undoes, token by token."""

    signs: str | tuple[str, ...]  # only a text with one of these can be encoded this way; "" if any text can
    tokens: re.Pattern[str]
    meaning: Callable[[str], str] | str  # of a token; a string if all mean the same

    def whole(self, text: str) -> str:
        """Return *text* decoded."""
        if self.signs and not any(sign in text for sign in self.signs):
            return text
        if isinstance(self.meaning, str):
            return self.tokens.sub(self.meaning, text)
        meaning = cache(self.meaning)  # most texts repeat a few tokens
        return self.tokens.sub(lambda token: meaning(token[0]), text)


type Chain = tuple[Decoding, ...]
"""Decodings to apply one after the other."""

_PERCENT = r"%(?:[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*+|u[0-9A-Fa-f]{4})"
_QUOTED = r"=(?:[0-9A-Fa-f]{2}(?:=[0-9A-Fa-f]{2})*+|[ \t]{0,8}\r?\n)"
_REFERENCE = r"&(?:#[xX]?[0-9A-Fa-f]++|[A-Za-z0-9]{1,31}+);?"
_ESCAPE = r"\\(?:u[0-9A-Fa-f]{4}|[ux]\{[0-9A-Fa-f]{1,6}\}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|'[0-9A-Fa-f]{2}|[0-9A-Fa-f]{1,6} ?|[@._,;:+nrt-]|\r?\n[ \t]{0,99})"
_OFFICE_ESCAPE = "_x[0-9A-Fa-f]{4}_"
_LATIN = frozenset((0xAD, *range(0xC0, 0x100)))  # letters of ISO 8859-1, and its soft hyphen
_HEXADECIMAL = regex("[0-9A-Fa-f]+")


def _meaning(token: str) -> str:
    """Return what one token of any kind means."""
    if token[0] == "&":
        return unescape(token)
    if token[0] == "=":
        return percent_decoded(token.replace("=", "%")) if token[1] not in " \t\r\n" else ""
    if token[0] == "%" and token[1] != "u":
        return percent_decoded(token)
    if digits := _HEXADECIMAL.search(token):
        return chr(min(int(digits[0], 16), 0x10FFFF))
    return " " if token[1] in "nrt" else token[1:].lstrip()  # nothing for a line that is continued


def percent_decoded(percent: str) -> str:
    """Return *percent* decoded: as UTF-8, or a byte alone as a letter of western Europe."""
    content = unquote_to_bytes(percent)
    return content.decode("latin-1" if len(content) == 1 and content[0] in _LATIN else "utf-8", "replace")


PERCENT = Decoding("%", regex(_PERCENT), _meaning)
QUOTED = Decoding("=", regex(_QUOTED), _meaning)
ENTITY = Decoding("&", regex(_REFERENCE), _meaning)
ESCAPE = Decoding("\\", regex(_ESCAPE), _meaning)
MIXED = Decoding(("&", "%", "\\", "_x"), regex(f"{_REFERENCE}|{_ESCAPE}|{_PERCENT}|{_OFFICE_ESCAPE}"), _meaning)
MIXED_QUOTED = Decoding(
    ("&", "%", "\\", "_x", "="), regex(f"{_REFERENCE}|{_ESCAPE}|{_PERCENT}|{_OFFICE_ESCAPE}|{_QUOTED}"), _meaning
)
"""Several kinds at once: applied again, it undoes any order of them."""

PROOFPOINT = Decoding(("-40",), regex(r"-(?:2[0-9A-F]|3[A-F]|40|5[B-F]|7[B-F])"), lambda token: chr(int(token[1:], 16)))
"""How Proofpoint writes the links of a message that it checked: percent-encoding with another sign."""

PROOFPOINT_3 = Decoding("/v3/__", links.LINK, links.original)

IMCEA = Decoding(
    ("+40", "+2E", "+2e", "+28a+29"),
    regex(r"IMCEA[A-Z0-9]{2,12}-|\+(?:2[0-9A-F]|3[A-F]|40|5[B-F]|7[B-F])"),
    lambda token: chr(int(token[1:], 16)) if token[0] == "+" else " ",
)
"""How Exchange writes one address within another (MS-OXCMAIL §2.1.3.3.1: ``IMCEASMTP-jane+40customer+2Eexample``)."""

OCTAL = Decoding("\\", regex(r"\\[0-3][0-7]{2}"), lambda token: chr(int(token[1:], 8)))
"""How programs in C print bytes. In CSS, the same digits are hexadecimal."""

ENCODED_WORDS = Decoding(
    "=?", regex(r"(?:=\?[^?\s]{1,60}\?[BbQq]\?[^?\s]{0,998}\?=\s{0,99}(?:(?==\?)|(?<!\s)))+"), decode_header
)
"""Words of a header in a text (RFC 2047 §6.2: the blanks between two of them are dropped)."""


def _on_a_terminal(token: str) -> str:
    if "\b" in token:
        return token[:-2] if token[-1] == "_" else ""
    return KERN if token[-1] == "m" else BOUNDARY


TERMINAL = Decoding(
    ("\x1b", "\b", *"\x90\x98\x9b\x9d\x9e\x9f"),
    regex(
        r"(?:\x1b\[|\x9b)[0-?]{0,99}[ -/]{0,9}[@-~]|(?:\x1b[]P_^X]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*+(?:\x07|\x1b\\|\x9c)"
        r"|\x1bO[ -~]|\x1b[ -/]{0,9}[0-~]"
        r"|[^\n_]\x08_|[^\n]\x08"
    ),
    _on_a_terminal,
)
"""What a terminal does not show: control sequences and strings (ECMA-48 §5.4, §5.6), and letters struck over. A
colour stands within a word; other sequences move what follows."""

_OFFICE = regex(
    rf"{_OFFICE_ESCAPE}"
    r"|<[A-Za-z]{1,20}:sym\s[^<>]{0,200}?\bchar=[\"'][0-9A-Fa-f]{1,6}[^<>]{0,200}>"
    r"|<[A-Za-z]{1,20}:noBreakHyphen\s?/?>"
    r"|&(?:amp;)?(?:(?:\"|&quot;)[^\"<]{1,100}?(?:\"|&quot;)|K(?:[0-9A-Fa-f]{6}|[0-9]{2}[+-][0-9]{3})|[0-9]{1,3}|[A-Z])"
)
_CODE = regex(r"(?:_x|\bchar=[\"'])([0-9A-Fa-f]{1,6})")


def _of_office(token: str) -> str:
    if token[0] == "&":
        return BOUNDARY
    if "noBreakHyphen" in token:
        return "-"
    code = int(_CODE.findall(token)[0], 16)
    return chr(code & 0xFF if code >> 8 == 0xF0 else min(code, 0x10FFFF))  # noqa: PLR2004 - fonts of symbols


OFFICE = Decoding(("_x00", ":sym ", ":noBreakHyphen", "Header", "Footer"), _OFFICE, _of_office)
"""What programs read in Office Open XML that is neither text nor a tag without text: escapes (ECMA-376 §22.9.2.19),
symbols and hyphens (§17.3.3), and the codes of a sheet's headers (§18.3.1.46)."""

_COMMENT = r"<!--(?:-?>|(?:[^-]++|-(?!-!?>))*+(?:--!?>|\Z))"
_TAG = r"""</?[A-Za-z](?:[^>="']++|=\s*+"[^"]*+"|=\s*+'[^']*+'|[="'])*+(?:>|\Z)|<[^<>]*+>"""
MARKUP = Decoding("<", regex(f"{_COMMENT}|{_TAG}"), BOUNDARY)
"""Tags and comments as HTML has them (§13.2.5): in an attribute's quotes ``>`` is an ordinary character, and ``<`` is
one anywhere in a tag."""

BARE_TAGS = Decoding("<", regex(r"<!\[CDATA\[|\]\]>|<[^<>]*+>"), BOUNDARY)
"""Tags wherever they stand: in comments, in CDATA sections, and in attributes that hold a page (``srcdoc``)."""

_ALTERNATIVE = regex(
    r"""\b(?:alt|value|placeholder|UnicodeString)\s{0,9}=\s{0,9}(?:"(?:\{\})?([^"]*)"|'(?:\{\})?([^']*)'|([^\s"'>]+))""",
    re.IGNORECASE,
)
_FROM_THE_RIGHT = regex(r"""\bBidiLevel\s{0,9}=\s{0,9}["']\d?[13579]["']""")


def _shown_instead(tag: str) -> str:
    values = ["".join(value) for value in _ALTERNATIVE.findall(tag)]
    if _FROM_THE_RIGHT.search(tag):
        values += (value[::-1] for value in tuple(values))
    return "".join(f"{BOUNDARY}{value}{BOUNDARY}" for value in values) or BOUNDARY


ALTERNATIVES = Decoding(
    "<",
    regex(
        r"""<(?:img|input|area|(?:[a-z]{1,20}:)?Glyphs)[\s/](?:[^<>"']|"[^"]{0,999}"|'[^']{0,999}'){0,99}>""",
        re.IGNORECASE,
    ),
    _shown_instead,
)
"""What readers show in place of a picture that they block, what stands in a field, and the text of XPS (ECMA-388 §12.1):
it stands within its line."""

_NOT_SHOWN = (
    "param|comment|style|script|template|title|desc|metadata|noscript|noembed|noframes|iframe|object|canvas|audio|video|datalist|rp|rt|rPh"
    "|del|moveFrom|delText|instrText|delInstrText|posOffset|Fallback|annotation|note|ruby-text|hidden-text"
)
NOT_SHOWN = Decoding(
    "<",
    regex(
        rf"<(?P<name>(?:[A-Za-z]{{1,20}}:)?(?:{_NOT_SHOWN}))(?=[\s>])(?:[^<>]{{0,400}}[^<>/])?>.{{0,1000}}?</(?P=name)\s{{0,9}}>",
        re.IGNORECASE | re.DOTALL,
    ),
    BOUNDARY,
)
"""Elements of enriched text (RFC 1896), HTML (§4.8, §4.11, §4.12), SVG, Office Open XML and OpenDocument whose text is not shown in the line that they
stand in: styles, deletions, codes of fields, notes."""

TABS = Decoding(
    ("\t", "&Tab;", "&#9;", "&#x9;"),
    regex(r"(?<=[\w.@+-])(?:\t|&(?:Tab|#9|#x9);)+(?=[\w.@+-])", re.IGNORECASE),
    KERN,
)
"""What a browser drops from an address that is linked (URL §4.4)."""

TAGS = (MARKUP, BARE_TAGS)

FOLDED = Decoding("\r\n", regex(r"(?:\r\n|\n|\r)[ \t]"), "")
"""RFC 5545 §3.1, RFC 6350 §3.2: unfolded before anything else, as a fold may part an escape."""


def _letters(text: str) -> str:
    if unicodedata.is_normalized("NFKC", text):
        return text
    return unicodedata.normalize("NFKC", text.replace("\uff0e", "\u3002"))


class _Letters(Decoding):
    def whole(self, text: str) -> str:
        return text if text.isascii() else _letters(text)


LETTERS = _Letters("", regex("(?:[A-Za-z](?=[\u0300-\u036f])|[^\x00-\x7f])[\u0300-\u036f]*"), _letters)
"""One form for characters that name the same host (RFC 5895): composed, full-width, mathematical. The dots that end a
sentence in Chinese stay: they may be a dot of a host, and join no words."""

_UNSEEN = f"\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f{CHARACTERS}"
_WITHIN = regex(f"(?:(?![\u200b\u202a-\u202e\u2066-\u2069])[{KERN}{CHARACTERS}])+")
UNSEEN = Decoding(
    "",
    regex(rf"(?:[{_UNSEEN}]|[ \t]{{0,4}}\r?\n[>| \t]*+(?![+-])|\r(?!\n))+"),
    lambda token: KERN if _WITHIN.fullmatch(token) else BOUNDARY,
)
"""Ignorable and control characters, and where a client broke and quoted a line (RFC 3676).

What is not shown at all stands within a word, such as a soft hyphen; what begins or ends a run in another direction
(UAX #9 §2.1, §2.2) is a boundary, and so is a zero-width space: a line may be broken there, and a word ends (UAX #29). A line of a patch begins with "+" or "-" and goes on with nothing."""

_BLOCK = regex(r"</?(?:address|blockquote|br|dd|div|dl|dt|h[1-6]|hr|li|ol|p|pre|table|td|tr|ul)[\s/>]", re.IGNORECASE)
_IGNORED = regex(f"[{_UNSEEN}]+")


def _line(token: str) -> str:
    if token.startswith("<"):
        return "\n" if _BLOCK.match(token) else ""
    return " " if token.endswith("\n") else _IGNORED.sub("", _meaning(token) if token[0] == "&" else token)


LINES = Decoding("", regex(rf"{_COMMENT}|{_TAG}|{_REFERENCE}|{_IGNORED.pattern}|\r?\n"), _line)
"""HTML as lines of text: the tags of a block break the line, a line break of the source does not."""
