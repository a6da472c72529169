"""What the pages work on: one deployment, its index, and what an operator can do there."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from console.reading import Reading
from console.session import Session
from email_handler.conversations.held import is_open
from email_handler.conversations.records import Conversation, LedgerItem, MessageRecord, SendState
from email_handler.identifiers import ConversationId, LedgerId, ReceiptId
from email_handler.ports import Clock
from operations.connection import Connection, resources
from operations.conversations import sends_of
from operations.errors import CommandError
from operations.functions import RECEIVERS, Functions

if TYPE_CHECKING:
    from console.backtest import Backtest

AT_ONCE = 8  # calls at the same time; botocore keeps ten connections of a client open
MANY = 500  # held messages, or sends of a state, that a page shows at most


class Desk:
    """One deployment as the pages see it. Pages run on several threads."""

    def __init__(
        self, connection: Connection, reading: Reading, session: Session, outbox: Path | None, clock: Clock
    ) -> None:
        """Work on *connection*; *outbox* is the folder of what the local cloud has sent, if this is one."""
        self.connection = connection
        self.reading = reading
        self.session = session
        self.outbox = outbox
        self.now = clock
        self.backtest: Backtest | None = None  # the last one
        self.held_count = 0  # as it was counted last

    @property
    def public_address(self) -> str:
        """Return the first public address of the deployment."""
        return self.connection.parameters.get("PublicAddresses", "").partition(",")[0] or self.connection.stack

    @cached_property
    def functions(self) -> Functions:
        """Return the deployment's functions. Raises CommandError."""
        return Functions(self.connection)

    @cached_property
    def resources(self) -> Mapping[str, str]:
        """Return the physical ids of the deployment's resources by logical id. Raises CommandError."""
        return resources(self.connection)

    def conversation(self, identifier: str) -> Conversation:
        """Return a conversation. Raises CommandError if there is none of that id."""
        found = self.connection.records.conversation(ConversationId(identifier))
        if found is None:
            raise CommandError("There is no such conversation. It may have been erased.")
        return found

    def note_changed(self, identifier: ConversationId) -> None:
        """Put a conversation that an act has changed into the index at once."""
        if changed := self.connection.records.conversation(identifier):
            self.reading.index.put_conversations([changed])

    def message(self, function: str, receipt: str) -> MessageRecord:
        """Return a message. Raises CommandError if there is none."""
        for receiver in RECEIVERS:
            if receiver == function and (found := self.connection.records.message(ReceiptId(receipt), receiver)):
                return found
        raise CommandError("There is no such message. Held ones are deleted after 90 days.")

    def sends_of_all(self, messages: list[MessageRecord]) -> list[list[LedgerItem]]:
        """Return the sends of each message."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(partial(sends_of, self.connection), messages))

    def sends_by_id(self, ids: Iterable[str]) -> list[LedgerItem | None]:
        """Return each of the sends *ids*, None for one that there is not."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda id_: self.connection.ledger.by_id(LedgerId(id_)) if id_ else None, ids))

    def held(self) -> list[MessageRecord]:
        """Return the held messages that wait for a decision, newest first."""
        found = self.connection.records.find("verdict", "held", limit=MANY)
        held = [one for one in found if isinstance(one, MessageRecord) and is_open(one)]
        self.held_count = len(held)
        return held

    def sends(self, state: SendState) -> Iterator[LedgerItem]:
        """Yield the sends in *state*, newest first."""
        found = self.connection.records.find("send_state", state, limit=MANY)
        return (one for one in found if isinstance(one, LedgerItem))
