r"""Which of many patterns a text may match, so that most searches need not run.

A rule set looks for a thousand things in a dozen languages, and a message has few of them. RE2 reads a text once for all
patterns, but knows neither all that PCRE2 does nor its letters outside ASCII. So it gets a relaxed form of each pattern,
which matches wherever the pattern does, and PCRE2 searches for the few that remain.

A relaxed pattern reads a flat text, in ASCII: ``_`` stands for any other letter and ``~`` for any other character, so that
``\b`` and ``\w`` mean the same in both. Letters outside ASCII that a pattern looks for are never found there: a text
that has one of them is searched for all such patterns.
"""

import re
from collections.abc import Mapping

import pcre2
import re2

from email_handler.mail.patterns import regex

_MEMORY = 128 << 20  # bytes in which each sieve remembers where texts have led it
_LARGEST = 4000  # instructions of a relaxed pattern; larger ones lead to more than can be remembered
_LAST_ASCII = 127
_FOLDED = {"\u017f": "s", "\u212a": "k"}  # match ASCII letters in any case

_LETTER = pcre2.compile(r"\w")
_OTHER = pcre2.compile(r"[^\w\x00-\x7f]")
_ANY_LETTER, _ANY_OTHER, _NEVER = "_", "~", r"[^\x00-\x{10ffff}]"

_CHARACTER = r"\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\."
_PART = regex(rf"(?s:{_CHARACTER}|\[\^?|\(\?P?<[a-zA-Z_]\w*>|\(\?<?[=!]|\(\?>|\(\?[is-]*[:)]|\(\?|\(\*|.)")
_MEMBER = regex(rf"(?s:{_CHARACTER}|\[[:.=]|.)")
_QUANTIFIER = regex(r"(?:[*+?]|\{\d+(?:,\d*)?\})")
_CONTROLS = {r"\n": "\n", r"\r": "\r", r"\t": "\t", r"\f": "\f", r"\a": "\a"}
_OF_CLASSES = {"W": r"\W", "D": r"\D", "S": r"\S"}
_PLACES = {".": ".", "|": "|", "^": r"\A", "$": r"\z"}
_ESCAPES = _OF_CLASSES | {
    "b": r"\b", "B": "(?:)", "A": r"\A", "z": r"\z", "Z": r"\z", "w": r"\w", "d": r"[\d_]", "s": r"[\s\x0b~]",
}  # fmt: skip
_IN_CLASS = _OF_CLASSES | {"w": r"\w", "d": r"\d_", "s": r"\s\x0b~"}
_IN_NEGATED = {"w": r"\w", "d": r"\d", "s": r"\s\x0b", "W": r"\W"}


class _UnknownError(ValueError):
    """A pattern has no relaxed form."""


