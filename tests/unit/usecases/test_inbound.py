"""A message to a public address, from the stored bytes to what is sent."""

from dataclasses import replace

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.parsed import message_record, parse_received
from email_handler.conversations.records import Status
from email_handler.conversations.thread_address import ThreadTarget
from email_handler.errors import (
    ArchiveObjectMissing,
    ArchiveUnavailable,
    QueueUnavailable,
    RecordChanged,
    RecordsUnavailable,
)
from email_handler.identifiers import ArchiveKey, ConversationId, EmailAddress
from email_handler.ports import Commit, Known, Question
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.contact_message import NAMESAKES, message_question, plan_delivery
from email_handler.usecases.decision import HELD_FOR, TRIES
from email_handler.usecases.inbound import receive
from tests.support.builders import entity, mail, multipart
from tests.support.records import JANE, contact, conversation, passed_receipt
from tests.support.world import OWNER, PUBLIC, THREAD, World, read


@pytest.fixture
def world() -> World:
    return World()


def kinds(world: World) -> list[JobKind]:
    return [job.kind for job in world.jobs.queued]


def test_a_first_contact_is_forwarded_and_acknowledged(world: World) -> None:
    decision = world.arrive(mail(text="Do you ship to Iceland?\r\n"))
    left = world.run()

    assert decision.outcome is Outcome.DELIVER
    assert sorted(one.recipients for one in left) == [("jane@customer.example",), (OWNER,)]
    conversation = world.records.conversations[ConversationId(decision.conversation)]
    assert (conversation.status, conversation.received, conversation.contact) == (
        Status.OPEN,
        1,
        "jane@customer.example",
    )
    assert [event.detail_type for event in world.events.published[:2]] == ["Conversation Started", "Message Received"]


def test_no_event_holds_the_owners_mailbox_or_the_text(world: World) -> None:
    world.arrive(mail(text="the secret plan"))
    world.run()

    assert len(world.events.published) == 4
    assert not any(OWNER in str(e.detail) or "secret plan" in str(e.detail) for e in world.events.published)


def test_a_repeated_event_keeps_the_decision_and_sends_nothing(world: World) -> None:
    first = world.arrive(mail(), receipt="r1")
    world.run()
    again = world.arrive(mail(), receipt="r1")

    assert replace(again, done=False) == replace(first, done=False)
    assert world.run() == []


def test_the_same_message_under_another_receipt_is_recorded_as_a_copy(world: World) -> None:
    world.arrive(mail(), receipt="r1")
    world.run()
    copy = world.arrive(mail(), receipt="r2")

    assert copy.outcome is Outcome.RECORD
    assert world.run() == []
    record = world.records.message_records[copy.receipt, "inbound"]
    assert [str(reason) for reason in record.reasons] == ["duplicate:same-mail"]


def test_alarms_under_one_constant_id_are_messages_of_their_own(world: World) -> None:
    alarms = [
        mail(subject="disk 1 full"),
        mail(subject="disk 2 full"),
        mail(subject="disk 2 full", date="Mon, 02 Mar 2026 09:00:01 +0000"),
        mail(subject="disk 2 full", text="80 %"),
        mail(subject="disk 2 full", sender="kim@customer.example"),
    ]

    assert [world.arrive(alarm).outcome for alarm in alarms] == [Outcome.DELIVER] * len(alarms)


UNVERIFIED = {"spf": "GRAY", "dkim": "GRAY", "dmarc": "GRAY"}


def test_a_message_is_delivered_although_an_earlier_copy_was_held(world: World) -> None:
    held = world.arrive(mail(), spf="FAIL", dmarc="FAIL", dmarc_policy="reject")
    genuine = world.arrive(mail())

    assert (held.outcome, genuine.outcome) == (Outcome.HOLD, Outcome.DELIVER)
    assert kinds(world) == [JobKind.FORWARD, JobKind.ACKNOWLEDGEMENT]


def test_a_message_is_delivered_although_an_earlier_copy_was_dropped(world: World) -> None:
    dropped = world.arrive(mail(), to="nobody@example.com")

    assert (dropped.outcome, world.arrive(mail()).outcome) == (Outcome.DROP, Outcome.DELIVER)


