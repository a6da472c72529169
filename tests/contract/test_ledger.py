"""The send ledger for the senders: one attempt at a time, and no response of SES is lost."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from email_handler.conversations.records import LedgerItem, SendState
from email_handler.errors import LeaseHeld, RecordChanged, UnknownConversation
from email_handler.identifiers import EmailAddress, LedgerId, ReceiptId, SesId
from email_handler.ports import Question, SendContext, SentCommit
from tests.contract.conftest import MovableClock, Table
from tests.contract.test_records import OTHER, at_once
from tests.support.fakes import NOW
from tests.support.records import (
    CONVERSATION,
    acknowledgement,
    commit,
    contact,
    conversation,
    first_contact,
    forward,
    message,
    reference,
)

LEASE = timedelta(seconds=90)
FORWARD = forward().id


@pytest.fixture
def ledger(table: Table) -> Table:
    """Return a ledger with Jane's first message: an acknowledgement and a forward are queued."""
    table.commit(first_contact())
    return table


def claim(ledger: Table, now: datetime = NOW, send: LedgerId = FORWARD) -> LedgerItem:
    """Claim *send* at *now*; no other worker may hold it."""
    item = ledger.claim(send, now, now + LEASE)
    assert item is not None
    return item


def sent(item: LedgerItem, ses_id: str = "ses-1", **fields: object) -> SentCommit:
    """Return the record of SES's response to *item*'s attempt."""
    ours = reference(ses_id, ledger=item.id)
    return SentCommit(item=replace(item, ses_id=SesId(ses_id)), reference=ours, **fields)  # type: ignore[arg-type]  # a test's keywords


def left(item: LedgerItem, at: datetime = NOW, **fields: object) -> SentCommit:
    """Return the record of SES's response to *item*'s attempt, with an event of *at* to be published."""
    return sent(replace(item, unpublished_since=at), f"ses-{item.id}", **fields)


def stored(ledger: Table, send: LedgerId = FORWARD) -> LedgerItem:
    item = ledger.by_id(send)
    assert item is not None
    return item


# add


def test_a_send_that_another_causes_is_added_once(ledger: Table) -> None:
    notice = forward(id=LedgerId("notice-1"), detail="the reply was refused")
    ledger.add(notice)
    claimed = claim(ledger, send=notice.id)
    ledger.add(notice)

    assert stored(ledger, notice.id) == claimed
    assert claimed.detail == "the reply was refused"


# context


def test_a_sender_gets_all_it_needs_to_compose(ledger: Table) -> None:
    assert ledger.context(forward().job) == SendContext(
        item=forward(),
        conversation=conversation(version=1),
        message=message(),
    )


def test_of_two_messages_with_one_receipt_a_sender_gets_the_one_that_its_send_names(ledger: Table) -> None:
    """SES stores a message once that it hands to both functions."""
    of_reply = message(function="reply", subject="Of the other function")
    ledger.commit(commit(record=of_reply))

    assert ledger.context(forward().job).message == message()


def test_a_contact_is_found_however_their_address_is_written(ledger: Table) -> None:
    assert ledger.contact(EmailAddress("Jane@Customer.Example")) == contact(version=1)
    assert ledger.contact(EmailAddress("nobody@customer.example")) is None


def test_a_notice_about_a_message_without_a_conversation_has_none(table: Table) -> None:
    notice = forward(conversation="")
    table.commit(commit(record=message(conversation=""), ledger=(notice,)))

    context = table.context(notice.job)

    assert (context.item, context.conversation) == (notice, None)


def test_a_missing_send_raises_unknown(table: Table) -> None:
    with pytest.raises(UnknownConversation):
        table.context(forward().job)
    with pytest.raises(UnknownConversation):
        table.claim(FORWARD, NOW, NOW + LEASE)


def test_a_send_of_a_missing_conversation_or_message_raises_unknown(table: Table) -> None:
    of_another = forward("receipt-2")
    table.commit(commit(ledger=(forward(),)))
    table.commit(
        commit("receipt-3", conversation=conversation(id=OTHER), ledger=(replace(of_another, conversation=OTHER),))
    )

    for send in (forward(), replace(of_another, conversation=OTHER)):
        with pytest.raises(UnknownConversation):
            table.context(send.job)


# claim


def test_a_claim_starts_an_attempt_under_a_lease(ledger: Table) -> None:
    item = claim(ledger)

    assert item == forward(state=SendState.SENDING, attempt=1, lease_until=NOW + LEASE)
    assert stored(ledger) == item


