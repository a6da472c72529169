"""The daily digest of held messages."""

import json
import re
from datetime import timedelta

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.keys import digest_key
from email_handler.conversations.thread_address import held_address
from email_handler.errors import NotHeld, RecordsUnavailable
from email_handler.identifiers import ReceiptId
from email_handler.outgoing.digest import MAX_ENTRIES
from email_handler.usecases.digest import send_digest
from email_handler.usecases.held import confirm, release
from tests.support.builders import mail
from tests.support.records import commit, message
from tests.support.world import OWNER, THREAD, World, read

DAY = timedelta(days=1)


@pytest.fixture
def world() -> World:
    return World()


def hold(world: World, number: int, **changes: str) -> ReceiptId:
    raw = mail(message_id=f"<h{number}@customer.example>", text=str(number), **changes)  # type: ignore[arg-type]
    return world.arrive(raw, receipt=f"held{number}", spam="FAIL").receipt


def flood(world: World, count: int) -> None:
    """Let *count* messages be held, one a second."""
    for number in range(count):
        record = message(f"f{number}", at=world.now, outcome=Outcome.HOLD, subject=f"Number {number}")
        world.records.commit(commit(record=record))
        world.now += timedelta(seconds=1)


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
    assert sent["Subject"] == "2 messages were held"
    assert "Cheap watches" in text
    assert "kim at x[.]example" in text
    held1 = world.records.message_records[ReceiptId("held1"), "inbound"]
    assert held_address("held1", held1.token, THREAD, "release") in text
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


def test_what_was_held_since_midnight_hides_nothing_of_the_day_before(world: World) -> None:
    hold(world, 1, subject="First")
    world.now += DAY
    flood(world, 600)
    send_digest(world.context)
    (left,) = world.run()

    assert read(left)["Subject"] == "1 message was held"
    assert b"First" in left.raw


def test_a_large_digest_shows_the_latest_and_counts_the_rest(world: World) -> None:
    flood(world, 600)
    world.now += DAY
    send_digest(world.context)
    (left,) = world.run()
    text = read(left).get_body(("plain",)).get_content()  # type: ignore[union-attr]

    assert read(left)["Subject"] == "600 messages were held"
    assert "Number 599" in text
    assert f"And {600 - MAX_ENTRIES} more" in text
    assert len(world.archive.objects[digest_key((world.now - DAY).date())]) < 1000 * MAX_ENTRIES, "whatever the flood"


def test_after_a_missed_pass_the_next_digest_lists_every_day_since(world: World) -> None:
    send_digest(world.context)
    hold(world, 1, subject="First")
    world.now += DAY
    hold(world, 2, subject="Second")
    world.now += DAY
    hold(world, 3, subject="Third")
    decision = send_digest(world.context)
    (left,) = world.run()

    assert read(left)["Subject"] == "2 messages were held"
    assert b"First" in left.raw
    assert b"Second" in left.raw
    assert b"Third" not in left.raw
    assert decision is not None
    record = world.records.message_records[decision.receipt, "inbound"]
    assert record.subject == "2 held from 2026-03-02 to 2026-03-03"


def test_a_digest_that_could_not_be_queued_is_not_counted_as_told(world: World) -> None:
    send_digest(world.context)
    hold(world, 1, subject="First")
    world.now += DAY
    world.records.fail("commit", RecordsUnavailable("down"))
    with pytest.raises(RecordsUnavailable):
        send_digest(world.context)
    world.now += DAY
    send_digest(world.context)

    assert b"First" in world.run()[-1].raw


def test_a_day_without_held_messages_is_told_with_the_next_only_once(world: World) -> None:
    for number in range(3):
        world.now += DAY
        hold(world, number, subject=f"Number {number}")
        world.now += DAY
        send_digest(world.context)
    one, two, three = world.run()

    assert b"Number 1" not in one.raw
    assert b"Number 0" not in two.raw
    assert b"Number 1" not in three.raw


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
    links = re.findall(r"<a [^>]*>", parts[1])
    assert len(links) == 2
    assert all('href="mailto:held1.' in link and f"@{THREAD}?" in link for link in links)


def test_a_digest_that_an_earlier_version_queued_is_sent(world: World) -> None:
    hold(world, 1, subject="First")
    world.now += DAY
    decision = send_digest(world.context)
    assert decision is not None
    key = decision.jobs[0].archive_key
    world.archive.objects[key] = json.dumps(json.loads(world.archive.objects[key])["entries"]).encode()
    (left,) = world.run()

    assert read(left)["Subject"] == "1 message was held"
    assert b"First" in left.raw
