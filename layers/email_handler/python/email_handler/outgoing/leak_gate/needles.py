"""What must not leave: the owner's addresses, hidden terms, thread addresses, lines of the banner.

The one place where needles meet text. A boundary may stand between any two characters of an address, and counts as a
non-letter at its ends (``mail.documents.reading``). Every pattern starts at a literal or is bounded: the time is
linear in the text.
"""

import re
from collections.abc import Iterator
from itertools import chain, product
from typing import NamedTuple

from email_handler.conversations.owners import Identity
from email_handler.mail.addresses import split_address
from email_handler.mail.documents.reading import BOUNDARY, KERN
from email_handler.mail.patterns import regex
from email_handler.outgoing.leak_gate import decodings, longer
from email_handler.outgoing.leak_gate.skeletons import Words
from email_handler.outgoing.sentinels import SENTINEL, SENTINEL_WORDS

PRIVATE, THREAD, TERM, BANNER = "private address", "thread address", "hidden term", "banner"

# Characters before "@" that are searched: RFC 5321 allows 64, a tag, its encoding and boundaries need more.
_WINDOW = 320
_B = f"[{BOUNDARY}{KERN}]?"
_SPACE = rf"[\t \u00a0\u1680\u2028\u2029{BOUNDARY}{KERN}]{{0,8}}"
_QUOTES = "\"'`*_\u2018-\u201f"  # what people put around a part of an address, brackets too
_SEPARATOR = (
    rf"(?:{_B}\(a\){_B}|{_SPACE}"  # in X.400 (RFC 2156 §3.4)
    rf"(?:@|[%=+-]{_B}4{_B}0|&#0{{0,5}}64;?|&#x0{{0,5}}40;?|&commat;|\\u0040|\\x40|\\'40|\\0{{0,4}}40 ?|[+&]AEA-)"
    rf"{_SPACE}[{_QUOTES}(<\[{{]{{0,2}})"
)
# Of addresses (RFC 6531). A letter of another script in front of an address belongs to the word before it, unless a dot
# or a hyphen joins the two.
_LETTER = r"A-Za-z0-9\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_MARKED = "".join(
    rf"(?<![^\W_]{marks}{kern})" for marks in ("[\u0300-\u036f]", "[\u0300-\u036f]{2}") for kern in ("", KERN)
)
# Scripts without spaces between words. They have no case; without (?-i:) re would look for that of each of 40,000
# characters, four milliseconds for each class of them.
_UNSPACED = r"\u0e00-\u0eff\u2e80-\u3001\u3003-\ua4cf\uac00-\ud7af\uf900-\ufaff"
# A letter or digit that would make a term part of a longer word.
_WORD = rf"(?-i:[^\W_{_UNSPACED}\u3002])"
# What a word in any script consists of, marks and what could not be decoded included: a dot or a hyphen goes on with it.
_WRITTEN = (
    r"\w\ufffd\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0966-\u0dff\u0e30-\u0e4e"
)
_DOT = r"[.\u3002]"
# "o'me" is a name; behind other letters an article ends ("d'anna@…").
_NOT_OF_A_NAME = "".join(
    rf"(?<!o{mark})"
    for mark in ("['\u2019]", f"{KERN}['\u2019]{KERN}", "&#39;", "&#x27;", "&apos;", "&rsquo;", "&#8217;")
)
# What may follow a domain without making it another domain: "me@example.com.test" is someone else's address, while
# "me@example.com." ends a sentence and "me@example.com.pdf" is a file name.
_FILE_TYPE = (
    r"(?:pdf|docx?|xlsx?|pptx?|od[tspg]|rtf|txt|eml|msg|ics|vcf|zip|gz|png|jpe?g|gif|html?|csv|asc|p7[sm]|json|xml|md"
    r"|tar|tgz|7z|rar|bz2|xz|bak|sql|mbox)"
)
_FILE_TYPES = rf"{_FILE_TYPE}(?:\.{_FILE_TYPE}){{0,3}}"  # of a packed file, of a signed one
_K = f"{KERN}?"
_DOMAIN_ENDS = (
    rf"(?!{_K}[{_LETTER}\u0300-\u036f])(?!{_K}{_WORD}{{1,63}}\.[A-Za-z])(?!{_K}-[A-Za-z0-9{KERN}-]{{0,126}}\.{_K}[A-Za-z])"
    rf"(?!{_K}\.{_K}(?!{_FILE_TYPES}(?![A-Za-z0-9.-]))(?-i:[a-z0-9]))"
)
_ENDS = regex(_DOMAIN_ENDS, re.IGNORECASE)
_GOES_ON = regex(rf"{_B}{_DOT}{_B}[A-Z]")  # ME@EXAMPLE.COM.TEST, Me@Example.Com.Test
_GOES_ON_SO = regex("\u3002[A-Za-z0-9]")  # behind a domain with such dots; behind another it ends a sentence
_FILE_FOLLOWS = regex(rf"\.{_FILE_TYPE}(?![A-Za-z0-9])", re.IGNORECASE)
_ATEXT = rf"A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~{BOUNDARY}{KERN}-"
_TAG = rf"(?:\+[\w.+{BOUNDARY}{KERN}-]{{0,64}})?"
_THREAD_LOCAL = regex(
    rf"(?:c{_B}-(?:{_B}[a-z0-9]){{8}}{_B}\.(?:{_B}[a-z0-9]){{10}}(?:{_B}\+[a-z0-9+-]{{1,40}})?|[a-z0-9._+-]{{1,80}}){_B}$",
    re.IGNORECASE,
)
_ACTION = regex(r"\?subject=email-handler", re.IGNORECASE)
"""Follows a thread address in our links of actions: their words stand beside it, so replacing it is too little."""
_GMAIL = ("gmail.com", "googlemail.com")
"""Both domains lead to the same mailboxes, and dots in their local parts mean nothing."""
_GMAIL_IN_LINKS = "m"
"""The domain as Google Calendar writes it in the identifier of an event (``eid=``, in base64)."""
_SHORT = 6  # characters: bytes of no text hold any shorter term by chance
_FORMS = 16  # spellings of one domain
_MAX_LEAST = 40  # characters


