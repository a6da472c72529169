"""The digest: who wrote, how it begins, why it was held, and what to do, in text and HTML alike."""

from dataclasses import asdict, replace
from email import message_from_bytes

from email_handler.conversations.disposition import Reason
from email_handler.conversations.owners import Owners
from email_handler.mail.html import html_text
from email_handler.mail.parsing import parse
from email_handler.outgoing.digest import MAX_ENTRIES, Digest, HeldEntry, compose_digest
from tests.support.links import first_link
from tests.support.previews import preview
from tests.support.records import OWNER, PUBLIC, forward, message
from tests.support.ses_rules import problems

OWNERS = Owners(public_addresses=(PUBLIC,), thread_domain="thread.example.com", forward_to=(OWNER,))
REASONS = (
    Reason(stage="verdicts", rule="spam-unscanned", detail="SES did not scan for spam"),
    Reason(stage="patterns", rule="link-elsewhere", weight=1, detail="shows one web address and links to another"),
    Reason(stage="patterns", rule="seo-offer", weight=4, detail="offers search engine optimisation"),
)
HELD = message(
    sender="growth@boost.example", sender_name="SEO Team", subject="First page", verified=False, reasons=REASONS,
    snippet="We came across www.shop.example and found errors.", score=5.0,
)  # fmt: skip


def composed(*entries: HeldEntry, count: int = 0) -> bytes:
    """Return the digest of *entries*, the latest of *count*."""
    return compose_digest(Digest(count=count or len(entries), entries=entries), owners=OWNERS, item=forward()).raw


def test_each_message_is_told_with_all_that_the_owner_needs_to_decide() -> None:
    raw = composed(HeldEntry.of(HELD, releasable=True))

    sent = parse(raw)
    assert problems(raw) == []
    assert sent.text.splitlines() == [
        "1 message was held", "",
        "If that is right, there is nothing to do. Each is kept for 90 days.", "",
        "First page",
        f"  SEO Team (growth at boost[.]example), not verified · {HELD.at.day} {HELD.at:%B, %H:%M} UTC",
        "  We came across www[.]shop[.]example and found errors.",
        "  Held: offers search engine optimisation; shows one web address and links to another",
        "  To release it: email-handler held release receipt-1 --function inbound",
    ]  # fmt: skip
    assert preview(sent.html) == "From SEO Team"
    shown = html_text(sent.html)
    assert [line for line in sent.text.splitlines() if line.strip() not in shown] == []
    assert first_link(shown) == ""


def test_no_score_and_no_id_of_a_rule_is_shown() -> None:
    sent = parse(composed(HeldEntry.of(HELD, releasable=True)))

    for hidden in ("seo-offer", "patterns", "score", "5.0", "SES"):
        assert hidden not in sent.text + html_text(sent.html)


def test_the_actions_of_a_message_stand_below_it() -> None:
    sent = parse(composed(HeldEntry.of(replace(HELD, token="0123456789"), releasable=True)))
    address = "receipt-1.0123456789+release@thread.example.com"

    *_, release, keep = sent.text.rstrip().splitlines()
    assert release.startswith(f"  Release: mailto:{address}?subject=")
    assert keep.startswith("  Keep it held: mailto:receipt-1.0123456789+confirm@thread.example.com?subject=")
    assert f'href="mailto:{address}?' in sent.html
    assert "held release" not in sent.text
    assert "<a " not in parse(composed(HeldEntry.of(HELD, releasable=True))).html


def test_what_cannot_be_released_has_no_command() -> None:
    sent = parse(composed(HeldEntry.of(HELD, releasable=False)))

    assert "held release" not in sent.text
    assert "If you wrote it, send it again." in sent.text


def test_many_messages_are_counted() -> None:
    raw = composed(*[HeldEntry.of(HELD, releasable=True)] * MAX_ENTRIES, count=MAX_ENTRIES + 3)

    assert message_from_bytes(raw)["Subject"] == f"{MAX_ENTRIES + 3} messages were held"
    assert parse(raw).text.rstrip().endswith("And 3 more: email-handler held list")


def test_a_digest_that_was_queued_by_an_earlier_version_is_sent() -> None:
    earlier = asdict(HeldEntry.of(HELD, releasable=True))
    del earlier["snippet"], earlier["releasable"]

    sent = parse(composed(HeldEntry(**earlier)))

    assert "First page" in sent.text
