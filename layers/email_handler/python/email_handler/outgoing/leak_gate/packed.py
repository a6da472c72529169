"""Text that carries bytes: base64, base32, hexadecimal, uuencoded and xxencoded runs, as keys, links and some clients have
them, also where a client quoted or broke their lines."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from email_handler.mail.encodings import decode_base64, decode_uuencoded_line
from email_handler.mail.entities import unescape
from email_handler.mail.ignorable import IGNORABLE
from email_handler.mail.patterns import regex

_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_ESCAPED = regex(r"%(?:0[AD]|2[BF]|3D)|\\[/rn]|&#(?:1[03]|x[AD]);", re.IGNORECASE)
_MEANINGS = {"%2b": "+", "%2f": "/", "%3d": "=", r"\/": "/", "%0a": "\n", r"\n": "\n", "&#10;": "\n", "&#xa;": "\n"}
_AS_INT_HAS = str.maketrans("abcdefghijklmnopqrstuvwxyz234567", "0123456789abcdefghijklmnopqrstuv")
_TAG = regex(r"<[^<>]{1,1000}>")
_MARK = r"(?:[A-Za-z]{1,12}[>|:]|[>|:#*;]|(?://|[+-])(?=[ \t]))[>|:]{0,9}"
_QUOTED = regex(rf"^[ \t]{{0,20}}+(?:{_MARK}[ \t]{{0,8}}+){{1,9}}+", re.MULTILINE)
"""How programs begin a line that they quote: "> ", "| ", with the initials of who wrote it ("JD> ")."""


def _base64(digits: str) -> bytes:
    """Return what *digits* encode; a last digit that encodes no whole byte is ignored."""
    return decode_base64(digits.encode().translate(_URL_SAFE))[0]


def _unescaped(text: str) -> str:
    """Return *text* with the digits and line breaks that links, JSON and XML write in another way."""
    return _ESCAPED.sub(lambda token: _MEANINGS.get(token[0].lower(), ""), text)


def _lines(text: str) -> str:
    """Return the page or text *text* as lines, without tags and what is not shown."""
    shown = _TAG.sub("\n", text) if "<" in text else text
    shown = unescape(shown) if "&" in shown else shown
    return shown if shown.isascii() else IGNORABLE.sub("", shown)


def _readings(text: str) -> tuple[str, ...]:
    """Return the ways to read *text* for digits: without what parts lines, and with tags as some have digits in them."""
    whole = _unescaped(text)
    lines = _lines(whole)
    bare = _QUOTED.sub("", lines)
    return (bare, whole) if "<" in whole else (bare,)


class _Encoding(NamedTuple):
    runs: re.Pattern[str]
    noise: re.Pattern[str]  # what stands between the digits of a run
    bits: int  # of a digit
    step: int  # bits between two places at which a byte can begin
    zero: str  # the digit
    number: Callable[[str], int]  # of eight digits or sixteen, and so on


_D = "[A-Za-z0-9+/_-]"
_BETWEEN = r"[\s\"',\\>|=]"
_BREAK = rf"(?:={{1,2}}+|{_BETWEEN}{{0,9}}+(?:\+[ \t]?+)?\r?\n){_BETWEEN}{{0,40}}+"  # padding, or the end of a line
_BASE64 = regex(
    rf"(?<!{_D})(?:{_D}{{8,}}+|{_D}{{2,7}}+(?={_BREAK}{_D}{{2}}))(?:{_BREAK}(?!--){_D}{{2,}}+|{_BETWEEN}{{1,9}}+(?!--){_D}{{8,}}+)*+(?:{_BETWEEN}{{1,9}}+(?!--){_D}{{2,7}}+)?"
)
_HEX = "[0-9A-Fa-f]"
_PAIR = rf"(?:{_HEX}{_HEX}|0x{_HEX}{_HEX}|x{_HEX}{_HEX}|\\x{_HEX}{_HEX})"  # twice as fast as with "?"
_ENCODINGS = (
    _Encoding(_BASE64, regex("(?<=[\\s\"'])\\+[ \\t]?\r?\n|[^A-Za-z0-9+/_-]+"), 6, 2, "A", lambda digits: int.from_bytes(_base64(digits))),
    _Encoding(
        regex(r"[A-Za-z2-7]{16,}+(?:[ \t\r]{0,9}+\n[\s>|]{0,40}+[A-Za-z2-7]{2,}+)*+"), regex(r"[\s>|]+"),
        5, 1, "A", lambda digits: int(digits.lower().translate(_AS_INT_HAS), 32),
    ),
    _Encoding(  # 6d65, 6d:65, \x6d\x65, 0x6d, 0x65, and lines that go on behind a backslash
        regex(rf"{_PAIR}(?:(?:[^0-9A-Za-z\\]|\\(?=\r?\n)){{0,8}}+{_PAIR}){{7,}}+[0-9A-Fa-f]?"), regex("0?x|[^0-9A-Fa-f]+"),
        4, 4, "0", lambda digits: int(digits, 16),
    ),
)  # fmt: skip


def unpacked(text: str, least: int) -> Iterator[bytes]:
    """Yield what the runs of digits in *text* encode, read from each bit at which a byte can begin, as anything may
    precede a run. Zeros part two runs; a run too short to hold *least* bytes is left out.
    """
    readings = _readings(text)
    for encoding in _ENCODINGS:
        if found := _runs(encoding, readings, least):
            digits = (encoding.zero * 8).join(filter(None, (encoding.noise.sub("", run) for run in found)))
            value = encoding.number(digits + encoding.zero * (-len(digits) % 8))
            for shift in range(0, 8, encoding.step):
                yield (value >> shift).to_bytes(len(digits) // 8 * encoding.bits + encoding.bits)
            if encoding.bits == _ENCODINGS[0].bits and (padded := list(filter(None, map(_padded, found)))):
                yield b"\0\0\0".join(padded)


def files(text: str, least: int) -> Iterator[bytes]:
    """Yield each run of *text* that may be a file of *least* bytes or more, decoded: base64, hexadecimal."""
    for run in _runs(_ENCODINGS[0], _readings(text), least):
        digits = _ENCODINGS[0].noise.sub("", run)
        if re.fullmatch("(?:[0-9A-Fa-f]{2})+", digits):
            yield bytes.fromhex(digits)
        ways = [digits, digits.rpartition("/")[2]]  # a link's path may precede it
        if len(apart := _APART.split(run)) > 1:
            ways += (_ENCODINGS[0].noise.sub("", one) for one in apart if len(one) >= least)
        yield from map(_base64, dict.fromkeys(ways))
        if joined := _padded(run):
            yield joined


_APART = regex(r"=+\s*|[ \t]+")


def _runs(encoding: _Encoding, readings: tuple[str, ...], least: int) -> list[str]:
    digits = -(-least * 8 // encoding.bits)
    runs = dict.fromkeys(run for text in readings for run in encoding.runs.findall(text))
    return [run for run in runs if len(run) >= digits]


_PADDING = regex(r"=[=\s\"',\\>|]*+")
_LONE = (2, 3)  # digits of the last group before "==" and "="


def _padded(run: str) -> bytes:
    """Return what *run* encodes if padding stands in it, as where each line was encoded by itself; b"" if none does."""
    first, *others = (_ENCODINGS[0].noise.sub("", piece) for piece in _PADDING.split(run.rstrip("= \r\n")))
    if not others:
        return b""
    begins = (len(first) - (2 if "==" in run else 3)) % 4  # of the first piece, anything may precede it
    return b"".join(map(_base64, (first[begins:], *others)))


_BEGIN = (
    r"^(?P<quoted>[^\r\nA-Za-z0-9]{0,20}|[^\r\nA-Za-z0-9]{0,8}[A-Za-z]{1,12}[>|:][^\r\nA-Za-z0-9]{0,8})"
    r"begin [0-7]{3,6} {1,9}[^\r\n]{1,200}\r?\n"
)
_BLANK = r"(?:[>|\s]{0,40}\n)?"
_UUENCODED = regex(rf"{_BEGIN}(?P<lines>(?:{_BLANK}(?P=quoted)[!-`][ -`]{{0,88}}\r?\n)++)", re.MULTILINE)
_XXENCODED = regex(
    rf"{_BEGIN}(?P<lines>(?:{_BLANK}(?P=quoted)(?!end\s)[+0-9A-Za-z-]{{1,88}}[ \t]*\r?\n)++)", re.MULTILINE
)
_AS_UU_HAS = str.maketrans(
    "+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "`" + "".join(map(chr, range(33, 96)))
)


def uuencoded(text: str) -> Iterator[bytes]:
    """Yield each uuencoded or xxencoded file in *text*, decoded; a damaged line costs itself alone.

    In a page, digits are written as references, and tags part the lines.
    """
    if "begin " not in text:
        return
    found = _encoded(text)
    yield from map(_decoded, found)
    if not found or any(not _END.match(text, one.end()) for one in found):
        yield from map(_decoded, _encoded(_lines(text)))


_END = regex(r"[^\r\n]{0,40}\bend\b")


def _encoded(text: str) -> list[re.Match[str]]:
    return [*_UUENCODED.finditer(text), *_XXENCODED.finditer(text)]


def _decoded(found: re.Match[str]) -> bytes:
    lines = [line.removeprefix(found["quoted"]) for line in found["lines"].splitlines()]
    if found.re.pattern == _XXENCODED.pattern:
        lines = [line.translate(_AS_UU_HAS) for line in lines]
    return b"".join(decode_uuencoded_line(line.encode("ascii", "replace")) for line in lines)