class Finding(NamedTuple):
    """*what* (PRIVATE, THREAD, TERM or BANNER) stands at ``[start, end)`` of a text."""

    start: int
    end: int
    what: str


class Needles:
    """Everything to look for of one :class:`Identity`: build it once for each composition: it compiles its patterns."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        locals_ = _locals_by_domain(identity)
        self._threads = domain_forms(identity.thread_domain)
        self.domains = sorted(filter(None, {*locals_, *self._threads}), key=len, reverse=True)
        self._local = {domain: _local_pattern(patterns) for domain, patterns in locals_.items()}
        self._joined = {domain: _joined_pattern(patterns) for domain, patterns in locals_.items()}
        domains = "|".join(map(_spread, self.domains))
        route = rf"(?P<route>[=%]{_B}(?=(?:{domains}){_B}@))"
        self._address = regex(rf"(?:{_SEPARATOR}|{route})(?P<domain>{domains}){_DOMAIN_ENDS}", re.IGNORECASE)
        bases = _bases(identity)
        turned = "|".join(_turned(domain, patterns) for domain, patterns in locals_.items())
        folders = "|".join(_folder(base, domain) for domain, found in bases.items() for base in found)
        self._rewritten = regex(
            rf"(?<![{_LETTER}._])(?<![{_LETTER}._]{KERN})(?:{turned or '(?!)'})|(?<=personal/)(?:{folders or '(?!)'})",
            re.IGNORECASE,
        )
        terms = [_letters(term) for term in identity.hidden_terms if term.strip()]
        self._terms = [(len(term) >= _SHORT, regex(_term_pattern(term), re.IGNORECASE)) for term in terms]
        longest_words = (max(term.split(), key=len) for term in terms)
        underlined = {_UNDERLINED.sub("_", domain) for domain in bases}
        # "@m" stands in many a file by chance, the end of the owner's name in front of it does not.
        in_links = (
            f"{base.rpartition('.')[2]}@{_GMAIL_IN_LINKS}" for domain in _GMAIL for base in bases.get(domain, ())
        )
        looked_for = (*(domain for domain in self.domains if domain != _GMAIL_IN_LINKS), *in_links)
        self.may_be_in = Words((*looked_for, *underlined, *longest_words, *SENTINEL_WORDS)).may_be_in
        """Returns whether :meth:`find` could find anything in a text once it is normal. This is fast."""
        letters = "".join((*self.domains, *terms, *chain.from_iterable(bases.values())))
        self.is_ascii = letters.isascii()
        self.strange = regex(f"[^\x01-\x7f{re.escape(letters)}]", re.IGNORECASE)
        """What stands in no needle and is no letter where bytes are of no text: zeros, characters beyond ASCII."""
        addresses = (len(base) + 1 + len(domain) for domain, found in bases.items() for base in found)
        long_terms = (len(term) for term in terms if len(term) >= _SHORT)
        self.least = min((*addresses, *map(len, self._threads), *long_terms, _MAX_LEAST))
        """Characters of the shortest that :meth:`find` looks for in strings."""

    def find(self, text: str, *, name: bool = False, strings: bool = False) -> list[Finding]:
        """Return what *text* holds, in order, without overlaps.

        *name* says that it is the name of a file; *strings* that it is what stands in the bytes of no text, where
        short terms occur by chance and are left out.
        """
        findings = [*self._addresses(text, name), *_spans(self._rewritten, text, PRIVATE), *_sentinels(text)]
        for is_long, pattern in self._terms:
            if is_long or not strings:
                findings += _spans(pattern, text, TERM)
        findings.sort(key=lambda finding: (finding.start, -finding.end))
        apart: list[Finding] = []
        for finding in findings:
            if not apart or finding.start >= apart[-1].end:
                apart.append(finding)
        return apart

    def _addresses(self, given: str, name: bool) -> Iterator[Finding]:
        last = 0
        dotted = given.replace("\u3002", ".")  # as the words in front of a domain with such dots are written
        for match in self._address.finditer(given):
            text = dotted if "\u3002" in match["domain"] else given
            window, last = max(last, match.start() - _WINDOW), match.end()
            domain = _bare(match["domain"]).replace("\u3002", ".")
            if _goes_on(match, domain, text):
                continue
            if domain.lower() in self._threads:
                local = _THREAD_LOCAL.search(text, window, match.start())
                what = BANNER if _ACTION.match(text, match.end()) else THREAD
                yield Finding(local.start() if local else match.start(), match.end(), what)
                continue
            hit = self._local[domain.lower()].search(text, window, match.start())
            if hit is None and (joined := self._joined[domain.lower()].search(text, window, match.start())):
                is_joined = name or match["route"] or joined["path"] or _FILE_FOLLOWS.match(text, match.end())
                hit = joined if is_joined else None
            if hit and self._is_whole(hit, text, match.start(), domain.lower()):
                yield Finding(hit.start("hit"), match.end(), PRIVATE)

    def _is_whole(self, hit: re.Match[str], text: str, end: int, domain: str) -> bool:
        """Return whether nothing encoded in front of the local part *hit* makes it the end of a longer one."""
        decoded = longer.before(text, hit.start("hit"), end)
        known = self._joined if "path" in hit.groupdict() else self._local
        return not decoded or known[domain].search(decoded) is not None


def _goes_on(match: re.Match[str], domain: str, text: str) -> bool:
    """Return whether the domain of *match* goes on behind it, so that it is another: in capitals, or encoded."""
    capital = domain.isupper() or domain.istitle()
    if capital and _GOES_ON.match(text, match.end()):
        return True
    if "\u3002" in match["domain"] and _GOES_ON_SO.match(text, match.end()):
        return True
    decoded = longer.behind(text, match.end())
    return bool(decoded) and (not _ENDS.match(decoded) or bool(capital and _GOES_ON.match(decoded)))


def _spans(pattern: re.Pattern[str], text: str, what: str) -> Iterator[Finding]:
    return (Finding(*match.span(), what) for match in pattern.finditer(text))


def _sentinels(text: str) -> Iterator[Finding]:
    """Yield the sentinels of *text*, whether a boundary stands for a line break or within a word."""
    bare = _bare(text)
    if not any(map(bare.lower().__contains__, SENTINEL_WORDS)):
        return
    found = [*_spans(SENTINEL, text.replace(BOUNDARY, " ").replace(KERN, " "), BANNER)]
    if not found and SENTINEL.search(bare):
        found = [Finding(0, len(text), BANNER)]
    yield from found


def _bare(text: str) -> str:
    return text.replace(BOUNDARY, "").replace(KERN, "")


def _letters(text: str) -> str:
    return decodings.LETTERS.whole(text).replace("\u3002", ".")


def _spread(literal: str) -> str:
    """Return a pattern of *literal* with boundaries between any two characters, and with dots in any script."""
    return _B.join(_DOT if letter == "." else re.escape(letter) for letter in literal)


def domain_forms(domain: str) -> tuple[str, ...]:
    """Return the spellings of *domain*, lower-case: each label in Unicode and in both IDNA encodings (RFC 3490, 5891)."""
    labels = [_label_forms(label) for label in _letters(domain).lower().rstrip(".").split(".")]
    return tuple(dict.fromkeys(".".join(forms) for _, forms in zip(range(_FORMS), product(*labels), strict=False)))


def _label_forms(label: str) -> list[str]:
    forms = {label: None}
    try:
        if label.startswith("xn--"):
            forms[label[4:].encode("ascii").decode("punycode")] = None
        if not label.isascii():
            forms["xn--" + label.encode("punycode").decode("ascii")] = None
            folded = label.casefold()
            forms[folded if folded.isascii() else "xn--" + folded.encode("punycode").decode("ascii")] = None
            forms[folded] = None
    except UnicodeError:
        pass  # no label of a host: only itself
    return list(forms)


def _bases(identity: Identity) -> dict[str, list[str]]:
    """Return for each domain of the owner's addresses their local parts without tags."""
    bases: dict[str, list[str]] = {}
    for address in identity.private_addresses:
        local, domain = split_address(_letters(address).lower())
        if local and domain:
            bases.setdefault(domain, []).append(local.partition("+")[0])
    return bases


