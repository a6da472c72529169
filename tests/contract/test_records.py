"""The table for the use cases: one transaction or nothing, and consistent reads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from threading import Barrier

import pytest

from email_handler.conversations.awaited import AWAITED_FOR, awaiting
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import AttachmentRecord, Conversation, LedgerItem, SendState, Status
from email_handler.errors import EmailHandlerError, RecordChanged, UnknownConversation
from email_handler.identifiers import ConversationId, EmailAddress, LedgerId, ReceiptId, SesId
from email_handler.ports import Known, Question, SentCommit
from tests.contract.conftest import MovableClock, Table
from tests.support.fakes import NOW
from tests.support.records import (
    CONVERSATION,
    JANE,
    acknowledgement,
    commit,
    contact,
    conversation,
    first_contact,
    forward,
    message,
    reference,
)

OTHER = ConversationId("c-00000002")
HOUR = timedelta(hours=1)


def question(receipt: str = "receipt-2", **fields: object) -> Question:
    return Question(**{"receipt": ReceiptId(receipt), "decider": "inbound", **fields})  # type: ignore[arg-type]  # a test's keywords


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Make *calls* at the same time; return the value of each, or the type of our error that it raised."""
    barrier = Barrier(len(calls))

    def call(each: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return each()
        except EmailHandlerError as error:
            return type(error)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


# look_up and commit


def test_a_look_up_in_an_empty_table_finds_nothing(table: Table) -> None:
    asked = question(
        fingerprints=("print",), contact=JANE, subject="Hello", references=("first",), conversation=CONVERSATION,
        counters=("2026-03-02",), sends=(LedgerId("notice-1"),),
    )  # fmt: skip

    assert table.look_up(asked) == Known(counts={"2026-03-02": 0})


def test_a_look_up_finds_all_that_a_commit_wrote(table: Table) -> None:
    table.commit(first_contact())
    asked = question(
        fingerprints=("print of receipt-1",), contact=JANE, subject="Hello", references=("unknown", "first"),
        conversation=CONVERSATION, counters=("2026-03-02",), sends=(forward().id, LedgerId("notice-1")),
    )  # fmt: skip
    stored = conversation(version=1)

    assert table.look_up(asked) == Known(
        duplicate_of=ReceiptId("receipt-1"),
        contact=contact(version=1),
        counts={"2026-03-02": 1},
        references=(reference(),),
        by_reference=(stored,),
        by_topic=stored,
        by_id=stored,
        sends={forward().id: forward()},
    )


def test_a_second_run_finds_its_own_decision_and_no_duplicate(table: Table) -> None:
    first = first_contact()
    table.commit(first)

    known = table.look_up(question("receipt-1", fingerprints=("print of receipt-1",)))

    assert (known.decision, known.duplicate_of) == (first.decision, None)
    assert table.decision(ReceiptId("receipt-1"), "inbound") == first.decision
    assert table.decision(ReceiptId("receipt-1"), "reply") is None
    assert table.message(ReceiptId("receipt-1"), "inbound") == first.message
    assert table.message(ReceiptId("receipt-1"), "reply") is None


def test_both_functions_can_decide_about_the_same_receipt(table: Table) -> None:
    table.commit(commit(function="inbound"))
    table.commit(commit(function="reply"))

    assert [m.function for m in table.messages(CONVERSATION)] == ["inbound", "reply"]


def test_the_same_decision_cannot_be_written_twice(table: Table) -> None:
    table.commit(commit())

    with pytest.raises(RecordChanged):
        table.commit(commit(record=message(subject="decided again")))

    stored = table.message(ReceiptId("receipt-1"), "inbound")
    assert stored is not None
    assert stored.subject == "Hello"


def test_only_one_of_ten_simultaneous_runs_decides(table: Table) -> None:
    results = at_once(*[lambda: table.commit(first_contact())] * 10)

    assert results.count(None) == 1
    assert results.count(RecordChanged) == 9
    assert table.look_up(question(contact=JANE, counters=("2026-03-02",))).counts == {"2026-03-02": 1}


def test_a_commit_whose_condition_fails_writes_nothing(table: Table) -> None:
    table.commit(first_contact())
    again = first_contact("receipt-2", conversation=conversation(id=OTHER), contact=contact(version=1))

    with pytest.raises(RecordChanged):
        table.commit(again)  # because the acknowledgement exists already

    assert table.decision(ReceiptId("receipt-2"), "inbound") is None
    assert table.message(ReceiptId("receipt-2"), "inbound") is None
    assert table.conversation(OTHER) is None
    assert table.look_up(
        question("receipt-3", fingerprints=("print of receipt-2",), counters=("2026-03-02",))
    ) == Known(counts={"2026-03-02": 1})


@pytest.mark.parametrize("version", [0, 2])
def test_a_conversation_that_changed_since_it_was_read_is_not_overwritten(table: Table, version: int) -> None:
    table.commit(commit(conversation=conversation()))

    with pytest.raises(RecordChanged):
        table.commit(commit("receipt-2", conversation=conversation(received=2, version=version)))

    assert table.conversation(CONVERSATION) == conversation(version=1)


@pytest.mark.parametrize("version", [0, 2])
def test_a_contact_that_changed_since_it_was_read_is_not_overwritten(table: Table, version: int) -> None:
    table.commit(commit(contact=contact()))

    with pytest.raises(RecordChanged):
        table.commit(commit("receipt-2", contact=contact(messages=2, version=version)))

    assert table.look_up(question(contact=JANE)).contact == contact(version=1)


def test_only_one_of_two_writers_that_read_the_same_version_succeeds(table: Table) -> None:
    table.commit(commit(conversation=conversation()))
    read = conversation(version=1)

    results = at_once(
        lambda: table.commit(commit("receipt-2", conversation=replace(read, received=2))),
        lambda: table.commit(commit("receipt-3", conversation=replace(read, sent=1))),
    )

    assert sorted(map(str, results)) == sorted(map(str, [None, RecordChanged]))
    stored = table.conversation(CONVERSATION)
    assert stored is not None
    assert stored.version == 2
    assert (stored.received, stored.sent) in {(2, 0), (1, 1)}


def test_two_simultaneous_first_messages_of_a_contact_do_not_start_two_conversations(table: Table) -> None:
    results = at_once(
        lambda: table.commit(first_contact("receipt-1", ledger=())),
        lambda: table.commit(first_contact("receipt-2", ledger=(), conversation=conversation(id=OTHER))),
    )

    assert sorted(map(str, results)) == sorted(map(str, [None, RecordChanged]))


def test_a_reference_never_moves_to_another_conversation(table: Table) -> None:
    table.commit(commit(references=(reference("shared"),), conversation=conversation()))
    forged = commit(
        "receipt-2",
        references=(reference("fresh", conversation=OTHER), reference("shared", conversation=OTHER)),
        conversation=conversation(id=OTHER),
    )

    with pytest.raises(RecordChanged):
        table.commit(forged)

    assert table.look_up(question(references=("shared", "fresh"))).references == (reference("shared"),)


def test_the_first_of_equal_references_in_a_conversation_is_kept(table: Table) -> None:
    table.commit(commit(references=(reference("shared"),)))
    table.commit(commit("receipt-2", references=(reference("shared", receipt=ReceiptId("receipt-2")),)))

    assert table.look_up(question(references=("shared",))).references == (reference("shared"),)


def test_references_repeated_in_one_message_count_once(table: Table) -> None:
    twice = (reference("shared"), reference("shared", receipt=ReceiptId("receipt-2")))
    table.commit(commit(references=twice, conversation=conversation()))

    known = table.look_up(question(references=("shared", "shared")))
    assert known.references == (reference("shared"),)
    assert known.by_reference == (conversation(version=1),)


def test_conversations_are_found_once_each_in_the_order_of_the_references(table: Table) -> None:
    theirs = conversation(id=OTHER)
    table.commit(commit("receipt-1", conversation=conversation(), references=(reference("a"), reference("c"))))
    table.commit(commit("receipt-2", conversation=theirs, references=(reference("b", conversation=OTHER),)))

    known = table.look_up(question(references=("b", "c", "a")))

    assert [found.local_part for found in known.references] == ["b", "c", "a"]
    assert [found.id for found in known.by_reference] == [OTHER, CONVERSATION]


def test_a_conversation_that_awaits_an_id_is_found_by_its_contact_alone(table: Table, clock: MovableClock) -> None:
    awaits = awaiting(contact(), CONVERSATION, named=("parent",), known=(), arrived="first", now=clock.now)
    kim = EmailAddress("kim@customer.example")
    table.commit(commit(conversation=conversation(), contact=awaits))
    table.commit(commit("receipt-2", contact=contact(address=kim)))

    def found(by: EmailAddress, *named: str) -> tuple[Conversation, ...]:
        return table.look_up(question("new", contact=by, references=named)).by_awaited

    assert found(JANE, "unknown", "parent") == (conversation(version=1),)
    assert (found(JANE, "first"), found(kim, "parent")) == ((), ())

    clock.now += AWAITED_FOR + HOUR

    assert found(JANE, "parent") == ()


def test_the_reference_of_a_send_finds_the_send(table: Table) -> None:
    table.commit(first_contact(references=(reference("ours", ledger=forward().id),)))

    assert table.look_up(question(references=("ours",))).sends == {forward().id: forward()}


def test_a_second_copy_of_a_message_is_a_duplicate_for_three_days(table: Table, clock: MovableClock) -> None:
    table.commit(commit(fingerprint="print"))
    with pytest.raises(RecordChanged):
        table.commit(commit("receipt-2", fingerprint="print"))
    with pytest.raises(RecordChanged):
        table.commit(commit("receipt-1", "reply", fingerprint="print"))
    assert table.look_up(question(fingerprints=("print",))).duplicate_of == "receipt-1"
    assert table.look_up(Question(receipt=ReceiptId("receipt-1"), decider="reply", fingerprints=("print",))) == Known(
        duplicate_of=ReceiptId("receipt-1")
    )

    clock.now += timedelta(days=3)

    assert table.look_up(question(fingerprints=("print",))).duplicate_of is None
    table.commit(commit("receipt-2", fingerprint="print"))
    assert table.look_up(question("receipt-3", fingerprints=("other", "print"))).duplicate_of == "receipt-2"


def test_a_commit_may_be_on_condition_that_its_message_is_no_copy(table: Table, clock: MovableClock) -> None:
    table.commit(commit(fingerprint="print"))
    for own in ("", "own"):
        with pytest.raises(RecordChanged):
            table.commit(commit("receipt-2", fingerprint=own, no_copy_of=("own", "print")))

    table.commit(commit("receipt-3", fingerprint="own", no_copy_of=("own", "another")))
    assert table.look_up(question(fingerprints=("own",))).duplicate_of == "receipt-3"
    assert table.look_up(question(fingerprints=("another",))).duplicate_of is None

    clock.now += timedelta(days=3)
    table.commit(commit("receipt-2", no_copy_of=("own", "print")))


def test_a_contact_is_acknowledged_once_for_all_receipts(table: Table) -> None:
    results = at_once(*[
        lambda number=number: table.commit(
            commit(f"receipt-{number}", ledger=(acknowledgement(f"receipt-{number}"),), counted={"2026-03-02": 200})
        )
        for number in range(5)
    ])  # fmt: skip

    assert results.count(None) == 1
    known = table.look_up(question(contact=EmailAddress("Jane@customer.example"), counters=("2026-03-02",)))
    assert known.counts == {"2026-03-02": 1}


def test_acknowledgements_are_counted_by_day(table: Table) -> None:
    for number, day in enumerate(["2026-03-02", "2026-03-02", "2026-03-03"]):
        table.commit(commit(f"receipt-{number}", counted={day: 200}))

    days = ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert table.look_up(question("new", counters=tuple(days))).counts == dict(zip(days, (0, 2, 1), strict=True))


@pytest.mark.parametrize("limits", [(3, 9), (9, 3)], ids=["of the first", "of the second"])
def test_what_is_counted_at_once_never_passes_a_limit(table: Table, limits: tuple[int, int]) -> None:
    counted = dict(zip(["2026-03-02", "2026-03-02 customer.example"], limits, strict=True))

    results = at_once(
        *[lambda number=number: table.commit(commit(f"receipt-{number}", counted=counted)) for number in range(10)]
    )

    assert results.count(None) == 3
    assert results.count(RecordChanged) == 7
    assert table.look_up(question("new", counters=tuple(counted))).counts == dict.fromkeys(counted, 3)


def test_a_commit_beyond_a_limit_writes_nothing(table: Table) -> None:
    table.commit(commit(counted={"2026-03-02": 1}))

    with pytest.raises(RecordChanged):
        table.commit(commit("receipt-2", counted={"2026-03-02": 1, "2026-03-02 customer.example": 1}))

    assert table.message(ReceiptId("receipt-2"), "inbound") is None
    counts = table.look_up(question("new", counters=("2026-03-02", "2026-03-02 customer.example"))).counts
    assert counts == {"2026-03-02": 1, "2026-03-02 customer.example": 0}


def test_namesakes_that_exist_are_found_in_the_order_asked(table: Table) -> None:
    names = [ConversationId(name) for name in ("linkedin-jane", "linkedin-jane-2", "linkedin-jane-3")]
    for name in (names[2], names[0]):
        table.commit(commit(f"receipt-{name}", conversation=conversation(id=name)))

    found = table.look_up(question("new", namesakes=tuple(names))).namesakes

    assert [namesake.id for namesake in found] == ["linkedin-jane", "linkedin-jane-3"]


def test_a_topic_in_any_case_finds_the_latest_conversation(table: Table) -> None:
    table.commit(first_contact("receipt-1"))
    later = first_contact(
        "receipt-2",
        record=message("receipt-2", conversation=OTHER),
        conversation=conversation(id=OTHER),
        contact=contact(version=1),
        references=(),
        ledger=(),
    )
    table.commit(later)

    found = table.look_up(question(contact=EmailAddress("Jane@customer.example"), subject="HELLO")).by_topic
    assert found is not None
    assert found.id == OTHER
    assert table.look_up(question(contact=JANE, subject="Something else")).by_topic is None


def test_a_message_without_a_subject_has_no_topic_to_find(table: Table) -> None:
    table.commit(first_contact(conversation=conversation(subject=""), topic=(JANE, "")))

    assert table.look_up(question(contact=JANE, subject="")).by_topic is None


def test_hostile_header_values_can_be_looked_up_and_stored(table: Table) -> None:
    """Header values are bounded, but can be longer than DynamoDB's keys and contain characters that are not Unicode."""
    odd = {"long": "x" * 4000, "surrogate": "caf\udce9", "blank": " ", "hash": "a#b", "empty": ""}
    references = tuple(reference(local_part) for local_part in odd.values())
    address = EmailAddress("\udce9" + "y" * 3000 + "@customer.example")
    table.commit(
        commit(
            record=message(subject="\udce9", sender=address),
            conversation=conversation(contact=address, source="z" * 3000),
            contact=contact(address=address),
            topic=(address, "s" * 3000),
            references=references,
            fingerprint="f" * 3000,
        )
    )

    known = table.look_up(
        question(
            contact=address, subject="s" * 3000, references=(*odd.values(), "x" * 3999), fingerprints=("f" * 3000,)
        )
    )

    assert [found.conversation for found in known.references] == [CONVERSATION] * len(odd)
    assert known.duplicate_of == "receipt-1"
    assert known.by_topic is not None
    assert known.contact is not None
    assert len(list(table.find("contact", address))) == 1
    assert len(list(table.find("source", "z" * 3000))) == 1


# finish and unfinished


def test_a_finished_decision_is_no_longer_listed_as_unfinished(table: Table, clock: MovableClock) -> None:
    for number in range(3):
        table.commit(commit(f"receipt-{number}"))
        clock.now += HOUR
    table.finish(ReceiptId("receipt-1"), "inbound")
    table.finish(ReceiptId("receipt-1"), "inbound")

    assert [d.receipt for d in table.unfinished(clock.now)] == ["receipt-0", "receipt-2"]
    assert [d.receipt for d in table.unfinished(NOW + HOUR)] == ["receipt-0"]
    assert list(table.unfinished(NOW)) == []
    decided = table.decision(ReceiptId("receipt-1"), "inbound")
    assert decided == replace(commit("receipt-1").decision, done=True)


def test_finishing_a_missing_decision_does_not_create_it(table: Table) -> None:
    table.finish(ReceiptId("receipt-1"), "inbound")

    assert table.decision(ReceiptId("receipt-1"), "inbound") is None


def test_a_decision_with_nothing_to_do_is_never_unfinished(table: Table) -> None:
    plain = commit()
    table.commit(replace(plain, decision=replace(plain.decision, done=True)))

    assert list(table.unfinished(NOW + HOUR)) == []


# messages and attachments


def test_only_the_messages_of_a_conversation_are_listed_oldest_first(table: Table) -> None:
    for number in (2, 0, 1):
        at = NOW + number * timedelta(microseconds=1)
        table.commit(commit(record=message(f"receipt-{number}", at=at)))
    table.commit(commit(record=message("receipt-x", conversation=OTHER)))
    table.commit(commit(record=message("receipt-y", conversation="", outcome=Outcome.DROP)))

    assert [m.receipt for m in table.messages(CONVERSATION)] == ["receipt-0", "receipt-1", "receipt-2"]
    assert list(table.messages(ConversationId("c-unknown"))) == []


def test_a_long_conversation_is_read_over_several_pages(table: Table) -> None:
    for number in range(230):
        table.commit(commit(record=message(f"receipt-{number}", at=NOW + number * timedelta(seconds=1))))

    assert [m.receipt for m in table.messages(CONVERSATION)] == [f"receipt-{number}" for number in range(230)]
    assert len(list(table.unfinished(NOW + HOUR))) == 230


def test_describing_attachments_twice_has_the_same_effect_as_once(table: Table) -> None:
    found = AttachmentRecord(
        number=1,
        name="résumé.pdf",
        declared_type="application/octet-stream",
        detected_type="application/pdf",
        size=4096,
        sha256="0" * 64,
        archive_key="attachments/c-00000001/receipt-1/01-résumé.pdf",
        text_key="",
        text_chars=0,
        status="no text",
    )
    table.commit(commit())
    for _ in range(2):
        table.describe_attachments(ReceiptId("receipt-1"), "inbound", [found], 20)

    assert table.message(ReceiptId("receipt-1"), "inbound") == message(attachments=(found,), text_chars=20)


def test_describing_attachments_of_a_missing_message_does_not_create_it(table: Table) -> None:
    with pytest.raises(UnknownConversation):
        table.describe_attachments(ReceiptId("receipt-1"), "inbound", [], 0)

    assert table.message(ReceiptId("receipt-1"), "inbound") is None


# release


def test_only_one_of_ten_simultaneous_releases_delivers_the_held_message(table: Table) -> None:
    expires = NOW + timedelta(days=90)
    table.commit(commit(record=message(outcome=Outcome.HOLD, conversation=""), expires_at=expires))
    plain = first_contact(fingerprint="")
    release = replace(plain, decision=replace(plain.decision, decider="operator"))

    results = at_once(*[lambda: table.commit(release)] * 10)

    assert results.count(None) == 1
    assert results.count(RecordChanged) == 9
    assert table.message(ReceiptId("receipt-1"), "inbound") == message()
    assert list(table.messages(CONVERSATION)) == [message()]
    assert list(table.find("verdict", "held")) == []
    decided = table.decision(ReceiptId("receipt-1"), "inbound")
    assert decided is not None
    assert decided.outcome is Outcome.HOLD
    assert table.decision(ReceiptId("receipt-1"), "operator") == release.decision


# find


def test_the_conversations_of_a_gmail_box_are_found_by_any_spelling(table: Table) -> None:
    table.commit(commit("receipt-1", conversation=conversation(contact=EmailAddress("Jane.Doe@gmail.com"))))

    assert len(list(table.find("contact", "janedoe+x@googlemail.com"))) == 1


def test_conversations_are_found_by_every_index_newest_first(table: Table) -> None:
    later = NOW + timedelta(days=1)
    other = conversation(
        id=OTHER,
        contact=EmailAddress("John@Customer.example"),
        source="Fair",
        status=Status.ANSWERED,
        started_at=later,
        updated_at=later,
    )
    table.commit(commit("receipt-1", conversation=conversation()))
    table.commit(commit("receipt-2", conversation=other))

    def found(index: str, value: str) -> list[str]:
        return [each.id for each in table.find(index, value) if not isinstance(each, LedgerItem)]  # type: ignore[union-attr]  # conversations

    assert found("contact", "john@customer.example") == [OTHER]
    assert found("domain", "customer.example") == [OTHER, CONVERSATION]
    assert found("status", "answered") == [OTHER]
    assert found("public_address", "contact@example.com") == [OTHER, CONVERSATION]
    assert found("source", "fair") == [OTHER]
    assert found("source", "") == []
    assert found("day", "2026-03-02") == [CONVERSATION]
    assert found("domain", "other.example") == []
    assert list(table.find("domain", "customer.example", limit=1)) == [replace(other, version=1)]


def test_a_conversation_keeps_its_place_among_others_and_moves_up_among_those_of_its_status(table: Table) -> None:
    """A write to five indexes for every message would cost more than all else in the table."""
    later = NOW + timedelta(days=1)
    table.commit(commit("receipt-1", conversation=conversation()))
    table.commit(commit("receipt-2", conversation=conversation(id=OTHER, started_at=later, updated_at=later)))
    again = conversation(updated_at=later + HOUR, version=1)
    table.commit(commit("receipt-3", conversation=again))

    assert list(table.find("contact", again.contact))[1] == replace(again, version=2), "as it is now"
    assert [each.id for each in table.find("status", "open")] == [CONVERSATION, OTHER]  # type: ignore[union-attr]


def test_a_conversation_is_found_by_its_current_status_only(table: Table) -> None:
    table.commit(commit("receipt-1", conversation=conversation()))
    table.commit(commit("receipt-2", conversation=conversation(status=Status.CLOSED, version=1)))

    assert list(table.find("status", "open")) == []
    assert list(table.find("status", "closed")) == [conversation(status=Status.CLOSED, version=2)]


@pytest.mark.parametrize(
    ("outcome", "verdict"), [(Outcome.HOLD, "held"), (Outcome.FLAG, "flagged"), (Outcome.DROP, "dropped")]
)
def test_messages_are_found_by_the_verdict_of_the_filter(table: Table, outcome: Outcome, verdict: str) -> None:
    table.commit(commit(record=message("receipt-1")))
    table.commit(commit(record=message("receipt-2", outcome=outcome, conversation="")))
    table.commit(commit(record=message("receipt-3", outcome=outcome, at=NOW + HOUR), expires_at=NOW + 90 * 24 * HOUR))

    found = [each.receipt for each in table.find("verdict", verdict)]  # type: ignore[union-attr]  # messages
    assert found == ["receipt-3", "receipt-2"]


def test_sends_are_found_by_their_state_until_they_are_sent(table: Table) -> None:
    table.commit(first_contact())
    assert {item.id for item in table.find("send_state", "queued")} == {acknowledgement().id, forward().id}  # type: ignore[union-attr]  # sends

    claimed = table.claim(forward().id, NOW, NOW + HOUR)
    assert claimed is not None
    assert list(table.find("send_state", "sending")) == [claimed]
    assert [item.id for item in table.find("send_state", "queued", limit=1)] == [acknowledgement().id]  # type: ignore[union-attr]
    assert [list(table.sends(state, NOW + HOUR)) for state in (SendState.QUEUED, SendState.SENDING)] == [
        list(table.find("send_state", "queued")),
        [claimed],
    ]

    table.sent(SentCommit(item=replace(claimed, ses_id=SesId("ses-1")), reference=reference("ses-1")))
    assert [list(table.find("send_state", state)) for state in ("sending", "sent", "unfinished")] == [[], [], []]


def test_an_unknown_index_is_refused(table: Table) -> None:
    with pytest.raises(ValueError, match="no index"):
        table.find("colour", "blue")


def test_a_search_reads_several_pages_up_to_its_limit(table: Table) -> None:
    for number in range(205):
        at = NOW + number * timedelta(seconds=1)
        table.commit(commit(record=message(f"receipt-{number}", at=at, conversation="", outcome=Outcome.HOLD)))

    def numbers(limit: int) -> list[str]:
        return [each.receipt for each in table.find("verdict", "held", limit)]  # type: ignore[union-attr]  # messages

    newest_first = [f"receipt-{number}" for number in reversed(range(205))]
    assert numbers(1_000_000) == newest_first
    assert numbers(150) == newest_first[:150]


# lists


@pytest.mark.parametrize("listed", ["b\u00fccher.example", "xn--bcher-kva.example"])
def test_an_internationalized_domain_is_listed_in_both_of_its_forms(table: Table, listed: str) -> None:
    table.put_listed(listed, "block")

    for domain in ("b\u00fccher.example", "xn--bcher-kva.example"):
        assert table.look_up(question(contact=EmailAddress(f"jane@{domain}"))).listed == "block"


def test_an_address_on_the_operators_lists_takes_precedence_over_its_domain(table: Table) -> None:
    table.put_listed("Customer.example", "block")
    assert table.look_up(question(contact=JANE)).listed == "block"

    table.put_listed(JANE.upper(), "allow")
    assert table.look_up(question(contact=JANE)).listed == "allow"
    assert list(table.listed()) == [("customer.example", "block"), ("jane@customer.example", "allow")]

    table.put_listed(JANE, None)
    table.put_listed(JANE, None)
    assert table.look_up(question(contact=JANE)).listed == "block"
    assert table.look_up(question(contact=EmailAddress("jane@elsewhere.example"))).listed == ""


def test_caution_is_part_of_every_look_up_until_it_ends(table: Table) -> None:
    found = [table.look_up(question()).cautious]
    for cautious in (True, True, False, False):
        table.set_cautious(cautious)
        found.append(table.look_up(question(contact=JANE)).cautious)

    assert found == [False, True, True, False, False]


# feedback


def test_a_bounce_changes_a_sent_send_to_bounced(table: Table) -> None:
    table.commit(first_contact())
    claimed = table.claim(forward().id, NOW, NOW + HOUR)
    assert claimed is not None
    bounce = commit("bounce", record=message("bounce", outcome=Outcome.RECORD), bounced=forward().id)

    with pytest.raises(RecordChanged):
        table.commit(bounce)  # while it is being sent

    sent = replace(claimed, ses_id=SesId("ses-1"))
    table.sent(SentCommit(item=sent, reference=reference("ses-1", ledger=forward().id)))
    table.commit(bounce)

    item = table.by_ses_id(SesId("ses-1"))
    assert item is not None
    assert (item.state, item.reason) == (SendState.BOUNCED, "patterns:seo")
    assert list(table.find("send_state", "bounced")) == [item]
    table.commit(commit("complaint", bounced=forward().id))  # a second recipient, or a complaint after all


def test_when_a_job_is_due_and_what_is_put_off_is_stored(table: Table) -> None:
    put_off = conversation(replies=(forward().id,), snoozed_until=NOW + HOUR, reminders=(LedgerId("notice-1"),))
    whole = commit(conversation=put_off, ledger=(forward(due=NOW + HOUR),))
    table.commit(replace(whole, decision=replace(whole.decision, later={forward().id: NOW + HOUR})))

    decided = table.decision(ReceiptId("receipt-1"), "inbound")
    assert decided is not None
    assert decided.later == {forward().id: NOW + HOUR}
    assert table.conversation(CONVERSATION) == replace(put_off, version=1)


def test_a_queued_send_is_cancelled_with_its_reason_and_claimed_by_no_sender(table: Table) -> None:
    table.commit(first_contact())
    table.commit(commit("cancel", cancelled=(forward(reason="cancelled by the owner"),)))

    cancelled = forward(state=SendState.CANCELLED, reason="cancelled by the owner")
    assert table.by_id(forward().id) == cancelled
    assert list(table.find("send_state", "cancelled")) == [cancelled]
    assert table.claim(forward().id, NOW, NOW + HOUR) is None


@pytest.mark.parametrize("refused", [False, True])
def test_a_send_that_was_claimed_since_it_was_read_is_not_cancelled_and_nothing_is_written(
    table: Table, refused: bool
) -> None:
    """Even if it is queued again: its attempt may have left, without SES's response."""
    table.commit(first_contact())
    claimed = table.claim(forward().id, NOW, NOW + HOUR)
    assert claimed is not None
    if refused:
        table.give_back(replace(claimed, lost=1), SendState.QUEUED, "SES: ReadTimeoutError", NOW)
    before = table.by_id(forward().id)

    with pytest.raises(RecordChanged):
        table.commit(commit("cancel", cancelled=(forward(),)))

    assert table.by_id(forward().id) == before
    assert table.decision(ReceiptId("cancel"), "inbound") is None


def test_a_queued_send_that_ses_reports_on_meanwhile_is_not_cancelled(table: Table) -> None:
    table.commit(first_contact())
    table.give_back(replace(forward(), lost=1), SendState.QUEUED, "SES's events say that it has left", NOW)

    with pytest.raises(RecordChanged):
        table.commit(commit("cancel", cancelled=(forward(),)))


def test_a_bounce_of_a_missing_send_writes_nothing(table: Table) -> None:
    with pytest.raises(RecordChanged):
        table.commit(commit(bounced=LedgerId("forward-none")))

    assert list(chain(table.messages(CONVERSATION), table.unfinished(NOW + HOUR))) == []


def test_a_send_without_a_record_of_its_end_does_not_bounce(table: Table) -> None:
    table.commit(first_contact())
    claimed = table.claim(acknowledgement().id, NOW, NOW + HOUR)
    assert claimed is not None
    table.give_back(claimed, SendState.UNKNOWN, "the attempt before ended without a record", NOW)

    with pytest.raises(RecordChanged):
        table.commit(commit("bounce", bounced=acknowledgement().id))


def test_a_decision_and_its_entry_of_a_list_are_one_transaction(table: Table) -> None:
    table.commit(commit("receipt-1", listed=(JANE, "allow")))
    with pytest.raises(RecordChanged):
        table.commit(commit("receipt-1", listed=(JANE, "block")))

    assert dict(table.listed()) == {JANE: "allow"}


# passes


def test_held_messages_of_a_time_are_found_newest_first_over_several_pages(table: Table) -> None:
    for number in range(130):
        record = message(f"held-{number:03}", at=NOW + number * HOUR, outcome=Outcome.HOLD)
        table.commit(commit(record=record))
    table.commit(commit(record=message("delivered", at=NOW + 5 * HOUR)))

    found = [record.receipt for record in table.held(NOW + HOUR, NOW + 125 * HOUR)]

    assert found == [f"held-{number:03}" for number in reversed(range(1, 125))]


def test_receipts_without_a_decision_are_found_in_their_order_over_several_batches(table: Table) -> None:
    receipts = [ReceiptId(f"receipt-{number:03}") for number in reversed(range(150))]
    for receipt in receipts[::2]:
        table.commit(commit(receipt))

    assert table.undecided(receipts, "inbound") == receipts[1::2]
    assert table.undecided(receipts, "reply") == receipts
    assert table.undecided([], "inbound") == []


def test_sends_in_a_state_are_found_oldest_first_between_two_times(table: Table) -> None:
    ids = [LedgerId(f"send-{number:03}") for number in range(130)]
    for number, ledger in enumerate(ids):
        send = forward(f"receipt-{number}", id=ledger, queued_at=NOW + number * HOUR, due=NOW)
        table.commit(commit(f"receipt-{number}", ledger=(send,)))
    table.claim(ids[3], NOW, NOW + HOUR)

    def found(*times: datetime, state: SendState = SendState.QUEUED) -> list[LedgerId]:
        return [send.id for send in table.sends(state, *times)]

    assert found(NOW + 129 * HOUR) == [*ids[:3], *ids[4:129]]
    assert found(NOW + 129 * HOUR, NOW + 120 * HOUR) == ids[120:129]
    assert found(NOW + 129 * HOUR, state=SendState.SENDING) == [ids[3]]


def test_a_checkpoint_is_kept_under_its_name(table: Table) -> None:
    table.set_checkpoint("one", "a")
    table.set_checkpoint("other", "b")
    table.set_checkpoint("one", "")

    assert (table.checkpoint("one"), table.checkpoint("other"), table.checkpoint("third")) == ("", "b", "")
