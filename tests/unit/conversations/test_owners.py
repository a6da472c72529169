"""Who is who among the addresses of one deployment."""

import pytest

from email_handler.conversations.owners import Owners
from email_handler.mail.parsing import parse
from tests.support.builders import mail
from tests.support.records import JANE, OWNER, PUBLIC

OWNERS = Owners(public_addresses=(PUBLIC,), thread_domain="thread.example.com", forward_to=(OWNER,))
THREAD = "c-00000001.0123456789@thread.example.com"


@pytest.mark.parametrize(
    ("sender", "reply_to", "reply_address"),
    [
        (JANE, "kim@customer.example", "kim@customer.example"),
        (JANE, f"{PUBLIC}, kim@customer.example", JANE),
        (f"{OWNER}, {JANE}", PUBLIC, None),
        (OWNER, "", None),
    ],
)
def test_a_reply_goes_to_the_first_reply_to_else_to_the_first_sender_if_neither_is_ours(
    sender: str, reply_to: str, reply_address: str | None
) -> None:
    assert OWNERS.reply_address(parse(mail(sender=sender, reply_to=reply_to))) == reply_address


def test_without_an_envelope_the_headers_name_the_recipients_of_each_function() -> None:
    tagged = "contact+fair@example.com"
    message = parse(mail(to=f"{JANE}, {tagged}, {THREAD}", cc="Contact@example.com"))

    assert OWNERS.header_recipients(message, "inbound") == (tagged, "Contact@example.com", PUBLIC)
    assert OWNERS.header_recipients(message, "reply") == (THREAD,)


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        (PUBLIC, True),
        ("Contact+Fair@example.com", True),
        (THREAD.upper(), True),
        ("jane@otherthread.example.com", False),
        (OWNER, False),
    ],
)
def test_the_public_addresses_and_all_of_the_thread_subdomain_are_ours(address: str, ours: bool) -> None:
    assert OWNERS.is_ours(address) is ours
