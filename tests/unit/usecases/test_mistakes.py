"""Each pure step raises in turn, for every kind of message: the message is recorded, and nobody waits for it in vain."""

import inspect
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from types import ModuleType
from typing import Any

import pytest

from email_handler import mistakes
from email_handler.conversations import parsed
from email_handler.conversations.disposition import Outcome, mistake_in
from email_handler.conversations.held import RELEASED
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Decision, MessageRecord, SendState
from email_handler.mail import parsing
from email_handler.mail.parsing import parse
from email_handler.usecases import (
    contact_message,
    held,
    reconcile,
    reply,
    send_acknowledgement,
    send_forward,
    send_reply,
)
from tests.support.bounces import report
from tests.support.builders import mail
from tests.support.world import OWNER, PUBLIC, THREAD, World

NOT_STEPS = frozenset(
    """
    acknowledgement_id forward_id hourly_notice_id notice_id reply_id thread_address
    attempt attempt_or unread unread_record mistaken mistake_in bare_question forward_unread hold_unread parse_received
    compose_whole _compose_forward _compose_notice
    decide_contact_message decide_once relay_reply build_commit new_send
    send send_forward send_reply send_acknowledgement conversation_of
    """.split()  # noqa: SIM905 - names read better so
)
"""Ids; the net and what it falls back to; what takes ports, so that it raises what an outage raises."""
PURE = ("mail", "senders", "conversations", "spam", "outgoing", "usecases")


def steps(module: ModuleType) -> Iterator[tuple[Any, str]]:
    """Yield every function that *module* calls by its name and that may read a message."""
    for name, value in vars(module).items():
        ours = inspect.isfunction(value) and value.__module__.startswith(tuple(f"email_handler.{p}." for p in PURE))
        if ours and name not in NOT_STEPS:
            yield module, name


RECEIVING = [
    *steps(parsing),
    *steps(parsed),
    *steps(contact_message),
    *steps(reply),
    *((Owners, name) for name in ("reply_address", "thread_targets", "public_recipients", "may_be_written_to")),
]
PARSING = len(list(steps(parsing)))
OWNERS = [(Owners, name) for name in ("reply_address", "thread_targets", "public_recipients", "header_recipients")]
RELEASING = [*steps(parsed), *steps(contact_message), (held, "receipt_from_message"), *OWNERS]
TAKING_UP = [(reconcile, "receipt_from_message"), (Owners, "header_recipients")]
SENDING = [*steps(send_forward), *steps(send_reply), *steps(send_acknowledgement)]


class Panic(BaseException):
    """As pyo3 raises when Rust panics: no Exception."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of message and how it arrives."""

    raw: Callable[[str], bytes]  # given the conversation's thread address
    to_thread: bool = False
    changes: dict[str, str] = field(default_factory=dict)


def conversation(world: World) -> Any:
    return next(iter(world.records.conversations.values()))


def owners(**headers: Any) -> Callable[[str], bytes]:
    fields = {"sender": OWNER, "subject": "Re: Hello", "message_id": "<o@private.example>", **headers}
    return lambda thread: mail(to=thread, **fields)


def theirs(**fields: Any) -> Callable[[str], bytes]:
    raw = mail(**{"message_id": "<second@customer.example>", **fields})
    return lambda _: raw


CALENDAR = (
    b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nORGANIZER:mailto:jane@customer.example\r\nEND:VEVENT\r\n"
)
KINDS = {
    "contact": Kind(raw=theirs()),
    "follow-up": Kind(raw=theirs(in_reply_to="<first@customer.example>")),
    "contact at the thread address": Kind(raw=theirs(), to_thread=True),
    "owner's reply": Kind(raw=owners(), to_thread=True),
    "owner's response to an invitation": Kind(
        raw=owners(attachments=[("a.ics", "text/calendar", CALENDAR.replace(b"REQUEST", b"REPLY"))]), to_thread=True
    ),
    "owner's out-of-office": Kind(raw=owners(auto_submitted="auto-replied"), to_thread=True),
    "forged owner": Kind(raw=owners(), to_thread=True, changes={"dmarc": "FAIL"}),
    "stranger at the thread address": Kind(raw=theirs(sender="kim@other.example"), to_thread=True),
    "machine": Kind(raw=theirs(auto_submitted="auto-replied")),
    "bounce": Kind(
        raw=lambda _: report("Final-Recipient: rfc822; kim@customer.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"),
        changes={"envelope_sender": ""},
    ),
    "LinkedIn": Kind(
        raw=theirs(
            sender="Jane Doe via LinkedIn <messages-noreply@linkedin.com>",
            text="https://www.linkedin.com/messaging/thread/2-abc/",
        )
    ),
    "unverified": Kind(raw=theirs(), changes={"dmarc": "GRAY", "spf": "GRAY", "dkim": "GRAY"}),
    "held": Kind(raw=theirs(), changes={"spam": "FAIL"}),
    "virus": Kind(raw=theirs(), changes={"virus": "FAIL"}),
    "attachment only": Kind(raw=theirs(text=None, attachments=[("a.pdf", "application/pdf", b"%PDF-1.4")])),
    "calendar": Kind(raw=theirs(attachments=[("a.ics", "text/calendar", CALENDAR)])),
}


