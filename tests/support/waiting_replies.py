"""Replies that wait, on the deployed stack."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from cloud.cloud import LocalCloud
from email_handler.conversations.records import Conversation, LedgerItem, SendState
from email_handler.conversations.thread_address import thread_address
from email_handler.identifiers import LedgerId
from operations.connection import Connection
from tests.support.builders import mail
from tests.support.operator import OWNER

DOMAIN = "thread.example.com"


@contextmanager
def delayed_replies(cloud: LocalCloud) -> Iterator[None]:
    """Let replies wait for fifteen minutes while the context lasts."""
    functions, name = cloud.clients.lambda_, cloud.resources["ReplyFunction"]
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]

    def put(delay: str) -> None:
        environment = {"Variables": variables | {"REPLY_DELAY_SECONDS": delay}}
        functions.update_function_configuration(FunctionName=name, Environment=environment)

    put("900")
    try:
        yield
    finally:
        put(variables["REPLY_DELAY_SECONDS"])


def write_back(cloud: LocalCloud, conversation: Conversation, tag: str = "", *, number: int = 1) -> str:
    """Let the owner write to the conversation, with *tag*, and return the receipt."""
    to = thread_address(conversation, DOMAIN, tag)
    raw = mail(sender=OWNER, to=to, message_id=f"<{conversation.id}-{tag}-{number}@private.example>", text="My answer")
    return cloud.send(raw, OWNER, [to])


def waiting(cloud: LocalCloud, connection: Connection, conversation: Conversation) -> LedgerItem:
    """Let the owner reply, and return the reply as it waits."""
    receipt = write_back(cloud, conversation)
    known = cloud.wait_until(lambda: _replies(connection, conversation), 60, "the reply's decision")
    cloud.wait_until(lambda: not cloud.unfinished()["invocations"], 60, "the reply's job")
    (send,) = known
    item = connection.ledger.by_id(send)
    assert item is not None
    assert (item.source, item.state, item.due - item.queued_at) == (receipt, SendState.QUEUED, timedelta(minutes=15))
    return item


def deliver_now(cloud: LocalCloud, item: LedgerItem) -> None:
    """Put the job of *item* in the place of the one that SQS delays."""
    url = cloud.resources["ReplyQueue"]
    cloud.clients.sqs.purge_queue(QueueUrl=url)
    cloud.clients.sqs.send_message(QueueUrl=url, MessageBody=item.job.to_json())


def _replies(connection: Connection, conversation: Conversation) -> tuple[LedgerId, ...]:
    found = connection.records.conversation(conversation.id)
    return found.replies if found else ()
