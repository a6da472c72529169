"""Text as rules search it: as a reader sees it, with what a sender did to hide words from filters undone.

Every function takes linear time. Long texts are cut to windows first.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping

import pcre2

from email_handler.mail.entities import unescape
from email_handler.mail.ignorable import CHARACTERS
from email_handler.mail.look_alikes import LOOK_ALIKES
from email_handler.mail.patterns import regex
from email_handler.values import dataclass

WINDOW = 16 * 1024  # characters of a field that one search sees; this bounds what any pattern can cost
_WINDOW_WORDS = WINDOW // 2 + 1  # with spaces between them, they fill a window
_SOURCE = 8 * WINDOW  # characters folded for a window: room for runs of white space, entities and invisible characters

# Typographic quotation marks and dashes, the ß, which NFKD does not decompose, and Braille's blank, shown as a space.
_TYPED = (
    dict.fromkeys(range(0x2018, 0x201C), "'")
    | dict.fromkeys((*range(0x201C, 0x2020), 0xAB, 0xBB), '"')
    | dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-")
    | {ord("ß"): "ss", 0x2800: " "}
)
# Small capitals, and white letters in a black circle or square: no language is written in them, and NFKD keeps them.
_DRAWN = str.maketrans("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz") | {
    first + number: chr(ord("a") + number) for first in (0x1F150, 0x1F170) for number in range(26)
}
_DIGITS_AS_LETTERS = str.maketrans("013457@$!|", "oieastasil")


class _Disguise:
    """A pattern, and what replaces its matches.

    PCRE2 searches, because it is several times faster. Python's own engine replaces by a function: PCRE2's binding counts
    characters from the beginning for every match, which is quadratic (over a second for half a megabyte of spaced-out
    letters).
    """

    def __init__(self, pattern: str, by: Callable[[re.Match[str]], str]) -> None:
        self.pattern = pattern
        self._search = pcre2.compile(pattern).search
        self._sub = re.compile(pattern).sub
        self._by = by

    def remove_from(self, text: str) -> str:
        """Return *text* with every match replaced."""
        return self._sub(self._by, text) if self.found_in(text) else text

    def found_in(self, text: str) -> bool:
        """Return whether *text* has a match."""
        return self._search(text) is not None


def _translating(table: Mapping[int, int | str]) -> Callable[[re.Match[str]], str]:
    return lambda found: found[0].translate(table)


_BEYOND_ASCII = pcre2.compile(r"[^\x20-\x7e]")  # in folded text: what is not ASCII, or a control character
# Characters that readers' programs do not show, and the accents that NFKD separates from their letters.
_INVISIBLE = pcre2.compile(
    f"[{CHARACTERS}"
    r"\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0]+"
)
_REVERSED = _Disguise(r"\u202e([^\u202c]*)", lambda found: found[1][::-1])  # shown from right to left
_TYPOGRAPHY = _Disguise(r"[\u2018-\u201f\u00ab\u00bb\u2010-\u2015\u2212ß\u2800]", _translating(_TYPED))
_DRAWN_LETTER = _Disguise(f"[{''.join(map(chr, _DRAWN))}]+", _translating(_DRAWN))
# Greek, Cyrillic, Armenian, Coptic; letters of phonetic notation; Cherokee and Lisu.
_OTHER = r"\u0370-\u058f\u2c80-\u2cff\u0250-\u02af\u13a0-\u13ff\uab70-\uabbf\ua4d0-\ua4ff"
_OTHER_SCRIPT = pcre2.compile(f"(?i)[{_OTHER}]")  # without one, the next two cannot match
_MIXED_WORD = _Disguise(rf"(?i)\b(?=\w*[a-z])(?=\w*[{_OTHER}])\w+", _translating(LOOK_ALIKES))
_DISGUISED_WORD = _Disguise(
    r"\b[АВСЕНІЈКМОРЅТУХаьсеһіјоԛрѕухԁвкмнтΑΒΕΖΗΙΚΜΝΟΡΤΥΧαεικνορτυχ]{3,}\b", _translating(LOOK_ALIKES)
)
_LEET_WORD = _Disguise(
    r"(?i)(?<![\w./@:=&?%#+-])[a-z]{1,20}+(?:[013457@$!|]{1,2}[a-z]{1,20}+){1,9}+(?![\w./@=&?%#+-])",
    _translating(_DIGITS_AS_LETTERS),
)
# Wider gaps still separate words (``c h e a p   p i l l s``).
_SPACED_WORD = _Disguise(
    r"(?<![^\W\d_])[^\W\d_]([ \u00a0\u2000-\u200a\u202f.*_~|/-])[^\W\d_](?![^\W\d_])(?:\1[^\W\d_](?![^\W\d_])){2,30}+",
    lambda found: found[0][::2],
)
_SPACED_OR_LEET = pcre2.compile(f"{_SPACED_WORD.pattern}|{_LEET_WORD.pattern}")
_CHANGED = pcre2.compile(rf"[^\x20-\x7e]|&|\A | \z|  |{_SPACED_WORD.pattern}|{_LEET_WORD.pattern}")
_GAP = regex(r"\s{3,}")


def fold(text: str) -> str:
    """Return *text* with each run of white space, line breaks included, as one space."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Seen:
    """The windows of a text: one, or the first and the last of a long text."""

    received: tuple[str, ...]  # with their white space folded
    normalised: tuple[str, ...]  # as a reader takes them; the same if nothing is disguised


