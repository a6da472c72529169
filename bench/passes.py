"""Measures a pass of the reconciler over many stored messages of the last day, on the emulator.

``make bench B=passes [ARGS="--objects 100000"]``. All messages but one have their decision. For the hourly and the daily
scope, it prints the time of a pass, and how often it called what. The last line is JSON: the seconds of each scope.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any

from cloud.clients import Clients
from cloud.emulator import Emulator
from email_handler.adapters.dynamodb import keys
from email_handler.adapters.dynamodb.items import encode, write
from email_handler.adapters.s3 import S3Archive
from email_handler.conversations.keys import raw_key
from email_handler.identifiers import ReceiptId
from email_handler.usecases.reconcile import DAILY, HOURLY, SETTLED, reconcile
from tests.support.builders import mail
from tests.support.records import commit
from tests.support.table import DynamoTable, create_table
from tests.support.world import World

PROJECT = Path(__file__).parents[1]
BUCKET = TABLE = "passes"
AT_ONCE = 8


def store(clients: Clients, count: int) -> None:
    """Store *count* messages with their decisions, and one that has none."""
    receipts = [ReceiptId(f"{number * 7919 % count:06}") for number in range(count)]
    decision = replace(commit().decision, done=True)

    def put(receipt: ReceiptId) -> None:
        clients.s3.put_object(Bucket=BUCKET, Key=raw_key("inbound", receipt), Body=mail())

    def decide(batch: tuple[ReceiptId, ...]) -> None:
        items = []
        for receipt in batch:
            pk, sk = keys.decision(receipt, "inbound")
            items.append(
                {"PutRequest": {"Item": encode(write(replace(decision, receipt=receipt)) | {"pk": pk, "sk": sk})}}
            )
        clients.dynamodb.batch_write_item(RequestItems={TABLE: items})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(put, [*receipts, ReceiptId("without")]))
        list(pool.map(decide, batched(receipts, 25)))


def main() -> None:
    """Read the command line, measure and print."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--objects", type=int, default=100_000)
    count = arguments.parse_args().objects
    found = {}
    with tempfile.TemporaryDirectory() as folder, Emulator(PROJECT, log=Path(folder) / "ministack.log") as emulator:
        clients = Clients(emulator.endpoint)
        clients.s3.create_bucket(Bucket=BUCKET)
        create_table(clients.dynamodb, TABLE)
        began = time.monotonic()
        store(clients, count)
        print(f"stored {count:,} messages in {time.monotonic() - began:.0f} s", file=sys.stderr)
        calls: Counter[str] = Counter()
        for client in (clients.s3, clients.dynamodb):
            client.meta.events.register("before-call", lambda model, **_: calls.update([model.name]))
        for scope in (HOURLY, DAILY):
            calls.clear()
            found[scope.name], done = timed(clients, scope)
            shown = ", ".join(f"{number} {name}" for name, number in calls.most_common())
            print(
                f"{scope.name}: {found[scope.name]:.1f} s, {done.seen:,} seen, {len(done.taken_up)} taken up; {shown}"
            )
    print(json.dumps({"objects": count, "seconds": found}))


def timed(clients: Clients, scope: Any) -> tuple[float, Any]:
    """Return the seconds of one pass, and what it did."""

    def clock() -> datetime:
        return datetime.now(UTC) + SETTLED + timedelta(minutes=5)

    table = DynamoTable(clients.dynamodb, TABLE, clock)
    archive = S3Archive(clients.s3, BUCKET)
    context = replace(World().context, archive=archive, records=table, ledger=table, clock=clock)
    began = time.monotonic()
    done = reconcile("inbound", context, scope)
    return time.monotonic() - began, done


if __name__ == "__main__":
    main()
