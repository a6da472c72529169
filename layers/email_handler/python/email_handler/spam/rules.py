"""Spam rules: a TOML document becomes compiled PCRE2 patterns, and whatever is wrong in it becomes a list.

A rule set is compiled once and used for every message of an environment's life (patterns are JIT-compiled). Weights
are never negative: text added to a message can add to its score and never take from it.
"""

import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pcre2

from email_handler.errors import BadRules
from email_handler.spam.normalise import WINDOW, as_seen
from email_handler.spam.sieve import Sieve

FIELDS = ("subject", "text", "html", "urls", "from", "reply-to", "attachment names")
SIGNALS = (
    "all-image",
    "display-name-is-ours",
    "executable-content",
    "hidden-text",
    "link-elsewhere",
    "links-lead-away",
    "reply-to-elsewhere",
    "reply-to-free-mail",
)
"""Ids of the signals that are not patterns (see :mod:`.stages`); the document gives them weight and purpose."""

MATCH_LIMIT = 3000
"""Backtracking steps one search may take from one position. A sound pattern needs a few hundred at most; a pattern
that passes this flags the message instead of stalling it. PCRE2's own default is ten million."""

SLOW_SECONDS = 0.002  # on one window of adversarial text; `check` refuses patterns above it
_TRIES = 5  # of which the fastest counts
_DOCUMENT_BYTES = 1024 * 1024  # a rules file of a thousand rules has a fifth of that
_ENTRIES = 1000
_PATTERN_CHARS = 4000
_HEAVIEST = 100  # far over any threshold
_BUILTIN = Path(__file__).parents[1] / "builtin" / "spam-rules.toml"

# What the sending side's software writes tells list mail from the rest, not spam from what people write to a contact
# address; and the date or the way a mail took says nothing about its content.
_HEADERS_REFUSED = frozenset({"precedence", "sender", "delivered-to", "received", "date", "message-id"})


