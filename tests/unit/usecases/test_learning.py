"""What the owner decided is learned from once, whatever ends a pass; what they put in force stays there."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from email_handler.conversations.records import Conversation, Status
from email_handler.errors import ArchiveUnavailable, ConfigUnavailable, RecordsUnavailable
from email_handler.identifiers import ReceiptId
from email_handler.ports import BUILTIN, LEARNING_DUE, OFF
from email_handler.spam.learned import MOST, Act, load_learned
from email_handler.usecases.held import confirm, release
from email_handler.usecases.learning import IN_FORCE, checkpoint_of, learn_daily
from email_handler.usecases.reconcile import SETTLED
from tests.support.builders import mail
from tests.support.learned import PITCH, TRADE, example, examples, text
from tests.support.world import OWNER, THREAD, World


@pytest.fixture
def world() -> World:
    return World()


def contact_writes(world: World, name: str, *, spam: str = "PASS", body: str = "") -> Conversation | None:
    """Let a new contact write, and return the conversation."""
    before = set(world.records.conversations)
    raw = mail(
        sender=f"{name}@{name}.example",
        message_id=f"<{name}@{name}.example>",
        text=(body or text(len(name), TRADE)) + "\r\n",
    )
    world.arrive(raw, receipt=name, spam=spam)
    world.run()
    return next((one for id_, one in world.records.conversations.items() if id_ not in before), None)


def owner_replies(world: World, conversation: Conversation) -> None:
    address = f"{conversation.id}.{conversation.token}@{THREAD}"
    world.arrive(mail(sender=OWNER, to=address, message_id=f"<re-{conversation.id}@own.example>"), to=address)
    world.run()


@pytest.fixture
def answered(world: World) -> Conversation:
    """Return the conversation that the message ``answered`` began, to which the owner has replied."""
    conversation = contact_writes(world, "answered")
    assert conversation
    owner_replies(world, conversation)
    return conversation


def owner_marks(world: World, conversation: Conversation, status: Status) -> None:
    known = world.records.conversations[conversation.id]
    world.records.conversations[conversation.id] = replace(known, status=status)
    world.records.written[conversation.id] = world.now


def learns(world: World, late: Callable[[], bool] = lambda: False) -> int:
    """Run the step of the next day's pass."""
    world.now += timedelta(days=1)
    return learn_daily(world.context, world.learning, late)


def acts(world: World) -> dict[str, Act]:
    return {receipt: one.act for receipt, one in world.records.learned.items()}


def learned_before(world: World, spam: int = 150, ham: int = 150) -> None:
    """Let the table have so many examples already, and a model be due."""
    known = {ReceiptId(f"earlier-{number}"): one for number, one in enumerate(examples(spam, ham))}
    world.records.learned |= known
    world.records.checkpoints[LEARNING_DUE] = "2026-01-01"


# What is learned from


def test_each_kind_of_act_teaches_once(world: World) -> None:
    for name, spam in (("silent", ""), ("answered", ""), ("marked", ""), ("released", "FAIL"), ("confirmed", "FAIL")):
        conversation = contact_writes(world, name, spam=spam or "PASS")
        if name == "answered":
            assert conversation
            owner_replies(world, conversation)
        if name == "marked":
            assert conversation
            owner_marks(world, conversation, Status.SPAM)
    release(ReceiptId("released"), "inbound", world.context)
    confirm(ReceiptId("confirmed"), "inbound", world.context)

    assert learns(world) == 4
    assert acts(world) == {
        "answered": Act.REPLIED,
        "marked": Act.SPAM,
        "released": Act.RELEASED,
        "confirmed": Act.CONFIRMED,
    }
    assert learns(world) == 0


def test_what_a_contact_does_teaches_nothing(world: World) -> None:
    answered, marked = contact_writes(world, "answered"), contact_writes(world, "marked")
    assert answered
    assert marked
    owner_replies(world, answered)
    owner_marks(world, marked, Status.SPAM)
    learns(world)
    before = dict(world.records.learned)
    for name in ("answered", "marked"):  # writes again, in the same conversation
        raw = mail(sender=f"{name}@{name}.example", message_id="<2@x.example>", in_reply_to=f"<{name}@{name}.example>")
        world.arrive(raw, receipt=f"{name}-again")

    assert learns(world) == 0
    assert world.records.learned == before


def test_an_answer_in_a_conversation_that_the_owner_started_teaches_nothing(
    world: World, answered: Conversation
) -> None:
    known = world.records.conversations[answered.id]
    world.records.conversations[answered.id] = replace(known, started_with=ReceiptId("the-owners"))

    assert learns(world) == 0


def test_what_the_owner_takes_back_is_forgotten_and_what_they_correct_is_learned_anew(world: World) -> None:
    undone, corrected = contact_writes(world, "undone"), contact_writes(world, "corrected")
    assert undone
    assert corrected
    owner_replies(world, corrected)
    for conversation in (undone, corrected):
        owner_marks(world, conversation, Status.SPAM)
    learns(world)
    assert acts(world) == {"undone": Act.SPAM, "corrected": Act.SPAM}

    owner_marks(world, undone, Status.OPEN)
    owner_marks(world, corrected, Status.CLOSED)

    assert learns(world) == 2
    assert acts(world) == {"corrected": Act.REPLIED}


