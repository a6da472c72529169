"""What the owner can ask for by mail: links that open a new message, with address and subject filled in."""

from urllib.parse import quote

from email_handler.conversations.commands import PREFILLED, Verb, files_of
from email_handler.conversations.records import Conversation
from email_handler.conversations.thread_address import STARTING, held_address, thread_address
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.outgoing.pieces import Action
from email_handler.senders.linkedin import is_linkedins


def conversation_actions(conversation: Conversation, thread_domain: str) -> tuple[Action, ...]:
    """Return what can be done about *conversation*: only a verified sender can be blocked, by an address of their own."""
    verbs = {Verb.CLOSE: "Close", Verb.SNOOZE: "Snooze", Verb.SPAM: "Spam", Verb.BLOCK: "Block sender"}
    if not (conversation.verified and conversation.contact) or is_linkedins(conversation.contact):
        del verbs[Verb.BLOCK]
    return tuple(
        _action(label, thread_address(conversation, thread_domain, verb), verb) for verb, label in verbs.items()
    )


def cancel_action(conversation: Conversation, thread_domain: str) -> Action:
    """Return how to keep those of the owner's emails in *conversation* from leaving that still wait."""
    return _action("Cancel", thread_address(conversation, thread_domain, Verb.CANCEL), Verb.CANCEL)


def start_action(thread_domain: str) -> Action:
    """Return how to write to another address of a contact's first: the owner puts it in place of ``NAME=DOMAIN``."""
    return Action("Try another address", f"mailto:{STARTING}NAME=DOMAIN@{thread_domain}")


def files_action(conversation: Conversation, receipt: ReceiptId, thread_domain: str) -> Action:
    """Return how to ask for the files that were left out of the message *receipt* of *conversation*."""
    asked = files_of(receipt)
    return _action("Send the files", thread_address(conversation, thread_domain, asked), asked)


def held_actions(receipt: str, token: str, thread_domain: str) -> tuple[Action, ...]:
    """Return what can be done about the held message *receipt*."""
    verbs = {Verb.RELEASE: "Release", Verb.CONFIRM: "Keep it held"}
    return tuple(
        _action(label, held_address(receipt, token, thread_domain, verb), verb) for verb, label in verbs.items()
    )


def _action(label: str, address: EmailAddress, asked: str) -> Action:
    subject = f"email-handler: {asked}"
    return Action(label, f"mailto:{quote(address, safe='@+.')}?subject={quote(subject)}&body={quote(PREFILLED)}")
