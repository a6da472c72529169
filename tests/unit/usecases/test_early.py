"""What inbound looks up by the headers in SES's event, while it reads the message."""

from dataclasses import replace
from typing import Any

import pytest

from cloud.ses import header_section
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.keys import raw_key
from email_handler.errors import ArchiveUnavailable, RecordsUnavailable
from email_handler.ports import Commit, Known, Question
from email_handler.senders.authentication import SesReceipt
from email_handler.usecases.inbound import receive
from tests.support.builders import mail
from tests.support.fakes import FakeRecords
from tests.support.world import World


class Watched(FakeRecords):
    """Notes what is asked and written."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Question] = []
        self.commits: list[Commit] = []

    def look_up(self, question: Question) -> Known:
        self.asked.append(question)
        return super().look_up(question)

    def commit(self, commit: Commit) -> None:
        self.commits.append(commit)
        super().commit(commit)


@pytest.fixture
def records() -> Watched:
    return Watched()


@pytest.fixture
def world(records: Watched) -> World:
    world = World()
    world.records = records
    return world


def test_a_message_whose_headers_are_in_the_event_is_asked_about_once(world: World, records: Watched) -> None:
    world.arrive(mail(references="<a@customer.example> <b@customer.example>", subject="Re: Grüße"))

    (question,) = records.asked
    assert question.references == ("b", "a", "first")
    assert question.fingerprints == ()


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"Subject: Another\r\n",
        b"nothing that could be a header",
        b"From: other@customer.example\r\nSubject: Hello\r\nMessage-ID: <first@customer.example>\r\n",
    ],
)
def test_a_message_whose_headers_are_not_in_the_event_is_asked_about_when_it_is_read(
    world: World, records: Watched, headers: bytes
) -> None:
    receipt = replace(world.store(mail()), headers=headers)
    decision = receive(receipt, raw_key("inbound", receipt.id), world.context)

    assert decision.outcome is Outcome.DELIVER
    assert records.asked[-1].fingerprints
    assert len(records.asked) == (2 if headers else 1)


def test_a_bounce_is_asked_about_when_it_is_read_since_its_body_names_what_it_is_about(
    world: World, records: Watched
) -> None:
    world.arrive(mail(sender="MAILER-DAEMON@customer.example"), envelope_sender="")

    assert len(records.asked) == 1
    assert records.asked[0].fingerprints


def test_a_second_copy_is_found_by_the_transaction(world: World, records: Watched) -> None:
    first = world.arrive(mail())
    second = world.arrive(mail())

    assert [(one.outcome, bool(one.jobs)) for one in (first, second)] == [
        (Outcome.DELIVER, True),
        (Outcome.RECORD, False),
    ]
    assert [commit.no_copy_of == () for commit in records.commits] == [False, False, True]


def test_an_unverified_copy_of_a_verified_message_is_found_by_the_transaction(world: World) -> None:
    world.arrive(mail())

    assert world.arrive(mail(), dmarc="GRAY", dkim="GRAY", spf="GRAY").outcome is Outcome.RECORD


def test_a_copy_that_would_be_held_is_recorded(world: World) -> None:
    world.arrive(mail())

    assert world.arrive(mail(), spam="FAIL").outcome is Outcome.RECORD


def test_a_second_event_of_one_receipt_finds_the_decision_without_another_look(world: World, records: Watched) -> None:
    raw = mail()
    first = world.arrive(raw, receipt="r1")
    records.asked.clear()

    assert world.arrive(raw, receipt="r1") == replace(first, done=True)
    assert len(records.asked) == len(records.commits) == 1


def test_headers_that_another_message_has_decide_nothing(world: World, records: Watched) -> None:
    """The event's headers are asked by, and compared; what is decided is read from the stored message."""
    another = header_section(mail(subject="Another", sender="other@customer.example"))
    receipt = replace(world.store(mail(subject="The stored one")), headers=another)
    receive(receipt, raw_key("inbound", receipt.id), world.context)

    (record,) = records.message_records.values()
    assert (record.subject, record.sender) == ("The stored one", "jane@customer.example")


@pytest.mark.parametrize("broken", ["archive", "records", "both"])
def test_an_outage_on_either_side_fails_the_invocation_and_the_next_one_decides(world: World, broken: str) -> None:
    receipt = world.store(mail())
    if broken != "records":
        world.archive.fail("get", ArchiveUnavailable("down"))
    if broken != "archive":
        world.records.fail("look_up", RecordsUnavailable("down"))
    with pytest.raises(ArchiveUnavailable if broken == "archive" else RecordsUnavailable):
        _receive(receipt, world)

    assert _receive(receipt, world).outcome is Outcome.DELIVER


def _receive(receipt: SesReceipt, world: World) -> Any:
    return receive(receipt, raw_key("inbound", receipt.id), world.context)