def test_a_verified_message_is_delivered_although_an_unverified_copy_came_first(world: World) -> None:
    world.arrive(mail(reply_to="mallory@evil.example"), **UNVERIFIED)
    world.run()
    genuine = world.arrive(mail())

    assert genuine.outcome is Outcome.DELIVER
    assert world.records.conversations[ConversationId(genuine.conversation)].reply_address == "jane@customer.example"


@pytest.mark.parametrize("first", [{}, UNVERIFIED], ids=["verified", "unverified"])
def test_a_later_unverified_copy_is_recorded_as_a_copy(world: World, first: dict[str, str]) -> None:
    world.arrive(mail(), **first)

    assert world.arrive(mail(), **UNVERIFIED).outcome is Outcome.RECORD


def test_a_contacts_second_message_joins_the_conversation_and_is_not_acknowledged_again(world: World) -> None:
    first = world.arrive(mail())
    world.run()
    second = world.arrive(mail(subject="Re: Hello", message_id="<second@customer.example>", text="One more thing"))

    assert second.conversation == first.conversation
    assert kinds(world) == [JobKind.FORWARD]
    assert world.records.conversations[ConversationId(first.conversation)].received == 2


def test_a_contacts_address_in_other_capitals_stays_in_the_conversation(world: World) -> None:
    world.arrive(mail(subject="Question", sender="Jane <Jane@Customer.example>", message_id="<1@customer.example>"))
    world.arrive(mail(subject="Re: Question", sender="<jane@customer.example>", message_id="<2@customer.example>"))

    assert len(world.records.conversations) == 1


def test_a_new_subject_starts_a_conversation_without_a_second_acknowledgement(world: World) -> None:
    first = world.arrive(mail())
    other = world.arrive(mail(subject="Something else", message_id="<second@customer.example>"))

    assert other.conversation != first.conversation
    assert kinds(world).count(JobKind.ACKNOWLEDGEMENT) == 1


def test_an_unverified_sender_is_forwarded_but_not_acknowledged(world: World) -> None:
    world.arrive(mail(), dmarc="GRAY", spf="GRAY", dkim="GRAY")

    assert kinds(world) == [JobKind.FORWARD]


def test_an_unverified_message_with_a_contacts_ids_and_subject_starts_its_own_conversation(world: World) -> None:
    first = world.arrive(mail())
    forged = world.arrive(
        mail(
            subject="Re: Hello",
            message_id="<forged@evil.example>",
            in_reply_to="<first@customer.example>",
            reply_to="mallory@evil.example",
        ),
        dmarc="GRAY",
    )

    assert forged.conversation != first.conversation
    original = world.records.conversations[ConversationId(first.conversation)]
    assert original.reply_address == "jane@customer.example"


def test_a_repeated_message_id_still_refers_to_the_first_conversation(world: World) -> None:
    first = world.arrive(mail())
    world.arrive(mail(sender="mallory@evil.example", text="mine now"))

    assert world.records.references["first"].conversation == first.conversation


def test_a_message_without_an_id_to_a_public_and_a_thread_address_is_forwarded_once(world: World) -> None:
    first = world.arrive(mail())
    world.run()
    conversation = world.records.conversations[ConversationId(first.conversation)]
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    second = mail(subject="Re: Hello", text="one thing more", message_id=None)
    world.arrive(second, receipt="r2", to=thread)
    copy = world.arrive(second, receipt="r2")

    assert copy.outcome is Outcome.RECORD
    assert [one.recipients for one in world.run()] == [(OWNER,)]


def test_a_delivery_report_that_names_an_allowed_address_is_still_held(world: World) -> None:
    world.records.put_listed("jane@customer.example", "allow")
    status = entity(
        [("Content-Type", "message/delivery-status")],
        b"Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; jane@customer.example\r\nAction: failed\r\n",
    )
    headers = [("From", "mallory@evil.example"), ("To", PUBLIC), ("Message-ID", "<m@evil.example>")]
    raw = multipart("report", entity([("Content-Type", "text/plain")], b"Buy!"), status, headers=headers)

    assert world.arrive(raw, envelope_sender="mallory@evil.example", spam="FAIL").outcome is Outcome.HOLD


