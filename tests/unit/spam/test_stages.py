"""The three stages and the lists: the outcome and its reasons, and that no text can get around them."""

import dataclasses
import itertools

import pytest

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.identifiers import EmailAddress
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from email_handler.senders.authentication import SenderVerification, SesReceipt
from email_handler.spam import stages
from email_handler.spam.rules import load_rules
from email_handler.spam.stages import Listed, assess_content, filter_message, outcome_of
from tests.support.builders import mail
from tests.support.records import passed_receipt

OURS = (EmailAddress("contact@example.com"), EmailAddress("press@example.com"))
JANE = SenderVerification(address=EmailAddress("jane@customer.example"), reason="dmarc pass")
UNVERIFIED = SenderVerification(address=None, reason="dmarc fail")
RECEIPT = passed_receipt()
RULES = load_rules(
    b"""
[thresholds]
flag = 5
hold = 10
[[rule]]
id = "watches"
field = "text"
weight = 5
purpose = "sells watches"
pattern = 'cheap watches'
[[rule]]
id = "pills"
field = "text"
weight = 5.5
purpose = "sells pills"
pattern = 'cheap pills'
[[rule]]
id = "greedy"
field = "subject"
weight = 1
purpose = "backtracks without bound"
pattern = '(x+)+y'
""",
    "test",
)
HAM = parse(mail())
FLAGGED = parse(mail(text="Buy cheap watches\r\n"))
SPAM = parse(mail(text="Buy cheap watches and cheap pills\r\n"))


def received(**changes: object) -> SesReceipt:
    return dataclasses.replace(RECEIPT, **changes)  # type: ignore[arg-type] # parametrized fields


def outcome(
    message: Message = HAM, receipt: SesReceipt = RECEIPT, verification: SenderVerification = JANE, listed: Listed = ""
) -> tuple[Outcome, tuple[str, ...]]:
    found = filter_message(message, receipt, verification, RULES, public_addresses=OURS, listed=listed)
    return found.outcome, tuple(map(str, found.reasons))


@pytest.mark.parametrize(
    ("name", "value", "expected", "reason"),
    [
        ("virus", "FAIL", Outcome.HOLD, "verdicts:virus"),
        ("virus", "GRAY", Outcome.FLAG, "verdicts:virus-unsure"),
        ("virus", "PROCESSING_FAILED", Outcome.FLAG, "verdicts:virus-scan-failed"),
        ("virus", "SOMETHING_NEW", Outcome.FLAG, "verdicts:virus-scan-failed"),
        ("virus", "DISABLED", Outcome.DELIVER, "verdicts:virus-unscanned"),
        ("virus", "", Outcome.DELIVER, "verdicts:virus-unscanned"),
        ("spam", "FAIL", Outcome.HOLD, "verdicts:spam"),
        ("spam", "GRAY", Outcome.FLAG, "verdicts:spam-unsure"),
        ("spam", "PROCESSING_FAILED", Outcome.DELIVER, "verdicts:spam-scan-failed"),
        ("spam", "SOMETHING_NEW", Outcome.DELIVER, "verdicts:spam-scan-failed"),
        ("spam", "DISABLED", Outcome.DELIVER, "verdicts:spam-unscanned"),
        ("spam", "", Outcome.DELIVER, "verdicts:spam-unscanned"),
    ],
)
def test_each_scan_verdict_has_its_outcome_and_reason(name: str, value: str, expected: Outcome, reason: str) -> None:
    assert outcome(receipt=received(**{name: value})) == (expected, (reason,))


@pytest.mark.parametrize(
    ("dmarc", "policy", "expected"),
    [
        ("FAIL", "reject", Outcome.HOLD),
        ("FAIL", "QUARANTINE", Outcome.HOLD),
        ("FAIL", "none", Outcome.DELIVER),
        ("FAIL", "", Outcome.DELIVER),
        ("GRAY", "", Outcome.DELIVER),
        ("PASS", "reject", Outcome.DELIVER),
        ("PROCESSING_FAILED", "", Outcome.DELIVER),
        ("DISABLED", "", Outcome.DELIVER),
        ("", "", Outcome.DELIVER),
    ],
)
def test_dmarc_holds_only_if_the_domain_asks_for_it(dmarc: str, policy: str, expected: Outcome) -> None:
    held = ("verdicts:dmarc",) if expected is Outcome.HOLD else ()

    assert outcome(receipt=received(dmarc=dmarc, dmarc_policy=policy)) == (expected, held)


