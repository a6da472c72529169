"""What becomes of a message that a mistake of ours kept from being judged or placed, as values."""

from dataclasses import replace
from typing import Any

import pytest

from email_handler.conversations.disposition import Disposition, Outcome, Reason, mistaken
from email_handler.conversations.evolve import add_message
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import forward_id, hourly_notice_id, notice_id
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import ParsedMessage, parse_received, unread_record
from email_handler.conversations.records import Conversation, LedgerItem
from email_handler.conversations.thread_address import ThreadTarget
from email_handler.identifiers import ArchiveKey, ConversationId, EmailAddress
from email_handler.mistakes import Mistake
from email_handler.ports import Commit, Known, Question
from email_handler.senders.authentication import SenderVerification
from email_handler.usecases import unread
from email_handler.usecases.unread import bare_conversation, bare_question, forward_unread, hold_unread
from tests.support.builders import mail
from tests.support.fakes import NOW
from tests.support.records import CONVERSATION, JANE, OWNER, PUBLIC, conversation, passed_receipt
from tests.support.world import THREAD, World

SALES, BOB, KIM = map(EmailAddress, ("sales@example.com", "bob@desk.example", "kim@desk.example"))
OWNERS = Owners(public_addresses=(PUBLIC, SALES), thread_domain=THREAD, forward_to=(OWNER, BOB))
MISTAKE = Mistake("ValueError", "mail.html:text:1")
COPY = Reason(stage="duplicate", rule="same-mail", detail="a copy of receipt r0")
TARGET = ThreadTarget(conversation=CONVERSATION, token="0123456789")
RELATED = conversation(mailboxes=(BOB,), received=3)
NEW = ConversationId("c-00000001")
NOTHING = Known()


def parsed(raw: bytes = mail(), *, verdicts: dict[str, Any] | None = None, **fields: Any) -> ParsedMessage:
    receipt = passed_receipt(**(verdicts or {}))
    return replace(parse_received(raw, receipt, "inbound", ArchiveKey("raw/inbound/r1"), NOW), **fields)


def forwarded(
    of: ParsedMessage, known: Known = NOTHING, *, stop: Reason | None = None, fingerprints: tuple[str, ...] = ()
) -> Commit:
    world = World()
    world.owners = OWNERS
    question = Question(receipt=of.receipt.id, decider="inbound", fingerprints=fingerprints)
    return forward_unread(of, MISTAKE, stop, question, known, world.configuration, world.context)


def held(of: ParsedMessage, known: Known = NOTHING) -> list[LedgerItem]:
    """Return the notices about *of*, a message to a thread address."""
    commit = hold_unread(of, MISTAKE, known, OWNERS)
    assert (commit.message.outcome, commit.message.reasons) == (Outcome.HOLD, (mistaken(MISTAKE),))
    assert {(item.kind, item.note) for item in commit.ledger} <= {(JobKind.NOTICE, NoticeKind.MISTAKE)}
    return list(commit.ledger)


def fails(*_: object, **__: object) -> None:
    raise MemoryError


@pytest.mark.parametrize(("target", "named"), [(None, ""), (TARGET, CONVERSATION)])
def test_the_bare_question_asks_for_what_the_receipt_and_the_thread_address_name(
    target: ThreadTarget | None, named: Any
) -> None:
    hourly = (hourly_notice_id(named, NOW), hourly_notice_id("", NOW))
    asked = Question(receipt=passed_receipt().id, decider="inbound", conversation=named, sends=hourly)

    assert bare_question(parsed(target=target)) == asked


def test_an_unread_message_starts_a_conversation_and_is_forwarded_with_a_warning_to_every_mailbox() -> None:
    of = parsed(mail(reply_to="kim@other.example"))
    commit = forwarded(of, fingerprints=("own", "other"))
    began = bare_conversation(of, EmailAddress("kim@other.example"), OWNERS, World().new_token)

    assert commit.conversation == add_message(began, of, EmailAddress("kim@other.example"), OWNERS)
    assert (commit.message.outcome, commit.message.reasons) == (Outcome.FLAG, (mistaken(MISTAKE),))
    assert (commit.message.conversation, commit.message.reply_address) == (began.id, "kim@other.example")
    assert [(item.kind, item.id, item.recipients) for item in commit.ledger] == [
        (JobKind.FORWARD, forward_id(began.id, of.receipt.id, mailbox), (mailbox,)) for mailbox in (OWNER, BOB)
    ]
    assert commit.fingerprint == "own"
    assert forwarded(of).fingerprint == ""


def test_the_conversation_of_an_unread_message_is_of_the_first_public_address_and_the_deployments_mailboxes() -> None:
    of = parsed(mail(subject="Hello"))
    began = conversation(
        id=NEW, token="0000000002", subject="Hello", mailboxes=(OWNER, BOB), received=0, contact_name=of.sender_name
    )

    assert bare_conversation(of, JANE, OWNERS, World().new_token) == began