def see(text: str) -> Seen:
    """Return the windows of *text*, see :func:`as_seen`."""
    if _is_seen_as_it_is(text):
        return Seen((text,), (text,))
    text = encodable(text)
    received, joined = _windows(text), _joined_ends(text)
    normalised = map(_without_disguises, received if joined is None else _windows(joined))
    return Seen(tuple(received), tuple(normalised))


def as_seen(*texts: str, spacing: bool = False) -> tuple[str, ...]:
    """Return the views that searches run on: each text with its white space folded, and if that differs, normalised;
    with *spacing* also the beginning of the text as written.

    Normalised means as a reader takes it: entities decoded, invisible characters and accents removed, look-alike letters
    and digits replaced in the words they disguise, spaced-out words joined. Accents are removed from Latin letters too,
    so patterns for German or French have none.

    A long text has two windows, its first and its last :data:`WINDOW` characters: two whole ones, so that padding before
    or after a message hides none of it. They are counted in folded text, so white space is no padding.
    """
    if all(map(_is_seen_as_it_is, texts)):
        return tuple(dict.fromkeys(texts))
    spaced = [encodable(text)[:WINDOW] for text in texts] if spacing else []
    return tuple(dict.fromkeys([*spaced, *views_of(map(see, texts))]))


def as_markup(*texts: str) -> tuple[str, ...]:
    """Return the views of HTML: its windows as received, and those with numbers for characters, which may stand for letters
    in attributes, decoded. Nothing else is a disguise in markup: a browser knows no tag that is spelled otherwise."""
    windows = [window for text in texts for window in _windows(encodable(text))]
    return tuple(dict.fromkeys([*windows, *(unescape(window) for window in windows if "&#" in window)]))


def views_of(seen: Iterable[Seen]) -> Iterator[str]:
    """Yield every window, as received and normalised."""
    for one in seen:
        yield from one.received
        yield from one.normalised


def encodable(text: str) -> str:
    """Return *text* without lone surrogates, which PCRE2 does not accept."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _windows(text: str) -> list[str]:
    if len(text) > 2 * _SOURCE:
        return [_first(text[:_SOURCE]), _last(text[-_SOURCE:])]
    words = text.split(None, _WINDOW_WORDS)
    if len(words) > _WINDOW_WORDS:
        return [" ".join(words[:_WINDOW_WORDS])[:WINDOW], _last(text)]
    folded = " ".join(words)
    return [folded] if len(folded) <= WINDOW else [folded[:WINDOW], folded[-WINDOW:]]


def _first(text: str) -> str:
    return " ".join(text.split(None, _WINDOW_WORDS)[:_WINDOW_WORDS])[:WINDOW]


def _last(text: str) -> str:
    return " ".join(text.rsplit(None, _WINDOW_WORDS)[-_WINDOW_WORDS:])[-WINDOW:]


def _joined_ends(text: str) -> str | None:
    """Return *text* with spaced-out words joined, None if it has none; of a long text only the ends that windows come
    from. Must run before white space is folded: wider gaps separate the words."""
    ends = text if len(text) <= 2 * _SOURCE else text[:_SOURCE] + text[-_SOURCE:]
    if not _SPACED_WORD.found_in(ends):
        return None
    ends = _GAP.sub("   ", ends)
    most = 3 * WINDOW  # two windows of spaced-out letters, joined, fill one
    return _SPACED_WORD.remove_from(ends if len(ends) <= 2 * most else ends[:most] + ends[-most:])


def _is_seen_as_it_is(text: str) -> bool:
    """Return whether *text* has one view only, as most header fields have."""
    return len(text) <= WINDOW and text.isascii() and not _CHANGED.search(text)


def _without_disguises(folded: str) -> str:
    text = unescape(folded)
    if _BEYOND_ASCII.search(text):
        text = unicodedata.normalize("NFKD", text)[: 2 * WINDOW]  # one character can become eighteen
        text = unicodedata.normalize("NFC", _INVISIBLE.sub("", _REVERSED.remove_from(text)))
        text = _DRAWN_LETTER.remove_from(_TYPOGRAPHY.remove_from(text))
        if _OTHER_SCRIPT.search(text):
            text = _DISGUISED_WORD.remove_from(_MIXED_WORD.remove_from(text))
    if _SPACED_OR_LEET.search(text):
        text = _SPACED_WORD.remove_from(_LEET_WORD.remove_from(text))
    return folded if text == folded else fold(text)