def test_no_other_worker_may_send_during_a_lease(ledger: Table) -> None:
    item = claim(ledger)

    with pytest.raises(LeaseHeld):
        ledger.claim(FORWARD, NOW + LEASE - timedelta(seconds=1), NOW + 2 * LEASE)

    assert stored(ledger) == item


def test_only_one_of_ten_simultaneous_workers_claims_a_send(ledger: Table) -> None:
    results = at_once(*[lambda: ledger.claim(FORWARD, NOW, NOW + LEASE)] * 10)

    assert results.count(LeaseHeld) == 9
    assert stored(ledger).attempt == 1


def test_the_attempt_after_an_expired_lease_is_a_possible_duplicate(ledger: Table) -> None:
    claim(ledger)

    item = claim(ledger, NOW + LEASE)

    assert (item.attempt, item.lost, item.lease_until) == (2, 1, NOW + 2 * LEASE)
    assert item.possible_duplicate
    assert stored(ledger) == item


def test_only_one_of_ten_simultaneous_workers_claims_a_send_with_an_expired_lease(ledger: Table) -> None:
    claim(ledger)

    results = at_once(*[lambda: ledger.claim(FORWARD, NOW + LEASE, NOW + 2 * LEASE)] * 10)

    assert results.count(LeaseHeld) == 9
    assert stored(ledger).attempt == 2


@pytest.mark.parametrize("end", [SendState.FAILED, SendState.UNKNOWN])
def test_a_failed_or_unknown_send_is_not_claimed_again(ledger: Table, end: SendState) -> None:
    ledger.give_back(claim(ledger), end, "SES: MessageRejected", NOW)

    assert ledger.claim(FORWARD, NOW + LEASE, NOW + 2 * LEASE) is None
    assert stored(ledger).state is end


def test_a_sent_or_bounced_send_is_not_claimed_again(ledger: Table) -> None:
    ledger.sent(sent(claim(ledger)))
    assert ledger.claim(FORWARD, NOW + LEASE, NOW + 2 * LEASE) is None

    ledger.commit(commit("bounce", bounced=FORWARD))
    assert ledger.claim(FORWARD, NOW + LEASE, NOW + 2 * LEASE) is None


# give_back


def test_the_attempt_after_a_refusal_is_not_a_possible_duplicate(ledger: Table) -> None:
    due = NOW + timedelta(seconds=30)
    ledger.give_back(claim(ledger), SendState.QUEUED, "SES: Throttling", due)
    assert stored(ledger) == forward(attempt=1, due=due, reason="SES: Throttling")
    assert list(ledger.find("send_state", "sending")) == []

    again = claim(ledger, due)

    assert (again.attempt, again.possible_duplicate) == (2, False)


def test_giving_back_twice_is_harmless(ledger: Table) -> None:
    item = claim(ledger)
    for _ in range(2):
        ledger.give_back(item, SendState.QUEUED, "SES: Throttling", NOW + LEASE)

    assert stored(ledger).state is SendState.QUEUED


def test_an_attempt_that_was_taken_over_cannot_be_given_back(ledger: Table) -> None:
    first = claim(ledger)
    second = claim(ledger, NOW + LEASE)

    with pytest.raises(RecordChanged):
        ledger.give_back(first, SendState.QUEUED, "SES: Throttling", NOW)

    assert stored(ledger) == second


def test_a_sent_send_cannot_be_given_back(ledger: Table) -> None:
    item = claim(ledger)
    ledger.sent(sent(item))

    with pytest.raises(RecordChanged):
        ledger.give_back(item, SendState.QUEUED, "SES: Throttling", NOW)

    assert stored(ledger).state is SendState.SENT


def test_a_send_can_be_given_back_as_a_possible_duplicate(ledger: Table) -> None:
    ledger.give_back(replace(claim(ledger), lost=1), SendState.QUEUED, "SES: ReadTimeoutError", NOW)

    assert claim(ledger).possible_duplicate


def test_redrive_queues_a_failed_send_with_a_new_queue_time(ledger: Table) -> None:
    ledger.give_back(claim(ledger), SendState.FAILED, "SES: MessageRejected", NOW)
    failed = stored(ledger)
    assert list(ledger.find("send_state", "failed")) == [failed]
    later = NOW + timedelta(days=1)

    for _ in range(2):
        ledger.give_back(replace(failed, queued_at=later), SendState.QUEUED, "", later)

    assert stored(ledger) == forward(attempt=1, queued_at=later, due=later)
    assert list(ledger.find("send_state", "failed")) == []


