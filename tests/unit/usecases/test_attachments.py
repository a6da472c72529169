"""The objects and records that the attachment function stores."""

import json

import pytest

from email_handler.adapters.dynamodb.items import write
from email_handler.conversations.keys import MAX_NAME
from email_handler.errors import UnknownConversation
from email_handler.identifiers import ReceiptId
from email_handler.ports import Extracted
from email_handler.usecases.attachments import MAX_DESCRIBED, store_attachments
from tests.support.builders import entity, mail, multipart
from tests.support.world import World

LARGEST_ITEM = 400 * 1024  # bytes that DynamoDB accepts


class Reader:
    """Extracts CSV files only, and reports the declared type as detected."""

    def extract(self, payload: bytes, name: str, declared_type: str) -> Extracted:
        del name
        text = payload.decode() if declared_type == "text/csv" else ""
        return Extracted(detected_type=declared_type, text=text, status="extracted" if text else "unsupported")


@pytest.fixture
def world() -> World:
    return World()


def test_texts_and_attachments_are_stored_and_described_in_the_record(world: World) -> None:
    files = [("list.csv", "text/csv", b"a,b"), ("../evil\\name.bin", "application/octet-stream", b"\x00\x01")]
    decision = world.arrive(mail(text="New.\r\n\r\n> old\r\n", attachments=files))
    stored = store_attachments(
        decision.receipt, "inbound", archive=world.archive, records=world.records, extractor=Reader()
    )

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
            decision.receipt, "inbound", archive=world.archive, records=world.records, extractor=Crashing()
        )

    assert b"a,b" in world.archive.objects.values()


def test_a_second_run_writes_the_same(world: World) -> None:
    decision = world.arrive(mail(attachments=[("list.csv", "text/csv", b"a,b")]))
    runs = [
        store_attachments(decision.receipt, "inbound", archive=world.archive, records=world.records, extractor=Reader())
        for _ in range(2)
    ]

    assert runs[0] == runs[1]


def test_hundreds_of_attachments_are_all_stored_and_described_within_bounds(world: World) -> None:
    many = [(f"{number}.bin", "application/octet-stream", b"x") for number in range(MAX_DESCRIBED + 20)]
    decision = world.arrive(mail(attachments=many))
    stored = store_attachments(
        decision.receipt, "inbound", archive=world.archive, records=world.records, extractor=Reader()
    )

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
    store_attachments(decision.receipt, "inbound", archive=world.archive, records=world.records, extractor=Reader())

    record = write(world.records.message_records[decision.receipt, "inbound"])
    assert len(record["attachments"]) == MAX_DESCRIBED
    assert len(json.dumps(record, ensure_ascii=False, default=str).encode()) < LARGEST_ITEM


def test_an_unknown_message_is_refused(world: World) -> None:
    with pytest.raises(UnknownConversation):
        store_attachments(ReceiptId("x"), "inbound", archive=world.archive, records=world.records, extractor=Reader())


def test_a_long_name_and_a_long_type_are_cut_in_the_record(world: World) -> None:
    long = "x" * (MAX_NAME + 1)
    headers = [("Content-Type", f"x/{long}"), ("Content-Disposition", f'attachment; filename="{long}"')]
    sender = [("From", "jane@customer.example")]
    decision = world.arrive(multipart("mixed", entity(headers, b"x"), headers=sender))
    (stored,) = store_attachments(
        decision.receipt, "inbound", archive=world.archive, records=world.records, extractor=Reader()
    )

    assert (len(stored.name), len(stored.declared_type)) == (MAX_NAME, MAX_NAME)
