"""Bounces and complaints, as events from SES and as messages."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import feedback_key
from email_handler.conversations.records import LedgerItem, SendState
from email_handler.errors import MalformedEvent, RecordChanged
from email_handler.identifiers import ConversationId, EmailAddress
from email_handler.usecases import contact_message
from email_handler.usecases.conditions import undelivered
from email_handler.usecases.feedback import record_feedback
from tests.support.builders import mail
from tests.support.world import OWNER, THREAD, World, read

JANE = EmailAddress("jane@customer.example")


@pytest.fixture
def world() -> World:
    world = World()
    world.arrive(mail())
    world.run()
    return world


def item(world: World, kind: JobKind) -> LedgerItem:
    return next(item for item in world.records.ledger.values() if item.kind is kind)


def bounce(ses_id: str, recipient: str = JANE, **changes: Any) -> dict[str, Any]:
    return {
        "eventType": "Bounce",
        "mail": {"messageId": ses_id},
        "bounce": {
            "bounceType": "Permanent",
            "bouncedRecipients": [{"emailAddress": recipient, "status": "5.1.1"}],
            **changes,
        },
    }


def reply(world: World) -> LedgerItem:
    conversation = next(iter(world.records.conversations.values()))
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    world.arrive(mail(sender=OWNER, to=thread, subject="Re: Hello", message_id="<o@private.example>"), to=thread)
    world.run()
    return item(world, JobKind.REPLY)


def test_a_bounced_acknowledgement_is_recorded_in_its_conversation_and_stops_acknowledgements(world: World) -> None:
    sent = item(world, JobKind.ACKNOWLEDGEMENT)
    decision = record_feedback(bounce(sent.ses_id), world.context)

    assert decision.receipt == f"feedback-{sent.ses_id}-bounce-{hashlib.sha256(JANE.encode()).hexdigest()[:12]}"
    assert json.loads(world.archive.objects[feedback_key(decision.receipt)]) == bounce(sent.ses_id)
    assert (decision.outcome, decision.conversation) == (Outcome.RECORD, sent.conversation)
    assert item(world, JobKind.ACKNOWLEDGEMENT).state is SendState.BOUNCED
    assert world.records.contacts[JANE].unreachable
    assert world.run() == []


def test_the_same_event_twice_is_recorded_once(world: World) -> None:
    sent = item(world, JobKind.ACKNOWLEDGEMENT)
    for _ in range(2):
        record_feedback(bounce(sent.ses_id), world.context)

    records = [m for m in world.records.message_records.values() if m.feedback]
    assert len(records) == 1
    assert len(world.events.details("Delivery Failed")) == 1


def arrive_as_a_message(world: World, sender: str = "MAILER-DAEMON@customer.example") -> None:
    raw = mail(
        sender=sender,
        subject="Undelivered Mail Returned to Sender",
        text=f"<{JANE}>: 550 5.1.1 no such user\r\n",
        in_reply_to=f"<{item(world, JobKind.ACKNOWLEDGEMENT).ses_id}@email.amazonses.com>",
    )
    world.arrive(raw, envelope_sender="")


@pytest.mark.parametrize("sender", ["MAILER-DAEMON@customer.example", OWNER])
def test_a_bounce_that_comes_as_a_message_makes_the_contact_that_it_names_unreachable(
    world: World, sender: str
) -> None:
    arrive_as_a_message(world, sender)

    assert world.records.contacts[JANE].unreachable


def test_a_bounce_stays_one_if_a_mistake_hides_whether_the_owner_wrote_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(contact_message, "_owner_quotes_feedback", fails)
    arrive_as_a_message(world)

    assert world.records.contacts[JANE].unreachable


def test_the_owner_gets_one_notice_that_their_reply_bounced(world: World) -> None:
    sent = reply(world)
    record_feedback(bounce(sent.ses_id), world.context)
    world.arrive(
        mail(
            sender="MAILER-DAEMON@customer.example",
            subject="Undelivered Mail Returned to Sender",
            text=f"<{JANE}>: 550 5.1.1 no such user\r\n\r\nMessage-ID: <{sent.ses_id}@email.amazonses.com>\r\n",
            in_reply_to=f"<{sent.ses_id}@email.amazonses.com>",
            message_id="<b@customer.example>",
            auto_submitted="auto-replied",
        ),
        envelope_sender="",
    )

    assert [one.recipients for one in world.run()] == [(OWNER,)]


def test_a_transient_bounce_changes_nothing_but_the_record(world: World) -> None:
    sent = item(world, JobKind.ACKNOWLEDGEMENT)
    record_feedback(bounce(sent.ses_id, bounceType="Transient"), world.context)

    assert item(world, JobKind.ACKNOWLEDGEMENT).state is SendState.SENT
    assert not world.records.contacts[JANE].unreachable


@pytest.mark.parametrize("sender", [JANE, "Jane@Customer.example"])
def test_a_complaint_stops_acknowledgements(sender: str) -> None:
    world = World()
    world.arrive(mail(sender=sender))
    world.run()
    sent = item(world, JobKind.ACKNOWLEDGEMENT)
    event = {
        "eventType": "Complaint",
        "mail": {"messageId": sent.ses_id},
        "complaint": {"complainedRecipients": [{"emailAddress": JANE}]},
    }
    record_feedback(event, world.context)

    assert world.records.contacts[JANE].unreachable


def test_the_event_about_a_bounced_forward_does_not_contain_the_mailbox(world: World) -> None:
    record_feedback(bounce(item(world, JobKind.FORWARD).ses_id, recipient=OWNER), world.context)

    (detail,) = world.events.details("Delivery Failed")
    assert OWNER not in str(detail)
    assert item(world, JobKind.FORWARD).state is SendState.BOUNCED


def test_feedback_on_a_send_that_is_not_yet_recorded_is_retried(world: World) -> None:
    with pytest.raises(RecordChanged):
        record_feedback(bounce("0100-not-recorded-yet"), world.context)


TOO_LARGE: dict[str, Any] = {
    "bouncedRecipients": [{"emailAddress": OWNER, "status": "5.3.4", "diagnosticCode": "552 5.3.4 too big"}]
}


def with_a_file() -> World:
    world = World()
    world.arrive(mail(text="See the plan.\r\n", attachments=[("plan.bin", "application/x-plan", b"\x00plan" * 99)]))
    world.run()
    return world


def bounce_forward(world: World, number: int, **bounce_fields: Any) -> list[LedgerItem]:
    """Let the forward at index *number* bounce, run the senders, and return the ledger's forwards."""
    forwards = [i for i in world.records.ledger.values() if i.kind is JobKind.FORWARD]
    record_feedback(bounce(forwards[number].ses_id, recipient=OWNER, **bounce_fields), world.context)
    world.run()
    return [i for i in world.records.ledger.values() if i.kind is JobKind.FORWARD]


