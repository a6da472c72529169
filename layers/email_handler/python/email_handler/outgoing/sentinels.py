"""What marks our words in a forward: how they begin and end, how that is recognised in a reply, and how a contact's text is
kept from looking like them.

Each of our passages begins with :data:`BEGIN` and ends with one of a few phrases and a bracket. A person reads them as
ordinary words; they are plain ASCII but for a dot that may get lost, so that they survive a client that quotes, re-wraps,
recodes or restyles them.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from anyascii import anyascii

from email_handler.mail.look_alikes import LOOK_ALIKES
from email_handler.mail.patterns import regex

BEGIN = "[Only you see this:"
"""Begins each of our passages."""

VERIFIED = "verified"
"""Or "not verified": the word before :func:`nth_message` in the passage that says who wrote."""

BY_EMAIL = "each opens an email]"
"""Ends the passage of the actions."""


AGAIN = "reply here to send another email]"
"""Ends the one passage of a copy of the owner's own message."""


def nth_message(number: int, since: str) -> str:
    """Return which message of its conversation a message is; it ends the passage that says who wrote. *since* is a day
    such as ``2 Mar 2026``."""
    return "first message]" if number == 1 else f"message {number} since {since}]"


NOT_VERIFIED = "Not verified: "
"""Stands before the sender's name in From of a forward whose sender is not verified: at the end, a list of messages on
a phone would cut it off."""

NO_ADDRESS = "no address"
"""Stands there for the address of a sender who has none."""

SENTINEL_WORDS = ("[only", VERIFIED, "email]")
"""Every sentinel holds one of these in its lower-case form, however it is wrapped."""

_GAP_MARK = r"(?:[\s>|]|&nbsp;|&gt;)"  # in text and in the source of HTML
_DOT = r"(?:[\s>|·?,.-]|&nbsp;|&gt;|&middot;|Â)"  # or what some client makes of the dot between two facts


def _tolerant(line: str) -> str:
    return (_GAP_MARK + "{0,40}+").join(re.escape(word) for word in re.split(r" |(?<=-)", line))


_NTH = (
    rf"(?:{_tolerant('first message')}|{_tolerant('message ')}\d{{1,7}}{_GAP_MARK}{{1,40}}+since{_GAP_MARK}{{1,40}}+"
    rf"\d{{1,2}}{_GAP_MARK}{{1,40}}+[a-z]{{3}}{_GAP_MARK}{{1,40}}+\d{{4}})\]"
)
SENTINEL = regex(
    rf"(?P<begin>{_tolerant(BEGIN)})|"
    rf"(?P<end>{VERIFIED}{_DOT}{{1,40}}+{_NTH}|{_tolerant(BY_EMAIL)}|{_tolerant(AGAIN)})",
    re.IGNORECASE,
)
"""The beginning or the end of a passage of ours, even if a client re-wrapped and quoted it."""


_WHO = (
    rf"(?:{_tolerant(NO_ADDRESS)}|LinkedIn|"
    rf"[^\s()<>]{{1,80}}{_GAP_MARK}{{1,20}}+at{_GAP_MARK}{{1,20}}+[^\s()<>]{{1,80}}\.[^\W\d_][^\s()<>.]{{0,62}})"
)
_BEFORE_WHO = rf"(?:(?:[^\n<>]|\n{_GAP_MARK}{{0,40}}+){{0,200}}?\()?"
_AFTER_WHO = rf"\)?(?:[\"']|&quot;|&\#39;)?{_GAP_MARK}{{0,20}}+(?:<|&lt;|\[|[^\n<>]{{0,20}}:|$)"
MARK = regex(rf"{_tolerant(NOT_VERIFIED)}(?={_BEFORE_WHO}{_WHO}{_AFTER_WHO})", re.IGNORECASE)
""":data:`NOT_VERIFIED` before a name as :func:`email_handler.outgoing.headers.sender_name` spells it, even if a client
re-wrapped and quoted it. The same words before anything else are the owner's own."""