def test_an_unread_message_joins_the_conversation_that_its_token_opens() -> None:
    of = parsed(target=TARGET, verdicts={"recipients": (EmailAddress(f"{CONVERSATION}.0123456789@{THREAD}"),)})
    commit = forwarded(of, Known(by_id=RELATED))

    assert commit.conversation == add_message(RELATED, of, JANE, OWNERS)
    assert (commit.message.outcome, commit.message.conversation) == (Outcome.FLAG, RELATED.id)
    assert [item.recipients for item in commit.ledger] == [(BOB,)]


@pytest.mark.parametrize("token", ["9876543210", "\udc80123456789"])
def test_an_unread_message_whose_token_is_not_right_or_cannot_be_compared_joins_nothing(token: str) -> None:
    commit = forwarded(parsed(target=replace(TARGET, token=token)), Known(by_id=RELATED))

    assert commit.conversation is not None
    assert (commit.conversation.token, commit.conversation.received) == ("0000000002", 1)


def test_an_unread_message_is_counted_even_if_it_cannot_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "add_message", fails)
    before = replace(RELATED, updated_at=NOW.replace(year=2020))

    assert forwarded(parsed(target=TARGET), Known(by_id=before)).conversation == replace(RELATED, received=4)


def test_an_unread_message_that_can_be_replied_to_nowhere_is_forwarded_without_a_reply_address() -> None:
    commit = forwarded(parsed(mail(sender=OWNER)))

    assert (commit.message.outcome, commit.message.reply_address) == (Outcome.FLAG, "")


@pytest.mark.parametrize(
    ("verdicts", "outcome", "rule"),
    [
        ({"virus": "FAIL"}, Outcome.HOLD, "virus"),
        ({"recipients": (EmailAddress("nobody@example.com"),)}, Outcome.DROP, "unknown-recipient"),
    ],
)
def test_what_the_verdicts_hold_or_drop_is_not_forwarded_because_it_was_not_read(
    verdicts: dict[str, Any], outcome: Outcome, rule: str
) -> None:
    commit = forwarded(parsed(verdicts=verdicts))

    assert (commit.message.outcome, commit.conversation, commit.ledger) == (outcome, None, ())
    assert commit.message.reasons[0].rule == rule


@pytest.mark.parametrize(("virus", "outcome"), [("FAIL", Outcome.HOLD), ("PASS", Outcome.FLAG)])
def test_without_the_filter_a_virus_alone_keeps_an_unread_message_from_being_forwarded(
    virus: str, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread, "_judged", fails)
    commit = forwarded(parsed(verdicts={"virus": virus}))

    assert (commit.message.outcome, commit.message.reasons) == (outcome, (mistaken(MISTAKE),))


def test_an_unread_copy_is_only_recorded_with_both_reasons() -> None:
    of = parsed()
    commit = forwarded(of, stop=COPY)

    recorded = Disposition(outcome=Outcome.RECORD, reasons=(COPY, mistaken(MISTAKE)))
    assert commit.message == unread_record(of, OWNERS, recorded)
    assert (commit.conversation, commit.ledger) == (None, ())


@pytest.mark.parametrize(
    ("target", "by_id", "mailboxes"),
    [(None, None, (OWNER, BOB)), (TARGET, None, (OWNER, BOB)), (TARGET, RELATED, (BOB,))],
)
def test_what_nobody_verified_says_to_a_thread_address_unread_causes_one_notice_an_hour_and_known_conversation(
    target: ThreadTarget | None, by_id: Conversation | None, mailboxes: tuple[EmailAddress, ...]
) -> None:
    """Nobody: of an owner, SPF alone verifies a server, not the person."""
    hourly = hourly_notice_id(CONVERSATION if by_id else "", NOW)
    for address, reason in ((None, "dmarc fail"), (JANE, "dmarc pass"), (OWNER, "spf aligned")):
        of = parsed(target=target, verification=SenderVerification(address=address, reason=reason))
        (notice,) = held(of, Known(by_id=by_id))

        assert (notice.id, notice.recipients, notice.conversation) == (hourly, mailboxes, by_id.id if by_id else "")
        assert held(of, Known(by_id=by_id, sends={hourly: notice})) == []


@pytest.mark.parametrize(("owner", "by_id"), [(OWNER, None), (OWNER, RELATED), (KIM, conversation(mailboxes=(KIM,)))])
def test_a_verified_owner_gets_a_notice_about_each_unread_message_to_a_thread_address(
    owner: EmailAddress, by_id: Conversation | None
) -> None:
    of = parsed(target=TARGET, verification=SenderVerification(address=owner, reason="dmarc pass"))
    (notice,) = held(of, Known(by_id=by_id))

    assert (notice.id, notice.recipients) == (notice_id(of.receipt.id, owner), (owner,))
    assert held(of, Known(by_id=by_id, sends={hourly_notice_id(CONVERSATION, NOW): notice})) == [notice]


def test_a_verified_owner_gets_one_notice_an_hour_about_unread_responses_to_notices() -> None:
    of = parsed(verification=SenderVerification(address=OWNER, reason="dmarc pass"))
    (notice,) = held(of, Known())

    assert (notice.id, notice.recipients) == (hourly_notice_id("", NOW), (OWNER,))
    assert held(of, Known(sends={notice.id: notice})) == []
