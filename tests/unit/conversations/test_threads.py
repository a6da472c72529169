"""Which conversation a message joins, and the ids that keep it one thread."""

from dataclasses import replace
from datetime import timedelta

import pytest

from email_handler.conversations.evolve import with_link
from email_handler.conversations.records import Conversation, Status
from email_handler.conversations.threads import (
    MAX_REFERENCES,
    TOPIC_AGE,
    choose,
    choose_on_linkedin,
    local_part,
    named_references,
    own_reference,
    replied_to,
    reply_recipients,
    threading_for_contact,
    threading_for_owner,
    wire_id,
)
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.mail.parsing import parse
from email_handler.senders.linkedin import LinkedInPerson
from tests.support.builders import mail
from tests.support.fakes import NOW
from tests.support.records import JANE, OWNER, conversation, link, reference


def choice(**given_: object) -> Conversation | None:
    plain: dict[str, object] = {
        "by_token": None,
        "by_reference": (),
        "by_awaited": (),
        "by_topic": None,
        "verified": JANE,
        "now": NOW,
    }
    return choose(**{**plain, **given_})  # type: ignore[arg-type]


def test_a_verified_contact_joins_by_ids() -> None:
    assert choice(by_reference=(conversation(),)) == conversation()


def test_ids_of_another_contacts_conversation_do_not_join_it() -> None:
    assert choice(by_reference=(conversation(),), verified=EmailAddress("mallory@example.net")) is None


def test_an_unverified_message_joins_by_token_only() -> None:
    assert choice(by_reference=(conversation(),), by_topic=conversation(), verified=None) is None
    assert choice(by_token=conversation(), verified=None) == conversation()


def test_a_participant_joins_by_ids() -> None:
    kim = EmailAddress("kim@example.org")
    assert choice(by_reference=(conversation(participants=(kim,)),), verified=kim) is not None


def test_the_same_subject_joins_while_the_conversation_is_open_and_recent() -> None:
    assert choice(by_topic=conversation()) is not None
    assert choice(by_topic=conversation(status=Status.CLOSED)) is None
    assert choice(by_topic=conversation(), now=NOW + TOPIC_AGE) is not None
    assert choice(by_topic=conversation(), now=NOW + TOPIC_AGE + timedelta(seconds=1)) is None
    assert choice(by_topic=conversation(contact=EmailAddress("kim@example.org"))) is None


@pytest.mark.parametrize("status", list(Status))
def test_the_same_subject_joins_a_conversation_that_is_neither_closed_nor_spam(status: Status) -> None:
    joined = choice(by_topic=conversation(status=status)) is not None

    assert joined == (status not in (Status.CLOSED, Status.SPAM))


def exchange() -> Conversation:
    one = with_link(conversation(), link("r1", "m1@example.org", "s1@email.amazonses.com"))
    return with_link(one, link("r2", "s2@email.amazonses.com", "o2@private.example"))


def test_a_message_to_the_contact_names_only_ids_that_the_contact_has() -> None:
    threading = threading_for_contact(exchange(), "example.com", "Re: A question", replies_to=ReceiptId("r1"))

    assert threading.in_reply_to == "m1@example.org"
    assert threading.references == ("c-00000001.c@example.com", "s2@email.amazonses.com", "m1@example.org")


@pytest.mark.parametrize("replies_to", ["r2", "r3", "unknown"])
def test_a_message_to_the_contact_replies_to_the_last_one_that_has_an_id_there_if_its_own_has_none(
    replies_to: str,
) -> None:
    known = with_link(exchange(), link("r3", owner_id="o3@private.example"))
    threading = threading_for_contact(known, "example.com", "Re: A question", replies_to=ReceiptId(replies_to))

    assert threading.in_reply_to == "s2@email.amazonses.com"
    assert threading.references == ("c-00000001.c@example.com", "m1@example.org", "s2@email.amazonses.com")


def test_a_message_to_the_owner_replies_to_the_owners_copy_of_what_the_contact_replied_to() -> None:
    threading = threading_for_owner(
        exchange(), "example.com", "Re: A question", mailbox=OWNER, named=["s2@email.amazonses.com"]
    )

    assert threading.in_reply_to == "o2@private.example"
    assert threading.references == ("c-00000001.o@example.com", "s1@email.amazonses.com", "o2@private.example")


@pytest.mark.parametrize(
    ("named", "in_reply_to"),
    [
        (["unknown@example.org", "m1@example.org", "s2@email.amazonses.com"], "s1@email.amazonses.com"),
        (["@example.org", "m1@example.org"], "s1@email.amazonses.com"),
        (["copied@example.org"], "o2@private.example"),
        (["unknown@example.org"], "o4@private.example"),
        ([], "o4@private.example"),
    ],
)
def test_the_first_known_id_that_a_message_names_decides_what_it_replies_to(named: list[str], in_reply_to: str) -> None:
    links = (
        link("r1", "m1@example.org", "s1@email.amazonses.com"),
        link("r2", "copied@example.org", "o2@private.example"),
        link("r3", "copied@evil.example", "o3@private.example"),
        link("r4", owner_id="o4@private.example"),
        link("r5", "m5@example.org"),
    )
    known = conversation(links=links)

    threading = threading_for_owner(known, "example.com", "Re: A question", mailbox=OWNER, named=named)

    assert threading.in_reply_to == in_reply_to
    assert set(threading.references[1:]) == {one.owner_ids[OWNER] for one in links[:4]}


def test_without_known_ids_the_constant_id_holds_the_thread_together() -> None:
    threading = threading_for_owner(conversation(), "example.com", "Hello", mailbox=OWNER)

    assert threading.in_reply_to == "c-00000001.o@example.com"
    assert threading.references == ("c-00000001.o@example.com",)


