"""While too many forwards come back, doubtful messages are held; the operator is told when that begins and ends."""

from datetime import timedelta

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import sent_key, ses_id_key
from email_handler.conversations.records import SendState
from email_handler.errors import HealthUnknown
from email_handler.identifiers import LedgerId, ReceiptId
from email_handler.usecases.feedback import record_feedback
from email_handler.usecases.held import release
from email_handler.usecases.passes import inbound_daily
from email_handler.usecases.reputation import LOOK_BACK, look_at_reputation
from tests.support.builders import mail
from tests.support.records import forward
from tests.support.world import World

UNVERIFIED = {"dmarc": "GRAY", "dkim": "GRAY", "spf": "GRAY"}


class Healthy:
    """Has no conditions."""

    def conditions(self) -> tuple[str, ...]:
        return ()

    def dead_letters(self) -> tuple[str, ...]:
        return ()


class Topic:
    """Keeps what was published, or is down."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.down = False

    def publish(self, _: str, text: str) -> None:
        if self.down and "from now on" in text:
            raise HealthUnknown("SNS failed")
        self.texts.append(text)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def topic() -> Topic:
    return Topic()


def send(world: World, kind: JobKind, *, sent: int = 0, bounced: int = 0, complained: int = 0, age: timedelta) -> None:
    """Store *sent* sends of *kind* and *age*, of which some came back."""
    for number in range(sent):
        id_ = LedgerId(f"{kind}-{age}-{number}")
        world.archive.put(sent_key(kind, id_), b"", "message/rfc822")
        world.archive.modified[sent_key(kind, id_)] = world.now - age
        if number < bounced + complained:
            world.records.ledger[id_] = forward(
                id=id_,
                kind=kind,
                state=SendState.BOUNCED,
                queued_at=world.now - age,
                reason="feedback:bounce" if number < bounced else "feedback:complaint",
            )


def daily(world: World, topic: Topic) -> None:
    inbound_daily(world.context, health=Healthy(), alerts=topic, learning=world.learning)


def test_what_is_sent_and_comes_back_is_counted_for_a_week_and_for_each_configuration_set(world: World) -> None:
    send(world, JobKind.FORWARD, sent=100, bounced=3, complained=1, age=LOOK_BACK)
    send(world, JobKind.NOTICE, sent=20, bounced=2, age=timedelta())
    send(world, JobKind.FORWARD, sent=50, bounced=50, age=LOOK_BACK + timedelta(seconds=1))
    send(world, JobKind.ACKNOWLEDGEMENT, sent=40, bounced=4, age=timedelta())
    send(world, JobKind.REPLY, sent=8, bounced=1, complained=1, age=timedelta())
    world.archive.put(ses_id_key(JobKind.FORWARD, LedgerId("x")), b"", "text/plain")

    to_owner, to_contacts = look_at_reputation(world.context).conditions

    assert "forwards come back (5 bounces and 1 complaints for 120 emails" in to_owner
    assert "replies come back (5 bounces and 1 complaints for 48 emails" in to_contacts


def test_complaints_that_ses_reports_are_counted_as_such(world: World) -> None:
    for number in range(2):
        world.arrive(mail(message_id=f"<m{number}@customer.example>", text=f"Question {number}"))
    world.run()
    for item in [item for item in world.records.ledger.values() if item.kind is JobKind.FORWARD]:
        complained = {"complainedRecipients": [{"emailAddress": item.recipients[0]}]}
        event = {"eventType": "Complaint", "mail": {"messageId": item.ses_id}, "complaint": complained}
        record_feedback(event, world.context)

    (sentence,) = look_at_reputation(world.context).conditions

    assert "0 bounces and 2 complaints for 2 emails" in sentence


def test_one_of_ten_changes_nothing(world: World, topic: Topic) -> None:
    send(world, JobKind.FORWARD, sent=10, bounced=1, age=timedelta())
    daily(world, topic)

    assert not world.records.cautious
    assert not [text for text in topic.texts if "come back" in text]


def test_the_operator_is_told_once_when_caution_begins_and_once_when_it_ends(world: World, topic: Topic) -> None:
    send(world, JobKind.FORWARD, sent=100, bounced=10, age=timedelta())
    began, ended = [], []
    for day in (0, 1, 8, 9):
        world.now += timedelta(days=day)
        daily(world, topic)
        text = topic.texts.pop() if topic.texts else ""
        began.append("from now on" in text)
        ended.append("forwarded again" in text)

    assert (began, ended) == ([True, False, False, False], [False, False, True, False])


def test_caution_begins_only_when_the_operator_could_be_told(world: World, topic: Topic) -> None:
    """Otherwise the repeated pass would find nothing new to tell."""
    send(world, JobKind.FORWARD, sent=100, bounced=10, age=timedelta())
    topic.down = True
    with pytest.raises(HealthUnknown):
        daily(world, topic)
    assert not world.records.cautious

    topic.down = False
    daily(world, topic)
    assert world.records.cautious
    assert "from now on" in topic.texts[-1]


def test_what_contacts_servers_refuse_is_told_but_holds_nothing(world: World, topic: Topic) -> None:
    send(world, JobKind.ACKNOWLEDGEMENT, sent=100, bounced=10, age=timedelta())
    for _ in range(2):
        daily(world, topic)

    assert not world.records.cautious
    assert ["acknowledgements and replies come back" in text for text in topic.texts] == [True, True]


@pytest.mark.parametrize(
    ("raw", "verdicts", "normally", "cautiously"),
    [
        (mail(), {}, Outcome.DELIVER, Outcome.DELIVER),
        (mail(), UNVERIFIED, Outcome.DELIVER, Outcome.HOLD),
        (mail(), {"virus": "GRAY"}, Outcome.FLAG, Outcome.HOLD),
        (mail(), {"spam": "FAIL"} | UNVERIFIED, Outcome.HOLD, Outcome.HOLD),
    ],
)
def test_doubtful_messages_are_held_while_forwards_come_back(
    world: World, raw: bytes, verdicts: dict[str, str], normally: Outcome, cautiously: Outcome
) -> None:
    assert world.arrive(raw, receipt="before", **verdicts).outcome is normally

    other = World()
    other.records.set_cautious(True)
    decision = other.arrive(raw, receipt="after", **verdicts)

    assert decision.outcome is cautiously
    assert other.run() == [] or cautiously is Outcome.DELIVER


def test_a_doubtful_message_that_was_held_says_why_and_can_be_released(world: World) -> None:
    world.records.set_cautious(True)
    world.arrive(mail(), receipt="held", **UNVERIFIED)
    record = world.records.message_records[ReceiptId("held"), "inbound"]

    assert "reputation:doubtful" in map(str, record.reasons)
    assert release(ReceiptId("held"), "inbound", world.context).outcome is Outcome.DELIVER
    assert len(world.run()) == 1


def test_a_message_that_a_mistake_of_ours_kept_from_being_read_is_forwarded_nevertheless(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    world.records.set_cautious(True)
    monkeypatch.setattr("email_handler.usecases.contact_message.filter_message", fails)

    assert world.arrive(mail(), **UNVERIFIED).outcome is Outcome.FLAG
    assert len(world.run()) == 1
