"""Configuration documents in S3 that SSM parameters point to."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from email_handler.adapters.aws import FAILURES, code, translating
from email_handler.errors import ConfigUnavailable, EmailHandlerError
from email_handler.ports import BUILTIN, OFF, ConfigDocument
from email_handler.values import dataclass

TTL = 60.0
"""Seconds for which a copy counts as the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    key: str
    etag: str
    document: ConfigDocument | None
    checked: float


class SsmConfig:
    """Port ConfigSource: parameters in SSM, documents in one bucket. Create one for the life of the environment."""

    def __init__(self, ssm: Any, s3: Any, bucket: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Use boto3's *ssm* and *s3* clients on *bucket*; *monotonic* returns seconds."""
        self._ssm = ssm
        self._s3 = s3
        self._bucket = bucket
        self._monotonic = monotonic
        self._copies: dict[str, _Copy] = {}
        self._locks: dict[str, Lock] = {}

    def read(self, parameter: str) -> ConfigDocument | None:
        """Return the document that *parameter* points to, None for ``builtin`` and ``off``; no call within the TTL, and
        none while another thread reads the same: what one has read, the others get.

        If SSM or S3 fail, or the object is missing, the last good copy is used for another TTL, so that an outage
        delays no message. Raises ConfigUnavailable if there is none.
        """
        with self._locks.setdefault(parameter, Lock()):
            return self._read(parameter)

    def _read(self, parameter: str) -> ConfigDocument | None:
        now = self._monotonic()
        last = self._copies.get(parameter)
        if last and now - last.checked < TTL:
            return last.document
        try:
            key, etag, document = self._fetch(parameter, last)
        except FAILURES as error:
            if last is None:
                raise ConfigUnavailable(f"a configuration document could not be read: {code(error)}") from error
            key, etag, document = last.key, last.etag, last.document
        self._copies[parameter] = _Copy(key=key, etag=etag, document=document, checked=now)
        return document

    def _fetch(self, parameter: str, last: _Copy | None) -> tuple[str, str, ConfigDocument | None]:
        key: str = self._ssm.get_parameter(Name=parameter)["Parameter"]["Value"].strip()
        if key in (BUILTIN, OFF):
            return key, "", None
        condition = {"IfNoneMatch": last.etag} if last and last.key == key else {}
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=key, **condition)
        except ClientError as error:
            if last and code(error) in {"304", "NotModified"}:
                return last.key, last.etag, last.document
            raise
        etag: str = found["ETag"]
        version = f"{key}@{etag.strip('"')}"
        return key, etag, ConfigDocument(body=found["Body"].read(), version=version)


class SsmPointer:
    """Port DocumentPointer: one parameter in SSM."""

    def __init__(self, ssm: Any, parameter: str) -> None:
        """Use boto3's client *ssm* on *parameter*."""
        self._ssm = ssm
        self._parameter = parameter

    def where(self) -> str:
        """Return what the parameter holds. Raises ConfigUnavailable."""
        with translating(_translated):
            value: str = self._ssm.get_parameter(Name=self._parameter)["Parameter"]["Value"]
        return value.strip()

    def move(self, key: str) -> None:
        """Let the parameter hold *key*. Raises ConfigUnavailable."""
        with translating(_translated):
            self._ssm.put_parameter(Name=self._parameter, Value=key, Type="String", Overwrite=True)


def _translated(error: ClientError | BotoCoreError) -> EmailHandlerError:
    return ConfigUnavailable(f"a pointer could not be read or moved: {code(error)}")
