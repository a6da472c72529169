"""Defects of the handlers that the oracle must find: each is one change, made in the process of an invocation."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from email_handler.adapters.dynamodb import keys
from email_handler.adapters.dynamodb.ledger import DynamoLedger
from email_handler.adapters.dynamodb.records import DynamoRecords
from email_handler.adapters.dynamodb.table import Table
from email_handler.adapters.eventbridge import EventBridgeEvents
from email_handler.adapters.s3 import S3Archive
from email_handler.adapters.ses import SesMailer
from email_handler.usecases import feedback, reconcile, send_forward

type Around = Callable[..., Any]
"""Takes what it replaces, then that function's own arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One defect: the scenario that shows it, what the oracle must say, and the functions that it replaces."""

    scenario: str
    finding: str  # part of one of the judgement's lines
    changes: tuple[tuple[Any, str, Around], ...]  # module or class, name of its function, what replaces that

    def change(self) -> None:
        """Put the defect into this process."""
        for owner, name, around in self.changes:
            setattr(owner, name, _replaced(getattr(owner, name), around))


def _replaced(original: Any, around: Around) -> Any:
    return lambda *args, **named: around(original, *args, **named)


def _nothing(_: Any, *__: Any, **___: Any) -> None:
    """Do nothing."""


def _empty(parse: Any, raw: bytes) -> Any:
    return parse(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")


def _without_attachments(parse: Any, raw: bytes) -> Any:
    message = parse(raw)
    return replace(message, attachments=(), root=replace(message.root, children=message.root.children[:1]))


def _another(get: Any, archive: S3Archive, key: str) -> bytes:
    if _is_forward_sender() and key.startswith("raw/inbound/"):
        key = next((other for other, _ in archive.keys("raw/inbound/") if other != key), key)
    body: bytes = get(archive, key)
    return body


def _to_another(send: Any, mailer: SesMailer, raw: bytes, sender: str, _: Any, *args: Any, **named: Any) -> Any:
    return send(mailer, raw, sender, ["somebody@private.example"], *args, **named)


def _unthreaded(send: Any, mailer: SesMailer, raw: bytes, *args: Any, **named: Any) -> Any:
    head, end, body = raw.partition(b"\r\n\r\n")
    return send(mailer, head.replace(b"In-Reply-To: <", b"In-Reply-To: <x") + end + body, *args, **named)


def _untitled(send: Any, mailer: SesMailer, raw: bytes, *args: Any, **named: Any) -> Any:
    lines = [line for line in raw.split(b"\r\n") if not line.startswith(b"Subject:")]
    return send(mailer, b"\r\n".join(lines), *args, **named)


def _telling(send: Any, mailer: SesMailer, raw: bytes, *args: Any, **named: Any) -> Any:
    return send(mailer, b"X-Forwarded-To: owner@private.example\r\n" + raw, *args, **named)


def _forwards_twice(send: Any, mailer: SesMailer, *args: Any, **named: Any) -> Any:
    if _is_forward_sender():
        send(mailer, *args, **named)
    return send(mailer, *args, **named)


def _marked(sent: Any, table: DynamoLedger, commit: Any) -> None:
    sent(table, replace(commit, item=replace(commit.item, lost=int(_is_forward_sender()))))


def _is_forward_sender() -> bool:
    return os.environ["RECORDED_CALLER"] == "ForwardSenderFunction"


def _never_untagged(let_expire: Any, archive: S3Archive, key: str, expires: bool) -> None:
    if expires:
        let_expire(archive, key, expires)


def _without_conversation(write: Any, table: Any, commit: Any) -> None:
    write(table, replace(commit, conversation=None))


def _unawaited(look_up: Any, table: Any, question: Any) -> Any:
    return replace(look_up(table, question), by_awaited=())


def _uncounted(write: Any, table: Any, commit: Any) -> None:
    write(table, replace(commit, counted={}))


def _without_effect(plan: Any, *args: Any, **named: Any) -> Any:
    planned = plan(*args, **named)
    return planned and replace(planned, bounced="", contact=None, ledger=())


def _without_notice(plan: Any, *args: Any, **named: Any) -> Any:
    planned = plan(*args, **named)
    return planned and replace(planned, ledger=(), decision=replace(planned.decision, jobs=()))


def _still_listed(remove_from: Any, table: Any, key: Any, _: Any, *further: Any) -> Any:
    return remove_from(table, key, "#unpublished_since", *further)


def _backdated(attributes: Any, conversation: Any, now: Any) -> Any:
    return attributes(conversation, now) | dict.fromkeys(("at", "updated_at"), "2000-01-01T00:00:00.000000+00:00")


def _kept_for_good(write: Any, table: Any, commit: Any) -> None:
    write(table, replace(commit, expires_at=None))


def _without_copies(sent: Any, table: DynamoLedger, commit: Any) -> None:
    sent(table, replace(commit, copies=()))


def _still_open(attributes: Any, conversation: Any, now: Any) -> Any:
    return attributes(conversation, now) | {"by_status": "open"}


def _not_below(prefix: str) -> Around:
    def put(original: Any, archive: S3Archive, key: str, *args: Any) -> None:
        if not key.startswith(prefix):
            original(archive, key, *args)

    return put


def _mutant(
    scenario: str, finding: str, owner: Any, name: str, around: Around, *more: tuple[Any, str, Around]
) -> Mutant:
    return Mutant(scenario=scenario, finding=finding, changes=((owner, name, around), *more))


def _unacknowledged(take_up: Any, *args: Any, **_: Any) -> Any:
    return take_up(*args, acknowledge=False)


MUTANTS = {
    "no events": _mutant("first contact", "events: ('Message Forwarded'", EventBridgeEvents, "publish", _nothing),
    "empty body": _mutant(
        "follow up",
        "forward of second to owner@private.example: 1 in the ledger, not in the outbox",
        send_forward,
        "parse",
        _empty,
    ),
    "another message's body": _mutant(
        "follow up", "forward of first to owner@private.example: 1 copies too many", S3Archive, "get", _another
    ),
    "another recipient": _mutant(
        "first contact",
        "forward of 'first' to somebody@private.example: nothing asks for it",
        SesMailer,
        "send",
        _to_another,
    ),
    "outside the thread": _mutant(
        "follow up", "it follows in the owner's thread: False", SesMailer, "send", _unthreaded
    ),
    "attachments not sent": _mutant(
        "first contact", "attachments: () instead of", send_forward, "parse", _without_attachments
    ),
    "attachments undescribed": _mutant(
        "first contact", "first: attachments described", DynamoRecords, "describe_attachments", _nothing
    ),
    "held not tagged": _mutant("spam", "spam: tags: {} instead of", S3Archive, "let_expire", _nothing),
    "still tagged after a release": _mutant(
        "release", "spam: tags: {'expires': 'held'} instead of {}", S3Archive, "let_expire", _never_untagged
    ),
    "conversation unchanged by a reply": _mutant(
        "owner reply", "replies sent: 0 instead of 1", DynamoLedger, "sent", _without_conversation
    ),
    "awaited ids not looked for": _mutant(
        "follow up", "conversations of thread jane: 2 instead of 1", DynamoRecords, "look_up", _unawaited
    ),
    "acknowledgements not counted": _mutant(
        "first contact", "acknowledgements counted", DynamoRecords, "commit", _uncounted
    ),
    "feedback without effect": _mutant(
        "bounced acknowledgement", "bounced sends: acknowledgement-", feedback, "plan_feedback", _without_effect
    ),
    "feedback without a notice": _mutant(
        "bounced reply", "notice of one of ", feedback, "plan_feedback", _without_notice
    ),
    "delivery without effect": _mutant(
        "delivered acknowledgement", "unknown: acknowledgement-", feedback, "_keep_ses_id", _nothing
    ),
    "waiting feedback left": _mutant(
        "waiting bounce", "feedback: acknowledgement-", reconcile, "take_up_feedback", _nothing
    ),
    "taken up, not acknowledged": _mutant(
        "late event", "acknowledgement of one of ", reconcile, "take_up", _unacknowledged
    ),
    "stale index of sends": _mutant("first contact", " SEND: indexed", Table, "remove_from", _still_listed),
    "stale index of conversations": _mutant(
        "owner reply", " CONV: indexed", keys, "conversation_attributes", _still_open
    ),
    "nothing below sent/": _mutant("first contact", "archive: sent/forward/", S3Archive, "put", _not_below("sent/")),
    "nothing below text/": _mutant("first contact", "archive: text/", S3Archive, "put", _not_below("text/")),
    "nothing below attachments/": _mutant(
        "first contact", "first: files stored", S3Archive, "put", _not_below("attachments/")
    ),
    "no subject": _mutant("owner reply", "reply to jane@customer.example: subject", SesMailer, "send", _untitled),
    "a contact learns the private address": _mutant(
        "owner reply", "names a mailbox of the owner's", SesMailer, "send", _telling
    ),
    "a conversation's time stands still": _mutant(
        "follow up", "updated with its messages", keys, "conversation_attributes", _backdated
    ),
    "held for good": _mutant("spam", "expires: False instead of True", DynamoRecords, "commit", _kept_for_good),
    "no copy for a colleague": _mutant(
        "owner reply with copy",
        "notice of reply to colleague@private.example: no send",
        DynamoLedger,
        "sent",
        _without_copies,
    ),
    "every forward twice, marked": _mutant(
        "first contact", "1 second copies", SesMailer, "send", _forwards_twice, (DynamoLedger, "sent", _marked)
    ),
}
