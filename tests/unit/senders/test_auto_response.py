"""Who may be sent an automatic response (RFC 3834 §2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.identifiers import EmailAddress
from email_handler.mail.parsing import parse
from email_handler.senders.authentication import SenderVerification
from email_handler.senders.auto_response import refuse_acknowledgement
from tests.support.builders import mail
from tests.support.records import passed_receipt

JANE = "jane@customer.example"


def refused(raw: bytes, *, sender: str = JANE, envelope_sender: str = JANE, verified: bool = True) -> str:
    receipt = passed_receipt(envelope_sender=envelope_sender)
    verification = SenderVerification(
        address=EmailAddress(sender) if verified else None, reason="dmarc pass" if verified else "dmarc fail"
    )
    return refuse_acknowledgement(
        parse(raw),
        receipt,
        verification,
        own_addresses=["Contact@example.com"],
        owners=["owner@private.example"],
        thread_domain="thread.example.com",
    )


def test_a_verified_person_is_acknowledged() -> None:
    assert refused(mail()) == ""


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (mail(list_unsubscribe="<https://customer.example/u>"), "list"),
        (mail(list_id="<talk.lists.example>"), "list"),
        (mail(precedence="list"), "list"),
        (mail(Sender="talk-bounces@lists.example"), "list"),
        (mail(x_auto_response_suppress="DR, AutoReply"), "asks for no automatic response"),
        (mail(auto_submitted="auto-generated"), "auto-submitted"),
        (mail(subject="Out of office: back on Monday"), "autoreply subject"),
    ],
)
def test_a_message_that_asks_for_no_automatic_response_gets_none(raw: bytes, reason: str) -> None:
    assert refused(raw) == reason


def test_an_unverified_sender_is_not_acknowledged() -> None:
    assert refused(mail(), verified=False) == "sender not verified"


@pytest.mark.parametrize(
    ("sender", "reason"),
    [
        ("postmaster@customer.example", "role address"),
        ("abuse@customer.example", "role address"),
        ("root@customer.example", "role address"),
        ("bounces+17@mail.customer.example", "role address"),
        ("no-reply@customer.example", "no-reply"),
        ("DoNotReply@customer.example", "no-reply"),
        ("jane+noreply@customer.example", ""),
        ("rootbeer@customer.example", ""),
        ("inmail-hit-reply@linkedin.com", "linkedin"),
        ("x@reply.linkedin.com", "linkedin"),
        ("jane@notlinkedin.com", ""),
        ("jané@customer.example", "no address that SES can write to"),
        ('"jane doe"@customer.example', "no address that SES can write to"),
        ('"mailer-daemon"@customer.example', "role address"),
        ('"Owner+x"@private.example', "own address"),
        ("contact@example.com", "own address"),
        ("contact+fair@example.com", "own address"),
        ("owner+shop@private.example", "own address"),
        ("c-abc.token@thread.example.com", "own address"),
        ("jane@example.com", ""),
    ],
)
def test_addresses_that_are_never_acknowledged(sender: str, reason: str) -> None:
    assert refused(mail(sender=sender), sender=sender) == reason


@pytest.mark.parametrize(
    "envelope_sender", ["owner-talk@lists.example", "talk-bounces+jane=x@lists.example", "talk-request@l.example"]
)
def test_list_software_in_the_envelope_is_not_acknowledged(envelope_sender: str) -> None:
    assert refused(mail(), envelope_sender=envelope_sender) == "list"


def test_our_own_acknowledgement_that_comes_back_is_not_acknowledged() -> None:
    ours = mail(sender="Contact <contact@example.com>", auto_submitted="auto-replied", precedence="bulk")

    assert refused(ours, sender="contact@example.com") == "auto-submitted"


@given(st.binary(max_size=600))
def test_any_bytes_are_judged(raw: bytes) -> None:
    assert isinstance(refused(raw), str)
