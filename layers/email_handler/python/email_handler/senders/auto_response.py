"""Who may be sent an automatic response (RFC 3834 §2). Fewer than are people: someone who writes through a mailing list
is a person, and still gets no acknowledgement."""

from collections.abc import Collection

from email_handler.mail.addresses import address_domain, can_be_written_to, mailbox_key, split_tag
from email_handler.mail.message import Message
from email_handler.mail.patterns import regex
from email_handler.senders.authentication import SenderVerification, SesReceipt
from email_handler.senders.machines import DAEMONS, automatic, first_keyword, is_list, is_no_reply, local_part

_ROLES = DAEMONS | {"postmaster", "abuse", "root", "daemon", "nobody", "majordomo", "listserv", "mailman"}

_LIST_SENDER = regex(r"owner-.+|.+-(?:owner|request|bounces?|return|errors)(?:[+=-].*)?")
"""Local parts of list software as envelope sender or in Sender (RFC 3834 §2, Mailman, ezmlm, Majordomo)."""


def refuse_acknowledgement(
    message: Message,
    receipt: SesReceipt,
    verification: SenderVerification,
    *,
    own_addresses: Collection[str],
    owners: Collection[str],
    thread_domain: str,
) -> str:
    """Return why *message* must not be acknowledged, "" if it may be. The reason is a constant.

    *own_addresses* are the public addresses, *owners* the private mailboxes and aliases. Neither another spelling nor a
    tag after ``+`` makes it another address.
    """
    written = verification.address or ""
    address = mailbox_key(written)
    local, domain = local_part(address), address_domain(address)
    list_senders = (receipt.envelope_sender, *(mailbox.address for mailbox in message.sender))
    suppressed = {word.strip() for word in message.header("X-Auto-Response-Suppress").lower().split(",")}
    reasons = {
        automatic(message, receipt.envelope_sender): True,
        "sender not verified": not written,
        "no address that SES can write to": not can_be_written_to(written),
        "own address": _within(domain, thread_domain)
        or _untagged(address) in {_untagged(other) for other in (*own_addresses, *owners)},
        "role address": local in _ROLES or local.startswith("bounce"),
        "no-reply": is_no_reply(local),
        "linkedin": _within(domain, "linkedin.com"),
        "list": is_list(message)
        or first_keyword(message.header("Precedence")) in ("list", "bulk")
        or any(_LIST_SENDER.fullmatch(local_part(sender)) for sender in list_senders),
        "asks for no automatic response": not suppressed.isdisjoint({"all", "autoreply", "oof"}),
    }
    return next((reason for reason, holds in reasons.items() if reason and holds), "")


def _untagged(address: str) -> str:
    return split_tag(mailbox_key(address))[0]


def _within(domain: str, parent: str) -> bool:
    return domain == parent.lower() or domain.endswith(f".{parent.lower()}")
