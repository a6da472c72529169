"""Bring the index up to date with the stack, by what has changed only.

First the conversations, and the messages without one: the newest of each status and verdict, until they are older than
the last time and nothing among them is new. Then the messages and texts of what changed, several at once. A conversation
stays marked as unread until its own are stored, and the time of this run is remembered when all changes are: whatever
ends it, the next run goes on.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched, chain, islice

from email_handler.adapters.dynamodb.changes import BATCH, DynamoChanges, Stored, Written
from email_handler.adapters.dynamodb.items import timestamp
from email_handler.adapters.dynamodb.keys import digest
from email_handler.conversations.records import Status
from email_handler.ports import Archive, Clock
from index.entries import Entry, is_described, texts_state
from index.reading import stored_texts, texts_as_it_came
from index.store import SearchIndex

MARKS_OVERLAP = timedelta(days=1)
"""How long before the last time marks of what was erased are read again: another operator's clock dates them."""

MARKS_LAST = timedelta(days=365)
"""An index older than this may have missed a mark, and is read anew."""

LOOK_AGAIN = timedelta(days=1)
"""How often all held and dropped messages are compared, which the table keeps for 90 days: one may be recorded, or decided
about, long after it came, and their index tells only when they came."""

VERDICTS = ("held", "dropped")
READERS = 8
"""Calls at once. botocore keeps ten connections of a client open."""

_FIRST_PAGE, _PAGE = 1000, 100  # records that a query returns; a page that holds nothing new ends it
_CONVERSATIONS = 50  # whose messages are stored in one transaction
_HELD = 50  # held or dropped messages whose texts are stored in one transaction
_DUE = BATCH - 1  # undescribed messages that are asked for at a time

type Progress = Callable[[int, int | None], None]
"""Is told how many conversations of how many (None: not known yet) have been read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What bringing the index up to date did."""

    read: int  # conversations whose messages were read
    unread: int  # conversations whose messages are still to be read


def nothing(done: int, total: int | None) -> None:
    """Show no progress."""


def sync(
    index: SearchIndex, changes: DynamoChanges, archive: Archive | None, clock: Clock, progress: Progress = nothing
) -> Synced:
    """Bring *index* up to date: nine calls of AWS if nothing has changed. Without an *archive* messages and their texts
    are left unread: conversations and their statuses are right then.

    *progress* is called from this thread. Raises RecordsUnavailable, ArchiveUnavailable, IndexDamaged, IndexUnavailable;
    what was read stays.
    """
    now = clock()
    last = _moment(index.fact("synced"))
    if last and now - last > MARKS_LAST:
        index.clear()
        last = None
    looked = _moment(index.fact("looked"))
    look_again = not looked or now - looked > LOOK_AGAIN
    due = index.due(now, _DUE) if archive else []
    erasures, described = changes.glance(due)
    _forget_erased(index, changes, erasures, now)
    index.forget_expired(now)
    read = 0
    with ThreadPoolExecutor(READERS) as readers:
        _list_conversations(readers, index, changes, last, progress)
        _list_held(readers, index, changes, None if look_again else last)
        index.remember(synced=timestamp(now), **({"looked": timestamp(now)} if look_again else {}))
        if archive:
            index.put_described(due, _entries(readers, index, described, archive), now)
            read = _read_messages(readers, index, changes, archive, clock, progress)
            _read_held(readers, index, archive)
    return Synced(read=read, unread=index.count_unread())


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _forget_erased(index: SearchIndex, changes: DynamoChanges, erasures: int, now: datetime) -> None:
    """Forget what was erased by whatever machine since the last time."""
    known, since = index.fact("erasures"), _moment(index.fact("erasures_seen"))
    if since and int(known) != erasures:
        marks = dict(changes.erased(since - MARKS_OVERLAP))
        conversations, receipts = index.ids()
        gone = [id_ for id_, started in conversations.items() if marks.get(digest(id_), started) > started]
        index.forget(conversations=gone, receipts=[receipt for receipt in receipts if digest(receipt) in marks])
    index.remember(erasures=str(erasures), erasures_seen=timestamp(now))


