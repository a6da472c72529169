"""The owner writes first, and a colleague gets a copy of a reply: on the deployed stack, from outside."""

from dataclasses import replace
from pathlib import Path

import pytest

from cloud import mailclient
from cloud.cloud import LocalCloud
from cloud.ses import Sent
from email_handler.conversations.records import Conversation, LedgerItem, SendState, Status
from email_handler.conversations.thread_address import thread_address
from email_handler.identifiers import EmailAddress, ReceiptId
from operations.connection import Connection, connect
from tests.support.builders import mail
from tests.support.records import commit

pytestmark = pytest.mark.cloud

OWNER, COLLEAGUE = "owner@private.example", EmailAddress("colleague@private.example")
PUBLIC, THREAD = "contact@example.com", "thread.example.com"
ADA = "ada@engines.example"


@pytest.fixture(scope="module")
def connection(cloud: LocalCloud) -> Connection:
    return connect(endpoint=cloud.endpoint)


def hand_in(cloud: LocalCloud, raw: bytes, sender: str, to: str) -> list[Sent]:
    """Hand *raw* in and return what is sent until the stack is idle."""
    cloud.settle()
    before = len(cloud.sent())
    cloud.send(raw, sender, [to])
    cloud.wait_until(lambda: len(cloud.sent()) > before, 60, "a message that is sent for it")
    cloud.settle()
    return cloud.sent()[before:]


def raw_of(sent: Sent) -> bytes:
    return Path(sent.eml).read_bytes()


def to(sent: list[Sent], address: str) -> Sent:
    (one,) = [found for found in sent if found.recipients == (address,)]
    return one


@pytest.fixture(scope="module")
def begun(cloud: LocalCloud) -> list[Sent]:
    """Return what is sent after the owner has written to Ada first."""
    starting = f"to.ada=engines.example@{THREAD}"
    raw = mail(
        sender=OWNER, to=starting, subject="Your engine", text="May I see it?", message_id="<first@private.example>"
    )
    return hand_in(cloud, raw, OWNER, starting)


@pytest.fixture(scope="module")
def conversation(connection: Connection, begun: list[Sent]) -> Conversation:
    assert begun
    (found,) = [one for one in connection.records.find("contact", ADA) if isinstance(one, Conversation)]
    stored = connection.records.conversation(found.id)
    assert stored is not None
    return stored


def test_the_contact_gets_the_owners_first_message_from_the_public_address(
    begun: list[Sent], conversation: Conversation, connection: Connection
) -> None:
    first = to(begun, ADA)
    contact = connection.operator.contact(ADA)

    assert (first.sender, first.subject) == (PUBLIC, "Your engine")
    assert b"private.example" not in raw_of(first)
    assert (conversation.status, conversation.sent) == (Status.ANSWERED, 1)
    assert contact is not None
    assert contact.written_to


def test_the_owner_gets_one_line_and_the_contacts_reply_joins(
    cloud: LocalCloud, begun: list[Sent], conversation: Conversation, connection: Connection
) -> None:
    line = to(begun, OWNER)
    assert line.sender == thread_address(conversation, THREAD)
    assert f"Sent to {ADA} as the start of a conversation" in mailclient.body(raw_of(line))

    raw = mailclient.reply(raw_of(to(begun, ADA)), sender=f"Ada <{ADA}>", message_id="ada@engines.example", text="Do.")
    (forward,) = hand_in(cloud, raw, ADA, PUBLIC)

    assert (forward.recipients, forward.sender) == ((OWNER,), line.sender)
    after = connection.records.conversation(conversation.id)
    assert after is not None
    assert (after.status, after.received) == (Status.WAITING, 1)


def test_a_colleague_who_shares_the_conversation_gets_a_copy_of_the_reply(
    cloud: LocalCloud, conversation: Conversation, connection: Connection
) -> None:
    before = connection.records.conversation(conversation.id)
    assert before is not None
    shared = replace(before, mailboxes=(*before.mailboxes, COLLEAGUE))
    made = commit("shared with a colleague", conversation=shared)
    connection.records.commit(replace(made, decision=replace(made.decision, done=True)))
    address = thread_address(shared, THREAD)
    raw = mail(
        sender=OWNER,
        to=address,
        subject="Re: Your engine",
        text="On Tuesday.",
        message_id="<second@private.example>",
        attachments=[("plan.txt", "text/plain", b"Cogs")],
    )
    sent = hand_in(cloud, raw, OWNER, address)
    copy = to(sent, COLLEAGUE)
    message = mailclient.read(raw_of(copy))
    ended = [connection.ledger.by_id(copied) for copied in _reply_of(connection, conversation).copies]

    assert {one.recipients for one in sent} == {(ADA,), (COLLEAGUE,)}
    assert copy.sender == address
    assert "On Tuesday." in mailclient.body(raw_of(copy))
    assert f"<{OWNER}> on " in mailclient.body(raw_of(copy))
    assert [part.get_filename() for part in message.iter_attachments()] == ["plan.txt"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert [item.state for item in ended if item] == [SendState.SENT]


def _reply_of(connection: Connection, conversation: Conversation) -> LedgerItem:
    """Return the send of the owner's latest reply."""
    latest = [one for one in connection.records.messages(conversation.id) if one.function == "reply"][-1]
    decision = connection.records.decision(ReceiptId(latest.receipt), "reply")
    assert decision is not None
    item = connection.ledger.by_id(decision.jobs[0].ledger)
    assert item is not None
    return item
