"""The daily digest of held messages."""

from datetime import timedelta

import pytest

from email_handler.errors import NotHeld
from email_handler.identifiers import ReceiptId
from email_handler.usecases.digest import send_digest
from email_handler.usecases.held import confirm, release
from tests.support.builders import mail
from tests.support.world import OWNER, THREAD, World, read

DAY = timedelta(days=1)


@pytest.fixture
def world() -> World:
    return World()


def hold(world: World, number: int, **changes: str) -> ReceiptId:
    raw = mail(message_id=f"<h{number}@customer.example>", text=str(number), **changes)  # type: ignore[arg-type]
    return world.arrive(raw, receipt=f"held{number}", spam="FAIL").receipt


def test_on_the_next_day_the_owner_gets_one_digest_of_all_held_messages(world: World) -> None:
    hold(world, 1, subject="Cheap watches")
    hold(world, 2, sender="kim@x.example")
    world.now += DAY
    send_digest(world.context)
    send_digest(world.context)
    (left,) = world.run()
    sent = read(left)
    text = sent.get_body(("plain",)).get_content()  # type: ignore[union-attr]

    assert left.recipients == (OWNER,)
    assert sent["Subject"] == "2 messages are held"
    assert "Cheap watches" in text
    assert "kim at x[.]example" in text
    assert "email-handler held release held1" in text
    assert OWNER not in left.raw.decode()


def test_a_day_without_held_messages_causes_no_digest(world: World) -> None:
    world.arrive(mail())
    world.run()
    world.now += DAY

    assert send_digest(world.context) is None
    assert world.run() == []


def test_messages_released_or_confirmed_meanwhile_are_not_listed(world: World) -> None:
    release(hold(world, 1), "inbound", world.context)
    confirm(hold(world, 2), "inbound", world.context)
    world.run()
    world.now += DAY

    assert send_digest(world.context) is None


def test_each_digest_lists_the_messages_of_its_own_day(world: World) -> None:
    hold(world, 1, subject="First")
    world.now += DAY
    hold(world, 2, subject="Second")
    send_digest(world.context)
    world.now += DAY
    send_digest(world.context)
    one, two = world.run()

    assert b"First" in one.raw
    assert b"Second" not in one.raw
    assert b"Second" in two.raw


@pytest.mark.parametrize("verdict", ["PASS", "GRAY"])
def test_a_reply_that_cannot_be_released_is_listed_without_that_command(world: World, verdict: str) -> None:
    to = f"c-zzzzzzzz.{'z' * 10}@{THREAD}"
    raw = mail(sender=OWNER, to=to, subject="My reply")
    decision = world.arrive(raw, to=to, dmarc=verdict, dkim=verdict, spf=verdict)
    world.now += DAY
    send_digest(world.context)
    text = read(world.run()[-1]).get_body(("plain",)).get_content()  # type: ignore[union-attr]

    assert "My reply" in text
    assert "send it again" in text
    assert "held release" not in text
    with pytest.raises(NotHeld):
        release(decision.receipt, "reply", world.context)


def test_markup_and_addresses_in_held_messages_are_shown_as_text(world: World) -> None:
    hold(world, 1, subject="<b>you</b>", sender="evil@x.example")
    world.now += DAY
    send_digest(world.context)
    (left,) = world.run()
    page = read(left).get_body(("html",)).get_content()  # type: ignore[union-attr]

    assert "&lt;b&gt;you&lt;/b&gt;" in page
    assert "evil@x.example" not in page


def test_nothing_that_a_sender_wrote_becomes_a_link_in_text_or_html(world: World) -> None:
    hold(world, 1, subject="Pay at pay.example or https://pay.example/x", sender='"www.pay.example" <a@pay.example>')
    world.now += DAY
    send_digest(world.context)
    (left,) = world.run()
    message = read(left)
    parts = [message.get_body((kind,)).get_content() for kind in ("plain", "html")]  # type: ignore[union-attr]

    for part in parts:
        assert "Pay at pay[.]example or https[:][//]pay[.]example/x" in part
        assert "www[.]pay[.]example (a at pay[.]example)" in part
        assert "pay.example" not in part
    assert "<a " not in parts[1]
