"""Conditions that no alarm covers are reported once a day."""

from dataclasses import replace
from datetime import timedelta

from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import SendState
from email_handler.identifiers import LedgerId
from email_handler.usecases.conditions import REPORTED_FOR, left_over, report_conditions, undelivered
from email_handler.usecases.reconcile import Reconciled
from tests.support.records import forward
from tests.support.world import World


class FakeAlerts:
    """Keeps what was published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str]] = []

    def publish(self, subject: str, text: str) -> None:
        self.published.append((subject, text))


def test_without_conditions_nothing_is_published() -> None:
    topic = FakeAlerts()

    report_conditions((), topic)

    assert topic.published == []


def test_all_conditions_are_published_in_one_alert() -> None:
    topic = FakeAlerts()
    report_conditions(("rules: one was skipped", "SES has paused sending"), topic)
    ((subject, text),) = topic.published

    assert subject.isascii()
    assert "rules: one was skipped" in text
    assert "SES has paused sending" in text
    assert "docs/runbook.md" in text


def test_messages_that_could_not_be_taken_up_are_counted() -> None:
    done = Reconciled(seen=3, taken_up=(), finished=0, queued=0, waiting=0, failed={"one": "down", "two": "down"})

    (sentence,) = left_over(done)
    assert sentence.startswith("2 stored messages")
    assert left_over(replace(done, failed={})) == ()


def test_what_a_mailbox_of_the_owner_refused_within_a_week_is_counted() -> None:
    world = World()
    at = world.now - REPORTED_FOR
    for number, (kind, age) in enumerate(
        [
            (JobKind.FORWARD, timedelta()),
            (JobKind.NOTICE, timedelta()),
            (JobKind.FORWARD, timedelta(seconds=1)),
            (JobKind.REPLY, timedelta()),
            (JobKind.ACKNOWLEDGEMENT, timedelta()),
        ]
    ):
        item = forward(id=LedgerId(f"send-{number}"), kind=kind, state=SendState.BOUNCED, queued_at=at - age)
        world.records.ledger[item.id] = item

    (sentence,) = undelivered(world.context)
    assert sentence.startswith("2 emails")
