"""Addresses as values: reading them leniently, comparing them strictly."""

from dataclasses import dataclass

from email_handler.domain.identifiers import EmailAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One entry of an address field (RFC 5322 §3.4), decoded.

    ``name`` is the display name without quotes, control characters or line breaks, possibly empty;
    ``address`` is ``local@domain`` with the domain lower-cased.
    """

    name: str
    address: EmailAddress
