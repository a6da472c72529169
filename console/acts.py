"""What can be done about conversations, held messages, senders and dead letters: each a form, each harmless if it is sent
twice, each answered by a page that says what was done."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from console.desk import Desk
from console.session import Undo
from console.view import desk_of, done, form_of
from console.words import SENDS, STATUSES
from email_handler.conversations.commands import LONGEST_SNOOZE
from email_handler.conversations.records import Conversation, LedgerItem, MessageRecord, Status
from email_handler.ports import ListKind
from email_handler.usecases.redrive import Redriven
from email_handler.usecases.waiting import describe_cancelled, wakes_at
from operations.conversations import ledger_items
from operations.errors import CommandError
from operations.held import decide
from operations.lists import listed, put, read_entry
from operations.redrive import SENT_BY, discard_failures, failures, redrive, redrive_failures
from operations.waiting import cancel, put_off, reopen, snooze

_LIST_NAMES: dict[str, ListKind] = {"allow": "allow", "block": "block"}


# Conversations


def act_on_conversation(request: Request) -> Response:
    """Do what the path names to a conversation, and return to it, or to the inbox if it waits no more."""
    desk = desk_of(request)
    conversation = desk.conversation(request.path_params["conversation"])
    do = _CONVERSATION_ACTS.get(request.path_params["act"])
    if do is None:
        raise CommandError("There is no such act.")
    response = do(request, desk, conversation)
    desk.note_changed(conversation.id)
    return response


def _close(request: Request, desk: Desk, conversation: Conversation) -> Response:
    desk.connection.operator.put_status(conversation.id, Status.CLOSED)
    return done(request, "/", f"Closed: {_named(conversation)}.", undo=_back(conversation))


def _spam(request: Request, desk: Desk, conversation: Conversation) -> Response:
    desk.connection.operator.put_status(conversation.id, Status.SPAM)
    return done(request, "/", f"Marked as spam: {_named(conversation)}.", undo=_back(conversation))


def _reopen(request: Request, desk: Desk, conversation: Conversation) -> Response:
    reopen(desk.connection, conversation)
    text = f"{_named(conversation)} waits for your reply again."
    return done(request, _page(conversation), text, undo=_back(conversation))


def _snooze(request: Request, desk: Desk, conversation: Conversation) -> Response:
    text = form_of(request).get("days", "")
    days = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0  # noqa: PLR2004
    if not 1 <= days <= LONGEST_SNOOZE:
        raise CommandError(f"Snooze for 1 to {LONGEST_SNOOZE} days.")
    until = snooze(desk.connection, conversation, days, desk.now())
    text = f"Snoozed until {until:%A, %-d %B}: {_named(conversation)}. A notice reminds you."
    return done(request, "/", text, undo=_back(conversation))


def _restore(request: Request, desk: Desk, conversation: Conversation) -> Response:
    """Take back one of the above: the status that there was before, or the day until which it was put off."""
    status = next((one for one in Status if one == form_of(request).get("status")), None)
    if status is None:
        raise CommandError("There is no such status.")
    if status is Status.SNOOZED:
        put_off(desk.connection, conversation, _until(request, desk), desk.now())
    else:
        desk.connection.operator.put_status(conversation.id, status)
    return done(request, _page(conversation), f"{_named(conversation)}: {STATUSES[status].text.lower()}, as before.")


def _until(request: Request, desk: Desk) -> datetime:
    """Return the hour, still to come, until which a conversation was put off."""
    try:
        until = datetime.fromisoformat(form_of(request).get("until", "")).astimezone(UTC)
    except (ValueError, OverflowError):
        until = desk.now()
    days = (until - desk.now()) / timedelta(days=1)
    if not 0 < days <= LONGEST_SNOOZE or until != wakes_at(until, 0):
        raise CommandError("That time is over.")
    return until


def _cancel(request: Request, desk: Desk, conversation: Conversation) -> Response:
    replies = cancel(desk.connection, ledger_items(desk.connection, conversation.replies))
    cancelled = sum(now for _, now in replies)
    last: LedgerItem | None = next((reply for reply, now in replies[-1:] if not now), None)
    return done(request, _page(conversation), describe_cancelled(cancelled, last), failed=not cancelled)


_CONVERSATION_ACTS: dict[str, Callable[[Request, Desk, Conversation], Response]] = {
    "close": _close,
    "spam": _spam,
    "reopen": _reopen,
    "snooze": _snooze,
    "restore": _restore,
    "cancel": _cancel,
}


def _back(conversation: Conversation) -> Undo:
    """Return how to take back a change of status."""
    fields = {"status": conversation.status.value}
    if conversation.status is Status.SNOOZED and conversation.snoozed_until:
        fields["until"] = conversation.snoozed_until.isoformat()
    return Undo(action=f"{_page(conversation)}/restore", fields=fields)


def _page(conversation: Conversation) -> str:
    return f"/conversations/{conversation.id}"


def _named(conversation: Conversation) -> str:
    return f"“{conversation.subject or conversation.contact_name or conversation.contact or conversation.id}”"


# Held messages


def act_on_message(request: Request) -> Response:
    """Release a held message, or confirm that it was rightly held."""
    desk = desk_of(request)
    record = desk.message(request.path_params["function"], request.path_params["receipt"])
    act, also_listed = request.path_params["act"], form_of(request).get("listed") == "yes"
    if act not in ("release", "confirm"):
        raise CommandError("There is no such act.")
    undo = _unlist(desk, record) if also_listed else None
    result = decide(act, record.receipt, record.function, desk.functions, listed=also_listed)
    if "error" in result:
        return done(request, "/held", f"Nothing was done: {result['error']}.", failed=True)
    if act == "confirm":
        also = f" {record.sender} is on the block-list." if also_listed else ""
        return done(request, "/held", f"Kept held, and off this list: “{record.subject}”.{also}", undo=undo)
    sends = ledger_items(desk.connection, result["jobs"])
    states = ", ".join(f"{send.kind} {SENDS[send.state].text.lower()}" for send in sends) or "nothing to send"
    also = f" {record.sender} is on the allow-list." if also_listed else ""
    back = f"/conversations/{result['conversation']}" if result["conversation"] else "/held"
    return done(request, back, f"Released: “{record.subject}” ({states}).{also}", undo=undo)


def _unlist(desk: Desk, record: MessageRecord) -> Undo:
    """Return how to take back the entry of a list that a decision makes."""
    before = listed(desk.connection, record.sender)
    fields = {"entry": record.sender, "list": before or ""}
    return Undo(action="/senders", fields=fields, label="Undo the list's entry")


# Senders


def act_on_lists(request: Request) -> Response:
    """Put a sender on a list, or take one off; return to the page that asked."""
    desk, form = desk_of(request), form_of(request)
    try:
        entry = read_entry(form.get("entry", ""))
    except ValueError as error:
        return done(request, "/senders", f"{error}.", failed=True)
    kind = _LIST_NAMES.get(form.get("list", ""))
    before = put(desk.connection, entry, kind)
    back = form.get("back", "")
    undo = None if before == kind else Undo(action="/senders", fields={"entry": entry, "list": before or ""})
    said = {
        "allow": f"{entry} is on the allow-list: the filter passes its verified messages.",
        "block": f"{entry} is on the block-list: its messages are held.",
    }
    text = said[kind] if kind else f"{entry} is on no list any more."
    return done(request, back if back.startswith("/conversations/") else "/senders", text, undo=undo)


# Dead letters


def act_on_dead_letters(request: Request) -> Response:
    """Send again what was dead-lettered, or throw away what nobody can use."""
    desk, act = desk_of(request), request.path_params["act"]
    if act not in ("redrive", "resend", "discard"):
        raise CommandError("There is no such act.")
    lines = redrive(desk.connection, list(SENT_BY), discard=act == "discard", resend=act == "resend", dry_run=False)
    counts = Counter(line.what for line in lines)
    said = {
        Redriven.QUEUED: "queued again",
        Redriven.ENDED: "over already, and off the queue",
        Redriven.LEFT: "left, which nobody can use",
        Redriven.UNDECIDED: "left, which may have been sent already",
        Redriven.DISCARDED: "thrown away",
    }
    text = "; ".join(f"{count} {said[what]}" for what, count in counts.items()) or "There was nothing to do"
    return done(request, "/dead-letters", f"{text}.", failed=bool(counts[Redriven.LEFT] + counts[Redriven.UNDECIDED]))


def act_on_failures(request: Request) -> Response:
    """Run the failed invocations again, or throw away those that cannot be."""
    desk, act = desk_of(request), request.path_params["act"]
    letters, functions = failures(desk.connection), desk.functions
    if act == "discard":
        count = sum(1 for _ in discard_failures(letters, functions.logical_id, dry_run=False))
        return done(request, "/dead-letters", f"{count} thrown away.")
    if act != "again":
        raise CommandError("There is no such act.")
    counts = Counter(
        bool(name) for _, name in redrive_failures(letters, functions.start, functions.logical_id, dry_run=False)
    )
    left = f"; {counts[False]} left, which nobody can run" if counts[False] else ""
    return done(request, "/dead-letters", f"{counts[True]} started again{left}.", failed=bool(left))
