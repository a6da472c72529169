"""What must be true after a run, fixed before it: how each message ends, however often it arrives and whatever fails."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from email_handler.adapters.dynamodb.items import Attributes
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.identifiers import FunctionName, ReceiptId
from tests.faults.seen import Letter, Seen

PASSED_ON = {Outcome.DELIVER, Outcome.FLAG, Outcome.RELAY}

type Arrival = tuple[ReceiptId, FunctionName]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """How one message must end."""

    name: str
    function: FunctionName
    sender: str
    to: str  # who gets it: a mailbox of the owner's or, of a reply, the contact
    message_id: str  # without angle brackets, like all ids
    text: str  # its own words: whole lines that no other message has
    ends: frozenset[Outcome]  # how one of its copies ends; further copies are recorded
    files: tuple[tuple[str, str], ...] | None = ()  # name and digest of each attachment; None if they don't matter
    subject: str = ""  # without prefixes; "" if it doesn't matter
    also: tuple[str, ...] = ()  # the owner's other mailboxes: they get it too, of a reply a copy once it has left
    thread: str = ""  # messages of one thread share a conversation, of two threads don't; "" if it may be any
    answers: str = ""  # the Message-ID in the In-Reply-To of a reply
    after: str = ""  # the message whose forward comes before its own in the owner's thread
    acknowledged: bool = False  # its sender gets one acknowledgement, for this message or another
    notice: bool = False  # the owner gets a notice when it is held
    starts: bool = False  # the owner begins with it, and gets one line once it has left
    released: bool = False  # it was held first
    bounces: str = ""  # it reports that our message with this SES id failed for good


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What the faults of a run excuse; without faults, nothing."""

    copies: int = 0  # second copies, each recorded as a possible duplicate
    unknown: int = 0  # sends that may or may not have left
    failed: int = 0  # dead-lettered sends
    unacknowledged: int = 0  # messages that the reconciler took up


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Sends that look alike to their recipient, and what left for them."""

    kind: JobKind
    to: str
    truth: Truth | None  # of the message passed on; None for acknowledgements and notices
    items: list[Attributes] = field(default_factory=list)  # the ledger's
    letters: list[Letter] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Case:
    """The truths, what was seen, and the findings so far."""

    arrivals: Mapping[Arrival, Truth]
    bounced: tuple[str, ...]  # SES ids that SES's own events reported as failed for good
    seen: Seen
    allowed: Allowed
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    records: dict[tuple[str, str], Attributes] = field(init=False)  # of messages, by arrival

    def __post_init__(self) -> None:
        self.records = {(i["receipt"], i["function"]): i for i in self.of_type("message")}

    def of_type(self, kind: str) -> list[Attributes]:
        """Return the table's items of one type."""
        return [item for item in self.seen.items if item.get("type") == kind]

    def check(self, what: str, seen: object, expected: object) -> None:
        """Report *what* unless *seen* is as *expected*."""
        if seen != expected:
            self.lost.append(f"{what}: {seen!r} instead of {expected!r}")

    def compare(self, what: str, seen: Iterable[object], expected: Iterable[object]) -> None:
        """Report what of *expected* is not *seen*, and what is seen though nothing asks for it."""
        seen, expected = set(seen), set(expected)
        self.lost += [f"{what}: {one} is missing" for one in sorted(map(str, expected - seen))]
        self.doubled += [f"{what}: nothing asks for {one}" for one in sorted(map(str, seen - expected))]

    def outcome(self, arrival: tuple[str, str]) -> Outcome | None:
        """Return how *arrival* ended, by its record."""
        record = self.records.get(arrival)
        return Outcome(record["outcome"]) if record else None

    def passed_on(self) -> list[tuple[Arrival, Truth, Attributes]]:
        """Return the arrivals that were delivered or relayed, each with its truth and record."""
        return [
            (arrival, truth, self.records[arrival])
            for arrival, truth in self.arrivals.items()
            if self.outcome(arrival) in PASSED_ON
        ]

    def failures(self) -> list[tuple[tuple[str, str], Attributes]]:
        """Return the records of feedback that was tied to a send, by their key."""
        return [(key, record) for key, record in self.records.items() if record["feedback"]]