def views(field: str, *texts: str) -> tuple[str, ...]:
    """Return what a rule on *field* searches, given the field's *texts*: bodies without their line breaks, header
    fields with their spacing too."""
    return as_seen(*texts, spacing=field not in ("text", "html"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One pattern and what a match is worth."""

    id: str
    pattern: pcre2.Pattern  # matches any case unless the pattern says ``(?-i)``
    ascii_pattern: pcre2.Pattern  # the same for text in ASCII, half as fast again
    source: str  # the pattern as the document has it
    field: str  # one of :data:`FIELDS`, or ``header <name>`` in lower case
    weight: float
    purpose: str  # one short sentence for people
    match: tuple[str, ...]  # examples that must match
    no_match: tuple[str, ...]  # near misses that must not

    def search(self, view: str) -> bool:
        """Tell whether the pattern matches in *view*. Raises :class:`pcre2.LibraryError` at a limit."""
        return (self.ascii_pattern if view.isascii() else self.pattern).search(view) is not None

    def matches(self, text: str) -> bool:
        """Tell whether the rule matches a field of this content, as a message's is searched. Raises likewise."""
        return any(self.search(view) for view in views(self.field, text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One of :data:`SIGNALS` and what its presence is worth."""

    id: str
    weight: float
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """Everything stage 3 goes by. A score of ``flag`` or more flags, of ``hold`` or more holds."""

    version: str
    flag: float
    hold: float
    rules: tuple[Rule, ...]
    text_sieve: Sieve  # of the rules on text: most rules, and the longest field by far
    signals: Mapping[str, Signal]
    problems: tuple[str, ...]  # entries that were skipped, and why; free of the file's patterns


def load_rules(document: bytes, version: str) -> RuleSet:
    """Compile *document* (TOML, UTF-8) under the name *version*.

    A bad entry is skipped and listed in ``problems``. Raises :class:`BadRules` where nothing is left to go by: not
    TOML, too large, or no usable rule.
    """
    if len(document) > _DOCUMENT_BYTES:
        raise BadRules("the rules document is larger than 1 MB")
    try:
        table = tomllib.loads(document.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadRules(f"the rules document is not TOML: {type(error).__name__}") from error
    problems: list[str] = []
    flag, hold = _thresholds(table.get("thresholds"), problems)
    rules = _entries(table, "rule", _rule, problems)
    signals = _entries(table, "signal", _signal, problems)
    if not rules:
        raise BadRules("the rules document has no usable rule")
    return RuleSet(
        version=version,
        flag=flag,
        hold=hold,
        rules=tuple(rules.values()),
        text_sieve=Sieve({rule.id: rule.source for rule in rules.values() if rule.field == "text"}),
        signals=signals,
        problems=tuple(problems),
    )


@cache
def builtin_rules() -> RuleSet:
    """Return the rule set that ships with the layer."""
    return load_rules(_BUILTIN.read_bytes(), "builtin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong in a rules document, for the person who edits it."""

    rule: str  # the entry's id or number; "" for the whole document
    problem: str


def check(document: bytes, timer: Callable[[], float] = time.thread_time) -> tuple[Finding, ...]:
    """Return everything that a careful editor would want to know before *document* is used.

    That is: what :func:`load_rules` skips or refuses, examples that do not do what they are listed for, rules without
    examples, and patterns that reach a limit or take over :data:`SLOW_SECONDS` of CPU time on adversarial text.
    """
    try:
        loaded = load_rules(document, "checked")
    except BadRules as error:
        return (Finding(rule="", problem=str(error)),)
    findings = [Finding(rule="", problem=problem) for problem in loaded.problems]
    for rule in loaded.rules:
        findings += [Finding(rule=rule.id, problem=problem) for problem in _examples(rule)]
        findings += [Finding(rule=rule.id, problem=problem) for problem in _cost(rule, timer)]
    return tuple(findings)


def _examples(rule: Rule) -> Iterator[str]:
    if not rule.match or not rule.no_match:
        yield "needs at least one example that matches and one that must not"
    try:
        yield from (f"does not match its example {text!r}" for text in rule.match if not rule.matches(text))
        yield from (f"matches {text!r}, which it must not" for text in rule.no_match if rule.matches(text))
    except pcre2.LibraryError as error:
        yield f"reaches a limit on an example: {error}"


def _cost(rule: Rule, timer: Callable[[], float]) -> Iterator[str]:
    """Report the first adversarial text that stalls the pattern, every time: a busy machine makes any one run slow."""
    for text in adversarial_texts(rule):
        try:
            if all(_seconds(rule, text, timer) > SLOW_SECONDS for _ in range(_TRIES)):
                yield f"takes more than {SLOW_SECONDS * 1000:.0f} ms on adversarial text"
                return
        except pcre2.LibraryError as error:
            yield f"reaches a limit on adversarial text: {error}"
            return


def _seconds(rule: Rule, text: str, timer: Callable[[], float]) -> float:
    start = timer()
    rule.search(text)
    return timer() - start


def adversarial_texts(rule: Rule) -> Iterator[str]:
    """Yield windows of text made to cost *rule*'s pattern the most.

    Runs of each character of the pattern and of what any class matches; each example repeated whole, without its last
    character, and by its beginnings; alone, and followed by every character of the pattern behind one that is in
    none, so that what the pattern ends in is there and nothing matches.
    """
    alphabet = dict.fromkeys("a1 .-/@<\nяé" + "".join(sorted(set(rule.source))))
    pieces = [*alphabet, *(letter + " " for letter in alphabet), "ab ", "a1 ", "a-b.", "http://a.", "<a b=", "a@a.aa "]
    for example in rule.match:
        words = example.split(" ")
        pieces += [example + " ", example[:-1] + " ", example[:-1], example + "x"]
        pieces += [" ".join(words[:count]) + " " for count in range(1, min(len(words), 8))]
    ending = "\x01" + "".join(alphabet)
    for piece in filter(None, dict.fromkeys(pieces)):
        run = (piece * (WINDOW // len(piece) + 1))[:WINDOW]
        yield run
        yield run[: -len(ending)] + ending


def _thresholds(table: object, problems: list[str]) -> tuple[float, float]:
    flag, hold = 5.0, 10.0
    try:
        if isinstance(table, dict):
            flag, hold = _number(table["flag"]), _number(table["hold"])
            if 0 < flag <= hold:
                return flag, hold
    except (KeyError, ValueError):
        pass
    problems.append("thresholds: needs flag and hold with 0 < flag <= hold; 5 and 10 are used")
    return 5.0, 10.0


def _entries[Entry: (Rule, Signal)](
    table: Mapping[str, Any], kind: str, read: Callable[[Mapping[str, Any]], Entry], problems: list[str]
) -> dict[str, Entry]:
    """Read the array of tables *kind*; bad entries end in *problems* under their id or number."""
    entries = table.get(kind, [])
    if not isinstance(entries, list):
        problems.append(f"{kind}: needs to be an array of tables ([[{kind}]])")
        return {}
    found: dict[str, Entry] = {}
    for number, entry in enumerate(entries[:_ENTRIES], 1):
        name = f"{kind} {number}"
        try:
            name = f"{kind} {_text(entry, 'id', 80)!a}"
            made = read(entry)
        except (ValueError, TypeError, AttributeError) as error:
            problems.append(f"{name}: {error}")
        else:
            if made.id in found:
                problems.append(f"{name}: second entry of this id, left out")
            found.setdefault(made.id, made)
    if len(entries) > _ENTRIES:
        problems.append(f"{kind}: more than {_ENTRIES} entries, the rest is left out")
    return found


def _rule(entry: Mapping[str, Any]) -> Rule:
    field = " ".join(_text(entry, "field", 100).lower().split())
    if field.startswith("header "):
        _check_header(field.removeprefix("header "))
    elif field not in FIELDS:
        raise ValueError("unknown field")
    pattern = _text(entry, "pattern", _PATTERN_CHARS)
    return Rule(
        id=_text(entry, "id", 80),
        pattern=_compile(pattern),
        ascii_pattern=_compile(pattern, pcre2.ASCII),
        source=pattern,
        field=field,
        weight=_number(entry.get("weight")),
        purpose=_text(entry, "purpose", 200),
        match=_texts(entry, "match"),
        no_match=_texts(entry, "no_match"),
    )


def _signal(entry: Mapping[str, Any]) -> Signal:
    name = _text(entry, "id", 80)
    if name not in SIGNALS:
        raise ValueError("unknown signal")
    return Signal(id=name, weight=_number(entry.get("weight")), purpose=_text(entry, "purpose", 200))


def _check_header(name: str) -> None:
    if name in _HEADERS_REFUSED or name.startswith(("list-", "x-")):
        raise ValueError("rules do not read this header: it tells how mail travelled, not what it says")


def _compile(pattern: str, flags: int = 0) -> pcre2.Pattern:
    if "\\C" in pattern or "(?C" in pattern:
        raise ValueError("pattern uses single code units or callouts")
    try:
        compiled = pcre2.compile(f"(*LIMIT_MATCH={MATCH_LIMIT}){pattern}", pcre2.IGNORECASE | flags)
        if compiled.search(""):
            raise ValueError("pattern matches nothing at all, so every message")
    except (pcre2.PatternError, pcre2.LibraryError) as error:
        raise ValueError(f"pattern does not compile: {error}") from error
    return compiled


def _text(entry: Mapping[str, Any], name: str, limit: int) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > limit:
        raise ValueError(f"{name} needs to be text of 1 to {limit} characters")
    return value


def _texts(entry: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = entry.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name} needs to be a list of texts")
    return tuple(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _HEAVIEST:
        raise ValueError(f"a weight or threshold needs to be a number from 0 to {_HEAVIEST}")
    return float(value)  # NaN and infinity have failed the comparison