@pytest.mark.parametrize(
    "fields",
    [
        TOO_LARGE,
        {"bounceType": "Transient", "bounceSubType": "AttachmentRejected"},
        {"bounceType": "Transient", "bounceSubType": "MessageTooLarge", "bouncedRecipients": [{"emailAddress": OWNER}]},
        {
            "bouncedRecipients": [
                {"emailAddress": OWNER, "status": "5.7.0", "diagnosticCode": "552 its content presents"}
            ]
        },
    ],
)
def test_a_forward_bounced_for_content_or_size_is_sent_again_as_text_and_a_list_of_files(
    fields: dict[str, Any],
) -> None:
    world = with_a_file()
    first, second = bounce_forward(world, 0, **fields)

    assert (first.state, second.state, second.recipients) == (SendState.BOUNCED, SendState.SENT, (OWNER,))
    sent = read(world.mailer.sent[-1])
    assert "See the plan." in sent.get_content()
    assert "plan.bin" in sent.get_content()
    assert not list(sent.iter_attachments())
    assert len(world.events.details("Delivery Failed")) == 1


def test_a_text_only_forward_that_bounces_too_is_not_sent_a_third_time() -> None:
    world = with_a_file()
    bounce_forward(world, 0, **TOO_LARGE)
    forwards = bounce_forward(world, 1, **TOO_LARGE)

    assert [item.state for item in forwards] == [SendState.BOUNCED, SendState.BOUNCED]
    assert len(world.events.details("Delivery Failed")) == 2


