"""Notices: what the owner learns about a reply that did not reach the contact."""

from dataclasses import replace
from email import message_from_bytes

import pytest

from email_handler.conversations.disposition import Reason
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Conversation
from email_handler.mail.html import html_text
from email_handler.mail.parsing import parse
from email_handler.outgoing.notice import RESPONSES, compose_notice
from email_handler.outgoing.pieces import Action
from tests.support.links import first_link
from tests.support.previews import preview
from tests.support.records import OWNER, PUBLIC, conversation, forward, message
from tests.support.ses_rules import problems

OWNERS = Owners(public_addresses=(PUBLIC,), thread_domain="thread.example.com", forward_to=(OWNER,))
HOSTILE = "Call +1 202 555 0123 or http://pay.example/x, pay@evil.example"
HELD = message(
    function="reply",
    subject="Re: Hello",
    reasons=(Reason(stage="owner", rule="leak", detail="private address in attachment 2 (application/pdf)"),),
)


@pytest.mark.parametrize("kind", NoticeKind)
@pytest.mark.parametrize("known", [conversation(), None])
def test_every_notice_is_an_automatic_email_to_the_owner(kind: NoticeKind, known: object) -> None:
    composed = compose_notice(kind, owners=OWNERS, record=HELD, conversation=known, item=forward())  # type: ignore[arg-type]

    raw = composed.raw
    sent = message_from_bytes(raw)
    assert problems(raw) == []
    assert not composed.held
    assert "<notices@thread.example.com>" in sent["From"]
    assert sent["To"] == PUBLIC
    assert sent["Auto-Submitted"] == "auto-generated"
    assert OWNER not in raw.decode()


def test_it_explains_what_happened_why_and_where() -> None:
    composed = compose_notice(NoticeKind.LEAK, owners=OWNERS, record=HELD, conversation=conversation(), item=forward())

    text = parse(composed.raw).text
    assert "was not sent" in text
    assert "private address in attachment 2 (application/pdf)" in text
    assert "Re: Hello" in text
    assert "email-handler why receipt-1" in text


def test_a_bounce_shows_recipient_and_status() -> None:
    bounce = message(feedback={"recipient": "jane@customer.example", "status": "5.1.1", "ses id": ""})

    composed = compose_notice(
        NoticeKind.BOUNCED, owners=OWNERS, record=bounce, conversation=conversation(), item=forward()
    )

    text = parse(composed.raw).text
    assert "To: jane at customer[.]example" in text
    assert "Why: The address does not exist (5.1.1)" in text


@pytest.mark.parametrize("kind", NoticeKind)
@pytest.mark.parametrize("known", [conversation(contact_name=HOSTILE, subject=HOSTILE), None])
def test_nothing_that_somebody_else_wrote_becomes_a_link(kind: NoticeKind, known: Conversation | None) -> None:
    hostile = HOSTILE
    about = message(
        subject=hostile,
        sender="pay@evil.example",
        sender_name=hostile,
        reasons=(Reason(stage="owner", rule="leak", detail=hostile),),
        changes=(hostile,),
        unchecked=(hostile,),
        feedback={"recipient": "pay@evil.example", "status": hostile},
    )
    notices = [
        compose_notice(kind, owners=OWNERS, record=about, conversation=known, item=replace(forward(), detail=detail))
        for detail in ((hostile,) if kind in RESPONSES else ("", hostile))
    ]

    for notice in (parse(composed.raw) for composed in notices):
        assert "evil[.]example" in notice.text or (kind is NoticeKind.REMINDER and known is None)
        for shown in (notice.subject, notice.text, html_text(notice.html)):
            assert first_link(shown.replace(conversation().id, "")) == ""


def test_it_joins_the_owners_thread() -> None:
    known = conversation(owner_subject="Hello there")

    composed = compose_notice(NoticeKind.LEAK, owners=OWNERS, record=HELD, conversation=known, item=forward())

    sent = message_from_bytes(composed.raw)
    assert sent["Subject"] == "Re: Hello there"
    assert sent["References"].startswith(f"<{known.id}.o@example.com>")


def test_a_subject_with_markup_is_shown_as_text() -> None:
    composed = compose_notice(
        NoticeKind.NOT_VERIFIED,
        owners=OWNERS,
        record=message(subject="<script>x</script>"),
        conversation=None,
        item=forward(),
    )

    assert "<script>" not in parse(composed.raw).html


def test_text_and_html_say_the_same_and_a_list_of_messages_what_happened() -> None:
    for kind in NoticeKind:
        raw = compose_notice(kind, owners=OWNERS, record=HELD, conversation=None, item=forward()).raw

        sent = parse(raw)
        shown = html_text(sent.html)
        facts = [part for line in sent.text.splitlines() if line for part in line.split(": ", 1)]
        assert [fact for fact in facts if fact not in shown] == []
        assert preview(sent.html) in " ".join(sent.text.split())


def test_a_bounce_names_who_did_not_get_the_reply() -> None:
    known = conversation(contact_name="Jane Doe")

    raw = compose_notice(NoticeKind.BOUNCED, owners=OWNERS, record=HELD, conversation=known, item=forward()).raw

    assert parse(raw).text.startswith("Your email to Jane Doe did not arrive\n")


def test_actions_stand_at_the_end_and_without_any_there_is_no_link() -> None:
    close = (Action("Close", "mailto:c-1.a+close@thread.example.com"),)

    with_action, without = (
        parse(
            compose_notice(
                NoticeKind.LEAK, owners=OWNERS, record=HELD, conversation=None, item=forward(), actions=actions
            ).raw
        )
        for actions in (close, ())
    )

    assert "\n\nClose: mailto:c-1.a+close@thread.example.com\n\n" in with_action.text
    assert 'href="mailto:c-1.a+close@thread.example.com"' in with_action.html
    assert "<a " not in without.html
