"""Commands by mail: only the verified owner's message changes anything, once, and it reaches no contact."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.conversations.commands import OF_HELD, PREFILLED, Verb, quoted_request, read_command
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.keys import raw_key
from email_handler.conversations.records import REMINDER, Conversation, MessageRecord, SendState, Status
from email_handler.conversations.thread_address import held_address, thread_address
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.outgoing.actions import conversation_actions, files_action, held_actions
from email_handler.usecases.reply import relay_reply
from tests.support.builders import mail
from tests.support.fakes import Sent
from tests.support.world import OWNER, PUBLIC, THREAD, World, read

JANE = EmailAddress("jane@customer.example")


@pytest.fixture
def world() -> World:
    """Return a world in which Jane has written, a reply to her waits, and a message of Kim's is held."""
    world = World()
    world.arrive(mail())
    world.run()
    to = thread_address(conversation(world), THREAD)
    world.arrive(mail(sender=OWNER, to=to, message_id="<waiting@private.example>", text="This waits."), to=to)
    world.jobs.queued.clear()
    world.arrive(mail(sender="kim@other.example", message_id="<k@other.example>"), receipt="held1", spam="FAIL")
    world.run()
    return world


def conversation(world: World) -> Conversation:
    return next(found for found in world.records.conversations.values() if found.contact == JANE)


def held(world: World) -> MessageRecord:
    return next(found for found in world.records.message_records.values() if found.receipt == "held1")


def address(world: World, verb: str, *, token: str = "") -> EmailAddress:
    """Return the address for *verb*, with a wrong *token* if one is given."""
    if verb in OF_HELD:
        return held_address("held1", token or held(world).token, THREAD, verb)
    right = thread_address(conversation(world), THREAD, verb)
    return EmailAddress(right.replace(conversation(world).token, token)) if token else right


def command(world: World, verb: str, *, to: str = "", token: str = "", **fields: Any) -> list[Sent]:
    """Let the owner ask for *verb*, and return what is sent because of it."""
    target = address(world, verb, token=token)
    verdicts = {name: fields.pop(name) for name in ("dmarc", "spf", "dkim", "virus") if name in fields}
    sender = fields.pop("sender", OWNER)
    number = len(world.records.message_records)
    raw = mail(
        sender=sender,
        to=to or target,
        subject=f"email-handler: {verb}",
        message_id=f"<{number}@private.example>",
        **{"text": PREFILLED, **fields},
    )
    world.arrive(raw, to=target, **verdicts)
    return world.run()


def state(world: World) -> Mapping[str, object]:
    """Return everything that a command may change."""
    return {
        "status": {found.id: (found.status, found.snoozed_until) for found in world.records.conversations.values()},
        "waiting": {item.id for item in world.records.ledger.values() if item.note == REMINDER},
        "cancelled": {item.id for item in world.records.ledger.values() if item.state is SendState.CANCELLED},
        "lists": dict(world.records.lists),
        "held": (held(world).outcome, held(world).reasons),
    }


def said(sent: list[Sent]) -> str:
    (notice,) = [one for one in sent if one.sender.startswith("notices@")]
    assert notice.recipients == (OWNER,)
    text: str = read(notice).get_body(("plain",)).get_content()  # type: ignore[union-attr]
    return text


EVERY = pytest.mark.parametrize("verb", Verb)


def test_the_contact_of_a_conversation_is_blocked(world: World) -> None:
    text = said(command(world, "block"))

    assert "is blocked" in text
    assert world.records.lists == {JANE: "block"}
    assert conversation(world).status is Status.CLOSED
    assert world.arrive(mail(message_id="<again@customer.example>")).outcome is Outcome.HOLD


def test_blocking_the_contact_of_what_was_marked_as_spam_leaves_it_so(world: World) -> None:
    command(world, "spam")
    command(world, "block")

    assert conversation(world).status is Status.SPAM


@pytest.mark.parametrize(("verb", "status"), [("close", Status.CLOSED), ("spam", Status.SPAM)])
def test_a_conversation_is_closed_or_marked_as_spam(world: World, verb: str, status: Status) -> None:
    said(command(world, verb))

    assert conversation(world).status is status


