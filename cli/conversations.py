"""``email-handler list`` and ``show``: conversations, messages and sends from the records."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import Annotated, Any, Literal, get_args

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from cli.options import AsJson, Endpoint, Limit, Stack
from cli.terminal import (
    STYLES,
    err,
    new_table,
    out,
    print_hanging,
    print_json,
    print_line,
    print_note,
    print_pairs,
    when,
)
from email_handler.conversations.records import Conversation, LedgerItem, MessageRecord, SendState, Status
from operations.connection import Connection, connect
from operations.conversations import STATUSES, headline, latest, public_fields, sends_of
from operations.lookup import find_conversations

REASONS_SHOWN = 4

Identifier = Annotated[
    str,
    typer.Argument(
        metavar="CONVERSATION",
        help="Its id, such as c-7k2m9x4q, or how it begins; the contact's address; or an id of one of its messages.",
    ),
]
Verdict = Literal["held", "flagged", "dropped"]  # the filter's outcomes that have an index
Unsent = Literal["queued", "sending", "failed", "unknown", "bounced", "cancelled"]  # states of a send with an index


def list_(
    status: Annotated[
        Status | None,
        typer.Option(
            help=f"Conversations of this status: {'; '.join(f'{name} ({said})' for name, said in STATUSES.items())}.",
            metavar="STATUS",
        ),
    ] = None,
    contact: Annotated[str, typer.Option(help="The contact's address.")] = "",
    domain: Annotated[str, typer.Option(help="The contact's domain.")] = "",
    public: Annotated[str, typer.Option(help="The public address that the contact wrote to.")] = "",
    source: Annotated[str, typer.Option(help="The tag of contact+TAG@.")] = "",
    day: Annotated[
        datetime | None, typer.Option(help="Day it began (UTC).", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD")
    ] = None,
    verdict: Annotated[
        Verdict | None, typer.Option(help=f"Messages instead: {', '.join(get_args(Verdict))}.", metavar="VERDICT")
    ] = None,
    send: Annotated[
        Unsent | None, typer.Option(help=f"Sends instead: {', '.join(get_args(Unsent))}.", metavar="STATE")
    ] = None,
    limit: Limit = 50,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """List conversations, newest first; or messages by what the filter did; or sends by their state."""
    asked = {
        "status": status or "",
        "contact": contact,
        "domain": domain,
        "public_address": public,
        "source": source,
        "day": day.date().isoformat() if day else "",
        "verdict": verdict or "",
        "send_state": send or "",
    }
    given = {index: value for index, value in asked.items() if value}
    if len(given) > 1:
        raise typer.BadParameter("one of them at a time", param_hint=" and ".join(f"--{name}" for name in given))
    connection = connect(stack, endpoint)
    found = [connection.records.find(index, value, limit + 1) for index, value in given.items()]
    records = list(chain(*found) if given else latest(connection, limit + 1))
    print_records(sorted(records[:limit], key=_updated_at, reverse=True), as_json=as_json)
    if len(records) > limit:
        print_note(f"There are more: --limit {2 * limit} shows up to {2 * limit}.", "dim")


def _updated_at(record: Conversation | MessageRecord | LedgerItem) -> datetime:
    match record:
        case Conversation():
            return record.updated_at
        case MessageRecord():
            return record.at
        case LedgerItem():
            return record.queued_at


def print_records(
    records: Iterable[Conversation | MessageRecord | LedgerItem], *, as_json: bool, nothing: str = "Nothing found."
) -> int:
    """Print *records*, all of one kind, as JSON lines or as a table, or *nothing* if there are none; return their
    number."""
    found: list[Any] = []
    for record in records:
        found.append(record)
        if as_json:  # at once: a search takes its time
            print_json(public_fields(record))
    if as_json:
        return len(found)
    if not found:
        err.print(nothing)
    elif isinstance(found[0], MessageRecord):
        out.print(messages_table(found))
    else:
        out.print(sends_table(found) if isinstance(found[0], LedgerItem) else conversations_table(found))
    return len(found)


def conversations_table(conversations: Iterable[Conversation]) -> Table:
    """Return the table of ``list``. In all three tables ids have a line of their own, to be whole in 80 columns."""
    table = new_table("Last", "Status", "In", "Out", "Conversation", right=("In", "Out"))
    for conversation in conversations:
        name = conversation.contact_name or conversation.contact
        who = name if conversation.verified else f"{name} (not verified)"
        table.add_row(
            Text(when(conversation.updated_at), no_wrap=True),
            conversation.status,
            str(conversation.received),
            str(conversation.sent),
            Group(Text(f"{who}: {conversation.subject}"), Text(conversation.id, "cyan")),
        )
    return table


def messages_table(messages: Iterable[MessageRecord]) -> Table:
    """Return a table of messages: sender and subject, the reasons for the outcome, and the receipt for ``why``."""
    table = new_table("When", "Outcome", "Message")
    for message in messages:
        lines = [Text(headline(message))]
        if message.reasons:  # the first few: ``why`` shows all
            others = len(message.reasons) - REASONS_SHOWN
            shown = ", ".join(map(str, message.reasons[:REASONS_SHOWN])) + (f" and {others} more" if others > 0 else "")
            lines.append(Text(shown, "yellow"))
        lines.append(Text(message.receipt, "dim"))
        outcome = Text(message.outcome, STYLES[message.outcome])
        table.add_row(Text(when(message.at), no_wrap=True), outcome, Group(*lines))
    return table


def sends_table(sends: Iterable[LedgerItem]) -> Table:
    """Return a table of sends: state and reason, the conversation, and the id for ``why``."""
    table = new_table("Queued", "State", "Tries", "Send", right=("Tries",))
    for send in sends:
        lines = [Text(f"{send.kind.value} for {send.conversation or 'no conversation'}")]
        if send.reason:
            lines.append(Text(send.reason, "yellow"))
        if send.possible_duplicate:
            lines.append(Text("a second copy may have been sent", "yellow"))
        lines.append(Text(send.id, "dim"))
        state = Text(send.state, STYLES[send.state])
        table.add_row(Text(when(send.queued_at), no_wrap=True), state, str(send.attempt), Group(*lines))
    return table


def show(identifier: Identifier, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Show a conversation: who, its messages in order with their files, and what was sent; for a contact, all of theirs."""
    connection = connect(stack, endpoint)
    for conversation in find_conversations(connection, identifier):
        _show(connection, conversation, as_json=as_json)