def test_a_message_to_an_unknown_address_is_dropped_with_a_recorded_reason(world: World) -> None:
    decision = world.arrive(mail(), to="nobody@example.com")

    assert decision.outcome is Outcome.DROP
    assert kinds(world) == []
    assert world.records.message_records[decision.receipt, "inbound"].reasons


@pytest.mark.parametrize("verdicts", [{"virus": "FAIL"}, {"spam": "FAIL"}, {"dmarc": "FAIL", "dmarc_policy": "reject"}])
def test_a_message_that_fails_a_check_of_ses_is_held_and_nothing_is_sent(
    world: World, verdicts: dict[str, str]
) -> None:
    decision = world.arrive(mail(), **verdicts)

    assert decision.outcome is Outcome.HOLD
    assert kinds(world) == []
    assert [event.detail_type for event in world.events.published] == ["Message Held"]
    assert (decision.receipt, "inbound") in world.records.expires


def test_the_tag_of_the_public_address_is_recorded_as_the_source(world: World) -> None:
    decision = world.arrive(mail(to="contact+project@example.com"), to="contact+project@example.com")

    conversation = world.records.conversations[ConversationId(decision.conversation)]
    assert (conversation.public_address, conversation.source) == (PUBLIC, "project")


def test_a_route_sends_a_copy_to_each_of_its_mailboxes(world: World) -> None:
    world.route(b'[[route]]\nto = ["a@private.example", "b@private.example"]\ntag = "sales"\n')
    world.arrive(mail(), to="contact+sales@example.com")

    forwards = [one for one in world.run() if one.recipients != ("jane@customer.example",)]
    assert sorted(one.recipients for one in forwards) == [("a@private.example",), ("b@private.example",)]


def test_a_message_to_two_public_addresses_is_forwarded_once_to_each_mailbox_of_both(world: World) -> None:
    sales = EmailAddress("sales@example.com")
    world.owners = replace(world.owners, public_addresses=(PUBLIC, sales))
    world.route(b'[[route]]\naddress = "sales@example.com"\nto = ["bob@desk.example", "%s"]\n' % OWNER.encode())
    world.arrive(mail(), recipients=(PUBLIC, sales))  # type: ignore[arg-type]

    forwards = [one for one in world.run() if one.recipients != ("jane@customer.example",)]
    assert [one.recipients for one in forwards] == [(OWNER,), ("bob@desk.example",)]


def test_a_public_address_in_a_route_is_ignored(world: World) -> None:
    world.route(
        b'[[route]]\nto = ["contact+x@example.com", "a@private.example"]\ntag = "a"\n[[route]]\nto = "contact@example.com"\n'
    )
    world.arrive(mail(), to="contact+a@example.com")
    world.arrive(mail(sender="kim@x.example", message_id="<k@x.example>"), to="contact+b@example.com")

    forwards = [one for one in world.run() if one.recipients[0].endswith("private.example")]
    assert sorted(one.recipients for one in forwards) == [("a@private.example",), (OWNER,)]


def test_a_mailbox_of_a_route_becomes_neither_reply_address_nor_participant(world: World) -> None:
    world.route(b'[[route]]\nto = "other@private.example"\ntag = "other"\n')
    decision = world.arrive(mail(reply_to="other@private.example", cc="Other@private.example, kim@customer.example"))
    conversation = world.records.conversations[ConversationId(decision.conversation)]

    assert conversation.reply_address == "jane@customer.example"
    assert conversation.participants == ("kim@customer.example",)


def test_an_address_that_ses_cannot_send_to_is_left_out_of_replies(world: World) -> None:
    """One such recipient would make SES refuse the whole reply for good."""
    decision = world.arrive(mail(reply_to="jäne@customer.example", cc="käte@x.example, kim@bücher.example"))
    conversation = world.records.conversations[ConversationId(decision.conversation)]

    assert conversation.reply_address == "jane@customer.example"
    assert conversation.participants == ("kim@bücher.example",)


def test_addresses_that_differ_only_in_capitals_are_the_same(world: World) -> None:
    decision = world.arrive(
        mail(
            sender="Jane@customer.example",
            reply_to=f"O{OWNER[1:]}",
            cc=f"JANE@customer.example, kim@customer.example, Kim@customer.example, O{OWNER[1:]}, C{PUBLIC[1:]}",
        )
    )
    conversation = world.records.conversations[ConversationId(decision.conversation)]

    assert conversation.reply_address == "Jane@customer.example"
    assert conversation.participants == ("kim@customer.example",)


