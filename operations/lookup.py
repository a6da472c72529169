"""What a word on the command line names: any id of ours or SES's, its unambiguous beginning, or a contact's address."""

from collections.abc import Iterable, Sequence
from itertools import islice

from email_handler.conversations.keys import raw_prefix, receipt_of
from email_handler.conversations.records import Conversation, LedgerItem, MessageRecord, SendState, Status
from email_handler.identifiers import ConversationId, LedgerId, ReceiptId, SesId
from operations.connection import Connection
from operations.errors import CommandError
from operations.functions import RECEIVERS

SHORTEST = 4  # characters of a beginning: fewer would read too much of the archive
MANY = 10_000  # conversations of each status, and sends of each state, among which a beginning is looked for
SHOWN = 5  # ids that an ambiguous beginning names


def find_conversations(connection: Connection, wanted: str) -> list[Conversation]:
    """Return the conversation that *wanted* names or that its message belongs to; all of a contact's for an address.

    Raises CommandError if there is none, or if a beginning fits several.
    """
    records, word = connection.records, _bare(wanted)
    if _is_contact(connection, wanted):
        return list(_conversations(connection.records.find("contact", wanted.strip("<>"), limit=MANY)))
    if exact := records.conversation(ConversationId(word.lower())):
        return [exact]
    if begun := _conversation_begun(connection, wanted):
        return [begun]
    messages = find_messages(connection, wanted)
    named = dict.fromkeys(message.conversation for message in messages if message.conversation)
    conversations = [found for found in map(records.conversation, map(ConversationId, named)) if found]
    if not conversations:
        raise CommandError(f"{wanted} belongs to no conversation: email-handler why {wanted}")
    return conversations


def find_messages(connection: Connection, wanted: str) -> list[MessageRecord]:
    """Return the messages that *wanted* names: of a receipt, of a send or of SES's id of one, of a conversation, or of all
    conversations with an address. Raises CommandError if there is none, or if a beginning fits several."""
    records, word = connection.records, _bare(wanted)
    if found := _received(connection, ReceiptId(word)):
        return found
    if send := connection.ledger.by_ses_id(SesId(word)) or connection.ledger.by_id(LedgerId(word)):
        return _source(connection, send)
    if _is_contact(connection, wanted):
        conversations = find_conversations(connection, wanted)
        return [message for one in conversations for message in records.messages(one.id)]
    if found := list(records.messages(ConversationId(word.lower()))):
        return found
    if len(word) >= SHORTEST:
        return _begun(connection, wanted, word)
    raise _nothing(connection, wanted)


def _begun(connection: Connection, wanted: str, word: str) -> list[MessageRecord]:
    keys = (key for function in RECEIVERS for key, _ in connection.archive.keys(f"{raw_prefix(function)}{word}"))
    receipts = list(dict.fromkeys(receipt_of(key) for key in islice(keys, SHOWN + 1)))
    if receipts:
        return _received(connection, _only(receipts, wanted, receipts))
    unsent = (found for state in SendState for found in connection.records.find("send_state", state, limit=MANY))
    sends = [found for found in unsent if isinstance(found, LedgerItem) and found.id.startswith(word)]
    if sends:
        return _source(connection, _only(sends, wanted, [send.id for send in sends]))
    conversation = _conversation_begun(connection, wanted)
    if conversation is None:
        raise _nothing(connection, wanted)
    return list(connection.records.messages(conversation.id))


def _conversation_begun(connection: Connection, wanted: str) -> Conversation | None:
    word = _bare(wanted).lower()
    if len(word) < SHORTEST:
        return None
    every = (found for status in Status for found in connection.records.find("status", status, limit=MANY))
    begun = [found for found in _conversations(every) if found.id.startswith(word)]
    return _only(begun, wanted, [found.id for found in begun]) if begun else None


def _bare(wanted: str) -> str:
    return wanted.strip("<>").partition("@")[0]


def _is_contact(connection: Connection, wanted: str) -> bool:
    return "@" in wanted and next(connection.records.find("contact", wanted.strip("<>"), limit=1), None) is not None


def _conversations(found: Iterable[object]) -> Iterable[Conversation]:
    return (one for one in found if isinstance(one, Conversation))


def _received(connection: Connection, receipt: ReceiptId) -> list[MessageRecord]:
    found = (connection.records.message(receipt, function) for function in RECEIVERS)
    return [message for message in found if message is not None]


def _source(connection: Connection, send: LedgerItem) -> list[MessageRecord]:
    message = connection.records.message(send.source, send.source_function)
    return [message] if message else []


def _only[T](found: Sequence[T], wanted: str, ids: Sequence[str]) -> T:
    if len(found) > 1:
        more = " …" if len(ids) > SHOWN else ""
        raise CommandError(f"{wanted} begins several ids: {', '.join(sorted(ids)[:SHOWN])}{more}")
    return found[0]


def _nothing(connection: Connection, wanted: str) -> CommandError:
    return CommandError(f"nothing called {wanted} is in {connection.where}: email-handler search finds ids")
