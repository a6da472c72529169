"""``email-handler held``: held mail is looked at, released once, or confirmed, on the deployed stack."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from cli.connection import connect
from cli.deployment import Functions
from cli.terminal import plain
from cloud import mailclient
from cloud.cloud import LocalCloud
from tests.support.operator import OWNER, arrive, held, lines, person, run, sent_since

pytestmark = pytest.mark.cloud


def recipients(cloud: LocalCloud, before: int) -> list[tuple[str, ...]]:
    return sorted(sent.recipients for sent in sent_since(cloud, before))


def test_held_mail_is_listed_with_its_reasons_and_nobody_was_mailed(cloud: LocalCloud) -> None:
    before = len(cloud.sent())
    receipt = held(cloud, person())

    (listed,) = [line for line in lines(cloud, "held", "list") if line["receipt"] == receipt]

    assert "seo-offer" in [reason["rule"] for reason in listed["reasons"]]
    assert recipients(cloud, before) == []
    assert receipt in run(cloud, "held", "list").output


def test_show_tells_what_each_rule_is_for_and_how_the_text_begins(cloud: LocalCloud) -> None:
    sender = person()
    receipt = held(cloud, sender, attachments=[("offer.pdf", "application/pdf", b"%PDF-1.4")])

    (shown,) = lines(cloud, "held", "show", receipt)

    assert shown["headers"]["From"] == [sender]
    assert shown["text"].startswith("Hi there, we are a leading SEO company")
    assert shown["attachments"] == [{"name": "offer.pdf", "type": "application/pdf", "size": 8}]
    assert all(reason["detail"] for reason in shown["reasons"])
    assert "sells or wants links" in run(cloud, "held", "show", receipt).output


def test_what_steers_a_terminal_is_not_shown(cloud: LocalCloud) -> None:
    receipt = held(
        cloud, person(), text="\x1b]0;owned\x07\x1b[2J\u202eOffer: SEO company, first page ranking, backlinks"
    )

    shown = run(cloud, "held", "show", receipt).output

    assert "Offer: SEO company" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert plain("a\x1b[31m\r\n\tb\u200e\ud800") == "a[31m\n\tb"


def test_released_mail_is_forwarded_once_and_acknowledged_once(cloud: LocalCloud) -> None:
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


def test_mail_released_twice_at_the_same_time_is_forwarded_once_and_acknowledged_once(cloud: LocalCloud) -> None:
    sender = person()
    receipt = held(cloud, sender)
    before = len(cloud.sent())
    functions = Functions(connect(endpoint=cloud.endpoint))
    start = Barrier(2)

    def release(_: int) -> Any:
        start.wait()
        request = {"do": "release", "receipt": receipt, "function": "inbound"}
        return functions.call("InboundFunction", {"operator": request})

    with ThreadPoolExecutor(max_workers=2) as pool:
        first, second = pool.map(release, range(2))

    assert first == second
    assert first["outcome"] == "deliver"
    assert recipients(cloud, before) == [(OWNER,), (sender,)]


def test_a_release_can_allow_the_sender_whose_next_offer_is_delivered(cloud: LocalCloud) -> None:
    sender = person()
    lines(cloud, "held", "release", held(cloud, sender), "--allow")
    receipt = held(cloud, sender)

    assert {"entry": sender, "list": "allow"} in lines(cloud, "lists")
    (why,) = lines(cloud, "why", receipt)
    assert why["decision"]["outcome"] == "deliver"


def test_an_unverified_sender_is_not_allowed_and_the_mail_stays_held(cloud: LocalCloud) -> None:
    sender = person()
    receipt = held(cloud, sender, x_local_verdicts="spf=FAIL dkim=GRAY dmarc=FAIL policy=none")

    (answer,) = lines(cloud, "held", "release", receipt, "--allow", code=1)

    assert "not verified" in answer["error"]
    assert sender not in [line["entry"] for line in lines(cloud, "lists")]
    assert receipt in [line["receipt"] for line in lines(cloud, "held", "list")]


def test_confirmed_mail_leaves_the_list_mails_nobody_and_can_block_the_sender(cloud: LocalCloud) -> None:
    sender = person()
    receipt = held(cloud, sender)
    before = len(cloud.sent())

    (answer,) = lines(cloud, "held", "confirm", receipt, "--block")
    blocked = arrive(cloud, sender)

    assert answer["outcome"] == "hold"
    assert receipt not in [line["receipt"] for line in lines(cloud, "held", "list")]
    (why,) = lines(cloud, "why", blocked)
    assert (why["decision"]["outcome"], recipients(cloud, before)) == ("hold", [])


def test_an_earlier_word_stands_and_is_told(cloud: LocalCloud) -> None:
    released, confirmed = held(cloud, person()), held(cloud, person())
    lines(cloud, "held", "release", released)
    lines(cloud, "held", "confirm", confirmed)

    (late_confirm,) = lines(cloud, "held", "confirm", released, code=1)
    (late_release,) = lines(cloud, "held", "release", confirmed, code=1)

    assert late_confirm["error"] == "it was released before, and that stands"
    assert late_release["error"] == "it was confirmed before, and that stands"


def test_mail_that_is_not_held_and_mail_that_is_nobodys_are_told(cloud: LocalCloud) -> None:
    delivered = arrive(cloud, person())

    answers = lines(cloud, "held", "release", delivered, "nonsense", code=1)

    assert [answer["error"] for answer in answers] == [
        "the message is not held: it was decided as deliver",
        "there is no such message: `held list` shows those that are held",
    ]


def test_what_the_reply_function_held_is_found_without_naming_it(cloud: LocalCloud) -> None:
    sender = person()
    before = len(cloud.sent())
    arrive(cloud, sender)
    (forward,) = [sent for sent in sent_since(cloud, before) if sent.recipients == (OWNER,)]
    receipt = held(cloud, sender, to=forward.sender)
    before = len(cloud.sent())

    (answer,) = lines(cloud, "held", "release", receipt)

    assert (answer["function"], answer["outcome"]) == ("reply", "deliver")
    assert recipients(cloud, before) == [(OWNER,)]


def test_an_owners_answer_that_was_held_is_not_released(cloud: LocalCloud) -> None:
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
