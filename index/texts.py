"""Text as the index holds it, and as a query asks for it: the same letters in every spelling.

SQLite's tokenizer ``unicode61`` folds case and removes the accents of composed letters. The rest is done here: other
forms of the same characters (NFKC), what nobody sees, letters that no accent explains (``ß``, ``ł``), and scripts that
write no spaces between words.
"""

import re
import unicodedata

from email_handler.mail.ignorable import IGNORABLE

TOKENIZER = "unicode61 remove_diacritics 2 categories 'L* M* N* Co'"
"""FTS5's tokenizer: letters and digits make words, and so do the vowel signs of Indian and Thai letters."""

BREAK = "\u200b"
"""Zero width space: where a word may end in a script without spaces. No text of a stranger's keeps one of its own."""

_UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u31ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Japanese, Chinese; Korean too, whose particles stick to the word."""

_MARKS = "".join(chr(point) for point in range(0xE00, 0x3100) if unicodedata.category(chr(point)).startswith("M"))
_CHARACTER = re.compile(f"(?![{_MARKS}])[{_UNSPACED}][{_MARKS}]*")

_LOOSE = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed]+"
)
"""Accents that no composed letter has, and the vowel points of Hebrew and Arabic, which most people leave out."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

_SPELLED = {"ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ħ": "h", "\u0131": "i"}
_SPELLINGS = str.maketrans(
    _SPELLED
    | {letter.upper(): plain.upper() for letter, plain in _SPELLED.items() if letter not in "ß\u0131"}
    | {"ẞ": "SS"}
)
_SPELLED_BELOW = "\x1e"  # no prepared text holds control characters
_SPELLED_WORD = re.compile(rf"\w*[{''.join(map(chr, _SPELLINGS))}]\w*")


def searchable(text: str) -> str:
    """Return *text* for the index: its characters in one form, breaks in scripts without spaces, and at the end its
    words once more that others spell in plain letters (``Łódź``: ``Lódz``)."""
    prepared = prepare(text)
    spelled = dict.fromkeys(map(plain_letters, _SPELLED_WORD.findall(prepared)))
    return f"{prepared}{_SPELLED_BELOW}{' '.join(spelled)}" if spelled else prepared


def prepare(text: str) -> str:
    """Return *text* in the form in which index and query meet: without control characters, lone surrogates and what no
    reader sees, compatible forms made one (NFKC), a break at each character of a script without spaces."""
    seen = _LOOSE.sub("", unicodedata.normalize("NFKC", IGNORABLE.sub("", _CONTROL.sub(" ", text))))
    return _CHARACTER.sub(f"{BREAK}\\g<0>{BREAK}", seen)


def plain_letters(text: str) -> str:
    """Return *text* with the letters that have no accent to remove written as those who lack them do: ``strasse``."""
    return text.translate(_SPELLINGS)


def readable(text: str) -> str:
    """Return a part of a :func:`searchable` text as a person reads it, on one line."""
    return " ".join(text.partition(_SPELLED_BELOW)[0].replace(BREAK, "").split())


def has_words(text: str) -> bool:
    """Return whether the tokenizer finds a word in *text*: a letter or a digit."""
    return any(unicodedata.category(letter)[0] in "LN" for letter in text)
