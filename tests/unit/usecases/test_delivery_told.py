"""What the owner is told about a reply after it left: what keeps it from the contact, each cause once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import notice_id
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.records import LedgerItem, SendState
from email_handler.identifiers import EmailAddress
from email_handler.usecases.feedback import record_feedback
from email_handler.usecases.reconcile import HOURLY, reconcile
from tests.support.builders import mail
from tests.support.fakes import Sent
from tests.support.world import OWNER, THREAD, World, read

JANE = "jane@customer.example"
FAILED = [{"emailAddress": JANE, "status": "5.1.1", "diagnosticCode": "550 5.1.1 no such user"}]


@pytest.fixture
def world() -> World:
    """Return a world in which Jane has written and the owner's reply has left."""
    world = World()
    world.arrive(mail())
    world.run()
    conversation = next(iter(world.records.conversations.values()))
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    world.arrive(mail(sender=OWNER, to=thread, subject="Re: Hello", message_id="<o@private.example>"), to=thread)
    world.run()
    return world


def sent(world: World, kind: JobKind) -> LedgerItem:
    return next(item for item in world.records.ledger.values() if item.kind is kind)


def event(kind: str, part: str, kind_of_send: JobKind = JobKind.REPLY, **body: Any) -> Any:
    """Return a function that makes SES's event *kind* about the send of a world."""

    def about(world: World) -> dict[str, Any]:
        item = sent(world, kind_of_send)
        mail_ = {"messageId": item.ses_id, "destination": [JANE], "tags": {"ledger": [item.id]}}
        return {"eventType": kind, "mail": mail_, part: body}

    return about


def bounce(**body: Any) -> Any:
    return event("Bounce", "bounce", **{"bounceType": "Permanent", "bouncedRecipients": FAILED, **body})


def delay(kind: JobKind = JobKind.REPLY, recipient: str = JANE) -> Any:
    body = {"delayedRecipients": [{"emailAddress": recipient, "status": "4.4.1"}]}
    return event("DeliveryDelay", "deliveryDelay", kind, **body)


def delivery(recipient: str = JANE) -> Any:
    return event("Delivery", "delivery", recipients=[recipient])


def later(world: World, after: timedelta) -> list[Sent]:
    """Let time pass and the hourly pass run, and return what is sent then."""
    world.now += after
    reconcile("inbound", world.context, HOURLY)
    return world.run()


HOUR = timedelta(hours=1, seconds=1)
CAUSES = {
    "bounce": (bounce(), "did not arrive", f"Try another address: mailto:to.NAME=DOMAIN@{THREAD}"),
    "size": (bounce(bounceType="Transient", bounceSubType="MessageTooLarge"), "did not arrive", "without attachments"),
    "given up": (
        bounce(bounceType="Transient", bounceSubType="General"),
        "may not have arrived",
        "send your email again",
    ),
    "suppressed": (bounce(bounceSubType="OnAccountSuppressionList"), "was not sent on", "another address"),
    "delay": (delay(), "is delayed", "another notice follows"),
    "complaint": (
        event("Complaint", "complaint", complainedRecipients=[{"emailAddress": JANE}]),
        "was marked as spam",
        "Do not send it again",
    ),
    "reject": (event("Reject", "reject", reason="Bad content"), "virus", "Remove the attachment"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_what_keeps_a_reply_from_the_contact_is_told_once_in_its_thread_with_what_to_do(
    world: World, cause: str
) -> None:
    report, happened, to_do = CAUSES[cause]
    for _ in range(2):
        record_feedback(report(world), world.context)

    (notice,) = later(world, HOUR) if cause == "delay" else world.run()
    shown = read(notice)
    text = shown.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert notice.recipients == (OWNER,)
    assert shown["Subject"] == "Re: Hello"
    assert ".o@example.com>" in shown["References"]
    assert happened in text
    assert to_do in text
    assert "To: jane at customer[.]example" in text


@pytest.mark.parametrize("cause", CAUSES)
def test_nothing_is_told_after_the_final_failure(world: World, cause: str) -> None:
    record_feedback(bounce()(world), world.context)
    world.run()
    assert sent(world, JobKind.REPLY).state is SendState.BOUNCED

    record_feedback(CAUSES[cause][0](world), world.context)

    assert later(world, HOUR) == []


def test_a_delay_that_ses_reports_early_and_once_is_told_when_the_reply_is_an_hour_on_its_way(world: World) -> None:
    """SES's first report comes after some minutes, and may be its last until it delivers or gives up."""
    record_feedback(delay()(world), world.context)
    assert world.run() == []
    assert later(world, timedelta(minutes=59)) == []

    (notice,) = later(world, timedelta(minutes=2))
    assert "is delayed" in read(notice).get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_a_delay_is_told_once_however_often_it_is_reported_and_a_bounce_after_it_as_well(world: World) -> None:
    told = []
    for _ in range(3):
        record_feedback(delay()(world), world.context)
        told += later(world, HOUR)

    assert len(told) == 1
    record_feedback(bounce()(world), world.context)
    assert len(world.run()) == 1


def test_a_delay_that_is_reported_late_is_told_soon(world: World) -> None:
    world.now += timedelta(hours=3)
    record_feedback(delay()(world), world.context)

    assert len(world.run()) == 1


@pytest.mark.parametrize("end", [delivery(), bounce()])
def test_nothing_is_told_of_a_delay_that_has_ended_before_the_hour(world: World, end: Any) -> None:
    record_feedback(delay()(world), world.context)
    record_feedback(end(world), world.context)
    world.run()

    assert later(world, 3 * HOUR) == []


def test_the_delivery_to_one_recipient_ends_no_delay_of_another(world: World) -> None:
    record_feedback(delay(recipient="kim@other.example")(world), world.context)
    record_feedback(delivery()(world), world.context)

    assert len(later(world, HOUR)) == 1


def test_every_mailbox_of_the_conversation_is_told_of_a_delay(world: World) -> None:
    found = next(iter(world.records.conversations.values()))
    both = (OWNER, EmailAddress("b@private.example"))
    world.records.conversations[found.id] = replace(found, mailboxes=both)
    record_feedback(delay()(world), world.context)

    assert [one.recipients for one in later(world, HOUR)] == [both]


@pytest.mark.parametrize("kind", [JobKind.ACKNOWLEDGEMENT, JobKind.FORWARD])
def test_a_delay_of_anything_but_a_reply_is_recorded_in_silence(world: World, kind: JobKind) -> None:
    record_feedback(delay(kind)(world), world.context)

    assert later(world, HOUR) == []


def test_a_bounce_is_told_although_a_notice_said_before_that_the_reply_could_not_go_out(world: World) -> None:
    item = sent(world, JobKind.REPLY)
    earlier = replace(item, id=notice_id(item.id, OWNER), kind=JobKind.NOTICE, note=NoticeKind.NOT_SENT)
    world.records.ledger[earlier.id] = earlier
    record_feedback(bounce()(world), world.context)

    (notice,) = world.run()
    assert "did not arrive" in read(notice).get_body(("plain",)).get_content()  # type: ignore[union-attr]
