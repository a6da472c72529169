"""Bounces and complaints, as events from SES and as messages."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind, SendResult
from email_handler.conversations.keys import feedback_key, receipt_of
from email_handler.conversations.records import Decision, LedgerItem, SendState
from email_handler.errors import (
    MalformedEvent,
    MessageRefused,
    RecordChanged,
    RecordsUnavailable,
    RetryLater,
    SendingThrottled,
    SendOutcomeUnknown,
)
from email_handler.identifiers import ConversationId, EmailAddress, LedgerId, ReceiptId
from email_handler.usecases import contact_message
from email_handler.usecases.conditions import undelivered
from email_handler.usecases.feedback import WAITS_FOR, Unrecorded, record_feedback, take_up_feedback
from email_handler.usecases.retries import COPIES
from email_handler.usecases.send_forward import send_forward
from tests.support.builders import mail
from tests.support.world import OWNER, THREAD, World, read

JANE = EmailAddress("jane@customer.example")


BOTH = pytest.mark.parametrize("kind", [JobKind.FORWARD, JobKind.ACKNOWLEDGEMENT])


@pytest.fixture
def world() -> World:
    world = World()
    world.arrive(mail())
    world.run()
    return world


def item(world: World, kind: JobKind) -> LedgerItem:
    return next(item for item in world.records.ledger.values() if item.kind is kind)


def recorded(detail: dict[str, Any], world: World) -> Decision:
    """Record *detail*, which leaves a record."""
    decision = record_feedback(detail, world.context)
    assert isinstance(decision, Decision)
    return decision


def about(send: LedgerItem, ses_id: str, detail: dict[str, Any]) -> dict[str, Any]:
    """Return SES's event *detail* as one about the copy *ses_id* of *send*."""
    return detail | {"mail": {"messageId": ses_id, "tags": {"ledger": [send.id]}}}


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
    decision = recorded(bounce(sent.ses_id, feedbackId="0100-1"), world)

    unique = hashlib.sha256(f"0100-1\n{JANE}".encode()).hexdigest()[:12]
    assert decision.receipt == f"feedback-{sent.ses_id}-bounce-{unique}"
    assert json.loads(world.archive.objects[feedback_key(decision.receipt)]) == bounce(sent.ses_id, feedbackId="0100-1")
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


def test_a_hard_bounce_after_a_soft_one_counts(world: World) -> None:
    sent = item(world, JobKind.ACKNOWLEDGEMENT)
    record_feedback(bounce(sent.ses_id, bounceType="Transient", feedbackId="0100-1"), world.context)
    record_feedback(bounce(sent.ses_id, feedbackId="0100-2"), world.context)

    assert item(world, JobKind.ACKNOWLEDGEMENT).state is SendState.BOUNCED
    assert world.records.contacts[JANE].unreachable


def test_feedback_on_a_send_that_is_not_yet_recorded_waits_and_is_taken_up(world: World) -> None:
    detail = bounce("0100-not-recorded-yet")

    assert record_feedback(detail, world.context) is Unrecorded.WAITS
    (key,) = (key for key in world.archive.objects if key.startswith("raw/feedback/"))
    sent = item(world, JobKind.FORWARD)
    world.records.references["0100-not-recorded-yet"] = replace(
        world.records.references[sent.ses_id], local_part="0100-not-recorded-yet"
    )
    taken_up = take_up_feedback(receipt_of(key), world.now, world.context)

    assert isinstance(taken_up, Decision)
    assert item(world, JobKind.FORWARD).state is SendState.BOUNCED
    assert world.archive.written.count(key) == 1


def test_feedback_on_a_send_that_is_on_its_way_is_repeated_until_its_sender_must_have_ended(world: World) -> None:
    done = item(world, JobKind.FORWARD)
    sending = replace(done, state=SendState.SENDING, ses_id="", lease_until=world.now + timedelta(seconds=90))
    world.records.ledger[done.id] = sending
    detail = about(sending, done.ses_id, bounce(done.ses_id, OWNER))
    with pytest.raises(RecordChanged):
        record_feedback(detail, world.context)

    world.now += timedelta(seconds=90)
    assert record_feedback(detail, world.context) is Unrecorded.WAITS
    world.jobs.queued.append(sending.job)
    assert world.run() == []
    assert recorded(detail, world).conversation == done.conversation
    assert item(world, JobKind.FORWARD).state is SendState.BOUNCED