def test_a_held_message_is_released(world: World) -> None:
    sent = command(world, "release")

    assert "released" in said(sent)
    assert held(world).outcome is Outcome.DELIVER
    assert [one.recipients for one in sent if b"kim" in one.raw and not one.sender.startswith("notices@")] == [
        (OWNER,),
        ("kim@other.example",),
    ]


def test_a_held_message_that_is_rightly_held_leaves_the_list(world: World) -> None:
    said(command(world, "confirm"))

    assert (held(world).outcome, held(world).reasons[-1].rule) == (Outcome.HOLD, "confirmed")


@EVERY
def test_a_command_reaches_no_contact_and_is_recorded_under_its_verb(world: World, verb: Verb) -> None:
    sent = command(world, verb)
    record = list(world.records.message_records.values())[-1]

    assert (record.outcome, str(record.reasons[0])) == (Outcome.RECORD, f"command:{verb}")
    assert not any(b"Send this message as it is" in one.raw for one in sent if one.recipients != (OWNER,))
    assert all(JANE not in one.recipients for one in sent)


@EVERY
def test_repeating_a_command_changes_nothing(world: World, verb: Verb) -> None:
    command(world, verb)
    before = state(world)
    again = command(world, verb)

    assert state(world) == before
    assert [one.sender for one in again] == [world.owners.notices_address]


@EVERY
def test_the_same_event_or_a_copy_of_a_command_is_answered_once(world: World, verb: Verb) -> None:
    raw = mail(sender=OWNER, to=address(world, verb), message_id="<once@private.example>")
    target = address(world, verb)
    for receipt in ("once", "once", "copy"):
        world.arrive(raw, to=target, receipt=receipt)

    assert [one.sender for one in world.run()].count(world.owners.notices_address) == 1


FORGED: dict[str, Callable[[World, Verb], list[Sent]]] = {
    "the owner's address, not verified": lambda world, verb: command(
        world, verb, dmarc="FAIL", dkim="FAIL", spf="FAIL"
    ),
    "the owner's address, verified by SPF alone": lambda world, verb: command(world, verb, dmarc="GRAY", dkim="GRAY"),
    "somebody else": lambda world, verb: command(world, verb, sender="mallory@evil.example"),
    "the contact": lambda world, verb: command(world, verb, sender=JANE),
    "a wrong token": lambda world, verb: command(world, verb, token="zzzzzzzzzz"),
    "an address that the message does not name": lambda world, verb: command(world, verb, to=PUBLIC),
    "a machine of the owner's": lambda world, verb: command(world, verb, auto_submitted="auto-replied"),
    "a message with a virus": lambda world, verb: command(world, verb, virus="FAIL"),
}


@EVERY
@pytest.mark.parametrize("who", FORGED)
def test_nobody_but_the_verified_owner_achieves_anything(world: World, verb: Verb, who: str) -> None:
    before = state(world)
    sent = FORGED[who](world, verb)

    assert state(world) == before
    assert all(set(one.recipients) == {OWNER} for one in sent)


@EVERY
def test_a_reply_that_somebody_sends_on_to_the_address_of_a_command_is_refused(world: World, verb: Verb) -> None:
    """A verified message of the owner's can be sent again by whoever has it; its To names the conversation only."""
    before = state(world)
    reply = mail(sender=OWNER, to=thread_address(conversation(world), THREAD), message_id="<r@private.example>")
    world.arrive(reply, to=address(world, verb))
    world.run()

    assert state(world) == before


@EVERY
def test_a_command_that_somebody_sends_on_to_the_conversation_reaches_no_contact(world: World, verb: Verb) -> None:
    raw = mail(sender=OWNER, to=address(world, verb), message_id="<r@private.example>", subject="Please")
    world.arrive(raw, to=thread_address(conversation(world), THREAD))

    assert all(JANE not in one.recipients for one in world.run())


