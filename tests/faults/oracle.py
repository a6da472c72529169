"""The judgement of a run by truths that were fixed before it (``truths.py``), from outside (``seen.py``).

Ends and sends are judged here: who got what, how often. ``traces.py`` judges what they leave: ids, events, counters,
index attributes, objects, tags. Nothing that the code under test says of itself is believed without something beside
it: a send that the ledger calls sent must be in the outbox, and what is in the outbox must be a message's own.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from email_handler.adapters.dynamodb.items import Attributes
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import SendState
from tests.faults import traces
from tests.faults.seen import Letter, Seen
from tests.faults.truths import PASSED_ON, Allowed, Arrival, Case, Group, Truth

AT_MOST = {JobKind.ACKNOWLEDGEMENT: 1, JobKind.REPLY: 2, JobKind.FORWARD: 3, JobKind.NOTICE: 3}
"""Copies of one send: another leaves only if SES's response to the one before was lost."""

NOT_SENT = (SendState.FAILED, SendState.UNKNOWN)

type Key = tuple[JobKind, str, str]
"""How a send looks to its recipient: kind, recipient, and the name of the message passed on, if one is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is not as it must be, and what the faults excuse."""

    lost: tuple[str, ...] = ()  # missing, unfinished, or other than it must be
    doubled: tuple[str, ...] = ()  # more than there may be
    marked: int = 0  # second copies that the ledger records as possible duplicates
    unknown: int = 0
    dead_lettered: int = 0

    @property
    def outcome(self) -> str:
        """Return the judgement as one word."""
        for word in ("lost", "doubled", "marked", "unknown", "dead_lettered"):
            if getattr(self, word):
                return word
        return "ok"


def judge(
    arrivals: Mapping[Arrival, Truth],
    seen: Seen,
    *,
    bounced: Iterable[str] = (),
    allowed: Allowed | None = None,
    gave_up: Iterable[str] = (),
) -> Judgement:
    """Compare *seen* with the truth of each arrival. *bounced* are the SES ids whose failure SES reported by events;
    *gave_up* are functions whose asynchronous attempts all failed."""
    case = Case(arrivals=arrivals, bounced=tuple(bounced), seen=seen, allowed=allowed or Allowed())
    case.lost += [f"{function} gave up" for function in gave_up]
    _judge_ends(case)
    marked = _judge_sends(case)
    traces.judge_traces(case)
    states = [item["state"] for item in case.of_type("send")]
    return Judgement(
        lost=tuple(case.lost),
        doubled=tuple(case.doubled),
        marked=marked,
        unknown=states.count(SendState.UNKNOWN),
        dead_lettered=states.count(SendState.FAILED),
    )


def _judge_ends(case: Case) -> None:
    """Of a message's copies one has its end, and the others are recorded; every decision is finished."""
    ends: dict[str, list[Outcome | None]] = defaultdict(list)
    for arrival, truth in case.arrivals.items():
        ends[truth.name].append(case.outcome(arrival))
    for truth in {truth.name: truth for truth in case.arrivals.values()}.values():
        outcomes = ends[truth.name]
        proper = [one for one in outcomes if one in truth.ends]
        if not proper or None in outcomes or not set(outcomes) <= truth.ends | {Outcome.RECORD}:
            case.lost.append(f"{truth.name}: ended as {', '.join(str(one or 'nothing') for one in outcomes)}")
        if sum(one in PASSED_ON for one in outcomes) > 1:
            case.doubled.append(f"{truth.name}: passed on from {len(proper)} of its copies")
    for item in case.seen.items:
        if item["sk"].startswith("DECISION#") and not item["done"]:
            case.lost.append(f"{item['receipt']}: its decision is not finished")


def _judge_sends(case: Case) -> int:
    """Match ledger and outbox with what must be sent; return the number of possible duplicates that left."""
    groups: dict[Key, Group] = {}
    items = case.of_type("send")
    for (kind, to, truth), sources in _wanted(case):
        key = (kind, to, truth.name if truth else "")
        group = groups.setdefault(key, Group(kind=kind, to=to, truth=truth))
        found = [i for i in items if i["kind"] == kind and i["recipients"] == [to] and i["source"] in sources]
        group.items.extend(found)
        items = [item for item in items if item not in found]
        if len(found) > 1:
            case.doubled.append(f"{kind} to {to}: {len(found)} sends for one message")
        elif not found and (kind is not JobKind.ACKNOWLEDGEMENT or not case.allowed.unacknowledged):
            case.lost.append(f"{kind} of {truth.name if truth else 'one of ' + ', '.join(sources)} to {to}: no send")
    case.doubled += [f"{item['kind']} to {item['recipients']}: nothing asks for this send" for item in items]
    names = _Names(case.arrivals.values())
    for letter in case.seen.letters:
        to, name = ", ".join(letter.recipients), names.of(letter)
        if (key := (letter.kind, to, name)) in groups or (key := (letter.kind, to, "")) in groups:
            groups[key].letters.append(letter)
        else:
            case.doubled.append(f"{letter.kind} of {name!r} to {to}: nothing asks for it")
    case.groups += groups.values()
    copies = sum(_judge_group(case, group) for group in case.groups)
    if copies > case.allowed.copies:
        case.doubled.append(f"{copies} second copies, though responses of SES were lost {case.allowed.copies} times")
    for state, excused in ((SendState.UNKNOWN, case.allowed.unknown), (SendState.FAILED, case.allowed.failed)):
        ended = [item["id"] for group in case.groups for item in group.items if item["state"] == state]
        if len(ended) > excused:
            case.lost.append(f"{state}: {', '.join(ended)}, which {excused} faults excuse")
    return copies