def arrive(world: World, kind: Kind) -> Decision:
    thread = f"{conversation(world).id}.{conversation(world).token}@{THREAD}"
    return world.arrive(kind.raw(thread), to=thread if kind.to_thread else PUBLIC, **kind.changes)


@cache
def _begun() -> World:
    world = World()
    world.arrive(mail())
    world.run()
    return world


def begun() -> World:
    """Return a world of its own in which the contact has written once."""
    world = World()
    for port in ("archive", "records", "mailer"):
        for name, value in vars(getattr(_begun(), port)).items():
            if isinstance(value, dict | list):
                setattr(getattr(world, port), name, copy(value))
    world._numbers = count(100)
    return world


def taken(steps: Iterable[tuple[Any, str]], kind: Kind, monkeypatch: pytest.MonkeyPatch, run: bool) -> list[Any]:
    """Return those of *steps* that a message of *kind* takes."""
    seen: dict[Any, None] = {}
    world = begun()
    with monkeypatch.context() as patched:
        for where, name in steps:
            real = getattr(where, name)

            def watched(*args: Any, real: Callable[..., Any] = real, step: Any = (where, name), **kwargs: Any) -> Any:
                seen[step] = None
                return real(*args, **kwargs)

            patched.setattr(where, name, watched)
        arrive(world, kind)
        if run:
            world.run()
    return list(seen)


