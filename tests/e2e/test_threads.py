"""Ten exchanges through the deployed stack with every client on either side: SMTP in, mail out, one thread on each."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cli.connection import Connection, connect
from cloud.cloud import LocalCloud
from cloud.mailclient import read
from cloud.ses import Sent
from email_handler.identifiers import ConversationId
from tests.support.builders import mail
from tests.support.clients import (
    CLIENTS,
    Answer,
    Mail,
    Written,
    named_ids_are_there,
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
    """One person: their client, and their mailbox with what came and what they sent."""

    address: str
    client: Answer
    mailbox: list[Mail] = field(default_factory=list)

    def answers(self, received: bytes, number: int) -> tuple[bytes, str]:
        """Return the answer to *received*, and where it goes."""
        self.mailbox.append(Mail.of(received, ours=True))
        written = Written(
            sender=self.address, message_id=f"{number}.{self.address}", text=f"This is {self.address}, number {number}."
        )
        raw = self.client(received, written)
        self.mailbox.append(Mail.of(raw, ours=False))
        return raw, str(read(received)["From"].addresses[0].addr_spec)


@dataclass(frozen=True, kw_only=True)
class Post:
    """The cloud as a postman sees it."""

    cloud: LocalCloud

    def carries(self, raw: bytes, sender: str, to: str, awaited: Callable[[Sent], bool]) -> bytes:
        """Hand *raw* in and return the mail that comes out for it, as it is delivered."""
        seen = len(self.cloud.sent())
        self.cloud.send(raw, sender, [to])
        sent = self.cloud.wait_until(
            lambda: next((one for one in self.cloud.sent(after=seen) if awaited(one)), None), 120, "what a mail causes"
        )
        assert sent is not None
        return Path(sent.eml).read_bytes()


def converse(cloud: LocalCloud, contact: Side, owner: Side) -> None:
    """Let the two exchange mail; each mail that leaves is awaited, so only one is under way at a time."""
    post = Post(cloud=cloud)
    topic = f"Plans for {contact.address.partition('@')[2]}"

    def for_owner(sent: Sent) -> bool:
        return OWNER in sent.recipients and topic in sent.subject

    def for_contact(sent: Sent) -> bool:
        return contact.address in sent.recipients

    raw = mail(sender=contact.address, subject=topic, message_id=f"<0.{contact.address}>", text="May we talk?\r\n")
    contact.mailbox.append(Mail.of(raw, ours=False))
    forward = post.carries(raw, contact.address, PUBLIC, for_owner)
    for number in range(1, EXCHANGES + 1):
        raw, thread = owner.answers(forward, number)
        answer = post.carries(raw, OWNER, thread, lambda sent: for_contact(sent) and "Auto-Submitted" not in head(sent))
        raw, public = contact.answers(answer, number)
        assert public == PUBLIC
        forward = post.carries(raw, contact.address, PUBLIC, for_owner)
    owner.mailbox.append(Mail.of(forward, ours=True))


def head(sent: Sent) -> str:
    return Path(sent.eml).read_bytes().partition(b"\r\n\r\n")[0].decode()


def test_ten_exchanges_with_each_client_on_either_side_are_one_conversation_and_one_thread_each(
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
            assert named_ids_are_there(side.mailbox)
