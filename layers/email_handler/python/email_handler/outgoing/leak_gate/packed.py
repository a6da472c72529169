"""Text that carries bytes: base64, base32, hexadecimal and uuencoded runs, as keys, links and some clients have them."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from email_handler.mail.encodings import decode_base64, decode_uuencoded_line

_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_UUENCODED = re.compile(r"^begin [0-7]{3,6} {1,9}[^\r\n]{1,200}\r?\n((?:[!-`][ -`]{1,80}\r?\n)++)", re.MULTILINE)
_FOLD = r"\r?\n[>| \t]{0,20}+"  # within a run, quoted or not
_FOLDS = re.compile(r"[\s>|]+")
_ESCAPED = re.compile(r"%(?:0[AD]|2[BF]|3D)|\\[/rn]|&#(?:1[03]|x[AD]);", re.IGNORECASE)
_MEANINGS = {"%2b": "+", "%2f": "/", "%3d": "=", r"\/": "/", "%0a": "\n", r"\n": "\n", "&#10;": "\n", "&#xa;": "\n"}
_AS_INT_HAS = str.maketrans("abcdefghijklmnopqrstuvwxyz234567", "0123456789abcdefghijklmnopqrstuv")


def _base64(digits: str) -> bytes:
    """Return what *digits* encode; a last digit that encodes no whole byte is ignored."""
    return decode_base64(digits.encode().translate(_URL_SAFE))[0]


def _unescaped(text: str) -> str:
    """Return *text* with the digits and line breaks that links, JSON and XML write in another way."""
    return _ESCAPED.sub(lambda token: _MEANINGS.get(token[0].lower(), ""), text)


class _Encoding(NamedTuple):
    runs: re.Pattern[str]
    noise: re.Pattern[str]  # what stands between the digits of a run
    bits: int  # of a digit
    step: int  # bits between two places at which a byte can begin
    zero: str  # the digit
    number: Callable[[str], int]  # of eight digits or sixteen, and so on


_BASE64 = re.compile(rf"[A-Za-z0-9+/_-]{{8,}}+(?:{_FOLD}[A-Za-z0-9+/_-]{{2,}}+)*+")
_HEX = "[0-9A-Fa-f]"
_PAIR = rf"(?:{_HEX}{_HEX}|0x{_HEX}{_HEX}|x{_HEX}{_HEX}|\\x{_HEX}{_HEX})"  # twice as fast as with "?"
_ENCODINGS = (
    _Encoding(_BASE64, _FOLDS, 6, 2, "A", lambda digits: int.from_bytes(_base64(digits))),
    _Encoding(
        re.compile(rf"[A-Za-z2-7]{{16,}}+(?:{_FOLD}[A-Za-z2-7]{{2,}}+)*+"), _FOLDS,
        5, 1, "A", lambda digits: int(digits.lower().translate(_AS_INT_HAS), 32),
    ),
    _Encoding(  # 6d65, 6d:65, \x6d\x65, 0x6d, 0x65
        re.compile(rf"{_PAIR}(?:[^0-9A-Za-z\\]{{0,8}}+{_PAIR}){{7,}}+[0-9A-Fa-f]?"), re.compile("0?x|[^0-9A-Fa-f]+"),
        4, 4, "0", lambda digits: int(digits, 16),
    ),
)  # fmt: skip


def unpacked(text: str, least: int) -> Iterator[bytes]:
    """Yield what the runs of digits in *text* encode, read from each bit at which a byte can begin, as anything may
    precede a run. Zeros part two runs; a run too short to hold *least* bytes is left out.
    """
    text = _unescaped(text)
    for encoding in _ENCODINGS:
        if runs := _runs(encoding, text, least):
            digits = (encoding.zero * 8).join(runs)
            value = encoding.number(digits + encoding.zero * (-len(digits) % 8))
            for shift in range(0, 8, encoding.step):
                yield (value >> shift).to_bytes(len(digits) // 8 * encoding.bits + encoding.bits)


def files(text: str, least: int) -> Iterator[bytes]:
    """Yield each run of *text* that may be a file of *least* bytes or more, decoded: base64, hexadecimal."""
    for digits in _runs(_ENCODINGS[0], _unescaped(text), least):
        if re.fullmatch("(?:[0-9A-Fa-f]{2})+", digits):
            yield bytes.fromhex(digits)
        for run in dict.fromkeys((digits, digits.rpartition("/")[2])):  # a link's path may precede it
            yield _base64(run)


def _runs(encoding: _Encoding, text: str, least: int) -> list[str]:
    digits = -(-least * 8 // encoding.bits)
    return [encoding.noise.sub("", run) for run in encoding.runs.findall(text) if len(run) >= digits]


def uuencoded(text: str) -> Iterator[bytes]:
    """Yield each uuencoded file in *text*, decoded; a damaged line costs itself alone."""
    for lines in _UUENCODED.findall(text):
        yield b"".join(map(decode_uuencoded_line, lines.encode("ascii", "replace").splitlines()))