def test_a_released_message_that_is_marked_as_spam_later_stays_spam(world: World) -> None:
    contact_writes(world, "released", spam="FAIL")
    release(ReceiptId("released"), "inbound", world.context)
    learns(world)
    (conversation,) = world.records.conversations.values()
    owner_marks(world, conversation, Status.SPAM)

    assert [learns(world) for _ in range(3)] == [1, 0, 0]
    assert acts(world) == {"released": Act.SPAM}


@pytest.mark.usefixtures("answered")
def test_an_example_holds_no_text_and_no_address(world: World) -> None:
    learns(world)

    (one,) = world.records.learned.values()
    assert one.features
    assert "answered" not in f"{one.sender} {one.domain}"


def test_one_mailbox_is_one_sender_and_all_subdomains_are_one_domain(world: World) -> None:
    senders = ("jane@gmail.com", "Ja.ne+2@googlemail.com", "joe@customer.example", "jim@mail.customer.example", "")
    for number, sender in enumerate(senders):
        raw = mail(sender=sender or None, subject=f"Offer {number}", message_id=f"<{number}@x.example>")
        world.arrive(raw, receipt=f"r{number}", spam="FAIL", envelope_sender="")
        confirm(ReceiptId(f"r{number}"), "inbound", world.context)
    learns(world)
    jane, again, joe, jim, nobody = (world.records.learned[ReceiptId(f"r{number}")] for number in range(5))

    assert jane.sender == again.sender
    assert joe.domain == jim.domain
    assert len({jane.sender, joe.sender, jim.sender, nobody.sender}) == 4


def test_a_strangers_message_to_a_thread_address_teaches_if_it_is_confirmed(world: World) -> None:
    conversation = contact_writes(world, "contact")
    assert conversation
    address = f"{conversation.id}.{conversation.token}@{THREAD}"
    world.arrive(
        mail(sender="s@stranger.example", to=address, message_id="<s@stranger.example>"), to=address, receipt="stranger"
    )
    confirm(ReceiptId("stranger"), "reply", world.context)
    learns(world)

    assert acts(world) == {"stranger": Act.CONFIRMED}


def test_a_conversation_that_names_no_message_is_left_out(world: World, answered: Conversation) -> None:
    known = world.records.conversations[answered.id]
    world.records.conversations[answered.id] = replace(known, links=())

    assert learns(world) == 0