@pytest.mark.parametrize("recipient", ["contact@example.com", "CONTACT@Example.COM", "contact+fair@example.com"])
def test_a_public_address_is_known_in_any_case_and_with_a_tag(recipient: str) -> None:
    assert outcome(receipt=received(recipients=("other@example.com", recipient))) == (Outcome.DELIVER, ())


@pytest.mark.parametrize(
    "recipient", ["sales@example.com", "contact@example.org", "xcontact@example.com", "contact", ""]
)
def test_a_message_to_no_public_address_is_dropped_with_a_reason(recipient: str) -> None:
    assert outcome(receipt=received(recipients=(recipient,))) == (Outcome.DROP, ("recipient:unknown-recipient",))


def test_a_message_without_a_known_envelope_is_not_dropped() -> None:
    assert outcome(receipt=received(recipients=()))[0] is Outcome.DELIVER


def test_the_sum_of_weights_is_compared_with_two_thresholds() -> None:
    assert outcome(FLAGGED) == (Outcome.FLAG, ("patterns:watches",))
    assert outcome(SPAM) == (Outcome.HOLD, ("patterns:watches", "patterns:pills"))

    content = assess_content(SPAM, RULES)

    assert (content.score, content.rules, content.rules_version) == (10.5, ("watches", "pills"), "test")
    assert [reason.detail for reason in content.reasons] == ["sells watches", "sells pills"]


def test_the_gravest_outcome_wins_and_every_reason_is_kept() -> None:
    assert outcome(FLAGGED, received(spam="FAIL", recipients=("x@example.org",))) == (
        Outcome.DROP,
        ("verdicts:spam", "recipient:unknown-recipient", "patterns:watches"),
    )


@pytest.mark.parametrize("spam", ["FAIL", "GRAY", "PASS"])
def test_an_allowed_and_verified_sender_passes_the_spam_verdict_and_the_patterns(spam: str) -> None:
    found, reasons = outcome(SPAM, received(spam=spam), listed="allow")

    assert found is Outcome.DELIVER
    assert "list:allowed" in reasons
    assert "patterns:watches" in reasons


def test_an_allow_entry_does_not_count_for_an_unverified_sender() -> None:
    assert outcome(SPAM, verification=UNVERIFIED, listed="allow") == (
        Outcome.HOLD,
        ("list:allowed-but-unverified", "patterns:watches", "patterns:pills"),
    )
    assert outcome(HAM, received(spam="FAIL"), UNVERIFIED, "allow")[0] is Outcome.HOLD


@pytest.mark.parametrize(("virus", "expected"), [("FAIL", Outcome.HOLD), ("GRAY", Outcome.FLAG), ("ODD", Outcome.FLAG)])
def test_an_allow_entry_never_passes_a_virus_verdict(virus: str, expected: Outcome) -> None:
    assert outcome(HAM, received(virus=virus), listed="allow")[0] is expected


@pytest.mark.parametrize("verification", [JANE, UNVERIFIED])
def test_a_block_entry_holds_verified_or_not(verification: SenderVerification) -> None:
    assert outcome(verification=verification, listed="block") == (Outcome.HOLD, ("list:blocked",))


VERDICTS = ("PASS", "FAIL", "GRAY", "PROCESSING_FAILED", "DISABLED", "SOMETHING_NEW", "")
LISTS: tuple[Listed, ...] = ("", "allow", "block")


def test_the_recorded_reasons_give_the_same_outcome_again() -> None:
    """Of every combination that stages 1 and 2, the lists and caution can meet; together they give every rule of the table."""
    rules = set()
    for virus, spam, dmarc, recipient, verification, listed, message, cautious in itertools.product(
        VERDICTS,
        VERDICTS,
        ("PASS", "FAIL"),
        (OURS[0], "x@example.org"),
        (JANE, UNVERIFIED),
        LISTS,
        (HAM, SPAM),
        (False, True),
    ):
        receipt = received(virus=virus, spam=spam, dmarc=dmarc, dmarc_policy="reject", recipients=(recipient,))
        found = filter_message(
            message, receipt, verification, RULES, public_addresses=OURS, listed=listed, cautious=cautious
        )
        by_content = Outcome.HOLD if message is SPAM else Outcome.DELIVER

        assert outcome_of(found.reasons, by_content) is found.outcome
        assert all(reason.detail for reason in found.reasons)
        rules |= {(reason.stage, reason.rule) for reason in found.reasons if reason.stage != "patterns"}

    assert rules == set(stages._RULES)


