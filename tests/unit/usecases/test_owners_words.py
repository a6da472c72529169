"""A verified owner's message to a thread address leaves or comes back with a notice, unless it says that a machine wrote
it."""

from itertools import chain, combinations

import pytest

from cloud.mailclient import with_fields
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import Conversation, SendState
from email_handler.mail.parsing import parse
from email_handler.senders.machines import signs, surely_automatic
from email_handler.usecases import reply
from tests.support.builders import mail
from tests.support.machines import MACHINES, SIGNS, Received, Response, marked
from tests.support.world import OWNER, PUBLIC, THREAD, World

EVERY_MIX = tuple(chain.from_iterable(combinations(SIGNS, size) for size in range(len(SIGNS) + 1)))
RELAYED, TOLD, SILENT = "relayed", "told", ""
WEAK = {"auto-submitted", "precedence", "autoreply subject", "autoresponder address"}
"""Signs that a person's message may have; two of them prove a machine."""


def world_with_conversation(subject: str = "A question") -> tuple[World, Conversation, str]:
    """Return a world after a contact's first message, its conversation and its thread address."""
    world = World()
    world.arrive(mail(subject=subject))
    world.run()
    conversation = next(iter(world.records.conversations.values()))
    return world, conversation, thread(conversation)


def thread(conversation: Conversation) -> str:
    return f"{conversation.id}.{conversation.token}@{THREAD}"


def owners(to: str, *, number: int = 1) -> bytes:
    return mail(sender=OWNER, to=to, subject="Re: A question", text="Yes.", message_id=f"<o{number}@private.example>")


def end_of(world: World, raw: bytes, to: str, envelope_sender: str = OWNER) -> str:
    """Let the owner's *raw* arrive and return what became of it; "" if it ended in silence."""
    world.arrive(raw, to=to, envelope_sender=envelope_sender)
    left = world.run()
    if any(OWNER not in sent.recipients for sent in left):
        return RELAYED
    return (
        TOLD if [(sent.sender, sent.recipients) for sent in left] == [(world.owners.notices_address, (OWNER,))] else ""
    )


def test_the_signs_are_all_there_are() -> None:
    everything = marked(owners("x@thread.example.com"), SIGNS, OWNER)

    assert signs(parse(everything.raw), everything.envelope_sender) == tuple(SIGNS)


@pytest.mark.parametrize("size", range(len(SIGNS) + 1))
def test_with_every_mix_of_the_signs_of_a_machine_it_leaves_or_comes_back_or_is_surely_a_machines(
    size: int, subtests: pytest.Subtests
) -> None:
    for mix in (mix for mix in EVERY_MIX if len(mix) == size):
        with subtests.test(", ".join(mix)):
            world, _, to = world_with_conversation()
            written = marked(owners(to), mix, OWNER)

            expected = RELAYED if not mix else TOLD if len(mix) == 1 and WEAK.issuperset(mix) else SILENT
            assert end_of(world, written.raw, to, written.envelope_sender) == expected


def response_of(name: str, world: World, to: str) -> Response:
    """Return the response of the machine *name* at the owner's mailbox to the latest forward, as the owner's own."""
    (forward,) = [sent for sent in world.mailer.sent if sent.recipients == (OWNER,)]
    raw = with_fields(forward.raw, Message_ID=f"<{forward.ses_id}@email.amazonses.com>")
    response = MACHINES[name](Received(raw=raw, by=OWNER, number=1))
    return Response(raw=with_fields(response.raw, From=OWNER, To=to), envelope_sender=response.envelope_sender)


@pytest.mark.parametrize("envelope_sender", [None, "", "<>", OWNER])
@pytest.mark.parametrize("name", MACHINES)
def test_what_any_machine_sends_in_the_owners_name_ends_in_silence_only_if_it_is_surely_a_machines(
    name: str, envelope_sender: str | None
) -> None:
    world, _, to = world_with_conversation()
    response = response_of(name, world, to)
    envelope = response.envelope_sender if envelope_sender is None else envelope_sender
    end = end_of(world, response.raw, to, envelope)

    bounced = any(item.state is SendState.BOUNCED for item in world.records.ledger.values())
    assert bounced == (name == "bounce" and envelope in ("", "<>"))
    is_sure = surely_automatic(parse(response.raw), envelope)
    assert (end == SILENT) == (is_sure or bounced)
    if name == "receipt_by_hand":
        assert end == TOLD


@pytest.mark.parametrize(
    ("disposition", "end"),
    [
        ("manual-action/MDN-sent-manually", TOLD),
        ("automatic-action/MDN-sent-manually", TOLD),
        ("manual-action/MDN-sent-automatically", SILENT),
    ],
)
def test_a_receipt_is_a_persons_if_it_was_sent_by_hand(disposition: str, end: str) -> None:
    world, _, to = world_with_conversation()
    response = response_of("receipt_by_hand", world, to)
    raw = response.raw.replace(b"manual-action/MDN-sent-manually", disposition.encode())

    assert end_of(world, raw, to) == end


@pytest.mark.parametrize(("envelope_sender", "end"), [(OWNER, RELAYED), ("", SILENT)])
def test_words_of_a_bounce_leave_if_the_owner_sent_them(envelope_sender: str, end: str) -> None:
    world, _, to = world_with_conversation()
    text = f"<{PUBLIC}>: 550 5.1.1 no such user\r\n"
    raw = mail(sender=OWNER, to=to, subject="Undelivered Mail Returned to Sender", text=text)

    assert end_of(world, raw, to, envelope_sender) == end


def test_one_message_to_two_conversations_that_arrives_once_for_each_leaves_to_both() -> None:
    world, first, to = world_with_conversation()
    world.arrive(mail(sender="kim@other.example", subject="Another", message_id="<k@other.example>"))
    world.run()
    second = thread(next(one for one in world.records.conversations.values() if one.id != first.id))
    raw = owners(f"{to}, {second}")

    assert [end_of(world, raw, place) for place in (to, second)] == [RELAYED, RELAYED]
    assert [world.arrive(raw, to=place).outcome for place in (to, second)] == [Outcome.RECORD] * 2


def test_a_blind_copy_to_another_conversation_comes_back() -> None:
    world, first, to = world_with_conversation()
    world.arrive(mail(sender="kim@other.example", subject="Another", message_id="<k@other.example>"))
    world.run()
    second = thread(next(one for one in world.records.conversations.values() if one.id != first.id))
    raw = owners(to)

    assert [end_of(world, raw, place) for place in (to, second)] == [RELAYED, TOLD]


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("local", ["notices", "NOTICES", "notices+x", "anything"])
def test_responses_to_notices_cause_at_most_one_an_hour_at_any_address_without_a_conversation(
    local: str, broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    if broken:
        monkeypatch.setattr(reply, "_plan_reply", fails)
    world, _, _ = world_with_conversation()
    to = f"{local}@{THREAD}"
    before = len(world.mailer.sent)
    for number in range(4):
        world.arrive(owners(to, number=number), to=to)
        world.run()

    assert len(world.mailer.sent) == before + 1