def test_a_command_that_nobody_knows_is_answered_with_those_there_are_and_nothing_is_relayed(world: World) -> None:
    before = state(world)
    sent = command(world, "explode")
    text = said(sent)

    assert len(sent) == 1
    assert "explode" in text
    assert all(f"{verb}: " in text for verb in Verb)
    assert state(world) == before


@pytest.mark.parametrize("verb", [*Verb, "explode"])
def test_words_beside_a_command_reach_nobody_and_the_owner_hears_so(world: World, verb: str) -> None:
    hears = "sent to nobody" in said(command(world, verb, text="Dear Jane, Tuesday is fine.\r\n\r\n" + PREFILLED))

    assert hears == (verb != Verb.CHECK), "a check shows the words"
    assert not any(b"Tuesday is fine" in one.raw for one in world.mailer.sent if one.recipients != (OWNER,))


@pytest.mark.parametrize(
    "text", ["", PREFILLED, f"{PREFILLED}\r\n\r\nSent from my phone\r\n", f"{PREFILLED}\r\n-- \r\nMe\r\n"]
)
def test_a_command_without_words_is_answered_in_one_line(world: World, text: str) -> None:
    assert "nobody" not in said(command(world, "close", text=text))


def test_a_reply_that_names_a_command_as_well_is_not_sent_and_the_owner_hears_so(world: World) -> None:
    to = (thread_address(conversation(world), THREAD), address(world, "close"))
    raw = mail(sender=OWNER, to=to[0], cc=to[1], message_id="<two@private.example>", text="Tuesday is fine.")
    receipt = replace(world.store(raw, to=to[0], function="reply"), recipients=to)
    relay_reply(receipt, raw_key("reply", receipt.id), world.context)

    assert "sent to nobody" in said(world.run())
    assert conversation(world).status is Status.CLOSED


def test_two_commands_at_once_are_none(world: World) -> None:
    before = state(world)
    both = (address(world, "close"), address(world, "block"))
    raw = mail(sender=OWNER, to=", ".join(both), message_id="<two@private.example>")
    receipt = replace(world.store(raw, to=both[0], function="reply"), recipients=both)
    relay_reply(receipt, raw_key("reply", receipt.id), world.context)

    assert "close+block" in said(world.run())
    assert state(world) == before


def test_the_subject_alone_is_a_command_too(world: World) -> None:
    target = thread_address(conversation(world), THREAD)
    raw = mail(sender=OWNER, to=target, subject="Re: email-handler: close", message_id="<s@private.example>")
    world.arrive(raw, to=target)

    assert "closed" in said(world.run())
    assert conversation(world).status is Status.CLOSED


@pytest.mark.parametrize(
    "subject",
    [
        "email-handler: spam",
        "Re: email-handler: spam",
        "AW: EMAIL-Handler : Block",
        "email-handler\uff1a close",
        "email\u00ad-handler: nonsense",
        "email-handler: what is it?",
        "ema\u0131l-handler: spam",
        "EMA\u0130L-HANDLER: SPAM",
    ],
)
def test_a_reply_under_a_contacts_subject_that_reads_like_a_command_is_none(subject: str) -> None:
    world = World()
    world.arrive(mail(subject=subject))
    forward = read(next(one for one in world.run() if one.recipients == (OWNER,)))
    for number, prefix in enumerate(("", "Re: ")):
        reply = f"{prefix}{forward['Subject']}"
        assert read_command("", reply) is None
        raw = mail(sender=OWNER, to=forward["From"].addresses[0].addr_spec, subject=reply, text=f"Words {number}")
        world.arrive(raw.replace(b"first@", b"r%d@" % number), to=forward["From"].addresses[0].addr_spec)
        (sent,) = world.run()
        assert sent.recipients == (JANE,)
    assert conversation(world).status is Status.ANSWERED


@given(
    st.text("reREwg: \t\u3000\u00ad\u200b[]ext", max_size=8),
    st.text("eEmMaAiI\u0131\u0130lL\uff4c-\u00ad", max_size=8) | st.sampled_from(["email", "EMAIL"]),
    st.text("-handlerHANDLER:\uff1a spamcloe", max_size=20) | st.sampled_from(["-handler: spam", "-handler : x"]),
    st.sampled_from(["", "Re: ", "RE : "]),
)
def test_no_subject_that_a_reply_repeats_is_a_command(before: str, name: str, after: str, prefix: str) -> None:
    assert read_command("", prefix + quoted_request(before + name + after)) is None


