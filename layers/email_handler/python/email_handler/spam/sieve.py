"""Which of many patterns a text may match, so that most searches need not run.

A rule set looks for a hundred things in seven languages, and a message has few of them. The pieces of words that a
pattern needs are derived from the pattern; those that a text contains are found once for all patterns, word by word.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from operator import or_
from re import _constants as ops  # type: ignore[attr-defined]  # the one parser of patterns that Python ships
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from email_handler.mail.patterns import regex

_SHORTEST = 3  # characters of a piece that is worth looking for
_MOST = 400  # pieces of one clause; with more, the search itself is as fast
_LONGEST_WORD = 40  # bytes; the clauses of longer words are not remembered
_WORDS = 50_000  # remembered, ten megabytes; messages share most of their words

# What PCRE2 reads differently from Python, or what Python only warns about.
_READ_DIFFERENTLY = regex(r"\[\[|\[:[^]]*:\]|\{,|\(\*|\(\?[#|]|--|&&|~~|\|\|")
_CASE_SWITCH = regex(r"\(\?-?i\)")

# Words end at every ASCII character that is not a letter, so "free", "free," and "free4" are the same word.
# A table for bytes (of UTF-8), because translating bytes costs almost nothing.
_LAST_ASCII = 127
_SEPARATED = bytes(code if code > _LAST_ASCII or chr(code).isalpha() else ord(" ") for code in range(256))
_FOLDED_TO_ASCII = (0x17F, 0x212A)  # the long s and the Kelvin sign match s and k in any case

# The piece that every text with a character outside ASCII has, and no word.
_NOT_ASCII = "   "

type Clauses = tuple[frozenset[str], ...]
"""Sets of pieces of words, in lower case: a match needs one piece of each set."""


class Sieve:
    """Finds which of many patterns a text may match."""

    __slots__ = ("_always", "_longest_piece", "_needs", "_pieces", "_plain", "_rarest", "_remembered")

    def __init__(self, patterns: Mapping[str, str]) -> None:
        """Prepare for *patterns* by name."""
        needed = {name: alternatives(pattern) for name, pattern in patterns.items()}
        self._always = frozenset(name for name, found in needed.items() if not found)
        # Each clause is a bit, so that sets of clauses are numbers.
        distinct = dict.fromkeys(clause for found in needed.values() for clauses in found for clause in clauses)
        bits = {clause: 1 << place for place, clause in enumerate(distinct)}
        # By the most selective clause of each alternative: the pattern's name, and all that the alternative needs.
        self._needs: dict[int, list[tuple[str, int]]] = {}
        for name, found in needed.items():
            for clauses in found:
                need = reduce(or_, map(bits.__getitem__, clauses))
                self._needs.setdefault(bits[max(clauses, key=_selectivity)], []).append((name, need))
        self._rarest = reduce(or_, self._needs, 0)
        by_piece: dict[bytes, int] = {}
        for clause, bit in bits.items():
            for piece in clause:
                by_piece[piece.encode()] = by_piece.get(piece.encode(), 0) | bit
        self._pieces: dict[bytes, list[tuple[bytes, int]]] = {}  # by their first three bytes
        for part, satisfied in by_piece.items():
            self._pieces.setdefault(part[:_SHORTEST], []).append((part, satisfied))
        self._longest_piece = max(map(len, by_piece), default=0)
        self._plain: set[bytes] = set()  # words that satisfy no clause, as most do
        self._remembered: dict[bytes, int] = {}  # the clauses that other words satisfy

    def may_match(self, text: str) -> set[str]:
        """Return the names of the patterns that may match *text*; the others cannot."""
        words = set(_words(text.lower()))
        if not text.isascii():
            words.add(_NOT_ASCII.encode())
        words -= self._plain
        known = self._remembered.keys() & words
        found = reduce(or_, map(self._remembered.__getitem__, known), 0)
        found = reduce(or_, map(self._satisfied, words - known), found)
        names = set(self._always)
        left = found & self._rarest
        while left:
            rarest = left & -left
            left ^= rarest
            names.update([name for name, need in self._needs[rarest] if need & found == need])
        return names

    def _satisfied(self, word: bytes) -> int:
        """Return the clauses that *word* satisfies, and remember them unless it is long."""
        if len(word) > _LONGEST_WORD:
            size = _LONGEST_WORD + self._longest_piece  # overlapping parts, mostly the same in a long run
            parts = {word[at : at + size] for at in range(0, len(word), _LONGEST_WORD)}
            return reduce(or_, map(self._in_word, parts))
        if len(self._plain) + len(self._remembered) >= _WORDS:
            self._plain.clear()
            self._remembered.clear()
        satisfied = self._in_word(word)
        if satisfied:
            self._remembered[word] = satisfied
        else:
            self._plain.add(word)
        return satisfied

    def _in_word(self, word: bytes) -> int:
        """Return the clauses that *word* satisfies."""
        starts = {word[at : at + _SHORTEST] for at in range(len(word) - _SHORTEST + 1)}
        return reduce(
            or_,
            (
                satisfied
                for start in self._pieces.keys() & starts
                for piece, satisfied in self._pieces[start]
                if piece in word
            ),
            0,
        )


def alternatives(pattern: str) -> tuple[Clauses, ...]:
    """Return what any match of *pattern* needs: all clauses of one of these alternatives.

    () if that is unknown: such a pattern is always searched.
    """
    if _READ_DIFFERENTLY.search(pattern):
        return ()
    try:
        found = tuple(_alternatives(parser.parse(_CASE_SWITCH.sub("", pattern), re.IGNORECASE)))
    except (re.error, OverflowError, RecursionError):
        return ()
    if not all(found):
        return ()
    single = frozenset[str]().union(*(clauses[0] for clauses in found if len(clauses) == 1))
    several = tuple(clauses for clauses in found if len(clauses) > 1)
    return ((single,), *several) if single else several


def _alternatives(nodes: Iterable[tuple[Any, Any]]) -> Iterator[Clauses]:
    wide = [node for node in nodes if node[0] not in _OF_NO_WIDTH]
    match wide:
        case [(ops.SUBPATTERN, (_, _, _, inner))]:
            yield from _alternatives(inner)
        case [(ops.BRANCH, (_, branches))]:
            for branch in branches:
                yield from _alternatives(branch)
        case _:
            yield tuple(_clauses(wide))


def _clauses(nodes: Iterable[tuple[Any, Any]]) -> Iterator[frozenset[str]]:
    """Yield the clauses of *nodes*: sets of pieces of words. A matching text contains one piece of each set."""
    run = ""
    for kind, value in nodes:
        if kind is ops.LITERAL:
            run += chr(value).lower()
        elif kind not in _OF_NO_WIDTH:  # what is before and after these is adjacent
            yield from _in_run(run)
            yield from _in_node(kind, value)
            run = ""
    yield from _in_run(run)


def _in_run(run: str) -> Iterator[frozenset[str]]:
    words = [word for word in (word.decode() for word in _words(run)) if len(word) >= _SHORTEST]
    if words:
        yield from (frozenset({word}) for word in words)
    elif any(_is_foreign(ord(letter)) for letter in run):
        yield frozenset({_NOT_ASCII})


def _in_node(kind: object, value: Any) -> Iterator[frozenset[str]]:
    """Yield the clauses of one node of a parsed pattern; none if nothing is known of its matches."""
    if kind is ops.SUBPATTERN:
        yield from _clauses(value[3])
    elif kind is ops.ATOMIC_GROUP:
        yield from _clauses(value)
    elif kind is ops.BRANCH:
        branches = [_best(branch) for branch in value[1]]
        pieces = frozenset[str]().union(*branches)
        if all(branches) and len(pieces) <= _MOST:
            yield pieces
    elif kind in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT) and value[0] > 0:
        yield from _clauses(value[2])
    elif kind is ops.IN and all(_is_foreign_item(*item) for item in value):
        yield frozenset({_NOT_ASCII})


def _is_foreign_item(kind: object, value: Any) -> bool:
    """Return whether this part of a character class matches nothing in ASCII."""
    if kind is ops.RANGE:
        return _is_foreign(value[0]) and not any(value[0] <= code <= value[1] for code in _FOLDED_TO_ASCII)
    return kind is ops.LITERAL and _is_foreign(value)


def _is_foreign(code: int) -> bool:
    return code > _LAST_ASCII and code not in _FOLDED_TO_ASCII


def _best(nodes: Iterable[tuple[Any, Any]]) -> frozenset[str]:
    """Return the most selective clause of *nodes*."""
    return max(_clauses(nodes), key=_selectivity, default=frozenset())


def _selectivity(clause: frozenset[str]) -> tuple[int, int]:
    """Return a key that is greatest for the clause that fewest texts satisfy: of long pieces, and few."""
    return min(map(len, clause)), -len(clause)


def _words(text: str) -> list[bytes]:
    return text.encode("utf-8", "replace").translate(_SEPARATED).split()


_OF_NO_WIDTH = (ops.AT, ops.ASSERT, ops.ASSERT_NOT)
