"""The senders when SES, the table or the archive fails: nothing is lost, and a second copy is a possible duplicate."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from email_handler.conversations.jobs import Job, JobKind, SendResult
from email_handler.conversations.keys import ses_id_key
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.records import LedgerItem, MessageRecord, Refusals, SendState
from email_handler.errors import (
    ArchiveUnavailable,
    LeaseHeld,
    MessageRefused,
    QueueUnavailable,
    RecordChanged,
    RecordsUnavailable,
    RetryLater,
    SendingBlocked,
    SendingThrottled,
    SendOutcomeUnknown,
)
from email_handler.identifiers import LedgerId, SesId
from email_handler.mistakes import Mistake, TookTooLong
from email_handler.outgoing import whole
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.notice import compose_notice
from email_handler.ports import SendContext, SentCommit
from email_handler.usecases import send_forward, send_reply, sending, side_by_side
from email_handler.usecases.retries import AFTER_LOST, COPIES, PATIENCE, PATIENCE_BLOCKED
from email_handler.usecases.sending import TRIES
from tests.support.builders import mail
from tests.support.fakes import FakeRecords, Sent
from tests.support.in_turn import InTurn
from tests.support.world import OWNER, SENDERS, THREAD, World, read

LEASE = timedelta(seconds=60)


@pytest.fixture
def world() -> World:
    world = World()
    world.arrive(mail())
    return world


def job(world: World, kind: JobKind) -> Job:
    return next(item.job for item in world.records.ledger.values() if item.kind is kind)


def item(world: World, kind: JobKind) -> LedgerItem:
    return next(item for item in world.records.ledger.values() if item.kind is kind)


def send(world: World, kind: JobKind) -> SendResult:
    return SENDERS[kind](job(world, kind), world.dispatch)


def queue_one(world: World, kind: JobKind) -> None:
    """Leave one job of *kind* alone in the queues and the ledger."""
    if kind is JobKind.REPLY:
        owners_reply(world)
        (only,) = (one for one in world.records.ledger.values() if one.kind is kind)
    else:
        only = replace(item(world, JobKind.FORWARD), id=LedgerId(f"{kind}-1"), kind=kind)
        only = replace(only, note=NoticeKind.CHANGED) if kind is JobKind.NOTICE else only
    world.records.ledger = {only.id: only}
    world.jobs.queued = [only.job]


def lose_response(world: World, kind: JobKind, *, crash: bool) -> None:
    """Send, and lose SES's response: with the process, or by a time-out."""
    if crash:
        world.mailer.fail("send", KeyboardInterrupt(), after=True)
        with pytest.raises(KeyboardInterrupt):
            send(world, kind)
        world.now += world.dispatch.lease
    else:
        world.mailer.fail("send", SendOutcomeUnknown("read time-out"), after=True)
        with pytest.raises(RetryLater):
            send(world, kind)


def of_kind(world: World, kind: JobKind) -> list[Sent]:
    return [sent for sent in world.mailer.sent if sent.ledger.startswith(kind)]


BOTH = pytest.mark.parametrize("kind", [JobKind.FORWARD, JobKind.ACKNOWLEDGEMENT])


@BOTH
def test_a_job_that_arrives_twice_is_sent_once(world: World, kind: JobKind) -> None:
    assert [send(world, kind), send(world, kind)] == [SendResult.SENT, SendResult.SKIPPED]
    assert len(world.mailer.sent) == 1


@BOTH
@pytest.mark.parametrize("error", [SendingThrottled, SendingBlocked])
def test_a_message_that_ses_does_not_accept_now_is_sent_later(
    world: World, kind: JobKind, error: Callable[[str], Exception]
) -> None:
    world.mailer.fail("send", error("not now"))
    with pytest.raises(RetryLater) as later:
        send(world, kind)

    assert (later.value.delay, item(world, kind).state) == (15, SendState.QUEUED)
    assert item(world, kind).due == world.now + timedelta(seconds=15)
    assert send(world, kind) is SendResult.SENT
    assert not item(world, kind).possible_duplicate


@BOTH
def test_a_message_that_ses_refuses_for_good_is_dead_lettered_at_once_with_its_reason(
    world: World, kind: JobKind
) -> None:
    world.mailer.fail("send", MessageRefused("MessageRejected"))

    assert send(world, kind) is SendResult.DEAD_LETTERED
    assert (item(world, kind).state, item(world, kind).reason) == (SendState.FAILED, "MessageRejected")
    assert [(dead.kind, dead.reason, dead.attempts) for dead in world.jobs.dead_lettered] == [
        (kind, "MessageRejected", 1)
    ]
    assert send(world, kind) is SendResult.SKIPPED


