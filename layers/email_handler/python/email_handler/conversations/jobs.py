"""Jobs: what travels through the send queues. Small JSON; the mail stays in the archive."""

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Literal

from email_handler.errors import MalformedJob
from email_handler.identifiers import ConversationId, LedgerId, ReceiptId

VERSION = 1


class JobKind(StrEnum):
    """What is to be sent; also the first part of a ledger id and of a key under ``sent/``."""

    ACKNOWLEDGEMENT = "acknowledgement"
    FORWARD = "forward"
    REPLY = "reply"
    NOTICE = "notice"  # tells the owner of a refused or held reply; travels through the forward queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One send. The recipient stands in the ledger item only, so that no queue holds a private address."""

    kind: JobKind
    ledger: LedgerId
    conversation: ConversationId | Literal[""]  # "" for a notice about mail that named none
    source: ReceiptId  # the received message that caused it
    archive_key: str  # that message's raw bytes

    def to_json(self) -> str:
        """Return the queue message's body."""
        return json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, body: str) -> "Job":
        """Read a queue message's body. Raises :class:`MalformedJob` if it is not one of ours."""
        try:
            fields = json.loads(body)
            if fields.pop("version") != VERSION:
                raise MalformedJob("job of an unknown version: deploy the sender that knows it, then redrive")
            if not all(isinstance(value, str) and (value or name == "conversation") for name, value in fields.items()):
                raise MalformedJob("job with an empty or non-text field")
            return cls(**{**fields, "kind": JobKind(fields["kind"])})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise MalformedJob(f"not a job of ours: {type(error).__name__}") from error


def ledger_id(kind: JobKind, *parts: str) -> LedgerId:
    """Return the id of the send that *parts* determine: (conversation, source, recipient), or the contact alone
    for an acknowledgement. Equal parts give an equal id, which is what makes a second send visible."""
    digest = hashlib.sha256(
        "\x1f".join((kind, *(part.lower() for part in parts))).encode("utf-8", "backslashreplace")
    ).hexdigest()
    return LedgerId(f"{kind}-{digest[:24]}")
