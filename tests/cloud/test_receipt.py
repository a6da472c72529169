"""What SES does with a message: verdicts, header fields on top, the event."""

import email
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud import receipt
from cloud.receipt import Accepted, Verdicts, new_message_id, stored, take_verdicts

MAIL = b"From: Jane Doe <jane@example.org>\r\nTo: contact@example.com, Joe <joe@example.net>\r\nSubject: Hello\r\n\r\nBody\r\n"


def accepted(
    raw: bytes = MAIL, sender: str = "bounces@example.org", recipients: tuple[str, ...] = ("contact@example.com",)
) -> Accepted:
    stripped, verdicts = take_verdicts(raw, sender)
    return Accepted(
        message_id="m" * 40,
        at=datetime(2026, 11, 25, 12, 30, 15, 123456, UTC),
        helo="mail.example.org",
        sender=sender,
        recipients=recipients,
        raw=stripped,
        verdicts=verdicts,
    )


def ses(mail: Accepted, recipients: tuple[str, ...] = ("contact@example.com",)) -> Any:
    return receipt.event(mail, stored(mail), recipients, "arn:aws:lambda:us-east-1:000000000000:function:f")["Records"][
        0
    ]["ses"]


def test_everything_passes_for_the_senders_domain_by_default() -> None:
    mail = accepted()

    top = email.message_from_bytes(stored(mail))
    assert mail.verdicts == Verdicts()
    assert top["Authentication-Results"].startswith("amazonses.com;")
    assert " dkim=pass header.i=@example.org;" in top["Authentication-Results"]
    assert " dmarc=pass header.from=example.org;" in top["Authentication-Results"]
    assert "envelope-from=bounces@example.org;" in top["Authentication-Results"]


def test_the_object_is_sess_own_fields_and_then_the_unchanged_message() -> None:
    raw = b"From: a@example.org\nSubject: bare\rcr and \x00\n\nbody\r" + b"x" * 200_000

    obj = stored(accepted(raw))

    assert obj.endswith(b"\r\n" + raw)
    assert [line.split(b":")[0] for line in obj[: -len(raw)].split(b"\r\n") if line and line[:1] != b" "] == [
        b"Return-Path",
        b"Received",
        b"X-SES-Spam-Verdict",
        b"X-SES-Virus-Verdict",
        b"Received-SPF",
        b"Authentication-Results",
        b"X-SES-RECEIPT",
        b"X-SES-DKIM-SIGNATURE",
    ]


def test_a_field_of_the_test_message_sets_the_verdicts_and_is_not_stored() -> None:
    field = b"x-local-verdicts: spam=FAIL virus=GRAY dmarc=FAIL policy=reject\r\n auth=spf=pass; dkim=fail header.i=@evil.test;\r\n"

    mail = accepted(MAIL.replace(b"Subject", field + b"Subject"))

    assert mail.raw == MAIL
    assert (mail.verdicts.spam, mail.verdicts.virus, mail.verdicts.spf) == ("FAIL", "GRAY", "PASS")
    assert b"Authentication-Results: amazonses.com;\r\n spf=pass; dkim=fail header.i=@evil.test;\r\n" in stored(mail)
    found = ses(mail)["receipt"]
    assert (found["spamVerdict"], found["dmarcPolicy"]) == ({"status": "FAIL"}, "reject")


def test_a_typing_error_in_the_verdicts_does_not_count_as_pass() -> None:
    with pytest.raises(ValueError, match="unknown words: spm"):
        take_verdicts(b"X-Local-Verdicts: spm=FAIL\r\n\r\n", "")


def test_a_verdicts_line_in_the_body_has_no_effect() -> None:
    raw = MAIL + b"\r\nX-Local-Verdicts: spam=FAIL\r\n"

    assert accepted(raw).raw == raw
    assert accepted(raw).verdicts.spam == "PASS"