@BOTH
def test_the_ledger_gives_no_job_up_before_its_dead_letter_is_queued(world: World, kind: JobKind) -> None:
    world.mailer.fail("send", MessageRefused("MessageRejected"))
    world.jobs.fail("dead_letter", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        send(world, kind)

    assert item(world, kind).state is SendState.SENDING


@BOTH
def test_a_crash_between_the_dead_letter_and_the_ledger_leaves_the_letter(world: World, kind: JobKind) -> None:
    world.mailer.fail("send", MessageRefused("MessageRejected"))
    world.records.fail("give_back", RecordsUnavailable("down"))
    with pytest.raises(RecordsUnavailable):
        send(world, kind)

    assert [dead.kind for dead in world.jobs.dead_lettered] == [kind]


def test_a_forward_with_a_lost_response_is_sent_again_as_a_possible_duplicate(world: World) -> None:
    world.mailer.fail("send", SendOutcomeUnknown("read time-out"), after=True)
    with pytest.raises(RetryLater):
        send(world, JobKind.FORWARD)

    assert send(world, JobKind.FORWARD) is SendResult.SENT
    assert len(world.mailer.sent) == 2
    assert item(world, JobKind.FORWARD).possible_duplicate


@pytest.mark.parametrize("kind", [JobKind.FORWARD, JobKind.REPLY, JobKind.NOTICE])
@pytest.mark.parametrize("crash", [False, True])
def test_copies_end_with_a_dead_letter_if_every_response_is_lost(world: World, kind: JobKind, crash: bool) -> None:
    queue_one(world, kind)
    for _ in range(COPIES[kind] - 1):
        lose_response(world, kind, crash=crash)
    if crash:
        lose_response(world, kind, crash=True)
    else:
        world.mailer.fail("send", SendOutcomeUnknown("read time-out"), after=True)

    assert send(world, kind) is SendResult.UNKNOWN
    assert len(of_kind(world, kind)) == COPIES[kind]
    assert (item(world, kind).state, item(world, kind).lost) == (SendState.UNKNOWN, COPIES[kind])
    (letter,) = world.jobs.dead_lettered
    assert (letter.kind, letter.attempts) == (kind, item(world, kind).attempt)
    assert letter.reason == item(world, kind).reason
    assert letter.reason.startswith("it may have been sent already")
    assert send(world, kind) is SendResult.SKIPPED


def test_a_lost_response_is_followed_by_a_pause_in_which_ses_can_report(world: World) -> None:
    world.mailer.fail("send", SendOutcomeUnknown("read time-out"), after=True)
    with pytest.raises(RetryLater) as later:
        send(world, JobKind.FORWARD)

    assert later.value.delay >= AFTER_LOST.total_seconds()


def test_the_owner_hears_that_their_reply_may_have_left(world: World) -> None:
    queue_one(world, JobKind.REPLY)
    for _ in range(COPIES[JobKind.REPLY]):
        world.mailer.fail("send", SendOutcomeUnknown("read time-out"), after=True)
    left = world.run()

    (notice,) = [sent for sent in left if sent.sender == world.owners.notices_address]
    assert notice.recipients == (OWNER,)
    assert read(notice)["From"].startswith('"Perhaps not sent')


def test_the_owner_does_not_hear_that_a_reply_was_not_sent_if_an_earlier_try_may_have_sent_it(world: World) -> None:
    """They would write again what the contact has."""
    queue_one(world, JobKind.REPLY)
    lose_response(world, JobKind.REPLY, crash=False)
    world.mailer.fail("send", MessageRefused("MessageRejected"))
    assert send(world, JobKind.REPLY) is SendResult.DEAD_LETTERED

    assert item(world, JobKind.NOTICE).note == NoticeKind.MAY_BE_SENT


@pytest.mark.parametrize(("lost", "state"), [(1, SendState.FAILED), (2, SendState.UNKNOWN)])
def test_a_reply_that_may_have_left_as_often_as_it_may_is_unknown_even_if_the_archive_is_never_available(
    world: World, lost: int, state: SendState
) -> None:
    """As failed, a redrive would send it again without being asked to."""
    owners_reply(world)
    since = world.now - PATIENCE - timedelta(seconds=1)
    refusals = Refusals(kind="ArchiveUnavailable", times=20, since=since, in_all=20, first_at=since)
    reply = replace(item(world, JobKind.REPLY), lost=lost, refusals=refusals)
    world.records.ledger[reply.id] = reply
    world.archive.fail("get", ArchiveUnavailable("down"))
    send(world, JobKind.REPLY)

    assert item(world, JobKind.REPLY).state is state


def test_a_reply_whose_conversation_is_gone_is_dead_lettered_once(world: World) -> None:
    owners_reply(world)
    world.records.conversations.clear()

    assert send(world, JobKind.REPLY) is SendResult.DEAD_LETTERED
    assert item(world, JobKind.REPLY).state is SendState.FAILED
    assert send(world, JobKind.REPLY) is SendResult.SKIPPED
    assert len(world.jobs.dead_lettered) == 1


def test_a_dead_letter_that_the_ledger_does_not_know_of_costs_no_copy(world: World) -> None:
    queue_one(world, JobKind.REPLY)
    lose_response(world, JobKind.REPLY, crash=False)
    world.mailer.fail("send", SendOutcomeUnknown("read time-out"), after=True)
    world.records.fail("give_back", RecordsUnavailable("down"))
    with pytest.raises(RecordsUnavailable):
        send(world, JobKind.REPLY)
    world.now += world.dispatch.lease

    assert send(world, JobKind.REPLY) is SendResult.UNKNOWN
    assert len(of_kind(world, JobKind.REPLY)) == 2


def test_what_has_left_is_recorded_as_sent_even_if_it_can_no_longer_be_composed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners_reply(world)
    world.records.fail("sent", RecordsUnavailable("down"))
    with pytest.raises(RecordsUnavailable):
        send(world, JobKind.REPLY)
    world.now += world.dispatch.lease
    monkeypatch.setattr(send_reply, "compose_reply", hungry)

    assert send(world, JobKind.REPLY) is SendResult.SENT
    assert len(of_kind(world, JobKind.REPLY)) == 1
    assert world.events.details("Reply Sent")


def test_whatever_is_raised_after_ses_has_responded_its_id_is_kept(world: World) -> None:
    world.records.fail("sent", MemoryError())
    with pytest.raises(MemoryError):
        send(world, JobKind.FORWARD)
    world.now += world.dispatch.lease

    assert send(world, JobKind.FORWARD) is SendResult.SENT
    assert len(world.mailer.sent) == 1


def test_an_acknowledgement_with_a_lost_response_is_never_sent_again(world: World) -> None:
    world.mailer.fail("send", SendOutcomeUnknown("read time-out"), after=True)

    assert send(world, JobKind.ACKNOWLEDGEMENT) is SendResult.UNKNOWN
    assert send(world, JobKind.ACKNOWLEDGEMENT) is SendResult.SKIPPED
    assert len(world.mailer.sent) == 1
    assert item(world, JobKind.ACKNOWLEDGEMENT).state is SendState.UNKNOWN


@BOTH
def test_a_job_waits_while_another_worker_sends_it(world: World, kind: JobKind) -> None:
    world.records.claim(job(world, kind).ledger, world.now, world.now + LEASE)

    with pytest.raises(LeaseHeld):
        send(world, kind)
    assert world.mailer.sent == []


def test_after_a_crash_a_forward_is_sent_again_as_a_possible_duplicate(world: World) -> None:
    world.records.claim(job(world, JobKind.FORWARD).ledger, world.now, world.now + LEASE)
    world.now += LEASE

    assert send(world, JobKind.FORWARD) is SendResult.SENT
    assert item(world, JobKind.FORWARD).possible_duplicate


def test_after_a_crash_an_acknowledgement_is_recorded_as_unknown(world: World) -> None:
    world.records.claim(job(world, JobKind.ACKNOWLEDGEMENT).ledger, world.now, world.now + LEASE)
    world.now += LEASE

    assert send(world, JobKind.ACKNOWLEDGEMENT) is SendResult.UNKNOWN
    assert world.mailer.sent == []


@BOTH
def test_a_send_is_retried_when_the_archive_is_unavailable(world: World, kind: JobKind) -> None:
    world.archive.fail("put", ArchiveUnavailable("down"))
    with pytest.raises(RetryLater):
        send(world, kind)

    assert send(world, kind) is SendResult.SENT


def test_a_forward_whose_message_is_missing_from_the_archive_is_dead_lettered(world: World) -> None:
    world.archive.objects.clear()

    assert send(world, JobKind.FORWARD) is SendResult.DEAD_LETTERED
    assert len(world.jobs.dead_lettered) == 1


def test_a_forward_of_no_conversation_is_dead_lettered(world: World) -> None:
    forward = item(world, JobKind.FORWARD)
    world.records.ledger[forward.id] = replace(forward, conversation="")

    assert send(world, JobKind.FORWARD) is SendResult.DEAD_LETTERED
    assert item(world, JobKind.FORWARD).reason == "the send names a conversation that the table does not hold"


def test_a_reply_to_a_contact_without_a_record_is_sent(world: World) -> None:
    (conversation,) = world.records.conversations.values()
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    world.arrive(mail(sender=OWNER, to=thread, message_id="<o@private.example>"), to=thread)
    world.records.contacts.clear()

    assert send(world, JobKind.REPLY) is SendResult.SENT


def test_a_bug_in_composing_dead_letters_the_job_with_the_name_of_the_error(world: World) -> None:
    forward = job(world, JobKind.FORWARD)
    ledger = world.records.ledger[forward.ledger]
    world.records.ledger[forward.ledger] = replace(ledger, kind=JobKind.NOTICE, note="no such notice")
    notice = replace(forward, kind=JobKind.NOTICE)

    assert SENDERS[JobKind.NOTICE](notice, world.dispatch) is SendResult.DEAD_LETTERED
    assert world.records.ledger[forward.ledger].reason.startswith(
        "could not be composed: ValueError at usecases.send_forward:_compose_notice:"
    )


@pytest.mark.parametrize("kind", [JobKind.ACKNOWLEDGEMENT, JobKind.REPLY])
def test_a_document_that_takes_too_long_to_read_is_no_reason_to_give_a_send_up(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: JobKind
) -> None:
    owners_reply(world)
    slow = Mistake(TookTooLong.__name__, "adapters.ssm:_fetch:65")
    with monkeypatch.context() as patched:
        patched.setattr(sending, "attempt", lambda *_: slow)
        with pytest.raises(RetryLater):
            send(world, kind)

    assert world.jobs.dead_lettered == []
    assert send(world, kind) is SendResult.SENT


def test_a_conversation_that_keeps_changing_leaves_the_response_for_the_next_attempt(world: World) -> None:
    for _ in range(TRIES):
        world.records.fail("sent", RecordChanged("lost"))
    with pytest.raises(RecordChanged):
        send(world, JobKind.FORWARD)
    world.now += world.dispatch.lease

    assert send(world, JobKind.FORWARD) is SendResult.SENT
    assert len(world.mailer.sent) == 1


def test_a_conversation_that_changed_during_a_send_is_read_again(world: World) -> None:
    world.records.fail("sent", RecordChanged("lost"))

    assert send(world, JobKind.FORWARD) is SendResult.SENT
    assert len(world.mailer.sent) == 1
    assert item(world, JobKind.FORWARD).state is SendState.SENT


def test_a_message_that_arrives_while_another_is_sent_is_kept_in_the_conversation(world: World) -> None:
    sending = world.mailer.send

    def send_slowly(raw: bytes, sender: str, recipients: Sequence[str], ledger: LedgerId) -> SesId:
        world.arrive(mail(subject="Re: Hello", message_id="<second@customer.example>", text="One more thing"))
        return sending(raw, sender, recipients, ledger)

    world.mailer.send = send_slowly  # type: ignore[method-assign]
    assert send(world, JobKind.FORWARD) is SendResult.SENT

    (conversation,) = world.records.conversations.values()
    assert conversation.received == 2
    assert [link.contact_id for link in conversation.links] == ["first@customer.example", "second@customer.example"]
    assert [bool(link.owner_ids) for link in conversation.links] == [True, False]
    assert len(world.mailer.sent) == 1


@BOTH
def test_a_response_of_ses_that_could_not_be_recorded_is_found_by_the_next_attempt(world: World, kind: JobKind) -> None:
    world.records.fail("sent", RecordsUnavailable("down"))
    with pytest.raises(RecordsUnavailable):
        send(world, kind)
    with pytest.raises(LeaseHeld):
        send(world, kind)
    world.now += world.dispatch.lease

    assert send(world, kind) is SendResult.SENT
    assert len(world.mailer.sent) == 1
    assert item(world, kind).ses_id == world.mailer.sent[0].ses_id


@BOTH
def test_a_worker_that_was_overtaken_before_its_read_sends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: JobKind
) -> None:
    """The other's clock is ahead: the lease of this one has run out by it."""
    monkeypatch.setattr(side_by_side, "pool", lambda: InTurn(late=True))
    sending = job(world, kind)

    class Overtaken(FakeRecords):
        def claim(self, ledger: LedgerId, now: datetime, lease_until: datetime) -> LedgerItem | None:
            claimed = world.records.claim(ledger, now, lease_until)
            world.now += 2 * LEASE
            if kind is JobKind.FORWARD:
                assert SENDERS[kind](sending, world.dispatch) is SendResult.SENT
            else:  # it may have left, as far as the other can tell
                assert SENDERS[kind](sending, world.dispatch) is SendResult.UNKNOWN
            return claimed

        def context(self, job: Job) -> SendContext:
            return world.records.context(job)

    with pytest.raises(LeaseHeld):
        SENDERS[kind](sending, replace(world.dispatch, ledger=Overtaken()))

    assert len(of_kind(world, kind)) == (kind is JobKind.FORWARD)


