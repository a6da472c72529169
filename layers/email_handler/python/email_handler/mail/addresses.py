"""Addresses as values: reading them leniently, comparing them strictly."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from publicsuffixlist import PublicSuffixList

from email_handler.identifiers import EmailAddress
from email_handler.mail.headers import MAX_VALUE, decode_header

MAX_MAILBOXES = 500  # of all fields of one name: what a reader could be shown, and more than a mail is sent to
MAX_NAME = 200  # characters of a display name that are kept
MAX_PHRASES = 3  # entries without an address that are joined to the next: "Doe, Jane, PhD, MBA <...>"
MAX_ADDRESS = 320  # characters: 64 + "@" + 255 (RFC 5321 §4.5.3.1), longer ones are no addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One entry of an address field (RFC 5322 §3.4), decoded.

    ``name`` is the display name without quotes, control characters or line breaks, possibly empty;
    ``address`` is ``local@domain`` with the domain lower-cased.
    """

    name: str
    address: EmailAddress


# The tokens of an address field. Each alternative starts with a character of its own, so no text is tried twice;
# what opens and never closes is taken for an ordinary character by the last alternative.
_TOKEN = re.compile(
    r"""
      (?P<quoted>  " (?: [^"\\] | \\. )*+ " )
    | (?P<angle>   < (?: [^<>"\\] | \\. | " (?: [^"\\] | \\. )*+ " )*+ > )
    | (?P<comment> [()] )
    | (?P<comma>   [,;] )
    | (?P<colon>   : )
    | (?P<literal> @ \[ [^\[\]]*+ \] )
    | (?P<atom>    (?: [^",;:<>()\\@] | \\. )++ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_ROUTE = re.compile(r"@[^:]*+:")  # RFC 5322 §4.4: <@relay.example:jane@customer.example>
_PLAIN = re.compile(r'([^"(),;:<>\\@]*+)<([^"(),;:<>\\\s]++)>')  # nearly all there are: a name, an address
_BARE = re.compile(r"""(?<![^\s@])(?:"[^"]*+"|[^\s@"]++)@[^\s@"]++""")
_COMMENT = re.compile(r"\((?:[^()\\]|\\.)*+\)")
# Specials stand in quotes only (RFC 5322 §3.4.1): <a@b.example,c@d.example> would be two addresses when written again.
_ADDRESS = re.compile(r"""(?:"(?:[^"\\]|\\.)*+"|[^"(),:;<>@\[\\\]]++)@[^"(),;<>@\\]++""")
_DOT_SPACES = re.compile(r"(?<!\s)\s*+([.@])\s*+")  # RFC 5322 §4.4 allows white space around dots


def read_mailboxes(values: Sequence[str]) -> tuple[Mailbox, ...]:
    """Read undecoded address field values (``Header.raw``) leniently: one mailbox for each address found, in order.

    Groups are opened, comments become names where there is no other, encoded words in names are decoded after the
    field is taken apart (so a name cannot bring in an address). A part without ``@`` is joined to the name that
    follows it (``ADAC Kundenservice, <service@…>``: an unquoted comma). Never raises; linear; at most MAX_MAILBOXES.
    """
    found: list[Mailbox] = []
    for value in values:
        for mailbox in _read(value[:MAX_VALUE], cut=len(value) >= MAX_VALUE):
            if len(found) == MAX_MAILBOXES:
                return tuple(found)
            found.append(mailbox)
    return tuple(found)


def _read(value: str, *, cut: bool) -> Iterator[Mailbox]:
    if plain := _PLAIN.fullmatch(value):
        yield from _mailbox(plain[1], plain[2])
        return
    entry = _Entry()
    depth = 0
    for token in _TOKEN.finditer(value):
        kind = token.lastgroup
        text = token[0]
        if kind == "comment":
            depth = depth + 1 if text == "(" else max(depth - 1, 0)
        elif depth:
            entry.comment.append(text)
        elif kind == "comma":
            yield from entry.finished(keep_name=text == ",")
        elif kind == "colon":
            entry.end_group_name()
        elif kind == "angle":
            entry.add_angle(text[1:-1])
        else:
            entry.add(text, quoted=kind == "quoted")
    if not cut:  # the last entry of a value that was cut may be half an address
        yield from entry.finished(keep_name=False)


