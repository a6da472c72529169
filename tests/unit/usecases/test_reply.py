"""Messages to a thread address: only the verified owner with the right token can send to the contact."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from email_handler.conversations import parsed
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Conversation, Decision, SendState, Status
from email_handler.errors import ConfigUnavailable
from email_handler.identifiers import ArchiveKey, ConversationId, EmailAddress
from email_handler.outgoing.unlinked import unlinked
from email_handler.usecases import reply
from email_handler.usecases.reply import relay_reply
from tests.support.builders import entity, mail, multipart
from tests.support.fakes import Sent
from tests.support.world import OWNER, PUBLIC, THREAD, World, read

JANE = "jane@customer.example"
UNVERIFIED = {"dmarc": "GRAY", "spf": "GRAY", "dkim": "GRAY"}


@pytest.fixture
def world() -> World:
    world = World()
    world.arrive(mail(subject="A question"))
    world.run()
    return world


def conversation_of(world: World) -> Conversation:
    return next(iter(world.records.conversations.values()))


def thread(world: World, *, everyone: bool = False) -> str:
    tag = "+all" if everyone else ""
    return f"{conversation_of(world).id}.{conversation_of(world).token}{tag}@{THREAD}"


def owner_reply(world: World, *, text: str = "Yes, we do.\r\n", number: int = 1, to: str = "", **headers: Any) -> bytes:
    fields: dict[str, Any] = {"subject": "Re: A question", "in_reply_to": f"<{last_forward(world)}>", **headers}
    return mail(
        sender=f"The Owner <{OWNER}>",
        to=to or thread(world),
        text=text,
        message_id=f"<o{number}@private.example>",
        **fields,
    )


def arrive_at(world: World, raw: bytes, recipients: Sequence[str]) -> Decision:
    """Let *raw* arrive at several thread addresses at once, as one message with one receipt."""
    receipt = world.store(raw, to=recipients[0], function="reply")
    receipt = replace(receipt, recipients=tuple(map(EmailAddress, recipients)))
    return relay_reply(receipt, ArchiveKey(f"raw/reply/{receipt.id}"), world.context)


def last_forward(world: World) -> str:
    ids = [link.owner_ids[OWNER] for link in conversation_of(world).links if OWNER in link.owner_ids]
    return ids[-1] if ids else ""


def reasons(world: World, decision: Decision) -> list[str]:
    return list(map(str, world.records.message_records[decision.receipt, "reply"].reasons))


def to_contact(left: list[Sent]) -> list[Sent]:
    return [one for one in left if OWNER not in one.recipients]


def notices(left: list[Sent]) -> list[Sent]:
    return [one for one in left if one.sender == f"notices@{THREAD}"]


def test_the_owners_reply_is_sent_from_the_public_address_in_the_contacts_thread(world: World) -> None:
    decision = world.arrive(owner_reply(world), to=thread(world))
    (left,) = world.run()
    sent = read(left)

    assert decision.outcome is Outcome.RELAY
    assert (left.sender, left.recipients) == (PUBLIC, (JANE,))
    assert "Yes, we do." in sent.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert sent["In-Reply-To"] == "<first@customer.example>"
    assert conversation_of(world).status is Status.ANSWERED
    assert world.records.references["o1"].conversation == decision.conversation
    assert OWNER.encode() not in left.raw
    assert b"@thread." not in left.raw


def test_a_reply_is_relayed_once_however_often_its_event_arrives(world: World) -> None:
    raw = owner_reply(world)
    world.arrive(raw, to=thread(world), receipt="r1")
    world.arrive(raw, to=thread(world), receipt="r1")
    world.arrive(raw, to=thread(world), receipt="r2")

    assert len(world.run()) == 1


def test_after_a_reply_the_contact_is_never_acknowledged(world: World) -> None:
    world.records.ledger.clear()  # as if the first message had not been acknowledged
    world.arrive(owner_reply(world), to=thread(world))
    world.now += timedelta(minutes=1)
    world.run()
    contact = world.records.contacts[JANE]
    assert (contact.written_to, contact.updated_at) == (True, world.now)
    world.arrive(mail(subject="Another matter", message_id="<n@customer.example>"))

    assert [job.kind for job in world.jobs.queued] == [JobKind.FORWARD]


def test_the_contacts_next_message_joins_the_conversation_and_the_owners_thread(world: World) -> None:
    world.arrive(owner_reply(world), to=thread(world))
    (sent,) = world.run()
    world.arrive(
        mail(
            subject="AW: A question",
            message_id="<m2@customer.example>",
            in_reply_to=f"<{sent.ses_id}@email.amazonses.com>",
        )
    )
    (forward,) = world.run()

    assert len(world.records.conversations) == 1
    assert conversation_of(world).status is Status.WAITING
    assert read(forward)["In-Reply-To"] == "<o1@private.example>"


@pytest.mark.parametrize("verdicts", [UNVERIFIED, {"dmarc": "FAIL", "dmarc_policy": "reject"}])
def test_a_forged_owner_is_refused_and_the_contact_gets_nothing(world: World, verdicts: dict[str, str]) -> None:
    decision = world.arrive(owner_reply(world, text="Pay me instead"), to=thread(world), **verdicts)
    left = world.run()

    assert decision.outcome is Outcome.HOLD
    assert to_contact(left) == []
    assert len(notices(left)) == 1


def test_unverified_replies_cause_one_notice_an_hour(world: World) -> None:
    for number in range(5):
        world.arrive(owner_reply(world, number=number, text=f"try {number}"), to=thread(world), **UNVERIFIED)

    assert len(notices(world.run())) == 1


def test_a_wrong_token_sends_nothing_and_the_verified_owner_gets_a_notice_each_time(world: World) -> None:
    wrong = f"{conversation_of(world).id}.{'z' * 10}@{THREAD}"
    world.arrive(owner_reply(world, number=1), to=wrong)
    world.arrive(owner_reply(world, number=2, text="again"), to=wrong)
    left = world.run()

    assert to_contact(left) == []
    assert len(notices(left)) == 2


def test_the_verified_owner_gets_a_notice_about_an_unknown_conversation(world: World) -> None:
    world.arrive(owner_reply(world), to=f"c-zzzzzzzz.{'z' * 10}@{THREAD}")
    left = world.run()

    assert [one.recipients for one in left] == [(OWNER,)]
    assert len(notices(left)) == 1


def test_nobody_gets_a_notice_about_a_strangers_message_to_an_unknown_conversation(world: World) -> None:
    decision = world.arrive(mail(sender="kim@other.example"), to=f"c-zzzzzzzz.{'z' * 10}@{THREAD}")

    assert (decision.outcome, decision.jobs) == (Outcome.HOLD, ())


def test_only_the_verified_owner_gets_a_notice_about_a_thread_address_without_a_token(world: World) -> None:
    unverified = world.arrive(owner_reply(world), to=f"{conversation_of(world).id}@{THREAD}", **UNVERIFIED)
    assert (unverified.outcome, world.run()) == (Outcome.DROP, [])
    world.arrive(owner_reply(world), to=f"{conversation_of(world).id}@{THREAD}")
    assert len(notices(world.run())) == 1


def test_a_reply_to_two_conversations_goes_to_neither_and_the_owner_gets_a_notice(world: World) -> None:
    world.arrive(mail(sender="kim@other.example", subject="Other", message_id="<k@other.example>"))
    world.run()
    other = list(world.records.conversations.values())[-1]
    both = (thread(world), f"{other.id}.{other.token}@{THREAD}")
    decision = arrive_at(world, owner_reply(world), both)
    left = world.run()

    assert decision.outcome is Outcome.HOLD
    assert to_contact(left) == []
    assert len(notices(left)) == 1


@pytest.mark.parametrize(
    ("headers", "sign"),
    [
        ({"auto_submitted": "auto-replied"}, "auto-submitted"),
        ({"x_autoreply": "yes"}, "autoresponder-field"),
        ({"auto_submitted": "auto-generated", "subject": "Automatic reply: A question"}, "auto-submitted"),
    ],
)
def test_an_out_of_office_reply_is_recorded_and_not_relayed(world: World, headers: dict[str, Any], sign: str) -> None:
    for raw in (owner_reply(world, **headers), mail(message_id="<m2@customer.example>", **headers)):
        decision = world.arrive(raw, to=thread(world))

        assert (decision.outcome, reasons(world, decision), world.run()) == (Outcome.RECORD, [f"machine:{sign}"], [])


def test_a_contacts_delivery_report_at_the_thread_address_is_recorded(world: World) -> None:
    status = entity([("Content-Type", "message/delivery-status")], b"Final-Recipient: rfc822; kim@x.example\r\n")
    decision = world.arrive(multipart("mixed", status, headers=[("From", JANE)]), to=thread(world))

    assert (decision.outcome, reasons(world, decision)) == (Outcome.RECORD, ["machine:feedback"])


@pytest.mark.parametrize("envelope_sender", ["", "bounces@private.example"])
def test_a_bounce_at_the_thread_address_is_recorded_on_the_send_it_is_about(world: World, envelope_sender: str) -> None:
    bounce = mail(
        sender="MAILER-DAEMON@private.example",
        subject="Undelivered Mail Returned to Sender",
        text=f"<{OWNER}>: 550 5.1.1 no such user\r\n",
        in_reply_to=f"<{last_forward(world)}>",
    )
    world.arrive(bounce, to=thread(world), envelope_sender=envelope_sender)

    (sent,) = (item for item in world.records.ledger.values() if item.kind is JobKind.FORWARD)
    assert sent.state is SendState.BOUNCED


@pytest.mark.parametrize(
    "headers",
    [
        {"subject": "On leave"},
        {"subject": "Automatic reply: A question"},
        {"auto_submitted": "auto-generated"},
        {"precedence": "bulk"},
    ],
)
def test_what_only_may_be_a_machines_comes_back_to_the_owner(world: World, headers: dict[str, Any]) -> None:
    decision = world.arrive(owner_reply(world, **headers), to=thread(world))
    (left,) = world.run()

    assert decision.outcome is Outcome.HOLD
    assert left.recipients == (OWNER,)
    assert "sign of an automatic reply" in read(left).get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_a_machine_of_the_owners_that_hides_it_causes_one_notice_an_hour(world: World) -> None:
    for number in range(5):
        world.arrive(owner_reply(world, number=number, subject="On leave"), to=thread(world))

    assert len(notices(world.run())) == 1


def test_to_an_unknown_conversation_too_there_is_one_notice_an_hour(world: World) -> None:
    for number in range(3):
        world.arrive(owner_reply(world, number=number, subject="On leave"), to=f"c-zzzzzzzz.{'z' * 10}@{THREAD}")

    assert len(notices(world.run())) == 1


def test_unread_messages_of_strangers_cause_one_notice_an_hour(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(reply, "_plan_reply", fails)
    nowhere = (f"c-zzzzzzzz.{'z' * 10}@{THREAD}", f"c-yyyyyyyy.{'z' * 10}@{THREAD}", f"notices@{THREAD}")
    for places in ((thread(world),) * 3, nowhere):
        for number, place in enumerate(places):
            raw = mail(sender="m@evil.example", text=f"{number} {place}")
            assert world.arrive(raw, to=place).outcome is Outcome.HOLD
        assert len(notices(world.run())) == 1


def test_strangers_cannot_use_up_the_owners_notice(world: World) -> None:
    world.arrive(mail(sender="m@evil.example", text="Hello"), to=thread(world))
    assert len(notices(world.run())) == 1
    world.arrive(mail(sender=OWNER, to=thread(world), message_id=f"<{last_forward(world)}>"), to=thread(world))

    assert len(notices(world.run())) == 1


@pytest.mark.parametrize("step", ["_opened", "_from_contact", "_question", "_plan_reply"])
def test_a_reply_that_a_mistake_keeps_from_being_decided_comes_back_to_the_owner(
    world: World, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(reply, step, fails)
    decision = world.arrive(owner_reply(world), to=thread(world))

    assert (decision.outcome, reasons(world, decision)) == (Outcome.HOLD, ["mistake:MemoryError"])
    assert [one.recipients for one in notices(world.run())] == [(OWNER,)]


@pytest.mark.parametrize("sender", [OWNER, JANE])
def test_a_message_whose_recipients_a_mistake_keeps_from_being_read_is_held_and_the_owner_gets_a_notice(
    world: World, sender: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    to = thread(world)
    monkeypatch.setattr(Owners, "thread_targets", fails)
    decision = world.arrive(mail(sender=sender, to=to, message_id="<m2@customer.example>"), to=to)

    assert (decision.outcome, reasons(world, decision)) == (Outcome.HOLD, ["mistake:MemoryError"])
    assert [one.recipients for one in notices(world.run())] == [(OWNER,)]


@pytest.mark.parametrize(("step", "outcome"), [("automatic", Outcome.FLAG), ("parse", Outcome.HOLD)])
def test_what_a_mistake_keeps_from_being_read_is_the_contacts_only_if_from_could_be_read(
    world: World, step: str, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    to = thread(world)
    monkeypatch.setattr(parsed, step, fails)

    assert world.arrive(mail(message_id="<m2@customer.example>"), to=to).outcome is outcome


@pytest.mark.parametrize("named", [None, "", "undisclosed", "Jane:;"])
def test_a_message_without_from_is_of_the_envelopes_sender_only_if_spf_verifies_it(
    world: World, named: str | None
) -> None:
    to = thread(world)
    raw = mail(sender=named, to=to, message_id="<m2@customer.example>")

    failed = [world.arrive(raw, to=to, spf=verdict) for verdict in ("FAIL", "GRAY", "PROCESSING_FAILED", "")]
    passed = world.arrive(raw, to=to)

    assert (passed.outcome, world.records.message_records[passed.receipt, "reply"].verified) == (Outcome.DELIVER, False)
    assert [reasons(world, decision) for decision in failed] == [["sender:not-owner"]] * 4


def test_a_message_without_from_never_counts_as_the_owners(world: World) -> None:
    to = thread(world)
    raw = mail(sender=None, to=to, message_id="<m2@private.example>")

    decision = world.arrive(raw, to=to, envelope_sender=OWNER)

    assert (decision.outcome, reasons(world, decision)) == (Outcome.HOLD, ["sender:not-owner"])


def test_a_bounce_about_one_of_a_replys_recipients_says_nothing_about_the_contact(world: World) -> None:
    copied = mail(message_id="<m2@customer.example>", in_reply_to="<first@customer.example>", cc="kim@customer.example")
    world.arrive(copied)
    world.run()
    to = thread(world, everyone=True)
    world.arrive(owner_reply(world, to=to), to=to)
    (sent,) = world.run()
    bounce = mail(
        sender="MAILER-DAEMON@customer.example",
        subject="Undelivered Mail Returned to Sender",
        text="<kim@customer.example>: 550 5.1.1 no such user\r\n",
        in_reply_to=f"<{sent.ses_id}@email.amazonses.com>",
    )
    decision = world.arrive(bounce, to=thread(world), envelope_sender="")

    assert reasons(world, decision) == ["feedback:bounce"]
    assert not world.records.contacts[JANE].unreachable


def test_the_owner_gets_one_notice_an_hour_about_each_sign_of_a_machine(world: World) -> None:
    for number, headers in enumerate([{"subject": "On leave"}, {"precedence": "bulk"}] * 2):
        world.arrive(owner_reply(world, number=number, text=f"{number}", **headers), to=thread(world))

    assert len(notices(world.run())) == 2


def test_what_names_a_conversation_too_is_no_reply_to_a_notice(world: World) -> None:
    both = (thread(world), f"notices@{THREAD}")

    assert arrive_at(world, owner_reply(world, subject="On leave"), both).outcome is Outcome.HOLD
    assert arrive_at(world, owner_reply(world, number=2), both).outcome is Outcome.RELAY


def test_what_may_be_a_machines_comes_back_from_a_thread_address_without_a_token_too(world: World) -> None:
    raw = owner_reply(world, subject="On leave")

    assert world.arrive(raw, to=f"{conversation_of(world).id}@{THREAD}").outcome is Outcome.HOLD


def test_our_own_message_comes_back_to_the_owner_who_sent_it_on_and_is_recorded_of_others(world: World) -> None:
    ours, to = f"<{last_forward(world)}>", thread(world)
    by_owner = world.arrive(mail(sender=OWNER, to=to, message_id=ours), to=to)
    by_other = world.arrive(mail(sender="kim@other.example", to=to, message_id=ours), to=to)

    assert (by_owner.outcome, reasons(world, by_owner)) == (Outcome.HOLD, ["owner:own-mail"])
    assert (by_other.outcome, reasons(world, by_other)) == (Outcome.RECORD, ["machine:own-mail"])


def test_a_reply_that_was_checked_in_full_is_sent_if_the_operator_holds_the_others(world: World) -> None:
    world.hold_unchecked = True

    assert world.arrive(owner_reply(world), to=thread(world)).outcome is Outcome.RELAY


@pytest.mark.parametrize("hold", [False, True])
def test_a_record_names_the_first_ten_unchecked_parts_of_a_reply(world: World, hold: bool) -> None:
    world.hold_unchecked = hold
    files = [(f"{number}.zip", "application/zip", encrypted_zip()) for number in range(11)]
    decision = world.arrive(owner_reply(world, attachments=files), to=thread(world))

    record = world.records.message_records[decision.receipt, "reply"]
    assert len(record.reasons[0].detail.split("; ") if hold else record.unchecked) == 10


def test_a_record_names_the_first_ten_words_that_a_reply_left_without(world: World) -> None:
    aliases = tuple(EmailAddress(f"me{number:02d}@alias.example") for number in range(11))
    world.owners = replace(world.owners, owner_aliases=aliases)
    decision = world.arrive(owner_reply(world, text="\r\n".join(aliases) + "\r\n"), to=thread(world))

    assert len(world.records.message_records[decision.receipt, "reply"].changes) == 10


def test_what_a_notice_tells_of_a_reply_the_next_forward_does_not(world: World) -> None:
    archive = ("offer.zip", "application/zip", encrypted_zip())
    world.arrive(owner_reply(world, text=f"Write to {OWNER}.\r\n", attachments=[archive]), to=thread(world))

    assert conversation_of(world).untold == ()


def test_the_owners_words_about_a_bounce_are_sent(world: World) -> None:
    text = (
        "Delivery to the following recipient failed permanently:\r\n\r\n    kim@customer.example\r\n\r\n550 5.1.1\r\n"
    )
    decision = world.arrive(
        owner_reply(world, subject="Undelivered Mail Returned to Sender", text=text), to=thread(world)
    )

    assert decision.outcome is Outcome.RELAY


@pytest.mark.parametrize("sign", ["auto-generated", "auto-replied"])
@pytest.mark.parametrize("method", ["REPLY", "COUNTER"])
def test_the_owners_response_to_an_invitation_is_sent_however_it_is_marked(
    world: World, sign: str, method: str
) -> None:
    calendar = f"BEGIN:VCALENDAR\r\nMETHOD:{method}\r\nEND:VCALENDAR\r\n".encode()
    raw = owner_reply(
        world, subject="Accepted: Call", auto_submitted=sign, attachments=[("a.ics", "text/calendar", calendar)]
    )
    decision = world.arrive(raw, to=thread(world))

    assert decision.outcome is Outcome.RELAY
    assert len(to_contact(world.run())) == 1


def test_the_owners_words_about_a_bounce_to_the_public_address_are_not_recorded_in_silence(world: World) -> None:
    text = "Undeliverable?\r\n\r\n<kim@customer.example>: 550 5.1.1 user unknown\r\n"
    raw = owner_reply(
        world, to=PUBLIC, subject="Undeliverable: A question", text=text, references=f"<{last_forward(world)}>"
    )
    decision = world.arrive(raw, to=PUBLIC)

    assert decision.outcome in (Outcome.DELIVER, Outcome.FLAG)
    assert [sent.recipients for sent in world.run()] == [(OWNER,)]


def test_a_second_message_under_one_message_id_is_sent_too(world: World) -> None:
    for subject in ("Re: A question", "Re: A question, again"):
        world.arrive(owner_reply(world, subject=subject), to=thread(world))

    assert len(to_contact(world.run())) == 2


def test_the_owner_who_replies_to_a_notice_hears_that_nobody_reads_it(world: World) -> None:
    for number in range(5):
        decision = world.arrive(owner_reply(world, number=number, text=f"{number}"), to=f"notices@{THREAD}")
        assert decision.outcome is Outcome.DROP
    (left,) = world.run()

    assert left.recipients == (OWNER,)
    assert "Nothing was sent" in read(left).get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_what_may_be_a_machines_response_to_a_notice_is_dropped(world: World) -> None:
    decision = world.arrive(owner_reply(world, subject="On leave"), to=f"notices@{THREAD}")

    assert decision.outcome is Outcome.DROP
    assert world.run() == []


def test_a_strangers_message_to_the_notices_address_is_dropped(world: World) -> None:
    decision = world.arrive(mail(sender="kim@other.example"), to=f"notices@{THREAD}")

    assert decision.outcome is Outcome.DROP
    assert world.run() == []


def test_the_notice_about_a_strangers_message_says_who_wrote_and_that_nothing_of_theirs_failed(world: World) -> None:
    world.arrive(mail(sender="Mallory <mallory@evil.example>", text="hi"), to=thread(world))
    (left,) = world.run()
    text = read(left).get_body(("plain",)).get_content()  # type: ignore[union-attr]

    assert "Sent by: mallory at evil[.]example (verified)\r\nName given: Mallory\r\n" in text
    assert "Why: the sender is none of your mailboxes" in text
    assert "in your name" not in text


def test_the_notice_about_a_forged_message_says_what_failed(world: World) -> None:
    world.arrive(owner_reply(world), to=thread(world), dmarc="FAIL", dmarc_policy="reject")
    (left,) = world.run()
    text = read(left).get_body(("plain",)).get_content()  # type: ignore[union-attr]

    assert f"Sent by: {unlinked(OWNER)} (not verified)\r\nName given: The Owner\r\n" in text
    assert "Why: not verified: dmarc fail" in text
    assert "in your name" in text


def test_a_contacts_message_to_the_thread_address_is_forwarded(world: World) -> None:
    decision = world.arrive(
        mail(subject="Re: A question", message_id="<m2@customer.example>", text="P.S."), to=thread(world)
    )
    (left,) = world.run()

    assert (decision.outcome, decision.conversation) == (Outcome.DELIVER, conversation_of(world).id)
    assert left.recipients == (OWNER,)


def test_a_contact_without_an_acknowledgement_gets_it_for_a_message_to_the_thread_address(world: World) -> None:
    world.records.ledger.clear()
    world.arrive(mail(message_id="<m2@customer.example>", text="P.S."), to=thread(world))

    assert [job.kind for job in world.jobs.queued] == [JobKind.FORWARD, JobKind.ACKNOWLEDGEMENT]


def test_a_contacts_message_with_a_wrong_token_is_held(world: World) -> None:
    wrong = f"{conversation_of(world).id}.{'z' * 10}@{THREAD}"

    assert world.arrive(mail(message_id="<m2@customer.example>"), to=wrong).outcome is Outcome.HOLD


def test_a_contacts_message_that_names_an_owner_in_from_too_is_held(world: World) -> None:
    both = mail(sender=f"{JANE}, {OWNER}", message_id="<m2@customer.example>")

    decision = world.arrive(both, to=thread(world))
    assert (decision.outcome, reasons(world, decision)) == (Outcome.HOLD, ["owner:not-verified"])


def test_a_linkedin_message_to_a_thread_address_is_of_its_sender_as_named_in_from(world: World) -> None:
    sender = "Jane Doe via LinkedIn <messaging-digest-noreply@linkedin.com>"
    raw = mail(sender=sender, reply_to="Jane Doe <0123@reply.linkedin.com>", subject="Jane just messaged you")
    decision = world.arrive(raw, to=thread(world))

    assert world.records.message_records[decision.receipt, "reply"].sender_name == "Jane Doe via LinkedIn"


def test_a_third_persons_message_to_the_thread_address_is_held(world: World) -> None:
    decision = world.arrive(mail(sender="mallory@evil.example", text="hi"), to=thread(world))

    assert decision.outcome is Outcome.HOLD
    assert to_contact(world.run()) == []


def test_a_reply_goes_to_the_reply_address_of_the_message_it_replies_to(world: World) -> None:
    world.arrive(
        mail(
            subject="Re: A question",
            message_id="<m2@customer.example>",
            in_reply_to="<first@customer.example>",
            reply_to="sales@customer.example",
            text="second",
        )
    )
    world.run()
    first = next(link.owner_ids[OWNER] for link in conversation_of(world).links if OWNER in link.owner_ids)
    world.arrive(owner_reply(world, number=1), to=thread(world))
    world.arrive(owner_reply(world, number=2, text="To the first.", in_reply_to=f"<{first}>"), to=thread(world))

    assert [one.recipients for one in world.run()] == [("sales@customer.example",), (JANE,)]


@pytest.mark.parametrize("everyone", [False, True])
def test_only_a_reply_to_everyone_reaches_those_the_contact_copied(world: World, everyone: bool) -> None:
    world.arrive(
        mail(
            subject="Re: A question",
            message_id="<m2@customer.example>",
            in_reply_to="<first@customer.example>",
            cc=f"kim@customer.example, {PUBLIC}",
            text="and Kim",
        )
    )
    world.run()
    to = thread(world, everyone=everyone)
    world.arrive(owner_reply(world, to=to), to=to)
    (left,) = world.run()

    assert left.recipients == ((JANE, "kim@customer.example") if everyone else (JANE,))


def encrypted_zip() -> bytes:
    """Return an archive whose only member says that it is encrypted (APPNOTE 4.4.4, bit 0)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as members:
        members.writestr("offer.txt", b"secret")
    archive = bytearray(packed.getvalue())
    archive[6] |= 1  # of the member's own header
    archive[archive.index(b"PK\x01\x02") + 8] |= 1  # of the directory
    return bytes(archive)