def _list_conversations(
    readers: ThreadPoolExecutor, index: SearchIndex, changes: DynamoChanges, last: datetime | None, progress: Progress
) -> None:
    """Store which conversations were written since *last* (None: ever)."""
    listed, page = 0, _PAGE if last else _FIRST_PAGE
    for written in readers.map(_begun, [changes.conversations_of(status, page) for status in Status]):
        for new in _unknown(written, page, last, lambda those: index.versions(one.id for one in those)):
            for some in batched(new, BATCH):
                index.put_conversations(changes.conversations(some))
                listed += len(some)
                progress(listed, None)


def _list_held(readers: ThreadPoolExecutor, index: SearchIndex, changes: DynamoChanges, last: datetime | None) -> None:
    """Store which messages were held or dropped since *last* (None: all that the table has)."""
    page = _PAGE if last else _FIRST_PAGE
    for written in readers.map(_begun, [changes.messages_of(verdict, page) for verdict in VERDICTS]):
        for new in _unknown(written, page, last, lambda those: index.stamps(one.id for one in those)):
            for some in batched(new, BATCH):
                index.put_held(changes.messages(some))


def _begun[T](written: Iterator[T]) -> Iterator[T]:
    """Return *written*, of which the first page has been read."""
    return chain(list(islice(written, 1)), written)


def _unknown[T](
    written: Iterable[Written[T]],
    page: int,
    last: datetime | None,
    known: Callable[[tuple[Written[T], ...]], dict[T, str]],
) -> Iterator[list[T]]:
    """Yield the ids of what is not *known* as it was *written*, page after page, until all of a page is known and was
    written before *last*.

    So what a writer with a slow clock wrote, or an index showed late, is found as long as it is among the last written.
    """
    for those in batched(written, page):
        stamps = known(those)
        new = [one.id for one in those if stamps.get(one.id) != one.stamp]
        if new:
            yield new
        elif last and those[-1].at < last:
            return


def _read_messages(
    readers: ThreadPoolExecutor,
    index: SearchIndex,
    changes: DynamoChanges,
    archive: Archive,
    clock: Clock,
    progress: Progress,
) -> int:
    """Read the messages of all unread conversations, those that changed last first, and return how many these were."""
    read, total = 0, index.count_unread()
    while conversations := index.unread(_CONVERSATIONS):
        ids = readers.map(changes.message_ids, [one.id for one in conversations])
        messages = [one for some in batched(chain(*ids), BATCH) for one in changes.messages(some)]
        own: dict[str, list[Entry]] = {one.id: [] for one in conversations}
        for entry in _entries(readers, index, messages, archive):
            if entry.message.conversation in own:  # a released message may have left the one that held it
                own[entry.message.conversation].append(entry)
        index.put_messages([(one, own[one.id]) for one in conversations], clock())
        read += len(conversations)
        progress(read, max(read, total))
    return read


def _entries(
    readers: ThreadPoolExecutor, index: SearchIndex, messages: Sequence[Stored], archive: Archive
) -> Iterator[Entry]:
    """Yield *messages* for the index, with their texts where it does not have them."""
    known = index.texts_of((one.message.receipt, one.message.function) for one in messages)

    def entry(one: Stored) -> Entry:
        message = one.message
        new = is_described(message) and known.get((message.receipt, message.function)) != texts_state(message)
        return Entry(message=message, texts=stored_texts(message, archive) if new else None, expires=one.expires)

    return readers.map(entry, messages)


def _read_held(readers: ThreadPoolExecutor, index: SearchIndex, archive: Archive) -> None:
    """Read the texts of held and dropped messages as they came, the newest first."""

    def entry(one: Stored) -> Entry:
        return Entry(message=one.message, texts=texts_as_it_came(one.message, archive), expires=one.expires)

    while messages := index.without_texts(_HELD):
        index.put_texts(list(readers.map(entry, messages)))