def test_a_null_sender_and_a_missing_from_do_not_pass() -> None:
    mail = accepted(b"Subject: x\r\n\r\n", sender="")

    assert (mail.verdicts.spf, mail.verdicts.dkim, mail.verdicts.dmarc) == ("GRAY", "GRAY", "GRAY")
    assert ses(mail)["mail"]["source"] == ""
    assert stored(mail).startswith(b"Return-Path: <>\r\n")


def test_the_dmarc_policy_is_reported_only_if_dmarc_fails() -> None:
    failed = accepted(b"X-Local-Verdicts: dmarc=FAIL\r\n" + MAIL)

    assert "dmarcPolicy" not in ses(accepted())["receipt"]
    assert ses(failed)["receipt"]["dmarcPolicy"] == "none"


def test_destinations_come_from_the_headers_and_recipients_from_the_rule() -> None:
    event = ses(accepted(recipients=("contact@example.com", "c-1@thread.example.com")), ("c-1@thread.example.com",))

    assert event["mail"]["destination"] == ["contact@example.com", "joe@example.net"]
    assert event["receipt"]["recipients"] == ["c-1@thread.example.com"]


def test_only_a_single_recipient_is_named_in_received() -> None:
    assert b" for contact@example.com;" in stored(accepted())
    assert b" for " not in stored(accepted(recipients=("a@example.com", "b@example.com"))).split(b"X-SES-Spam")[0]


def test_the_event_has_the_shape_of_ses() -> None:
    event = ses(accepted())

    assert event["mail"]["timestamp"] == "2026-11-25T12:30:15.123Z"
    assert event["mail"]["messageId"] == "m" * 40
    assert event["mail"]["commonHeaders"] == {
        "from": ["Jane Doe <jane@example.org>"],
        "to": ["contact@example.com", "Joe <joe@example.net>"],
        "returnPath": "bounces@example.org",
        "subject": "Hello",
    }
    assert {"name": "Subject", "value": "Hello"} in event["mail"]["headers"]
    assert event["receipt"]["action"]["invocationType"] == "Event"


def test_common_headers_are_decoded_and_others_are_not() -> None:
    event = ses(accepted(b"From: =?utf-8?Q?J=C3=B6?= <j@example.org>\r\nSubject: =?utf-8?B?w7xi?=\r\n er\r\n\r\n"))

    assert event["mail"]["commonHeaders"]["from"] == ["Jö <j@example.org>"]
    assert event["mail"]["commonHeaders"]["subject"] == "üb er"
    assert {"name": "Subject", "value": "=?utf-8?B?w7xi?= er"} in event["mail"]["headers"]


@pytest.mark.parametrize(("length", "truncated"), [(4_000, False), (20_000, True)])
def test_headers_are_cut_at_10_kb_and_the_event_says_so(length: int, truncated: bool) -> None:
    event = ses(accepted(b"X-Long: " + b"x" * length + b"\r\n" + MAIL))

    assert event["mail"]["headersTruncated"] is truncated
    assert len(json.dumps(event["mail"]["headers"])) < 12_000
    assert event["mail"]["commonHeaders"]["subject"] == "Hello"


def test_message_ids_are_forty_lower_case_letters_and_digits() -> None:
    one, other = new_message_id(), new_message_id()

    assert one != other
    assert len(one) == 40
    assert one.isalnum()
    assert one == one.lower()


HOSTILE = st.lists(
    st.sampled_from(
        [
            b"From: ",
            b"Subject: ",
            b"To:",
            b"(" * 2000,
            b"\r\n",
            b"\n",
            b"\r",
            b"\x00",
            b"\xff\xfe",
            b" ",
            b"<a@b>,",
            b"=?x?B?!?=",
            b"=?utf-8?B?A?=",
            b'"',
            b"=?utf-8?Q?=0D=0A?=",
            b";" * 5000,
        ]
    ),
    max_size=30,
).map(b"".join)


@given(HOSTILE)
def test_any_bytes_give_an_event(raw: bytes) -> None:
    mail = accepted(raw)

    assert stored(mail).endswith(mail.raw)
    json.dumps(ses(mail))
