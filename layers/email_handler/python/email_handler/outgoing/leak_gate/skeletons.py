"""A fast look whether words can be in a text: in its *skeleton*, what stands between their letters is left out."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import filterfalse

from email_handler.mail.ignorable import CHARACTERS
from email_handler.mail.patterns import regex

_LOWER = bytes(range(256)).lower()
_SKIPPED = bytes((*range(0x21), ord(">"), ord("|"), 0x7F))  # what a line break, its quotation or a boundary is made of
_NO_LATIN = bytes({*range(0x80, 0x100)} - {*b"\xaa\xba\xb9\xb2\xb3"})  # bytes that mean nothing in ASCII
_BEYOND_ASCII = regex("[^\x00-\x7f](?:.{0,100}[^\x00-\x7f])?", re.DOTALL)  # with little else in between
_FOLDS = 5000  # characters that are kept folded, of a million
_NOT_SHOWN = regex(f"[\x80-\xa0{CHARACTERS}]+")

MEANS_ASCII = regex(
    "[\u0130-\u0133\u013f\u0140\u0149\u017f\u01c4-\u01cc\u01f1-\u01f3\u02b0\u02b2\u02b3\u02b7\u02b8\u02e1-\u02e3"
    "\u037e\u1d2c\u1d2e\u1d30\u1d31\u1d33-\u1d3a\u1d3c\u1d3e-\u1d43\u1d47-\u1d49\u1d4d\u1d4f\u1d50\u1d52"
    "\u1d56-\u1d58\u1d5b\u1d62-\u1d65\u1d9c\u1da0\u1dbb\u1e9a\u1fef\u2024-\u2026\u203c\u2047-\u2049\u2070\u2071"
    "\u2074-\u207a\u207c-\u208a\u208c-\u208e\u2090-\u2093\u2095-\u209c\u20a8\u2100-\u2103\u2105\u2106"
    "\u2109-\u210e\u2110-\u2113\u2115\u2116\u2119-\u211d\u2120-\u2122\u2124\u2128\u212a\u212c\u212d\u212f-\u2131"
    "\u2133\u2134\u2139\u213b\u2145-\u2149\u2150-\u217f\u2189\u2460-\u24ea\u2a74-\u2a76\u2c7c\u2c7d\u3002"
    "\u3200-\u325f\u32b1-\u32cf\u3358-\u33ff\ua7f2-\ua7f4\ufb00-\ufb29\ufe10-\ufe6b\uff01-\uff61\U000107a5"
    "\U0001d400-\U0001d6a3\U0001d7ce-\U0001d7ff\U0001f100-\U0001f190\U0001fbf0-\U0001fbf9]"
)
"""Every character above U+00FF that may stand for one in ASCII (NFKC, and letters of any case), and a few near them."""
_OF_LATIN = bytes.maketrans(b"\xaa\xba\xb9\xb2\xb3", b"ao123")
_FRACTIONS = ((b"\xbc", b"14"), (b"\xbd", b"12"), (b"\xbe", b"34"))


class Words:
    """Words that are looked for."""

    def __init__(self, words: Iterable[str]) -> None:
        every = tuple(dict.fromkeys(words))
        self._plain = tuple(map(_plain, filter(str.isascii, every)))
        self._other = tuple(map(_whole, filterfalse(str.isascii, every)))

    def may_be_in(self, text: str) -> bool:
        """Return whether any of the words could be in *text* once it is normal (:func:`views.normal`)."""
        bare = _plain(text)
        for word in self._plain:
            if word in bare:
                return True
        if not self._other or text.isascii():
            return False
        bare = _whole(text)
        return any(word in bare for word in self._other)


def _plain(text: str) -> bytes:
    """Return the skeleton of *text* in ASCII: no other character stands in a word that is written in ASCII."""
    if text.isascii():
        return text.encode().translate(_LOWER, _SKIPPED)
    encoded = MEANS_ASCII.sub(lambda found: _FOLDED[ord(found[0])], text).encode("latin-1", "ignore")
    for character, meaning in _FRACTIONS:
        encoded = encoded.replace(character, meaning)
    return encoded.translate(_OF_LATIN, _NO_LATIN).translate(_LOWER, _SKIPPED)


def _whole(text: str) -> bytes:
    """Return the skeleton of *text* with letters of every script, without their marks."""
    if not text.isascii():
        text = _BEYOND_ASCII.sub(lambda stretch: stretch[0].translate(_FOLDED), text)
    return text.encode("utf-8", "replace").translate(_LOWER, _SKIPPED)


class _Folded(dict[int, str]):
    """Each character taken apart (NFKD) in one case, without its combining marks: a text may have them in any order."""

    def __missing__(self, number: int) -> str:
        apart = unicodedata.normalize("NFKD", chr(number)).replace("\u3002", ".").replace("\u0131", "i").casefold()
        folded = "".join(filterfalse(unicodedata.combining, _NOT_SHOWN.sub("", apart)))
        if len(self) < _FOLDS:
            self[number] = folded
        return folded


_FOLDED = _Folded({number: chr(number) for number in range(0x80)})