def test_feedback_on_a_send_that_nobody_records_is_recorded_after_a_day(world: World) -> None:
    record_feedback(bounce("0100-of-another-installation"), world.context)
    (key,) = (key for key in world.archive.objects if key.startswith("raw/feedback/"))
    stored, receipt = world.now, receipt_of(key)
    world.now += WAITS_FOR

    assert take_up_feedback(receipt, stored, world.context) is Unrecorded.WAITS
    world.now += timedelta(seconds=1)
    assert isinstance(take_up_feedback(receipt, stored, world.context), Decision)


def test_feedback_on_a_send_that_was_erased_is_recorded_at_once(world: World) -> None:
    sent = item(world, JobKind.FORWARD)
    del world.records.ledger[sent.id]

    decision = recorded(about(sent, "0100-x", bounce("0100-x")), world)
    (reason,) = world.records.message_records[decision.receipt, "inbound"].reasons
    assert decision.conversation == ""
    assert (decision.jobs, decision.events) == ((), ())
    assert (reason.rule, reason.detail) == ("bounce", "about a message that is not in the records")
    assert world.archive.expiring == {feedback_key(decision.receipt)}  # it names the recipient, and nobody can erase it


def lose_responses(world: World, kind: JobKind) -> LedgerItem:
    """Lose every response of SES to the one send of *kind*, and return it: nobody knows whether it has left."""
    send = replace(item(world, kind), state=SendState.QUEUED, ses_id="", sent_key="")
    world.records.ledger[send.id] = send
    world.jobs.queued = [send.job]
    for _ in range(COPIES[kind]):
        world.mailer.fail("send", SendOutcomeUnknown("read time-out"), after=True)
    world.run()
    assert item(world, kind).state is SendState.UNKNOWN
    return item(world, kind)


DELIVERY: dict[str, Any] = {"eventType": "Delivery", "delivery": {"recipients": [JANE]}}


@BOTH
def test_a_delivery_that_ses_reports_turns_an_unknown_send_into_a_sent_one_and_sends_nothing(
    world: World, kind: JobKind
) -> None:
    send = lose_responses(world, kind)
    copies = len(world.mailer.sent)
    ses_id = world.mailer.sent[-1].ses_id

    assert record_feedback(about(send, ses_id, DELIVERY), world.context) is Unrecorded.DELIVERED
    assert world.run() == []
    assert (item(world, kind).state, item(world, kind).ses_id) == (SendState.SENT, ses_id)
    assert len(world.mailer.sent) == copies


def test_a_delivery_that_ses_reports_while_a_send_waits_keeps_a_second_copy_from_leaving(world: World) -> None:
    send = replace(item(world, JobKind.FORWARD), state=SendState.QUEUED, ses_id="")
    world.records.ledger[send.id] = send
    world.mailer.fail("send", SendOutcomeUnknown("read time-out"), after=True)
    with pytest.raises(RetryLater):
        send_forward(send.job, world.dispatch)
    copies = len(world.mailer.sent)
    record_feedback(about(send, world.mailer.sent[-1].ses_id, DELIVERY), world.context)

    assert send_forward(send.job, world.dispatch) is SendResult.SENT
    assert len(world.mailer.sent) == copies


def test_a_cancelled_send_that_ses_has_delivered_after_all_is_recorded_and_not_sent_again(world: World) -> None:
    sent = item(world, JobKind.FORWARD)
    cancelled = replace(sent, state=SendState.CANCELLED, ses_id="", sent_key="")
    world.records.ledger[sent.id] = cancelled
    record_feedback(about(cancelled, str(sent.ses_id), DELIVERY), world.context)

    assert world.run() == []
    assert (item(world, JobKind.FORWARD).state, item(world, JobKind.FORWARD).ses_id) == (SendState.SENT, sent.ses_id)


