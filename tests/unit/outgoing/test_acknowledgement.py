"""The acknowledgement is marked as automatic and quotes nothing of the contact's text."""

from email import message_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.mail.parsing import parse
from email_handler.outgoing.acknowledgement import compose_acknowledgement
from tests.support.compositions import CONTACT, PRIVATE, THREADING, acknowledgement_context
from tests.support.ses_rules import problems


def test_its_headers_mark_it_as_automatic() -> None:
    message = message_from_bytes(compose_acknowledgement(acknowledgement_context()).raw)

    assert message["From"] == '"Example Desk" <contact@example.com>'
    assert message["To"] == CONTACT
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["X-Auto-Response-Suppress"] == "DR, RN, NRN, OOF, AutoReply"
    assert message["Precedence"] == "bulk"
    assert message["In-Reply-To"] == "<first@customer.example>"
    assert message.get_content_type() == "multipart/alternative"


def test_values_are_filled_in_and_escaped_in_html() -> None:
    context = acknowledgement_context(
        text_template="$name $subject $public_address $display_name $unknown $$ 5$",
        html_template="<p>$name $subject</p>",
        name="<b>Jane</b> & co",
        threading=type(THREADING)(subject='Re: "<script>"', in_reply_to="", references=()),
    )

    sent = parse(compose_acknowledgement(context).raw)

    assert sent.text == ('<b>Jane</b> & co Re: "<script>" contact@example.com Example Desk $unknown $ 5$')
    assert sent.html == "<p>&lt;b&gt;Jane&lt;/b&gt; &amp; co Re: &quot;&lt;script&gt;&quot;</p>"


@pytest.mark.parametrize("template", [f"Write to {PRIVATE}", "I am Rumpelstiltskin", "c-1.abc@thread.example.com"])
def test_an_acknowledgement_is_held_if_its_template_reveals_the_owner(template: str) -> None:
    composed = compose_acknowledgement(acknowledgement_context(text_template=template))

    assert composed.held


@given(st.text(max_size=300), st.text(max_size=300))
def test_ses_accepts_the_acknowledgement_for_any_name_and_subject(name: str, subject: str) -> None:
    threading = type(THREADING)(subject=subject, in_reply_to="a@b.example", references=("r@example.com", "a@b.example"))

    composed = compose_acknowledgement(acknowledgement_context(name=name, threading=threading))

    assert problems(composed.raw) == []