def test_the_next_forward_tells_the_owner_once_which_parts_of_a_reply_were_not_checked(world: World) -> None:
    raw = owner_reply(world, attachments=[("offer.zip", "application/zip", encrypted_zip())])
    decision = world.arrive(raw, to=thread(world))
    (left,) = world.run()
    world.arrive(mail(message_id="<m2@customer.example>", in_reply_to="<first@customer.example>"))
    world.arrive(mail(message_id="<m3@customer.example>", in_reply_to="<first@customer.example>"))
    second, third = (read(sent).get_body(("plain",)).get_content() for sent in world.run())  # type: ignore[union-attr]

    assert left.recipients == (JANE,)
    (unchecked,) = world.records.message_records[decision.receipt, "reply"].unchecked
    assert "not all of it could be checked" in second
    assert unchecked in second
    assert "could be checked" not in third


def test_the_owner_hears_at_once_which_of_their_words_were_replaced(world: World) -> None:
    text = f"Write to {OWNER}, please.\r\n\r\nOn Monday Jane wrote:\r\n> to {thread(world)}\r\n"
    decision = world.arrive(owner_reply(world, text=text), to=thread(world))
    left = world.run()

    (sent,), (notice,) = to_contact(left), notices(left)
    record = world.records.message_records[decision.receipt, "reply"]
    assert record.changes == (f"“{OWNER}” is now “{PUBLIC}”",)
    assert OWNER.encode() not in sent.raw
    assert notice.recipients == (OWNER,)
    shown = read(notice).get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Your email was changed" in shown
    assert f"Changed: {unlinked(record.changes[0])}" in shown


