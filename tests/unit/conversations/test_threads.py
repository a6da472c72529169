"""Which conversation a message joins, and the ids that keep it one thread."""

from datetime import timedelta

from email_handler.conversations.evolve import with_link
from email_handler.conversations.records import Conversation, Status
from email_handler.conversations.threads import (
    MAX_REFERENCES,
    TOPIC_AGE,
    choose,
    named_references,
    threading_for_contact,
    threading_for_owner,
    wire_id,
)
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.mail.parsing import parse
from tests.support.builders import mail
from tests.support.fakes import NOW
from tests.support.records import JANE, OWNER, conversation, link


def choice(**given_: object) -> Conversation | None:
    plain: dict[str, object] = {"by_token": None, "by_reference": (), "by_topic": None, "verified": JANE, "now": NOW}
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


def exchange() -> Conversation:
    one = with_link(conversation(), link("r1", "m1@example.org", "s1@email.amazonses.com"))
    return with_link(one, link("r2", "s2@email.amazonses.com", "o2@private.example"))


def test_a_message_to_the_contact_names_only_ids_that_the_contact_has() -> None:
    threading = threading_for_contact(exchange(), "example.com", "Re: A question", replies_to=ReceiptId("r1"))

    assert threading.in_reply_to == "m1@example.org"
    assert threading.references == ("c-00000001.c@example.com", "s2@email.amazonses.com", "m1@example.org")


def test_a_message_to_the_owner_replies_to_the_owners_copy_of_what_the_contact_replied_to() -> None:
    threading = threading_for_owner(
        exchange(), "example.com", "Re: A question", mailbox=OWNER, named=["s2@email.amazonses.com"]
    )

    assert threading.in_reply_to == "o2@private.example"
    assert threading.references == ("c-00000001.o@example.com", "s1@email.amazonses.com", "o2@private.example")


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


def test_ses_ids_get_the_host_of_their_region() -> None:
    assert wire_id("0100abc", "us-east-1") == "0100abc@email.amazonses.com"
    assert wire_id("0102abc", "eu-west-1") == "0102abc@eu-west-1.amazonses.com"
