"""The objects and records that the attachment function stores."""

import json
from typing import Any

import pytest

from email_handler.adapters.dynamodb.items import write
from email_handler.conversations.keys import MAX_NAME
from email_handler.errors import UnknownConversation
from email_handler.identifiers import ReceiptId
from email_handler.ports import Extracted
from email_handler.usecases.attachments import DOCUMENT_SECONDS, MAX_DESCRIBED, TEXT_SECONDS, store_attachments
from tests.support.builders import entity, mail, multipart
from tests.support.world import World

LARGEST_ITEM = 400 * 1024  # bytes that DynamoDB accepts


class Reader:
    """Extracts what contains a comma, and keeps how long each document might take."""

    def __init__(self, clock: list[float] | None = None) -> None:
        self.limits: list[float] = []
        self.charsets: list[str] = []
        self._clock = clock

    def extract(self, payload: bytes, charset: str, seconds: float) -> Extracted:
        self.limits.append(seconds)
        self.charsets.append(charset)
        if self._clock:
            self._clock[0] += seconds  # as a document that takes all it may
        text = payload.decode() if b"," in payload else ""
        return Extracted(detected_type="text/csv", text=text, status="extracted" if text else "unsupported")


def store(world: World, receipt: ReceiptId, reader: Reader | None = None, clock: list[float] | None = None) -> Any:
    return store_attachments(
        receipt,
        "inbound",
        archive=world.archive,
        records=world.records,
        extractor=reader or Reader(),
        seconds=lambda: clock[0] if clock else 0.0,
    )


@pytest.fixture
def world() -> World:
    return World()


def test_texts_and_attachments_are_stored_and_described_in_the_record(world: World) -> None:
    files = [("list.csv", "text/csv", b"a,b"), ("../evil\\name.bin", "application/octet-stream", b"\x00\x01")]
    decision = world.arrive(mail(text="New.\r\n\r\n> old\r\n", attachments=files))
    stored = store(world, decision.receipt)

    place = f"{decision.conversation}/{decision.receipt}"
    assert world.archive.objects[f"text/{place}/body.txt"].startswith(b"New.")
    assert b"old" not in world.archive.objects[f"text/{place}/new.txt"]
    assert world.archive.objects[f"text/{place}/01.txt"] == b"a,b"
    assert [world.archive.objects[one.archive_key] for one in stored] == [b"a,b", b"\x00\x01"]
    assert stored[1].archive_key.count("/") == 3
    assert world.records.message_records[decision.receipt, "inbound"].attachments == stored


class Crashing(Reader):
    """Runs out of memory."""

    def extract(self, *_: object) -> Extracted:
        raise MemoryError


def test_an_attachment_is_stored_before_its_text_is_extracted(world: World) -> None:
    decision = world.arrive(mail(attachments=[("list.csv", "text/csv", b"a,b")]))
    with pytest.raises(MemoryError):
        store_attachments(
            decision.receipt,
            "inbound",
            archive=world.archive,
            records=world.records,
            extractor=Crashing(),
            seconds=lambda: 0.0,
        )

    assert b"a,b" in world.archive.objects.values()


def test_a_second_run_writes_the_same(world: World) -> None:
    decision = world.arrive(mail(attachments=[("list.csv", "text/csv", b"a,b")]))
    runs = [store(world, decision.receipt) for _ in range(2)]

    assert runs[0] == runs[1]


def test_hundreds_of_attachments_are_all_stored_and_described_within_bounds(world: World) -> None:
    many = [(f"{number}.bin", "application/octet-stream", b"x") for number in range(MAX_DESCRIBED + 20)]
    decision = world.arrive(mail(attachments=many))
    stored = store(world, decision.receipt)

    assert len(stored) == MAX_DESCRIBED + 20
    assert all(one.archive_key in world.archive.objects for one in stored)
    assert len(world.records.message_records[decision.receipt, "inbound"].attachments) == MAX_DESCRIBED


def test_a_record_with_the_longest_names_fits_an_item(world: World) -> None:
    wide = "\U00020000" * 98
    many = [
        entity([("Content-Type", f"x/{wide}"), ("Content-Disposition", f'attachment; filename="{number}{wide}"')], b"x")
        for number in range(MAX_DESCRIBED)
    ]
    decision = world.arrive(multipart("mixed", *many, headers=[("From", "jane@customer.example")]))
    store(world, decision.receipt)

    record = write(world.records.message_records[decision.receipt, "inbound"])
    assert len(record["attachments"]) == MAX_DESCRIBED
    assert len(json.dumps(record, ensure_ascii=False, default=str).encode()) < LARGEST_ITEM


def test_an_unknown_message_is_refused(world: World) -> None:
    with pytest.raises(UnknownConversation):
        store(world, ReceiptId("x"))


def test_a_long_name_and_a_long_type_are_cut_in_the_record(world: World) -> None:
    long = "x" * (MAX_NAME + 1)
    headers = [("Content-Type", f"x/{long}"), ("Content-Disposition", f'attachment; filename="{long}"')]
    sender = [("From", "jane@customer.example")]
    decision = world.arrive(multipart("mixed", entity(headers, b"x"), headers=sender))
    (stored,) = store(world, decision.receipt)

    assert (len(stored.name), len(stored.declared_type)) == (MAX_NAME, MAX_NAME)


def test_all_bytes_are_stored_before_any_document_is_read(world: World) -> None:
    decision = world.arrive(mail(attachments=[("1", "text/csv", b"a,b"), ("2", "text/csv", b"c,d")]))

    class Dying(Reader):
        def extract(self, payload: bytes, charset: str, seconds: float) -> Extracted:
            raise KeyboardInterrupt(payload, charset, seconds)

    with pytest.raises(KeyboardInterrupt):
        store(world, decision.receipt, Dying())
    stored = {key: value for key, value in world.archive.objects.items() if key.startswith("attachments/")}
    assert sorted(stored.values()) == [b"a,b", b"c,d"]


def test_documents_that_take_all_their_time_leave_the_others_theirs(world: World) -> None:
    decision = world.arrive(mail(attachments=[(str(number), "text/csv", b"a,b") for number in range(100)]))
    clock = [1000.0]
    reader = Reader(clock)
    store(world, decision.receipt, reader, clock)

    assert min(reader.limits) == pytest.approx(TEXT_SECONDS / 100)
    assert sum(reader.limits) <= TEXT_SECONDS * 1.001
    clock = [1000.0]
    single = Reader(clock)
    one = world.arrive(mail(attachments=[("1", "text/csv", b"a,b")]))
    store(world, one.receipt, single, clock)
    assert single.limits == [DOCUMENT_SECONDS]


def test_the_charset_that_a_part_declares_is_passed_on(world: World) -> None:
    parts = [
        entity([("Content-Type", kind), ("Content-Disposition", "attachment; filename=a.txt")], b"x")
        for kind in ("text/plain; charset=KOI8-R", "application/octet-stream")
    ]
    decision = world.arrive(multipart("mixed", *parts, headers=[("From", "jane@customer.example")]))
    reader = Reader()
    store(world, decision.receipt, reader)

    assert reader.charsets == ["KOI8-R", ""]