def test_a_reply_of_which_nothing_was_replaced_causes_no_notice(world: World) -> None:
    world.arrive(owner_reply(world, text=f"Yes.\r\n\r\nOn Monday Jane wrote:\r\n> {OWNER}\r\n"), to=thread(world))

    assert notices(world.run()) == []


def test_a_reply_with_unchecked_parts_is_held_if_the_operator_wants_that(world: World) -> None:
    world.hold_unchecked = True
    raw = owner_reply(world, attachments=[("offer.zip", "application/zip", encrypted_zip())])
    decision = world.arrive(raw, to=thread(world))
    left = world.run()

    assert decision.outcome is Outcome.HOLD
    assert to_contact(left) == []
    (notice,) = notices(left)
    assert "parts of it could not be checked" in read(notice).as_string()


NOT_NAMED: dict[str, dict[str, str]] = {
    "to somebody else": {"to": "friend@elsewhere.example"},
    "to the public address": {"to": PUBLIC},
    "to nobody": {"to": "undisclosed-recipients:;"},
    "to another conversation": {"to": f"c-00000000.0000000000@{THREAD}"},
    "named in another field": {"to": "friend@elsewhere.example", "reply_to": "{thread}", "resent_to": "{thread}"},
    "named in the subject": {"to": "friend@elsewhere.example", "subject": "{thread}"},
    "named as a display name": {"to": '"{thread}" <friend@elsewhere.example>'},
}


