"""What a changed rule set would have decided about messages of the past.

Only the rules are tried. What SES's verdicts and the operator's lists decided stays as it was, except for released
messages: the operator judged their content, so they count as held again if the rules alone would hold them.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import batched

from email_handler.conversations.disposition import Disposition, Outcome
from email_handler.conversations.held import CONFIRMED, RELEASED
from email_handler.conversations.keys import raw_prefix, receipt_of
from email_handler.conversations.records import MessageRecord
from email_handler.errors import ArchiveObjectMissing
from email_handler.identifiers import ArchiveKey, EmailAddress
from email_handler.mail.parsing import parse
from email_handler.spam.learned import LearnedModel
from email_handler.spam.rules import RuleSet
from email_handler.spam.stages import assess_content, outcome_of
from operations.connection import Connection
from operations.documents import learned_in_force

AT_ONCE = 8  # messages fetched at the same time
DECIDED = (Outcome.DELIVER, Outcome.FLAG, Outcome.HOLD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One message under the new rules."""

    id: str  # receipt, or path
    before: str  # deliver, flag, hold; released or confirmed by the operator
    after: str  # deliver, flag, hold
    score: float  # by the new rules
    rules: tuple[str, ...]
    words: float  # points of the model of words, part of the score
    learned: float  # what the personal model in force added to them or took from them
    sender: str
    subject: str

    @property
    def changed(self) -> bool:
        """Return whether the new rules decide differently."""
        return self.after != {"released": "deliver", "confirmed": "hold"}.get(self.before, self.before)

    @property
    def newly_held(self) -> bool:
        """Return whether a message that was forwarded would be held. The report lists these first."""
        return self.after == Outcome.HOLD and self.before in ("released", "deliver", "flag")


def stored_since(connection: Connection, since: datetime) -> list[ArchiveKey]:
    """Return the archive keys of the messages from outside that were stored at *since* or later."""
    return [key for key, modified in connection.archive.keys(raw_prefix("inbound")) if modified >= since]


def try_archive(connection: Connection, stored: Sequence[ArchiveKey], rules: RuleSet) -> Iterator[Tried]:
    """Yield each message of *stored* that the filter decided about, under *rules* and the personal model in force."""
    public = [EmailAddress(address) for address in connection.parameters["PublicAddresses"].split(",")]
    learned = learned_in_force(connection)
    for record, raw in decided(connection, stored):
        yield try_record(record, raw, rules, public, learned)


def decided(connection: Connection, stored: Sequence[ArchiveKey]) -> Iterator[tuple[MessageRecord, bytes]]:
    """Yield each message of *stored* that the filter decided about.

    Messages without a decision, or with one of another kind (bounces, duplicates, unknown recipients), are left out.
    """

    def fetch(key: ArchiveKey) -> tuple[MessageRecord, bytes] | None:
        record = connection.records.message(receipt_of(key), "inbound")
        if record is None or record.outcome not in DECIDED:
            return None
        try:
            return record, connection.archive.get(key)
        except ArchiveObjectMissing:
            return None

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for batch in batched(stored, AT_ONCE):
            yield from filter(None, pool.map(fetch, batch))


def try_record(
    record: MessageRecord,
    raw: bytes,
    rules: RuleSet,
    public: Sequence[EmailAddress],
    learned: LearnedModel | None = None,
) -> Tried:
    """Return the message of *record* under *rules* and *learned*."""
    content = assess_content(parse(raw), rules, public_addresses=public, verified=record.verified, learned=learned)
    if RELEASED in record.reasons:
        before, after = "released", content.outcome
    else:
        before = "confirmed" if CONFIRMED in record.reasons else record.outcome.value
        after = outcome_of(record.reasons, content.outcome)
    return tried_of(record.receipt, before, after, content, record.sender, record.subject)


def tried_of(identifier: str, before: str, after: Outcome, content: Disposition, sender: str, subject: str) -> Tried:
    """Return a message that was decided as *before* under new rules, which say *after* and *content*."""
    return Tried(
        id=identifier,
        before=before,
        after=after.value,
        score=content.score,
        rules=content.rules,
        words=content.words,
        learned=content.learned,
        sender=sender,
        subject=subject,
    )
