"""Every kind of machine responds to each of our messages for three rounds, and the messages sent are counted."""

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
"""Machines that look like new contacts: no sign of a machine, an unknown mailbox, and no id of our messages.

Each is acknowledged once, whatever tags it uses later."""
UNVERIFIED = {"dmarc": "GRAY", "spf": "GRAY", "dkim": "GRAY"}


def one_of_each(world: World) -> list[Sent]:
    """Let one message of each kind be sent: acknowledgement, forward, reply, notice, digest, answer to a command."""
    world.arrive(mail(subject="A question"))
    world.run()
    conversation = next(iter(world.records.conversations.values()))
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    reply = mail(sender=OWNER, to=thread, subject="Re: A question", message_id="<o1@private.example>", text="Yes.")
    world.arrive(reply, to=thread)
    world.arrive(reply.replace(b"o1@", b"o2@").replace(b"Yes.", b"No."), to=thread, **UNVERIFIED)
    close = thread.replace("@", "+close@")
    world.arrive(mail(sender=OWNER, to=close, message_id="<o3@private.example>"), to=close)
    world.arrive(mail(sender="kim@x.example", message_id="<h@x.example>", text="Cheap!"), spam="FAIL")
    world.now += timedelta(days=1)
    send_digest(world.context)
    world.run()
    assert sorted(kinds(world)) == ["acknowledgement", "forward", "notice", "notice", "notice", "reply"]
    return list(world.mailer.sent)


def kinds(world: World) -> list[str]:
    """Return the kind of each send in the ledger."""
    return [item.kind.value for item in world.records.ledger.values()]


class Responder:
    """Lets one kind of machine respond to all messages that are sent."""

    def __init__(self, world: World, machine: Machine) -> None:
        self.world = world
        self.machine = machine
        self.to_contacts = 0  # machine messages from the contact's side
        self._number = 0

    def round(self, left: list[Sent]) -> list[Sent]:
        """Respond to each message of *left*, and return the messages that are sent then."""
        for sent in left:
            for recipient in sent.recipients:
                self._respond(sent, recipient)
        return self.world.run()

    def _respond(self, sent: Sent, recipient: EmailAddress) -> None:
        self._number += 1
        raw = with_fields(sent.raw, Message_ID=f"<{sent.ses_id}@email.amazonses.com>")
        redirected = self.machine.__name__.startswith("redirect")
        # At the owner's mailbox, machines without any sign use another address than the owner's.
        by = f"desk@{OWNER.rpartition('@')[2]}" if recipient == OWNER and "desk" in self.machine.__name__ else recipient
        if recipient == OWNER and self.machine.__name__ == "challenge":
            by = f"filter@{OWNER.rpartition('@')[2]}"
        response = self.machine(Received(raw=raw, by=by, number=self._number))
        to = PUBLIC if redirected else sent.sender
        self.to_contacts += recipient != OWNER
        self.world.arrive(response.raw, to=to, envelope_sender=response.envelope_sender)


@pytest.mark.parametrize("name", MACHINES)
def test_no_machine_that_responds_to_our_messages_causes_a_loop(name: str) -> None:
    world = World()
    left = one_of_each(world)
    before = Counter(kinds(world))
    responder = Responder(world, MACHINES[name])
    for _ in range(ROUNDS):
        left = responder.round(left)
    more = Counter(kinds(world))
    more.subtract(before)

    assert {sent.sender for sent in left} <= {world.owners.notices_address}, "the third round's responses end it"
    assert responder.round(left) == []
    assert more[JobKind.ACKNOWLEDGEMENT] == (name in SEEMS_NEW), "no machine is acknowledged"
    assert more[JobKind.REPLY] == 0, "no machine counts as the owner"
    assert more[JobKind.FORWARD] <= responder.to_contacts, "the owner gets the responses from the contact's side"
    assert responder.to_contacts == 2 + (name in SEEMS_NEW), "the acknowledgement and the reply had a response each"
    assert more[JobKind.NOTICE] <= len(world.records.conversations), "one an hour for each conversation"


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_that_takes_hours_to_respond_causes_no_endless_chain_of_notices(name: str) -> None:
    world = World()
    left = one_of_each(world)
    responder = Responder(world, MACHINES[name])
    for _ in range(ROUNDS):
        world.now += timedelta(hours=2)
        left = responder.round(left)
    world.now += timedelta(hours=2)

    assert responder.round(left) == []


@pytest.mark.parametrize("name", ["redirect", "redirect_with_new_ids"])
def test_our_own_message_that_comes_back_is_recorded_and_not_forwarded(name: str) -> None:
    world = World()
    left = one_of_each(world)
    to_owner = [sent for sent in left if sent.recipients == (OWNER,)]
    responder = Responder(world, MACHINES[name])

    assert responder.round(to_owner) == []
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


def test_a_response_to_an_acknowledgement_is_not_acknowledged_whatever_its_sender() -> None:
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


def test_a_mailbox_is_acknowledged_once_for_all_its_tags() -> None:
    world = World()
    for number, sender in enumerate(("kim+a@customer.example", "kim+b@customer.example", "kim@customer.example")):
        world.arrive(mail(sender=sender, subject=f"n{number}", message_id=f"<k{number}@customer.example>"))

    acknowledged = [i.recipients for i in world.records.ledger.values() if i.kind is JobKind.ACKNOWLEDGEMENT]
    assert acknowledged == [("kim+a@customer.example",)]


def test_a_loop_with_a_help_desk_of_new_addresses_and_subjects_ends_at_the_daily_cap() -> None:
    """Nothing connects its messages to ours, so that each looks like a new contact's. Only the cap ends the loop."""
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


@pytest.mark.parametrize("asked", [True, False])
def test_two_installations_that_own_each_other_pass_nothing_on_for_ever(asked: bool) -> None:
    """Each forwards to the other's public address, and to each, the other's messages are a contact's."""
    one, other = World(), World()
    one.arrive(mail(subject="A question"))
    left = one.run()
    if asked:  # a command of the owner's, whose answer goes round in the same way
        conversation = next(iter(one.records.conversations.values()))
        close = f"{conversation.id}.{conversation.token}+close@{THREAD}"
        one.arrive(mail(sender=OWNER, to=close, message_id="<c@private.example>"), to=close)
        left = one.run()
    for turn in range(8):
        here = (other, one)[turn % 2]
        for sent in (sent for sent in left if sent.recipients == (OWNER,)):
            raw = with_fields(sent.raw, Message_ID=f"<{sent.ses_id}.{turn}@email.amazonses.com>")
            here.arrive(raw.replace(THREAD.encode(), b"thread.other.example"), envelope_sender=sent.sender)
        left = here.run()

    assert left == []
    held = [
        record
        for world in (one, other)
        for record in world.records.message_records.values()
        if record.outcome is Outcome.HOLD
    ]
    assert [str(reason) for record in held for reason in record.reasons] == ["machine:loop"]
    assert (kinds(one) + kinds(other)).count("notice") == asked