@pytest.mark.parametrize("case", NOT_NAMED)
def test_an_owners_message_to_somebody_else_sent_on_to_a_thread_address_is_refused(world: World, case: str) -> None:
    fields: dict[str, Any] = {name: value.replace("{thread}", thread(world)) for name, value in NOT_NAMED[case].items()}
    decision = world.arrive(owner_reply(world, **fields), to=thread(world))
    left = world.run()

    assert decision.outcome is Outcome.HOLD
    assert to_contact(left) == []
    (notice,) = notices(left)
    assert "not in To or Cc" in read(notice).as_string()


@pytest.mark.parametrize("added", ["To", "Cc"])
def test_an_owners_message_to_somebody_else_is_refused_if_they_add_the_thread_address_to_it(
    world: World, added: str
) -> None:
    signature = "DKIM-Signature: v=1; d=private.example; h=from:to:subject; b=x\r\n"
    raw = f"{added}: {thread(world)}\r\n{signature}".encode() + owner_reply(world, to="friend@elsewhere.example")
    decision = world.arrive(raw, to=thread(world))

    assert decision.outcome is Outcome.HOLD
    assert to_contact(world.run()) == []


def test_a_reply_to_one_that_is_sent_on_to_the_address_for_everyone_is_refused(world: World) -> None:
    decision = world.arrive(owner_reply(world), to=thread(world, everyone=True))

    assert decision.outcome is Outcome.HOLD


