"""``email-handler held``: held messages are shown, released once, or confirmed, on the deployed stack."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from cli.terminal import plain
from cloud import mailclient
from cloud.cloud import LocalCloud
from operations.connection import connect
from operations.functions import Functions
from tests.support.operator import OWNER, arrive, held, lines, person, run, sent_since

pytestmark = pytest.mark.cloud


def recipients(cloud: LocalCloud, before: int) -> list[tuple[str, ...]]:
    return sorted(sent.recipients for sent in sent_since(cloud, before))


def test_a_held_message_is_listed_with_its_reasons_and_nothing_is_sent(cloud: LocalCloud) -> None:
    before = len(cloud.sent())
    receipt = held(cloud, person())

    (listed,) = [line for line in lines(cloud, "held", "list") if line["receipt"] == receipt]

    assert "seo-offer" in [reason["rule"] for reason in listed["reasons"]]
    assert recipients(cloud, before) == []
    assert receipt in run(cloud, "held", "list").output


def test_show_explains_each_rule_and_shows_the_beginning_of_the_text(cloud: LocalCloud) -> None:
    sender = person()
    receipt = held(cloud, sender, attachments=[("offer.pdf", "application/pdf", b"%PDF-1.4")])

    (shown,) = lines(cloud, "held", "show", receipt)

    assert shown["headers"]["From"] == [sender]
    assert shown["text"].startswith("Hi there, we are a leading SEO company")
    assert shown["attachments"] == [{"name": "offer.pdf", "type": "application/pdf", "size": 8}]
    assert all(reason["detail"] for reason in shown["reasons"])
    assert "sells or wants links" in run(cloud, "held", "show", receipt).output


def test_control_characters_are_not_shown(cloud: LocalCloud) -> None:
    receipt = held(
        cloud, person(), text="\x1b]0;owned\x07\x1b[2J\u202eOffer: SEO company, first page ranking, backlinks"
    )

    shown = run(cloud, "held", "show", receipt).output

    assert "Offer: SEO company" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert plain("a\x1b[31m\r\n\tb\u200e\ud800") == "a[31m\n\tb"


def test_a_released_message_is_forwarded_once_and_acknowledged_once(cloud: LocalCloud) -> None:
    sender = person()
    receipt = held(cloud, sender)
    before = len(cloud.sent())

    (first,) = lines(cloud, "held", "release", receipt)
    (second,) = lines(cloud, "held", "release", receipt)

    assert first["outcome"] == "deliver"
    assert second == first
    assert recipients(cloud, before) == [(OWNER,), (sender,)]
    assert receipt not in [line["receipt"] for line in lines(cloud, "held", "list")]
    (why,) = lines(cloud, "why", receipt)
    assert "released" in [reason["rule"] for reason in why["decision"]["reasons"]]
    assert {(send["kind"], send["state"]) for send in why["sends"]} == {
        ("forward", "sent"),
        ("acknowledgement", "sent"),
    }


def test_a_message_released_twice_at_the_same_time_is_forwarded_once_and_acknowledged_once(cloud: LocalCloud) -> None:
    sender = person()
    receipt = held(cloud, sender)
    before = len(cloud.sent())
    functions = Functions(connect(endpoint=cloud.endpoint))
    start = Barrier(2)

    def release(_: int) -> Any:
        start.wait()
        request = {"do": "release", "receipt": receipt, "function": "inbound"}
        return functions.call("inbound", {"operator": request})

    with ThreadPoolExecutor(max_workers=2) as pool:
        first, second = pool.map(release, range(2))

    assert first == second
    assert first["outcome"] == "deliver"
    assert recipients(cloud, before) == [(OWNER,), (sender,)]


def test_a_release_can_allow_the_sender_whose_next_message_is_delivered(cloud: LocalCloud) -> None:
    sender = person()
    lines(cloud, "held", "release", held(cloud, sender), "--allow")
    receipt = held(cloud, sender)

    assert {"entry": sender, "list": "allow"} in lines(cloud, "lists")
    (why,) = lines(cloud, "why", receipt)
    assert why["decision"]["outcome"] == "deliver"


def test_an_unverified_sender_is_not_allowed_and_the_message_stays_held(cloud: LocalCloud) -> None:
    sender = person()
    receipt = held(cloud, sender, x_local_verdicts="spf=FAIL dkim=GRAY dmarc=FAIL policy=none")

    (answer,) = lines(cloud, "held", "release", receipt, "--allow", code=1)

    assert "not verified" in answer["error"]
    assert sender not in [line["entry"] for line in lines(cloud, "lists")]
    assert receipt in [line["receipt"] for line in lines(cloud, "held", "list")]


def test_a_confirmed_message_leaves_the_list_sends_nothing_and_can_block_the_sender(cloud: LocalCloud) -> None:
    sender = person()
    receipt = held(cloud, sender)
    before = len(cloud.sent())

    (answer,) = lines(cloud, "held", "confirm", receipt, "--block")
    blocked = arrive(cloud, sender)

    assert answer["outcome"] == "hold"
    assert receipt not in [line["receipt"] for line in lines(cloud, "held", "list")]
    (why,) = lines(cloud, "why", blocked)
    assert (why["decision"]["outcome"], recipients(cloud, before)) == ("hold", [])


def test_an_earlier_decision_is_final_and_is_named(cloud: LocalCloud) -> None:
    released, confirmed = held(cloud, person()), held(cloud, person())
    lines(cloud, "held", "release", released)
    lines(cloud, "held", "confirm", confirmed)

    (late_confirm,) = lines(cloud, "held", "confirm", released, code=1)
    (late_release,) = lines(cloud, "held", "release", confirmed, code=1)

    assert late_confirm["error"] == "it was released before, and that stands"
    assert late_release["error"] == "it was confirmed before, and that stands"


@pytest.mark.parametrize("command", ["release", "confirm"])
def test_the_reason_of_a_failure_is_the_functions_own(cloud: LocalCloud, command: str) -> None:
    (answer,) = lines(cloud, "held", command, "no-such-message", code=1)

    assert "there is no such message" in answer["error"]


def test_messages_that_are_not_held_or_do_not_exist_fail(cloud: LocalCloud) -> None:
    delivered = arrive(cloud, person())

    answers = lines(cloud, "held", "release", delivered, "nonsense", code=1)

    assert [answer["error"] for answer in answers] == [
        "the message is not held: it was decided as deliver",
        "there is no such message: `held list` shows the held ones",
    ]


def test_a_message_held_by_the_reply_function_is_found_without_naming_it(cloud: LocalCloud) -> None:
    sender = person()
    before = len(cloud.sent())
    arrive(cloud, sender)
    (forward,) = [sent for sent in sent_since(cloud, before) if sent.recipients == (OWNER,)]
    receipt = held(cloud, sender, to=forward.sender)
    before = len(cloud.sent())

    (answer,) = lines(cloud, "held", "release", receipt)

    assert (answer["function"], answer["outcome"]) == ("reply", "deliver")
    assert recipients(cloud, before) == [(OWNER,)]


def test_an_owners_held_reply_is_not_released(cloud: LocalCloud) -> None:
    before = len(cloud.sent())
    arrive(cloud, person())
    (forward,) = [sent for sent in sent_since(cloud, before) if sent.recipients == (OWNER,)]
    forged = mailclient.with_fields(
        b"From: owner@private.example\r\nSubject: Re\r\nMessage-ID: <forged@elsewhere.example>\r\n\r\nPay me\r\n",
        To=forward.sender,
        X_Local_Verdicts="spf=FAIL dkim=GRAY dmarc=FAIL policy=none",
    )
    receipt = cloud.send(forged, "x@elsewhere.example", [forward.sender])
    cloud.settle()

    (answer,) = lines(cloud, "held", "release", receipt, code=1)

    assert "send it again" in answer["error"]