def test_what_was_read_before_the_claim_is_sent_as_the_attempt_that_it_is(world: World) -> None:
    """The claim has counted a lost response since: the message says that it may be a second copy."""
    lose_response(world, JobKind.FORWARD, crash=True)
    assert send(world, JobKind.FORWARD) is SendResult.SENT

    first, second = (read(sent).get_body(("plain",)).get_content() for sent in world.mailer.sent)  # type: ignore[union-attr]
    assert ["You may have this already" in text for text in (first, second)] == [False, True]


def test_a_worker_that_was_overtaken_after_its_read_shows_nothing_of_what_the_other_sent(world: World) -> None:
    """It read an older conversation: its copy replies to what the other's replies to."""
    owners_reply(world)
    sending = job(world, JobKind.REPLY)

    class Overtaken(FakeRecords):
        def __getattribute__(self, name: str) -> Any:
            return object.__getattribute__(self, name) if name == "claim" else getattr(world.records, name)

        def claim(self, ledger: LedgerId, now: datetime, lease_until: datetime) -> LedgerItem | None:
            claimed = world.records.claim(ledger, now, lease_until)
            world.now += 2 * LEASE
            assert SENDERS[JobKind.REPLY](sending, world.dispatch) is SendResult.SENT
            return claimed

    with pytest.raises(RecordChanged):
        SENDERS[JobKind.REPLY](sending, replace(world.dispatch, ledger=Overtaken()))

    first, second = of_kind(world, JobKind.REPLY)
    assert read(second)["In-Reply-To"] == read(first)["In-Reply-To"]
    assert read(second)["References"] == read(first)["References"]
    assert item(world, JobKind.REPLY).possible_duplicate


