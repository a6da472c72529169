"""Many messages at once that concern the same records: every one is decided, and no limit is passed.

The table answers in the times that DynamoDB needs. As DynamoDB does, it cancels a transaction on an item that another
one is writing.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import raw_key
from email_handler.conversations.records import Decision
from email_handler.errors import RecordChanged
from email_handler.identifiers import ConversationId, EmailAddress
from email_handler.mistakes import steps_end_within
from email_handler.ports import Commit, Known, Question
from email_handler.usecases.context import Context
from email_handler.usecases.decision import TRIES
from email_handler.usecases.inbound import receive
from tests.support.builders import mail
from tests.support.fakes import FakeRecords
from tests.support.simulation import Simulation
from tests.support.world import World

URL = "https://www.linkedin.com/messaging/thread/2-{}==/"


class SlowRecords(FakeRecords):
    """The table in simulated time, *slowness* times slower than usual."""

    def __init__(self, simulation: Simulation, seed: int, slowness: float = 1) -> None:
        super().__init__()
        self.tries = 0
        self._simulation = simulation
        self._random = Random(seed)
        self._slowness = slowness
        self._writing: set[str] = set()

    def takes(self, least: float, most: float) -> None:
        """Let about as many seconds pass."""
        self._simulation.wait(self._slowness * self._random.uniform(least, most))

    def look_up(self, question: Question) -> Known:
        self.tries += 1
        self.takes(0.005, 0.025)
        known = super().look_up(question)
        self.takes(0.005, 0.025)
        return known

    def commit(self, commit: Commit) -> None:
        items = {*commit.counted}
        items |= {commit.conversation.id} if commit.conversation else set()
        items |= {commit.contact.address} if commit.contact else set()
        if items & self._writing:
            self.takes(0.01, 0.04)
            raise RecordChanged("TransactionConflict")
        self._writing |= items
        self.takes(0.02, 0.08)
        self._writing -= items
        super().commit(commit)


class Crowd:
    """A world in which messages arrive at once."""

    def __init__(self, seed: int, *, slowness: float = 1) -> None:
        self.simulation = Simulation()
        self.world = World()
        self.records = SlowRecords(self.simulation, seed, slowness)
        self.world.records = self.records
        self.random = Random(seed)

    def arrive(self, raws: Iterable[bytes], **verdicts: str) -> list[Decision]:
        """Let all of *raws* arrive at once. Return their decisions; raise what was raised for any."""
        for raw in raws:
            receipt = replace(self.world.store(raw), **verdicts)  # type: ignore[arg-type]
            self.simulation.start(self._receiving(receipt))
        results = self.simulation.run()
        gave_up = [result for result in results if isinstance(result, Exception)]
        assert not gave_up, f"{len(gave_up)} of {len(results)} gave up"
        return results

    def _receiving(self, receipt: object) -> Callable[[], Decision]:
        return lambda: receive(receipt, raw_key("inbound", receipt.id), self.context)  # type: ignore[arg-type, attr-defined]

    @property
    def context(self) -> Context:
        """The context of one invocation: planning takes a while, and pauses end in simulated time."""
        context = self.world.context

        def configuration() -> object:
            self.records.takes(0.03, 0.2)
            return context.configuration()

        return replace(
            context,
            configuration=configuration,  # type: ignore[arg-type]
            pause=self.simulation.wait,
            chance=self.random.random,
        )


def follow_ups(number: int) -> list[bytes]:
    return [
        mail(subject="Re: Hello", message_id=f"<f{n}@customer.example>", text=f"Number {n}.\r\n")
        for n in range(1, number + 1)
    ]


@pytest.mark.parametrize(("number", "slowness"), [(40, 1), (40, 4), (100, 1), (100, 4)])
def test_all_simultaneous_messages_of_one_contact_are_decided_by_their_first_invocation(
    number: int, slowness: float
) -> None:
    crowd = Crowd(number, slowness=slowness)

    decisions = crowd.arrive(follow_ups(number))

    (conversation,) = crowd.records.conversations.values()
    assert {decision.conversation for decision in decisions} == {conversation.id}
    assert conversation.received == number
    (contact,) = crowd.records.contacts.values()
    assert contact.messages == number
    assert crowd.simulation.now < 200, "an invocation has 300 seconds"


def first_messages(number: int, *, domains: int) -> list[bytes]:
    return [
        mail(
            sender=f"Jane {n} <jane{n}@customer{n % domains}.example>",
            message_id=f"<first{n}@customer.example>",
            text=f"Hello, this is Jane {n}.\r\n",
        )
        for n in range(number)
    ]


@pytest.mark.parametrize(("domains", "acknowledged"), [(40, 5), (1, 3), (2, 5)], ids=["all", "one domain", "two"])
def test_simultaneous_first_messages_get_no_more_acknowledgements_than_the_caps(
    domains: int, acknowledged: int
) -> None:
    crowd = Crowd(domains)
    crowd.world.ack_daily_cap, crowd.world.ack_daily_cap_per_domain = 5, 3

    crowd.arrive(first_messages(40, domains=domains))

    kinds = [item.kind for item in crowd.records.ledger.values()]
    assert kinds.count(JobKind.ACKNOWLEDGEMENT) == acknowledged
    assert kinds.count(JobKind.FORWARD) == 40
    assert crowd.records.counters["2026-03-02"] == acknowledged


def from_linkedin(number: int, thread: str, *, text: str = "") -> bytes:
    return mail(
        sender="Jane Doe via LinkedIn <messaging-digest-noreply@linkedin.com>",
        subject="Jane Doe just messaged you",
        text=f"{text or f'Hello {number}'}\r\n{URL.format(thread)}\r\n",
        message_id=f"<{number}@linkedin.com>",
        reply_to=f"Jane Doe <{thread}@reply.linkedin.com>",
    )


def test_simultaneous_first_messages_of_two_linkedin_namesakes_start_two_conversations() -> None:
    crowd = Crowd(1)

    decisions = crowd.arrive([from_linkedin(1, "abc"), from_linkedin(2, "xyz")])

    assert {decision.conversation for decision in decisions} == {"linkedin-jane-doe", "linkedin-jane-doe-2"}
    assert {c.linkedin_thread: c.reply_address for c in crowd.records.conversations.values()} == {
        URL.format("abc"): EmailAddress("abc@reply.linkedin.com"),
        URL.format("xyz"): EmailAddress("xyz@reply.linkedin.com"),
    }


def test_simultaneous_first_messages_of_one_linkedin_person_start_one_conversation() -> None:
    crowd = Crowd(1)

    decisions = crowd.arrive([from_linkedin(number, "abc") for number in range(5)])

    assert {decision.conversation for decision in decisions} == {"linkedin-jane-doe"}
    assert crowd.records.conversations[ConversationId("linkedin-jane-doe")].received == 5


# How often, and until when


def refused(world: World, times: int) -> None:
    for _ in range(times):
        world.records.fail("commit", RecordChanged("lost"))


def pauses(world: World, **changes: object) -> list[float]:
    """Let a message arrive in *world*. Return the pauses between its tries."""
    made: list[float] = []
    receipt = world.store(mail(), receipt="r1")
    context = replace(world.context, **{"pause": made.append, **changes})  # type: ignore[arg-type]
    assert receive(receipt, raw_key("inbound", receipt.id), context).outcome is Outcome.DELIVER
    return made


def test_the_pause_doubles_after_each_try_up_to_ten_seconds() -> None:
    world = World()
    refused(world, TRIES - 1)

    made = pauses(world, chance=lambda: 1.0)

    assert made == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4] + [10.0] * (TRIES - 7)


def test_each_pause_is_a_random_part_of_what_it_may_be() -> None:
    world, chances = World(), iter([0.5, 0.25, 0.0])
    refused(world, 3)

    assert pauses(world, chance=lambda: next(chances)) == [0.1, 0.1, 0.0]


def test_without_a_conflict_there_is_no_pause() -> None:
    assert pauses(World()) == []


@pytest.mark.parametrize(("chance", "unused"), [(0.0, 10), (1.0, 22.4)], ids=["no pauses", "the longest pauses"])
def test_the_invocation_ends_before_lambda_ends_it(
    monkeypatch: pytest.MonkeyPatch, chance: float, unused: float
) -> None:
    """Another try gets what the last one took, three times: a step of it may take a third of what is left."""
    world = World()
    refused(world, TRIES)
    ends, look_up = world.now + timedelta(seconds=100), world.records.look_up

    def wait(seconds: float) -> None:
        world.now += timedelta(seconds=seconds)

    def slow(question: Question) -> Known:
        wait(5)
        return look_up(question)

    def left() -> float:
        return (ends - world.now).total_seconds()

    monkeypatch.setattr(world.records, "look_up", slow)
    with steps_end_within(left), pytest.raises(RecordChanged):
        pauses(world, pause=wait, chance=lambda: chance)

    assert left() == pytest.approx(unused)
