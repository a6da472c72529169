"""Jobs: what travels through the send queues. Small JSON; the message stays in the archive."""

import json
from dataclasses import asdict
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from email_handler.errors import MalformedJob
from email_handler.identifiers import ConversationId, LedgerId, ReceiptId
from email_handler.values import dataclass

VERSION = 1
LONGEST_DELAY = timedelta(minutes=15)
"""For which a queue can keep a job back (SQS's limit). What is due later is left to an hourly pass."""


class JobKind(StrEnum):
    """What is to be sent; also the first part of a ledger id and of a key under ``sent/``."""

    ACKNOWLEDGEMENT = "acknowledgement"
    FORWARD = "forward"
    REPLY = "reply"
    NOTICE = "notice"  # to the owner, about a reply or held messages; travels through the forward queue


class SendResult(StrEnum):
    """How one run of a job's sender ended, as the log has it."""

    SENT = "Sent"
    SENT_DESPITE_MISTAKE = (
        "SentDespiteMistake"  # a forward as it came, or a notice without details; `why` has the place
    )
    SKIPPED = "Skipped"  # the ledger item had ended already
    DEAD_LETTERED = "DeadLettered"
    CANCELLED = "Cancelled"  # a reminder that nobody wants any more
    UNKNOWN = "Unknown"  # it may have left as often as it may: not sent again, unless a person wants it


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One send. Only the ledger item names the recipients, so that no queue holds a private address."""

    kind: JobKind
    ledger: LedgerId
    conversation: ConversationId | Literal[""]  # "" for a notice about a message that named none
    source: ReceiptId  # the received message that caused it
    archive_key: str  # that message's raw bytes

    def to_json(self) -> str:
        """Return the queue message's body."""
        return json.dumps({"version": VERSION, **asdict(self)})

    @classmethod
    def from_json(cls, body: str) -> "Job":
        """Read a queue message's body. Raises :class:`MalformedJob` if it is not one of our jobs."""
        try:
            fields = json.loads(body)
            if fields.pop("version") != VERSION:
                raise MalformedJob("job of an unknown version: deploy the sender that knows it, then redrive")
            if not all(isinstance(value, str) and (value or name == "conversation") for name, value in fields.items()):
                raise MalformedJob("job with an empty or non-text field")
            return cls(**{**fields, "kind": JobKind(fields["kind"])})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise MalformedJob(f"not a job of ours: {type(error).__name__}") from error
