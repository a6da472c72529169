"""``email-handler export`` and ``erase``: write out or delete the data of a conversation or a person."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cli.options import AsJson, Endpoint, Stack
from cli.terminal import fail_if, json_document, out, print_json, print_line, print_note, tracked, write_file
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import (
    NO_CONVERSATION,
    attachments_prefix,
    is_received,
    notice_id,
    sent_key,
    ses_id_key,
    text_prefix,
)
from email_handler.conversations.records import Contact, Conversation, LedgerItem, MessageRecord, SendState
from email_handler.errors import ArchiveObjectMissing
from email_handler.identifiers import ConversationId, LedgerId
from operations.connection import Connection, aws_errors, connect
from operations.conversations import decisions_of, find_conversation, public_fields
from operations.errors import CommandError
from operations.indexing import existing_index

ALL = 10**9
TRIES = 5  # to delete the conversations of a person to whom something happens at this moment

KEPT = (
    "The table's point-in-time recovery keeps the records for up to 35 days (AWS's longest).",
    "Digests that listed held messages for the owner stay in the archive below raw/digest/ and sent/notice/.",
    "Personal models made before stay below config/learned/: weights of words that at least two senders used, no text.",
    "Search indexes on other machines forget it when they are next brought up to date.",
    "Emails already sent stay in the owner's and the contact's mailboxes; events stay with their consumers.",
    "An entry of the allow-list or block-list stays: email-handler unlist takes it off.",
    "Messages of others that name or quote the person stay.",
)
"""What erasing cannot reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One conversation with its messages and sends; or a person's messages that belong to none (held, dropped,
    duplicates) or to another contact's conversation."""

    id: ConversationId | Literal[""]
    conversation: Conversation | None  # None without a conversation, and for one that an erase has begun with
    messages: tuple[MessageRecord, ...]
    sends: tuple[LedgerItem, ...]

    @property
    def name(self) -> str:
        """Return the conversation's id, or ``none``."""
        return self.id or NO_CONVERSATION

    @property
    def contacts(self) -> set[str]:
        """Return who may be the conversation's contact."""
        return {self.conversation.contact} if self.conversation else {message.sender for message in self.messages}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Everything that is stored about a conversation or a person."""

    cases: tuple[Case, ...]
    contact: Contact | None
    person: str  # the address, "" for one conversation


Identifier = Annotated[
    str, typer.Argument(metavar="CONVERSATION|ADDRESS", help="A conversation's id, or a person's address.")
]
Folder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this option, only show what would be erased.")]


def export(
    identifier: Identifier, folder: Folder, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False
) -> None:
    """Write the data of a conversation or a person to files.

    Records are written as JSON, messages as .eml, as received and as sent.
    """
    connection = connect(stack, endpoint)
    holdings = find(connection, identifier)
    count = 0
    for case in tracked(holdings.cases, "conversations", len(holdings.cases)):
        for path in write_case(connection, case, holdings.contact, folder / _safe(case.name)):
            count += 1
            if as_json:
                print_json({"conversation": case.name, "path": str(path)})
    print_note(f"{count} files of {len(holdings.cases)} conversations in {folder}")


def erase(
    identifier: Identifier, yes: Yes = False, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False
) -> None:
    """Erase the data of a conversation or a person for good.

    Deletes records, messages, texts and attachments in every version, and lists what it cannot reach. Without --yes the
    exit code is 1.
    """
    connection = connect(stack, endpoint)
    holdings = find(connection, identifier)
    _refuse_unfinished(holdings)
    counts: dict[str, int] = {}
    if yes:
        holdings, counts = _erase(connection, holdings, identifier)
    summary: dict[str, Any] = {
        "conversations": [case.id for case in holdings.cases if case.id],
        "messages": sum(len(case.messages) for case in holdings.cases),
        "sends": sum(len(case.sends) for case in holdings.cases),
        **counts,
    }
    if as_json:
        print_json(summary | {"erased": yes, "kept": list(KEPT) if yes else []})
    else:
        _print_summary(summary, erased=yes)
    fail_if(not yes)


def _refuse_unfinished(holdings: Holdings) -> None:
    """Raise CommandError while sends are in progress. Those of a conversation that is gone never end, and do not count;
    nor do reminders that wait for their day."""
    sends = [send for case in holdings.cases if case.conversation or not case.id for send in case.sends]
    in_progress = [send for send in sends if send.state in (SendState.QUEUED, SendState.SENDING)]
    if waiting := [send.id for send in in_progress if not (send.left_to_a_pass and send.due > datetime.now(UTC))]:
        raise CommandError(f"{len(waiting)} sends are still in progress ({waiting[0]}): wait until they have ended")


def _erase(connection: Connection, holdings: Holdings, identifier: str) -> tuple[Holdings, dict[str, int]]:
    """Erase *holdings* and what came to them until their conversations were closed. Return all that, and how many
    objects and items it was.

    The conversations go first: what arrives from then on starts a new one. Objects go before decisions, since a pass
    takes up what has none, and messages go last: whatever ends this, a second run finds what is left.
    """
    operator = connection.operator
    holdings, closed = _close(connection, holdings, identifier)
    counts = {"objects": 0, "items": closed}
    for case in tracked(holdings.cases, "conversations", len(holdings.cases)):
        counts["objects"] += _erase_objects(connection, case)
        for contact in () if holdings.person else case.contacts:
            counts["items"] += operator.forget(contact, wholly=False)
        own_last = sorted(case.messages, key=lambda message: message.sender.lower() == holdings.person)
        counts["items"] += operator.erase(own_last, case.sends, case.conversation)
    if holdings.person:
        counts["items"] += operator.forget(holdings.person, wholly=True)
    _forget_in_index(connection, holdings)
    return holdings, counts


def _forget_in_index(connection: Connection, holdings: Holdings) -> None:
    """Erase *holdings* from the search index on this machine. Those on others learn of it from the table."""
    if index := existing_index(connection):
        receipts = {message.receipt for case in holdings.cases for message in case.messages}
        index.forget(conversations={case.id for case in holdings.cases if case.id}, receipts=receipts)


def _close(connection: Connection, holdings: Holdings, identifier: str) -> tuple[Holdings, int]:
    """Delete the conversations of *holdings*, each only if nothing has happened in it since it was read. Return what
    there is then, and how many those were. Raises CommandError if something happens again and again."""
    closed: dict[str, Conversation] = {}
    for _ in range(TRIES):
        for case in holdings.cases:
            if case.conversation and connection.operator.close(case.conversation):
                closed[case.id] = case.conversation
        if closed.keys() >= {case.id for case in holdings.cases if case.conversation}:
            cases = (_case(connection, case.id, closed.get(case.id)) if case.id else case for case in holdings.cases)
            return replace(holdings, cases=tuple(cases)), len(closed)
        holdings = find(connection, identifier)
        _refuse_unfinished(holdings)
    raise CommandError("messages arrive at this moment: try again")


def find(connection: Connection, identifier: str) -> Holdings:
    """Return what is stored about a conversation, or about the person with an address. Raises CommandError if nothing
    is."""
    if "@" not in identifier:
        return _about_conversation(connection, identifier)
    records, address = connection.records, identifier.lower()
    contact = connection.operator.contact(address)
    by_index = [one.id for one in records.find("contact", address, limit=ALL) if isinstance(one, Conversation)]
    messages = list(connection.operator.messages_from(address))
    named = {message.conversation for message in messages if message.conversation}
    named |= {id_ for id_, *_ in contact.conversations} if contact else set()
    begun = [id_ for id_ in sorted(named - set(by_index)) if records.conversation(id_) is None]
    found = (_case(connection, id_) for id_ in (*by_index, *begun))
    cases = [case for case in found if case.conversation or case.messages]
    own = {case.id for case in cases}
    loose = tuple(message for message in messages if message.conversation not in own)
    if loose:
        cases.append(Case(id="", conversation=None, messages=loose, sends=_sends(connection, loose)))
    if not cases and contact is None:
        raise CommandError(
            f"nothing is stored about {identifier} in {connection.where}: email-handler search finds people"
        )
    return Holdings(cases=tuple(cases), contact=contact, person=address)


def _about_conversation(connection: Connection, identifier: str) -> Holdings:
    case = _case(connection, ConversationId(identifier.lower()))
    if not (case.conversation or case.messages):
        find_conversation(connection, identifier)  # raises
    contacts = (connection.operator.contact(address) for address in sorted(case.contacts) if address)
    return Holdings(cases=(case,), contact=next(filter(None, contacts), None), person="")


def _case(connection: Connection, id_: ConversationId, known: Conversation | None = None) -> Case:
    """Return the conversation *id_* with all that is its own; *known* is what it was, if it is gone."""
    messages = tuple(connection.records.messages(id_))
    conversation = connection.records.conversation(id_) or known
    sends = _sends(connection, messages, conversation.reminders if conversation else ())
    return Case(id=id_, conversation=conversation, messages=messages, sends=sends)


def _sends(
    connection: Connection, messages: Sequence[MessageRecord], reminders: Sequence[LedgerId] = ()
) -> tuple[LedgerItem, ...]:
    """Return the sends that *messages* caused, the notices about replies that failed, and *reminders*; copies of replies
    first, since only the reply's own send leads to them."""
    jobs = [(job, one.sender) for one in messages for made in decisions_of(connection, one) for job in made.jobs]
    notices = [notice_id(job.ledger, sender) for job, sender in jobs if job.kind is JobKind.REPLY]
    sends = list(connection.operator.sends([*(job.ledger for job, _ in jobs), *notices, *reminders]))
    copies = connection.operator.sends([copy for send in sends for copy in send.copies])
    return (*copies, *sends)


