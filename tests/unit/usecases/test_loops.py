"""Every mail of ours is answered by every kind of machine, three rounds deep, and what leaves is counted."""

from collections import Counter
from datetime import timedelta

import pytest

from cloud.mailclient import with_fields
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.identifiers import EmailAddress
from email_handler.usecases.digest import send_digest
from tests.support.builders import mail
from tests.support.fakes import Sent
from tests.support.machines import MACHINES, Machine, Received
from tests.support.world import OWNER, PUBLIC, THREAD, World

JANE = "jane@customer.example"
ROUNDS = 3
SEEMS_NEW = {"desk_with_new_tags"}
"""Machines without any sign that write from a mailbox nobody has seen and name nothing of ours: each is a new contact to
all appearance, acknowledged once, whatever tags it goes on to use."""
UNVERIFIED = {"dmarc": "GRAY", "spf": "GRAY", "dkim": "GRAY"}


def one_of_each(world: World) -> list[Sent]:
    """Let everything leave that can: acknowledgement, forward, reply, notice, digest."""
    world.arrive(mail(subject="A question"))
    world.run()
    conversation = next(iter(world.records.conversations.values()))
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    answer = mail(sender=OWNER, to=thread, subject="Re: A question", message_id="<o1@private.example>", text="Yes.")
    world.arrive(answer, to=thread)
    world.arrive(answer.replace(b"o1@", b"o2@").replace(b"Yes.", b"No."), to=thread, **UNVERIFIED)
    world.arrive(mail(sender="kim@x.example", message_id="<h@x.example>", text="Cheap!"), spam="FAIL")
    world.now += timedelta(days=1)
    send_digest(world.context)
    world.run()
    assert sorted(kinds(world)) == ["acknowledgement", "forward", "notice", "notice", "reply"]
    return list(world.mailer.sent)


def kinds(world: World) -> list[str]:
    """Return the kinds of all sends there are, one for each."""
    return [item.kind.value for item in world.records.ledger.values()]


class Answering:
    """Lets one kind of machine answer all that leaves."""

    def __init__(self, world: World, machine: Machine) -> None:
        self.world = world
        self.machine = machine
        self.to_contacts = 0  # machine mails written on the contact's side
        self._number = 0

    def round(self, left: list[Sent]) -> list[Sent]:
        """Answer each of *left* where it came from, and return what leaves then."""
        for sent in left:
            for recipient in sent.recipients:
                self._answers(sent, recipient)
        return self.world.run()

    def _answers(self, sent: Sent, recipient: EmailAddress) -> None:
        self._number += 1
        raw = with_fields(sent.raw, Message_ID=f"<{sent.ses_id}@email.amazonses.com>")
        redirected = self.machine.__name__.startswith("redirect")
        # The owner's mailbox answers as itself; its machines without any sign are another's than the owner's own.
        by = f"desk@{OWNER.rpartition('@')[2]}" if recipient == OWNER and "desk" in self.machine.__name__ else recipient
        if recipient == OWNER and self.machine.__name__ == "challenge":
            by = f"filter@{OWNER.rpartition('@')[2]}"
        written = self.machine(Received(raw=raw, by=by, number=self._number))
        to = PUBLIC if redirected else sent.sender
        self.to_contacts += recipient != OWNER
        self.world.arrive(written.raw, to=to, envelope_sender=written.envelope_sender)


@pytest.mark.parametrize("name", MACHINES)
def test_nothing_loops_whatever_machine_answers_each_of_our_mails(name: str) -> None:
    world = World()
    left = one_of_each(world)
    before = Counter(kinds(world))
    answering = Answering(world, MACHINES[name])
    for _ in range(ROUNDS):
        left = answering.round(left)
    more = Counter(kinds(world))
    more.subtract(before)

    assert {sent.sender for sent in left} <= {world.owners.notices_address}, "the third round's answers end it"
    assert answering.round(left) == []
    assert more[JobKind.ACKNOWLEDGEMENT] == (name in SEEMS_NEW), "no machine is acknowledged"
    assert more[JobKind.REPLY] == 0, "no machine speaks as the owner"
    assert more[JobKind.FORWARD] <= answering.to_contacts, "the owner sees what came back from the contact"
    assert answering.to_contacts == 2 + (name in SEEMS_NEW), "which answered the acknowledgement and the reply"
    assert more[JobKind.NOTICE] <= len(world.records.conversations), "one an hour for each conversation"


@pytest.mark.parametrize("name", ["redirect", "redirect_with_new_ids"])
def test_what_we_sent_and_came_back_is_recorded_and_forwarded_to_nobody(name: str) -> None:
    world = World()
    left = one_of_each(world)
    to_owner = [sent for sent in left if sent.recipients == (OWNER,)]
    answering = Answering(world, MACHINES[name])

    assert answering.round(to_owner) == []
    outcomes = [record.outcome for record in world.records.message_records.values()][-len(to_owner) :]
    assert set(outcomes) == {Outcome.RECORD}


def test_a_forward_that_comes_back_to_the_thread_address_is_recorded_without_a_notice() -> None:
    world = World()
    (forward,) = [sent for sent in one_of_each(world) if sent.recipients == (OWNER,) and "notices" not in sent.sender][
        :1
    ]
    world.now += timedelta(hours=2)  # an hourly notice would be due again
    raw = with_fields(forward.raw, Message_ID=f"<{forward.ses_id}@email.amazonses.com>")
    decision = world.arrive(raw, to=forward.sender, envelope_sender=OWNER)

    assert decision.outcome is Outcome.RECORD
    assert world.run() == []


def test_an_answer_to_an_acknowledgement_is_not_acknowledged_whoever_writes_it() -> None:
    world = World()
    world.arrive(mail(subject="A question"))
    acknowledgement = next(sent for sent in world.run() if sent.recipients == (JANE,))
    world.arrive(
        mail(
            sender="case-17@customer.example",
            subject="We got your mail",
            message_id="<case17@customer.example>",
            references=f"<{acknowledgement.ses_id}@email.amazonses.com>",
            text="Thank you.",
        )
    )

    assert [job.kind for job in world.jobs.queued] == [JobKind.FORWARD]


def test_one_mailbox_is_acknowledged_once_under_all_its_tags() -> None:
    world = World()
    for number, sender in enumerate(("kim+a@customer.example", "kim+b@customer.example", "kim@customer.example")):
        world.arrive(mail(sender=sender, subject=f"n{number}", message_id=f"<k{number}@customer.example>"))

    acknowledged = [i.recipients for i in world.records.ledger.values() if i.kind is JobKind.ACKNOWLEDGEMENT]
    assert acknowledged == [("kim+a@customer.example",)]


def test_a_desk_with_a_new_address_and_subject_each_time_and_no_id_is_ended_by_the_days_cap() -> None:
    """Nothing ties such mail to ours, so each seems a new contact's: what bounds it is the cap, for all of them."""
    world = World()
    world.ack_daily_cap = 5
    world.arrive(mail(subject="A question"))
    left = world.run()
    for number in range(20):
        for sent in [one for one in left if one.recipients != (OWNER,)]:
            sender = f"case-{number}@{sent.recipients[0].rpartition('@')[2]}"
            world.arrive(
                mail(
                    sender=sender,
                    subject=f"Case {number}",
                    message_id=f"<c{number}@customer.example>",
                    text=str(number),
                ),
                envelope_sender=sender,
            )
        left = world.run()

    assert left == []
    assert Counter(kinds(world)) == {"acknowledgement": 5, "forward": 6}
