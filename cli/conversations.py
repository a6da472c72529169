"""``email-handler list`` and ``show``: conversations, messages and sends as the records tell them."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from cli.connection import Connection, Endpoint, Stack, connect
from cli.terminal import AdminError, AsJson, err, out, print_hanging, print_json, print_pairs, when
from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.records import Conversation, Decision, LedgerItem, MessageRecord, SendState, Status
from email_handler.errors import UnknownConversation
from email_handler.identifiers import ConversationId, Decider, LedgerId

REASONS_SHOWN = 4
OUTCOMES = {
    Outcome.DELIVER: "green",
    Outcome.RELAY: "green",
    Outcome.FLAG: "yellow",
    Outcome.HOLD: "red",
    Outcome.DROP: "red",
    Outcome.RECORD: "cyan",
}
STATES = {
    SendState.SENT: "green",
    SendState.QUEUED: "yellow",
    SendState.SENDING: "yellow",
    SendState.UNKNOWN: "red",
    SendState.FAILED: "red",
    SendState.BOUNCED: "red",
}


class Verdict(StrEnum):
    """The filter's outcomes that have an index."""

    HELD = "held"
    FLAGGED = "flagged"
    DROPPED = "dropped"


class Unsent(StrEnum):
    """The states of a send that have an index: all but sent."""

    QUEUED = SendState.QUEUED.value
    SENDING = SendState.SENDING.value
    FAILED = SendState.FAILED.value
    UNKNOWN = SendState.UNKNOWN.value
    BOUNCED = SendState.BOUNCED.value


Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]


