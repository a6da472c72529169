"""Thread addresses: ``<conversation id>.<token>@thread.<domain>``, where the owner's replies and commands go; and starting
addresses, ``to.<contact>@thread.<domain>`` (see :mod:`starting_address`)."""

import hmac

from email_handler.conversations.commands import EVERYONE
from email_handler.conversations.records import Conversation, MessageRecord
from email_handler.identifiers import ConversationId, EmailAddress
from email_handler.mail.addresses import split_address
from email_handler.values import dataclass

TOKEN_LENGTH = 10  # characters, 50 bits: cannot be guessed at the rate at which SES accepts messages
STARTING = "to."
"""Begins a starting address; no id of a conversation or a receipt does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadTarget:
    """What the local part of a thread address claims. Only the token, once compared, makes it true."""

    conversation: ConversationId  # or the receipt of a held message; of a starting address, all before ``@``
    token: str
    tag: str = ""  # ``all``, or a command's verb

    @property
    def everyone(self) -> bool:
        """Return whether the reply goes to all participants."""
        return self.tag == EVERYONE

    @property
    def starts(self) -> bool:
        """Return whether it names a contact to write to first, and no conversation."""
        return self.conversation.startswith(STARTING)


def thread_address(conversation: Conversation, thread_domain: str, tag: str = "") -> EmailAddress:
    """Return ``<id>.<token>@<thread_domain>``, with ``+<tag>`` if there is one."""
    return EmailAddress(f"{conversation.id}.{conversation.token}{tag and f'+{tag}'}@{thread_domain}")


def held_address(receipt: str, token: str, thread_domain: str, tag: str) -> EmailAddress:
    """Return the address for a command about the held message *receipt*. SES's ids leave it within 64 characters before
    ``@``."""
    return EmailAddress(f"{receipt}.{token}+{tag}@{thread_domain}")


def read_thread_address(address: str, thread_domain: str) -> ThreadTarget | None:
    """Return what *address* claims, or None if it is neither a thread address nor a starting address of
    *thread_domain*. A starting address has no tag: what it names may hold a ``+``."""
    local, domain = split_address(address.lower())
    if domain == thread_domain.lower() and local.startswith(STARTING):
        return ThreadTarget(conversation=ConversationId(local), token="")
    base, _, tag = local.partition("+")
    conversation, _, token = base.rpartition(".")
    if domain != thread_domain.lower() or not conversation or len(token) != TOKEN_LENGTH:
        return None
    return ThreadTarget(conversation=ConversationId(conversation), token=token, tag=tag)


def token_matches(target: ThreadTarget | None, named: Conversation | MessageRecord | None) -> bool:
    """Return whether *target*'s token is that of what it names. Constant time: the token is a secret."""
    if target is None or named is None or not named.token:
        return False
    id_ = named.id if isinstance(named, Conversation) else named.receipt.lower()
    return target.conversation == id_ and hmac.compare_digest(target.token.encode(), named.token.encode())
