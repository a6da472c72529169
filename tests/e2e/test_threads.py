"""Ten exchanges through the deployed stack, with each email client on either side: one thread in each mailbox."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloud.cloud import LocalCloud
from cloud.mailclient import read
from cloud.ses import Sent
from email_handler.identifiers import ConversationId
from operations.connection import Connection, connect
from tests.support.builders import mail
from tests.support.clients import (
    CLIENTS,
    Client,
    Draft,
    MailboxMessage,
    in_reply_to_is_known,
    one_thread_in_apple_mail,
    one_thread_in_gmail,
    one_thread_in_outlook,
)

pytestmark = pytest.mark.cloud

PUBLIC = "contact@example.com"
OWNER = "owner@private.example"
EXCHANGES = 10
AT_ONCE = 3  # conversations; each waits most of the time


@dataclass
class Side:
    """One person: their client, and their mailbox with received messages and sent copies."""

    address: str
    client: Client
    mailbox: list[MailboxMessage] = field(default_factory=list)

    def reply(self, received: bytes, number: int) -> tuple[bytes, str]:
        """Return the reply to *received* and its recipient."""
        self.mailbox.append(MailboxMessage.of(received, ours=True))
        name = self.address.partition("@")[0]  # the owner's address would be replaced, with a notice to the owner
        draft = Draft(sender=self.address, message_id=f"{number}.{self.address}", text=f"This is {name}, no. {number}.")
        raw = self.client(received, draft)
        self.mailbox.append(MailboxMessage.of(raw, ours=False))
        return raw, str(read(received)["From"].addresses[0].addr_spec)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The cloud as a mail server sees it."""

    cloud: LocalCloud

    def exchange(self, raw: bytes, sender: str, to: str, awaited: Callable[[Sent], bool]) -> bytes:
        """Hand *raw* in; return the first message sent after it that *awaited* accepts, as delivered."""
        seen = len(self.cloud.sent())
        self.cloud.send(raw, sender, [to])
        sent = self.cloud.wait_until(
            lambda: next((one for one in self.cloud.sent(after=seen) if awaited(one)), None),
            120,
            "the message that is sent for it",
        )
        assert sent is not None
        return Path(sent.eml).read_bytes()


def converse(cloud: LocalCloud, contact: Side, owner: Side) -> None:
    """Let the two exchange messages. Each message that is sent is awaited, so that only one is in transit."""
    delivery = Delivery(cloud=cloud)
    topic = f"Plans for {contact.address.partition('@')[2]}"

    def for_owner(sent: Sent) -> bool:
        return OWNER in sent.recipients and topic in sent.subject

    def for_contact(sent: Sent) -> bool:
        return contact.address in sent.recipients

    raw = mail(sender=contact.address, subject=topic, message_id=f"<0.{contact.address}>", text="May we talk?\r\n")
    contact.mailbox.append(MailboxMessage.of(raw, ours=False))
    forward = delivery.exchange(raw, contact.address, PUBLIC, for_owner)
    for number in range(1, EXCHANGES + 1):
        raw, thread = owner.reply(forward, number)
        reply = delivery.exchange(
            raw, OWNER, thread, lambda sent: for_contact(sent) and "Auto-Submitted" not in head(sent)
        )
        raw, public = contact.reply(reply, number)
        assert public == PUBLIC
        forward = delivery.exchange(raw, contact.address, PUBLIC, for_owner)
    owner.mailbox.append(MailboxMessage.of(forward, ours=True))


def head(sent: Sent) -> str:
    return Path(sent.eml).read_bytes().partition(b"\r\n\r\n")[0].decode()


def test_ten_exchanges_with_each_client_on_either_side_are_one_conversation_and_one_thread_per_mailbox(
    cloud: LocalCloud,
) -> None:
    names = list(CLIENTS)
    pairs = [
        (Side(f"jane@{contacts.replace('_', '-')}.example", CLIENTS[contacts]), Side(OWNER, CLIENTS[owners]))
        for contacts, owners in zip(names, names[1:] + names[:1], strict=True)
    ]
    cloud.settle()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for ended in [pool.submit(converse, cloud, *pair) for pair in pairs]:
            ended.result()
    cloud.settle()

    connection: Connection = connect(endpoint=cloud.endpoint)
    for contact, owner in pairs:
        found = list(connection.records.find("contact", contact.address))
        (conversation,) = [connection.records.conversation(ConversationId(c.id)) for c in found]  # type: ignore[union-attr] # of conversations
        assert conversation is not None
        assert (conversation.received, conversation.sent) == (EXCHANGES + 1, EXCHANGES)
        for side in (contact, owner):
            assert sum(one.ours for one in side.mailbox) == EXCHANGES + (side is owner)
            assert one_thread_in_gmail(side.mailbox)
            assert one_thread_in_outlook(side.mailbox)
            assert one_thread_in_apple_mail(side.mailbox)
            assert in_reply_to_is_known(side.mailbox)