def test_every_message_of_ours_in_a_thread_has_a_subject_that_is_no_command() -> None:
    """The next of the contact's, a notice, a copy: the owner's email program repeats each of their subjects."""
    world = World()
    world.owners = replace(world.owners, forward_to=(OWNER, EmailAddress("b@private.example")))
    world.arrive(mail(subject="Hello"))
    world.run()
    to = thread_address(conversation(world), THREAD)
    world.arrive(mail(subject="email-handler: close", message_id="<2@customer.example>"), to=to)
    world.arrive(mail(sender=OWNER, to=to, message_id="<r@private.example>", subject="A word"), to=to)
    world.arrive(
        mail(subject="email-handler: block", message_id="<3@customer.example>"), to=to, dmarc="GRAY", spf="GRAY"
    )
    world.run()

    assert len(world.mailer.sent) > 6
    for sent in world.mailer.sent:
        assert read_command("", read(sent)["Subject"]) is None or sent.recipients == (JANE,)


@pytest.mark.parametrize(
    ("tag", "subject", "verb"),
    [
        ("close", "", "close"),
        ("", "email-handler: close", "close"),
        ("", "RE: Email-Handler :  CLOSE ", "close"),
        ("close", "email-handler: block", "close"),
        ("", "About email-handler: close", None),
        ("", "email-handler", None),
        ("all", "Hello", None),
        ("all", "email-handler: spam", "spam"),
        ("snooze-90d", "", "snooze"),
        ("files-1hqyokr4", "", "files"),
        ("", "email-handler: files-1hqyokr4", "files"),
        ("files-", "", None),
        ("", "email-handler: snooze-3d", "snooze"),
        ("snooze-91d", "", None),
        ("snooze-0d", "", None),
        ("snooze-3", "", None),
    ],
)
def test_the_tag_is_the_command_and_without_one_the_whole_subject(tag: str, subject: str, verb: str | None) -> None:
    command = read_command(tag, subject)

    assert (command.verb if command else None) == verb


def test_the_sender_of_an_unverified_message_is_not_blocked(world: World) -> None:
    world.arrive(
        mail(sender="lee@third.example", message_id="<l@third.example>"), dmarc="GRAY", spf="GRAY", dkim="GRAY"
    )
    world.run()
    found = next(one for one in world.records.conversations.values() if one.contact == "lee@third.example")
    target = thread_address(found, THREAD, "block")
    world.arrive(mail(sender=OWNER, to=target, message_id="<b@private.example>"), to=target)

    assert "Not blocked: it is not verified" in said(world.run())
    assert world.records.lists == {}
    assert "Block" not in str(conversation_actions(found, THREAD))


def test_a_person_on_linkedin_is_not_blocked_with_everybody_else_there() -> None:
    world = World()
    world.arrive(
        mail(sender="Jane Roe <hit-reply@linkedin.com>", text="https://www.linkedin.com/messaging/thread/2-a1b2=/")
    )
    world.run()
    (found,) = world.records.conversations.values()
    target = thread_address(found, THREAD, "block")
    world.arrive(mail(sender=OWNER, to=target, message_id="<b@private.example>"), to=target)

    assert "LinkedIn sends everybody's messages" in said(world.run())
    assert world.records.lists == {}
    assert "Block" not in str(conversation_actions(found, THREAD))


def test_an_earlier_decision_about_a_held_message_stands(world: World) -> None:
    command(world, "confirm")

    assert "Not released: it was confirmed before." in said(command(world, "release"))
    assert held(world).outcome is Outcome.HOLD


def test_a_release_that_was_asked_for_stands(world: World) -> None:
    command(world, "release")

    assert "Not confirmed: it was released before." in said(command(world, "confirm"))
    assert held(world).outcome is Outcome.DELIVER