def refused(world: World) -> LedgerItem:
    """Let SES refuse the one forward for good, and return it."""
    send = replace(item(world, JobKind.FORWARD), state=SendState.QUEUED, ses_id="", sent_key="")
    world.records.ledger[send.id] = send
    world.mailer.fail("send", MessageRefused("MessageRejected"))
    assert send_forward(send.job, world.dispatch) is SendResult.DEAD_LETTERED
    return item(world, JobKind.FORWARD)


def test_a_delivery_of_what_was_dead_lettered_is_recorded_and_nothing_is_sent(world: World) -> None:
    send = refused(world)
    record_feedback(about(send, "0100-after-all", DELIVERY), world.context)

    assert item(world, JobKind.FORWARD).lost == 1
    assert world.run() == []
    assert (item(world, JobKind.FORWARD).state, item(world, JobKind.FORWARD).ses_id) == (
        SendState.SENT,
        "0100-after-all",
    )


def test_a_send_that_ses_confirms_is_queued_in_the_ledger_before_its_job_is(world: World) -> None:
    send = refused(world)
    world.records.fail("give_back", RecordsUnavailable("down"))
    with pytest.raises(RecordsUnavailable):
        record_feedback(about(send, "0100-after-all", DELIVERY), world.context)

    assert world.jobs.queued == []


def test_a_delivery_of_what_nobody_knows_changes_nothing(world: World) -> None:
    sent = item(world, JobKind.FORWARD)
    written = list(world.archive.written)
    for detail in (
        DELIVERY | {"mail": {"messageId": "0100-x"}},
        about(replace(sent, id=LedgerId("forward-x")), "0100-x", DELIVERY),
    ):
        assert record_feedback(detail, world.context) is Unrecorded.DELIVERED

    assert world.archive.written == written


@pytest.mark.parametrize("kept", [b"{broken", b"[]", b'{"eventType": "Open", "mail": {"messageId": "x"}}'])
def test_what_is_kept_as_feedback_and_is_none_is_refused(world: World, kept: bytes) -> None:
    world.archive.put("raw/feedback/other", kept, "application/json")

    with pytest.raises(MalformedEvent):
        take_up_feedback(ReceiptId("other"), world.now, world.context)


def test_a_delivery_of_what_is_recorded_as_sent_writes_nothing(world: World) -> None:
    sent = item(world, JobKind.FORWARD)
    written = list(world.archive.written)
    record_feedback(about(sent, sent.ses_id, DELIVERY), world.context)

    assert world.archive.written == written
    assert item(world, JobKind.FORWARD) == sent


def test_a_bounce_of_a_copy_whose_id_was_lost_reaches_its_send_and_its_owner(world: World) -> None:
    sent = reply(world)
    record_feedback(about(sent, "0100-first-copy", bounce("0100-first-copy")), world.context)

    assert item(world, JobKind.REPLY).state is SendState.BOUNCED
    assert [one.recipients for one in world.run()] == [(OWNER,)]


def test_a_bounce_of_an_unknown_send_is_recorded_once_the_send_is(world: World) -> None:
    send = lose_responses(world, JobKind.FORWARD)
    ses_id = world.mailer.sent[-1].ses_id
    detail = about(send, ses_id, bounce(ses_id, OWNER))

    assert record_feedback(detail, world.context) is Unrecorded.WAITS
    world.run()
    assert item(world, JobKind.FORWARD).state is SendState.SENT
    assert recorded(detail, world).conversation == send.conversation
    assert item(world, JobKind.FORWARD).state is SendState.BOUNCED