@pytest.mark.parametrize("name", KINDS)
def test_a_message_is_recorded_whichever_step_raises(
    name: str, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    kind = KINDS[name]
    kept = arrive(begun(), kind).outcome
    caught = 0
    # Whichever step of parsing raises, parsing as a whole does: two kinds stand for all.
    every = RECEIVING if name in ("contact", "owner's reply") else RECEIVING[PARSING:]
    for number, (where, step) in enumerate(taken(every, kind, monkeypatch, run=False)):
        error = (MemoryError, RecursionError, ValueError, Panic)[number % 4]

        def fails(*_: object, error: type[BaseException] = error, **__: object) -> None:
            raise error("the message's own words")

        with subtests.test(step=f"{where.__name__}.{step}"):
            world = begun()
            with monkeypatch.context() as patched:
                patched.setattr(where, step, fails)
                decision = arrive(world, kind)
            record = world.records.message_records[decision.receipt, "reply" if kind.to_thread else "inbound"]
            reason = mistake_in(record.reasons)
            if reason is None:
                assert record.outcome is kept, "the step was not taken, or has a default"
                continue
            caught += 1
            left = world.run()
            assert (reason.rule, decision.mistake[: len(reason.rule)]) == (error.__name__, error.__name__)
            assert "own words" not in repr(record)
            assert_nobody_waits(world, record, kept, [one.recipients for one in left])
    assert caught >= 5


def test_a_released_message_is_forwarded_whichever_step_raises(
    monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise Panic("the message's own words")

    for where, step in RELEASING:
        with subtests.test(step=f"{where.__name__}.{step}"):
            world = begun()
            receipt = arrive(world, KINDS["held"]).receipt
            with monkeypatch.context() as patched:
                patched.setattr(where, step, fails)
                decision = held.release(receipt, "inbound", world.context)
            record = world.records.message_records[receipt, "inbound"]
            assert (OWNER,) in [one.recipients for one in world.run()]
            assert (decision.decider, RELEASED in record.reasons) == ("operator", True)
            assert record.outcome is (Outcome.FLAG if mistake_in(record.reasons) else Outcome.DELIVER)


@pytest.mark.parametrize("function", ["inbound", "reply"])
@pytest.mark.parametrize(("where", "step"), TAKING_UP)
def test_a_message_is_taken_up_whichever_step_of_reading_its_receipt_raises(
    where: Any, step: str, function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = begun()
    to = f"{conversation(world).id}.{conversation(world).token}@{THREAD}" if function == "reply" else PUBLIC
    raw = mail(
        to=to, sender=OWNER if function == "reply" else "jane@customer.example", message_id="<n@private.example>"
    )
    receipt = world.store(raw, to=to, function=function).id

    def fails(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr(where, step, fails)
    reconcile.take_up(receipt, function, world.context, acknowledge=True)
    monkeypatch.undo()

    record = world.records.message_records[receipt, function]
    assert mistake_in(record.reasons)
    assert [one.recipients for one in world.run()] == [(OWNER,)]


def assert_nobody_waits(world: World, record: MessageRecord, kept: Outcome, left: list[Any]) -> None:
    """Assert that the owner got what the filter would not keep, or a notice; and that the contact got nothing."""
    assert {item.state for item in world.records.ledger.values()} <= {SendState.SENT}
    assert record.outcome in (Outcome.FLAG, Outcome.HOLD, Outcome.RECORD)
    if record.function == "reply" or kept in (Outcome.DELIVER, Outcome.FLAG):
        assert left == [(OWNER,)]
    if kept is Outcome.HOLD:
        assert record.outcome is Outcome.HOLD


@pytest.mark.parametrize("name", KINDS)
def test_every_send_ends_whichever_step_of_composing_raises(
    name: str, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    for where, step in taken(SENDING, KINDS[name], monkeypatch, run=True):

        def fails(*_: object, **__: object) -> None:
            raise MemoryError

        with subtests.test(step=f"{where.__name__}.{step}"):
            world = begun()
            arrive(world, KINDS[name])
            due = [job.ledger for job in world.jobs.queued]
            with monkeypatch.context() as patched:
                patched.setattr(where, step, fails)
                world.run()
            states = {item.id: (item.kind, item.state) for item in world.records.ledger.values()}
            for ledger in due:
                sort, state = states[ledger]
                assert state is SendState.SENT or (state is SendState.FAILED and sort is not JobKind.FORWARD)
                if state is SendState.FAILED:
                    assert world.jobs.dead_lettered


@pytest.mark.parametrize("name", ["contact", "owner's reply"])
def test_a_step_that_does_not_end_is_stopped_in_time_to_record_the_message(
    name: str, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    def never_ends(*_: object, **__: object) -> None:
        while True:
            with suppress(Exception):  # as libraries do
                sum(range(1000))

    kind = KINDS[name]
    found = 0
    for where, step in taken([*RECEIVING[PARSING:], *SENDING], kind, monkeypatch, run=True)[::5]:
        with subtests.test(step=f"{where.__name__}.{step}"), monkeypatch.context() as patched:
            world = begun()
            patched.setattr(where, step, never_ends)
            with mistakes.steps_end_within(lambda: 0.3):
                decision = arrive(world, kind)
                world.run()
            record = world.records.message_records[decision.receipt, "reply" if kind.to_thread else "inbound"]
            reason = mistake_in(record.reasons)
            found += reason is not None and reason.rule == "TookTooLong"
            assert {item.state for item in world.records.ledger.values()} <= {SendState.SENT, SendState.FAILED}
    assert found >= 2


def test_a_step_has_a_share_of_the_time_that_is_left_and_one_within_it_none_of_its_own() -> None:
    left = [9.0, 6.0]
    seen = []

    def step() -> None:
        seen.append(round(signal.getitimer(signal.ITIMER_REAL)[0], 1))

    def outer() -> None:
        step()
        mistakes.attempt(step)

    with mistakes.steps_end_within(lambda: left[0]):
        mistakes.attempt(outer)
        del left[0]
        mistakes.attempt(step)
        step()

    assert seen == [3.0, 3.0, 2.0, 0.0]


def test_a_step_in_another_thread_has_no_time_limit() -> None:
    with ThreadPoolExecutor(1) as pool:

        def run() -> str | mistakes.Mistake:
            with mistakes.steps_end_within(lambda: 0.0):
                return mistakes.attempt(lambda: "ended")

        assert pool.submit(run).result() == "ended"


def test_a_header_that_can_be_read_gives_an_unread_message_its_sender_and_its_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = begun()
    whole = parsing._read

    def only_the_header(raw: bytes) -> Any:
        assert b"trap" not in raw
        return whole(raw)

    monkeypatch.setattr(parsing, "_read", only_the_header)
    decision = world.arrive(mail(subject="Re: Hello", text="trap", message_id="<second@customer.example>"))
    (left,) = world.run()

    record = world.records.message_records[decision.receipt, "inbound"]
    assert (record.outcome, record.sender, record.verified) == (Outcome.FLAG, "jane@customer.example", True)
    assert decision.conversation == conversation(world).id
    assert left.recipients == (OWNER,)
    (original,) = parse(left.raw).attachments
    assert b"trap" in original.payload
