"""Forty messages at once, each on a thread of its own, through the use case: on the fake, and on the emulator's table."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import raw_key
from email_handler.conversations.records import Decision
from email_handler.usecases.inbound import receive
from tests.contract.conftest import Table
from tests.support.builders import mail
from tests.support.world import World

AT_ONCE = 40


def arrive(table: Table, raws: list[bytes]) -> list[Decision]:
    """Let *raws* arrive at once. The emulator responds in a tenth of DynamoDB's time, so pauses are that much shorter."""
    world = World()
    world.ack_daily_cap = 5
    pause, chance = (lambda seconds: time.sleep(seconds / 10)), Random(1).random
    context = replace(world.context, records=table, ledger=table, pause=pause, chance=chance)
    receipts = [world.store(raw) for raw in raws]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = [pool.submit(receive, one, raw_key("inbound", one.id), context) for one in receipts]
        return [each.result() for each in waiting]


def test_forty_simultaneous_messages_of_one_contact_join_one_conversation(table: Table) -> None:
    raws = [mail(message_id=f"<m{n}@customer.example>", text=f"Number {n}.\r\n") for n in range(AT_ONCE)]

    decisions = arrive(table, raws)

    (conversation,) = {decision.conversation for decision in decisions}
    stored = table.conversation(conversation)  # type: ignore[arg-type]
    assert stored is not None
    assert stored.received == AT_ONCE
    assert len(list(table.messages(stored.id))) == AT_ONCE


def test_forty_simultaneous_first_messages_get_no_more_acknowledgements_than_the_cap(table: Table) -> None:
    raws = [mail(sender=f"<jane@c{n}.example>", message_id=f"<first{n}@c{n}.example>") for n in range(AT_ONCE)]

    decisions = arrive(table, raws)

    kinds = [job.kind for decision in decisions for job in decision.jobs]
    assert kinds.count(JobKind.ACKNOWLEDGEMENT) == 5
    assert kinds.count(JobKind.FORWARD) == AT_ONCE