def test_the_links_of_a_forward_and_a_digest_ask_for_what_they_say(world: World) -> None:
    found = conversation(world)
    links = {
        **{action.label: action.url for action in conversation_actions(found, THREAD)},
        "files": files_action(found, ReceiptId("1hqyokr4uq94vtrt"), THREAD).url,
        **{action.label: action.url for action in held_actions("held1", held(world).token, THREAD)},
    }
    asked = {}
    for label, url in links.items():
        parts = urlsplit(url)
        assert parts.scheme == "mailto"
        target = unquote(parts.path)
        tag = target.partition("@")[0].partition("+")[2]
        assert target == address(world, tag)
        found_in_subject = read_command("", parse_qs(parts.query)["subject"][0])
        assert found_in_subject is not None
        assert found_in_subject == read_command(tag, "")
        asked[label] = found_in_subject.verb

    # A forward comes before any reply, which is what the other two are about.
    assert set(asked.values()) == set(Verb) - {Verb.CANCEL, Verb.CHECK}
    assert list(asked)[:4] == ["Close", "Snooze", "Spam", "Block sender"]
    forward = next(one for one in world.mailer.sent if one.recipients == (OWNER,))
    text: str = read(forward).get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert address(world, "close") in text


@pytest.mark.parametrize("contact", ["", PUBLIC, "contact+tag@example.com", OWNER])
def test_nobody_is_blocked_where_the_contact_is_none_of_others(world: World, contact: str) -> None:
    found = conversation(world)
    world.records.conversations[found.id] = replace(found, contact=EmailAddress(contact))
    target = thread_address(found, THREAD, "block")
    world.arrive(mail(sender=OWNER, to=target, message_id="<b@private.example>"), to=target)

    assert "Not blocked: the conversation has no contact" in said(world.run())
    assert world.records.lists == {}


def test_an_unknown_command_is_recorded_as_one_with_one_line(world: World) -> None:
    command(world, "explode")
    (reason,) = list(world.records.message_records.values())[-1].reasons

    assert str(reason) == "command:unknown"
    assert "\n" not in reason.detail
    assert "explode" in reason.detail


@pytest.mark.parametrize("verb", sorted(OF_HELD))
def test_a_command_about_a_held_message_in_the_owners_name_is_refused_with_one_notice_an_hour(
    world: World, verb: str
) -> None:
    sent = [*command(world, verb, dmarc="GRAY", dkim="GRAY"), *command(world, verb, dmarc="GRAY", dkim="GRAY")]

    assert "not verified" in said(sent)
    assert command(world, verb, dmarc="GRAY", dkim="GRAY", token="zzzzzzzzzz") == [], "anybody can guess a token"


@pytest.mark.parametrize("sender", [OWNER, "mallory@evil.example"])
def test_whoever_lacks_the_token_causes_no_notice_in_a_conversation(world: World, sender: str) -> None:
    sent = command(world, "close", sender=sender, dmarc="GRAY", dkim="GRAY", token="zzzzzzzzzz")

    assert sent == []
    assert list(world.records.message_records.values())[-1].conversation == ""


@pytest.mark.parametrize("verb", [Verb.CLOSE, Verb.RELEASE])
def test_a_command_about_what_is_gone_comes_back_and_says_so(world: World, verb: str) -> None:
    target = address(world, verb)
    world.records.conversations.clear()
    world.records.message_records.clear()
    world.arrive(mail(sender=OWNER, to=target, message_id="<gone@private.example>", text=PREFILLED), to=target)

    assert "opens nothing: it is misspelled, its conversation was erased" in said(world.run())


@pytest.mark.parametrize("verb", sorted(OF_HELD))
def test_what_may_be_machines_writing_about_a_held_message_cause_one_notice_an_hour(world: World, verb: str) -> None:
    target, before = address(world, verb), held(world)
    for number in range(3):
        raw = mail(sender=OWNER, to=target, subject="On leave", message_id=f"<m{number}@private.example>")
        world.arrive(raw, to=target)

    assert [one.recipients for one in world.run()] == [(OWNER,)]
    assert held(world) == before
