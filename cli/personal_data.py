"""``email-handler export`` and ``erase``: write out or delete the data of a conversation or a person."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.connection import Connection, aws_errors, connect
from cli.conversations import decisions_of, find_conversation, public_fields, sends_of
from cli.options import AsJson, Endpoint, Stack
from cli.terminal import (
    CommandError,
    fail_if,
    json_document,
    out,
    print_json,
    print_line,
    print_note,
    tracked,
    write_file,
)
from email_handler.conversations.keys import NO_CONVERSATION, attachments_prefix, is_received, text_prefix
from email_handler.conversations.records import Contact, Conversation, LedgerItem, MessageRecord, SendState
from email_handler.errors import ArchiveObjectMissing

ALL = 10**9

KEPT = (
    "The table's point-in-time recovery keeps the records for up to 35 days (AWS's longest).",
    "Digests that listed held messages for the owner stay in the archive below raw/digest/ and sent/notice/.",
    "Emails already sent stay in the owner's and the contact's mailboxes; events stay with their consumers.",
    "An entry of the allow-list or block-list stays: email-handler unlist takes it off.",
    "Messages of others that name or quote the person stay.",
)
"""What erasing cannot reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One conversation with its messages and sends; or, without a conversation, a person's messages that belong to none
    (held, dropped, duplicates) or to another contact's conversation."""

    conversation: Conversation | None
    messages: tuple[MessageRecord, ...]
    sends: tuple[LedgerItem, ...]

    @property
    def name(self) -> str:
        """Return the conversation's id, or ``none``."""
        return self.conversation.id if self.conversation else NO_CONVERSATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Everything that is stored about a conversation or a person."""

    cases: tuple[Case, ...]
    contact: Contact | None
    whole_person: bool


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
    sends = [send for case in holdings.cases for send in case.sends]
    if waiting := [send.id for send in sends if send.state in (SendState.QUEUED, SendState.SENDING)]:
        raise CommandError(f"{len(waiting)} sends are still in progress ({waiting[0]}): wait until they have ended")
    summary: dict[str, Any] = {
        "conversations": [case.name for case in holdings.cases if case.conversation],
        "messages": sum(len(case.messages) for case in holdings.cases),
        "sends": len(sends),
    }
    if yes:
        summary |= {"objects": 0, "items": 0}
        for case in tracked(holdings.cases, "conversations", len(holdings.cases)):
            summary["objects"] += _erase_objects(connection, case)
            summary["items"] += connection.operator.erase(case.messages, case.sends, case.conversation)
            if case.conversation and holdings.contact and not holdings.whole_person:
                connection.operator.forget_conversation(holdings.contact, case.conversation.id)
        if holdings.contact and holdings.whole_person:
            summary["items"] += connection.operator.erase_contact(holdings.contact.address)
    if as_json:
        print_json(summary | {"erased": yes, "kept": list(KEPT) if yes else []})
    else:
        _print_summary(summary, erased=yes)
    fail_if(not yes)


def find(connection: Connection, identifier: str) -> Holdings:
    """Return what is stored about a conversation, or about the person with an address. Raises CommandError if nothing
    is."""
    records = connection.records
    if "@" not in identifier:
        conversation = find_conversation(connection, identifier)
        contact = connection.operator.contact(conversation.contact) if conversation.contact else None
        return Holdings(cases=(_case(connection, conversation),), contact=contact, whole_person=False)
    address = identifier.lower()
    conversations = [one for one in records.find("contact", address, limit=ALL) if isinstance(one, Conversation)]
    cases = [_case(connection, conversation) for conversation in conversations]
    own = {case.name for case in cases}
    loose = [message for message in connection.operator.messages_from(address) if message.conversation not in own]
    if loose:
        cases.append(Case(conversation=None, messages=tuple(loose), sends=_sends(connection, loose)))
    contact = connection.operator.contact(address)
    if not cases and contact is None:
        raise CommandError(
            f"nothing is stored about {identifier} in {connection.where}: email-handler search finds people"
        )
    return Holdings(cases=tuple(cases), contact=contact, whole_person=True)


def _case(connection: Connection, conversation: Conversation) -> Case:
    messages = list(connection.records.messages(conversation.id))
    return Case(conversation=conversation, messages=tuple(messages), sends=_sends(connection, messages))


def _sends(connection: Connection, messages: Sequence[MessageRecord]) -> tuple[LedgerItem, ...]:
    found = {send.id: send for message in messages for send in sends_of(connection, message)}
    return tuple(found.values())


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
            if (send.source, send.source_function) == (message.receipt, message.function) and send.sent_key:
                yield from _copy(connection, send.sent_key, folder / f"{number:03}-sent-{_safe(send.id)}.eml")


def _copy(connection: Connection, key: str, path: Path) -> Iterator[Path]:
    try:
        write_file(path, connection.archive.get(key))
        yield path
    except ArchiveObjectMissing:
        print_note(f"{key}: the archive no longer holds it", "yellow")


def _safe(name: str) -> str:
    """Return *name* as a safe file name. SES's ids are safe, but AWS does not promise that."""
    return re.sub(r"[^\w.-]|^\.+", "_", name)[:150]


def _erase_objects(connection: Connection, case: Case) -> int:
    """Delete every version of the objects of *case*, and return how many there were."""
    s3 = connection.session.client("s3")
    count = 0
    keys = [message.archive_key for message in case.messages] + [send.sent_key for send in case.sends if send.sent_key]
    places: list[tuple[str, str]] = [(message.conversation, message.receipt) for message in case.messages]
    if case.conversation:
        places = [(case.conversation.id, "")]
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
        print_line(f"With --yes these would be erased for good: {what}")
        return
    print_line(f"Erased: {what}; {summary['items']} items of the table, {summary['objects']} objects")
    out.print("What this cannot reach:", style="bold")
    for line in KEPT:
        print_line(f"  {line}")
