"""The three stages and the lists: which outcome, with which reasons, and nothing that text can talk them out of."""

import dataclasses

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.mail.addresses import Mailbox
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from email_handler.senders.authentication import SenderVerification, SesReceipt
from email_handler.spam.rules import RuleSet, builtin_rules, load_rules
from email_handler.spam.stages import Listed, assess_content, filter_message
from tests.support.builders import mail

OURS = (EmailAddress("contact@example.com"), EmailAddress("press@example.com"))
JANE = SenderVerification(address=EmailAddress("jane@customer.example"), reason="dmarc pass")
UNVERIFIED = SenderVerification(address=None, reason="dmarc fail")
RECEIPT = SesReceipt(
    id=ReceiptId("r1"),
    envelope_sender="jane@customer.example",
    recipients=(OURS[0],),
    spam="PASS",
    virus="PASS",
    spf="PASS",
    dkim="PASS",
    dmarc="PASS",
    dmarc_policy="",
)
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
def test_dmarc_holds_only_where_the_domain_asks_for_it(dmarc: str, policy: str, expected: Outcome) -> None:
    held = ("verdicts:dmarc",) if expected is Outcome.HOLD else ()

    assert outcome(receipt=received(dmarc=dmarc, dmarc_policy=policy)) == (expected, held)


@pytest.mark.parametrize("recipient", ["contact@example.com", "CONTACT@Example.COM", "contact+fair@example.com"])
def test_a_public_address_is_known_in_any_case_and_with_a_tag(recipient: str) -> None:
    assert outcome(receipt=received(recipients=("other@example.com", recipient))) == (Outcome.DELIVER, ())


@pytest.mark.parametrize(
    "recipient", ["sales@example.com", "contact@example.org", "xcontact@example.com", "contact", ""]
)
def test_mail_to_nobody_of_ours_is_dropped_with_a_reason(recipient: str) -> None:
    assert outcome(receipt=received(recipients=(recipient,))) == (Outcome.DROP, ("recipient:unknown-recipient",))


def test_a_lost_envelope_drops_nothing() -> None:
    assert outcome(receipt=received(recipients=()))[0] is Outcome.DELIVER


def test_patterns_sum_up_against_two_thresholds() -> None:
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


def test_an_allow_entry_counts_for_nothing_without_proof() -> None:
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


def test_a_search_that_reaches_a_limit_flags_the_message_and_says_so() -> None:
    stalling = parse(mail(subject="x" * 3000 + "! y"))

    found = assess_content(stalling, RULES)

    assert (found.outcome, [str(reason) for reason in found.reasons]) == (Outcome.FLAG, ["limit:greedy"])
    assert found.rules == ()


def test_a_limit_takes_no_rule_away() -> None:
    stalling = parse(mail(subject="x" * 3000 + "! y", text="Buy cheap watches and cheap pills\r\n"))

    assert assess_content(stalling, RULES).outcome is Outcome.HOLD


def test_a_file_of_stalling_rules_gives_up_early_and_flags() -> None:
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


def test_html_of_more_tags_than_are_read_flags_and_says_so() -> None:
    tags = "<b>" * 15_000
    padded = assess_content(dataclasses.replace(HAM, html=f"{tags}<p>Shall we meet?</p>{tags}"), RULES)

    assert padded.outcome is Outcome.FLAG
    assert [(reason.stage, reason.rule) for reason in padded.reasons] == [("limit", "html-tags")]


def test_tags_on_one_side_hide_nothing() -> None:
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


def test_what_html_shows_is_searched_even_beside_other_plain_text() -> None:
    html = "<p>che<!-- x -->ap <b>wat</b>ches</p><style>cheap pills</style>"

    assert assess_content(parse(mail(text="Hello\r\n", html=html)), RULES).rules == ("watches",)


def builtin_signals(message: Message, public_addresses: tuple[EmailAddress, ...] = OURS) -> set[str]:
    rules: RuleSet = builtin_rules()
    found = assess_content(message, rules, public_addresses=public_addresses)
    return {rule for rule in found.rules if rule in rules.signals}


def test_an_ordinary_mail_shows_no_signal() -> None:
    assert builtin_signals(HAM) == set()


@pytest.mark.parametrize(
    ("reply_to", "seen"),
    [
        ("jane@mail.customer.example", False),
        ("jane@gmail.test", True),
        ("x@gmail.test, jane@customer.example", False),
    ],
)
def test_a_reply_to_at_another_organisation_is_seen(reply_to: str, seen: bool) -> None:
    assert ("reply-to-elsewhere" in builtin_signals(parse(mail(reply_to=reply_to)))) is seen


@pytest.mark.parametrize(
    ("sender", "reply_to", "seen"),
    [
        ("jane@customer.example", "jane@gmail.com", True),
        ("jane@gmail.com", "jane.work@gmail.com", False),
        ("jane@customer.example", "jane@other.example", False),
    ],
)
def test_an_answer_wanted_at_a_free_mailbox_is_seen(sender: str, reply_to: str, seen: bool) -> None:
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
def test_an_address_of_ours_as_a_display_name_is_seen(
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


def test_a_mail_of_pictures_and_one_with_pictures_are_told_apart() -> None:
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
def test_a_program_is_known_by_its_first_bytes(content: bytes, seen: bool) -> None:
    message = parse(mail(attachments=[("invoice.pdf", "application/pdf", content)]))

    assert ("executable-content" in builtin_signals(message)) is seen