def test_an_out_of_office_reply_is_forwarded_but_not_acknowledged(world: World) -> None:
    world.arrive(mail(auto_submitted="auto-replied", subject="Out of office: Hello"))

    assert kinds(world) == [JobKind.FORWARD]


def test_an_out_of_office_reply_changes_neither_subject_nor_status_nor_reply_address(world: World) -> None:
    first = world.arrive(mail())
    before = world.records.conversations[ConversationId(first.conversation)]
    world.arrive(
        mail(
            subject="Automatic reply: Hello",
            auto_submitted="auto-replied",
            reply_to="<assistant@customer.example>",
            in_reply_to="<first@customer.example>",
            message_id="<ooo@customer.example>",
        )
    )
    after = world.records.conversations[before.id]
    forward = read(world.run()[-1])

    assert after.received == 2
    assert (after.subject, after.status, after.reply_address) == (before.subject, before.status, before.reply_address)
    assert forward["Subject"] == "Re: Hello"


def test_a_message_without_a_subject_keeps_the_subject_of_its_conversation(world: World) -> None:
    first = world.arrive(mail())
    world.arrive(mail(subject="Re:", in_reply_to="<first@customer.example>", message_id="<m2@customer.example>"))

    assert world.records.conversations[ConversationId(first.conversation)].subject == "Hello"


def test_only_a_reply_address_outside_the_senders_organisation_is_recorded_as_different(world: World) -> None:
    one = world.arrive(mail(reply_to="<jane@mail.customer.example>"))
    two = world.arrive(
        mail(sender="kim@x.example", reply_to="<kim@y.example>", message_id="<k@x.example>", subject="Other")
    )
    differs = [world.records.conversations[ConversationId(d.conversation)].reply_differs for d in (one, two)]

    assert differs == [False, True]


@pytest.mark.parametrize("why", ["unreachable", "written_to"])
def test_a_contact_who_bounced_or_had_a_reply_is_not_acknowledged(world: World, why: str) -> None:
    world.records.contacts[JANE] = contact(version=1, **{why: True})
    world.arrive(mail())

    assert kinds(world) == [JobKind.FORWARD]


def test_a_known_contact_without_an_acknowledgement_is_acknowledged(world: World) -> None:
    world.records.contacts[JANE] = contact(version=1)
    world.arrive(mail())

    assert kinds(world) == [JobKind.FORWARD, JobKind.ACKNOWLEDGEMENT]


def test_a_verified_senders_delivery_report_about_nothing_of_ours_is_not_acknowledged(world: World) -> None:
    status = entity([("Content-Type", "message/delivery-status")], b"Final-Recipient: rfc822; kim@x.example\r\n")
    world.arrive(multipart("mixed", status, headers=[("From", JANE), ("To", PUBLIC)]))

    assert kinds(world) == [JobKind.FORWARD]


def test_acknowledgements_stop_at_the_daily_cap(world: World) -> None:
    world.ack_daily_cap = 1
    world.arrive(mail())
    world.arrive(mail(sender="kim@customer.example", message_id="<k@customer.example>"))

    assert kinds(world).count(JobKind.ACKNOWLEDGEMENT) == 1


def test_acknowledgements_to_one_domain_stop_at_its_own_cap(world: World) -> None:
    world.ack_daily_cap_per_domain = 1
    for number, domain in enumerate(("customer.example", "a.customer.example", "b.customer.example", "other.example")):
        world.arrive(mail(sender=f"kim@{domain}", message_id=f"<{number}@{domain}>"))

    acknowledged = [job.ledger for job in world.jobs.queued if job.kind is JobKind.ACKNOWLEDGEMENT]
    assert [world.records.ledger[ledger].recipients for ledger in acknowledged] == [
        ("kim@customer.example",),
        ("kim@other.example",),
    ]


