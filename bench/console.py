"""Measures the search index and the console on many conversations, written straight into the table of the emulator.

``make bench B=console [ARGS="--conversations 10000 --texts 0.25"]``. Each conversation has two messages; *texts* is the
share of those whose texts are in the archive. It prints how long the first synchronisation took, what a later one calls
if nothing has changed and if one conversation has, and the median time of the inbox and of each query (with what it
finds); then how long the command takes until its first page is there (the least of three by the clock, and of the
processor with reading what has changed and ending), and the median time of pages. The last line is JSON: the same
figures, of the queries the slowest.
"""

import argparse
import http.client
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import batched
from pathlib import Path
from random import Random
from typing import Any

from cli.terminal import progress
from cloud import STACK
from cloud.clients import Clients
from cloud.emulator import Emulator
from email_handler.adapters.dynamodb import keys
from email_handler.adapters.dynamodb.items import Attributes, encode
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.keys import text_key
from email_handler.conversations.records import Conversation, MessageRecord, Status
from email_handler.identifiers import ConversationId, EmailAddress, ReceiptId
from index.query import parse_query
from index.store import SearchIndex
from operations.connection import Connection, connect
from operations.indexing import catch_up, open_index
from tests.support.records import conversation, link, message
from tests.support.table import create_table

PROJECT = Path(__file__).parents[1]
TABLE = BUCKET = "console"
AT_ONCE = 8
MANY_WORDS = 20_000
RUNS = 7
QUERIES = {
    "a word of every message": "aba",
    "a rare word": "zozozo*",
    "two words": "aba abe",
    "words next to each other": '"aba abe"',
    "a prefix of many words": "ab*",
    "a prefix of one letter": "a*",
    "as it is typed": "ab",
    "a word without another": "aba -abe",
    "only without a word": "-abe",
    "a sender": "from:customer77",
    "a status": "is:waiting",
    "a month and a word": "on:2026-08 aba",
    "files": "has:attachment",
    "Chinese": "東京",
    "a status and a word": "is:waiting abe",
    "held": "is:held",
}
PAGES = {
    "inbox": "/",
    "search": "/search?q=aba",
    "search_of_a_letter": "/search?q=a*",
    "conversation": f"/conversations/c-{1:08}",
    "all": "/conversations",
    "all_far_down": "/conversations?page=100",
    "held": "/held",
}
STARTS = 3
SYLLABLES = [f"{vowel}{consonant}" for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


def vocabulary() -> list[str]:
    """Return many words, of which the first are the most frequent."""
    count = len(SYLLABLES)
    return [
        f"{SYLLABLES[n % count]}{SYLLABLES[n // count % count][::-1]}{n // count**2 or ''}" for n in range(MANY_WORDS)
    ]


class Letters:
    """Makes texts; the same ones each time."""

    def __init__(self) -> None:
        self.random = Random(1)
        self.words = ["aba", "abe", *vocabulary()]

    def text(self, count: int) -> str:
        """Return *count* words, frequent ones more often, and sometimes a few Chinese ones."""
        drawn = (self.words[int(len(self.words) ** self.random.random()) - 1] for _ in range(count))
        return " ".join(drawn) + (" 我在東京都" if self.random.random() < 0.05 else "")


def items(
    number: int, letters: Letters, share: float, now: datetime
) -> Iterator[tuple[Attributes, MessageRecord | None]]:
    """Yield the items of one conversation with two messages, of which a *share* has texts; of every twentieth also one
    that was held."""
    began = now - timedelta(minutes=number * 50)
    contact = EmailAddress(f"person{number}@customer{number % 200}.example")
    status = [Status.WAITING, Status.OPEN, *[Status.ANSWERED] * 5, *[Status.CLOSED] * 12, Status.SPAM][number % 20]
    receipts = [ReceiptId(f"r{number:06}{turn}") for turn in "ab"]
    one: Conversation = conversation(
        id=ConversationId(f"c-{number:08}"), contact=contact, contact_name=f"Person {number}", reply_address=contact,
        subject=letters.text(5), status=status, started_at=began, updated_at=began + timedelta(hours=3), version=3,
        links=tuple(link(receipt, f"{receipt}@customer.example", f"{receipt}@amazonses.com") for receipt in receipts),
    )  # fmt: skip
    pk, sk = keys.conversation(one.id)
    yield keys.conversation_attributes(one, one.updated_at) | {"pk": pk, "sk": sk, "version": one.version}, None
    for turn, receipt in enumerate(receipts):
        record = message(
            receipt, conversation=one.id, at=began + timedelta(hours=turn), sender=contact, sender_name=one.contact_name,
            subject=one.subject, snippet=letters.text(25), text_chars=1000 * (letters.random.random() < share),
        )  # fmt: skip
        pk, sk = keys.pointer(record)
        yield {"pk": pk, "sk": sk, "receipt": receipt, "function": "inbound"}, None
        pk, sk = keys.message(receipt, "inbound")
        yield keys.message_attributes(record) | {"pk": pk, "sk": sk}, record
    if number % 20 == 0:
        held = message(f"held{number}", conversation="", outcome=Outcome.HOLD, at=began, subject=letters.text(5))
        pk, sk = keys.message(held.receipt, "inbound")
        yield keys.message_attributes(held) | {"pk": pk, "sk": sk}, None


def store(clients: Clients, count: int, share: float, letters: Letters) -> None:
    """Write *count* conversations, and the texts of a *share* of their messages."""
    now = datetime.now(UTC)

    def write(batch: tuple[Attributes, ...]) -> None:
        requests = [{"PutRequest": {"Item": encode(item)}} for item in batch]
        clients.dynamodb.batch_write_item(RequestItems={TABLE: requests})

    def put(text: tuple[str, str]) -> None:
        clients.s3.put_object(Bucket=BUCKET, Key=text[0], Body=text[1].encode())

    def texts(record: MessageRecord) -> Iterator[tuple[str, str]]:
        new = letters.text(110)
        for name, text in (("new", new), ("body", f"{new}\n\n> {letters.text(50)}")):
            yield text_key(record.conversation, record.receipt, name), text

    made = [item for number in range(count) for item in items(number, letters, share, now)]
    chosen = [record for _, record in made if record and record.text_chars]
    with ThreadPoolExecutor(AT_ONCE) as pool, progress("texts") as show:
        list(pool.map(write, batched((item for item, _ in made), 25)))
        for done, _ in enumerate(pool.map(put, (text for record in chosen for text in texts(record)))):
            show(done, 2 * len(chosen))


def deploy(emulator: Emulator) -> Clients:
    """Make the table and the bucket, and a stack that names them."""
    clients = Clients(emulator.endpoint)
    create_table(clients.dynamodb, TABLE)
    clients.s3.create_bucket(Bucket=BUCKET)
    outputs = {"RecordsTable": TABLE, "ArchiveBucket": BUCKET}
    parameters = {"ThreadSubdomain": "thread", "Domain": "example.com"}
    template = {
        "Parameters": {name: {"Type": "String", "Default": value} for name, value in parameters.items()},
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    clients.cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(template))
    clients.cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    return clients


def synchronise(emulator: Emulator, calls: Counter[str]) -> tuple[Connection, SearchIndex, float]:
    """Connect and bring the index up to date; return both, and the seconds that the latter took."""
    calls.clear()
    connection = connect(endpoint=emulator.endpoint)
    index = open_index(connection)
    began = time.perf_counter()
    with progress("conversations") as show:
        catch_up(connection, index, progress=show)
    return connection, index, time.perf_counter() - began


def milliseconds(action: Callable[[], object]) -> float:
    """Return the median time of *action*."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return round(statistics.median(times) * 1000, 1)


def measure(emulator: Emulator, folder: Path, count: int, share: float) -> dict[str, Any]:
    """Write the conversations, and return all figures."""
    clients = deploy(emulator)
    store(clients, count, share, Letters())
    calls: Counter[str] = Counter()
    for client in (clients.s3, clients.dynamodb, clients.cloudformation):
        client.meta.events.register("before-call", lambda model, **_: calls.update([model.name]))
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    figures: dict[str, Any] = {"conversations": count, "messages": 2 * count}
    connection, index, seconds = synchronise(emulator, calls)
    figures |= {"first_sync_seconds": round(seconds, 1), "first_sync_calls": calls.total()}
    figures["index_megabytes"] = round(index.path.stat().st_size / 1e6, 1)
    *_, seconds = synchronise(emulator, calls)
    figures |= {"unchanged_sync_calls": calls.total(), "unchanged_sync_ms": round(seconds * 1000, 1)}
    connection.operator.put_status(ConversationId(f"c-{0:08}"), Status.CLOSED)
    *_, seconds = synchronise(emulator, calls)
    figures |= {"one_changed_sync_calls": calls.total(), "one_changed_sync_ms": round(seconds * 1000, 1)}
    figures["inbox_ms"] = milliseconds(lambda: (index.inbox(limit=50), index.count_inbox()))
    slowest = 0.0
    for name, text in QUERIES.items():
        query = parse_query(text, None, unfinished=name == "as it is typed")
        took = milliseconds(lambda query=query: index.search(query))  # type: ignore[misc]
        slowest = max(slowest, took)
        print(f"{took:8.1f} ms  {name}: {text} ({index.search(query).total} found)", file=sys.stderr)
    return figures | {"search_ms": slowest} | console_figures(emulator)


def console_figures(emulator: Emulator) -> dict[str, float]:
    """Return the least seconds of three runs until the console's first page is there, by the clock and of the processor
    alone, and the milliseconds that pages take."""
    clock, processor = [], []
    for _ in range(STARTS):
        before = spent()
        with opened_console(emulator) as (_, seconds):
            clock.append(seconds)
        processor.append(spent() - before)
    figures = {"console_start_seconds": round(min(clock), 2), "console_processor_seconds": round(min(processor), 2)}
    with opened_console(emulator) as (get, _):
        for name, page in PAGES.items():
            figures[f"{name}_page_ms"] = milliseconds(lambda page=page: get(page))  # type: ignore[misc]
    return figures


def spent() -> float:
    """Return the seconds of the processor that ended processes of this one took in their own code."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


@contextmanager
def opened_console(emulator: Emulator) -> Iterator[tuple[Callable[[str], object], float]]:
    """Run the command; yield what gets a page of it, and the seconds until the first one was there."""
    command = ["from cli.main import main; main()", "console", "--no-open", "--json", "--endpoint", emulator.endpoint]
    began = time.perf_counter()
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        [sys.executable, "-c", *command], cwd=PROJECT, stdout=subprocess.PIPE, stderr=quiet, text=True
    ) as process:
        assert process.stdout
        place, _, path = json.loads(process.stdout.readline())["url"].removeprefix("http://").partition("/")
        cookie = root = ""

        def get(path: str, status: HTTPStatus = HTTPStatus.OK) -> http.client.HTTPResponse:
            with closing(http.client.HTTPConnection(place, timeout=60)) as client:
                client.request("GET", root + path, headers={"Cookie": cookie})
                answer = client.getresponse()
                answer.read()
            assert answer.status == status, f"{path}: {answer.status}"
            return answer

        try:
            opened = get(f"/{path}", HTTPStatus.SEE_OTHER)
            cookie, root = opened.getheader("set-cookie", "").partition(";")[0], opened.getheader("location", "")[:-1]
            get("/")
            yield get, time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGINT)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=10_000, metavar="COUNT")
    parser.add_argument("--texts", type=float, default=0.25, metavar="SHARE", help="of the messages: 0 to 1")
    parser.add_argument("--json", action="store_true", help="print the figures as one line of JSON only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Emulator(PROJECT, log=Path(folder) / "ministack.log") as emulator:
        figures = measure(emulator, Path(folder), options.conversations, options.texts)
    if not options.json:
        for name, value in figures.items():
            print(f"{name.replace('_', ' '):24} {value:>10,}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
