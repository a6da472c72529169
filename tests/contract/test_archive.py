"""The archive: bytes are stored unchanged, and a missing object is not confused with an unavailable bucket."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from cloud.clients import Clients
from email_handler.adapters.s3 import S3Archive
from email_handler.errors import ArchiveObjectMissing, ArchiveUnavailable
from email_handler.ports import Archive
from tests.contract.conftest import BOTH
from tests.support.fakes import FakeArchive
from tests.support.stack import of_type


@pytest.fixture
def bucket(clients: Clients, unique: Callable[[str], str]) -> str:
    name = unique("bucket")
    clients.s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(params=BOTH)
def archive(request: pytest.FixtureRequest) -> Archive:
    if request.param == "fake":
        return FakeArchive(clock=lambda: datetime.now(UTC))
    return S3Archive(request.getfixturevalue("clients").s3, request.getfixturevalue("bucket"))


def test_an_object_is_read_back_byte_for_byte(archive: Archive) -> None:
    every_byte = bytes(range(256)) * 1000
    archive.put("raw/inbound/receipt-1", every_byte, "message/rfc822")
    archive.put("attachments/c-1/receipt-1/01-Lebenslauf für São.pdf", b"", "application/pdf")

    assert archive.get("raw/inbound/receipt-1") == every_byte
    assert archive.get("attachments/c-1/receipt-1/01-Lebenslauf für São.pdf") == b""


def test_the_latest_object_at_a_key_is_read(archive: Archive) -> None:
    archive.put("text/body.txt", b"first", "text/plain")
    archive.put("text/body.txt", b"second", "text/plain")

    assert archive.get("text/body.txt") == b"second"


def test_a_missing_object_raises_missing(archive: Archive) -> None:
    with pytest.raises(ArchiveObjectMissing):
        archive.get("raw/inbound/receipt-1")


def test_only_keys_below_the_prefix_are_listed_with_their_time(archive: Archive) -> None:
    for key in ("raw/reply/c", "raw/inbound/b", "raw/inbound/a", "raw/inbound"):
        archive.put(key, b"x", "message/rfc822")

    found = dict(archive.keys("raw/inbound/"))

    assert list(found) == ["raw/inbound/a", "raw/inbound/b"]
    assert all(abs(datetime.now(UTC) - at) < timedelta(minutes=1) for at in found.values())
    assert list(archive.keys("sent/")) == []


def test_keys_are_listed_in_their_order_from_behind_a_key(archive: Archive) -> None:
    for key in ("raw/inbound/c", "raw/inbound/B", "raw/inbound/a", "raw/inbound/a1", "raw/reply/d"):
        archive.put(key, b"x", "message/rfc822")

    assert [key for key, _ in archive.keys("raw/inbound/")] == [f"raw/inbound/{name}" for name in ("B", "a", "a1", "c")]
    assert [key for key, _ in archive.keys("raw/inbound/", "raw/inbound/a")] == ["raw/inbound/a1", "raw/inbound/c"]
    assert [key for key, _ in archive.keys("raw/inbound/", "raw/inbound/b")] == ["raw/inbound/c"], "b may be gone"
    assert list(archive.keys("raw/inbound/", "raw/inbound/c")) == []


@pytest.mark.cloud
def test_keys_are_listed_over_several_pages(clients: Clients, bucket: str) -> None:
    archive = S3Archive(clients.s3, bucket)
    for number in range(1005):
        archive.put(f"raw/inbound/{number:04}", b"", "message/rfc822")

    assert len(list(archive.keys("raw/"))) == 1005
    assert len(list(archive.keys("raw/", "raw/inbound/0001"))) == 1003


@pytest.mark.cloud
def test_a_missing_bucket_raises_unavailable(clients: Clients) -> None:
    archive = S3Archive(clients.s3, "no-such-bucket")

    with pytest.raises(ArchiveUnavailable, match="NoSuchBucket"):
        archive.get("raw/inbound/receipt-1")
    with pytest.raises(ArchiveUnavailable, match="NoSuchBucket"):
        archive.put("raw/inbound/receipt-1", b"", "message/rfc822")
    with pytest.raises(ArchiveUnavailable, match="NoSuchBucket"):
        list(archive.keys("raw/"))


def test_a_body_that_cannot_be_read_to_its_end_raises_unavailable() -> None:
    class Body:
        def read(self) -> bytes:
            raise ReadTimeoutError(endpoint_url="http://bucket.invalid")

    class Client:
        def get_object(self, **_: object) -> dict[str, Any]:
            return {"Body": Body()}

    with pytest.raises(ArchiveUnavailable, match="ReadTimeoutError"):
        S3Archive(Client(), "bucket").get("raw/inbound/receipt-1")


def test_an_object_can_be_set_to_expire_and_kept_again(archive: Archive) -> None:
    archive.put("raw/inbound/receipt-1", b"mail", "message/rfc822")
    for expires in (True, True, False, False):
        archive.let_expire("raw/inbound/receipt-1", expires)

    assert archive.get("raw/inbound/receipt-1") == b"mail"
    with pytest.raises(ArchiveObjectMissing):
        archive.let_expire("raw/inbound/receipt-2", expires=True)


@pytest.mark.cloud
def test_an_object_that_may_expire_has_the_tag_of_the_lifecycle_rule(clients: Clients, bucket: str) -> None:
    archive = S3Archive(clients.s3, bucket)
    archive.put("raw/inbound/receipt-1", b"mail", "message/rfc822")
    archive.let_expire("raw/inbound/receipt-1", expires=True)
    tagged = clients.s3.get_object_tagging(Bucket=bucket, Key="raw/inbound/receipt-1")["TagSet"]
    archive.let_expire("raw/inbound/receipt-1", expires=False)
    rules = of_type("AWS::S3::Bucket")["Archive"]["LifecycleConfiguration"]["Rules"]

    assert [rule["TagFilters"] for rule in rules if "TagFilters" in rule] == [tagged]
    assert clients.s3.get_object_tagging(Bucket=bucket, Key="raw/inbound/receipt-1")["TagSet"] == []