def test_one_gmail_box_is_one_contact_in_any_spelling(world: World) -> None:
    spellings = ("jane.doe@gmail.com", "JaneDoe@gmail.com", "j.a.n.e.doe+shop@googlemail.com", "janedoe+x@Gmail.com")
    for number, sender in enumerate(spellings):
        world.arrive(mail(sender=sender, subject=f"Question {number}", message_id=f"<{number}@mail.gmail.com>"))

    assert kinds(world).count(JobKind.ACKNOWLEDGEMENT) == 1
    (known,) = world.records.contacts.values()
    assert (known.address, known.messages) == ("jane.doe@gmail.com", 4)


def linkedin(number: int, *, name: str = "Jane Doe", url: str = "") -> bytes:
    return mail(
        sender=f"{name} via LinkedIn <messaging-digest-noreply@linkedin.com>",
        subject="Jane just messaged you",
        text=f"Hello there {number}\r\n{url}\r\n",
        message_id=f"<{number}@linkedin.com>",
        reply_to=f"{name} <0123-uuid-{number}@reply.linkedin.com>",
        list_unsubscribe="<https://www.linkedin.com/unsubscribe>",
    )


URL = "https://www.linkedin.com/messaging/thread/2-abc=="


def test_a_linkedin_contact_has_a_conversation_named_after_them_and_is_not_acknowledged(world: World) -> None:
    decision = world.arrive(linkedin(1, url=URL))

    assert decision.conversation == "linkedin-jane-doe"
    assert kinds(world) == [JobKind.FORWARD]
    assert world.records.topics == {}  # LinkedIn's address stands for many persons


def test_the_same_linkedin_thread_joins_its_conversation_and_a_namesake_gets_a_number(world: World) -> None:
    world.arrive(linkedin(1, url=URL))
    same = world.arrive(linkedin(2, url=URL))
    namesake = world.arrive(linkedin(3, url=URL.replace("abc", "xyz")))

    assert same.conversation == "linkedin-jane-doe"
    assert namesake.conversation == "linkedin-jane-doe-2"


def test_a_forged_linkedin_message_is_treated_as_an_ordinary_message(world: World) -> None:
    decision = world.arrive(linkedin(1, url=URL), dmarc="GRAY", spf="GRAY", dkim="GRAY")

    assert decision.conversation.startswith("c-") or decision.outcome is Outcome.HOLD


def test_the_owners_reply_to_all_is_left_to_the_reply_function(world: World) -> None:
    first = world.arrive(mail())
    conversation = world.records.conversations[ConversationId(first.conversation)]
    world.run()
    thread = f"{conversation.id}.{conversation.token}@thread.example.com"
    copy = world.arrive(mail(sender=OWNER, to=f"{thread}, {PUBLIC}", message_id="<o@private.example>"))

    assert copy.outcome is Outcome.RECORD
    assert world.run() == []


def test_a_delivered_messages_object_is_not_tagged(world: World) -> None:
    world.archive.fail("let_expire", ArchiveUnavailable("down"))

    assert world.arrive(mail()).outcome is Outcome.DELIVER


def test_a_lost_race_is_decided_again(world: World) -> None:
    world.records.fail("commit", RecordChanged("lost"))
    decision = world.arrive(mail())

    assert decision.outcome is Outcome.DELIVER
    assert len(world.records.conversations) == 1


def test_a_commit_with_a_lost_response_is_found_by_the_second_run(world: World) -> None:
    world.records.fail("commit", RecordsUnavailable("lost"), after=True)
    with pytest.raises(RecordsUnavailable):
        world.arrive(mail(), receipt="r1")
    world.arrive(mail(), receipt="r1")

    assert len(world.records.conversations) == 1
    assert len(world.run()) == 2