def write_case(connection: Connection, case: Case, contact: Contact | None, folder: Path) -> Iterator[Path]:
    """Write *case* into *folder*, and yield each file. Raises CommandError if a file cannot be written."""
    record = {
        "conversation": public_fields(case.conversation) if case.conversation else None,
        "contact": public_fields(contact) if contact else None,
        "messages": [
            public_fields(message) | {"decisions": [*map(public_fields, decisions_of(connection, message))]}
            for message in case.messages
        ],
        "sends": [*map(public_fields, case.sends)],
    }
    write_file(folder / "records.json", json_document(record))
    yield folder / "records.json"
    for number, message in enumerate(case.messages, start=1):
        suffix = "json" if not is_received(message.archive_key) else "eml"
        name = f"{number:03}-received-{message.function}-{_safe(message.receipt)}.{suffix}"
        yield from _copy(connection, message.archive_key, folder / name)
        for send in case.sends:
            if (send.source, send.source_function) == (message.receipt, message.function):
                missed = send.state in (SendState.SENT, SendState.BOUNCED)  # what did not leave may have no copy
                copied = folder / f"{number:03}-sent-{_safe(send.id)}.eml"
                yield from _copy(connection, sent_key(send.kind, send.id), copied, missed=missed)


def _copy(connection: Connection, key: str, path: Path, *, missed: bool = True) -> Iterator[Path]:
    """Copy the object at *key* to *path* and yield that; if there is none, say so if it is *missed*."""
    try:
        write_file(path, connection.archive.get(key))
        yield path
    except ArchiveObjectMissing:
        if missed:
            print_note(f"{key}: the archive no longer holds it", "yellow")


