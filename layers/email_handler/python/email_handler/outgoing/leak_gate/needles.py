"""What must not leave: the owner's addresses, hidden terms, thread addresses, lines of the banner.

Every pattern starts at a literal or is bounded: the time is linear in the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from email_handler.conversations.owners import Identity
from email_handler.mail.addresses import split_address
from email_handler.outgoing.sentinels import SENTINEL, SENTINEL_START

PRIVATE, THREAD, TERM, BANNER = "private address", "thread address", "hidden term", "banner"

_WINDOW = 160  # characters before "@" that are searched: RFC 5321 allows 64, a tag and its encoding need more
_SEPARATOR = (
    r"[ \u00a0]{0,2}(?:[@\uff20\ufe6b]|%40|=40|&#0{0,5}64;?|&#x0{0,5}40;?|&commat;|\\u0040|\\x40|\\'40|\\0{0,4}40 ?)"
    r"[ \u00a0]{0,2}"
)
_LETTER = r"A-Za-z0-9"  # of addresses; a letter of another script in front of one belongs to the word before it
# What may follow a domain without making it another domain: "me@example.com.test" is someone else's address, while
# "me@example.com." ends a sentence and "me@example.com.pdf" is a file name.
_FILE_TYPE = (
    r"(?:pdf|docx?|xlsx?|pptx?|od[tsp]|rtf|txt|eml|msg|ics|vcf|zip|png|jpe?g|gif|html?|csv|asc|p7[sm]|json|xml)"
)
_DOMAIN_ENDS = (
    rf"(?![{_LETTER}])(?!-[A-Za-z0-9-]{{0,63}}\.[A-Za-z])(?!\.(?!{_FILE_TYPE}(?![A-Za-z0-9.-]))(?-i:[a-z0-9]))"
)
_GOES_ON_IN_CAPITALS = re.compile(r"[A-Z]\.[A-Z]")
_ATEXT = r"A-Za-z0-9.!#$%&'*+/=?^_`{|}~-"
_TAG = r"(?:\+[\w.+-]{0,64})?"
_THREAD_LOCAL = re.compile(r"[A-Za-z0-9._+-]{1,80}$")
_GMAIL = ("gmail.com", "googlemail.com")
"""Both domains lead to the same mailboxes, and dots in their local parts mean nothing."""
# A letter or digit that would make a term part of a longer word; scripts without spaces between words have none.
_WORD = r"[^\W_\u0e00-\u0eff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff]"


@dataclass(frozen=True, slots=True)
class Finding:
    """*what* (PRIVATE, THREAD, TERM or BANNER) stands at ``[start, end)`` of a text."""

    start: int
    end: int
    what: str


class Needles:
    """Everything to look for of one :class:`Identity`, compiled: build it once for each composition."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        locals_ = _locals_by_domain(identity)
        self._thread_domain = identity.thread_domain.lower()
        self._domains = sorted(filter(None, {*locals_, self._thread_domain}), key=len, reverse=True)
        self._locals = {domain: _local_pattern(patterns) for domain, patterns in locals_.items()}
        domains = "|".join(map(re.escape, self._domains))
        self._address = re.compile(rf"{_SEPARATOR}(?P<domain>{domains}){_DOMAIN_ENDS}", re.IGNORECASE)
        written = "|".join(chain.from_iterable(_in_return_paths(*entry) for entry in locals_.items()))
        self._return_path = re.compile(rf"(?<=[-+=/])(?:{written})(?=@)", re.IGNORECASE) if written else None
        self._terms = [
            (max(term.split(), key=len).lower(), re.compile(_term_pattern(term), re.IGNORECASE))
            for term in identity.hidden_terms
            if term.strip()
        ]

    def find(self, text: str) -> list[Finding]:
        """Return what *text* holds, in order, without overlaps."""
        lowered = text.lower()
        findings: list[Finding] = []
        # Most texts hold none of the plain words, and looking for those is fast.
        if any(domain in lowered for domain in self._domains):
            findings += self._addresses(text)
            if self._return_path:
                findings += _spans(self._return_path, text, PRIVATE)
        for word, pattern in self._terms:
            if word in lowered:
                findings += _spans(pattern, text, TERM)
        if SENTINEL_START in lowered:
            findings += _spans(SENTINEL, text, BANNER)
        findings.sort(key=lambda finding: (finding.start, -finding.end))
        apart: list[Finding] = []
        for finding in findings:
            if not apart or finding.start >= apart[-1].end:
                apart.append(finding)
        return apart

    def _addresses(self, text: str) -> Iterator[Finding]:
        for match in self._address.finditer(text):
            domain = match["domain"]
            if _GOES_ON_IN_CAPITALS.match(text, match.end() - 1):
                continue  # ME@EXAMPLE.COM.TEST
            window = max(0, match.start() - _WINDOW)
            if domain.lower() == self._thread_domain:
                local = _THREAD_LOCAL.search(text, window, match.start())
                yield Finding(local.start() if local else match.start(), match.end(), THREAD)
            elif hit := self._locals[domain.lower()].search(text, window, match.start()):
                yield Finding(hit.start("hit"), match.end(), PRIVATE)


def _spans(pattern: re.Pattern[str], text: str, what: str) -> Iterator[Finding]:
    return (Finding(*match.span(), what) for match in pattern.finditer(text))


def _locals_by_domain(identity: Identity) -> dict[str, list[str]]:
    """Return for each domain of the owner's addresses the patterns of their local parts without tags."""
    patterns: dict[str, set[str]] = {}
    for address in identity.private_addresses:
        local, domain = split_address(address.lower())
        base = local.partition("+")[0]
        if local and domain in _GMAIL:
            for same in _GMAIL:
                patterns.setdefault(same, set()).add(r"\.?".join(map(re.escape, base.replace(".", ""))))
        elif local and domain:
            patterns.setdefault(domain, set()).add(re.escape(base))
    return {domain: sorted(found) for domain, found in patterns.items()}


def _local_pattern(locals_: list[str]) -> re.Pattern[str]:
    """Return a pattern for one of *locals_* as the whole local part that ends where the search ends.

    It matches "me", "me+tag", quoted or behind punctuation ("_me", "--me"), not "notme", "x-me" or "john.me".
    """
    base = rf"(?:{'|'.join(locals_)})(?:(?:\+|%2B)[{_ATEXT}]*)?"
    return re.compile(rf'(?:^|[^{_LETTER}._+-])[._+-]{{0,8}}(?P<hit>"{base}"|{base})$', re.IGNORECASE)


def _in_return_paths(domain: str, locals_: list[str]) -> Iterator[str]:
    """Yield patterns of addresses as other addresses contain them: bounce addresses (VERP) and rewritten senders (SRS)."""
    for local in locals_:
        yield rf"{local}{_TAG}={re.escape(domain)}"
        yield rf"{re.escape(domain)}={local}{_TAG}"


def _term_pattern(term: str) -> str:
    words = r"(?:[\s>|]{1,12}|[+_.-])".join(map(re.escape, term.split()))  # in links and names of files: blue-door
    return rf"(?<!{_WORD}){words}(?!{_WORD})"