def test_the_same_bounce_reported_twice_causes_one_more_forward() -> None:
    world = with_a_file()
    bounce_forward(world, 0, **TOO_LARGE)
    dsn = mail(
        sender="MAILER-DAEMON@private.example",
        subject="Undelivered Mail Returned to Sender",
        text=f"<{OWNER}>: 552 5.3.4 message too large\r\n",
        in_reply_to=f"<{item(world, JobKind.FORWARD).ses_id}@email.amazonses.com>",
        message_id="<b@private.example>",
    )
    conversation = next(iter(world.records.conversations.values()))
    world.arrive(dsn, to=f"{conversation.id}.{conversation.token}@{THREAD}", envelope_sender="")

    assert world.run() == []


def test_a_forward_bounced_for_an_unknown_or_full_mailbox_or_as_spam_is_not_sent_again() -> None:
    for status, words in (
        ("5.1.1", "no such user"),
        ("5.2.2", "mailbox size limit exceeded"),
        ("5.7.1", "spam content"),
    ):
        world = with_a_file()
        recipients = [{"emailAddress": OWNER, "status": status, "diagnosticCode": f"550 {status} {words}"}]

        assert [i.state for i in bounce_forward(world, 0, bouncedRecipients=recipients)] == [SendState.BOUNCED]


def test_a_bounced_forward_is_reported_to_the_operator_for_a_week(world: World) -> None:
    record_feedback(bounce(item(world, JobKind.FORWARD).ses_id, OWNER), world.context)
    (line,) = undelivered(world.context)

    assert line.startswith("1 email")
    assert OWNER not in line
    world.now += timedelta(days=8)
    assert undelivered(world.context) == ()


def test_a_contacts_bounce_and_a_forward_sent_again_as_text_are_not_reported(world: World) -> None:
    record_feedback(bounce(item(world, JobKind.ACKNOWLEDGEMENT).ses_id), world.context)
    too_large = [{"emailAddress": OWNER, "status": "5.3.4"}]
    record_feedback(bounce(item(world, JobKind.FORWARD).ses_id, OWNER, bouncedRecipients=too_large), world.context)
    (as_text,) = world.run()

    assert undelivered(world.context) == ()
    record_feedback(bounce(as_text.ses_id, OWNER), world.context)
    assert len(undelivered(world.context)) == 1


def test_an_acknowledgement_bounced_for_content_is_not_sent_again(world: World) -> None:
    sent = item(world, JobKind.ACKNOWLEDGEMENT)
    record_feedback(bounce(sent.ses_id, **TOO_LARGE), world.context)

    assert world.run() == []


@pytest.mark.parametrize("detail", [{}, {"eventType": "Open", "mail": {"messageId": "x"}}, {"eventType": "Bounce"}])
def test_an_event_that_is_not_feedback_is_refused(world: World, detail: dict[str, Any]) -> None:
    with pytest.raises(MalformedEvent):
        record_feedback(detail, world.context)


def test_a_bounce_of_no_known_send_is_forwarded_and_not_acknowledged(world: World) -> None:
    decision = world.arrive(
        mail(
            sender="MAILER-DAEMON@other.example",
            subject="Undelivered Mail Returned to Sender",
            text="<kim@other.example>: 550 5.1.1 no such user\r\n",
            message_id="<b@other.example>",
            auto_submitted="auto-replied",
        ),
        envelope_sender="",
    )

    assert decision.outcome is Outcome.DELIVER
    assert [one.recipients for one in world.run()] == [(OWNER,)]
    assert ConversationId(decision.conversation) in world.records.conversations