def _safe(name: str) -> str:
    """Return *name* as a safe file name. SES's ids are safe, but AWS does not promise that."""
    return re.sub(r"[^\w.-]|^\.+", "_", name)[:150]


def _erase_objects(connection: Connection, case: Case) -> int:
    """Delete every version of the objects of *case*, and return how many there were."""
    s3 = connection.session.client("s3")
    count = 0
    keys: list[str] = [message.archive_key for message in case.messages]
    keys += [key(send.kind, send.id) for send in case.sends for key in (sent_key, ses_id_key)]
    places: list[tuple[str, str]] = [(message.conversation, message.receipt) for message in case.messages]
    if case.id:
        places = [(case.id, "")]
    wanted = [(prefix(*place), False) for prefix in (text_prefix, attachments_prefix) for place in places]
    wanted += [(key, True) for key in keys]
    with aws_errors(connection.where):
        for prefix, exact in wanted:
            pages = s3.get_paginator("list_object_versions").paginate(Bucket=connection.bucket, Prefix=prefix)
            versions = [
                {"Key": found["Key"], "VersionId": found["VersionId"]}
                for page in pages
                for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                if not exact or found["Key"] == prefix
            ]
            for batch in batched(versions, 1000):
                response = s3.delete_objects(Bucket=connection.bucket, Delete={"Objects": list(batch), "Quiet": True})
                if errors := response.get("Errors"):
                    raise CommandError(f"S3 did not delete {len(errors)} objects ({errors[0].get('Code')}): try again")
            count += len(versions)
    return count


def _print_summary(summary: dict[str, Any], *, erased: bool) -> None:
    names = ", ".join(summary["conversations"]) or "no conversation"
    what = f"{names}: {summary['messages']} messages and {summary['sends']} sends"
    if not erased:
        print_line(f"Would be erased for good with --yes: {what}")
        return
    print_line(f"Erased: {what}; {summary['items']} items of the table, {summary['objects']} objects")
    out.print("What this cannot reach:", style="bold")
    for line in KEPT:
        print_line(f"  {line}")
