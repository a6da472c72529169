"""One case: a message is read, judged, forwarded and answered, and nothing may be raised or caught.

Each case takes the pure steps, with one reading; one in ten goes the whole way in memory as well, through the records,
the senders and SES's rules, and through ``compose`` and ``inspect``.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from random import Random

from cli.composition import Given, Kind, compose_one
from cli.inspection import inspect_bytes
from email_handler.conversations.keys import raw_key
from email_handler.conversations.parsed import ParsedMessage, parse_received
from email_handler.conversations.records import Conversation, MessageRecord
from email_handler.conversations.thread_address import ThreadTarget
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.outgoing.context import forward_context
from email_handler.outgoing.forward import compose_forward
from email_handler.ports import Known
from email_handler.senders.authentication import SenderVerification
from email_handler.spam.rules import builtin_rules
from email_handler.usecases import contact_message, reply
from email_handler.usecases.new_conversation import Starting
from tests.support.builders import mail
from tests.support.fakes import NOW
from tests.support.records import passed_receipt
from tests.support.ses_rules import problems
from tests.support.world import OWNER, PUBLIC, THREAD, World

VERDICTS: tuple[dict[str, str], ...] = (
    {},
    {},
    {},
    {"dmarc": "GRAY", "dkim": "GRAY", "spf": "GRAY"},
    {"envelope_sender": ""},
    {"spam": "FAIL"},
)
RECEIPT = ReceiptId("fuzz")
_FROM = re.compile(rb"(?im)^from:[^\r\n]*")


def found_in(raw: bytes, random: Random) -> Iterator[str]:
    """Yield what went wrong with *raw*: exceptions that escape, mistakes that the net caught, messages SES refuses."""
    try:
        yield from _pure(raw, random)
        if random.random() < 0.1:
            yield from _whole_way(raw, random)
    except Exception as error:  # noqa: BLE001 - that is what is searched for
        place = error.__traceback__
        while place and place.tb_next:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "?"
        yield f"escaped: {type(error).__name__} at {where}"


@cache
def _world() -> tuple[World, Conversation]:
    world = World()
    world.arrive(mail())
    world.run()
    return world, next(iter(world.records.conversations.values()))


def _pure(raw: bytes, random: Random) -> Iterator[str]:
    world, conversation = _world()
    receipt = replace(
        passed_receipt(id=RECEIPT, recipients=(PUBLIC,)),
        **random.choice(VERDICTS),  # type: ignore[arg-type]
    )
    parsed = parse_received(raw, receipt, "inbound", raw_key("inbound", RECEIPT), NOW)
    if parsed.mistake:
        yield f"read: {parsed.mistake}"
        return
    question = contact_message.message_question(parsed)
    configuration = world.configuration
    commit = contact_message._plan(parsed, question, Known(), configuration, world.context, acknowledge=True)
    about = forward_context(
        parsed.message, commit.message, commit.conversation or conversation, owners=configuration.owners, mailbox=OWNER
    )
    compose_forward(parsed.message, about)
    reply._plan_reply(
        _as_the_owners(parsed, conversation),
        Known(by_id=conversation),
        configuration,
        starting=Starting(daily_cap=1, new_token=world.new_token),
        hold_unchecked=False,
        delay=timedelta(),
    )


def _as_the_owners(parsed: ParsedMessage, conversation: Conversation) -> ParsedMessage:
    return replace(
        parsed,
        function="reply",
        verification=SenderVerification(address=OWNER, reason="dmarc pass"),
        person=None,
        target=ThreadTarget(conversation=conversation.id, token=conversation.token),
        automatic="",
    )


def _whole_way(raw: bytes, random: Random) -> Iterator[str]:
    yield from arrived(World(), raw, to=PUBLIC, **random.choice(VERDICTS))
    world = World()
    world.arrive(mail())
    world.run()
    conversation = next(iter(world.records.conversations.values()))
    if random.random() < 0.8:  # else somebody else's
        raw = _FROM.sub(b"From: " + OWNER.encode(), raw, count=1)
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    yield from arrived(world, raw, to=thread, **random.choice(VERDICTS))
    kind = random.choice(list(Kind))
    _, mistake = compose_one(kind, Given(raw=raw, owners=world.owners, contact=EmailAddress("jane@customer.example")))
    if mistake:
        yield f"compose {kind}: {mistake}"
    if error := inspect_bytes(raw, builtin_rules()).get("error"):
        yield f"inspect: {error}"


def _recorded_in_silence(record: MessageRecord) -> bool:
    """Return whether a machine surely wrote the message of *record*, which nobody hears of."""
    return bool(record.feedback) or any(reason.stage == "machine" for reason in record.reasons)


def arrived(world: World, raw: bytes, *, to: str, **changes: str) -> Iterator[str]:
    """Yield what went wrong with *raw* on its way through the functions and SES's rules."""
    decision = world.arrive(raw, to=to, **changes)
    left = world.run()
    if decision.mistake:
        yield f"{decision.decider}: {decision.mistake}"
    record = world.records.message_records.get((decision.receipt, "reply"))
    if record and record.verified and record.sender == OWNER and not left and not _recorded_in_silence(record):
        yield f"in silence: {record.reasons}"
    for item in world.records.ledger.values():
        if item.reason and "leak gate" not in item.reason:
            yield f"{item.kind} {item.state}: {item.reason}"
    for sent in left:
        yield from (f"SES: {problem}" for problem in problems(sent.raw))


def timed(raw: bytes, random: Random) -> tuple[list[str], float]:
    """Return what went wrong with *raw*, and the seconds it took."""
    began = time.perf_counter()
    return list(found_in(raw, random)), time.perf_counter() - began