@pytest.mark.parametrize(("kind", "reads"), [(JobKind.FORWARD, 1), (JobKind.ACKNOWLEDGEMENT, 0), (JobKind.NOTICE, 0)])
def test_an_acknowledgement_and_a_notice_do_not_read_the_message(world: World, kind: JobKind, reads: int) -> None:
    queue_one(world, kind)
    for _ in range(2):  # one attempt reads once
        world.archive.fail("get", ArchiveUnavailable("down"))
    if reads:
        with pytest.raises(RetryLater):
            send(world, kind)
    else:
        assert send(world, kind) is SendResult.SENT


@pytest.mark.parametrize("call", ["claim", "context"])
def test_an_outage_of_the_table_counts_before_one_of_the_archive(world: World, call: str) -> None:
    world.archive.fail("get", ArchiveUnavailable("archive"))
    world.records.fail(call, RecordsUnavailable("table"))
    with pytest.raises(RecordsUnavailable if call == "claim" else RetryLater, match="table"):
        send(world, JobKind.FORWARD)


@BOTH
def test_of_two_workers_with_one_response_only_the_one_that_records_it_publishes(world: World, kind: JobKind) -> None:
    """SES's own event brought the id; both find it."""
    lose_response(world, kind, crash=True)
    sending = job(world, kind)
    world.archive.objects[ses_id_key(kind, sending.ledger)] = world.mailer.sent[-1].ses_id.encode()
    record = world.records.sent

    def record_after_another(commit: SentCommit) -> bool:
        world.records.sent = record  # type: ignore[method-assign]
        world.now += 2 * LEASE
        assert SENDERS[kind](sending, world.dispatch) is SendResult.SENT
        return record(commit)

    world.records.sent = record_after_another  # type: ignore[method-assign]

    assert SENDERS[kind](sending, world.dispatch) is SendResult.SKIPPED
    assert len([event for event in world.events.published if "sent" in event.id or "forwarded" in event.id]) == 1