def _wanted(case: Case) -> Iterator[tuple[tuple[JobKind, str, Truth | None], set[str]]]:
    """Yield what must be sent, each with the receipts of which one causes it."""
    firsts: dict[str, set[str]] = defaultdict(set)
    for (receipt, _), truth, record in case.passed_on():
        if record["outcome"] == Outcome.RELAY:
            yield (JobKind.REPLY, truth.to, truth), {receipt}
        else:
            for mailbox in (truth.to, *truth.also):
                yield (JobKind.FORWARD, mailbox, truth), {receipt}
        if truth.acknowledged:
            firsts[truth.sender].add(receipt)
    yield from _lines(case)
    yield from _not_sent(case)
    for contact, receipts in firsts.items():
        yield (JobKind.ACKNOWLEDGEMENT, contact, None), receipts
    for arrival, truth in case.arrivals.items():
        if truth.notice and case.outcome(arrival) is Outcome.HOLD:
            yield (JobKind.NOTICE, truth.to, None), {arrival[0]}
    yield from _failures(case)


def _failures(case: Case) -> Iterator[tuple[tuple[JobKind, str, Truth | None], set[str]]]:
    """Yield the notice that each mailbox gets when a reply bounced."""
    failures: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key, record in case.failures():
        failures[record["feedback"]["ledger"], record["conversation"]].add(key[0])
    mailboxes = {item["id"]: item["mailboxes"] for item in case.of_type("conversation")}
    for (send, conversation), receipts in failures.items():
        if send.startswith(JobKind.REPLY):  # the owner hears of a reply's failure once
            for mailbox in mailboxes[conversation]:
                yield (JobKind.NOTICE, mailbox, None), receipts


def _lines(case: Case) -> Iterator[tuple[tuple[JobKind, str, Truth | None], set[str]]]:
    """Yield what owners get of a reply that has left: who wrote first one line, each other mailbox a copy."""
    left = {item["source"] for item in case.of_type("send") if item["kind"] == JobKind.REPLY and item["ses_id"]}
    for (receipt, _), truth, _ in case.passed_on():
        if receipt in left:
            if truth.starts:
                yield (JobKind.NOTICE, truth.sender, None), {receipt}
            for mailbox in truth.also:
                yield (JobKind.NOTICE, mailbox, truth), {receipt}


def _not_sent(case: Case) -> Iterator[tuple[tuple[JobKind, str, Truth | None], set[str]]]:
    """Yield the notice that the owner gets whose reply did not leave, or may not have left."""
    ended = {
        item["source"] for item in case.of_type("send") if item["kind"] == JobKind.REPLY and item["state"] in NOT_SENT
    }
    for (receipt, _), truth, _ in case.passed_on():
        if receipt in ended:
            yield (JobKind.NOTICE, truth.sender, None), {receipt}


class _Names:
    """Finds the message whose own words a letter has."""

    def __init__(self, truths: Iterable[Truth]) -> None:
        self._by_line = {truth.text.splitlines()[0].strip(): truth for truth in truths}

    def of(self, letter: Letter) -> str:
        """Return the message's name; "" unless there is exactly one."""
        named = []
        for place, line in enumerate(letter.lines):
            if truth := self._by_line.get(line):
                own = [one.strip() for one in truth.text.splitlines()]
                named.append(truth.name if list(letter.lines[place : place + len(own)]) == own else "")
        return named[0] if len(named) == 1 else ""


def _judge_group(case: Case, group: Group) -> int:
    """Compare copies with states, and return how many are second ones."""
    what = f"{group.kind} of {group.truth.name} to {group.to}" if group.truth else f"{group.kind} to {group.to}"
    sent = [item for item in group.items if item["state"] in (SendState.SENT, SendState.BOUNCED)]
    others = [item for item in group.items if item not in sent]
    for item in others:
        if item["state"] in (SendState.QUEUED, SendState.SENDING):
            case.lost.append(f"{what}: {item['state']} at the end")
        elif item["state"] == SendState.FAILED and item["id"] not in case.seen.dead_lettered:
            case.lost.append(f"{what}: failed, and not dead-lettered")
    extra = len(group.letters) - len(sent)
    if extra < 0:
        case.lost.append(f"{what}: {-extra} in the ledger, not in the outbox")
    room = sum(_copies(item) for item in group.items) - len(sent)
    if extra > room:
        case.doubled.append(f"{what}: {extra - room} copies too many")
    return max(0, extra - len(others))


def _copies(item: Attributes) -> int:
    """Return how many copies of a send the outbox may hold."""
    if item["lost"]:
        return AT_MOST[JobKind(item["kind"])]
    return 1 if item["state"] in (SendState.SENT, SendState.BOUNCED, SendState.UNKNOWN) else 0