def reads_as_mark(name: str) -> bool:
    """Return whether a sender's *name* reads as if it said, as only we may, that they are not verified."""
    return next(_Reading(name).find(_MARK_LETTERS), None) is not None


def reads_as_banner(text: str) -> bool:
    """Return whether one line of *text*, by a contact, reads like words of the banner, or says who is verified."""
    reading = _Reading(text)
    return marked(text) != text or any(next(reading.find(p), None) for p in (_CLAIM_LETTERS, _VERIFIED_LETTERS))


def defused(text: str) -> str:
    """Return *text* with each sentinel in round brackets, so that it is none.

    What a contact writes must neither pass for our banner nor make the reply lose the text behind it.
    """
    return defused_runs((text,))[0]


def defused_runs(runs: Sequence[str]) -> list[str]:
    """Return *runs* of text with each sentinel in round brackets, even one that is spread over several runs, or spelled
    with letters and brackets of other scripts that look alike. Each run keeps its length.

    Overrides of direction (UAX #9 §2.2), with which words can be written backwards, become embeddings, which cannot
    turn Latin letters around; Hebrew and Arabic need none.
    """
    runs = [run.replace("\u202d", "\u202a").replace("\u202e", "\u202b") for run in runs]
    text = "".join(runs)
    reading = _Reading(text)
    marks: dict[int, str] = {}
    for start, end in reading.find(_SENTINEL_LETTERS):
        for at in range(max(start - _GAP, 0), start):
            if unicodedata.category(text[at]) == "Ps":
                marks[at] = "("
        for at in range(end, min(end + _GAP, len(text))):
            if unicodedata.category(text[at]) == "Pe":
                marks[at] = ")"
    if not marks:
        return runs
    characters = list(text)
    for at, mark in marks.items():
        characters[at] = mark
    offset, changed = 0, []
    for run in runs:
        changed.append("".join(characters[offset : offset + len(run)]))
        offset += len(run)
    return changed


def marked(text: str) -> str:
    """Return plain *text* of a contact with each sentinel in round brackets, and with ``| `` before what only our banner
    says: plain text has no frame that shows whose words they are.

    The mark stands where the line begins, by any reader's line ends, and where a flowed paragraph (RFC 3676 §4.2) does;
    in a long line, which a window wraps, also before the words themselves. Embeddings and isolates (UAX #9 §2.2, §2.4)
    can put any words in front of others, so marks of the same direction replace them.
    """
    text = defused(text.translate(_PLAIN_DIRECTIONS))
    found = [at for at, _ in _Reading(text).find(_CLAIM_LETTERS)]
    if not found and not _RIGHT_TO_LEFT.search(text):
        return text
    lines = [0, *(end.end() for end in _LINE_END.finditer(text))]
    paragraphs = [0, *(end.end() for end in _HARD_END.finditer(text))]
    starts = {at for at in found if at - lines[bisect_right(lines, at) - 1] > _WRAPPED}
    for begins in (lines, paragraphs):
        starts |= {begins[bisect_right(begins, at) - 1] for at in found}
        starts |= {start for start, end in pairwise((*begins, len(text))) if _claims_backwards(text[start:end])}
    chunks: list[str] = []
    position = 0
    for start in sorted(starts):
        if text[start : start + 1] not in (">", "|"):
            chunks += (text[position:start], "| ")
            position = start
    return "".join((*chunks, text[position:]))


