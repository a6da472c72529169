"""What must not leave: the owner's addresses, hidden terms, thread addresses, lines of the banner."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from email_handler.conversations.identity import Identity
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
        self.identity = identity
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
