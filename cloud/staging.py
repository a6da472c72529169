"""The state of affairs that a sample event assumes, so that samples depend neither on order nor on each other.

What happened before (Jane's first message, the owner's reply) is decided in this process by the functions' own use
cases, with two differences: ids are those that the samples name, and the jobs are not queued, so that a sample of a
sender finds its send still to be done. Before that, everything that is known of the samples is forgotten.
"""

import json
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

from cloud.clients import Clients
from cloud.deploy import Deployment
from email_handler.adapters.dynamodb.items import decode
from email_handler.adapters.dynamodb.ledger import DynamoLedger
from email_handler.adapters.dynamodb.records import DynamoRecords
from email_handler.adapters.s3 import S3Archive
from email_handler.conversations.jobs import Job, JobKind
from email_handler.conversations.keys import raw_key
from email_handler.conversations.records import Decision, PendingEvent
from email_handler.conversations.routes import Routes
from email_handler.conversations.signatures import Signatures
from email_handler.identifiers import ArchiveKey
from email_handler.mail.addresses import mailbox_key, read_mailboxes
from email_handler.runtime import ses_receipts
from email_handler.senders.authentication import SesReceipt
from email_handler.settings import OwnerSettings
from email_handler.spam.rules import builtin_rules
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.context import Context
from email_handler.usecases.inbound import receive
from email_handler.usecases.reply import relay_reply

CONVERSATION = "c-7k2m9x4q"
"""Jane's, in all samples."""

_TOKENS = {8: "7k2m9x4q", 10: "a1b2c3d4e5"}  # by length: of a conversation's id and of its thread address
_FIRST = ("inbound", "first_contact")  # starts Jane's conversation
_FOLLOWING = {("inbound", "follow_up")}  # whose events do not name it
_KEY = re.compile(r"raw/(inbound|reply)/(\w+)")
_RECEIVE: Mapping[str, Callable[[SesReceipt, ArchiveKey, Context], Decision]] = {
    "inbound": receive,
    "reply": relay_reply,
}


@dataclass(frozen=True, slots=True)
class _Unheard:
    """Jobs and Events that nobody gets."""

    def queue(self, jobs: Iterable[Job], delay: timedelta = timedelta()) -> None:
        """Queue nothing."""

    def dead_letter(self, job_body: str, kind: str, reason: str, attempts: int) -> None:
        """Keep nothing."""

    def publish(self, events: Iterable[PendingEvent]) -> None:
        """Publish nothing."""


def earlier(function: str, case: str, event: Any) -> list[tuple[str, str]]:
    """Return what happened before the sample *event* of *function*: (function, sample), in order.

    A reply, and whatever names Jane's conversation, has her first message; a job or an event of ours has the message
    that it is about.
    """
    text = json.dumps(event)
    found = [_FIRST] if CONVERSATION in text or (function, case) in _FOLLOWING else []
    if function not in _RECEIVE:
        found += [match.groups() for match in _KEY.finditer(text)]  # type: ignore[misc]  # two groups
    return [one for one in dict.fromkeys(found) if one != (function, case)]


def stage(before: Iterable[tuple[str, Any]], *, mail: Path, clients: Clients, deployment: Deployment) -> None:
    """Bring the table to the state after the events *before* of (function, event), whose messages are in the archive.

    *mail* is the folder of the sample messages.
    """
    forget(mail, clients, deployment.resources["Records"])
    for receiver, event in before:
        for receipt in ses_receipts(event):
            key = raw_key("reply" if receiver == "reply" else "inbound", receipt.id)
            _RECEIVE[receiver](receipt, key, _context(clients, deployment))


def forget(mail: Path, clients: Clients, table: str) -> None:
    """Delete every item of *table* that is about a sample message in the folder *mail*, its conversation, or what its
    sender was sent."""
    paths = list(mail.glob("*.eml"))
    about = {CONVERSATION, *(path.stem for path in paths)}
    senders = {mailbox_key(address) for path in paths for address in _senders(path.read_bytes())} - {""}
    for page in clients.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        for item in page["Items"]:
            attributes = decode(item)
            parts = {*attributes["pk"].split("#"), *attributes["sk"].split("#")}
            parts |= {attributes.get(name, "") for name in ("receipt", "source", "conversation")}
            acknowledged = attributes.get("kind") == JobKind.ACKNOWLEDGEMENT and attributes.get("contact") in senders
            if acknowledged or parts & (about | senders):
                clients.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})


def _senders(raw: bytes) -> list[str]:
    header = BytesHeaderParser().parsebytes(raw)
    return [mailbox.address for mailbox in read_mailboxes([str(header["From"])])]


def _context(clients: Clients, deployment: Deployment) -> Context:
    given, table, bucket = deployment.parameters, deployment.resources["Records"], deployment.resources["Archive"]
    settings = OwnerSettings.from_environ(
        {
            "TABLE_NAME": table,
            "ARCHIVE_BUCKET": bucket,
            "PUBLIC_ADDRESSES": given["PublicAddresses"],
            "THREAD_DOMAIN": f"{given['ThreadSubdomain']}.{given['Domain']}",
            "FORWARD_TO": given["ForwardTo"],
            "OWNER_ALIASES": given["OwnerAliases"],
            "HIDDEN_TERMS": given["HiddenTerms"],
            "DISPLAY_NAME": given["DisplayName"],
        }
    )
    configuration = Configuration(
        rules=builtin_rules(),
        routes=Routes(),
        signatures=Signatures(),
        owners=settings.owners(),
        learned=None,
        problems=(),
    )
    return Context(
        archive=S3Archive(clients.s3, bucket),
        records=DynamoRecords(clients.dynamodb, table, clock=_now),
        ledger=DynamoLedger(clients.dynamodb, table, clock=_now),
        jobs=_Unheard(),
        events=_Unheard(),
        owners=settings.owners(),
        configuration=lambda: configuration,
        hold_unchecked=given["UncheckedParts"] == "hold",
        ack_daily_cap=int(given["AckDailyCap"]),
        ack_daily_cap_per_domain=int(given["AckDailyCapPerDomain"]),
        reply_delay=timedelta(seconds=int(given["ReplyDelaySeconds"])),
        new_conversations_daily_cap=int(given["NewConversationsDailyCap"]),
        clock=_now,
        pause=time.sleep,
        chance=random.random,
        new_token=_TOKENS.__getitem__,
    )


def _now() -> datetime:
    return datetime.now(UTC)