def test_a_command_that_is_sent_on_to_the_address_without_its_verb_is_refused(world: World) -> None:
    command = thread(world).replace("@", "+close@")

    assert world.arrive(owner_reply(world, to=command), to=thread(world)).outcome is Outcome.HOLD


def test_a_reply_to_the_address_for_everyone_may_arrive_at_the_one_for_the_contact(world: World) -> None:
    decision = world.arrive(owner_reply(world, to=thread(world, everyone=True)), to=thread(world))

    assert decision.outcome is Outcome.RELAY


def test_the_thread_address_may_stand_in_cc(world: World) -> None:
    raw = owner_reply(world, to="colleague@elsewhere.example", cc=thread(world).upper())

    assert world.arrive(raw, to=thread(world)).outcome is Outcome.RELAY


def test_spf_alone_does_not_verify_an_owner(world: World) -> None:
    results = b"Authentication-Results: amazonses.com; spf=pass envelope-from=owner@private.example\r\n"
    receipt = world.store(results + owner_reply(world), to=thread(world), function="reply")
    receipt = replace(receipt, dmarc="GRAY", dkim="GRAY", envelope_sender=OWNER)
    decision = relay_reply(receipt, ArchiveKey(f"raw/reply/{receipt.id}"), world.context)

    assert decision.outcome is Outcome.HOLD
    assert to_contact(world.run()) == []
    record = world.records.message_records[receipt.id, "reply"]
    assert [str(reason) for reason in record.reasons] == ["owner:not-verified"]
    assert record.verification == "spf aligned"