def test_a_sent_message_is_recorded_as_sent_even_if_the_leak_gate_would_hold_it_now(world: World) -> None:
    world.records.fail("sent", RecordsUnavailable("down"))
    with pytest.raises(RecordsUnavailable):
        send(world, JobKind.ACKNOWLEDGEMENT)
    world.now += world.dispatch.lease
    world.config.documents["acknowledgement"] = f"From {OWNER}\n=====\n<p>Hello</p>".encode()

    assert send(world, JobKind.ACKNOWLEDGEMENT) is SendResult.SENT


def test_a_response_that_could_not_be_stored_anywhere_leads_to_a_possible_duplicate(world: World) -> None:
    world.records.fail("sent", RecordsUnavailable("down"))
    put = world.archive.put

    def refuse(key: str, body: bytes, content_type: str) -> None:
        if key.endswith(".ses-id"):
            raise ArchiveUnavailable("down too")
        put(key, body, content_type)

    world.archive.put = refuse  # type: ignore[method-assign]
    with pytest.raises(ArchiveUnavailable):
        send(world, JobKind.FORWARD)
    world.now += world.dispatch.lease

    assert send(world, JobKind.FORWARD) is SendResult.SENT
    assert len(world.mailer.sent) == 2
    assert item(world, JobKind.FORWARD).possible_duplicate


