"""The fonts of a PDF: which character each code of a string shows (ISO 32000-1 §9.6 to §9.10)."""

import re
from collections.abc import Iterator

from email_handler.mail.documents.pdf_objects import Dictionary, Document, Name, hex_string
from email_handler.mail.patterns import regex
from email_handler.values import dataclass

_SINGLE = regex(rb"<([0-9A-Fa-f]{2,8})>\s{0,8}<([0-9A-Fa-f\s]{2,80})>")
_RANGE = regex(rb"<([0-9A-Fa-f]{2,8})>\s{0,8}<([0-9A-Fa-f]{2,8})>\s{0,8}<([0-9A-Fa-f\s]{2,80})>")
_ARRAY = regex(rb"<([0-9A-Fa-f]{2,8})>\s{0,8}<([0-9A-Fa-f]{2,8})>\s{0,8}\[([^\[\]]*+)\]")
_CODE_SPACES = regex(rb"begincodespacerange(.*?)endcodespacerange", re.DOTALL)
_CODE_SPACE = regex(rb"<([0-9A-Fa-f]{2,8})>\s{0,8}<([0-9A-Fa-f]{2,8})>")
_MAX_SPACES = 100
_IDENTITY = b"begincodespacerange <0000> <ffff> endcodespacerange"
_SECTION = regex(rb"beginbf(char|range)(.*?)endbf", re.DOTALL)
_PUT = regex(rb"dup\s{1,8}(\d{1,3})\s{0,8}/([A-Za-z0-9.]{1,40})\s{1,8}put")
_MAX_CODES = 70_000  # codes of one map; two bytes have 65,536
_UNICODE = regex(rb"(?:uni|u)([0-9A-F]{4,6})")
_GLYPHS: dict[bytes, str] = {
    name.encode(): character
    for name, character in zip(
        [
            "space",
            "exclam",
            "quotedbl",
            "numbersign",
            "dollar",
            "percent",
            "ampersand",
            "quotesingle",
            "parenleft",
            "parenright",
            "asterisk",
            "plus",
            "comma",
            "hyphen",
            "period",
            "slash",
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "colon",
            "semicolon",
            "less",
            "equal",
            "greater",
            "question",
            "at",
            "bracketleft",
            "backslash",
            "bracketright",
            "asciicircum",
            "underscore",
            "grave",
            "braceleft",
            "bar",
            "braceright",
            "asciitilde",
            "minus",
            "sfthyphen",
            "quoteright",
            "quoteleft",
            "fi",
            "fl",
            "ff",
            "ffi",
            "ffl",
        ],
        [*" !\"#$%&'()*+,-./0123456789:;<=>?@[\\]^_`{|}~--'`", "fi", "fl", "ff", "ffi", "ffl"],
        strict=True,
    )
}
"""The names of glyphs (Adobe Glyph List) that can stand in an address; a letter's name is the letter."""

_OTHER = "\ufffd"  # a character that stands in no address
_LONGEST_NUMBERING = 3  # letters: "g12" and "Gab" say nothing, "bullet" does
_SHORT_NAMES = frozenset(b"ae AE oe OE ij IJ eth Eth ng eng Eng SS mu yen".split())


@dataclass(slots=True)
class Font:
    """What the codes of a font show."""

    characters: dict[int, str]
    width: int  # bytes of a code
    codec: str = ""  # decodes what ``characters`` does not list; "" if nothing does
    readable: bool = True  # the characters of codes are known
    cuts: tuple[re.Pattern[bytes], ...] = ()  # codes of several widths, of each map that says how a string is cut

    def reads(self, shown: bytes) -> bool:
        """Return whether every character of the string *shown* is known."""
        if self.cuts:
            return self.readable and len({text for text in self._cut(shown) if _OTHER not in text}) == 1
        if self.width == 1:
            return self.readable and all(self.characters.get(code, " ") for code in shown)
        return self.readable and (bool(self.codec) or all(code in self.characters for code in self._codes(shown)))

    def text(self, shown: bytes) -> str:
        """Return what the string *shown* shows."""
        if self.cuts:
            texts = self._cut(shown)
            return next((text for text in texts if _OTHER not in text), texts[0])
        if not self.characters and self.codec:
            return shown.decode(self.codec, "replace")
        if self.width == 1:
            rest = shown.decode(self.codec or "latin-1", "replace") if len(shown) else ""
            return "".join(self.characters.get(code, rest[at]) for at, code in enumerate(shown))
        return "".join(self.characters.get(code, _OTHER) for code in self._codes(shown))

    def _codes(self, shown: bytes) -> Iterator[int]:
        return (int.from_bytes(shown[at : at + self.width]) for at in range(0, len(shown), self.width))

    def _cut(self, shown: bytes) -> list[str]:
        """Return what *shown* shows for each way to cut it into codes."""
        return ["".join(map(self._character, cut.findall(shown))) for cut in self.cuts]

    def _character(self, code: bytes) -> str:
        number = int.from_bytes(code)
        return self.characters.get(_with_width(number, len(code)), self.characters.get(number, _OTHER))


def _with_width(code: int, width: int) -> int:
    """Return a number for *code* that no other code has: <41> is not <0041>."""
    return -code - (1 << 8 * width)


UNKNOWN = Font({}, 1, "cp1252", readable=False)
"""A font that is not found: its codes are taken for characters."""


