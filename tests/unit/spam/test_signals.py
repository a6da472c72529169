"""The signals: what stage 3 sees besides patterns, and the ordinary messages that come close."""

import dataclasses

import pytest

from email_handler.identifiers import EmailAddress
from email_handler.mail.addresses import Mailbox
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from email_handler.spam import rules, signals
from email_handler.spam.rules import builtin_rules
from email_handler.spam.stages import assess_content
from tests.support.builders import mail

OURS = (EmailAddress("contact@example.com"), EmailAddress("press@example.com"))
HAM = parse(mail())


def test_every_signal_has_an_entry_and_a_function() -> None:
    assert set(builtin_rules().signals) == set(rules.SIGNALS) == set(signals.SIGNALS)
    assert builtin_rules().problems == ()


def builtin_signals(message: Message, public_addresses: tuple[EmailAddress, ...] = OURS) -> set[str]:
    rules = builtin_rules()
    found = assess_content(message, rules, public_addresses=public_addresses)
    return {rule for rule in found.rules if rule in rules.signals}


def test_an_ordinary_message_shows_no_signal() -> None:
    assert builtin_signals(HAM) == set()


@pytest.mark.parametrize(
    ("sender", "reply_to", "seen"),
    [
        ("jane@customer.example", "jane@gmail.com", True),
        ("jane@gmail.com", "jane.work@gmail.com", False),
        ("jane@customer.example", "jane@other.example", False),
    ],
)
def test_replies_to_a_free_mailbox_are_seen(sender: str, reply_to: str, seen: bool) -> None:
    assert ("reply-to-free-mail" in builtin_signals(parse(mail(sender=sender, reply_to=reply_to)))) is seen


@pytest.mark.parametrize(
    ("link", "seen"),
    [
        ('<a href="https://evil.test/x">our offer</a>', True),
        ('<a href="https://evil.test/x">our offer</a> <a href="https://www.customer.example/">home</a>', False),
        ('<a href="https://evil.test/x">evil.test/x</a>', False),
        ('<a href="https://shop.example.com/x">your table</a>', False),
        ('<a href="mailto:jane@evil.test">write</a>', False),
    ],
)
def test_links_that_all_lead_away_covertly_are_seen(link: str, seen: bool) -> None:
    assert ("links-lead-away" in builtin_signals(parse(mail(html=f"<p>Hello {link}</p>")))) is seen


@pytest.mark.parametrize(
    ("name", "address", "seen"),
    [
        ("contact@example.com", "x@evil.test", True),
        ("Mail for CONTACT@EXAMPLE.COM", "x@evil.test", True),
        ("contact@example.com", "contact@example.com", False),
        ("contact@example.com via fair", "contact+fair@example.com", False),
        ("jane@customer.example", "jane@customer.example", False),
    ],
)
@pytest.mark.parametrize("ours", [OURS, ()])
def test_a_public_address_in_a_display_name_is_seen(
    name: str, address: str, seen: bool, ours: tuple[EmailAddress, ...]
) -> None:
    sender = (Mailbox(name=name, address=EmailAddress(address)),)

    assert ("display-name-is-ours" in builtin_signals(dataclasses.replace(HAM, from_=sender), ours)) is seen


@pytest.mark.parametrize(
    ("link", "seen"),
    [
        ('<a href="https://evil.test/x">www.bank.example</a>', True),
        ('<a href="http://evil.test/x">https://login.bank.example/start</a>', True),
        ('<a href="https://bank.example@evil.test/">bank.example</a>', True),
        ('<a href="https://login.bank.example/">www.bank.example</a>', False),
        ('<a href="https://evil.test/x">our offer</a>', False),
        ('<a href="https://clicks.test/x">www.customer.example</a>', False),
        ('<a href="https://evil.test/x">file.txt and more words</a>', False),
        ('<a href="mailto:jane@customer.example">customer.example</a>', False),
        ('<a href="">bank.example</a>', False),
    ],
)
def test_a_link_that_shows_another_address_is_seen(link: str, seen: bool) -> None:
    message = parse(mail(html=f"<p>Hello, please look here: {link}</p>"))

    assert ("link-elsewhere" in builtin_signals(message)) is seen


def test_a_message_of_pictures_only_is_seen() -> None:
    picture = '<img src="https://pictures.test/1.png" width="600">'
    pixel = '<img src="https://pictures.test/1.png" width="1" height="1">'

    assert "all-image" in builtin_signals(parse(mail(html=picture)))
    assert "all-image" not in builtin_signals(parse(mail(html=pixel + "short")))
    assert "all-image" not in builtin_signals(parse(mail(html=picture + "<p>" + "a long letter " * 30)))


@pytest.mark.parametrize("style", ["display:none", "font-size: 0px", "visibility : hidden", "opacity:0"])
def test_hidden_text_is_seen_and_a_preview_line_is_not(style: str) -> None:
    def hidden(text: str) -> set[str]:
        return builtin_signals(parse(mail(html=f'<p>Hello</p><div style="color:red;{style}">{text}</div>')))

    assert "hidden-text" in hidden("the river ran past the mill " * 20)
    assert "hidden-text" not in hidden("the river ran past the mill")


@pytest.mark.parametrize(("content", "seen"), [(b"MZ\x90\x00...", True), (b"\x7fELF..", True), (b"%PDF-1.7", False)])
def test_a_program_is_recognised_by_its_first_bytes(content: bytes, seen: bool) -> None:
    message = parse(mail(attachments=[("invoice.pdf", "application/pdf", content)]))

    assert ("executable-content" in builtin_signals(message)) is seen
