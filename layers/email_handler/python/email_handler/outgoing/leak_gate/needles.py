"""Finding and replacing what must not leave: the owner's addresses, hidden terms, thread addresses.

An address can be written in many ways that a reader's client undoes: percent-encoded in a link, as entities, split by
tags, folded over two lines. Each way is a :class:`View` of the text that remembers where every character came from,
so that what is found in the view is replaced in the text itself and nothing else is touched.

Time is linear in the text: every pattern here starts at a literal or is bounded.
"""

import binascii
import html
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from email_handler.conversations.owners import Identity
from email_handler.outgoing.sentinels import SENTINEL, SENTINEL_START

PRIVATE, THREAD, TERM, BANNER = "private address", "thread address", "hidden term", "banner"

_WINDOW = 160  # characters before an "@" that are looked at: RFC 5321 allows 64, a tag and its encoding some more
_SEPARATOR = (
    r"[ \u00a0]{0,2}(?:[@\uff20\ufe6b]|%40|=40|&#0{0,5}64;?|&#x0{0,5}40;?|&commat;|\\u0040|\\x40|\\'40|\\0{0,4}40 ?)"
    r"[ \u00a0]{0,2}"
)
_LETTER = r"A-Za-z0-9"  # of addresses; a letter of another script before one is a word before it, not a part of it
# What may follow a domain without making it another one: "me@example.com.test" is someone else's, "me@example.com."
# ends a sentence, "me@example.com.pdf" names a file.
_FILE_TYPE = (
    r"(?:pdf|docx?|xlsx?|pptx?|od[tsp]|rtf|txt|eml|msg|ics|vcf|zip|png|jpe?g|gif|html?|csv|asc|p7[sm]|json|xml)"
)
_DOMAIN_ENDS = (
    rf"(?![{_LETTER}])(?!-[A-Za-z0-9-]{{0,63}}\.[A-Za-z])(?!\.(?!{_FILE_TYPE}(?![A-Za-z0-9.-]))(?-i:[a-z0-9]))"
)
_ATEXT = r"A-Za-z0-9.!#$%&'*+/=?^_`{|}~-"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must not leave: *what* (PRIVATE, THREAD, TERM, BANNER) at ``[start, end)`` of the text looked at."""

    start: int
    end: int
    what: str


class Needles:
    """Everything of an :class:`Identity` that is looked for, compiled once."""

    def __init__(self, identity: Identity) -> None:
        by_domain: dict[str, set[str]] = {}
        for address in identity.private_addresses:
            local, _, domain = address.lower().rpartition("@")
            if local and domain:
                base = local.partition("+")[0]
                for same in _GMAIL if domain in _GMAIL else (domain,):
                    by_domain.setdefault(same, set()).add(_dotted(base) if domain in _GMAIL else re.escape(base))
        self._thread_domain = identity.thread_domain.lower()
        self._locals = {domain: _owners_local(locals_) for domain, locals_ in by_domain.items()}
        domains = sorted({*by_domain, *([self._thread_domain] if self._thread_domain else [])}, key=len, reverse=True)
        self._address = (
            re.compile(rf"{_SEPARATOR}(?P<domain>{'|'.join(map(re.escape, domains))}){_DOMAIN_ENDS}", re.IGNORECASE)
            if domains
            else None
        )
        returns = [
            written  # as return paths name who is to hear of failures, and whom senders were rewritten from (SRS)
            for domain, locals_ in by_domain.items()
            for local in sorted(locals_, key=len, reverse=True)
            for written in (
                rf"{local}(?:\+[\w.+-]{{0,64}})?={re.escape(domain)}",
                rf"{re.escape(domain)}={local}(?:\+[\w.+-]{{0,64}})?",
            )
        ]
        self._return_path = re.compile(rf"(?<=[-+=/])(?:{'|'.join(returns)})(?=@)", re.IGNORECASE) if returns else None
        self._terms = [
            (max(term.split(), key=len).lower(), re.compile(_term(term), re.IGNORECASE))
            for term in identity.hidden_terms
            if term.strip()
        ]
        self._domains = domains

    def find(self, text: str) -> list[Finding]:
        """Return what *text* holds, in order, without overlaps."""
        lowered = text.lower()
        findings: list[Finding] = []
        # Looking for a plain word first is fast, and mostly all there is to do.
        if any(domain in lowered for domain in self._domains):
            findings += self._addresses(text)
            if self._return_path:
                findings += [Finding(*match.span(), PRIVATE) for match in self._return_path.finditer(text)]
        for word, pattern in self._terms:
            if word in lowered:
                findings += [Finding(*match.span(), TERM) for match in pattern.finditer(text)]
        if SENTINEL_START in lowered:
            findings += [Finding(*match.span(), BANNER) for match in SENTINEL.finditer(text)]
        findings.sort(key=lambda finding: (finding.start, -finding.end))
        apart: list[Finding] = []
        for finding in findings:
            if not apart or finding.start >= apart[-1].end:
                apart.append(finding)
        return apart

    def _addresses(self, text: str) -> Iterator[Finding]:
        if self._address is None:
            return
        for match in self._address.finditer(text):
            domain = match["domain"]
            if (
                domain[-1:].isupper()
                and text[match.end() : match.end() + 1] == "."
                and text[match.end() + 1 :][:1].isupper()
            ):
                continue  # ME@EXAMPLE.COM.TEST
            window = max(0, match.start() - _WINDOW)
            if domain.lower() == self._thread_domain:
                local = _THREAD_LOCAL.search(text, window, match.start())
                yield Finding(local.start() if local else match.start(), match.end(), THREAD)
            elif hit := self._locals[domain.lower()].search(text, window, match.start()):
                yield Finding(hit.start("hit"), match.end(), PRIVATE)


_THREAD_LOCAL = re.compile(r"[A-Za-z0-9._+-]{1,80}$")


_GMAIL = ("gmail.com", "googlemail.com")
"""Both are the same mailboxes, and dots within their local parts mean nothing."""


def _dotted(local: str) -> str:
    return r"\.?".join(map(re.escape, local.replace(".", "")))


def _owners_local(locals_: set[str]) -> re.Pattern[str]:
    """Return what finds one of *locals_* (patterns) as the whole local part that ends where the search ends: "me", "me+tag",
    quoted or in punctuation ("_me", "--me"), not "notme", "x-me" or "john.me"."""
    base = rf"(?:{'|'.join(sorted(locals_, key=len, reverse=True))})(?:(?:\+|%2B)[{_ATEXT}]*)?"
    return re.compile(rf'(?:^|[^{_LETTER}._+-])[._+-]{{0,8}}(?P<hit>"{base}"|{base})$', re.IGNORECASE)


# A letter or digit that makes a longer word of a term; scripts without spaces between words never do.
_WORD = r"[^\W_\u0e00-\u0eff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff]"


def _term(term: str) -> str:
    words = r"(?:[\s>|]{1,12}|[+_.-])".join(map(re.escape, term.split()))  # in links and names of files: blue-door
    return rf"(?<!{_WORD}){words}(?!{_WORD})"


@lru_cache(maxsize=16)
def needles(identity: Identity) -> Needles:
    """Return what to look for, compiled once for each identity."""
    return Needles(identity)


# --- Views -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class View:
    """A decoded text and where its characters stand in the text it was made of.

    ``shown[i]`` is the offset in ``text`` and ``pieces[i]`` the ``(start, end, literal)`` in the source: a literal
    piece maps character by character, others (an entity, ``%40``) as a whole.
    """

    text: str
    shown: tuple[int, ...]
    pieces: tuple[tuple[int, int, bool], ...]

    def sources(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the source ranges that ``text[start:end]`` came from, in order."""
        index = bisect_right(self.shown, start) - 1
        while index < len(self.shown) and self.shown[index] < end:
            offset, (source, source_end, literal) = self.shown[index], self.pieces[index]
            if literal:
                length = source_end - source
                first, last = max(start - offset, 0), min(end - offset, length)
                if first < last:
                    yield source + first, source + last
            else:
                yield source, source_end
            index += 1


