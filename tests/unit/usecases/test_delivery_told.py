"""What the owner is told about a reply after it left: what keeps it from the contact, each cause once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import notice_id
from email_handler.conversations.records import LedgerItem, SendState
from email_handler.outgoing.notice import NoticeKind
from email_handler.usecases.feedback import record_feedback
from tests.support.builders import mail
from tests.support.fakes import NOW
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
        mail_ = {"messageId": sent(world, kind_of_send).ses_id, "destination": [JANE], "timestamp": NOW.isoformat()}
        return {"eventType": kind, "mail": mail_, part: body}

    return about


def bounce(**body: Any) -> Any:
    return event("Bounce", "bounce", **{"bounceType": "Permanent", "bouncedRecipients": FAILED, **body})


def delay(after: timedelta, kind: JobKind = JobKind.REPLY) -> Any:
    body = {"timestamp": (NOW + after).isoformat(), "delayedRecipients": [{"emailAddress": JANE, "status": "4.4.1"}]}
    return event("DeliveryDelay", "deliveryDelay", kind, **body)


LONG, SHORT = timedelta(minutes=61), timedelta(minutes=10)
CAUSES = {
    "bounce": (bounce(), "did not arrive", "Check the address"),
    "size": (bounce(bounceType="Transient", bounceSubType="MessageTooLarge"), "did not arrive", "without attachments"),
    "given up": (
        bounce(bounceType="Transient", bounceSubType="General"),
        "may not have arrived",
        "send your reply again",
    ),
    "suppressed": (bounce(bounceSubType="OnAccountSuppressionList"), "was not sent on", "another address"),
    "delay": (delay(LONG), "is delayed", "another notice follows"),
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

    (notice,) = world.run()
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

    assert world.run() == []


def test_a_delay_is_told_once_when_it_is_over_an_hour_and_a_bounce_after_it_as_well(world: World) -> None:
    for after in (SHORT, timedelta(minutes=59), timedelta(hours=1)):
        record_feedback(delay(after)(world), world.context)
        assert world.run() == []
    told = []
    for after in (LONG, timedelta(hours=3), timedelta(hours=13)):
        record_feedback(delay(after)(world), world.context)
        told += world.run()

    assert len(told) == 1
    record_feedback(bounce()(world), world.context)
    assert len(world.run()) == 1


@pytest.mark.parametrize("timestamp", ["", "yesterday", None, 7])
def test_a_delay_of_unknown_length_is_recorded_in_silence(world: World, timestamp: object) -> None:
    report = delay(LONG)(world)
    report["deliveryDelay"]["timestamp"] = timestamp
    record_feedback(report, world.context)

    assert world.run() == []
    assert [one.feedback["kind"] for one in world.records.message_records.values() if one.feedback] == ["delay"]


@pytest.mark.parametrize("kind", [JobKind.ACKNOWLEDGEMENT, JobKind.FORWARD])
def test_a_delay_of_anything_but_a_reply_is_recorded_in_silence(world: World, kind: JobKind) -> None:
    record_feedback(delay(LONG, kind)(world), world.context)

    assert world.run() == []


def test_a_bounce_is_told_although_a_notice_said_before_that_the_reply_could_not_go_out(world: World) -> None:
    item = sent(world, JobKind.REPLY)
    earlier = replace(item, id=notice_id(item.id, OWNER), kind=JobKind.NOTICE, note=NoticeKind.NOT_SENT)
    world.records.ledger[earlier.id] = earlier
    record_feedback(bounce()(world), world.context)

    (notice,) = world.run()
    assert "did not arrive" in read(notice).get_body(("plain",)).get_content()  # type: ignore[union-attr]
