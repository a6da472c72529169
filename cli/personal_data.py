"""``email-handler export`` and ``erase``: what is kept of a conversation or of a person, handed out or deleted."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cli.connection import Connection, Endpoint, Stack, connect
from cli.conversations import decisions_of, public_fields, sends_of
from cli.deployment import asking
from cli.terminal import AdminError, AsJson, ExitCode, err, json_document, out, print_json, tracked
from email_handler.conversations.records import Contact, Conversation, LedgerItem, MessageRecord, SendState
from email_handler.errors import ArchiveObjectMissing
from email_handler.identifiers import ConversationId

ALL = 10**9
NONE = "none"  # the folder of mail without a conversation, in the archive as in an export

KEPT = (
    "The table's point-in-time recovery still knows the records, for up to 35 days (AWS's longest).",
    "Digests that told the owner of held mail stay in the archive below raw/digest/ and sent/notice/.",
    "What has left stays where it went: the owner's mailbox, the contact's, and whoever consumes the events.",
    "An entry of the allow- or block-list stays: email-handler unlist takes it off.",
    "Mail of others that names or quotes the person stays.",
)
"""What erasing cannot reach, for whoever asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One conversation with its messages and sends; or, without a conversation, mail of a person that belongs to none
    (held, dropped, a second copy) or was written into somebody else's."""

    conversation: Conversation | None
    messages: tuple[MessageRecord, ...]
    sends: tuple[LedgerItem, ...]

    @property
    def name(self) -> str:
        """Return the conversation's id, ``none`` for single mails."""
        return self.conversation.id if self.conversation else NONE

    @property
    def prefixes(self) -> list[str]:
        """Return where in the archive its texts and attachments lie."""
        places = [f"{message.conversation or NONE}/{message.receipt}/" for message in self.messages]
        if self.conversation:
            places = [f"{self.conversation.id}/"]
        return [f"{kind}/{place}" for kind in ("text", "attachments") for place in places]

    @property
    def keys(self) -> list[str]:
        """Return where in the archive its mails lie, as they came and as they left."""
        return [
            *(message.archive_key for message in self.messages),
            *(send.sent_key for send in self.sends if send.sent_key),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Everything that is kept of a conversation, or of a person."""

    cases: tuple[Case, ...]
    contact: Contact | None
    whole_person: bool


Identifier = Annotated[
    str, typer.Argument(metavar="CONVERSATION|ADDRESS", help="One conversation, or all of a person.")
]


def export(
    identifier: Identifier,
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files go.")],
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Write what is kept of a conversation or a person into files: records as JSON, mails as .eml, as they came and
    as they left.
    """
    connection = connect(stack, endpoint)
    holdings = find(connection, identifier)
    count = 0
    for case in tracked(holdings.cases, "conversations", len(holdings.cases)):
        for path in write_case(connection, case, holdings.contact, folder / _safe(case.name)):
            count += 1
            if as_json:
                print_json({"conversation": case.name, "path": str(path)})
    err.print(f"{count} files of {len(holdings.cases)} conversations in {folder}", markup=False, soft_wrap=True)


def erase(
    identifier: Identifier,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only tell what would be erased.")] = False,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Erase what is kept of a conversation or a person: records, mails, texts and attachments, every version of them.

    For good. Tells what it cannot reach. Exit code 1 without --yes.
    """
    connection = connect(stack, endpoint)
    holdings = find(connection, identifier)
    told: dict[str, Any] = {
        "conversations": [case.name for case in holdings.cases if case.conversation],
        "messages": sum(len(case.messages) for case in holdings.cases),
        "sends": sum(len(case.sends) for case in holdings.cases),
    }
    _refuse_sends_under_way(holdings.cases)
    if yes:
        told |= {"objects": 0, "items": 0}
        for case in tracked(holdings.cases, "conversations", len(holdings.cases)):
            told["objects"] += _erase_objects(connection, case)
            told["items"] += connection.operator.erase(case.messages, case.sends, case.conversation)
            if case.conversation and holdings.contact and not holdings.whole_person:
                connection.operator.forget_conversation(holdings.contact, case.conversation.id)
        if holdings.contact and holdings.whole_person:
            told["items"] += connection.operator.erase_contact(holdings.contact.address)
    if as_json:
        print_json(told | {"erased": yes, "kept": list(KEPT) if yes else []})
    else:
        _tell(told, erased=yes)
    if not yes:
        raise typer.Exit(ExitCode.FAILED)


def find(connection: Connection, identifier: str) -> Holdings:
    """Return what is kept of a conversation, or of whoever has an address. Raises AdminError where that is nothing."""
    records = connection.records
    if "@" not in identifier:
        conversation = records.conversation(ConversationId(identifier.lower()))
        if conversation is None:
            raise AdminError(f"there is no conversation {identifier} in {connection.where}: email-handler list")
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
        raise AdminError(f"nothing is kept of {identifier} in {connection.where}: email-handler search finds people")
    return Holdings(cases=tuple(cases), contact=contact, whole_person=True)


def _case(connection: Connection, conversation: Conversation) -> Case:
    messages = list(connection.records.messages(conversation.id))
    return Case(conversation=conversation, messages=tuple(messages), sends=_sends(connection, messages))


def _sends(connection: Connection, messages: Sequence[MessageRecord]) -> tuple[LedgerItem, ...]:
    found = {send.id: send for message in messages for send in sends_of(connection, message)}
    return tuple(found.values())


def write_case(connection: Connection, case: Case, contact: Contact | None, folder: Path) -> Iterator[Path]:
    """Write *case* into *folder*, and yield each file. Raises AdminError where that cannot be written."""
    record = {
        "conversation": public_fields(case.conversation) if case.conversation else None,
        "contact": public_fields(contact) if contact else None,
        "messages": [
            public_fields(message)
            | {"decisions": [public_fields(decision) for decision in decisions_of(connection, message)]}
            for message in case.messages
        ],
        "sends": [public_fields(send) for send in case.sends],
    }
    yield _write(folder / "records.json", json_document(record))
    for number, message in enumerate(case.messages, start=1):
        suffix = "json" if message.archive_key.startswith("raw/feedback/") else "eml"
        name = f"{number:03}-received-{message.function}-{_safe(message.receipt)}.{suffix}"
        yield from _copy(connection, message.archive_key, folder / name)
        for send in case.sends:
            if (send.source, send.source_function) == (message.receipt, message.function) and send.sent_key:
                yield from _copy(connection, send.sent_key, folder / f"{number:03}-sent-{_safe(send.id)}.eml")


def _copy(connection: Connection, key: str, path: Path) -> Iterator[Path]:
    try:
        yield _write(path, connection.archive.get(key))
    except ArchiveObjectMissing:
        err.print(f"{key}: the archive no longer holds it", style="yellow", markup=False, soft_wrap=True)


def _write(path: Path, body: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    except OSError as error:
        raise AdminError(f"cannot write {path}: {error.strerror}. Choose another folder with --out.") from error
    return path


def _safe(name: str) -> str:
    """Return *name* as a file's: SES's ids are safe as they are, but nobody promises that."""
    return re.sub(r"[^\w.-]|^\.+", "_", name)[:150]


def _refuse_sends_under_way(cases: Sequence[Case]) -> None:
    waiting = [send.id for case in cases for send in case.sends if send.state in (SendState.QUEUED, SendState.SENDING)]
    if waiting:
        raise AdminError(f"{len(waiting)} sends are still under way ({waiting[0]}): wait until they have ended")


def _erase_objects(connection: Connection, case: Case) -> int:
    """Delete every version of the objects of *case*, and return how many that were."""
    s3 = connection.session.client("s3")
    count = 0
    wanted = [(prefix, False) for prefix in case.prefixes] + [(key, True) for key in case.keys]
    with asking(connection.where):
        for prefix, exact in wanted:
            pages = s3.get_paginator("list_object_versions").paginate(Bucket=connection.bucket, Prefix=prefix)
            versions = [
                {"Key": found["Key"], "VersionId": found["VersionId"]}
                for page in pages
                for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                if not exact or found["Key"] == prefix
            ]
            for batch in batched(versions, 1000):
                answer = s3.delete_objects(Bucket=connection.bucket, Delete={"Objects": list(batch), "Quiet": True})
                if errors := answer.get("Errors"):
                    raise AdminError(f"S3 did not delete {len(errors)} objects ({errors[0].get('Code')}): try again")
            count += len(versions)
    return count


def _tell(told: dict[str, Any], *, erased: bool) -> None:
    names = ", ".join(told["conversations"]) or "no conversation"
    what = f"{names}: {told['messages']} messages and {told['sends']} sends"
    if not erased:
        out.print(Text(f"Would be erased, for good, with --yes: {what}"), soft_wrap=True)
        return
    out.print(Text(f"Erased: {what}; {told['items']} items of the table, {told['objects']} objects"), soft_wrap=True)
    out.print("What this cannot reach:", style="bold")
    for line in KEPT:
        out.print(f"  {line}", soft_wrap=True)