@dataclass(frozen=True, slots=True)
class Decoding:
    """One way of writing text that a reader's client undoes.

    ``whole`` undoes it all at once, fast; ``tokens`` and ``meaning`` do so piece by piece, for a :class:`View`.
    """

    sign: str  # a text without these characters is not written so; "" where there are no such characters
    whole: Callable[[str], str]
    tokens: re.Pattern[str]
    meaning: Callable[[str], str]


def _percent(text: str) -> str:
    return unquote_to_bytes(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _quoted_printable(text: str) -> str:
    return binascii.a2b_qp(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _unescaped(text: str) -> str:
    return _INVISIBLE.sub("", html.unescape(text) if "&" in text else text)


def _without_markup(text: str) -> str:
    return "" if text.startswith("<") and text.endswith(">") else _unescaped(text)


_BLOCK = re.compile(
    r"</?(?:address|blockquote|br|dd|div|dl|dt|h[1-6]|hr|li|ol|p|pre|table|td|tr|ul)[\s/>]", re.IGNORECASE
)


def _line_break(tag: str) -> str:
    return "\n" if _BLOCK.match(tag) else ""


def _nothing(_: str) -> str:
    return ""


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("\u3002", ".")


_REFERENCE = r"&#?[A-Za-z0-9]{1,31};?"
# Default ignorable code points (Unicode, DerivedCoreProperties), those of scripts whose letters need them aside.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef]+"
)
_OTHER_FORMS = re.compile("[\u3002\uff01-\uff5e\uff61\U0001d400-\U0001d7ff]+")
_COMMENT = re.compile(r"<!--(?:[^-<]|-(?!->)|<(?!!--))*+-->")
_TAG = re.compile(r"<[^<>]*>")
_TOKEN = re.compile(rf"<[^<>]*>|{_REFERENCE}|{_INVISIBLE.pattern}")


def _removing(pattern: str) -> Decoding:
    tokens = re.compile(f"{pattern}|{_INVISIBLE.pattern}")
    return Decoding("", lambda text: tokens.sub("", text), tokens, _nothing)


PERCENT = Decoding("%", _percent, re.compile(r"(?:%[0-9A-Fa-f]{2})+"), _percent)
QUOTED = Decoding("=", _quoted_printable, re.compile(r"(?:=[0-9A-Fa-f]{2})+|=[ \t]{0,8}\r?\n"), _quoted_printable)
ENTITY = Decoding("&", html.unescape, re.compile(_REFERENCE), html.unescape)
MARKUP = Decoding("", lambda text: _unescaped(_TAG.sub("", text)), _TOKEN, _without_markup)
LINES = Decoding(
    "<",
    lambda text: _unescaped(_TAG.sub(lambda tag: _line_break(tag[0]), text)),
    re.compile(rf"{_TOKEN.pattern}|\r?\n"),
    lambda token: (
        _line_break(token) if token.startswith("<") else " " if token.endswith("\n") else _without_markup(token)
    ),
)
"""HTML as lines of text: a tag that begins or ends a block breaks the line, a line break of the source does not."""
FOLDED = _removing(r"\r?\n[ \t]")  # RFC 5545 §3.1, RFC 6350 §3.2
FLOWED = _removing(r" \r?\n>*")  # RFC 3676 with DelSp
WRAPPED = _removing(r" ?\r?\n[>| \t]*")  # and whatever quoting made of it

LETTERS = Decoding("", lambda text: _OTHER_FORMS.sub(lambda found: _plain(found[0]), text), _OTHER_FORMS, _plain)
"""Full-width and mathematical letters, and the full stops that name servers take for dots (RFC 3490 §3.1)."""
COMMENT = Decoding("<!--", lambda text: _COMMENT.sub("", text), _COMMENT, _nothing)

_CHAINS: tuple[tuple[Decoding, ...], ...] = (
    (),
    (LETTERS,),
    (PERCENT,),
    (ENTITY,),
    (ENTITY, PERCENT),
    (PERCENT, PERCENT),
    (QUOTED,),
    (FOLDED,),
    (FLOWED,),
    (WRAPPED,),
    (FOLDED, QUOTED),
)
_HTML_CHAINS = (*_CHAINS, (MARKUP,), (MARKUP, WRAPPED), (COMMENT,), (COMMENT, MARKUP), (LINES,))


def decode(text: str, chain: Iterable[Decoding]) -> str | None:
    """Return *text* with each encoding of *chain* undone; None where one of them does not occur in it."""
    for decoding in chain:
        decoded = decoding.whole(text) if decoding.sign in text else text
        if decoded == text:
            return None
        text = decoded
    return text


def view(text: str, chain: Iterable[Decoding]) -> View:
    """Return the view of *text* that undoes each encoding of *chain* in turn."""
    seen = View(text, (0,), ((0, len(text), True),))
    for decoding in chain:
        seen = _decoded(seen, decoding)
    return seen


def _decoded(seen: View, decoding: Decoding) -> View:
    chunks: list[str] = []
    shown: list[int] = []
    pieces: list[tuple[int, int, bool]] = []
    length = position = 0

    def add(chunk: str, origin: Iterable[tuple[int, int]], *, literal: bool) -> None:
        nonlocal length
        if literal:  # what is literal here may have been decoded before: keep its pieces apart
            start = position
            index = bisect_right(seen.shown, start) - 1
            end = start + len(chunk)
            while index < len(seen.shown) and seen.shown[index] < end:
                offset, (source, source_end, plain) = seen.shown[index], seen.pieces[index]
                width = (seen.shown[index + 1] if index + 1 < len(seen.shown) else len(seen.text)) - offset
                first, last = max(start - offset, 0), min(end - offset, width)
                if first < last:
                    shown.append(length)
                    pieces.append((source + first, source + last, True) if plain else (source, source_end, False))
                    length += last - first
                index += 1
        else:
            ranges = list(origin)
            if ranges:
                shown.append(length)
                pieces.append((ranges[0][0], ranges[-1][1], False))
                length += len(chunk)
        chunks.append(chunk)

    for token in decoding.tokens.finditer(seen.text):
        if token.start() > position:
            add(seen.text[position : token.start()], (), literal=True)
        if shown_as := decoding.meaning(token[0]):
            add(shown_as, seen.sources(*token.span()), literal=False)
        position = token.end()
    if position < len(seen.text):
        add(seen.text[position:], (), literal=True)
    return View("".join(chunks), tuple(shown), tuple(pieces))


# --- Looking and replacing -------------------------------------------------------------------------------------------


def places(text: str, identity: Identity, *, markup: bool = False, plain: bool = False) -> tuple[str, ...]:
    """Return what *text* holds in any view (each of PRIVATE, THREAD, TERM, BANNER at most once). ``markup`` looks
    at it as HTML or XML too, ``plain`` only as it is."""
    wanted = needles(identity)
    found: dict[str, None] = {}
    for chain in ((),) if plain else _HTML_CHAINS if markup else _CHAINS:
        if (seen := decode(text, chain)) is not None:
            found |= dict.fromkeys(finding.what for finding in wanted.find(seen))
    return tuple(found)


def mask(text: str, identity: Identity, contact: str, *, markup: bool = False) -> tuple[str, tuple[str, ...]]:
    """Return *text* without the owner's addresses (the public address stands in), hidden terms (removed) and thread
    addresses (*contact* stands in), and what was replaced. ``markup`` says that *text* is HTML.

    Sentinels are left: :mod:`banner` removes them with what they enclose.
    """
    wanted = needles(identity)
    replaced: dict[str, None] = {}
    for chain in _HTML_CHAINS if markup else _CHAINS:
        seen = decode(text, chain)
        if seen is None or not any(finding.what != BANNER for finding in wanted.find(seen)):
            continue
        mapped = view(text, chain)
        edits: list[tuple[int, int, str]] = []
        for finding in wanted.find(mapped.text):
            stand_in = {PRIVATE: identity.public_address, THREAD: contact, TERM: ""}.get(finding.what)
            if stand_in is None:
                continue
            replaced[finding.what] = None
            ranges = list(mapped.sources(finding.start, finding.end))
            if (
                MARKUP not in chain and LINES not in chain
            ):  # what folding and soft breaks put between goes too; tags stay
                ranges = [(ranges[0][0], ranges[-1][1])]
            shown = _as_written(stand_in, mapped.text[finding.start : finding.end], chain)
            edits += [(start, end, "" if number else shown) for number, (start, end) in enumerate(ranges)]
        text = _edited(text, edits)
    return text, tuple(replaced)


def _as_written(stand_in: str, found: str, chain: tuple[Decoding, ...]) -> str:
    if PERCENT in chain or "%40" in found:
        return stand_in.replace("@", "%40")
    if QUOTED in chain or "=40" in found:
        return stand_in.replace("@", "=40")
    return stand_in


def _edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    chunks: list[str] = []
    position = 0
    for start, end, stand_in in edits:
        if start >= position:
            chunks += (text[position:start], stand_in)
            position = end
    return "".join((*chunks, text[position:]))
