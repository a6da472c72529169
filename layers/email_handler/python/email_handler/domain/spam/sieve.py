"""Which of many patterns a text can match at all, so that most searches need not run.

A rule set asks for a hundred things in seven languages, and a mail holds few of them. What pieces of words a
pattern needs is read off the pattern; which of them a text holds is found once for all patterns, word by word.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from re import _constants as ops  # type: ignore[attr-defined]  # the one parser of patterns that Python ships
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_SHORTEST = 3  # characters of a piece that is worth looking for
_MOST = 400  # pieces of one clause; more are no quicker than the search
_LONGEST_WORD = 40  # of those whose pieces are remembered
_WORDS = 20_000  # remembered, a few megabytes; mails share most of their words

# Where PCRE2 reads a pattern otherwise than Python, or Python only warns.
_READ_OTHERWISE = re.compile(r"\[\[|\[:|\{,|\(\*|\(\?[#|]|--|&&|~~|\|\|")
_CASE_SWITCH = re.compile(r"\(\?-?i\)")

type Clauses = tuple[frozenset[str], ...]
"""Pieces of words, in lower case: a match needs one of each of these sets."""


class Sieve:
    """Tells which of many patterns a text can match."""

    __slots__ = ("_needed", "_pieces", "_remembered")

    def __init__(self, patterns: Mapping[str, str]) -> None:
        """Prepare for *patterns* by name."""
        self._needed = {name: alternatives(pattern) for name, pattern in patterns.items()}
        self._pieces: dict[str, list[str]] = {}  # by their first three characters
        for piece in {piece for needed in self._needed.values() for clauses in needed for piece in _all(clauses)}:
            self._pieces.setdefault(piece[:_SHORTEST], []).append(piece)
        self._remembered = lru_cache(_WORDS)(self._in_word)

    def may_match(self, text: str) -> set[str]:
        """Return the names of the patterns that can match *text*; the others cannot."""
        found: set[str] = set()
        for word in set(text.lower().split()):
            found.update(self._remembered(word) if len(word) <= _LONGEST_WORD else self._in_word(word))
        return {
            name
            for name, needed in self._needed.items()
            if not needed or any(not any(map(found.isdisjoint, clauses)) for clauses in needed)
        }

    def _in_word(self, word: str) -> tuple[str, ...]:
        starts = {word[at : at + _SHORTEST] for at in range(len(word) - _SHORTEST + 1)}
        return tuple(piece for start in self._pieces.keys() & starts for piece in self._pieces[start] if piece in word)


def _all(clauses: Clauses) -> frozenset[str]:
    return frozenset().union(*clauses)


def alternatives(pattern: str) -> tuple[Clauses, ...]:
    """Return what any match of *pattern* needs: all clauses of one of the alternatives.

    () where that cannot be told: such a pattern is always searched.
    """
    if _READ_OTHERWISE.search(pattern):
        return ()
    try:
        found = tuple(_alternatives(parser.parse(_CASE_SWITCH.sub("", pattern), re.IGNORECASE)))
    except (re.error, OverflowError, RecursionError):
        return ()
    if not all(found):
        return ()
    single = _all(tuple(clauses[0] for clauses in found if len(clauses) == 1))
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
    """Yield, for each part of the sequence *nodes* that tells something, the pieces of which it needs one."""
    run = ""
    for kind, value in nodes:
        if kind is ops.LITERAL:
            run += chr(value).lower()
        elif kind not in _OF_NO_WIDTH:  # these leave what is before and behind them adjacent
            yield from _usable(_longest_word(run))
            yield from _usable(_needed_by(kind, value))
            run = ""
    yield from _usable(_longest_word(run))


def _needed_by(kind: object, value: Any) -> frozenset[str]:
    """Return the pieces of which one node needs one; empty where that cannot be told."""
    if kind is ops.SUBPATTERN:
        return _best(value[3])
    if kind is ops.ATOMIC_GROUP:
        return _best(value)
    if kind is ops.BRANCH:
        branches = [_best(branch) for branch in value[1]]
        return frozenset().union(*branches) if all(branches) else frozenset()
    if kind in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT) and value[0] > 0:
        return _best(value[2])
    return frozenset()


def _best(nodes: Iterable[tuple[Any, Any]]) -> frozenset[str]:
    """Return the clause of *nodes* that tells most: whose shortest piece is longest."""
    return max(_clauses(nodes), key=lambda clause: (min(map(len, clause)), -len(clause)), default=frozenset())


def _usable(clause: frozenset[str]) -> Iterator[frozenset[str]]:
    if clause and len(clause) <= _MOST and min(map(len, clause)) >= _SHORTEST:
        yield clause


def _longest_word(run: str) -> frozenset[str]:
    return frozenset({max(run.split(), key=len, default="")})


_OF_NO_WIDTH = (ops.AT, ops.ASSERT, ops.ASSERT_NOT)