def test_the_same_text_to_the_same_contact_a_third_time_within_an_hour_is_held_with_a_notice(world: World) -> None:
    texts = [
        "I am away.",
        "I\u200b am  AWAY.\r\n\r\nOn Monday Jane wrote:\r\n> A question",
        "Now something else.",
        "I am away.",
    ]
    outcomes = []
    for number, text in enumerate(texts):
        outcomes.append(world.arrive(owner_reply(world, number=number, text=text), to=thread(world)).outcome)
        left = world.run()

    assert outcomes == [Outcome.RELAY, Outcome.RELAY, Outcome.RELAY, Outcome.HOLD]
    (notice,) = notices(left)
    assert "the same text a third time" in read(notice).as_string()

    world.now += timedelta(hours=1)
    assert world.arrive(owner_reply(world, number=9, text="I am away."), to=thread(world)).outcome is Outcome.RELAY


def test_the_same_text_is_counted_over_all_conversations_with_a_contact_and_for_each_contact_alone(
    world: World,
) -> None:
    outcomes = {}
    for number, sender in enumerate([JANE, JANE, JANE, "kim@customer.example"]):
        own_id = f"{number}@customer.example"
        world.arrive(mail(subject=f"Topic {number}", sender=sender, message_id=f"<{own_id}>"))
        world.run()
        newest = max(
            world.records.conversations.values(),
            key=lambda one: int(one.subject[-1]) if one.subject[-1].isdigit() else -1,
        )
        to = f"{newest.id}.{newest.token}@{THREAD}"
        outcomes[number] = world.arrive(owner_reply(world, number=number, text="I am away.", to=to), to=to).outcome

    assert outcomes == {0: Outcome.RELAY, 1: Outcome.RELAY, 2: Outcome.HOLD, 3: Outcome.RELAY}