@pytest.mark.parametrize("why", ["gone", "empty", "unreadable"])
@pytest.mark.usefixtures("answered")
def test_a_message_that_says_nothing_is_left_out(world: World, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "raw/inbound/answered"
    if why == "gone":
        del world.archive.objects[key]
    elif why == "empty":
        world.archive.objects[key] = b"\r\n\r\n"
    else:
        monkeypatch.setattr("email_handler.usecases.learning.parse", lambda _: 1 / 0)

    assert learns(world) == 0
    assert world.records.learned == {}


def test_what_was_decided_just_now_is_left_to_the_next_pass_and_what_was_looked_at_is_not_read_again(
    world: World,
    answered: Conversation,
) -> None:
    """An index may show it late."""
    written = world.records.written[answered.id]
    world.now = written + SETTLED

    assert learn_daily(world.context, world.learning, lambda: False) == 0
    assert checkpoint_of("answered") not in world.records.checkpoints
    assert learns(world) == 1
    assert world.records.checkpoints[checkpoint_of("answered")] == written.isoformat()


# When it ends


@pytest.mark.usefixtures("answered")
def test_a_pass_that_runs_out_of_time_goes_on_the_next_day(world: World) -> None:
    assert learns(world, late=lambda: True) == 0
    assert learns(world) == 1


@pytest.mark.parametrize("fault", ["learn", "examples", "where", "move", "put"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.usefixtures("answered")
def test_a_pass_that_fails_anywhere_leaves_the_rest_to_the_next(world: World, fault: str, after: bool) -> None:
    learned_before(world)
    if fault in ("where", "move"):
        world.pointer.fail(fault, ConfigUnavailable("down"), after=after)
    elif fault == "put":
        world.archive.fail(fault, ArchiveUnavailable("down"), after=after)
    else:
        world.judgements.fail(fault, RecordsUnavailable("down"), after=after)
    with pytest.raises((ArchiveUnavailable, ConfigUnavailable, RecordsUnavailable)):
        learns(world)
    learns(world)

    assert acts(world)["answered"] is Act.REPLIED
    assert world.pointer.key in world.archive.objects
    assert world.records.checkpoints[IN_FORCE] == world.pointer.key
    assert not world.records.checkpoints[LEARNING_DUE]


@pytest.mark.parametrize("after", [False, True])
def test_that_the_model_is_to_be_made_anew_is_known_before_an_example_changes(world: World, after: bool) -> None:
    learned_before(world)
    marked = contact_writes(world, "marked")
    assert marked
    owner_marks(world, marked, Status.SPAM)
    learns(world)
    first = world.pointer.key

    owner_marks(world, marked, Status.OPEN)
    world.judgements.fail("unlearn", RecordsUnavailable("down"), after=after)
    with pytest.raises(RecordsUnavailable):
        learns(world)
    learns(world)
    second = world.pointer.key
    owner_marks(world, marked, Status.SPAM)
    world.judgements.fail("learn", RecordsUnavailable("down"), after=after)
    with pytest.raises(RecordsUnavailable):
        learns(world)
    learns(world)

    assert len({first, second, world.pointer.key}) == 3
    spam = [load_learned(world.archive.objects[key]).model.header["spam"] for key in (first, second, world.pointer.key)]
    assert spam == [151, 150, 151]


def test_two_passes_at_once_put_the_same_model_in_force(world: World) -> None:
    learned_before(world)
    now = world.now
    learns(world)
    first, pointed = dict(world.archive.objects), world.pointer.key
    world.now, world.records.checkpoints[LEARNING_DUE] = now, "2026-01-01"
    world.pointer.key, world.records.checkpoints[IN_FORCE] = BUILTIN, ""
    learns(world)

    assert world.pointer.key == pointed
    assert world.archive.objects == first


# What is in force


def test_enough_examples_make_a_model_that_is_put_in_force(world: World) -> None:
    learned_before(world)
    learns(world)

    model = load_learned(world.archive.objects[world.pointer.key])
    assert world.pointer.key.startswith("config/learned/")
    assert model.assess("Hello", [text(7000, PITCH)]).points > 0


def test_too_few_examples_put_nothing_in_force_and_wait_for_more(world: World) -> None:
    learned_before(world, spam=150, ham=49)
    learns(world)

    assert world.pointer.key == BUILTIN
    assert world.pointer.moved == []


def test_a_model_of_which_too_much_was_erased_is_no_longer_in_force(world: World) -> None:
    learned_before(world)
    learns(world)
    for number in range(120):
        del world.records.learned[ReceiptId(f"earlier-{number}")]
    world.records.checkpoints[LEARNING_DUE] = "2026-02-01"
    learns(world)

    assert world.pointer.key == BUILTIN


def test_nothing_is_made_or_moved_if_nothing_was_decided(world: World) -> None:
    learned_before(world)
    learns(world)
    written = len(world.archive.written)
    world.records.fail("set_checkpoint", RecordsUnavailable("nobody shall write"))
    world.judgements.fail("examples", RecordsUnavailable("nobody shall ask"))

    assert learns(world) == 0
    assert len(world.archive.written) == written
    assert len(world.pointer.moved) == 1


@pytest.mark.usefixtures("answered")
def test_switched_off_it_reads_nothing_and_goes_on_from_there(world: World) -> None:
    world.pointer.key = OFF
    world.judgements.fail("conversations", RecordsUnavailable("nobody shall ask"))

    assert learns(world) == 0
    assert world.pointer.key == OFF
    world.pointer.key = BUILTIN
    with pytest.raises(RecordsUnavailable):
        learns(world)
    assert learns(world) == 1


def test_what_the_owner_puts_in_force_stays_and_learning_waits(world: World) -> None:
    learned_before(world)
    learns(world)
    world.pointer.key = "config/learned/earlier.model"  # learn rollback
    world.records.learned[ReceiptId("new")] = example(9000, Act.SPAM, text(1, PITCH))
    world.records.checkpoints[LEARNING_DUE] = "2026-02-01"
    learns(world)
    assert world.pointer.key == "config/learned/earlier.model"

    world.pointer.key = world.records.checkpoints[IN_FORCE]  # learn on
    learns(world)
    assert len(world.pointer.moved) == 2


def test_examples_that_are_too_old_to_count_are_deleted(world: World) -> None:
    learned_before(world, spam=MOST // 2, ham=MOST // 2)
    world.records.learned[ReceiptId("old")] = example(-1, Act.SPAM, text(1, PITCH))
    learns(world)

    assert len(world.records.learned) == MOST
    assert ReceiptId("old") not in world.records.learned


def test_examples_that_count_stay_however_much_came_from_one_sender_later(world: World) -> None:
    learned_before(world)
    honest = set(world.records.learned)
    flood = {ReceiptId(f"loud-{n}"): example(5000 + n, Act.CONFIRMED, text(n, PITCH), "loud") for n in range(MOST)}
    world.records.learned |= flood
    learns(world)

    assert honest <= set(world.records.learned)
    assert world.pointer.where() != BUILTIN


def test_what_was_erased_while_a_model_was_made_is_left_to_the_next_pass(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned_before(world)
    examples_of = world.judgements.examples

    def erased_meanwhile() -> object:
        found = examples_of()
        world.records.checkpoints[LEARNING_DUE] = "erased"
        return found

    monkeypatch.setattr(world.judgements, "examples", erased_meanwhile)
    learns(world)

    assert world.records.checkpoints[LEARNING_DUE] == "erased"