def _show(connection: Connection, conversation: Conversation, *, as_json: bool) -> None:
    messages = [(message, sends_of(connection, message)) for message in connection.records.messages(conversation.id)]
    if as_json:
        shown = [public_fields(message) | {"sends": [*map(public_fields, sends)]} for message, sends in messages]
        print_json(public_fields(conversation) | {"messages": shown})
        return
    print_line(conversation.subject or "(no subject)", "bold")
    began = f"{when(conversation.started_at)} to {when(conversation.updated_at)}"
    verified = "verified" if conversation.verified else "not verified"
    status = f"{conversation.status} ({STATUSES[conversation.status]})"
    if conversation.status is Status.SNOOZED and conversation.snoozed_until:
        status = f"snoozed until {when(conversation.snoozed_until)}"
    print_pairs(
        Conversation=f"{conversation.id}, {status}, {began}",
        Contact=f"{conversation.contact_name} <{conversation.contact}>, {verified}".strip(),
        To=conversation.public_address + (f", with the tag +{conversation.source}" if conversation.source else ""),
        Replies=f"go to {conversation.reply_address or 'nobody: there is no address'}",
        LinkedIn=conversation.linkedin_thread,
    )  # fmt: skip
    for message, sends in messages:
        out.print()
        _print_message(message, sends, connection)
    out.print()


def _print_message(message: MessageRecord, sends: Sequence[LedgerItem], connection: Connection) -> None:
    outcome = (message.outcome, STYLES[message.outcome])
    print_hanging(out, Text.assemble((when(message.at), "bold"), "  ", outcome, "  "), headline(message))
    if message.snippet:
        print_hanging(out, "  ", message.snippet, "dim")
    for found in message.attachments:
        print_hanging(out, "  ", f"{found.name} ({found.detected_type}, {found.size} bytes, {found.status})")
    for send in sends:
        print_hanging(out, "  ", describe_send(send), STYLES[send.state])
    print_hanging(out, "  ", f"s3://{connection.bucket}/{message.archive_key}", "dim")


def describe_send(send: LedgerItem) -> str:
    """Return one send in a line: what, to whom, and how it ended."""
    return (
        f"{send.kind} to {', '.join(send.recipients)} {send.state}"
        + (f" at attempt {send.attempt}" if send.attempt > 1 else "")
        + (f", due {when(send.due)}" if send.state is SendState.QUEUED and send.due > send.queued_at else "")
        + (f", SES id {send.ses_id}" if send.ses_id else "")
        + (f": {send.reason}" if send.reason else "")
        + (", a second copy may have been sent" if send.possible_duplicate else "")
    )