@pytest.mark.parametrize("reverse", [False, True])
def test_the_address_for_everyone_counts_at_any_position(world: World, reverse: bool) -> None:
    copied = mail(message_id="<m2@customer.example>", in_reply_to="<first@customer.example>", cc="kim@customer.example")
    world.arrive(copied)
    world.run()
    to = [thread(world), thread(world, everyone=True)]
    arrive_at(world, owner_reply(world, to=", ".join(to)), to[::-1] if reverse else to)
    (left,) = world.run()

    assert left.recipients == (JANE, "kim@customer.example")


def test_a_subject_changed_by_the_owner_is_used_for_the_contact_too(world: World) -> None:
    world.arrive(owner_reply(world, subject="Our new price list"), to=thread(world))
    (left,) = world.run()

    assert read(left)["Subject"] == "Re: Our new price list"
    assert conversation_of(world).subject == "Our new price list"


def test_an_alias_of_the_owner_may_reply(world: World) -> None:
    alias = EmailAddress("me@alias.example")
    object.__setattr__(world.owners, "owner_aliases", (alias,))
    world.arrive(
        mail(sender=alias, to=thread(world), subject="Re: A question", message_id="<a@alias.example>", text="ok"),
        to=thread(world),
    )
    (left,) = world.run()

    assert left.recipients == (JANE,)
    assert alias.encode() not in left.raw