def test_a_cancelled_send_is_claimed_by_no_sender(ledger: Table) -> None:
    for _ in range(2):
        ledger.give_back(forward(), SendState.CANCELLED, "cancelled by the operator", NOW)

    assert ledger.claim(FORWARD, NOW, NOW + LEASE) is None
    assert stored(ledger) == forward(state=SendState.CANCELLED, reason="cancelled by the operator")
    assert list(ledger.find("send_state", "cancelled")) == [stored(ledger)]


def test_a_claimed_send_is_not_cancelled(ledger: Table) -> None:
    item = claim(ledger)

    with pytest.raises(RecordChanged):
        ledger.give_back(forward(), SendState.CANCELLED, "cancelled by the operator", NOW)

    assert stored(ledger) == item


def test_of_a_sender_and_who_cancels_at_the_same_time_one_is_faster(ledger: Table) -> None:
    cancelling = commit("cancel", cancelled=(forward(reason="cancelled by the owner"),))
    results = at_once(
        lambda: ledger.claim(FORWARD, NOW, NOW + LEASE),
        lambda: ledger.commit(cancelling),
        lambda: ledger.give_back(forward(), SendState.CANCELLED, "cancelled by the operator", NOW),
    )

    state = stored(ledger).state
    assert state in (SendState.SENDING, SendState.CANCELLED)
    assert [result.attempt for result in results if isinstance(result, LedgerItem)] == [1] * (
        state is SendState.SENDING
    )


# sent


def test_the_response_of_ses_is_recorded_with_the_reference_and_the_conversation(ledger: Table) -> None:
    item = claim(ledger)
    ledger.sent(sent(item, conversation=conversation(sent=1, version=1), contact=contact(written_to=True, version=1)))
    done = replace(item, state=SendState.SENT, ses_id=SesId("ses-1"), lease_until=None)

    assert ledger.by_ses_id(SesId("ses-1")) == done
    assert ledger.context(done.job) == SendContext(
        item=done,
        conversation=conversation(sent=1, version=2),
        message=message(),
    )
    assert ledger.contact(contact().address) == contact(written_to=True, version=2)
    known = ledger.look_up(Question(receipt=ReceiptId("next"), decider="inbound", references=("ses-1",)))
    assert [found.id for found in known.by_reference] == [CONVERSATION]
    assert known.sends == {FORWARD: done}


def test_an_attempt_that_was_taken_over_records_nothing(ledger: Table) -> None:
    first = claim(ledger)
    second = claim(ledger, NOW + LEASE)

    with pytest.raises(RecordChanged):
        ledger.sent(sent(first, conversation=conversation(sent=1, version=1)))

    assert stored(ledger) == second
    assert ledger.by_ses_id(SesId("ses-1")) is None
    assert ledger.conversation(CONVERSATION) == conversation(version=1)


def test_a_response_is_recorded_only_with_the_current_version_of_the_conversation(ledger: Table) -> None:
    item = claim(ledger)
    ledger.commit(commit("receipt-2", conversation=conversation(received=2, version=1)))

    with pytest.raises(RecordChanged):
        ledger.sent(sent(item, conversation=conversation(sent=1, version=1)))
    assert stored(ledger) == item

    ledger.sent(sent(item, conversation=conversation(received=2, sent=1, version=2)))
    assert ledger.conversation(CONVERSATION) == conversation(received=2, sent=1, version=3)


def test_recording_the_same_response_again_is_harmless(ledger: Table) -> None:
    response = left(claim(ledger), conversation=conversation(sent=1, version=1))
    assert ledger.sent(response)
    ledger.published(FORWARD)
    assert ledger.sent(response)

    assert ledger.conversation(CONVERSATION) == conversation(sent=1, version=2)
    assert list(ledger.unpublished(NOW + LEASE)) == []


def test_a_response_that_another_attempt_has_recorded_is_known_to_be_its(ledger: Table) -> None:
    first = claim(ledger)
    second = ledger.claim(FORWARD, NOW + LEASE, NOW + 2 * LEASE)
    assert second

    assert ledger.sent(sent(second))
    assert not ledger.sent(sent(first))


def test_a_bounced_send_stays_bounced_when_the_response_of_ses_is_recorded_again(ledger: Table) -> None:
    response = sent(claim(ledger))
    ledger.sent(response)
    ledger.commit(commit("bounce", bounced=FORWARD))
    bounced = stored(ledger)

    ledger.sent(response)

    assert bounced.state is SendState.BOUNCED
    assert stored(ledger) == bounced


def test_another_response_to_a_sent_send_is_refused(ledger: Table) -> None:
    item = claim(ledger)
    ledger.sent(sent(item))

    with pytest.raises(RecordChanged):
        ledger.sent(sent(item, "ses-2"))

    assert ledger.by_ses_id(SesId("ses-2")) is None


