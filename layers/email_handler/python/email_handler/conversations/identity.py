"""Who is who, and which ids each side knows: what composing a message of a conversation needs."""

from dataclasses import dataclass

from email_handler.identifiers import EmailAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is who, for composing and masking."""

    public_address: EmailAddress
    display_name: str
    domain: str  # the public address's domain
    thread_domain: str
    private_addresses: tuple[EmailAddress, ...]  # every owner's mailbox and alias
    hidden_terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Threading:
    """Ids for the side the mail goes to, without angle brackets, ready to be written (whole, bounded)."""

    subject: str  # full subject line to send
    in_reply_to: str  # "" where none
    references: tuple[str, ...]