def list_(
    status: Annotated[
        Status | None, typer.Option(help=f"Whose turn it is: {', '.join(Status)}.", metavar="STATUS")
    ] = None,
    contact: Annotated[str, typer.Option(help="The contact's address.")] = "",
    domain: Annotated[str, typer.Option(help="The contact's domain.")] = "",
    public: Annotated[str, typer.Option(help="The public address written to.")] = "",
    source: Annotated[str, typer.Option(help="The tag of contact+TAG@.")] = "",
    day: Annotated[
        datetime | None, typer.Option(help="Day it began (UTC).", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD")
    ] = None,
    verdict: Annotated[
        Verdict | None, typer.Option(help=f"Messages instead: {', '.join(Verdict)}.", metavar="VERDICT")
    ] = None,
    send: Annotated[Unsent | None, typer.Option(help=f"Sends instead: {', '.join(Unsent)}.", metavar="STATE")] = None,
    limit: Limit = 50,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """List conversations, newest first; or messages by what the filter did; or sends by their state."""
    asked = {
        "status": status.value if status else "",
        "contact": contact,
        "domain": domain,
        "public_address": public,
        "source": source,
        "day": day.date().isoformat() if day else "",
        "verdict": verdict.value if verdict else "",
        "send_state": send.value if send else "",
    }
    given = {index: value for index, value in asked.items() if value}
    if len(given) > 1:
        raise typer.BadParameter("one of them at a time", param_hint=" and ".join(f"--{name}" for name in given))
    connection = connect(stack, endpoint)
    found: list[Any]
    if given:
        ((index, value),) = given.items()
        found = list(connection.records.find(index, value, limit))
    else:
        found = latest(connection, limit)
    if as_json:
        for entry in found:
            print_json(public_fields(entry))
        return
    if not found:
        err.print("Nothing found.")
    elif isinstance(found[0], MessageRecord):
        out.print(messages_table(found))
    elif isinstance(found[0], LedgerItem):
        out.print(sends_table(found))
    else:
        out.print(conversations_table(found))


def latest(connection: Connection, limit: int) -> list[Conversation]:
    """Return the *limit* conversations that changed last, whatever their status."""
    found = [entry for status in Status for entry in connection.records.find("status", status.value, limit)]
    conversations = [entry for entry in found if isinstance(entry, Conversation)]
    return sorted(conversations, key=lambda conversation: conversation.updated_at, reverse=True)[:limit]


def public_fields(record: Any) -> dict[str, Any]:
    """Return a record as JSON tells it: a conversation without its token, which opens it to whoever reads it."""
    fields = asdict(record)
    fields.pop("token", None)
    return fields


def conversations_table(conversations: Iterable[Conversation]) -> Table:
    """Return the table of ``list``. In all three tables an id has a line of its own, which fits 80 columns whole."""
    table = Table("Last", "Status", "In", "Out", "Conversation", box=None, header_style="bold")
    for conversation in conversations:
        name = conversation.contact_name or conversation.contact
        who = name if conversation.verified else f"{name} (not verified)"
        table.add_row(
            Text(when(conversation.updated_at), no_wrap=True),
            conversation.status.value,
            Text(str(conversation.received), justify="right"),
            Text(str(conversation.sent), justify="right"),
            Group(Text(f"{who}: {conversation.subject}"), Text(conversation.id, "cyan")),
        )
    return table


def messages_table(messages: Iterable[MessageRecord]) -> Table:
    """Return a table of messages: sender and subject, why it was judged so, and the receipt that ``why`` takes."""
    table = Table("When", "Outcome", "Message", box=None, header_style="bold")
    for message in messages:
        outcome = Text(message.outcome.value, OUTCOMES[message.outcome])
        lines = [Text(f"{message.sender_name or message.sender or 'nobody'}: {message.subject}")]
        if message.reasons:
            lines.append(Text(_in_short(message.reasons), "yellow"))
        lines.append(Text(message.receipt, "dim"))
        table.add_row(Text(when(message.at), no_wrap=True), outcome, Group(*lines))
    return table


def _in_short(reasons: Sequence[Reason]) -> str:
    """Return the first few reasons; ``why`` tells all of them."""
    shown, others = reasons[:REASONS_SHOWN], reasons[REASONS_SHOWN:]
    return ", ".join(map(str, shown)) + (f" and {len(others)} more" if others else "")


def sends_table(sends: Iterable[LedgerItem]) -> Table:
    """Return a table of sends: state and reason, the conversation, and the id that ``why`` takes."""
    table = Table("Queued", "State", "Tries", "Send", box=None, header_style="bold")
    for send in sends:
        lines = [Text(f"{send.kind.value} for {send.conversation or 'no conversation'}")]
        if send.reason:
            lines.append(Text(send.reason, "yellow"))
        if send.possible_duplicate:
            lines.append(Text("a second copy may have left", "yellow"))
        lines.append(Text(send.id, "dim"))
        table.add_row(
            Text(when(send.queued_at), no_wrap=True),
            Text(send.state.value, STATES[send.state]),
            Text(str(send.attempt), justify="right"),
            Group(*lines),
        )
    return table


def show(
    identifier: Annotated[str, typer.Argument(metavar="CONVERSATION", help="Its id, such as c-7k2m9x4q.")],
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Show one conversation: who, its messages in order with their files, and what was sent."""
    connection = connect(stack, endpoint)
    conversation = connection.records.conversation(ConversationId(identifier.lower()))
    if conversation is None:
        raise AdminError(f"there is no conversation {identifier} in {connection.where}: email-handler list")
    messages = list(connection.records.messages(conversation.id))
    sends = {(message.receipt, message.function): sends_of(connection, message) for message in messages}
    if as_json:
        told = [
            public_fields(message)
            | {"sends": [public_fields(send) for send in sends[message.receipt, message.function]]}
            for message in messages
        ]
        print_json(public_fields(conversation) | {"messages": told})
        return
    out.print(Text(conversation.subject or "(no subject)", "bold"))
    began = f"{when(conversation.started_at)} to {when(conversation.updated_at)}"
    verified = "verified" if conversation.verified else "not verified"
    print_pairs(
        Conversation=f"{conversation.id}, {conversation.status.value}, {began}",
        Contact=f"{conversation.contact_name} <{conversation.contact}>, {verified}".strip(),
        To=conversation.public_address + (f", by way of +{conversation.source}" if conversation.source else ""),
        Answers=f"go to {conversation.reply_address or 'nobody: no address'}",
        LinkedIn=conversation.linkedin_thread,
    )  # fmt: skip
    for message in messages:
        out.print()
        _print_message(message, sends[message.receipt, message.function], connection)


def _print_message(message: MessageRecord, sends: Sequence[LedgerItem], connection: Connection) -> None:
    before = Text.assemble((when(message.at), "bold"), "  ", (message.outcome.value, OUTCOMES[message.outcome]), "  ")
    print_hanging(out, before, f"{message.sender_name or message.sender or 'nobody'}: {message.subject}")
    if message.snippet:
        print_hanging(out, "  ", message.snippet, "dim")
    for found in message.attachments:
        print_hanging(out, "  ", f"{found.name} ({found.detected_type}, {found.size} octets, {found.status})")
    for send in sends:
        print_hanging(out, "  ", f"{send.kind.value} {send.state.value} {send.reason}", STATES[send.state])
    print_hanging(out, "  ", f"s3://{connection.bucket}/{message.archive_key}", "dim")


def decisions_of(connection: Connection, message: MessageRecord) -> list[Decision]:
    """Return what was decided about a message: by the function that received it, then by the operator."""
    deciders: list[Decider] = [message.function]
    if any(reason.stage == "operator" for reason in message.reasons):
        deciders.append("operator")
    found = [connection.records.decision(message.receipt, decider) for decider in deciders]
    return [decision for decision in found if decision is not None]


def sends_of(connection: Connection, message: MessageRecord) -> list[LedgerItem]:
    """Return the sends that a message caused, as the ledger has them now."""
    jobs = [job for decision in decisions_of(connection, message) for job in decision.jobs]
    return ledger_items(connection, [job.ledger for job in jobs])


def ledger_items(connection: Connection, ledgers: Iterable[LedgerId]) -> list[LedgerItem]:
    """Return the sends of these ids as the ledger has them now."""
    sends = []
    for ledger in ledgers:
        with suppress(UnknownConversation):
            sends.append(connection.ledger.context(ledger).item)
    return sends