def _locals_by_domain(identity: Identity) -> dict[str, list[str]]:
    """Return for each spelling of the domains of the owner's addresses the patterns of their local parts."""
    patterns: dict[str, set[str]] = {}
    for domain, bases in _bases(identity).items():
        if domain in _GMAIL:
            spelled = {rf"{_B}\.?{_B}".join(map(re.escape, base.replace(".", ""))) for base in bases}
            for same in (*_GMAIL, _GMAIL_IN_LINKS):
                patterns.setdefault(same, set()).update(spelled)
        else:
            for form in domain_forms(domain):
                patterns.setdefault(form, set()).update(map(_spread, bases))
    return {domain: sorted(found) for domain, found in patterns.items()}


def _base(locals_: list[str]) -> str:
    return rf"(?:{'|'.join(locals_)})(?:{_B}(?:\+|%2B)[{_ATEXT}]*)?"


def _local_pattern(locals_: list[str]) -> re.Pattern[str]:
    """Return a pattern for one of *locals_* as the whole local part that ends where the search ends.

    It matches "me", "me+tag", in quotes, in brackets or behind punctuation ("_me", "--me"), not "notme", "x-me" or "john.me".
    """
    base = _base(locals_)
    apart = rf"(?:^{_K}|(?<=[^{_LETTER}{KERN}._+-])|(?<=[^{_LETTER}._+-]{KERN})){_MARKED}{_NOT_OF_A_NAME}"
    joined = rf"(?:^{_K}|(?<=[^{_WRITTEN}{KERN}.+-])|(?<=[^{_WRITTEN}.+-]{KERN})){_NOT_OF_A_NAME}[.+_-]{{1,8}}"
    before = rf"(?:{apart}|{joined}|(?<=(?-i:[{_UNSPACED}]))[+_-]{{1,8}})"
    rest = rf"(?<![{_LETTER}][\x00-\x1f]\.)(?<!>\.)"  # "some.me", parted behind the first word
    quoted = rf"[{_QUOTES}(<\[{{]{{1,2}}{_B}{base}{_B}[{_QUOTES})>\]}}]{{1,2}}"
    signed = rf"(?<=prvs=){base}[/=][0-9A-Z]{{3,20}}"  # BATV
    return regex(rf"{before}{rest}(?P<hit>{quoted}|{base}|{signed}){_B}$", re.IGNORECASE)