@pytest.mark.parametrize(("error", "patience"), [(SendingThrottled, PATIENCE), (SendingBlocked, PATIENCE_BLOCKED)])
def test_a_job_that_fails_for_long_enough_is_dead_lettered_with_reason_and_attempts(
    world: World, error: Callable[[str], Exception], patience: timedelta
) -> None:
    began = world.now
    while True:
        world.mailer.fail("send", error("still not"))
        try:
            result = send(world, JobKind.FORWARD)
        except RetryLater as later:
            world.now += timedelta(seconds=later.delay)
            continue
        break

    assert result is SendResult.DEAD_LETTERED
    assert patience < world.now - began <= patience + timedelta(hours=1)
    (dead,) = world.jobs.dead_lettered
    assert dead.reason == "still not"
    assert dead.attempts == item(world, JobKind.FORWARD).attempt > 10


def test_a_send_publishes_its_event_and_records_it_as_published(world: World) -> None:
    send(world, JobKind.FORWARD)

    (detail,) = world.events.details("Message Forwarded")
    assert (detail["version"], detail["ses_id"]) == (1, item(world, JobKind.FORWARD).ses_id)
    assert list(world.records.unpublished(world.now + LEASE)) == []


def test_an_invalid_acknowledgement_template_is_replaced_by_the_built_in_one(world: World) -> None:
    world.config.documents = {"acknowledgement": b"no separator here"}
    assert send(world, JobKind.ACKNOWLEDGEMENT) is SendResult.SENT


def test_the_operators_own_template_is_used(world: World) -> None:
    world.config.documents = {"acknowledgement": b"Hei $name\n=====\n<p>Hei $name</p>\n"}
    send(world, JobKind.ACKNOWLEDGEMENT)

    assert b"Hei Jane" in world.mailer.sent[0].raw


@BOTH
def test_nothing_is_sent_that_the_archive_does_not_hold(world: World, kind: JobKind) -> None:
    world.archive.fail("put", ArchiveUnavailable("down"))
    with pytest.raises(RetryLater):
        send(world, kind)

    assert world.mailer.sent == []


def test_an_acknowledgement_that_may_have_left_before_a_crash_is_recorded_as_unknown(world: World) -> None:
    world.records.claim(job(world, JobKind.ACKNOWLEDGEMENT).ledger, world.now, world.now + LEASE)
    world.now += LEASE
    send(world, JobKind.ACKNOWLEDGEMENT)

    unknown = item(world, JobKind.ACKNOWLEDGEMENT)
    assert (unknown.state, unknown.reason) == (SendState.UNKNOWN, "the attempt before ended without a record")
    assert send(world, JobKind.ACKNOWLEDGEMENT) is SendResult.SKIPPED


