"""Email addresses: reading them leniently, comparing them strictly."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from email_handler.identifiers import EmailAddress
from email_handler.mail.headers import MAX_VALUE, decode_header
from email_handler.mail.patterns import regex
from email_handler.mail.public_suffixes import private_suffix
from email_handler.values import dataclass

MAX_MAILBOXES = 500  # of all fields of one name; real messages have fewer
MAX_NAME = 200  # characters kept of a display name
MAX_PHRASES = 3  # entries without an address that join the next one: "Doe, Jane, PhD, MBA <...>"
_GMAIL = frozenset(("gmail.com", "googlemail.com"))
MAX_ADDRESS = 320  # characters: 64 + "@" + 255 (RFC 5321 §4.5.3.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One entry of an address field (RFC 5322 §3.4), decoded.

    ``name`` is the display name without quotes, control characters or line breaks, possibly empty;
    ``address`` is ``local@domain`` with the domain lower-cased.
    """

    name: str
    address: EmailAddress


# The tokens of an address field. Each alternative starts with a different character, so no text is tried twice;
# the last one takes an opening character that never closes as ordinary.
_TOKEN = regex(
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
_ROUTE = regex(r"@[^:]*+:")  # RFC 5322 §4.4: <@relay.example:jane@customer.example>
_PLAIN = regex(r'([^"(),;:<>\\@]*+)<([^"(),;:<>\\\s]++)>')  # nearly every field: a name, an address
_BARE = regex(r"""(?<![^\s@])(?:"[^"]*+"|[^\s@"]++)@[^\s@"]++""")
_COMMENT = regex(r"\((?:[^()\\]|\\.)*+\)")
# Specials need quotes (RFC 5322 §3.4.1): <a@b.example,c@d.example> would be two addresses when written again.
_ADDRESS = regex(r"""(?:"(?:[^"\\]|\\.)*+"|[^"(),:;<>@\[\\\]]++)@[^"(),;<>@\\]++""")
_DOT_SPACES = regex(r"(?<!\s)\s*+([.@])\s*+")  # RFC 5322 §4.4 allows white space around dots


def read_mailboxes(values: Sequence[str]) -> tuple[Mailbox, ...]:
    """Return the mailboxes in undecoded address field values (``Header.raw``), in order, at most MAX_MAILBOXES.

    Groups are flattened. A comment becomes the name if there is no other. Encoded words are decoded after the field is
    split, so a name cannot add an address. An entry without ``@`` joins the name that follows it
    (``Doe Kundenservice, <service@…>``: an unquoted comma). Never raises; takes linear time.
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
    if not cut:  # the last entry of a cut value may be half an address
        yield from entry.finished(keep_name=False)


class _Entry:
    """The tokens read since the last comma."""

    def __init__(self) -> None:
        self.before: list[str] = []  # phrases of entries without an address, for the next one
        self.clear()

    def clear(self) -> None:
        self.phrase: list[str] = []  # text outside angle brackets, without its quotes
        self.bare: list[str] = []  # the same with its quotes: it may contain a bare address
        self.angles: list[tuple[str, str]] = []  # the phrase before each pair of brackets, and its contents
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
    address = "@".join(split_address(address))
    if len(address) <= MAX_ADDRESS and address.isprintable() and _ADDRESS.fullmatch(address):
        yield Mailbox(name=_plain(decode_header(name))[:MAX_NAME], address=EmailAddress(address))


def _plain(name: str) -> str:
    name = name.strip()
    return name[1:-1].strip() if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'" else name


def split_address(address: str) -> tuple[str, str]:
    """Return the local part of *address* as written and its domain in lower case, ("", "") if it has no ``@``.

    The last ``@`` counts; dots at the end of the domain are removed.
    """
    local, at, domain = address.rpartition("@")
    return (local, domain.lower().rstrip(".")) if at else ("", "")


def address_domain(address: str) -> str:
    """Return the domain of *address* in lower case, "" if it has no ``@``."""
    return split_address(address)[1]


def same_address(a: str, b: str) -> bool:
    """Return whether *a* and *b* are the same mailbox: whether both have the same :func:`mailbox_key`."""
    return mailbox_key(a) == mailbox_key(b) != ""


def mailbox_key(address: str) -> str:
    """Return what all spellings of a mailbox's *address* have in common, "" if it is no address.

    Case is ignored, in local parts too, as mail servers do, and so are a local part's quotes (RFC 5321 §4.1.2). An
    internationalized domain equals its ASCII form. Tags count, ``jane+x@`` is not ``jane@``, but for Gmail, which
    delivers any tag and any dots to one mailbox under two domains.
    """
    local, domain = split_address(address.strip())
    local = _unquoted(local) if re.fullmatch('".*"', local) else local
    local, domain = local.casefold(), ascii_domain(domain)
    if domain in _GMAIL:
        local, domain = local.partition("+")[0].replace(".", "") or local, "gmail.com"
    return f"{local}@{domain}" if local and domain else ""


@lru_cache(maxsize=1024)
def ascii_domain(domain: str) -> str:
    """Return *domain* in lower-case ASCII (IDNA 2003, the standard library's), or just lower-cased if that fails."""
    domain = domain.strip().lower().rstrip(".")
    if domain.isascii() or len(domain) > MAX_ADDRESS:
        return domain
    try:
        return domain.encode("idna").decode("ascii").lower()
    except Exception:  # noqa: BLE001 - the codec documents UnicodeError, and has raised IndexError
        return domain


def split_tag(address: str) -> tuple[EmailAddress, str]:
    """Split ``contact+tag@example.com`` into ``contact@example.com`` and ``tag`` (RFC 5233), "" if it has none."""
    local, _, domain = address.rpartition("@")
    base, _, tag = local.partition("+")
    if not base:  # "+x@example.com" is an address without a tag
        return EmailAddress(address), ""
    return EmailAddress(f"{base}@{domain}"), tag


def displayed(address: str, limit: int) -> str:
    """Return *address* for people, in at most *limit* characters (20 or more). Whose it is stays visible however long it
    is: the local part is cut, then the domain's beginning. A quoted local part (RFC 5321 §4.1.2) does not read as words.
    """
    local, at, domain = "_".join(address.split()).rpartition("@")
    if len(local) + len(at) + len(domain) > limit:
        half = limit // 2
        domain = domain if len(domain) <= half else "…" + domain[1 - half :]
        room = limit - len(at) - len(domain)
        local = local if len(local) <= room else local[: room - 1] + "…"
    return local + at + domain


def ascii_address(address: str) -> str:
    """Return *address* with its domain in ASCII, as headers and SES require; the local part is unchanged."""
    local, at, domain = address.rpartition("@")
    return address if domain.isascii() else f"{local}{at}{ascii_domain(domain)}"


def can_be_written_to(address: str) -> bool:
    """Return whether SES accepts *address* as a recipient: it does not support non-ASCII local parts (RFC 6531)."""
    local, domain = split_address(ascii_address(address))
    return bool(local and domain) and (local + domain).isascii() and not any(map(str.isspace, local + domain))


@lru_cache(maxsize=1024)
def organizational_domain(domain: str) -> str:
    """Return the organizational domain of *domain* (RFC 7489 §3.2) in ASCII: ``customer.example`` for
    ``mail.customer.example``, *domain* itself if it is a public suffix."""
    name = ascii_domain(domain)
    if len(name) > MAX_ADDRESS:
        return name
    return private_suffix(name) or name


def aligned(a: str, b: str) -> bool:
    """Return whether the domains *a* and *b* have the same organizational domain: DMARC's relaxed alignment
    (RFC 7489 §3.1). An empty domain is aligned with none."""
    return bool(a) and bool(b) and organizational_domain(a) == organizational_domain(b)
