"""What a run left, seen from outside: the outbox, the table, the archive, the events, the dead letters.

Read through AWS's API, so that an error in the code under test cannot hide itself; only the plain values of an item are
decoded by ours.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Any

from cloud import mailclient
from cloud.clients import Clients
from cloud.ses import Sent
from email_handler.adapters.dynamodb.items import Attributes, decode
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import Contact, Conversation, Decision, LedgerItem, MessageRecord

RECEIVED = {"raw/inbound/": "inbound", "raw/reply/": "reply", "raw/feedback/": "inbound"}
"""Who decides about what is stored where."""
WAITING = {"unfinished", "queued", "sending"}

type Event = Mapping[str, Any]
"""An event as EventBridge delivers it."""


def digest(payload: bytes) -> str:
    """Return the SHA-256 of *payload*."""
    return hashlib.sha256(payload).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One sent message, as the recipient's program reads it."""

    kind: JobKind
    sender: str
    recipients: tuple[str, ...]
    subject: str
    ses_id: str
    message_id: str  # without angle brackets, like all ids here
    lines: tuple[str, ...]  # of the text
    files: tuple[tuple[str, str], ...]  # name and digest of each attachment
    in_reply_to: str
    references: tuple[str, ...]
    handed_in: str  # the digest of the bytes that SES was given
    readable: str  # everything in it that a person or a program can read: header fields and decoded texts


def letter(sent: Sent) -> Letter:
    """Return what *sent* is to its recipient. Its kind is told by sender and headers alone, not by any record."""
    message = mailclient.read(Path(sent.eml).read_bytes())
    return Letter(
        kind=_kind(sent.sender, message),
        sender=sent.sender,
        recipients=sent.recipients,
        subject=sent.subject,
        ses_id=sent.ses_id,
        message_id=sent.message_id.strip("<>"),
        lines=tuple(line.strip() for line in mailclient.body(Path(sent.eml).read_bytes()).splitlines()),
        files=tuple(
            (part.get_filename() or "", digest(part.get_payload(decode=True) or b""))  # type: ignore[arg-type]
            for part in message.iter_attachments()
        ),
        in_reply_to="".join(_ids(message["In-Reply-To"])),
        references=_ids(message["References"]),
        handed_in=digest(Path(sent.handed_in).read_bytes()),
        readable="\n".join(_readable(message)),
    )


def _readable(message: EmailMessage) -> Iterator[str]:
    for part in message.walk():
        yield from (f"{name}: {value}" for name, value in part.items())
        if not part.is_multipart():
            yield (part.get_payload(decode=True) or b"").decode("utf-8", "replace")  # type: ignore[union-attr]


def _kind(sender: str, message: EmailMessage) -> JobKind:
    if sender.startswith("notices@"):
        return JobKind.NOTICE
    if "@thread." in sender:
        return JobKind.NOTICE if message["Auto-Submitted"] else JobKind.FORWARD
    return JobKind.ACKNOWLEDGEMENT if message["Auto-Submitted"] else JobKind.REPLY


def _ids(field: str | None) -> tuple[str, ...]:
    return tuple(one.strip("<>") for one in str(field or "").split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look at everything."""

    letters: tuple[Letter, ...]
    items: tuple[Attributes, ...]  # the whole table
    events: tuple[Event, ...]
    dead_lettered: frozenset[str]  # ledger ids
    archive: "Archive"

    @property
    def waiting(self) -> bool:
        """Return whether a pass has something to finish: a decision, a send, or an event of one; or to take up: what is
        stored without a decision."""
        decided = {(item["pk"], item["sk"]) for item in self.items}
        return any(item.get("by_send_state") in WAITING for item in self.items) or any(
            (f"RECEIPT#{key.rpartition('/')[2]}", f"DECISION#{decider}") not in decided
            for prefix, decider in RECEIVED.items()
            for key in self.archive.below(prefix)
        )


class Archive:
    """The bucket's keys; contents and tags are read when they are asked for."""

    def __init__(self, s3: Any, bucket: str) -> None:
        """List all of *bucket* now."""
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        self.keys = frozenset(found["Key"] for page in pages for found in page.get("Contents", ()))
        self.read = cache(lambda key: s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        self._s3, self._bucket = s3, bucket

    def below(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with *prefix*."""
        return (key for key in self.keys if key.startswith(prefix))

    def tags(self, key: str) -> dict[str, str]:
        """Return the tags of *key*."""
        found = self._s3.get_object_tagging(Bucket=self._bucket, Key=key)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in found}


def _whole(item: Attributes) -> Attributes:
    """Return *item* with the empty fields that no item keeps."""
    record = _RECORDS.get(item.get("type", item["sk"].partition("#")[0]))
    if record is None:
        return item
    made = {one.name: one.default_factory() for one in fields(record) if one.default_factory is not MISSING}
    given = {one.name: one.default for one in fields(record) if one.default not in (MISSING, None)}
    return {**made, **given, **item}


_RECORDS: dict[str, Any] = {
    "conversation": Conversation,
    "message": MessageRecord,
    "send": LedgerItem,
    "CONTACT": Contact,
    "DECISION": Decision,
}


def look(
    clients: Clients,
    *,
    table: str,
    bucket: str,
    sent: Iterable[Sent],
    events: Iterable[Event],
    dead_lettered: Iterable[str] = (),
) -> Seen:
    """Look at *table* and *bucket*, beside what was *sent*, published and *dead_lettered*."""
    pages = clients.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return Seen(
        letters=tuple(map(letter, sent)),
        items=tuple(_whole(decode(item)) for page in pages for item in page["Items"]),
        events=tuple(events),
        dead_lettered=frozenset(dead_lettered),
        archive=Archive(clients.s3, bucket),
    )
