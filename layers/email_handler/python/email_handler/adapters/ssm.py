"""Configuration documents in S3 that SSM parameters point to."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
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


class _Pointers:
    """What some parameters hold: one call asks for all of them, whichever is wanted."""

    def __init__(self, ssm: Any, names: Sequence[str], monotonic: Callable[[], float]) -> None:
        self._ssm = ssm
        self._names = list(dict.fromkeys(names))  # at most ten
        self._monotonic = monotonic
        self._lock = Lock()
        self._values: dict[str, str] = {}
        self._asked = -TTL
        self._failed: tuple[float, ClientError | BotoCoreError] | None = None

    def where(self, name: str, now: float) -> tuple[str, float]:
        """Return what the parameter *name* holds, and when that was asked: within the TTL before *now*. Raises what botocore
        raises, also to those who waited meanwhile, and ConfigUnavailable for a parameter that does not exist."""
        with self._lock:
            if now - self._asked >= TTL:
                if self._failed and self._failed[0] > now:
                    raise self._failed[1]
                try:
                    found = self._ssm.get_parameters(Names=self._names)["Parameters"]
                except FAILURES as error:
                    self._failed = self._monotonic(), error
                    raise
                self._values, self._asked = _values(found), now
            if name not in self._values:
                raise ConfigUnavailable("a configuration document could not be read: ParameterNotFound")
            return self._values[name], self._asked


class SsmConfig:
    """Port ConfigSource: parameters in SSM, documents in one bucket. Create one for the life of the environment."""

    def __init__(
        self,
        ssm: Any,
        s3: Any,
        bucket: str,
        together: Sequence[str] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use boto3's *ssm* and *s3* clients on *bucket*. The parameters *together* are usually wanted at the same time: one
        call asks for all of them. *monotonic* returns seconds."""
        self._ssm = ssm
        self._s3 = s3
        self._bucket = bucket
        self._monotonic = monotonic
        self._pointers = dict.fromkeys(together, _Pointers(ssm, together, monotonic))
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
            with translating(_unreadable):
                self._copies[parameter] = self._fetch(parameter, last, now)
        except ConfigUnavailable:
            if last is None:
                raise
            self._copies[parameter] = replace(last, checked=now)
        return self._copies[parameter].document

    def _fetch(self, parameter: str, last: _Copy | None, now: float) -> _Copy:
        if parameter not in self._pointers:
            self._pointers[parameter] = _Pointers(self._ssm, [parameter], self._monotonic)
        key, asked = self._pointers[parameter].where(parameter, now)
        if key in (BUILTIN, OFF):
            return _Copy(key=key, etag="", document=None, checked=asked)
        condition = {"IfNoneMatch": last.etag} if last and last.key == key else {}
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=key, **condition)
        except ClientError as error:
            if last and code(error) in {"304", "NotModified"}:
                return replace(last, checked=asked)
            raise
        etag: str = found["ETag"]
        document = ConfigDocument(body=found["Body"].read(), version=f"{key}@{etag.strip('"')}")
        return _Copy(key=key, etag=etag, document=document, checked=asked)


class SsmPointer:
    """Port DocumentPointer: one parameter in SSM."""

    def __init__(self, ssm: Any, parameter: str) -> None:
        """Use boto3's client *ssm* on *parameter*."""
        self._ssm = ssm
        self._parameter = parameter

    def where(self) -> str:
        """Return what the parameter holds. Raises ConfigUnavailable."""
        with translating(_translated):
            found = _values(self._ssm.get_parameters(Names=[self._parameter])["Parameters"])
        if self._parameter not in found:
            raise ConfigUnavailable("a pointer could not be read: ParameterNotFound")
        return found[self._parameter]

    def move(self, key: str) -> None:
        """Let the parameter hold *key*. Raises ConfigUnavailable."""
        with translating(_translated):
            self._ssm.put_parameter(Name=self._parameter, Value=key, Type="String", Overwrite=True)


def _values(found: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {one["Name"]: one["Value"].strip() for one in found}


def _unreadable(error: ClientError | BotoCoreError) -> EmailHandlerError:
    return ConfigUnavailable(f"a configuration document could not be read: {code(error)}")


def _translated(error: ClientError | BotoCoreError) -> EmailHandlerError:
    return ConfigUnavailable(f"a pointer could not be read or moved: {code(error)}")
