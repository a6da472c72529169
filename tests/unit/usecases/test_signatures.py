"""Signatures: each public address has its own, below the owner's words and above nothing else."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.conversations.records import SendState
from email_handler.conversations.signatures import MAX_LENGTH, load_signatures
from email_handler.conversations.thread_address import thread_address
from email_handler.errors import ConfigUnavailable
from email_handler.mail.html import html_text
from email_handler.mail.parsing import parse
from email_handler.outgoing.signature import below_html, below_text
from tests.support.builders import mail
from tests.support.world import OWNER, PUBLIC, THREAD, World, read

JANE = "jane@customer.example"
SIGNATURE = "Jo Example\nExample Ltd <b>\n+49 30 1234"
DOCUMENT = f'"{PUBLIC}" = """{SIGNATURE}"""\n'.encode()


def reply(document: bytes | None, **fields: object) -> tuple[str, str]:
    """Return text and HTML of the owner's reply as the contact gets it, with the signatures in *document*."""
    world = World()
    world.config.documents["signature"] = document
    world.arrive(mail())
    world.run()
    thread = thread_address(next(iter(world.records.conversations.values())), THREAD)
    given = {"sender": OWNER, "to": thread, "subject": "Re: Hello", "message_id": "<r@private.example>"}
    world.arrive(mail(**(given | fields)), to=thread)  # type: ignore[arg-type]
    sent = next(one for one in world.run() if JANE in one.recipients)
    assert all(item.state is SendState.SENT for item in world.records.ledger.values())
    message = parse(sent.raw)
    return message.text, message.html


def test_the_signature_stands_below_the_text_and_the_html() -> None:
    text, page = reply(DOCUMENT, text="Dear Jane\r\n", html="<html><body><p>Dear Jane</p></body></html>")

    assert text.replace("\r\n", "\n") == f"Dear Jane\n\n-- \n{SIGNATURE}\n"
    assert "Example Ltd &lt;b&gt;<br>" in page
    assert page.index("Dear Jane") < page.index("Jo Example") < page.index("</body>")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b'default = "All"', "All"),
        (b'default = "All"\n"contact@example.com" = "Own"', "Own"),
        (b'default = "All"\n"contact@example.com" = ""', ""),
        (b'"other@example.com" = "Other"', ""),
        (None, ""),
    ],
)
def test_each_public_address_has_its_own_or_the_default(document: bytes | None, expected: str) -> None:
    text, _ = reply(document, text="Dear Jane\r\n")

    assert text.replace("\r\n", "\n").strip() == "Dear Jane" + (f"\n\n-- \n{expected}" if expected else "")


@pytest.mark.parametrize(
    "document",
    [b"contact@example.com = 1", b"\xff\xfe", b'"contact@example.com" = 1', b'nobody = "x"', b"default = [1]"],
)
def test_a_bad_document_is_named_and_the_reply_leaves_without_it(document: bytes) -> None:
    text, _ = reply(document, text="Dear Jane\r\n")

    assert text.strip() == "Dear Jane"
    (problem,) = load_signatures(document).problems
    assert problem.startswith("signature: ")


def test_a_signature_that_is_too_long_is_left_out() -> None:
    assert load_signatures(f'default = "{"x" * (MAX_LENGTH + 1)}"'.encode()).texts == {}


def test_an_unreadable_document_delays_no_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.arrive(mail())
    world.run()
    thread = thread_address(next(iter(world.records.conversations.values())), THREAD)
    world.arrive(mail(sender=OWNER, to=thread, message_id="<r@private.example>"), to=thread)
    whole = world.config.read

    def unavailable(parameter: str) -> object:
        if parameter == "signature":
            raise ConfigUnavailable("no answer")
        return whole(parameter)

    monkeypatch.setattr(world.config, "read", unavailable)
    (sent,) = world.run()

    assert JANE in read(sent)["To"]


def test_a_private_address_in_a_signature_does_not_leave() -> None:
    text, page = reply(f'default = "Write to {OWNER}"'.encode(), text="Dear Jane\r\n", html="<p>Dear Jane</p>")

    assert "Write to" in text
    assert OWNER not in text + page


OWN = ("\n\n-- \n", "\n\n--\n", "\n\n", "\n")


@pytest.mark.parametrize("rule", OWN)
@pytest.mark.parametrize(
    "quoted", ["", "\n\nOn Mon, 2 Mar 2026 at 09:00, Jane Doe <jane@customer.example> wrote:\n> Hello\n"]
)
def test_the_owners_own_signature_is_not_repeated(rule: str, quoted: str) -> None:
    text = f"Dear Jane, here it is.{rule}Jo Example \nExample Ltd <b>\n+49 30 1234\n{quoted}"

    assert below_text(text, SIGNATURE, flowed=False) == text


def test_the_owners_own_signature_is_not_repeated_in_html() -> None:
    page = "<p>Dear Jane, here it is.</p><div>--&nbsp;<br>Jo Example<br>Example Ltd &lt;b&gt;<br>+49 30 1234</div>"

    assert below_html(page, SIGNATURE) == page


def test_the_same_signature_in_what_is_quoted_does_not_count() -> None:
    earlier = below_text("Earlier words", "Example Ltd", flowed=False)
    quoted = "\n".join(f"> {line}" for line in earlier.splitlines())
    text = f"New words\n\nOn Mon, 2 Mar 2026 at 09:00, Jane Doe <jane@customer.example> wrote:\n{quoted}\n"
    page = f"<p>New words</p><blockquote type='cite'>{below_html('<p>Earlier words</p>', 'Example Ltd')}</blockquote>"

    assert below_text(text, "Example Ltd", flowed=False).endswith("\n\n-- \nExample Ltd\n")
    assert html_text(below_html(page, "Example Ltd")).count("Example Ltd") == 2


def test_flowed_text_stays_readable_as_such() -> None:
    assert below_text("Words \nflow", "> a\n b", flowed=True) == "Words \nflow\n\n-- \n > a\n  b\n"


@given(st.text(max_size=80), st.text(min_size=1, max_size=40))
def test_whatever_the_owner_writes_is_still_there(words: str, signature: str) -> None:
    assert below_text(words, signature, flowed=False).startswith(words.rstrip())
    page = f"<p>{html.escape(words)}</p>"
    shown = " ".join(html_text(below_html(page, signature)).split())
    assert shown.startswith(" ".join(html_text(page).split()))


@given(st.binary(max_size=200))
def test_no_document_can_stop_a_reply(document: bytes) -> None:
    assert isinstance(load_signatures(document).of(PUBLIC), str)