def test_an_id_of_ses_finds_its_send_even_if_a_forged_message_used_it_before(ledger: Table) -> None:
    ledger.commit(commit("forged", references=(reference("ses-1", receipt=ReceiptId("forged")),)))
    assert ledger.by_ses_id(SesId("ses-1")) is None

    ledger.sent(sent(claim(ledger)))

    item = ledger.by_ses_id(SesId("ses-1"))
    assert item is not None
    assert item.id == FORWARD
    assert ledger.by_ses_id(SesId("unknown")) is None


def test_two_simultaneous_sends_of_a_conversation_lose_no_update(ledger: Table) -> None:
    """Both read version 1. The second must read again before it can record its own send."""
    first, second = claim(ledger), claim(ledger, send=acknowledgement().id)
    results = at_once(
        lambda: ledger.sent(sent(first, "ses-1", conversation=conversation(sent=1, version=1))),
        lambda: ledger.sent(sent(second, "ses-2", conversation=conversation(sent=1, version=1))),
    )
    assert sorted(map(str, results)) == sorted(map(str, [True, RecordChanged]))

    late, ses_id = (first, "ses-1") if results[0] is RecordChanged else (second, "ses-2")
    ledger.sent(sent(late, ses_id, conversation=conversation(sent=2, version=2)))

    assert ledger.conversation(CONVERSATION) == conversation(sent=2, version=3)
    assert [stored(ledger, send).state for send in (FORWARD, acknowledgement().id)] == [SendState.SENT] * 2


# events of sends


def test_the_event_of_a_send_waits_until_it_is_published(ledger: Table, clock: MovableClock) -> None:
    ledger.sent(left(claim(ledger)))
    first = stored(ledger)
    clock.now += LEASE
    ledger.sent(left(claim(ledger, send=acknowledgement().id), clock.now))
    second = stored(ledger, acknowledgement().id)

    assert list(ledger.unpublished(clock.now)) == [first]
    assert first.event is not None
    assert first.event.at == NOW
    ledger.published(FORWARD)
    ledger.published(FORWARD)
    assert stored(ledger) == replace(first, unpublished_since=None)
    assert list(ledger.unpublished(clock.now + LEASE)) == [second]


def test_the_event_of_a_send_waits_even_if_it_bounces(ledger: Table) -> None:
    ledger.sent(left(claim(ledger)))
    ledger.commit(commit("bounce", bounced=FORWARD))

    assert list(ledger.unpublished(NOW + LEASE)) == [stored(ledger)]
    ledger.published(FORWARD)
    ledger.published(FORWARD)
    assert list(ledger.unpublished(NOW + LEASE)) == []
    assert list(ledger.find("send_state", "bounced")) == [stored(ledger)]


def test_a_send_that_bounces_after_its_event_is_found_among_those(ledger: Table) -> None:
    ledger.sent(left(claim(ledger)))
    ledger.published(FORWARD)
    ledger.commit(commit("bounce", bounced=FORWARD))
    ledger.published(FORWARD)

    assert list(ledger.find("send_state", "bounced")) == [stored(ledger)]


def test_an_erased_send_stays_erased_when_its_event_is_published(ledger: Table) -> None:
    ledger.published(LedgerId("erased"))

    assert ledger.by_id(LedgerId("erased")) is None


# sends that a send causes


def test_what_a_send_causes_is_queued_with_its_record(ledger: Table) -> None:
    copy = forward(id=LedgerId("notice-copy"), note="copy")
    item = replace(claim(ledger), copies=(copy.id,))
    ledger.sent(sent(item, copies=(copy,)))

    assert stored(ledger, copy.id) == copy
    assert stored(ledger).copies == (copy.id,)
    assert list(ledger.sends(SendState.QUEUED, NOW + timedelta(days=1))) != []


def test_what_a_send_causes_is_not_queued_if_its_record_fails(ledger: Table) -> None:
    copy = forward(id=LedgerId("notice-copy"), note="copy")
    item = claim(ledger)
    with pytest.raises(RecordChanged):
        ledger.sent(sent(replace(item, attempt=item.attempt + 1), copies=(copy,)))

    assert ledger.by_id(copy.id) is None


def test_recording_a_response_again_queues_nothing_anew(ledger: Table) -> None:
    copy = forward(id=LedgerId("notice-copy"), note="copy")
    response = sent(claim(ledger), copies=(copy,))
    ledger.sent(response)
    claimed = claim(ledger, send=copy.id)
    ledger.sent(response)

    assert stored(ledger, copy.id) == claimed
