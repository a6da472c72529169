"""The archive on S3."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from email_handler.adapters.aws import code, translating
from email_handler.errors import ArchiveObjectMissing, ArchiveUnavailable, EmailHandlerError
from email_handler.identifiers import ArchiveKey

EXPIRES = {"Key": "expires", "Value": "held"}
"""The tag that the bucket's lifecycle rule looks for."""


class S3Archive:
    """Port Archive on one bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        """Use *client* (boto3, S3) on *bucket*."""
        self._client = client
        self._bucket = bucket

    def get(self, key: str) -> bytes:
        """Return the object at *key*. Raises ArchiveObjectMissing, ArchiveUnavailable."""
        with translating(_translated):
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return body

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Store *body* at *key*. Raises ArchiveUnavailable."""
        with translating(_translated):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)

    def let_expire(self, key: str, expires: bool) -> None:
        """Tag the object for the lifecycle rule, or remove its tags. Raises ArchiveObjectMissing, ArchiveUnavailable."""
        with translating(_translated):
            if expires:
                self._client.put_object_tagging(Bucket=self._bucket, Key=key, Tagging={"TagSet": [EXPIRES]})
            else:
                self._client.delete_object_tagging(Bucket=self._bucket, Key=key)

    def keys(self, prefix: str, after: str = "") -> Iterator[tuple[ArchiveKey, datetime]]:
        """Yield every key below *prefix*, behind *after*, with its last modification, a page of 1,000 at a time."""
        where = {"Bucket": self._bucket, "Prefix": prefix, **({"StartAfter": after} if after else {})}
        with translating(_translated):
            for page in self._client.get_paginator("list_objects_v2").paginate(**where):
                for found in page.get("Contents", ()):
                    yield ArchiveKey(found["Key"]), found["LastModified"]


def _translated(error: ClientError | BotoCoreError) -> EmailHandlerError:
    """Return our error. For a missing key S3 returns 403 to a role that may not list the bucket: then the deployment is
    wrong (ArchiveUnavailable), and no object is missing."""
    if code(error) in {"NoSuchKey", "404"}:
        return ArchiveObjectMissing("the archive holds no object at a key that a record names")
    return ArchiveUnavailable(f"S3 failed: {code(error)}")
