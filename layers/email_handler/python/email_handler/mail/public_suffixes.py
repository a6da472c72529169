"""The public suffix list: which names below it anyone can register (https://publicsuffix.org/list/).

A function looks up a handful of domains in its life. So the list's 10,000 rules are not read one by one, as the library
does that has the list, in 50 ms: its lines are a set, and the few rules that could be about a domain are looked up there.
"""

from functools import cache
from pathlib import Path

from publicsuffixlist import PSLFILE

LONGEST = 7  # labels of a rule; a test compares it with the list


@cache
def _lines() -> frozenset[str]:
    """Return the list's lines: rules in Unicode, and comments, which no domain looks like."""
    return frozenset(Path(PSLFILE).read_text(encoding="utf-8").split("\n"))


def private_suffix(domain: str) -> str:
    """Return the part of *domain* (ASCII, lower case) that somebody has registered: the public suffix and the label
    before it; "" if *domain* is a public suffix itself, or no domain."""
    labels = domain.split(".")
    if not all(labels):
        return ""
    first = len(labels) - _suffix_length(labels[-LONGEST:]) - 1
    return ".".join(labels[first:]) if first >= 0 else ""


def _suffix_length(labels: list[str]) -> int:
    """Return how many of *labels* are the public suffix: those of the longest rule, or one less by an exception to it.
    The name above a wildcard is a public suffix, too, though no rule may say so: the list's own tests require it."""
    names = [_readable(label) for label in labels]
    for start in range(len(names)):
        name, length = ".".join(names[start:]), len(names) - start
        if f"!{name}" in _lines():
            return length - 1
        if f"*.{name}" in _lines():
            return min(length + 1, len(names))
        if name in _lines():
            return length
    return 1


def _readable(label: str) -> str:
    """Return an A-label as the list writes it, in Unicode; another label as it is."""
    if not label.startswith("xn--"):
        return label
    try:
        return label.encode("ascii").decode("idna")
    except UnicodeError:
        return label