def test_a_job_without_a_ledger_item_is_dead_lettered_without_attempts(world: World) -> None:
    lost = job(world, JobKind.FORWARD)
    world.records.ledger.clear()

    assert SENDERS[JobKind.FORWARD](lost, world.dispatch) is SendResult.DEAD_LETTERED
    (letter,) = world.jobs.dead_lettered
    assert (letter.body, letter.kind, letter.attempts) == (lost.to_json(), JobKind.FORWARD, 0)


def test_a_refusal_without_a_text_is_recorded_by_its_name(world: World) -> None:
    world.mailer.fail("send", MessageRefused(""))
    send(world, JobKind.FORWARD)

    assert item(world, JobKind.FORWARD).reason == "MessageRefused"


def test_a_delay_without_a_text_is_recorded_by_its_name(world: World) -> None:
    world.mailer.fail("send", SendingThrottled(""))
    with pytest.raises(RetryLater):
        send(world, JobKind.FORWARD)

    assert item(world, JobKind.FORWARD).reason == "SendingThrottled"


def test_a_job_that_comes_after_days_and_is_refused_once_is_tried_again(world: World) -> None:
    world.now += PATIENCE_BLOCKED
    world.mailer.fail("send", SendingThrottled("not now"))
    with pytest.raises(RetryLater):
        send(world, JobKind.FORWARD)

    assert send(world, JobKind.FORWARD) is SendResult.SENT
    assert item(world, JobKind.FORWARD).refusals is None


def test_an_attempt_that_is_refused_writes_no_other_version_of_the_same_message(world: World) -> None:
    for _ in range(3):
        world.mailer.fail("send", SendingThrottled("not now"))
        with pytest.raises(RetryLater):
            send(world, JobKind.FORWARD)
    send(world, JobKind.FORWARD)
    key = item(world, JobKind.FORWARD).sent_key

    assert world.archive.written.count(key) == 1
    assert world.archive.objects[key] == world.mailer.sent[0].raw


def test_a_message_that_is_composed_otherwise_after_a_refusal_is_kept_as_it_leaves(world: World) -> None:
    world.mailer.fail("send", SendingThrottled("not now"))
    with pytest.raises(RetryLater):
        send(world, JobKind.ACKNOWLEDGEMENT)
    world.config.documents = {"acknowledgement": b"Hei $name\n=====\n<p>Hei $name</p>\n"}
    send(world, JobKind.ACKNOWLEDGEMENT)

    assert world.archive.objects[item(world, JobKind.ACKNOWLEDGEMENT).sent_key] == world.mailer.sent[0].raw


def test_between_tries_to_record_a_send_there_are_growing_pauses_so_that_others_can_write(world: World) -> None:
    pauses: list[float] = []
    for _ in range(3):
        world.records.fail("sent", RecordChanged("lost"))
    dispatch = replace(world.dispatch, chance=lambda: 1.0, pause=pauses.append)
    SENDERS[JobKind.FORWARD](job(world, JobKind.FORWARD), dispatch)

    assert pauses == [0.2, 0.4, 0.8]


def test_a_send_that_another_worker_has_recorded_is_not_tried_again(world: World) -> None:
    sending, pauses = job(world, JobKind.FORWARD), list[float]()
    send_one = world.mailer.send

    def overtaken(raw: bytes, sender: str, recipients: Sequence[str], ledger: LedgerId) -> SesId:
        world.mailer.send = send_one  # type: ignore[method-assign]
        world.now += 2 * LEASE
        assert SENDERS[JobKind.FORWARD](sending, world.dispatch) is SendResult.SENT
        return send_one(raw, sender, recipients, ledger)

    world.mailer.send = overtaken  # type: ignore[method-assign]
    with pytest.raises(RecordChanged):
        SENDERS[JobKind.FORWARD](sending, replace(world.dispatch, pause=pauses.append))

    assert len(pauses) == 1
    assert item(world, JobKind.FORWARD).possible_duplicate


def test_a_send_is_recorded_at_the_last_try(world: World) -> None:
    for _ in range(TRIES - 1):
        world.records.fail("sent", RecordChanged("lost"))

    assert send(world, JobKind.FORWARD) is SendResult.SENT
    assert item(world, JobKind.FORWARD).state is SendState.SENT


def hungry(*_: object) -> Composed:
    raise MemoryError


def test_a_forward_that_cannot_be_composed_goes_as_it_came(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_forward, "compose_forward", hungry)

    assert send(world, JobKind.FORWARD) is SendResult.SENT_DESPITE_MISTAKE
    (sent,) = world.mailer.sent
    (attached,) = read(sent).iter_attachments()
    assert attached.get_content() == mail()
    for kind in ("plain", "html"):
        assert "Cannot be shown" in read(sent).get_body((kind,)).get_content()  # type: ignore[union-attr]
    assert "MemoryError at usecases.send_forward:_rebuilt:" in item(world, JobKind.FORWARD).reason


