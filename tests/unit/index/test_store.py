"""The index in a file of its own."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.adapters.dynamodb.changes import Stored
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import AttachmentRecord, Conversation, MessageRecord, Status
from email_handler.identifiers import ArchiveKey, ConversationId, EmailAddress, ReceiptId
from index import file
from index.entries import Entry, Texts
from index.file import IndexDamaged, IndexUnavailable
from index.query import QueryError, parse_query
from index.store import SearchIndex
from tests.support.fakes import NOW
from tests.support.records import conversation

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def index(tmp_path: Path) -> SearchIndex:
    return SearchIndex.open(tmp_path / "cache" / "stack.sqlite", "stack 1")


def message(receipt: str, **fields: Any) -> MessageRecord:
    return MessageRecord(
        **{
            "receipt": ReceiptId(receipt),
            "function": "inbound",
            "archive_key": ArchiveKey(f"raw/inbound/{receipt}"),
            "at": NOW,
            "outcome": Outcome.DELIVER,
            "sender": EmailAddress("jane@customer.example"),
            "sender_name": "Jane",
            "public_address": EmailAddress("contact@example.com"),
            "subject": "Hello",
            **fields,
        }
    )


def attachment(name: str, **fields: Any) -> AttachmentRecord:
    given = {"number": 1, "name": name, "declared_type": "", "detected_type": "", "size": 1, "sha256": "0"}
    return AttachmentRecord(
        **{**given, "archive_key": ArchiveKey("a"), "text_key": "", "text_chars": 0, "status": "", **fields}
    )


def put(index: SearchIndex, receipt: str, text: str = "", *, of: Conversation | None = None, **fields: Any) -> None:
    """Put a message with *text* into the index, in a conversation of its own if none is given."""
    own = of or conversation(id=ConversationId(f"c-{receipt}"), version=1)
    texts = fields.pop("texts", Texts(new=text, full=text))
    index.put_conversations([own])
    index.put_messages([(own, [Entry(message=message(receipt, conversation=own.id, **fields), texts=texts)])], NOW)


def found(index: SearchIndex, text: str, **options: Any) -> list[str]:
    return [hit.message.receipt for hit in index.search(parse_query(text, UTC), **options).hits]


def excerpt(index: SearchIndex, text: str) -> str:
    (hit,) = index.search(parse_query(text, UTC)).hits
    return "".join(f"[{piece.text}]" if piece.marked else piece.text for piece in hit.snippet)


# What is found


@pytest.mark.parametrize(
    "query",
    [
        "shed",
        "SHED",
        "gard*",
        '"garden shed"',
        "shed garden",
        "creme brulee",
        "strasse",
        "STRASSE",
        "Straße",
        "lodz",
        "Łódź",
        "soren",
        "東京",
        "京都",
        "都",
        "กินข้าว",
        "ข้าว",
        "학교",
        "file",
        "wheelchair",
        "plan.pdf",
        "file:plan",
        "quotation",
        "jane",
        "jane@customer.example",
        "from:jane",
        "from:customer.example",
        "to:contact",
        "subject:hello",
        "c-1",
        "shed -barn",
        "-barn",
        "has:attachment",
        "is:open",
        "is:delivered",
        "-is:held",
        "on:2026-03-02",
        "after:2026-03-02 before:2026-03-03",
        "-on:2026-03-03",
    ],
)
def test_a_message_is_found(index: SearchIndex, query: str) -> None:
    new = "A garden shed with crème brûlée, 10 Straße, Łódź, Søren. 我在東京都 ฉันกินข้าว 학교에서 a ﬁle"
    texts = Texts(new=new, full=f"{new}\n> a quotation", files=("ramp for a wheelchair",))
    put(index, "1", texts=texts, attachments=(attachment("plan.pdf"),))

    assert found(index, query) == ["1"]


@pytest.mark.parametrize(
    "query",
    [
        "barn",
        "gar",
        '"shed garden"',
        "shed barn",
        "-shed",
        "京東",
        "from:contact",
        "to:jane",
        "subject:shed",
        "file:shed",
        "-has:attachment",
        "is:closed",
        "is:held",
        "on:2026-03-01",
        "before:2026-03-02",
    ],
)
def test_a_message_is_not_found(index: SearchIndex, query: str) -> None:
    put(index, "1", "A garden shed. 東京都", attachments=(attachment("plan.pdf"),))

    assert found(index, query) == []


def test_all_words_must_occur_in_one_message_wherever(index: SearchIndex) -> None:
    own = conversation(version=1, contact_name="Otto Orchard")
    put(index, "1", "a shed", of=own, subject="Garden")
    put(index, "2", "a garden")

    assert found(index, "otto garden shed") == ["1"]


def test_who_gets_a_reply_is_the_contact(index: SearchIndex) -> None:
    owner = EmailAddress("owner@private.example")
    put(index, "1", function="reply", outcome=Outcome.RELAY, sender=owner, sender_name="")

    assert found(index, "to:jane") == ["1"]
    assert found(index, "from:owner is:reply") == ["1"]
    assert found(index, "to:contact") == []


def test_the_newest_are_first_and_pages_follow_each_other(index: SearchIndex) -> None:
    for number in range(5):
        put(index, str(number), "shed", at=NOW + number * HOUR)

    assert found(index, "shed") == ["4", "3", "2", "1", "0"]
    assert found(index, "shed", limit=2, offset=2) == ["2", "1"]
    assert index.search(parse_query("shed", UTC), limit=2).total == 5


def test_messages_of_the_same_moment_are_all_found(index: SearchIndex) -> None:
    for receipt in ("1", "2", "3"):
        put(index, receipt, "shed")
    put(index, "4", "shed", at=NOW + timedelta(microseconds=2))

    assert sorted(found(index, "shed")) == ["1", "2", "3", "4"]


def test_the_best_are_those_that_say_most_of_it(index: SearchIndex) -> None:
    put(index, "1", "the word shed, once, in a long text about this and that and much else", at=NOW)
    put(index, "2", "else", at=NOW - DAY, subject="shed")

    assert found(index, "shed", order="best") == ["2", "1"]


def test_an_excerpt_marks_what_was_found_in_the_text(index: SearchIndex) -> None:
    put(index, "1", texts=Texts(new="My garden\n\nshed is  green", full="", files=("我在東京都",)))

    assert excerpt(index, "shed") == "My garden [shed] is green"
    assert excerpt(index, "京都") == "我在東[京都]"
    assert excerpt(index, "jane") == ""


def test_an_excerpt_prefers_what_is_new_to_what_is_quoted(index: SearchIndex) -> None:
    put(index, "1", texts=Texts(new="new shed", full="new shed\n> old shed"))

    assert excerpt(index, "shed") == "new [shed]"
    assert found(index, '"old shed"') == ["1"]


def test_before_its_texts_are_stored_a_message_is_found_by_its_beginning(index: SearchIndex) -> None:
    own = conversation(version=1)
    index.put_conversations([own])
    undescribed = message("1", conversation=own.id, snippet="A garden shed")
    index.put_messages([(own, [Entry(message=undescribed)])], NOW)

    assert found(index, "shed") == ["1"]
    assert excerpt(index, "is:open") == "A garden shed"


def test_held_messages_without_a_conversation_are_found_until_the_table_forgets_them(index: SearchIndex) -> None:
    kept = message("1", outcome=Outcome.HOLD, subject="Offer", token="secret")
    index.put_held([Stored(kept, NOW + DAY)])

    (hit,) = index.search(parse_query("offer is:held", UTC)).hits
    assert hit.message == replace(kept, token="")
    assert hit.conversation is None
    index.forget_expired(NOW + DAY)
    assert found(index, "offer") == []


_WORDS = st.sampled_from(
    [
        '"',
        "*",
        "-",
        "(",
        ")",
        "NEAR",
        "AND",
        ":",
        "^",
        "{",
        "}",
        "+",
        "shed",
        "\x00",
        "東",
        "é",
        " ",
        "sender",
        "is:",
        "'",
    ]
)


@given(st.text(max_size=30) | st.lists(_WORDS, max_size=12).map("".join), st.booleans())
def test_no_query_is_syntax_of_the_database(shared: SearchIndex, text: str, unfinished: bool) -> None:
    try:
        query = parse_query(text, UTC, unfinished=unfinished)
    except QueryError:
        return
    assert shared.search(query, order="best").total in (0, 1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> SearchIndex:
    """Return an index with one message, for tests that only search."""
    index = SearchIndex.open(tmp_path_factory.mktemp("cache") / "stack.sqlite", "stack 1")
    put(index, "1", "A garden shed 東京")
    return index


def test_every_part_of_a_text_is_found_in_it(shared: SearchIndex) -> None:
    assert found(shared, '"garden shed 東"') == ["1"]


# Conversations


def test_the_inbox_is_what_waits_for_a_reply_oldest_first(index: SearchIndex) -> None:
    for number, status in enumerate((Status.WAITING, Status.ANSWERED, Status.OPEN, Status.CLOSED, Status.SNOOZED)):
        at = NOW - number * HOUR
        index.put_conversations(
            [conversation(id=ConversationId(f"c-{number}"), status=status, updated_at=at, version=1)]
        )

    assert [one.id for one in index.inbox()] == ["c-2", "c-0"]
    assert [one.id for one in index.inbox(limit=1, offset=1)] == ["c-0"]
    assert index.count_inbox() == 2
    assert [one.id for one in index.conversations()] == ["c-0", "c-1", "c-2", "c-3", "c-4"]
    assert [one.id for one in index.conversations(Status.CLOSED)] == ["c-3"]
    assert (index.count_conversations(), index.count_conversations(Status.OPEN)) == (5, 1)


def test_a_conversation_comes_back_as_it_was_but_for_its_token(index: SearchIndex) -> None:
    stored = conversation(version=3, participants=(EmailAddress("john@customer.example"),), snoozed_until=NOW)
    index.put_conversations([stored])

    assert index.conversations() == [replace(stored, token="")]
    assert stored.token.encode() not in _bytes(index)


def test_an_older_version_does_not_replace_a_newer_one(index: SearchIndex) -> None:
    index.put_conversations([conversation(version=2, status=Status.CLOSED)])
    index.put_conversations([conversation(version=1, status=Status.OPEN)])

    assert index.inbox() == []
    assert index.versions([conversation().id]) == {conversation().id: "2"}


def test_a_conversation_that_changed_while_it_was_read_stays_unread(index: SearchIndex) -> None:
    before = conversation(version=1)
    index.put_conversations([before])
    index.put_conversations([conversation(version=2)])
    index.put_messages([(before, [Entry(message=message("1", conversation=before.id))])], NOW)

    assert index.count_unread() == 1
    assert [one.version for one in index.unread(10)] == [2]


def test_a_message_that_a_conversation_no_longer_has_is_gone(index: SearchIndex) -> None:
    own = conversation(version=1)
    put(index, "1", "shed", of=own)
    index.put_messages([(own, [])], NOW)

    assert found(index, "shed") == []


def test_a_changed_record_keeps_the_texts_that_are_known(index: SearchIndex) -> None:
    own = conversation(version=1)
    put(index, "1", "shed", of=own)
    renamed = conversation(version=2, contact_name="Otto")
    index.put_conversations([renamed])
    index.put_messages([(renamed, [Entry(message=message("1", conversation=own.id))])], NOW)

    assert found(index, "otto shed") == ["1"]


def test_an_undescribed_message_is_asked_for_again_less_and_less_often(index: SearchIndex) -> None:
    own = conversation(version=1)
    index.put_conversations([own])
    entry = Entry(message=message("1", conversation=own.id, at=NOW - 10 * HOUR))
    index.put_messages([(own, [entry])], NOW)

    assert index.due(NOW + 4 * HOUR, 10) == []
    due = index.due(NOW + 5 * HOUR, 10)
    assert due == [("1", "inbound")]
    described = message("1", conversation=own.id, at=NOW - 10 * HOUR, text_chars=4)
    index.put_described(due, [Entry(message=described, texts=Texts(new="shed", full="shed"))], NOW + 5 * HOUR)
    assert index.due(NOW + 999 * HOUR, 10) == []
    assert found(index, "shed") == ["1"]


# The file


def _bytes(index: SearchIndex) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(index.path.parent.iterdir()))


def test_nothing_of_what_was_erased_is_left_in_the_file(index: SearchIndex) -> None:
    for number in range(20):  # so that the index has parts to merge
        put(index, f"r{number}", f"shed number{number} zebra")
    put(
        index,
        "gone",
        "zyxwvut quincunx",
        sender_name="Xanthippe",
        texts=Texts(new="zyxwvut", full="", files=("quincunx",)),
    )
    index.put_held([Stored(message("kept", subject="qwertzui", outcome=Outcome.HOLD))])
    words = (b"xwvut", b"uincunx", b"anthippe", b"wertzui", b"c-gone")
    index._file.settle()
    assert [word for word in words if word not in _bytes(index)] == []

    index.forget(conversations=[ConversationId("c-gone")], receipts=[ReceiptId("kept")])

    assert [word for word in words if word in _bytes(index)] == []
    assert len(found(index, "zebra", limit=1000)) == 20


def test_folder_and_file_are_the_users_alone(index: SearchIndex) -> None:
    put(index, "1", "shed")

    assert index.path.parent.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in index.path.parent.iterdir()} == {0o600}


def test_an_open_folder_is_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "stack.sqlite"
    path.touch(0o644)

    SearchIndex.open(path, "stack 1")

    assert (tmp_path.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


def test_the_index_of_the_same_stack_is_kept(index: SearchIndex) -> None:
    put(index, "1", "shed")

    assert found(SearchIndex.open(index.path, "stack 1"), "shed") == ["1"]


def test_that_of_another_stack_of_the_same_name_is_made_anew(index: SearchIndex) -> None:
    put(index, "1", "shed")

    assert found(SearchIndex.open(index.path, "stack 2"), "shed") == []


def test_one_of_another_version_is_made_anew(index: SearchIndex) -> None:
    put(index, "1", "shed")
    with sqlite3.connect(index.path) as connection:
        connection.execute(f"PRAGMA user_version = {file.VERSION + 1}")
        connection.execute("DROP TABLE messages")
    connection.close()

    again = SearchIndex.open(index.path, "stack 1")
    assert found(again, "shed") == []
    put(again, "1", "shed")
    assert found(again, "shed") == ["1"]


@pytest.mark.parametrize("content", [b"not a database at all" * 500, b"SQLite format 3\0" + b"\xff" * 9000])
def test_a_damaged_file_is_made_anew(index: SearchIndex, content: bytes) -> None:
    put(index, "1", "shed")
    index.path.write_bytes(content)

    assert found(SearchIndex.open(index.path, "stack 1"), "shed") == []


def test_damage_that_shows_late_is_told_and_can_be_cleared(index: SearchIndex) -> None:
    for number in range(50):
        put(index, str(number), f"shed number{number}")
    index._file.settle()
    whole = index.path.read_bytes()
    index.path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))

    with pytest.raises(IndexDamaged, match="--rebuild"):
        index.search(parse_query("shed", UTC))
    index.clear()
    assert found(index, "shed") == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(IndexUnavailable, match="taken"):
        SearchIndex.open(tmp_path / "taken" / "stack.sqlite", "stack 1")


def test_a_deleted_index_leaves_no_file(index: SearchIndex) -> None:
    put(index, "1", "shed")
    index.delete()

    assert list(index.path.parent.iterdir()) == []
    index.delete()


@pytest.fixture
def writer(index: SearchIndex) -> Iterator[sqlite3.Connection]:
    """Return a connection of another process, in the middle of a transaction."""
    connection = sqlite3.connect(index.path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_while_another_process_writes_the_index_is_searched_as_it_was(
    index: SearchIndex, writer: sqlite3.Connection
) -> None:
    writer.execute("INSERT INTO facts VALUES ('half', 'done')")

    assert index.fact("half") == ""
    writer.execute("COMMIT")
    assert index.fact("half") == "done"


def test_the_latest_message_of_each_conversation_is_what_one_side_wrote_to_the_other(index: SearchIndex) -> None:
    of = conversation(id=ConversationId("c-1"))
    command = message("command", at=NOW + 2 * HOUR, outcome=Outcome.RECORD, conversation=of.id)
    reply = message("reply", at=NOW + HOUR, outcome=Outcome.RELAY, conversation=of.id)
    first = message("first", conversation=of.id)
    index.put_conversations([of])
    index.put_messages([(of, [Entry(message=one) for one in (command, reply, first)])], NOW)

    assert {id_: one.receipt for id_, one in index.latest([of.id, ConversationId("c-2")]).items()} == {of.id: "reply"}
