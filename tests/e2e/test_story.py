"""The seven steps of the demo on the deployed stack, with other people: messages in by SMTP, sent messages out.

The tests read the results from outside: from the outbox, the table and the archive.
"""

from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest

from cloud import mailclient
from cloud.cloud import LocalCloud
from cloud.ses import Sent
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import LedgerItem, MessageRecord, SendState, Status
from email_handler.identifiers import ConversationId, FunctionName, ReceiptId
from email_handler.outgoing.sentinels import BEGIN
from operations.connection import Connection, connect
from tests.conftest import PROJECT
from tests.support.builders import mail
from tests.support.revealed import revealed

pytestmark = pytest.mark.cloud

PUBLIC = "contact@example.com"
OWNER = "owner@private.example"
ERIKA = "erika@library.example"
SAMPLES = PROJECT / "events" / "mail"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one message caused: its record, and the messages sent for it."""

    receipt: ReceiptId
    record: MessageRecord
    sent: list[Sent]

    def to(self, address: str) -> list[Sent]:
        return [sent for sent in self.sent if address in sent.recipients]

    def only_to(self, address: str) -> Sent:
        assert [sent.recipients for sent in self.sent] == [(address,)]
        return self.sent[0]


type HandIn = Callable[[bytes, str, str], Result]


@pytest.fixture(scope="module")
def connection(cloud: LocalCloud) -> Connection:
    return connect(endpoint=cloud.endpoint)


@pytest.fixture(scope="module")
def hand_in(cloud: LocalCloud, connection: Connection) -> HandIn:
    def deliver(raw: bytes, sender: str, recipient: str) -> Result:
        cloud.settle()
        before = len(cloud.sent())
        receipt = ReceiptId(cloud.send(raw, sender, [recipient]))
        function: FunctionName = "inbound" if recipient == PUBLIC else "reply"
        cloud.wait_until(lambda: connection.records.decision(receipt, function), 60, "a decision")
        cloud.settle()
        record = connection.records.message(receipt, function)
        assert record is not None
        return Result(receipt=receipt, record=record, sent=cloud.sent()[before:])

    return deliver


def sample(name: str) -> bytes:
    """Return a sample message as Erika's instead of Jane's."""
    raw = (SAMPLES / f"{name}.eml").read_bytes()
    for jane, erika in ((b"jane@customer.example", ERIKA.encode()), (b"Jane", b"Erika"), (b"garden-plan-", b"erika-")):
        raw = raw.replace(jane, erika)
    return raw


def raw_of(sent: Sent) -> bytes:
    return Path(sent.eml).read_bytes()


def mail_of(sent: Sent) -> EmailMessage:
    return mailclient.read(raw_of(sent))


def banner_of(sent: Sent) -> list[str]:
    """Return the lines of the banner in the text of a forward."""
    text = mailclient.body(raw_of(sent))
    return text[text.index(BEGIN) : text.index("message]") + len("message]")].splitlines()


@pytest.fixture(scope="module")
def first(hand_in: HandIn) -> Result:
    return hand_in(sample("first_contact"), ERIKA, PUBLIC)


@pytest.fixture(scope="module")
def forward(first: Result) -> Sent:
    (sent,) = first.to(OWNER)
    return sent


@pytest.fixture(scope="module")
def replied(hand_in: HandIn, forward: Sent) -> Result:
    raw = mailclient.reply(
        raw_of(forward),
        sender=f"Owner <{OWNER}>",
        message_id="reply-to-erika@private.example",
        text="Dear Erika,\n\nTuesday at ten would suit me. Shall I bring soil samples?",
    )
    return hand_in(raw, OWNER, forward.sender)


@pytest.fixture(scope="module")
def continued(hand_in: HandIn, replied: Result) -> Result:
    raw = mailclient.reply(
        raw_of(replied.only_to(ERIKA)),
        sender=f"Erika Doe <{ERIKA}>",
        message_id="erika-2@library.example",
        text="Tuesday is perfect.",
    )
    return hand_in(raw, ERIKA, PUBLIC)


# 1


def test_a_first_message_is_acknowledged_once_from_the_public_address(first: Result) -> None:
    (acknowledgement,) = first.to(ERIKA)
    mail = mail_of(acknowledgement)

    assert acknowledgement.sender == PUBLIC
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["In-Reply-To"] == "<erika-1@customer.example>"
    assert "Garden plan" in mail["Subject"]


def test_a_first_message_is_forwarded_with_a_banner_and_its_file_unchanged(first: Result, forward: Sent) -> None:
    mail = mail_of(forward)
    original = next(mailclient.read(sample("first_contact")).iter_attachments()).get_content()
    files = {part.get_filename(): part.get_content() for part in mail.iter_attachments()}

    assert mail["To"] == PUBLIC, "the private mailbox is in the envelope only"
    assert forward.sender.endswith("@thread.example.com")
    assert files == {"garden-plan.pdf": original}
    assert any(ERIKA in line for line in banner_of(forward))
    assert len(banner_of(forward)) == 1, "all is well"
    assert mail["X-Email-Handler-Conversation"] == first.record.conversation
    assert "Tuesdays" in mailclient.body(raw_of(forward), "html")


def test_the_text_of_an_attached_pdf_is_in_the_archive(
    cloud: LocalCloud, connection: Connection, first: Result
) -> None:
    place = f"{first.record.conversation}/{first.receipt}"

    cloud.wait_until(lambda: list(connection.archive.keys(f"text/{place}/01.txt")), 60, "the PDF's text")
    assert "wheelchairs" in connection.archive.get(f"text/{place}/01.txt").decode()
    assert connection.archive.get(f"attachments/{place}/01-garden-plan.pdf").startswith(b"%PDF")
    (record,) = cloud.wait_until(lambda: _described(connection, first.receipt), 60, "the record's attachments")
    assert [(found.name, found.status) for found in record.attachments] == [("garden-plan.pdf", "extracted")]


def _described(connection: Connection, receipt: ReceiptId) -> list[MessageRecord]:
    record = connection.records.message(receipt, "inbound")
    return [record] if record is not None and record.attachments else []


# 2


def test_the_owners_reply_is_sent_from_the_public_address_in_the_thread(replied: Result) -> None:
    sent = replied.only_to(ERIKA)
    mail = mail_of(sent)

    assert sent.sender == PUBLIC
    assert PUBLIC in mail["From"]
    assert mail["To"].addresses[0].addr_spec == ERIKA
    assert mail["In-Reply-To"] == "<erika-1@customer.example>"
    assert "<erika-1@customer.example>" in mail["References"]
    assert "soil samples" in mailclient.body(raw_of(sent))
    assert "our library would like to plant" in mailclient.body(raw_of(sent)), "quotations are kept"


def test_the_owners_fully_decoded_reply_contains_nothing_private(
    connection: Connection, replied: Result, forward: Sent
) -> None:
    written = revealed(connection.archive.get(replied.record.archive_key))
    seen = revealed(raw_of(replied.only_to(ERIKA))) + mailclient.readable(raw_of(replied.only_to(ERIKA))).lower()
    lines = [line.lower() for line in banner_of(forward)]

    assert all(private in written for private in (OWNER, "@thread.", *lines)), "the owner's message contained all of it"
    assert OWNER not in seen
    assert "@thread." not in seen
    assert [line for line in lines if line in seen] == []
    assert "only you see this" not in seen


# 3


def test_the_contacts_next_message_joins_the_conversation_and_is_not_acknowledged_again(
    connection: Connection, first: Result, continued: Result
) -> None:
    assert continued.record.conversation == first.record.conversation
    continued.only_to(OWNER)
    conversation = connection.records.conversation(ConversationId(first.record.conversation))
    assert conversation is not None
    assert (conversation.received, conversation.sent, conversation.status) == (2, 1, Status.WAITING)


def test_both_forwards_are_one_thread_for_the_owner(forward: Sent, continued: Result) -> None:
    mail = mail_of(continued.only_to(OWNER))

    assert forward.message_id in mail["References"]
    assert str(mail["References"]).split()[0] == str(mail_of(forward)["References"]).split()[0]


# 4


def test_obvious_spam_is_held_with_its_reasons_and_nothing_is_sent(connection: Connection, hand_in: HandIn) -> None:
    held = hand_in(sample("spam").replace(b"blast-77@", b"blast-78@"), "growth@ranking-boost.example", PUBLIC)

    assert held.sent == []
    assert held.record.outcome is Outcome.HOLD
    assert "seo-offer" in [reason.rule for reason in held.record.reasons]
    assert held.receipt in [
        found.receipt for found in connection.records.find("verdict", "held") if isinstance(found, MessageRecord)
    ]


# 5


def test_a_linkedin_message_is_forwarded_in_a_conversation_named_after_its_sender(hand_in: HandIn) -> None:
    result = hand_in(sample("linkedin_message"), "s-2ab8dfbbd4bed@bounce.linkedin.com", PUBLIC)

    assert result.record.conversation == "linkedin-erika-doe"
    assert mail_of(result.only_to(OWNER))["From"].addresses[0].username.startswith("linkedin-erika-doe.")


def test_a_forged_linkedin_message_gets_no_conversation_named_after_its_sender(hand_in: HandIn) -> None:
    raw = mailclient.with_fields(
        sample("linkedin_message").replace(b"Erika", b"Mallory").replace(b"2026030410.1", b"2026030410.2"),
        X_Local_Verdicts="dkim=FAIL spf=GRAY dmarc=FAIL policy=none",
    )

    result = hand_in(raw, "mallory@elsewhere.example", PUBLIC)

    assert not result.record.conversation.startswith("linkedin-")
    assert {address for sent in result.sent for address in sent.recipients} <= {OWNER}


# 6


def test_a_contacts_out_of_office_reply_is_forwarded_and_not_acknowledged(
    hand_in: HandIn, replied: Result, continued: Result
) -> None:
    del continued  # requested so that it runs first: its test asserts counts of the conversation
    reply = replied.only_to(ERIKA)
    raw = mailclient.with_fields(sample("contact_out_of_office"), In_Reply_To=reply.message_id)

    result = hand_in(raw, "", PUBLIC)

    assert result.record.automatic
    assert result.record.conversation == replied.record.conversation
    result.only_to(OWNER)


def test_a_contact_who_wrote_by_machine_first_is_acknowledged_at_the_thread_address(hand_in: HandIn) -> None:
    late = "late@customer.example"
    automatic = mail(sender=late, message_id="<late-1@customer.example>", Auto_Submitted="auto-generated")
    forward = hand_in(automatic, late, PUBLIC).only_to(OWNER)

    result = hand_in(mail(sender=late, to=forward.sender, message_id="<late-2@customer.example>"), late, forward.sender)

    assert result.record.function == "reply"
    assert sorted(sent.recipients for sent in result.sent) == [(late,), (OWNER,)]


def test_the_owners_out_of_office_reply_is_recorded_and_not_relayed(
    hand_in: HandIn, forward: Sent, first: Result
) -> None:
    raw = mailclient.with_fields(sample("owner_out_of_office"), To=forward.sender, In_Reply_To=forward.message_id)

    result = hand_in(raw, "", forward.sender)

    assert result.sent == []
    assert (result.record.outcome, result.record.conversation) == (Outcome.RECORD, first.record.conversation)


def test_a_bounce_of_the_acknowledgement_is_recorded_in_its_conversation(
    cloud: LocalCloud, connection: Connection, first: Result, continued: Result
) -> None:
    del continued  # requested so that it runs first: after this bounce she is unreachable
    (acknowledgement,) = first.to(ERIKA)

    cloud.ses_event("Bounce", acknowledgement.ses_id)
    cloud.settle()

    messages = connection.records.messages(ConversationId(first.record.conversation))
    (bounce,) = [message for message in messages if message.feedback]
    bounced = connection.records.find("send_state", SendState.BOUNCED)
    assert (bounce.feedback["status"], bounce.feedback["recipient"]) == ("5.1.1", ERIKA)
    assert acknowledgement.ses_id in [send.ses_id for send in bounced if isinstance(send, LedgerItem)]


# 7


def test_a_forged_owner_is_refused_and_nothing_reaches_the_contact(hand_in: HandIn, forward: Sent) -> None:
    verdicts = "spf=FAIL dkim=GRAY dmarc=FAIL policy=none"
    raw = mailclient.with_fields(sample("forged_owner"), To=forward.sender, X_Local_Verdicts=verdicts)

    result = hand_in(raw, "x@laptop.invalid", forward.sender)

    assert result.record.outcome is Outcome.HOLD
    assert [str(reason) for reason in result.record.reasons] == ["owner:not-verified"]
    assert result.to(ERIKA) == []
    assert mail_of(result.only_to(OWNER))["Auto-Submitted"] == "auto-generated"
