"""Spam rules: a TOML document becomes compiled PCRE2 patterns, and a list of its problems.

A rule set is compiled once for the life of an environment (patterns are JIT-compiled). Weights are never negative: text
added to a message can raise its score and never lower it.
"""

import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pcre2

from email_handler.errors import BadRules
from email_handler.spam.normalise import WINDOW, as_markup, as_seen
from email_handler.values import dataclass

if TYPE_CHECKING:
    from email_handler.spam.sieve import Sieve

FIELDS = ("subject", "text", "html", "urls", "from", "reply-to", "attachment names")
SIGNALS = (
    "all-image",
    "display-name-is-ours",
    "executable-content",
    "hidden-text",
    "link-elsewhere",
    "links-lead-away",
    "not-verified",
    "reply-to-free-mail",
)
"""Ids of the signals that are not patterns (see :mod:`.signals`); the document gives them weight and purpose."""

MATCH_LIMIT = 3000
"""Backtracking steps that one search may take from one position. A sound pattern needs a few hundred at most. A pattern
that needs more flags the message instead of stalling it. PCRE2's default is ten million."""

SLOW_SECONDS = 0.002  # on one window of adversarial text; `check` refuses slower patterns
_TRIES = 20  # the fastest one counts: on a busy machine, CPU time too is up to twice that of a quiet one
_DOCUMENT_BYTES = 1024 * 1024  # a rules file of a thousand rules has a fifth of that
_ENTRIES = 1000
_PATTERN_CHARS = 4000
_HEAVIEST = 100  # far above any threshold
_LONG = 2 * WINDOW  # characters of a text's views
_SIEVE_PAYS_AFTER = 250_000  # characters
_BEGIN = 200  # characters that are searched in the time that it takes to begin
_FEWEST_SIEVED = 4  # rules on a field; fewer are searched as fast
_BUILTIN = Path(__file__).parents[1] / "builtin" / "spam-rules.toml"

# Fields of sending software separate list messages from others, not spam from what people write to a contact address.
# The date and the route of a message are not evidence about its content.
_HEADERS_REFUSED = frozenset({"precedence", "sender", "delivered-to", "received", "date", "message-id"})


