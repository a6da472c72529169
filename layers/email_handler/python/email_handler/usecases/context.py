"""What the receiving use cases work with."""

from collections.abc import Callable
from datetime import timedelta

from email_handler.conversations.evolve import NewToken
from email_handler.conversations.owners import Owners
from email_handler.ports import Archive, Clock, Events, Jobs, Records, SendLedger
from email_handler.usecases.configuration import Configuration
from email_handler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Ports and values for one invocation."""

    archive: Archive
    records: Records
    ledger: SendLedger
    jobs: Jobs
    events: Events
    owners: Owners  # as deployed, without the routes' mailboxes
    configuration: Callable[[], Configuration]  # waits for rules and routes, which are read in the background
    hold_unchecked: bool  # hold a reply with parts that the leak gate did not read in full
    ack_daily_cap: int
    ack_daily_cap_per_domain: int
    reply_delay: timedelta  # for which a reply waits, and can be cancelled
    new_conversations_daily_cap: int
    clock: Clock
    pause: Callable[[float], None]  # seconds, between two tries to write what others write as well
    chance: Callable[[], float]  # 0 to 1, for the length of a pause
    new_token: NewToken
