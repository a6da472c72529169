"""Simultaneous work on the deployed stack: nothing is lost or doubled, and an invalid job delays no other."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cloud import mailclient, receipt
from cloud.cloud import LocalCloud
from cloud.ses import Fault, Sent
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import Job
from email_handler.conversations.records import Conversation, Decision, LedgerItem, MessageRecord, SendState
from email_handler.identifiers import ArchiveKey, FunctionName, LedgerId, ReceiptId, SesId
from tests.support.builders import mail
from tests.support.records import commit, forward, message
from tests.support.table import DynamoTable

pytestmark = pytest.mark.cloud

PUBLIC, OWNER = "contact@example.com", "owner@private.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The deployed stack and its table."""

    cloud: LocalCloud
    records: DynamoTable

    def at_once(self, works: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run all of *works* in parallel, wait until the stack is idle, and return their results."""
        with ThreadPoolExecutor(len(works)) as pool:
            results = [future.result() for future in [pool.submit(work) for work in works]]
        self.cloud.settle()
        return results

    def send(self, raw: bytes, sender: str, to: str = PUBLIC) -> Callable[[], ReceiptId]:
        """Return a call that hands one message in."""
        return lambda: ReceiptId(self.cloud.send(raw, sender, [to]))

    def invoke(self, function: str, event: dict[str, Any]) -> Callable[[], Any]:
        """Return a call that invokes a function and waits for its response."""
        return lambda: self.cloud.invoke(function, event)

    def decision(self, receipt_id: ReceiptId, function: FunctionName = "inbound") -> Decision:
        """Return the finished decision about a receipt."""
        found = self.records.decision(receipt_id, function)
        assert found is not None
        assert found.done
        return found

    def conversation(self, receipt_id: ReceiptId, function: FunctionName = "inbound") -> Conversation:
        """Return the conversation of a received message."""
        name = self.decision(receipt_id, function).conversation
        found = self.records.conversation(name) if name else None
        assert found is not None
        return found

    def messages(self, conversation: Conversation) -> list[MessageRecord]:
        """Return a conversation's messages."""
        return list(self.records.messages(conversation.id))

    def sent(self, since: int) -> list[Sent]:
        """Return the messages sent after the first *since*."""
        return self.cloud.sent()[since:]

    def started(self, jane: str) -> tuple[Conversation, Sent]:
        """Let *jane* write for the first time; return her conversation and the forward."""
        before = len(self.cloud.sent())
        raw = mail(sender=jane, subject="A question", message_id=f"<{first_id(jane)}>")
        (receipt_id,) = self.at_once([self.send(raw, jane)])
        (copy,) = [sent for sent in self.sent(before) if sent.recipients == (OWNER,)]
        return self.conversation(receipt_id), copy

    def reply(self, copy: Sent, number: int) -> Callable[[], ReceiptId]:
        """Return a call that hands in the owner's reply to *copy*."""
        raw = mailclient.reply(
            Path(copy.eml).read_bytes(),
            sender=f"The Owner <{OWNER}>",
            message_id=f"reply-{number}-{copy.ses_id}@private.example",
            text=f"Reply {number}.",
        )
        return self.send(raw, OWNER, copy.sender)


@pytest.fixture(scope="module")
def stack(cloud: LocalCloud) -> Iterator[Stack]:
    """Set a short visibility time-out: a job under another worker's lease is retried in seconds, not in six minutes."""
    table = cloud.resources["Records"]
    _set_visibility(cloud, 3)
    yield Stack(cloud=cloud, records=DynamoTable(cloud.clients.dynamodb, table, lambda: datetime.now(UTC)))
    _set_visibility(cloud, 360)


def _set_visibility(cloud: LocalCloud, seconds: int) -> None:
    for queue in ("AckQueue", "ForwardQueue", "ReplyQueue"):
        cloud.clients.sqs.set_queue_attributes(
            QueueUrl=cloud.resources[queue], Attributes={"VisibilityTimeout": str(seconds)}
        )


@pytest.fixture(autouse=True)
def at_rest(stack: Stack) -> Iterator[None]:
    stack.cloud.settle()
    yield
    stack.cloud.settle()


def first_id(jane: str) -> str:
    """Return the Message-ID of a contact's first message. Its local part is unique."""
    local, _, host = jane.partition("@")
    return f"first-{host}-{local}@{host}"


def to(sent: Sequence[Sent]) -> list[str]:
    return sorted(recipient for one in sent for recipient in one.recipients)


def test_an_event_delivered_ten_times_at_once_causes_one_record_one_acknowledgement_and_one_forward(
    stack: Stack,
) -> None:
    jane, before = "jane@tenfold.example", len(stack.cloud.sent())
    raw, verdicts = receipt.take_verdicts(mail(sender=jane, message_id="<tenfold@tenfold.example>"), jane)
    accepted = receipt.Accepted(
        message_id=receipt.new_message_id(),
        at=datetime.now(UTC),
        helo="mx.tenfold.example",
        sender=jane,
        recipients=(PUBLIC,),
        raw=raw,
        verdicts=verdicts,
    )
    stored = receipt.stored(accepted)
    key = f"raw/inbound/{accepted.message_id}"
    stack.cloud.clients.s3.put_object(Bucket=stack.cloud.resources["Archive"], Key=key, Body=stored)
    event = receipt.event(accepted, stored, [PUBLIC], "arn:aws:lambda:us-east-1:000000000000:function:inbound")

    runs = stack.at_once([stack.invoke("InboundFunction", event)] * 10)

    assert not any(run.failed for run in runs)
    conversation = stack.conversation(ReceiptId(accepted.message_id))
    assert [record.receipt for record in stack.messages(conversation)] == [accepted.message_id]
    assert conversation.received == 1
    assert to(stack.sent(before)) == [jane, OWNER]


def test_a_message_delivered_twice_at_once_is_recorded_twice_and_forwarded_and_acknowledged_once(stack: Stack) -> None:
    jane, before = "jane@twice.example", len(stack.cloud.sent())
    raw = mail(sender=jane, message_id="<twice@twice.example>")

    receipts = stack.at_once([stack.send(raw, jane)] * 2)

    assert sorted(stack.decision(one).outcome for one in receipts) == [Outcome.DELIVER, Outcome.RECORD]
    assert all(stack.records.message(one, "inbound") for one in receipts)
    assert to(stack.sent(before)) == [jane, OWNER]


def test_two_simultaneous_first_messages_of_a_contact_are_both_forwarded_and_acknowledged_once(stack: Stack) -> None:
    jane, before = "jane@eager.example", len(stack.cloud.sent())
    raws = [mail(sender=jane, subject=f"Question {n}", message_id=f"<eager{n}@eager.example>") for n in range(2)]

    stack.at_once([stack.send(raw, jane) for raw in raws])

    assert to(stack.sent(before)) == [jane, OWNER, OWNER]


def test_twenty_simultaneous_messages_of_a_contact_are_all_decided_in_one_conversation(stack: Stack) -> None:
    jane = "jane@twentyfold.example"
    raws = [mail(sender=jane, message_id=f"<twenty{n}@twentyfold.example>", text=f"Number {n}.") for n in range(20)]

    receipts = stack.at_once([stack.send(raw, jane) for raw in raws])

    (conversation,) = {stack.conversation(one).id for one in receipts}
    found = stack.records.conversation(conversation)
    assert found is not None
    assert found.received == 20


def test_two_simultaneous_linkedin_namesakes_have_a_conversation_each(stack: Stack) -> None:
    sender = "messaging-digest-noreply@linkedin.com"
    raws = [
        mail(
            sender=f"Jane Raced via LinkedIn <{sender}>",
            message_id=f"<raced{thread}@linkedin.com>",
            reply_to=f"Jane Raced <{thread}@reply.linkedin.com>",
            text=f"https://www.linkedin.com/messaging/thread/2-{thread}==/",
        )
        for thread in ("abc", "xyz")
    ]

    receipts = stack.at_once([stack.send(raw, sender) for raw in raws])

    assert [stack.conversation(one).reply_address for one in receipts] == [
        "abc@reply.linkedin.com",
        "xyz@reply.linkedin.com",
    ]


def test_two_simultaneous_replies_of_the_owner_are_both_sent_and_counted(stack: Stack) -> None:
    jane = "jane@two-replies.example"
    conversation, copy = stack.started(jane)
    before = len(stack.cloud.sent())

    receipts = stack.at_once([stack.reply(copy, 1), stack.reply(copy, 2)])

    after = stack.records.conversation(conversation.id)
    assert after is not None
    assert after.sent == 2
    assert {*receipts} < {link.receipt for link in after.links}
    assert to(stack.sent(before)) == [jane, jane]


def test_an_acknowledgement_without_a_response_of_ses_is_recorded_as_sent_once_its_delivery_is_reported(
    stack: Stack,
) -> None:
    jane, before = "jane@confirmed.example", len(stack.cloud.sent())
    assert stack.cloud.ses
    stack.cloud.ses.fail_next(
        Fault(reset=True, delivered=True, only=lambda request: jane in request["Destination"]["ToAddresses"])
    )
    stack.started(jane)
    (copy,) = [sent for sent in stack.sent(before) if sent.recipients == (jane,)]
    ledger = LedgerId(copy.tags["ledger"])
    unknown = stack.records.by_id(ledger)

    stack.at_once([lambda: stack.cloud.ses_event("Delivery", copy.ses_id)])

    sent = stack.records.by_id(ledger)
    assert unknown is not None
    assert sent is not None
    assert (unknown.state, sent.state, sent.ses_id) == (SendState.UNKNOWN, SendState.SENT, copy.ses_id)
    assert to(stack.sent(before)) == [jane, OWNER]


def test_a_simultaneous_message_and_bounce_in_a_conversation_are_both_recorded(stack: Stack) -> None:
    jane = "jane@bouncing.example"
    conversation, copy = stack.started(jane)
    stack.at_once([stack.reply(copy, 1)])
    (reply,) = [sent for sent in stack.cloud.sent() if sent.recipients == (jane,) and "auto" not in sent.subject][-1:]
    before = len(stack.cloud.sent())
    again = mail(
        sender=jane, subject="Re: A question", message_id="<bouncing@bouncing.example>", in_reply_to=reply.message_id
    )

    receipt_id, _ = stack.at_once([stack.send(again, jane), lambda: stack.cloud.ses_event("Bounce", reply.ses_id)])

    after = stack.records.conversation(conversation.id)
    bounced = stack.records.by_ses_id(SesId(reply.ses_id))
    assert after is not None
    assert bounced is not None
    assert bounced.state is SendState.BOUNCED
    assert after.received == 2
    assert stack.decision(receipt_id).conversation == conversation.id
    assert [one.sender.startswith("notices@") for one in stack.sent(before)].count(True) == 1
    assert to(stack.sent(before)) == [OWNER, OWNER]


def test_a_reply_during_the_release_of_a_held_message_loses_nothing(stack: Stack) -> None:
    jane = "jane@released.example"
    conversation, copy = stack.started(jane)
    spam = mail(
        sender=jane,
        subject="Re: A question",
        message_id="<released@released.example>",
        in_reply_to=f"<{first_id(jane)}>",
        x_local_verdicts="spam=FAIL",
    )
    (held,) = stack.at_once([stack.send(spam, jane)])
    assert stack.decision(held).outcome is Outcome.HOLD
    before = len(stack.cloud.sent())
    request = {"operator": {"do": "release", "receipt": held}}

    reply_receipt, first, second = stack.at_once(
        [stack.reply(copy, 1), stack.invoke("InboundFunction", request), stack.invoke("InboundFunction", request)]
    )

    after = stack.records.conversation(conversation.id)
    assert after is not None
    assert (after.received, after.sent) == (2, 1)
    assert {held, reply_receipt} <= {link.receipt for link in after.links}
    assert not first.failed
    assert not second.failed
    assert to(stack.sent(before)) == [jane, OWNER]


@pytest.fixture
def gone(stack: Stack) -> Job:
    """Return a job whose message is no longer in the archive."""
    record = message("race-gone", archive_key=ArchiveKey("raw/inbound/race-gone"), conversation="")
    item = replace(forward("race-gone"), id=LedgerId("forward-race-gone"), conversation="")
    lost = commit("race-gone", record=record, ledger=(item,))
    stack.records.commit(replace(lost, decision=replace(lost.decision, done=True)))
    return item.job


def test_an_invalid_job_is_dead_lettered_and_delays_no_other(stack: Stack, gone: Job) -> None:
    jane, before = "jane@unhurt.example", len(stack.cloud.sent())
    future = json.dumps({**json.loads(gone.to_json()), "version": 99})
    invalid = ["{not json", future, gone.to_json()]
    url = stack.cloud.resources["ForwardQueue"]
    queue = [lambda body=body: stack.cloud.clients.sqs.send_message(QueueUrl=url, MessageBody=body) for body in invalid]

    stack.at_once([*queue, stack.send(mail(sender=jane, message_id="<unhurt@unhurt.example>"), jane)])

    assert to(stack.sent(before)) == [jane, OWNER]
    letters = _letters(stack)
    assert sorted(letters) == sorted(invalid)
    assert all(reason and attempts == "1" for reason, attempts in letters.values())
    item = stack.records.by_id(gone.ledger)
    assert isinstance(item, LedgerItem)
    assert item.state is SendState.FAILED


def _letters(stack: Stack) -> dict[str, tuple[str, str]]:
    """Receive and delete all of ForwardDeadLetters; return reason and attempts by body."""
    found: dict[str, tuple[str, str]] = {}
    queue = {"QueueUrl": stack.cloud.resources["ForwardDeadLetters"]}
    sqs = stack.cloud.clients.sqs
    while letters := sqs.receive_message(**queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
        "Messages"
    ):
        for letter in letters:
            attributes = letter["MessageAttributes"]
            found[letter["Body"]] = attributes["Reason"]["StringValue"], attributes["Attempts"]["StringValue"]
            sqs.delete_message(**queue, ReceiptHandle=letter["ReceiptHandle"])
    return found