_WRAPPED = 30  # characters of a line that the narrowest window shows in one
_LINE_END = regex("\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
_PLAIN_DIRECTIONS = str.maketrans(
    "\u202a\u202d\u2066\u202b\u202e\u2067", "\u200e\u200e\u200e\u200f\u200f\u200f", "\u202c\u2068\u2069"
)
_RIGHT_TO_LEFT = regex("[\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff]+")


_SHORTEST = 10  # characters; what the banner says has more


def _claims_backwards(line: str) -> bool:
    """Return whether *line* reads like our banner where it is set from right to left: its runs of other letters then
    stand in the opposite order, each as it is (UAX #9 §3.4)."""
    runs = _RIGHT_TO_LEFT.split(line)
    if len(runs) == 1 or len(line) < _SHORTEST:
        return False
    reading = _Reading(" ".join(reversed(runs)))
    return any(next(reading.find(p), None) for p in (_CLAIM_LETTERS, _SENTINEL_LETTERS))


_GAP = 40  # characters between a sentinel's words and its brackets
LINES = (
    "Not verified", "Nothing shows that it came from", "It names no sender", "Your reply would go elsewhere",
    "Replies go to ", "You cannot reply", "It has no address to reply to", "Looks like spam", "May hold a virus",
    "Could not be checked", "It got no acknowledgement", "Your last reply", "It was sent, but not all of it",
    "Not everything is here", "It was too large for", "Your mail provider refused", "Send the files", "About the invitation",
    "The invitation is", "An invitation is", "Cannot be shown", "An error in this system", "You may have this already: ",
    "Automatic reply: ", "Automatic message: ", "Bounce: ", "Complaint: ", "Newsletter or mailing list: ",
    "Read receipt: ", "Also sent to ", "Reply to everyone", "On LinkedIn: ",
)  # fmt: skip
"""How the lines of the banner begin, in text and in HTML."""

_CLAIMS = (
    "Only you see this", "verified, first message", "verified, message ", "Nothing shows that it came from",
    "Your reply would go elsewhere", "You cannot reply: it has no address", "Looks like spam: it got no acknowledgement",
    "May hold a virus: it got no acknowledgement", "Could not be checked: it got no acknowledgement",
    "You may have this already", "Reply to everyone: ", "each opens an email", "reply here to send another email",
)  # fmt: skip


_HARD_END = regex(r"(?<![ \r])\r?\n|(?<=\n-- )\r?\n")
"""A line end that is none within a flowed paragraph: without a space before it, or below ``-- `` (RFC 3676 §4.3)."""

_ALIKE = {"e": "[e3]", "i": "[il1]?", "l": "[il1]?", "m": "(?:m|rn)", "o": "[o0]", "s": "[s5]", "w": "(?:w|vv)"}
"""What is read as a letter. A stroke such as ``|``, which is no letter, can stand for the two that may be missing."""


def _letters(texts: Sequence[str]) -> re.Pattern[str]:
    words = (re.sub("[^a-z0-9]", "", text.lower()) for text in texts)
    return regex("|".join("".join(_ALIKE.get(letter, letter) for letter in word) for word in words))


_SENTINEL_LETTERS = _letters((BEGIN, "verified, first message", "verified, message ", BY_EMAIL, AGAIN))
_CLAIM_LETTERS = _letters(_CLAIMS)
_MARK_LETTERS = _letters((NOT_VERIFIED,))
_VERIFIED_LETTERS = _letters((VERIFIED,))
_WORD = regex(r"[A-Za-z0-9]+|[^\x00-\x7f]")


class _Reading:
    """A text as the letters that a person reads, with where each stands. Takes linear time."""

    def __init__(self, text: str) -> None:
        pieces, self._starts, self._offsets, length = [], [0], [0], 0
        for word in _WORD.finditer(text):
            piece = word[0].lower() if word[0].isascii() else _look_alike(word[0])
            if piece:
                self._starts.append(length)
                self._offsets.append(word.start())
                pieces.append(piece)
                length += len(piece)
        self._letters = "".join(pieces)
        self._text = text

    def find(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
        """Yield the start and end in the text of each match of *pattern* in its letters."""
        for match in pattern.finditer(self._letters):
            yield self._place(match.start()), self._place(match.end() - 1) + 1

    def _place(self, letter: int) -> int:
        word = bisect_right(self._starts, letter) - 1
        offset = self._offsets[word]
        return offset + (letter - self._starts[word] if self._text[offset].isascii() else 0)


@lru_cache(maxsize=10_000)
def _look_alike(character: str) -> str:
    shape = unicodedata.normalize("NFKD", character).translate(LOOK_ALIKES)
    return "".join(letter for letter in anyascii(shape).lower() if letter.isascii() and letter.isalnum())
