"""What the search index is told of changes: the adapter on the emulator, and bringing an index up to date with it."""

from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from cloud.clients import Clients
from email_handler.adapters.dynamodb.changes import DynamoChanges
from email_handler.adapters.dynamodb.operator import DynamoOperator
from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.keys import text_key
from email_handler.conversations.records import AttachmentRecord, Conversation, MessageRecord, Status
from email_handler.errors import RecordsUnavailable
from email_handler.identifiers import ArchiveKey, ConversationId, LedgerId, ReceiptId
from index.query import parse_query
from index.reading import LARGEST
from index.store import SearchIndex
from index.sync import MARKS_LAST, Synced, nothing, sync
from tests.contract.conftest import MovableClock
from tests.support.builders import mail
from tests.support.fakes import NOW, FakeArchive
from tests.support.records import commit, conversation
from tests.support.records import message as message_record
from tests.support.table import DynamoTable

pytestmark = pytest.mark.cloud

HOUR = timedelta(hours=1)
C1, C2 = ConversationId("c-00000001"), ConversationId("c-00000002")


class ReadArchive(FakeArchive):
    """Remembers what was read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def get(self, key: str) -> bytes:
        self.reads.append(key)
        return super().get(key)


class Rig:
    """A table, an archive, and an index of both."""

    def __init__(self, dynamo: DynamoTable, clients: Clients, table: str, clock: MovableClock, path: Path) -> None:
        self.dynamo, self.clock, self.client = dynamo, clock, clients.client("dynamodb")
        self.operator = DynamoOperator(clients.dynamodb, table, clock)
        self.changes = DynamoChanges(self.client, table)
        self.archive = ReadArchive()
        self.path = path
        self.index = SearchIndex.open(path, "stack 1")
        self.calls: list[str] = []
        self.client.meta.events.register("before-call", lambda model, **_: self.calls.append(model.name))

    def receive(self, receipt: str, of: Conversation | None = None, **fields: Any) -> MessageRecord:
        """Record a message, in the conversation *of* as it is after it."""
        about = {"conversation": of.id} if of else {"conversation": ""}
        record = message_record(receipt, **(about | fields))
        self.dynamo.commit(commit(receipt, record=record, conversation=of, expires_at=record.at + 90 * 24 * HOUR))
        return record

    def describe(self, record: MessageRecord, text: str, **files: str) -> None:
        """Store the texts of a message as the attachment function does."""
        described = []
        for number, (name, content) in enumerate(files.items(), start=1):
            key = text_key(record.conversation, record.receipt, f"{number:02}")
            self.archive.put(key, content.encode(), "text/plain")
            described.append(attachment(number, name, key, len(content)))
        for name in ("new", "body"):
            self.archive.put(text_key(record.conversation, record.receipt, name), text.encode(), "text/plain")
        self.dynamo.describe_attachments(record.receipt, record.function, described, len(text))

    def sync(self, **options: Any) -> Synced:
        self.calls.clear()
        return sync(self.index, self.changes, options.pop("archive", self.archive), self.clock, **options)

    def found(self, text: str) -> list[str]:
        return [hit.message.receipt for hit in self.index.search(parse_query(text, UTC)).hits]


def attachment(number: int, name: str, text_key: str, chars: int) -> AttachmentRecord:
    key = ArchiveKey(f"attachments/{number}")
    return AttachmentRecord(
        number=number, name=name, declared_type="", detected_type="", size=1, sha256="0", archive_key=key,
        text_key=text_key, text_chars=chars, status="extracted",
    )  # fmt: skip


@pytest.fixture
def rig(dynamo: DynamoTable, clients: Clients, table_name: str, clock: MovableClock, tmp_path: Path) -> Rig:
    return Rig(dynamo, clients, table_name, clock, tmp_path / "cache" / "stack.sqlite")


def test_conversations_messages_and_texts_are_found_after_the_first_time(rig: Rig) -> None:
    record = rig.receive("r1", conversation(), subject="Garden")
    rig.describe(record, "a shed, please", **{"plan.pdf": "ramp for a wheelchair"})
    rig.receive("r2", conversation(id=C2, status=Status.ANSWERED))
    rig.receive("held", outcome=Outcome.HOLD, subject="An offer")
    rig.receive("dropped", outcome=Outcome.DROP, subject="For nobody here")

    assert rig.sync() == Synced(read=2, unread=0)

    assert rig.found("garden shed wheelchair file:plan has:attachment") == ["r1"]
    assert rig.found("is:answered") == ["r2"]
    assert rig.found("offer is:held") == ["held"]
    assert rig.found("nobody is:dropped") == ["dropped"]
    assert [one.id for one in rig.index.inbox()] == [C1]


def test_if_nothing_has_changed_nine_calls_say_so(rig: Rig) -> None:
    for number in range(7):
        rig.receive(f"r{number}", conversation(id=ConversationId(f"c-{number}"), status=[*Status][number % 6]))
        rig.receive(f"h{number}", outcome=Outcome.HOLD)
    rig.sync()

    assert rig.sync() == Synced(read=0, unread=0)
    assert sorted(rig.calls) == ["BatchGetItem", *["Query"] * 8]


def test_only_what_has_changed_is_read_again(rig: Rig) -> None:
    for number in range(5):
        rig.describe(rig.receive(f"r{number}", conversation(id=ConversationId(f"c-{number}"))), "shed")
    rig.sync()
    rig.clock.now += HOUR
    before = rig.dynamo.conversation(ConversationId("c-3"))
    assert before is not None
    again = rig.receive("again", replace(before, updated_at=rig.clock.now), at=rig.clock.now)
    rig.describe(again, "barn")
    rig.archive.reads.clear()

    assert rig.sync().read == 1
    assert rig.found("barn") == ["again"]
    assert sorted(rig.archive.reads) == sorted(text_key("c-3", ReceiptId("again"), name) for name in ("new", "body"))


@pytest.mark.parametrize("status", [Status.CLOSED, Status.SPAM, Status.SNOOZED])
def test_what_the_operator_does_to_an_old_conversation_is_seen(rig: Rig, status: Status) -> None:
    rig.receive("r1", conversation())
    rig.clock.now += 100 * 24 * HOUR
    rig.sync()
    rig.clock.now += HOUR

    if status is Status.SNOOZED:
        rig.operator.put_snoozed(C1, NOW, LedgerId("reminder"))
    else:
        rig.operator.put_status(C1, status)
    rig.sync(archive=None)

    assert rig.index.inbox() == []
    assert [one.status for one in rig.index.conversations()] == [status]


def test_whatever_changes_an_old_conversation_is_seen_among_many_newer_ones(rig: Rig) -> None:
    rig.receive("r1", conversation())
    rig.clock.now += HOUR
    for number in range(101):  # more than one page that holds nothing new
        newer = conversation(id=ConversationId(f"c-{number:03}"), status=Status.CLOSED, updated_at=rig.clock.now)
        rig.receive(f"c{number}", newer)
    rig.clock.now += HOUR
    rig.sync(archive=None)
    rig.clock.now += HOUR
    before = rig.dynamo.conversation(C1)
    assert before is not None

    rig.receive("close", replace(before, status=Status.CLOSED))  # a command by mail: nothing was written to the contact
    rig.sync(archive=None)

    assert rig.index.inbox() == []


def test_without_an_archive_the_inbox_is_right_and_messages_stay_to_be_read(rig: Rig) -> None:
    rig.receive("r1", conversation())

    assert rig.sync(archive=None) == Synced(read=0, unread=1)
    assert [one.id for one in rig.index.inbox()] == [C1]
    assert rig.found("is:open") == []
    assert rig.sync() == Synced(read=1, unread=0)
    assert rig.found("is:open") == ["r1"]


def test_a_message_described_after_it_was_read_is_found_by_its_text(rig: Rig) -> None:
    record = rig.receive("r1", conversation())
    rig.sync()
    rig.describe(record, "a shed", **{"plan.pdf": "wheelchair"})
    rig.clock.now += HOUR
    rig.sync()

    assert rig.found("shed wheelchair") == ["r1"]
    assert sorted(rig.calls) == ["BatchGetItem", *["Query"] * 8], "it is asked for along with what was erased"


def test_a_message_without_files_is_found_by_its_text_as_it_came(rig: Rig) -> None:
    """No function stores it a second time."""
    record = rig.receive("r1", conversation(), files=0)
    rig.archive.put(record.archive_key, mail(text="A shed.\r\n\r\n> a barn\r\n"), "message/rfc822")
    rig.sync()

    assert rig.found("shed") == rig.found("barn") == ["r1"]
    assert rig.archive.reads == [record.archive_key]


def test_a_message_with_files_is_read_once_they_are_described_though_its_text_is_known(rig: Rig) -> None:
    record = rig.receive("r1", conversation(), files=1, text_chars=6)
    rig.sync()
    assert rig.archive.reads == []

    rig.describe(record, "a shed", **{"plan.pdf": "wheelchair"})
    rig.clock.now += HOUR
    rig.sync()

    assert rig.found("shed wheelchair") == ["r1"]


def test_what_a_slow_clock_dated_before_the_last_time_is_found(rig: Rig) -> None:
    rig.receive("r1", conversation())
    rig.clock.now += 24 * HOUR
    rig.sync()
    rig.clock.now -= 20 * HOUR
    rig.receive("late", conversation(id=C2))
    rig.receive("held", outcome=Outcome.HOLD, at=NOW + HOUR)
    rig.clock.now += 21 * HOUR
    rig.sync()

    assert rig.found("is:open") == ["late", "r1"]
    assert rig.found("is:held") == ["held"]


def test_a_message_that_is_recorded_days_after_it_came_is_found_within_a_day(rig: Rig) -> None:
    for number in range(101):  # more than one page that holds nothing new
        rig.receive(f"h{number}", outcome=Outcome.HOLD, at=NOW + number * HOUR)
    rig.clock.now += 200 * HOUR
    rig.sync()
    rig.receive("late", outcome=Outcome.HOLD, at=NOW - HOUR)
    rig.clock.now += 25 * HOUR
    rig.sync()

    assert "late" in rig.found("is:held before:2026-03-03")


def test_a_held_message_is_found_by_all_of_its_text_and_the_names_of_its_files(rig: Rig) -> None:
    text = "a long beginning " * 20 + "and a quincunx"
    rig.archive.put("raw/inbound/r1", mail(text=text, attachments=[("plan.pdf", "application/pdf", b"%PDF")]), "")
    rig.receive("r1", outcome=Outcome.HOLD)
    rig.receive("gone", outcome=Outcome.DROP, snippet="its beginning")
    rig.receive("large", outcome=Outcome.HOLD, size=LARGEST + 1, snippet="its beginning")
    rig.sync()

    assert rig.found("quincunx plan.pdf") == ["r1"]
    assert sorted(rig.found("its beginning")) == ["gone", "large"]
    rig.archive.reads.clear()
    rig.sync()
    assert rig.archive.reads == []


def test_a_decision_about_a_held_message_is_seen(rig: Rig) -> None:
    record = rig.receive("r1", outcome=Outcome.HOLD)
    rig.sync()
    confirmed = replace(record, reasons=(*record.reasons, Reason(stage="operator", rule="confirmed")))
    decided = commit("r1", record=confirmed)
    rig.dynamo.commit(replace(decided, decision=replace(decided.decision, decider="operator")))
    rig.sync()

    (hit,) = rig.index.search(parse_query("is:held", UTC)).hits
    assert hit.message.reasons == confirmed.reasons


def test_a_held_message_of_a_conversation_is_found_once(rig: Rig) -> None:
    rig.receive("r1", conversation(), outcome=Outcome.HOLD)
    rig.sync()
    rig.sync()

    assert rig.found("is:held is:open") == ["r1"]
    assert len(rig.calls) == 9


def test_a_held_message_that_was_released_is_its_conversations_from_then_on(rig: Rig) -> None:
    rig.receive("r1", outcome=Outcome.HOLD)
    rig.sync()
    released = message_record("r1", conversation=C1, outcome=Outcome.DELIVER)
    rig.clock.now += HOUR
    decided = commit("r1", record=released, conversation=conversation())
    rig.dynamo.commit(replace(decided, decision=replace(decided.decision, decider="operator")))
    rig.sync()

    assert rig.found("is:held") == []
    assert rig.found("is:open") == ["r1"]


def test_what_was_erased_is_gone_from_other_machines_too(rig: Rig) -> None:
    rig.describe(rig.receive("r1", conversation()), "quincunx")
    rig.receive("r2", conversation(id=C2))
    loose = rig.receive("held", outcome=Outcome.HOLD)
    rig.sync()
    erased = rig.dynamo.conversation(C1)
    assert erased is not None
    rig.clock.now += HOUR

    assert rig.operator.close(erased)
    rig.operator.erase(list(rig.dynamo.messages(C1)), [], erased)
    rig.operator.erase([loose], [], None)
    rig.sync(archive=None)

    assert [one.id for one in rig.index.conversations()] == [C2]
    assert rig.found("after:2000") == ["r2"]
    assert b"uincunx" not in b"".join(path.read_bytes() for path in rig.path.parent.iterdir())


def test_a_conversation_that_begins_again_under_an_erased_id_is_found(rig: Rig) -> None:
    rig.receive("r1", conversation(id=ConversationId("linkedin-jane-doe")))
    rig.sync()
    erased = rig.dynamo.conversation(ConversationId("linkedin-jane-doe"))
    assert erased is not None
    rig.clock.now += HOUR
    rig.operator.close(erased)
    rig.operator.erase(list(rig.dynamo.messages(erased.id)), [], erased)
    rig.clock.now += HOUR
    at = rig.clock.now
    rig.receive("r2", conversation(id=erased.id, started_at=at, updated_at=at), at=at)
    for _ in range(2):
        rig.sync()

    assert rig.found("is:open") == ["r2"]


def test_an_index_that_may_have_missed_what_was_erased_is_read_anew(rig: Rig) -> None:
    rig.receive("r1", conversation())
    rig.sync()
    rig.index.put_conversations([conversation(id=C2, version=1)])
    rig.clock.now += MARKS_LAST + HOUR
    rig.sync()

    assert [one.id for one in rig.index.conversations()] == [C1]


class Stopping:
    """A progress that stops everything at the *last* step, as Ctrl-C does."""

    def __init__(self, last: int) -> None:
        self.left = last

    def __call__(self, *_: int | None) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("steps", range(4))
def test_what_is_interrupted_goes_on_the_next_time(rig: Rig, steps: int) -> None:
    for number in range(120):
        rig.receive(f"r{number}", conversation(id=ConversationId(f"c-{number:08}"), status=[*Status][number % 2]))
    with pytest.raises(KeyboardInterrupt):
        rig.sync(progress=Stopping(steps))
    known = rig.index.count_conversations() - rig.index.count_unread()

    assert rig.sync() == Synced(read=120 - known, unread=0)
    assert len({*rig.found("after:2000")}) == 50, "the first page"
    assert rig.index.search(parse_query("after:2000", UTC)).total == 120


def test_progress_tells_how_many_of_how_many(rig: Rig) -> None:
    for number in range(60):
        rig.receive(f"r{number}", conversation(id=ConversationId(f"c-{number:08}")))
    told: list[tuple[int, int | None]] = []

    rig.sync(progress=lambda done, total: told.append((done, total)))

    assert told == [(60, None), (50, 60), (60, 60)]


def test_two_that_work_at_once_agree(rig: Rig) -> None:
    for number in range(60):
        rig.receive(f"r{number}", conversation(id=ConversationId(f"c-{number:08}")))
    other = SearchIndex.open(rig.path, "stack 1")

    def also(*_: int | None) -> None:
        sync(other, rig.changes, rig.archive, rig.clock)

    rig.sync(progress=also)

    assert rig.index.search(parse_query("is:open", UTC)).total == 60
    assert rig.index.count_unread() == 0


def test_an_unreachable_table_is_told_and_loses_nothing(rig: Rig) -> None:
    rig.receive("r1", conversation())
    broken = DynamoChanges(rig.client, "no-such-table")
    with pytest.raises(RecordsUnavailable):
        sync(rig.index, broken, rig.archive, rig.clock, nothing)

    assert rig.sync().read == 1