def test_an_owner_whose_client_writes_the_address_in_capitals_may_reply(world: World) -> None:
    raw = owner_reply(world).replace(OWNER.encode(), b"Owner@Private.example")

    assert world.arrive(raw, to=thread(world)).outcome is Outcome.RELAY


def test_a_mailbox_of_another_route_may_reply_and_is_not_shown(world: World) -> None:
    """The sender of a reply is private even if the conversation goes to another mailbox of the owner."""
    world.route(b'[[route]]\ntag = "sales"\nto = "bob@desk.example"\n')
    raw = owner_reply(world, text="Write to bob@desk.example, please.\r\n").replace(OWNER.encode(), b"bob@desk.example")

    decision = world.arrive(raw, to=thread(world))
    (left,) = (one for one in world.run() if one.recipients == (JANE,))

    assert decision.outcome is Outcome.RELAY
    assert b"desk.example" not in left.raw


@pytest.mark.parametrize("public", [PUBLIC, f"contact+shop@{PUBLIC.rpartition('@')[2]}"])
def test_a_public_address_among_routes_or_aliases_is_not_private(world: World, public: str) -> None:
    world.route(f'[[route]]\nto = "{public}"\ntag = "shop"\n'.encode())
    world.owners = replace(world.owners, owner_aliases=(EmailAddress(public),))
    world.arrive(owner_reply(world), to=thread(world))

    assert [one.recipients for one in world.run()] == [(JANE,)]


def test_a_mailbox_of_another_route_that_a_reply_quotes_is_not_shown(world: World) -> None:
    world.route(b'[[route]]\ntag = "sales"\nto = "bob@desk.example"\n')

    decision = world.arrive(owner_reply(world, text="Sure.\r\n\r\n> bob@desk.example wrote:\r\n"), to=thread(world))
    (left,) = world.run()

    assert decision.outcome is Outcome.RELAY
    assert b"desk.example" not in left.raw


def test_a_reply_is_sent_later_if_the_routes_are_unavailable(world: World) -> None:
    world.arrive(owner_reply(world), to=thread(world))
    for _ in range(3):  # both documents are read while the reply is claimed, and again when it is composed
        world.config.fail("read", ConfigUnavailable("SSM is down"))
    (left,) = world.run()

    (send,) = (item for item in world.records.ledger.values() if item.kind is JobKind.REPLY)
    assert (left.recipients, send.attempt, send.possible_duplicate) == ((JANE,), 2, False)


BOSS = "boss@other.example"


@pytest.mark.parametrize("bad", ['subject = "("', "subject = 7"])
def test_a_mailbox_of_an_invalid_route_is_not_shown(world: World, bad: str) -> None:
    world.route(f'[[route]]\nto = ["{BOSS}"]\n{bad}\n'.encode())
    world.arrive(owner_reply(world, text=f"Ask {BOSS}, please."), to=thread(world))

    (left,) = to_contact(world.run())
    assert BOSS.encode() not in left.raw


def test_a_reply_is_not_sent_while_the_routes_cannot_be_parsed(world: World) -> None:
    world.arrive(owner_reply(world), to=thread(world))
    world.config.documents["routes"] = b"[[route"
    (left,) = world.run()
    assert left.recipients == (OWNER,)
    assert "Why: routes: not a TOML document" in read(left).get_body(("plain",)).get_content()  # type: ignore[union-attr]

    (send,) = (item for item in world.records.ledger.values() if item.kind is JobKind.REPLY)
    assert (send.state, send.reason) == (SendState.FAILED, "routes: not a TOML document")


def test_a_reply_that_would_leak_is_held_and_the_owner_gets_a_notice(world: World) -> None:
    raw = mail(
        sender=OWNER,
        to=thread(world),
        subject="Re: A question",
        message_id="<o@private.example>",
        attachments=[("key.asc", "application/octet-stream", b"\x00\x01" + OWNER.encode() + b"\x00" * 40)],
    )
    decision = world.arrive(raw, to=thread(world))
    left = world.run()

    assert decision.outcome is Outcome.HOLD
    assert to_contact(left) == []
    assert len(notices(left)) == 1


def test_the_notice_of_a_leak_names_the_first_ten_places_that_hold_it(world: World) -> None:
    files = [(f"{n}.bin", "application/octet-stream", b"\x00" + OWNER.encode()) for n in range(11)]
    raw = owner_reply(world, text=f"Replaced: {OWNER}.\r\n", attachments=files)
    decision = world.arrive(raw, to=thread(world))

    (reason,) = world.records.message_records[decision.receipt, "reply"].reasons
    held = [f"private address in attachment {n} (application/octet-stream)" for n in range(1, 11)]
    assert (reason.rule, reason.detail) == ("leak", "; ".join(held))


def test_the_ledger_records_the_ses_id_and_archive_key_of_a_sent_reply(world: World) -> None:
    world.arrive(owner_reply(world), to=thread(world))
    (left,) = world.run()
    item = next(i for i in world.records.ledger.values() if i.kind is JobKind.REPLY)

    assert (item.state, item.ses_id, item.attempt) == (SendState.SENT, left.ses_id, 1)
    assert world.archive.objects[item.sent_key] == left.raw
    assert ConversationId(item.conversation) == conversation_of(world).id