def test_a_forward_that_cannot_be_composed_and_is_too_large_names_its_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_forward, "compose_forward", hungry)
    monkeypatch.setattr(whole, "FORWARD_LIMIT", 100)
    send(world, JobKind.FORWARD)

    (sent,) = world.mailer.sent
    assert list(read(sent).iter_attachments()) == []
    assert "kept in the archive as raw/inbound/" in read(sent).get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_a_notice_that_cannot_be_composed_is_sent_without_details(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = next(iter(world.records.conversations.values()))
    world.arrive(
        mail(sender="Mallory <m@evil.example>", subject="trap"),
        to=f"{conversation.id}.{conversation.token}@{THREAD}",
    )
    (record,) = (record for record in world.records.message_records.values() if record.function == "reply")
    feedback = {"kind": "bounce", "recipient": "m@evil.example"}
    world.records.message_records[record.receipt, "reply"] = replace(record, feedback=feedback)
    real = compose_notice

    def trapped(kind: NoticeKind, *, record: MessageRecord, **rest: Any) -> Composed:
        theirs = (record.subject, record.sender, record.sender_name, record.verification)
        assert not any((*theirs, record.feedback, record.reasons))
        return real(kind, record=record, **rest)

    monkeypatch.setattr(send_forward, "compose_notice", trapped)

    assert send(world, JobKind.NOTICE) is SendResult.SENT_DESPITE_MISTAKE
    assert "not-owner" in item(world, JobKind.NOTICE).note


def owners_reply(world: World) -> None:
    conversation = next(iter(world.records.conversations.values()))
    to = f"{conversation.id}.{conversation.token}@{THREAD}"
    raw = mail(sender=OWNER, to=to, subject="Re: Hello", message_id="<o@private.example>")
    world.arrive(raw, to=to)


@pytest.mark.parametrize(
    ("failure", "why"),
    [(MessageRefused("MessageRejected"), "MessageRejected"), (MemoryError(), "could not be composed: MemoryError at ")],
)
def test_a_reply_that_cannot_be_sent_is_dead_lettered_and_the_owner_gets_one_notice(
    world: World, monkeypatch: pytest.MonkeyPatch, failure: Exception, why: str
) -> None:
    owners_reply(world)

    def fails(*_: object) -> Composed:
        raise failure

    if isinstance(failure, MessageRefused):
        world.mailer.fail("send", failure)
    else:
        monkeypatch.setattr(send_reply, "compose_reply", fails)

    assert send(world, JobKind.REPLY) is SendResult.DEAD_LETTERED
    assert item(world, JobKind.REPLY).state is SendState.FAILED
    world.jobs.queued[:] = [job for job in world.jobs.queued if job.kind is JobKind.NOTICE]
    (notice,) = world.run()
    assert notice.recipients == (OWNER,)
    assert f"Why: {why}" in read(notice).get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_the_notice_about_a_reply_that_is_gone_from_the_archive_needs_nothing_from_there(world: World) -> None:
    owners_reply(world)
    del world.archive.objects[item(world, JobKind.REPLY).archive_key]
    left = world.run()

    assert item(world, JobKind.REPLY).state is SendState.FAILED
    assert [sent.recipients for sent in left if sent.sender == world.owners.notices_address] == [(OWNER,)]


def test_the_notice_about_a_reply_that_cannot_be_sent_waits_as_long_as_a_new_one(world: World) -> None:
    owners_reply(world)
    world.now += timedelta(hours=1)
    world.mailer.fail("send", MessageRefused("MessageRejected"))
    send(world, JobKind.REPLY)

    assert (item(world, JobKind.NOTICE).queued_at, item(world, JobKind.NOTICE).due) == (world.now, world.now)


def test_the_notice_about_a_reply_that_cannot_be_sent_is_in_the_ledger_before_it_is_queued(world: World) -> None:
    owners_reply(world)
    world.mailer.fail("send", MessageRefused("MessageRejected"))
    world.records.fail("add", RecordsUnavailable("down"))
    with pytest.raises(RecordsUnavailable):
        send(world, JobKind.REPLY)

    assert JobKind.NOTICE not in [job.kind for job in world.jobs.queued]