def read_font(dictionary: Dictionary, document: Document, content_of: dict[int, bytes]) -> Font:
    """Return the font of *dictionary*. *content_of* has the decoded streams by their numbers."""
    cmap = _content(dictionary.get(b"ToUnicode"), content_of)
    wide = dictionary.get(b"Subtype") == Name(b"Type0")
    mapped = to_unicode(cmap)
    if wide:
        encoding = document.resolve(dictionary.get(b"Encoding"))
        name = bytes(encoding) if isinstance(encoding, Name) else b""
        if not mapped and (b"UCS2" in name or b"UTF16" in name):
            return Font({}, 2, "utf-16-be")
        own = _IDENTITY if name.startswith(b"Identity") else _content(dictionary.get(b"Encoding"), content_of)
        spaces = [ranges for ranges in map(_code_spaces, (own, cmap)) if ranges]
        widths = {len(low) for ranges in spaces for low, _ in ranges}
        if len(widths) > 1:
            cuts = tuple(map(_cut_by, spaces))
            return Font(mapped | to_unicode(cmap, by_width=True), 2, readable=bool(mapped), cuts=cuts)
        return Font(mapped, max(widths, default=2), readable=bool(mapped))
    characters, readable = _encoded(dictionary, document, content_of)
    return Font(characters | mapped, 1, "cp1252", readable=readable or bool(mapped))


def _content(value: object, content_of: dict[int, bytes]) -> bytes:
    return content_of.get(getattr(value, "number", -1), b"")


def _encoded(dictionary: Dictionary, document: Document, content_of: dict[int, bytes]) -> tuple[dict[int, str], bool]:
    """Return the characters of a simple font by its Encoding or built-in encoding, and whether all are known."""
    characters: dict[int, str] = {}
    encoding = document.resolve(dictionary.get(b"Encoding"))
    descriptor = document.dictionary(dictionary.get(b"FontDescriptor"))
    readable = isinstance(encoding, Name) or not (b"FontFile2" in descriptor or b"FontFile3" in descriptor)
    for code, name in _PUT.findall(_content(descriptor.get(b"FontFile"), content_of)):
        characters[int(code) & 255] = glyph(name)
    if isinstance(encoding, dict):
        code, readable = 0, True
        for item in document.array(encoding.get(b"Differences")):
            if isinstance(item, float):
                code = int(item)
            elif isinstance(item, Name):
                characters[code] = glyph(item)
                code += 1
    return characters, readable


def glyph(name: bytes) -> str:
    """Return the characters of a glyph's name, "" if it says nothing."""
    base = name.partition(b".")[0]  # "at.alt" is a form of "at"
    if base in _GLYPHS:
        return _GLYPHS[base]
    if len(base) == 1:
        return base.decode("latin-1")
    if unicode := _UNICODE.fullmatch(base):
        return chr(min(int(unicode[1], 16), 0x10FFFF))
    known = not base or base in _SHORT_NAMES or (base.isalpha() and len(base) > _LONGEST_NUMBERING)
    return _OTHER if known else ""


def to_unicode(cmap: bytes, *, by_width: bool = False) -> dict[int, str]:
    """Return the codes of a ToUnicode map (§9.10.3) with their characters, at most _MAX_CODES.

    *by_width* says that codes of the same number and of several widths are several codes.
    """
    characters: dict[int, str] = {}
    for code, width, text in _mappings(cmap):
        if len(characters) >= _MAX_CODES:
            break
        characters[_with_width(code, width) if by_width else code] = text
    return characters


def _code_spaces(cmap: bytes) -> list[tuple[bytes, bytes]]:
    """Return the first and the last code of each range by which *cmap* cuts a string (§9.7.6.2), the narrowest first."""
    declared = [pair for section in _CODE_SPACES.findall(cmap) for pair in _CODE_SPACE.findall(section)]
    ranges = [(hex_string(low), hex_string(high)) for low, high in declared[:_MAX_SPACES]]
    return sorted((pair for pair in ranges if _is_range(*pair)), key=lambda pair: len(pair[0]))


def _is_range(low: bytes, high: bytes) -> bool:
    return len(low) == len(high) and all(map(int.__le__, low, high))


def _cut_by(ranges: list[tuple[bytes, bytes]]) -> re.Pattern[bytes]:
    """Return a pattern for one code within *ranges*, each byte of it between those of the first and of the last."""
    codes = [
        b"".join(b"[\\x%02x-\\x%02x]" % (first, last) for first, last in zip(low, high, strict=True))
        for low, high in ranges
    ]
    return re.compile(b"|".join((*codes, b".{1,%d}" % len(ranges[0][0]))), re.DOTALL)


def _mappings(cmap: bytes) -> Iterator[tuple[int, int, str]]:
    """Yield each code, its width in bytes, and what it shows."""
    left = _MAX_CODES
    for kind, section in _SECTION.findall(cmap):
        if kind == b"char":
            for code, text in _SINGLE.findall(section):
                yield int(code, 16), len(code) // 2, _utf16(text)
            continue
        for first, last, text in _RANGE.findall(section):
            base = _utf16(text)
            for at, number in enumerate(range(int(first, 16), min(int(last, 16), int(first, 16) + left) + 1)):
                yield number, len(first) // 2, base[:-1] + chr(min(ord(base[-1]) + at, 0x10FFFF)) if base else ""
                left -= 1
        for first, _last, values in _ARRAY.findall(section):
            texts = re.findall(rb"<([0-9A-Fa-f\s]{2,80})>", values)
            for number, text in enumerate(map(_utf16, texts), int(first, 16)):
                yield number, len(first) // 2, text


def _utf16(digits: bytes) -> str:
    content = hex_string(digits)
    return content.decode("utf-16-be", "replace") if len(content) > 1 else content.decode("latin-1")