def views(field: str, *texts: str) -> tuple[str, ...]:
    """Return the views of *texts* that a rule on *field* searches, see ``as_seen`` and, for HTML, ``as_markup``; header
    fields also have one with their spacing."""
    return as_markup(*texts) if field == "html" else as_seen(*texts, spacing=field not in ("text", "urls"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One pattern and its weight."""

    id: str
    ascii_pattern: pcre2.Pattern  # for ASCII text, 1.5 times as fast; ignores case unless it contains ``(?-i)``
    source: str  # the pattern as the document has it
    field: str  # one of :data:`FIELDS`, or ``header <name>`` in lower case
    weight: float
    purpose: str  # one short sentence for people
    match: tuple[str, ...]  # examples that must match
    no_match: tuple[str, ...]  # near misses that must not

    def search(self, view: str) -> bool:
        """Return whether the pattern matches in *view*. Raises :class:`pcre2.LibraryError` at a limit."""
        pattern = self.ascii_pattern if view.isascii() else _unicode_pattern(self.source)
        return pattern.search(view) is not None

    def matches(self, text: str) -> bool:
        """Return whether the rule matches a field that contains *text*. Raises like :meth:`search`."""
        return any(self.search(view) for view in views(self.field, text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One of :data:`SIGNALS` and its weight."""

    id: str
    weight: float
    purpose: str


@dataclass(frozen=True, kw_only=True)  # without slots, for the cached property
class RuleSet:
    """What stage 3 decides by. A score of ``flag`` or more flags, of ``hold`` or more holds."""

    version: str
    flag: float
    hold: float
    words: float  # the most that the model of words may add, below ``hold``; 0 switches it off
    rules: tuple[Rule, ...]
    signals: Mapping[str, Signal]
    problems: tuple[str, ...]  # entries that were skipped, and why; without their patterns
    _searched: Counter[str] = field(default_factory=Counter, repr=False, compare=False)
    _sieves: dict[str, "Sieve"] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def by_field(self) -> Mapping[str, Mapping[str, Rule]]:
        """The rules on each field that has some, by their ids."""
        found: dict[str, dict[str, Rule]] = {}
        for rule in self.rules:
            found.setdefault(rule.field, {})[rule.id] = rule
        return found

    def sieve_pays(self, name: str, seen: Sequence[str]) -> bool:
        """Return whether to use a sieve for the views *seen* of the field *name*: for long ones, or any once so much was
        searched without it that its preparation would have paid. So the first message does not wait for it."""
        size = sum(map(len, seen)) + _BEGIN * len(seen)
        self._searched[name] += size
        return (size > _LONG or self._searched[name] > _SIEVE_PAYS_AFTER) and len(self.by_field[name]) >= _FEWEST_SIEVED

    def sieve(self, name: str) -> "Sieve":
        """Return the sieve for the rules on the field *name*. To prepare that for text takes as long as to search 250 KB
        without it."""
        if name not in self._sieves:
            from email_handler.spam.sieve import Sieve  # noqa: PLC0415  (RE2 is loaded when it pays)

            self._sieves[name] = Sieve({id_: rule.source for id_, rule in self.by_field.get(name, {}).items()})
        return self._sieves[name]


def load_rules(document: bytes, version: str) -> RuleSet:
    """Compile *document* (TOML, UTF-8) under the name *version*.

    A bad entry is skipped and listed in ``problems``. Raises :class:`BadRules` if the document is not TOML, is too
    large, or has no usable rule.
    """
    if len(document) > _DOCUMENT_BYTES:
        raise BadRules("the rules document is larger than 1 MB")
    try:
        table = tomllib.loads(document.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadRules(f"the rules document is not TOML: {type(error).__name__}") from error
    problems: list[str] = []
    flag, hold, words = _thresholds(table.get("thresholds"), problems)
    rules = _entries(table, "rule", _rule, problems)
    signals = _entries(table, "signal", _signal, problems)
    if not rules:
        raise BadRules("the rules document has no usable rule")
    return RuleSet(
        version=version,
        flag=flag,
        hold=hold,
        words=words,
        rules=tuple(rules.values()),
        signals=signals,
        problems=tuple(problems),
    )


@cache
def builtin_rules() -> RuleSet:
    """Return the rule set that ships with the layer."""
    return load_rules(_BUILTIN.read_bytes(), "builtin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem in a rules document, for the person who edits it."""

    rule: str  # the entry's id or number; "" for the whole document
    problem: str


def check(document: bytes, timer: Callable[[], float] = time.thread_time) -> tuple[Finding, ...]:
    """Return every problem that an editor should know before *document* is used.

    These are: what :func:`load_rules` skips or refuses, examples with the wrong result, rules without examples, and
    patterns that reach a limit or take more than :data:`SLOW_SECONDS` of CPU time on adversarial text.
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
    """Yield the problem with the first adversarial text that stalls the pattern. Every try must be slow: on a busy
    machine, single runs of any pattern are."""
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
    """Yield windows of text that are likely to cost *rule*'s pattern the most.

    They repeat each character of the pattern, and some of each usual class; and each example, whole, without its last
    character, and cut after each word. Each run comes alone, and followed by a character that is in no pattern and all
    characters of this one: then the end of the pattern is there, and nothing matches.
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


def _thresholds(table: object, problems: list[str]) -> tuple[float, float, float]:
    """Return ``flag``, ``hold`` and ``words``. A document without ``words`` was weighed without the model of words."""
    try:
        if isinstance(table, dict):
            flag, hold, words = _number(table["flag"]), _number(table["hold"]), _number(table.get("words", 0))
            if 0 < flag <= hold and words < hold:
                return flag, hold, words
    except (KeyError, ValueError):
        pass
    problems.append("thresholds: needs flag, hold and words with 0 < flag <= hold and words < hold; 5, 10, 0 are used")
    return 5.0, 10.0, 0.0


def _entries[Entry: (Rule, Signal)](
    table: Mapping[str, Any], kind: str, read: Callable[[Mapping[str, Any]], Entry], problems: list[str]
) -> dict[str, Entry]:
    """Read the array of tables *kind*; bad entries are listed in *problems* with their id or number."""
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
                problems.append(f"{name}: left out, an earlier entry has this id")
            found.setdefault(made.id, made)
    if len(entries) > _ENTRIES:
        problems.append(f"{kind}: more than {_ENTRIES} entries, the rest are left out")
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
        raise ValueError("rules do not read this header: it is about how the message was sent, not about its content")


@lru_cache(maxsize=2 * _ENTRIES)
def _unicode_pattern(source: str) -> pcre2.Pattern:
    """Return the pattern *source* for any text: many messages need none of them, and each takes 0.1 ms."""
    return _compile(source)


def _compile(pattern: str, flags: int = 0) -> pcre2.Pattern:
    if "\\C" in pattern or "(?C" in pattern:
        raise ValueError("pattern uses single code units or callouts")
    try:
        compiled = pcre2.compile(f"(*LIMIT_MATCH={MATCH_LIMIT}){pattern}", pcre2.IGNORECASE | flags)
        if compiled.search(""):
            raise ValueError("pattern matches the empty text, and so every message")
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
