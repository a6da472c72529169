"""The command ``files``: what was left out of a forward because of its size follows in messages of its own."""

from collections.abc import Iterator

from email_handler.conversations.commands import Command
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import files_id
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import ParsedMessage, verified_owner
from email_handler.conversations.records import Conversation, LedgerItem, Link, SendState
from email_handler.conversations.threads import replied_to
from email_handler.identifiers import EmailAddress, LedgerId, ReceiptId
from email_handler.mail.message import Message
from email_handler.ports import Commit, Known
from email_handler.usecases.commands import Done, carried_out


def plan_files(
    parsed: ParsedMessage,
    command: Command,
    known: Known,
    owner: EmailAddress,
    conversation: Conversation,
    owners: Owners,
) -> Commit:
    """Return the transaction that queues the files left out of the message that *command* names, else of the one that
    *parsed* replies to, else of the latest of *conversation* that lacks some; those that *owner* got before are not sent
    again. Pure."""
    link = _lacking(parsed.message, command, conversation)
    if link is None or link.left_out is None:
        said = "Nothing was left out of the messages of this conversation."
        if command.about:
            said = "This message is not among the latest of its conversation: its files are only in the archive."
        return carried_out(parsed, command, Done(said), owner, owners, conversation)
    ids = list(_ids(link, owner))
    sends = [
        LedgerItem(
            id=id_,
            kind=JobKind.NOTICE,
            conversation=conversation.id,
            source=ReceiptId(link.receipt),
            source_function=link.left_out.function,
            archive_key=link.left_out.archive_key,
            recipients=(owner,),
            state=SendState.QUEUED,
            queued_at=parsed.at,
            due=parsed.at,
            note=NoticeKind.FILES,
            detail=f"Files {number} of {len(ids)}",
        )
        for number, id_ in enumerate(ids, 1)
        if id_ not in known.sends
    ]
    said = _said(len(ids), len(sends), link.left_out.kept)
    return carried_out(parsed, command, Done(said), owner, owners, conversation, further=sends)


def sends_of_files(
    parsed: ParsedMessage, command: Command, conversation: Conversation, owners: Owners
) -> tuple[LedgerId, ...]:
    """Return the ids of the messages with files that *command*, with which *parsed* came, asks for."""
    owner, link = verified_owner(parsed, owners, conversation), _lacking(parsed.message, command, conversation)
    return tuple(_ids(link, owner)) if owner and link else ()


def _lacking(message: Message, command: Command, conversation: Conversation) -> Link | None:
    lacking = [link for link in conversation.links if link.left_out]
    if command.about:
        return next((link for link in reversed(lacking) if link.receipt.lower().startswith(command.about)), None)
    named = replied_to(message, conversation)
    return named if named in lacking else next(reversed(lacking), None)


def _ids(link: Link, owner: EmailAddress) -> Iterator[LedgerId]:
    messages = link.left_out.messages if link.left_out else 0
    return (files_id(link.receipt, number, owner) for number in range(1, messages + 1))


def _said(messages: int, queued: int, kept: tuple[str, ...]) -> str:
    lines = []
    if queued:
        lines.append(
            "The files follow in a message of their own." if queued == 1 else f"The files follow in {queued} messages."
        )
    elif messages:
        lines.append("The files were sent to you before.")
    lines += [f"Too large for any message, and only in the archive: {name}" for name in kept]
    return "\n".join(lines)