def test_recorded_reasons_of_other_stages_do_not_count() -> None:
    reasons = (Reason(stage="owner", rule="blocked"), Reason(stage="patterns", rule="virus"))

    assert outcome_of(reasons, Outcome.FLAG) is Outcome.FLAG


def test_a_search_that_reaches_a_limit_flags_the_message_with_a_reason() -> None:
    stalling = parse(mail(subject="x" * 3000 + "! y"))

    found = assess_content(stalling, RULES)

    assert (found.outcome, [str(reason) for reason in found.reasons]) == (Outcome.FLAG, ["limit:greedy"])
    assert found.rules == ()


def test_the_other_rules_still_count_after_a_limit() -> None:
    stalling = parse(mail(subject="x" * 3000 + "! y", text="Buy cheap watches and cheap pills\r\n"))

    assert assess_content(stalling, RULES).outcome is Outcome.HOLD


def test_with_only_stalling_rules_the_search_stops_early_and_the_message_is_flagged() -> None:
    rule = "[[rule]]\nid = 'r{0}'\nfield = 'text'\nweight = 1\npurpose = 'stalls'\npattern = '(x+)+y{0}?y'\n"
    hostile = load_rules("".join(rule.format(n) for n in range(500)).encode(), "hostile")

    found = assess_content(parse(mail(text="x" * 3000 + "! y\r\n")), hostile)

    assert found.outcome is Outcome.FLAG
    assert len(found.reasons) == 6


@pytest.mark.parametrize("where", ["before", "behind", "on both sides", "in another part"])
@pytest.mark.parametrize("spam", [FLAGGED, SPAM])
def test_padding_with_plain_words_changes_no_outcome(spam: Message, where: str) -> None:
    words = "the garden was green and the river ran slowly past the old mill " * 800
    texts = {
        "before": words + spam.text,
        "behind": spam.text + words,
        "on both sides": words + spam.text + words,
        "in another part": words,
    }
    html = f"<p>{spam.text}</p>" if where == "in another part" else ""

    padded = assess_content(dataclasses.replace(spam, text=texts[where], html=html), RULES)

    assert (padded.outcome, padded.score) == (assess_content(spam, RULES).outcome, assess_content(spam, RULES).score)


def test_html_of_more_tags_than_are_read_flags_with_a_reason() -> None:
    tags = "<b>" * 15_000
    padded = assess_content(dataclasses.replace(HAM, html=f"{tags}<p>Shall we meet?</p>{tags}"), RULES)

    assert padded.outcome is Outcome.FLAG
    assert [(reason.stage, reason.rule) for reason in padded.reasons] == [("limit", "html-tags")]


def test_many_tags_on_one_side_hide_nothing() -> None:
    tags, spam = "<b>" * 30_000, f"<p>{SPAM.text}</p>"

    for html in (tags + spam, spam + tags):
        assert assess_content(dataclasses.replace(SPAM, text="", html=html), RULES).outcome is Outcome.HOLD


@pytest.mark.parametrize(
    "text",
    [
        "ch&#101;ap watch&eacute;s",
        "che\u200bap wat\u00adches",
        "\u0441heap w\u0430t\u0441h\u0435s",  # Cyrillic letters among the Latin ones
        "c h e a p   w a t c h e s",
        "c.h.e.a.p w-a-t-c-h-e-s",
        "ch3ap w@tch3s",
        "\uff43\uff48\uff45\uff41\uff50 \U0001d430\U0001d41a\U0001d42d\U0001d41c\U0001d421\U0001d41e\U0001d42c",
        "cheap\r\n\t watches",
        "chéap wätches",
    ],
)
def test_disguised_words_are_seen(text: str) -> None:
    assert assess_content(dataclasses.replace(HAM, text=text), RULES).rules == ("watches",)


def test_the_text_that_html_shows_is_searched_beside_a_different_plain_text() -> None:
    html = "<p>che<!-- x -->ap <b>wat</b>ches</p><style>cheap pills</style>"

    assert assess_content(parse(mail(text="Hello\r\n", html=html)), RULES).rules == ("watches",)
