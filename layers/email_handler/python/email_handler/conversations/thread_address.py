"""Thread addresses: ``<conversation id>.<token>@thread.<domain>``, where the owner's replies go."""

import hmac
from dataclasses import dataclass

from email_handler.conversations.records import Conversation
from email_handler.identifiers import ConversationId, EmailAddress
from email_handler.mail.addresses import split_address

TOKEN_LENGTH = 10  # characters, 50 bits: cannot be guessed at the rate at which SES accepts messages


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadTarget:
    """What the local part of a thread address claims. Only the token, once compared, makes it true."""

    conversation: ConversationId
    token: str
    everyone: bool  # ``+all``: the reply goes to all participants


def thread_address(conversation: Conversation, thread_domain: str, *, everyone: bool = False) -> EmailAddress:
    """Return ``<id>.<token>@<thread_domain>``, with ``+all`` for *everyone*."""
    tag = "+all" if everyone else ""
    return EmailAddress(f"{conversation.id}.{conversation.token}{tag}@{thread_domain}")


def read_thread_address(address: str, thread_domain: str) -> ThreadTarget | None:
    """Return what *address* claims, or None if it is not a thread address of *thread_domain*."""
    local, domain = split_address(address.lower())
    base, _, tag = local.partition("+")
    conversation, _, token = base.rpartition(".")
    if domain != thread_domain.lower() or not conversation or len(token) != TOKEN_LENGTH:
        return None
    return ThreadTarget(conversation=ConversationId(conversation), token=token, everyone=tag == "all")


def token_matches(target: ThreadTarget | None, conversation: Conversation | None) -> bool:
    """Return whether *target*'s token is the conversation's. Constant time: the token is a secret."""
    return (
        target is not None
        and conversation is not None
        and target.conversation == conversation.id
        and hmac.compare_digest(target.token.encode(), conversation.token.encode())
    )