def _joined_pattern(locals_: list[str]) -> re.Pattern[str]:
    """Return a pattern for one of *locals_* behind another word, as names of files and paths join them.

    "path" matches the "/" of a path. A dot joins nothing: "john.me" is someone else.
    """
    return regex(
        rf"(?P<path>[/\\][\w.%~+=,;-]{{0,80}})?(?<=[^{_LETTER}{KERN}.])(?P<hit>{_base(locals_)}){_B}$", re.IGNORECASE
    )


def _turned(domain: str, locals_: list[str]) -> str:
    """Return a pattern for addresses as other systems rewrite them: with the domain in front in senders (SRS,
    "home.example=me@") and in routes as they were once written ("home.example!me"), and as a guest's name in another
    organisation's directory ("me_home.example#EXT#@")."""
    local = f"(?:{'|'.join(locals_)}){_TAG}"
    front = rf"{_spread(domain)}{_B}(?:={_B}{local}(?={_B}@)|!{_B}{local}(?![\w.%=-]))"
    return rf"{front}|{local}{_B}_{_B}{_spread(domain)}(?={_B}#{_B}EXT{_B}#)"


_UNDERLINED = regex(r"[^A-Za-z0-9]")


def _folder(base: str, domain: str) -> str:
    """Return a pattern for the name of a person's folder ("personal/me_home_example"): all but letters is underlined."""
    return _spread(_UNDERLINED.sub("_", f"{base}@{domain}")) + rf"(?![{_LETTER}_])"


def _term_pattern(term: str) -> str:
    words = rf"(?:[\s>|{BOUNDARY}{KERN}]{{1,12}}|[+_.-])".join(map(_spread, term.split()))  # in links: blue-door
    before, after = rf"(?<!{_WORD})(?<!{_WORD}{KERN})", rf"(?!{KERN}?{_WORD})"
    return before + words + after