def test_jobs_that_could_not_be_queued_are_queued_by_the_second_run(world: World) -> None:
    world.jobs.fail("queue", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        world.arrive(mail(), receipt="r1")
    world.arrive(mail(), receipt="r1")

    assert len({one.recipients for one in world.run()}) == 2
    assert len(world.mailer.sent) == 2


def test_a_message_that_is_not_in_the_archive_fails_the_invocation(world: World) -> None:
    receipt = world.store(mail(), receipt="r1")
    del world.archive.objects["raw/inbound/r1"]

    with pytest.raises(ArchiveObjectMissing):
        receive(receipt, ArchiveKey("raw/inbound/r1"), world.context)


@pytest.mark.parametrize("raw", [b"", b"\x00" * 100, b"From: ,,,\r\n\r\n", b"garbage without any header"])
def test_a_message_that_cannot_be_parsed_is_still_forwarded(world: World, raw: bytes) -> None:
    decision = world.arrive(raw, dmarc="GRAY", spf="GRAY", dkim="GRAY")
    left = world.run()

    assert decision.outcome in (Outcome.DELIVER, Outcome.FLAG)
    assert [one.recipients for one in left] == [(OWNER,)]


def test_the_forward_comes_from_the_thread_address_and_shows_the_public_address_as_recipient(world: World) -> None:
    decision = world.arrive(mail(reply_to="<sales@customer.example>"))
    forward = read(next(one for one in world.run() if one.recipients == (OWNER,)))

    conversation = world.records.conversations[ConversationId(decision.conversation)]
    assert f"{conversation.id}.{conversation.token}@thread.example.com" in forward["From"]
    assert PUBLIC in forward["To"]
    assert conversation.reply_address == EmailAddress("sales@customer.example")


def test_further_namesakes_have_conversations_without_a_name_and_share_none(world: World) -> None:
    conversations = [
        world.arrive(linkedin(number, url=URL.replace("abc", f"thread{number}"))).conversation
        for number in range(1, NAMESAKES + 3)
    ]

    assert conversations[0] == "linkedin-jane-doe"
    assert conversations[NAMESAKES - 1] == f"linkedin-jane-doe-{NAMESAKES}"
    assert all(conversation.startswith("c-") for conversation in conversations[NAMESAKES:])
    assert len(set(conversations)) == NAMESAKES + 2


def test_a_thread_address_decides_about_the_conversation_even_of_a_linkedin_message(world: World) -> None:
    target = ThreadTarget(conversation=ConversationId("c-00000001"), token="0123456789")
    receipt = world.store(linkedin(1, url=URL))
    parsed = parse_received(linkedin(1, url=URL), receipt, "inbound", ArchiveKey("raw/inbound/r1"), world.now)

    assert message_question(parsed).namesakes[:2] == ("linkedin-jane-doe", "linkedin-jane-doe-2")
    of_thread_address = message_question(replace(parsed, target=target))
    assert (of_thread_address.conversation, of_thread_address.namesakes) == ("c-00000001", ())


def test_two_linkedin_messages_without_a_thread_are_two_persons(world: World) -> None:
    conversations = [world.arrive(linkedin(number)).conversation for number in (1, 2)]

    assert conversations == ["linkedin-jane-doe", "linkedin-jane-doe-2"]


def thread_of(world: World, conversation: str) -> str:
    known = world.records.conversations[ConversationId(conversation)]
    return f"{known.id}.{known.token}@{THREAD}"


def test_a_contact_who_copies_the_thread_address_is_delivered(world: World) -> None:
    first = world.arrive(mail())
    copied = mail(
        to=f"{thread_of(world, first.conversation)}, {PUBLIC}", message_id="<m2@customer.example>", text="More"
    )

    assert world.arrive(copied).outcome is Outcome.DELIVER


def test_an_owner_who_writes_to_the_public_address_alone_is_delivered(world: World) -> None:
    assert world.arrive(mail(sender=OWNER)).outcome is Outcome.DELIVER


def test_the_reply_to_all_of_a_mailbox_that_only_the_conversation_knows_is_recorded(world: World) -> None:
    """Its route is gone since."""
    first = world.arrive(mail())
    former = EmailAddress("former@private.example")
    known = world.records.conversations[ConversationId(first.conversation)]
    world.records.conversations[known.id] = replace(known, mailboxes=(former,))
    copy = mail(
        sender=former,
        to=f"{thread_of(world, first.conversation)}, {PUBLIC}",
        in_reply_to="<first@customer.example>",
        message_id="<o@private.example>",
    )

    assert world.arrive(copy).outcome is Outcome.RECORD


def test_a_contact_who_was_a_mailbox_of_another_conversation_is_delivered_at_the_thread_address(world: World) -> None:
    own = world.arrive(mail())
    other = world.arrive(mail(sender="kim@other.example", message_id="<kim@other.example>"))
    kims = world.records.conversations[ConversationId(other.conversation)]
    world.records.conversations[kims.id] = replace(kims, mailboxes=(JANE,))
    thread = thread_of(world, own.conversation)
    reply = mail(to=thread, message_id="<m2@customer.example>", in_reply_to="<kim@other.example>")

    assert world.arrive(reply, to=thread).outcome is Outcome.DELIVER


def test_a_contact_at_the_thread_address_joins_with_any_subject_and_no_ids(world: World) -> None:
    first = world.arrive(mail())
    other = mail(subject="Something else", message_id="<m2@customer.example>", text="More")

    assert world.arrive(other, to=thread_of(world, first.conversation)).conversation == first.conversation


def test_a_dropped_message_and_its_record_expire(world: World) -> None:
    dropped = world.arrive(mail(), to="nobody@example.com")

    assert world.archive.expiring == {f"raw/inbound/{dropped.receipt}"}
    assert world.records.expires[dropped.receipt, "inbound"] == world.now + HELD_FOR


def test_a_decision_is_planned_again_up_to_its_last_try_and_then_fails(world: World) -> None:
    for _ in range(TRIES - 1):
        world.records.fail("commit", RecordChanged("lost"))
    assert world.arrive(mail()).outcome is Outcome.DELIVER
    for _ in range(TRIES):
        world.records.fail("commit", RecordChanged("lost"))
    with pytest.raises(RecordChanged):
        world.arrive(mail(message_id="<m2@customer.example>", text="More"))


def delivered(world: World, outcome: Outcome, known: Known) -> Commit:
    receipt = passed_receipt()
    parsed = parse_received(mail(), receipt, "inbound", ArchiveKey("raw/inbound/r1"), world.now)
    record = message_record(parsed, world.owners, outcome)
    question = message_question(parsed)
    return plan_delivery(parsed, record, question, known, world.configuration, world.context)


JOINED, OTHER = conversation(), conversation(id=ConversationId("c-other"))


@pytest.mark.parametrize(
    ("known", "written"),
    [
        (Known(by_topic=JOINED), None),
        (Known(by_reference=(JOINED,), by_topic=JOINED), None),
        (Known(by_reference=(conversation(subject="HELLO"),), by_topic=JOINED), None),
        (Known(by_reference=(JOINED,)), (JANE, "Hello")),
        (Known(by_reference=(JOINED,), by_topic=OTHER), (JANE, "Hello")),
        (Known(), (JANE, "Hello")),
    ],
    ids=["topic", "topic and reference", "another case", "no topic", "another's topic", "first message"],
)
def test_a_topic_that_leads_to_the_conversation_already_is_not_written_again(
    world: World, known: Known, written: tuple[str, str] | None
) -> None:
    assert delivered(world, Outcome.DELIVER, known).topic == written


def test_a_flagged_message_is_not_acknowledged(world: World) -> None:
    commit = delivered(world, Outcome.FLAG, Known())

    assert [item.kind for item in commit.ledger] == [JobKind.FORWARD]


def test_what_nobody_counted_yet_is_within_a_cap_of_one(world: World) -> None:
    world.ack_daily_cap = world.ack_daily_cap_per_domain = 1
    commit = delivered(world, Outcome.DELIVER, Known())

    assert [item.kind for item in commit.ledger] == [JobKind.FORWARD, JobKind.ACKNOWLEDGEMENT]


def test_the_next_message_takes_along_what_the_owner_has_not_been_told(world: World) -> None:
    commit = delivered(world, Outcome.DELIVER, Known(by_topic=conversation(untold=("attachment 1",))))

    assert commit.conversation is not None
    assert (commit.message.tells, commit.conversation.untold) == (("attachment 1",), ())


def test_the_records_are_looked_up_while_the_configuration_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[str] = []
    look_up = world.records.look_up

    def looked_up(question: Question) -> Known:
        waited.append("records")
        return look_up(question)

    def configuration() -> Configuration:
        waited.append("configuration")
        return world.configuration

    monkeypatch.setattr(world.records, "look_up", looked_up)
    receipt, context = world.store(mail(), receipt="r1"), replace(world.context, configuration=configuration)
    receive(receipt, ArchiveKey("raw/inbound/r1"), context)

    assert waited == ["records", "configuration"]