class Sieve:
    """Finds which of many patterns a text may match."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        """Prepare for *patterns* of PCRE2 by name; they ignore case."""
        options = re2.Options()
        options.case_sensitive, options.dot_nl, options.never_capture = False, True, True
        options.log_errors, options.max_mem = False, _MEMORY
        self._set = re2.Set.SearchSet(options)
        self._set.Add("")  # matches every text, unless RE2 has not enough memory for it
        self._read, self._always, self._foreign = [""], set[str](), set[str]()
        letters = ""
        for name, pattern in patterns.items():
            reader = _Reader(pattern)
            try:
                relaxed = reader.whole()
                is_small = re2.compile(relaxed, options).programsize <= _LARGEST
            except (_UnknownError, re2.error, RecursionError):
                is_small = False
            if not is_small:
                self._always.add(name)
                continue
            self._set.Add(relaxed)
            self._read.append(name)
            if reader.letters:
                self._foreign.add(name)
                letters += reader.letters
        try:
            self._set.Compile()
        except re2.error:  # all of them together are too large
            self._read, self._always, letters = [""], set(patterns), ""
        self._letters = pcre2.compile(f"[{letters}]", pcre2.IGNORECASE) if letters else None

    def may_match(self, text: str) -> set[str]:
        """Return the names of the patterns that may match *text*; the others cannot."""
        if len(self._read) == 1:
            return set(self._always)
        places = self._set.Match(_flat(text)) or ()
        if 0 not in places or text.endswith("\n"):  # before which $ matches as well
            return {*self._read[1:], *self._always}
        found = {self._read[place] for place in places if place} | self._always
        if not text.isascii() and self._letters and self._letters.search(text):
            found |= self._foreign
        return found


def _flat(text: str) -> str | bytes:
    """Return *text* as relaxed patterns read it."""
    if text.isascii():
        return text
    for letter, folded in _FOLDED.items():
        text = text.replace(letter, folded)
    without_others: str = _OTHER.sub(_ANY_OTHER, text)
    return without_others.replace("?", _ANY_OTHER).encode("ascii", "replace").replace(b"?", _ANY_LETTER.encode())


class _Reader:
    """Reads a pattern once, from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0
        self.letters = ""  # outside ASCII, that a match may need, as members of a class
        self.case_counts = False  # in some of what was read; it never does in the relaxed form

    def whole(self) -> str:
        """Return the relaxed form of the pattern. Raises :class:`_UnknownError`."""
        relaxed = self.relaxed()
        if self.at < len(self.pattern):
            raise _UnknownError("it closes a group that it does not open")
        return relaxed

    def relaxed(self) -> str:
        """Return the relaxed form of what follows, up to the end of the group or of the pattern."""
        parts = []
        while self.at < len(self.pattern) and self.pattern[self.at] != ")":
            parts.append(self.item())
            if (quantifier := _QUANTIFIER.match(self.pattern, self.at)) is not None:
                parts.append(quantifier[0])
                self.at = quantifier.end() + (self.pattern[quantifier.end() : quantifier.end() + 1] in ("+", "?"))
        return "".join(parts)

    def item(self) -> str:
        """Return the relaxed form of one character, class, place or group."""
        part = self.next(_PART)
        if part.startswith("("):
            return self.group(part)
        if part.startswith("["):
            return self.character_class(negated=part == "[^")
        if part in _PLACES:
            return _PLACES[part]
        code = _code(part)
        return self.character(code) if code is not None else _escaped(part, _ESCAPES)

    def next(self, kind: re.Pattern[str]) -> str:
        found = kind.match(self.pattern, self.at)
        if found is None:
            raise _UnknownError("it ends too early")
        self.at = found.end()
        return found[0]

    def group(self, part: str) -> str:
        if part in ("(?", "(*"):
            raise _UnknownError("it has a group of another kind")
        self.case_counts |= "i" in part.partition("-")[2]
        if part.endswith(")"):  # options for what follows
            return "(?:)"
        letters, inner = self.letters, self.relaxed()
        self.next(_PART)
        if not part.endswith(("=", "!")):
            return f"(?:{inner})"
        self.letters = letters  # what is around a match, or is not, takes no part in the relaxed form
        return "(?:)"

    def character(self, code: int) -> str:
        if code <= _LAST_ASCII:
            return "[?~]" if chr(code) == "?" else f"\\x{code:02x}"
        return self.foreign(code, code) or _NEVER

    def foreign(self, low: int, high: int) -> str:
        """Return the member of a class that characters outside ASCII become, "" if they are letters, which are noted."""
        if any(low <= ord(letter) <= high for letter in _FOLDED):
            raise _UnknownError("it matches ASCII letters by others")
        if low == high and not _LETTER.search(chr(low)):
            return _ANY_OTHER
        self.letters += f"{chr(low)}-{chr(high)}"
        return _ANY_OTHER if low < high else ""

    def character_class(self, *, negated: bool) -> str:
        """Return the relaxed form of the class that has begun. What stands for other characters is in a negated one,
        whatever else that excludes; if it excludes letters of one case alone, it may be anything."""
        members, excluded, first = "", "", self.at
        while (member := self.next(_MEMBER)) != "]" or self.at == first + 1:
            low = _code(member)
            if low is None:
                members += _escaped(member, _IN_NEGATED if negated else _IN_CLASS)
                continue
            high = self.end_of_range(low)
            if low <= _LAST_ASCII:
                members += f"\\x{low:02x}-\\x{min(high, _LAST_ASCII):02x}"
            if negated:
                excluded += "".join(sign for sign in (_ANY_LETTER, _ANY_OTHER) if low <= ord(sign) <= high)
                # PCRE2 excludes these from no range, and they have become ASCII letters.
                excluded += "".join(folded for letter, folded in _FOLDED.items() if low <= ord(letter) <= high)
            else:
                members += _ANY_OTHER * (low <= ord("?") <= high)
                members += self.foreign(max(low, _LAST_ASCII + 1), high) if high > _LAST_ASCII else ""
        if not negated:
            return f"[{members}]" if members else _NEVER
        rest = f"[^{members}]" if members and not self.case_counts else "."
        return f"(?:{rest}|[{excluded}])" if excluded else rest

    def end_of_range(self, low: int) -> int:
        if not self.pattern.startswith("-", self.at) or self.pattern.startswith("-]", self.at):
            return low
        self.at += 1
        if (high := _code(self.next(_MEMBER))) is None:
            raise _UnknownError("a range ends with a class")
        return high


def _code(part: str) -> int | None:
    """Return the character that *part* stands for, None if it stands for several or none."""
    if part.startswith(("\\u", "\\x")) and len(part) > len("\\x"):
        return int(part[len("\\x") :], 16)
    part = _CONTROLS.get(part, part)
    if len(part) == 1:
        return None if part == "{" else ord(part)
    return ord(part[1]) if part[0] == "\\" and not part[1].isalnum() else None


def _escaped(part: str, table: Mapping[str, str]) -> str:
    try:
        return table[part.removeprefix("\\")]
    except KeyError:
        raise _UnknownError(f"{part} has no relaxed form") from None
