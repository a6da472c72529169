"""Starting addresses: ``to.jane=customer.example@thread.<domain>``, where the owner writes to somebody first.

The contact's address stands before ``@`` with ``=`` for its own. ``.from.sales`` behind it names the public address to
write from, by its local part; without that it is the first. Read from the right: the last ``=`` is the contact's ``@``, and
what follows the last ``.from.`` that leads to a public address is that one.

What cannot be written so: an address whose local part is quoted, or has other characters than RFC 5322 §3.2.3 allows
without quotes (not ASCII, too); one in a domain without a dot, or an IP address; one that makes the whole longer than 64
characters before ``@`` (RFC 5321 §4.5.3.1.1). Case is lost. A contact's domain may hold ``.from.`` only in front of a
``.from.`` that names a public address: otherwise a slip in that name would send to a domain of a stranger's.
"""

from collections.abc import Iterator, Sequence

from email_handler.conversations.thread_address import STARTING, ThreadTarget
from email_handler.identifiers import ConversationId, EmailAddress
from email_handler.mail.addresses import ascii_address, split_address
from email_handler.mail.patterns import regex
from email_handler.values import dataclass

MAX_LOCAL_PART = 64  # characters (RFC 5321 §4.5.3.1.1)
_FROM = ".from."
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# A domain's last label has a letter: 203.0.113.9 is an address of another kind.
_CONTACT = regex(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?=[^.]*[a-z]){_LABEL}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a starting address asks for: to write to *contact* from the public address."""

    contact: EmailAddress
    public_address: EmailAddress


class NotReadable(ValueError):
    """A starting address names nobody."""


class UnknownPublicAddress(ValueError):
    """A starting address names a public address that does not exist."""


def read_start(target: ThreadTarget, public_addresses: Sequence[EmailAddress]) -> Start:
    """Return what the starting address *target* asks for. Raises NotReadable or UnknownPublicAddress."""
    named = target.conversation.removeprefix(STARTING)
    longest_first = sorted(public_addresses, key=len, reverse=True)
    ends = ((address, f"{_FROM}{split_address(address)[0]}") for address in longest_first)
    public, end = next(((address, end) for address, end in ends if named.endswith(end)), (public_addresses[0], ""))
    local, _, domain = named.removesuffix(end).rpartition("=")
    if not end and _FROM in f".{domain}":
        raise UnknownPublicAddress(f"there is no public address {domain.rpartition(_FROM)[2]}")
    contact = ascii_address(f"{local}@{domain}")
    if not _CONTACT.fullmatch(contact):
        raise NotReadable("the address names nobody who could be written to")
    return Start(contact=EmailAddress(contact), public_address=public)


def starting_address(start: Start, public_addresses: Sequence[EmailAddress], thread_domain: str) -> EmailAddress:
    """Return the shortest address that asks for *start*. Raises ValueError if it cannot be written so."""
    contact = ascii_address(start.contact.lower())
    for local in _spellings(contact, start.public_address):
        target = ThreadTarget(conversation=ConversationId(local), token="")
        try:
            read = read_start(target, public_addresses)
        except ValueError:
            continue
        if len(local) <= MAX_LOCAL_PART and (read.contact, read.public_address) == (contact, start.public_address):
            return EmailAddress(f"{local}@{thread_domain}")
    raise ValueError(
        f"{start.contact} cannot be written as a part of another address: it is too long, or has odd characters"
    )


def _spellings(contact: str, public_address: str) -> Iterator[str]:
    local, domain = split_address(contact)
    yield f"{STARTING}{local}={domain}"
    yield f"{STARTING}{local}={domain}{_FROM}{split_address(public_address)[0]}"
