"""Which conversation a message joins, and the ids that keep it one thread."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.conversations.records import Conversation, Link, Status
from email_handler.conversations.threads import (
    MAX_LINKS,
    MAX_REFERENCES,
    TOPIC_AGE,
    base_subject,
    choose,
    fingerprint,
    new_id,
    read_thread_address,
    referred,
    renamed,
    reply_subject,
    shown_subject,
    thread_address,
    threading_for_contact,
    threading_for_owner,
    token_matches,
    wire_id,
    with_link,
)
from email_handler.identifiers import ConversationId, EmailAddress, ReceiptId
from email_handler.mail.parsing import parse
from tests.support.builders import mail

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
JANE = EmailAddress("jane@example.org")
OWNER = EmailAddress("owner@private.example")


def conversation(**changes: object) -> Conversation:
    plain = Conversation(
        id=ConversationId("c-01234567"),
        token="abcdefghjk",
        contact=JANE,
        contact_name="Jane Doe",
        public_address=EmailAddress("contact@example.com"),
        source="",
        subject="A question",
        owner_subject="A question",
        mailboxes=(OWNER,),
        status=Status.OPEN,
        verified=True,
        reply_address=JANE,
        reply_differs=False,
        started_at=NOW,
        updated_at=NOW,
        version=1,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("Re: A question", "A question"),
        ("AW: SV: A question", "A question"),
        ("RE[2]: A question", "A question"),
        ("回复: A question", "A question"),
        ("回复\uff1aA question", "A question"),
        ("[EXT] Re: A question", "A question"),
        ("(External) Fwd: A  question", "A question"),
        ("re : A question", "A question"),
        ("[ticket 7] Re: A question", "[ticket 7] Re: A question"),
        ("Regarding: A question", "Regarding: A question"),
        ("\u0130LT: A question", "A question"),
        ("Ref: 2026-117", "Ref: 2026-117"),
        ("Re:", ""),
        ("[EXT]", ""),
        ("", ""),
    ],
)
def test_reply_marks_and_gateway_labels_are_no_part_of_the_base_subject(subject: str, base: str) -> None:
    assert base_subject(subject) == base


@given(st.text())
def test_a_base_subject_has_no_marks_left_and_never_breaks(subject: str) -> None:
    base = base_subject(subject)
    assert base_subject(base) == base
    assert "\n" not in base


@given(st.integers(1, 30), st.sampled_from(["Re: ", "AW:", "[EXT] ", "Fwd: ", "RE[3]: "]))
def test_however_many_marks_are_piled_up_the_base_subject_is_found(times: int, mark: str) -> None:
    assert base_subject(mark * times + "Offer") == "Offer"


def test_an_answer_carries_one_mark() -> None:
    assert reply_subject("AW: Re: Offer") == "Re: Offer"
    assert reply_subject("") == "Re:"


@pytest.mark.parametrize(
    "subject",
    [
        "A question",
        "Re: A question",
        "[CAUTION: External Sender] Re: A question",
        "Re: ***UNCHECKED*** A question",
        "VAR: [list 7] A question",
        "Re:",
        "",
    ],
)
def test_labels_and_marks_that_nobody_has_heard_of_give_the_talk_no_other_name(subject: str) -> None:
    assert renamed(subject, "A question") == ""


def test_a_person_gives_the_talk_another_name() -> None:
    assert renamed("Re: My question", "question") == "My question"
    assert renamed("Re: A question about prices", "A question") == "A question about prices"
    assert renamed("A question", "") == "A question"


def test_a_label_gives_a_talk_without_a_subject_none() -> None:
    assert renamed("Re: [CAUTION: External Sender] Re:", "") == ""


@given(st.text(), st.text())
def test_another_name_is_a_base_subject_or_none(subject: str, known: str) -> None:
    assert renamed(subject, known) in ("", base_subject(subject))


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("A question", "A question"),
        ("Re: A question", "Re: A question"),
        ("FWD: re: A question", "FWD: re: A question"),
        ("AW: A question", "Re: A question"),
        ("[EXT] A question", "Re: A question"),
        ("Ref: 2026-117", "Re: Ref: 2026-117"),
        ("", ""),
        ("x" * 600, "x" * 400),
    ],
)
def test_the_first_mail_of_a_thread_bears_only_marks_that_every_client_takes_off(subject: str, shown: str) -> None:
    assert shown_subject(subject) == shown


def test_a_thread_address_is_read_back_with_its_token() -> None:
    target = read_thread_address(thread_address(conversation(), "thread.example.com"), "thread.example.com")

    assert target is not None
    assert (target.conversation, target.token, target.everyone) == ("c-01234567", "abcdefghjk", False)
    assert token_matches(target, conversation())


def test_the_address_for_everyone_opens_the_same_conversation() -> None:
    address = thread_address(conversation(), "thread.example.com", everyone=True)
    target = read_thread_address(address.upper(), "thread.example.com")

    assert address == "c-01234567.abcdefghjk+all@thread.example.com"
    assert target is not None
    assert target.everyone
    assert token_matches(target, conversation())


@pytest.mark.parametrize(
    "address",
    [
        "c-01234567@thread.example.com",
        "c-01234567.abc@thread.example.com",
        "c-01234567.abcdefghjk@example.com",
        "c-01234567.abcdefghjk@evil-thread.example.com",
        "notices@thread.example.com",
        "",
        "@thread.example.com",
    ],
)
def test_what_is_no_thread_address_names_nothing(address: str) -> None:
    assert read_thread_address(address, "thread.example.com") is None


def test_a_wrong_token_or_another_conversation_opens_nothing() -> None:
    target = read_thread_address("c-01234567.abcdefghj0@thread.example.com", "thread.example.com")

    assert not token_matches(target, conversation())
    right = read_thread_address("c-01234567.abcdefghjk@thread.example.com", "thread.example.com")
    assert not token_matches(right, conversation(id=ConversationId("c-99999999")))
    assert not token_matches(right, None)
    assert not token_matches(None, conversation())


def test_a_new_id_is_readable_and_random_where_the_token_is() -> None:
    assert new_id(lambda length: "7" * length) == "c-77777777"


def choice(**given_: object) -> Conversation | None:
    plain: dict[str, object] = {"by_token": None, "by_reference": (), "by_topic": None, "verified": JANE, "now": NOW}
    return choose(**{**plain, **given_})  # type: ignore[arg-type]


def test_a_verified_contact_joins_by_ids() -> None:
    assert choice(by_reference=(conversation(),)) == conversation()


def test_ids_of_a_conversation_somebody_else_has_join_nothing() -> None:
    assert choice(by_reference=(conversation(),), verified=EmailAddress("mallory@example.net")) is None


def test_unverified_mail_joins_by_token_only() -> None:
    assert choice(by_reference=(conversation(),), by_topic=conversation(), verified=None) is None
    assert choice(by_token=conversation(), verified=None) == conversation()


def test_somebody_the_contact_copied_joins_by_ids() -> None:
    kim = EmailAddress("kim@example.org")
    assert choice(by_reference=(conversation(participants=(kim,)),), verified=kim) is not None


def test_the_same_subject_joins_while_the_talk_is_open_and_young() -> None:
    assert choice(by_topic=conversation()) is not None
    assert choice(by_topic=conversation(status=Status.CLOSED)) is None
    assert choice(by_topic=conversation(), now=NOW + TOPIC_AGE) is not None
    assert choice(by_topic=conversation(), now=NOW + TOPIC_AGE + timedelta(seconds=1)) is None
    assert choice(by_topic=conversation(contact=EmailAddress("kim@example.org"))) is None


def link(receipt: str, contact_id: str = "", owner_id: str = "") -> Link:
    return Link(
        receipt=ReceiptId(receipt),
        contact_id=contact_id,
        owner_ids={OWNER: owner_id} if owner_id else {},
    )


def test_a_link_gains_the_other_sides_id_when_it_is_known() -> None:
    before = with_link(conversation(), link("r1", contact_id="m1@example.org"))
    after = with_link(before, link("r1", owner_id="s1@email.amazonses.com"))

    assert after.links == (link("r1", "m1@example.org", "s1@email.amazonses.com"),)


def test_links_keep_the_first_and_the_last_mails() -> None:
    grown = conversation()
    for number in range(30):
        grown = with_link(grown, link(f"r{number}", contact_id=f"m{number}@example.org"))

    assert [one.receipt for one in grown.links] == ["r0", *(f"r{n}" for n in range(30 - MAX_LINKS + 1, 30))]


def exchange() -> Conversation:
    one = with_link(conversation(), link("r1", "m1@example.org", "s1@email.amazonses.com"))
    return with_link(one, link("r2", "s2@email.amazonses.com", "o2@private.example"))


def test_mail_to_the_contact_names_only_ids_the_contact_has() -> None:
    threading = threading_for_contact(exchange(), "example.com", "Re: A question", answers=ReceiptId("r1"))

    assert threading.in_reply_to == "m1@example.org"
    assert threading.references == ("c-01234567.c@example.com", "s2@email.amazonses.com", "m1@example.org")


def test_mail_to_the_owner_answers_the_mail_of_theirs_that_the_contact_answered() -> None:
    threading = threading_for_owner(
        exchange(), "example.com", "Re: A question", mailbox=OWNER, answers="s2@email.amazonses.com"
    )

    assert threading.in_reply_to == "o2@private.example"
    assert threading.references == ("c-01234567.o@example.com", "s1@email.amazonses.com", "o2@private.example")


def test_where_nothing_is_known_the_constant_id_ties_the_thread() -> None:
    threading = threading_for_owner(conversation(), "example.com", "Hello", mailbox=OWNER, answers="")

    assert threading.in_reply_to == "c-01234567.o@example.com"
    assert threading.references == ("c-01234567.o@example.com",)


def test_the_constant_id_of_the_contacts_side_does_not_show_the_thread_subdomain() -> None:
    threading = threading_for_contact(conversation(), "example.com", "Re:", answers=ReceiptId("none"))

    assert not any("@thread." in reference for reference in threading.references)


def test_ids_are_looked_up_nearest_first_and_bounded() -> None:
    ids = " ".join(f"<m{number}@example.org>" for number in range(500))
    message = parse(mail(references=ids, in_reply_to="<last@example.org>"))
    found = referred(message)

    assert found[:2] == ("last", message.references[-1].partition("@")[0])
    assert len(found) <= MAX_REFERENCES


def test_the_same_mail_delivered_twice_has_one_fingerprint_whatever_was_put_on_top() -> None:
    raw = mail(text="hello", message_id="<m1@example.org>")
    other = mail(text="hello!", message_id="<m1@example.org>")
    again = b"Received: from b.example by a.example\r\n" + raw

    prints = [fingerprint(parse(one), one, verified=True) for one in (raw, again, other)]
    assert prints[0] == prints[1] != prints[2]


def test_what_anybody_may_have_sent_has_another_fingerprint_than_the_verified_mail() -> None:
    raw = mail(text="hello", message_id="<m1@example.org>")
    assert fingerprint(parse(raw), raw, verified=True) != fingerprint(parse(raw), raw, verified=False)


def test_mail_without_an_id_is_never_taken_for_a_copy() -> None:
    raw = b"From: jane@example.org\r\n\r\nhello"
    assert fingerprint(parse(raw), raw, verified=True) == ""


def test_ses_ids_stand_at_the_host_of_their_region() -> None:
    assert wire_id("0100abc", "us-east-1") == "0100abc@email.amazonses.com"
    assert wire_id("0102abc", "eu-west-1") == "0102abc@eu-west-1.amazonses.com"