def test_the_constant_id_on_the_contacts_side_does_not_show_the_thread_subdomain() -> None:
    threading = threading_for_contact(conversation(), "example.com", "Re:", replies_to=ReceiptId("none"))

    assert not any("@thread." in reference for reference in threading.references)


def test_ids_are_looked_up_nearest_first_and_bounded() -> None:
    ids = " ".join(f"<m{number}@example.org>" for number in range(500))
    message = parse(mail(references=ids, in_reply_to="<last@example.org>"))
    found = named_references(message)

    assert found[:2] == ("last", message.references[-1].partition("@")[0])
    assert len(found) <= MAX_REFERENCES


def test_of_too_many_ids_the_nearest_and_the_oldest_are_looked_up() -> None:
    ids = " ".join(f"<m{number}@example.org>" for number in range(500))
    message = parse(mail(references=ids))
    known = [reference.partition("@")[0] for reference in reversed(message.references)]
    half = MAX_REFERENCES // 2

    assert len(known) > MAX_REFERENCES
    assert named_references(message) == (*known[:half], *known[-half:])
    assert named_references(message)[-1] == "m0"


def test_ses_ids_get_the_host_of_their_region() -> None:
    assert wire_id("0100abc", "us-east-1") == "0100abc@email.amazonses.com"
    assert wire_id("0102abc", "eu-west-1") == "0102abc@eu-west-1.amazonses.com"


def test_the_local_part_of_an_id_is_cut_to_what_a_key_takes() -> None:
    assert local_part(f" <{'x' * 400}y@example.org>") == "x" * 400


def test_an_id_without_a_local_part_is_not_looked_up() -> None:
    assert named_references(
        parse(mail(in_reply_to="<@example.org>", references="<@example.net> <m1@example.org>"))
    ) == ("m1",)


def test_a_message_without_an_id_leaves_no_reference() -> None:
    message = parse(mail(message_id=None))

    assert own_reference(message, conversation(), ReceiptId("r1"), ()) == ()


def test_a_message_whose_id_is_known_leaves_no_second_reference() -> None:
    message = parse(mail(message_id="<m1@example.org>"))
    own = reference("m1", receipt=ReceiptId("r1"))

    assert own_reference(message, conversation(), ReceiptId("r1"), (reference("other"),)) == (own,)
    assert own_reference(message, conversation(), ReceiptId("r1"), (reference("other"), own)) == ()


KIM = EmailAddress("kim@example.org")


def test_a_reply_goes_where_the_message_it_names_says_else_to_the_last_verified_address() -> None:
    known = conversation(
        links=(
            link("r1", owner_id="s1@email.amazonses.com", reply_address=KIM),
            link("r2", owner_id="s2@email.amazonses.com"),
        )
    )

    def recipients(**headers: str) -> tuple[str, ...]:
        return reply_recipients(parse(mail(**headers)), known, everyone=False, at_most=10)  # type: ignore[arg-type]

    assert recipients(in_reply_to="<s1@email.amazonses.com>") == (KIM,)
    assert recipients(in_reply_to="<s2@email.amazonses.com>") == (JANE,)
    assert recipients(in_reply_to="<unknown@example.org>") == (JANE,)
    assert recipients(references="<s2@email.amazonses.com> <s1@email.amazonses.com>") == (KIM,)
    assert recipients(references="<s1@email.amazonses.com> <s2@email.amazonses.com>") == (JANE,)


def test_a_reply_to_everyone_goes_to_a_bounded_number_and_to_no_empty_address() -> None:
    others = tuple(EmailAddress(f"p{number}@example.org") for number in range(10))
    known = conversation(participants=others)
    message = parse(mail())

    assert reply_recipients(message, known, everyone=True, at_most=5) == (JANE, *others[:4])
    assert reply_recipients(message, replace(known, reply_address=""), everyone=True, at_most=20) == others


def test_the_message_replied_to_is_the_one_that_is_named() -> None:
    known = exchange()

    assert replied_to(parse(mail(in_reply_to="<s1@email.amazonses.com>")), known) == known.links[0]
    assert replied_to(parse(mail(in_reply_to="<unknown@example.org>")), known) is None


def test_a_linkedin_message_joins_by_ids_only_the_linkedin_conversation_of_its_person() -> None:
    person = LinkedInPerson(name="Jane", thread_url="")
    by_email = conversation()
    of_kim = conversation(contact_name="Kim", linkedin_thread="https://linkedin.example/1")
    of_jane = conversation(linkedin_thread="https://linkedin.example/2")

    assert choose_on_linkedin(person, namesakes=(of_jane,), by_reference=(by_email, of_kim, of_jane)) == of_jane
    assert choose_on_linkedin(person, namesakes=(of_jane,), by_reference=(by_email, of_kim)) is None


def test_a_linkedin_message_with_a_thread_joins_the_conversation_of_that_thread_and_no_namesakes() -> None:
    person = LinkedInPerson(name="Jane", thread_url="https://linkedin.example/2")
    namesake = conversation(linkedin_thread="https://linkedin.example/1")
    without_thread = conversation(linkedin_thread="")
    of_jane = conversation(linkedin_thread="https://linkedin.example/2")

    assert choose_on_linkedin(person, namesakes=(namesake, of_jane), by_reference=()) == of_jane
    assert choose_on_linkedin(person, namesakes=(namesake,), by_reference=(namesake, of_jane)) == of_jane
    assert choose_on_linkedin(person, namesakes=(namesake, without_thread), by_reference=(namesake,)) is None