class _Entry:
    """What has been read since the last comma."""

    def __init__(self) -> None:
        self.before: list[str] = []  # phrases of entries without an address, kept for the next one
        self.clear()

    def clear(self) -> None:
        self.phrase: list[str] = []  # text outside angle brackets, quotes undone
        self.bare: list[str] = []  # the same as written: where a bare address can be
        self.angles: list[tuple[str, str]] = []  # the phrase before each, and what is in it
        self.comment: list[str] = []

    def add(self, text: str, *, quoted: bool) -> None:
        self.phrase.append(_unquoted(text) if quoted else text)
        self.bare.append(text)

    def add_angle(self, address: str) -> None:
        self.angles.append(("".join(self.phrase).strip(), address))
        self.phrase = []

    def end_group_name(self) -> None:
        self.phrase, self.bare = [], []

    def finished(self, *, keep_name: bool) -> Iterator[Mailbox]:
        phrase = "".join(self.phrase).strip()
        comment = "".join(self.comment).strip()
        if self.angles:
            for name, address in self.angles:
                yield from _mailbox(", ".join(filter(None, [*self.before, name or phrase or comment])), address)
                self.before = []
        elif "@" in phrase:
            for address in _BARE.findall(_DOT_SPACES.sub(r"\1", "".join(self.bare))):
                yield from _mailbox(comment, address)
            self.before = []
        elif phrase and keep_name and len(self.before) < MAX_PHRASES:
            self.before.append(phrase)
        else:
            self.before = []
        self.clear()


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _mailbox(name: str, address: str) -> Iterator[Mailbox]:
    address = "".join(_COMMENT.sub("", address).split()) if '"' not in address else address.strip()
    if address.startswith("@"):
        address = _ROUTE.sub("", address, count=1)
    local, at, domain = address.rpartition("@")
    domain = domain.lower().rstrip(".")
    address = f"{local}{at}{domain}"
    if len(address) <= MAX_ADDRESS and address.isprintable() and _ADDRESS.fullmatch(address):
        yield Mailbox(name=_plain(decode_header(name))[:MAX_NAME], address=EmailAddress(address))


def _plain(name: str) -> str:
    name = name.strip()
    return name[1:-1].strip() if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'" else name


def address_domain(address: str) -> str:
    """Return the part of *address* after its last ``@``, lower-case; "" where there is none."""
    return address.rpartition("@")[2].lower().rstrip(".") if "@" in address else ""


def same_address(a: str, b: str) -> bool:
    """Tell whether *a* and *b* are the same mailbox: case ignored (no server of note minds it in local parts),
    IDN domains equal in either spelling. Tags count: ``jane+x@`` is not ``jane@``."""
    return _comparable(a) == _comparable(b) != ""


def _comparable(address: str) -> str:
    local, at, domain = address.strip().rpartition("@")
    return f"{local.casefold()}@{ascii_domain(domain)}" if at and local and domain else ""


@lru_cache(maxsize=1024)
def ascii_domain(domain: str) -> str:
    """Return *domain* in lower-case ASCII (punycode, IDNA 2003 as in the standard library); as it is, lower-case,
    where it cannot be written so."""
    domain = domain.strip().lower().rstrip(".")
    if domain.isascii() or len(domain) > MAX_ADDRESS:
        return domain
    try:
        return domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return domain


def split_tag(address: str) -> tuple[EmailAddress, str]:
    """Split ``contact+tag@example.com`` into ``contact@example.com`` and ``tag`` (RFC 5233), "" without a tag."""
    local, _, domain = address.rpartition("@")
    base, _, tag = local.partition("+")
    if not base:  # "+x@example.com" is an address, not a tag of nobody
        return EmailAddress(address), ""
    return EmailAddress(f"{base}@{domain}"), tag


def ascii_address(address: str) -> str:
    """Return *address* with its domain in ASCII, as headers and SES want it; a local part stays as it is."""
    local, at, domain = address.rpartition("@")
    return address if domain.isascii() else f"{local}{at}{ascii_domain(domain)}"


def can_be_written_to(address: str) -> bool:
    """Tell whether SES takes *address* as a recipient: it knows no local part beyond ASCII (RFC 6531)."""
    local, _, domain = ascii_address(address).rpartition("@")
    return bool(local and domain) and (local + domain).isascii() and not any(map(str.isspace, local + domain))


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()  # 10,000 rules: read when first needed, once


@lru_cache(maxsize=1024)
def organizational_domain(domain: str) -> str:
    """Return the registrable domain above *domain* (RFC 7489 §3.2) in ASCII: ``customer.example`` for
    ``mail.customer.example``, *domain* itself where it is a public suffix or nothing is known above it."""
    name = ascii_domain(domain)
    if len(name) > MAX_ADDRESS:
        return name
    return _suffixes().privatesuffix(name) or name


def aligned(a: str, b: str) -> bool:
    """Tell whether the domains *a* and *b* are aligned in DMARC's relaxed sense (RFC 7489 §3.1): the same
    organizational domain. Nothing is aligned with an empty domain."""
    return bool(a) and bool(b) and organizational_domain(a) == organizational_domain(b)