@pytest.mark.parametrize("losing", [False, True], ids=["refused for good", "response lost"])
def test_a_reply_that_the_owner_heard_of_already_can_still_bounce(world: World, losing: bool) -> None:
    """They get a second notice: what they heard before was not that it bounced."""
    sent = reply(world)
    world.records.ledger[sent.id] = replace(sent, state=SendState.QUEUED, ses_id="")
    world.jobs.queued = [sent.job]
    error = SendOutcomeUnknown("read time-out") if losing else MessageRefused("MessageRejected")
    for _ in range(COPIES[JobKind.REPLY]):
        world.mailer.fail("send", error, after=True)
    world.run()
    detail = about(sent, "0100-first-copy", bounce("0100-first-copy"))
    assert record_feedback(detail, world.context) is Unrecorded.WAITS
    world.run()

    recorded(detail, world)
    assert item(world, JobKind.REPLY).state is SendState.BOUNCED
    assert [one.recipients for one in world.run()] == [(OWNER,)]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (JobKind.ACKNOWLEDGEMENT, SendOutcomeUnknown("read time-out")),
        (JobKind.FORWARD, SendOutcomeUnknown("read time-out")),
        (JobKind.FORWARD, MessageRefused("MessageRejected")),  # another copy, while the first one is on its way
    ],
)
def test_a_delivery_that_ses_reports_before_the_sender_gives_up_waiting_is_not_forgotten(
    world: World, kind: JobKind, error: Exception
) -> None:
    """SES delivers within a second; a sender waits 30 seconds for the response that is lost."""
    send = replace(item(world, kind), state=SendState.QUEUED, ses_id="", sent_key="", lost=COPIES[kind] - 1)
    world.records.ledger[send.id] = send
    world.jobs.queued = [send.job]
    copies = len(world.mailer.sent)
    respond = world.mailer.send

    def delivered_at_once(*args: Any) -> None:
        ses_id = respond(*args)
        record_feedback(about(send, ses_id, DELIVERY), world.context)
        raise error

    world.mailer.send = delivered_at_once  # type: ignore[assignment, method-assign]
    world.run()

    assert (item(world, kind).state, item(world, kind).ses_id) == (SendState.SENT, world.mailer.sent[-1].ses_id)
    assert len(world.mailer.sent) == copies + 1
    assert world.jobs.dead_lettered == []


def test_a_delivery_of_what_was_taken_for_refused_keeps_a_second_copy_from_leaving(world: World) -> None:
    """A busy response of a server between us and SES looks like SES's own."""
    send = replace(item(world, JobKind.FORWARD), state=SendState.QUEUED, ses_id="")
    world.records.ledger[send.id] = send
    world.mailer.fail("send", SendingThrottled("ServiceUnavailable"), after=True)
    with pytest.raises(RetryLater):
        send_forward(send.job, world.dispatch)
    copies = len(world.mailer.sent)
    record_feedback(about(send, world.mailer.sent[-1].ses_id, DELIVERY), world.context)

    assert send_forward(send.job, world.dispatch) is SendResult.SENT
    assert len(world.mailer.sent) == copies


def test_a_send_that_becomes_unknown_while_its_delivery_is_recorded_is_queued(world: World) -> None:
    send = replace(item(world, JobKind.FORWARD), state=SendState.SENDING, ses_id="", lease_until=world.now)
    world.records.ledger[send.id] = send
    put = world.archive.put

    def sender_is_faster(*args: Any) -> None:
        world.records.give_back(send, SendState.UNKNOWN, "read time-out", world.now)
        put(*args)

    world.archive.put = sender_is_faster  # type: ignore[assignment, method-assign]
    record_feedback(about(send, "0100-x", DELIVERY), world.context)
    world.archive.put = put  # type: ignore[method-assign]

    assert world.run() == []
    assert item(world, JobKind.FORWARD).state is SendState.SENT


def test_a_forged_notification_by_email_cannot_name_a_send(world: World) -> None:
    sent = item(world, JobKind.ACKNOWLEDGEMENT)
    text = json.dumps(about(sent, "0100-x", bounce("0100-x")) | {"notificationType": "Bounce"})
    world.arrive(mail(sender="no-reply@sns.amazonaws.com", subject="AWS Notification Message", text=text))

    assert item(world, JobKind.ACKNOWLEDGEMENT).state is SendState.SENT
    assert not world.records.contacts[JANE].unreachable


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
    text = sent.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "See the plan." in text
    assert "- plan.bin" in text
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
