"""Sender verification, with every known way to forge it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.mail.parsing import parse
from email_handler.senders.authentication import (
    SenderVerification,
    SesReceipt,
    added_recipients,
    receipt_from_message,
    verify_sender,
)
from tests.support.records import passed_receipt

SES_DKIM = "amazonses.com; dkim=pass header.i=@customer.example;"
SES_TOP = (
    "Return-Path: <jane@customer.example>\r\n"
    "Received: from mx.customer.example (mx.customer.example [192.0.2.7])\r\n"
    " by inbound-smtp.us-east-1.amazonaws.com with SMTP id abc123\r\n"
    " for Contact+Fair@EXAMPLE.com;\r\n Mon, 02 Mar 2026 09:00:00 +0000 (UTC)\r\n"
    "X-SES-Spam-Verdict: PASS\r\nX-SES-Virus-Verdict: PASS\r\n"
    "Received-SPF: pass (spfCheck: domain of customer.example designates 192.0.2.7 as permitted sender)\r\n"
    "Authentication-Results: amazonses.com;\r\n"
    " spf=pass (spfCheck: domain of customer.example designates 192.0.2.7 as permitted sender)"
    " client-ip=192.0.2.7; envelope-from=jane@customer.example; helo=mx.customer.example;\r\n"
    " dkim=pass header.i=@customer.example;\r\n"
    " dmarc=pass header.from=customer.example;\r\n"
    "X-SES-RECEIPT: AEFB\r\nX-SES-DKIM-SIGNATURE: a=rsa-sha256; d=amazonses.com; b=x\r\n"
)
SENT = "Received: by mx.customer.example; Mon, 02 Mar 2026 08:59:00 +0000\r\nFrom: Jane <jane@customer.example>\r\n"


def receipt(*, dmarc: str = "GRAY", envelope_sender: str = "jane@customer.example") -> SesReceipt:
    return passed_receipt(dmarc=dmarc, envelope_sender=envelope_sender)


def verification(header: str, **verdicts: str) -> tuple[str | None, str]:
    found = verify_sender(parse(header.encode() + b"\r\nHello\r\n"), receipt(**verdicts))
    return found.address, found.reason


def results(field: str, sender: str = "Jane <jane@customer.example>") -> str:
    return f"Authentication-Results: {field}\r\nFrom: {sender}\r\n"


VERIFIED = EmailAddress("jane@customer.example")


@pytest.mark.parametrize(
    "results_of",
    [
        "",
        "dmarc=pass;",
        "dmarc=pass header.from=mail.customer.example;",
        "dmarc=none header.from=evil.example; dmarc=pass header.from=customer.example;",
    ],
)
def test_dmarc_pass_verifies_the_one_address_of_the_one_from_field(results_of: str) -> None:
    assert verification(results(f"amazonses.com; {results_of}"), dmarc="PASS") == (VERIFIED, "dmarc pass")


@pytest.mark.parametrize(
    ("address", "reason", "suffices"),
    [
        (VERIFIED, "dmarc pass", True),
        (VERIFIED, "dkim aligned", True),
        (VERIFIED, "spf aligned", False),
        (None, "dmarc fail", False),
    ],
)
def test_for_an_owner_spf_alone_does_not_suffice(address: EmailAddress | None, reason: str, suffices: bool) -> None:
    assert SenderVerification(address=address, reason=reason).suffices_for_owner is suffices


def test_a_verified_address_is_in_lower_case() -> None:
    header = "From: Jane <Jane.Doe@Customer.example>\r\n"

    assert verification(header, dmarc="PASS") == ("jane.doe@customer.example", "dmarc pass")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Subject: hi\r\n", "no From field"),
        ("From: jane@customer.example\r\nFrom: jane@customer.example\r\n", "several From fields"),
        ("From: jane@customer.example, owner@example.net\r\n", "several From addresses"),
        ("From: Jane\r\n", "no From address"),
        ("From: undisclosed:;\r\n", "no From address"),
        ("From: jane@localhost\r\n", "malformed From address"),
        ("From: jane@customer.example/x\r\n", "malformed From address"),
        ("From: jane@[192.0.2.7]\r\n", "malformed From address"),
        ("From: jane@stra\u00dfe.example\r\n", "malformed From address"),
        ("From: jane@STRA\u1e9eE.example\r\n", "malformed From address"),
        ("From: jane@\u03bb\u03cc\u03b3\u03bf\u03c2.example\r\n", "malformed From address"),
    ],
)
def test_odd_from_fields_are_not_verified_even_by_dmarc_pass(header: str, reason: str) -> None:
    assert verification(header, dmarc="PASS") == (None, reason)


@pytest.mark.parametrize("many", ["X: y\r\n" * 1000, f"X: {'y' * 900}\r\n" * 600])
def test_a_header_with_more_fields_than_are_read_is_not_verified(many: str) -> None:
    header = f"From: {VERIFIED}\r\n{many}From: somebody@elsewhere.example\r\n"

    assert verification(header, dmarc="PASS") == (None, "header fields left out")


@pytest.mark.parametrize(("length", "verified"), [(4000, True), (4001, False), (5000, False)])
@pytest.mark.parametrize("name", ["From", "from"])
def test_an_overlong_from_field_is_not_verified(name: str, length: int, verified: bool) -> None:
    field = f"<{VERIFIED}>".rjust(length, "x")

    assert (verification(f"{name}: {field}\r\n", dmarc="PASS")[0] is not None) is verified


def test_other_fields_may_be_long() -> None:
    assert verification(f"From: {VERIFIED}\r\nSubject: {'x' * 5000}\r\n", dmarc="PASS")[0] == VERIFIED


def test_dmarc_fail_outweighs_an_aligned_signature() -> None:
    assert verification(results(SES_DKIM), dmarc="FAIL") == (None, "dmarc fail")


@pytest.mark.parametrize(
    "results_of",
    [
        "dmarc=pass header.from=evil.example;",
        "dmarc=pass header.from=customer.example; dmarc=pass header.from=evil.example;",
    ],
)
def test_dmarc_pass_for_another_domain_does_not_verify(results_of: str) -> None:
    """SES and we read one odd From field differently: it judged the attacker's address, we would show the owner's."""
    header = results(f"amazonses.com; {results_of}")

    assert verification(header, dmarc="PASS") == (None, "dmarc pass for another domain")


@pytest.mark.parametrize("dmarc", ["GRAY", "PROCESSING_FAILED", "DISABLED", ""])
def test_without_a_dmarc_verdict_an_aligned_signature_verifies(dmarc: str) -> None:
    assert verification(results(SES_DKIM), dmarc=dmarc) == ("jane@customer.example", "dkim aligned")


@pytest.mark.parametrize(
    "field",
    [
        "amazonses.com; dkim=pass header.d=customer.example",
        "amazonses.com; dkim=pass header.i=@mail.customer.example header.s=sel1;",
        "AmazonSES.com; DKIM=Pass Header.I=@CUSTOMER.example;",
        "amazonses.com 1; dkim/1=pass (good; signature) header.i=@customer.example header.b=abc=",
        'amazonses.com; dkim=fail header.i=@evil.example; dkim=pass header.i="jane;x"@customer.example;',
        "amazonses.com; dkim=pass header.i=@evil.example; dkim=pass header.i=@customer.example;",
        'amazonses.com; dkim=pass header.i="x@evil.example"@customer.example;',
        'amazonses.com; dkim=pass header.d="cust\\omer.example";',
        "amazonses.com;\tdkim=pass\theader.i=@customer.example",
        "amazonses.com; dkim=pass (a \\x (nested) comment) header.i=@customer.example;",
        "amazonses.com; dkim=pass header.i=@customer.example; x".ljust(4000, "x"),
    ],
)
def test_an_aligned_dkim_pass_is_read_whatever_is_around_it(field: str) -> None:
    assert verification(results(field)) == ("jane@customer.example", "dkim aligned")


@pytest.mark.parametrize(
    "field",
    [
        "amazonses.com; dkim=pass header.i=@evil.example;",
        "amazonses.com; dkim=fail header.i=@customer.example;",
        "amazonses.com; dkim=pass;",
        "amazonses.com; dkim=pass header.i=@customer.example.evil.example;",
        "amazonses.com; dkim=pass header.i=@notcustomer.example;",
        "amazonses.com; dkim=pass header.d=evil.example header.i=@customer.example;",
        "amazonses.com; dkim=pass header.i=@customer.example header.i=@evil.example;",
        "amazonses.com; dkim=pass header.i=@evil.example header.i=@customer.example;",
        "amazonses.com; dkim=pass header.i=@evil.example Header.I=@customer.example;",
        "amazonses.com; dkim=pass header.d=customer.example header.i=@evil.example;",
        "amazonses.com; dkim=pass odd header.i=@customer.example;",
        "amazonses.com; dkim=pass header.i=@customer.example odd;",
        "amazonses.com; dkim=pass header.i=@customer.example\\ ;",
        'amazonses.com; dkim=pass header.i="@customer.example"@evil.example;',
        "amazonses.com; dkim=pass (header.i=@customer.example) header.i=@evil.example;",
        'amazonses.com; x=none reason="; dkim=pass header.i=@customer.example;"',
        "amazonses.com; x=none (a (nested; dkim=pass header.i=@customer.example;) one)",
        "amazonses.com; x=none (a (nested) one; dkim=pass header.i=@customer.example;)",
        'amazonses.com; x="escaped \\"; dkim=pass header.i=@customer.example; \\" quotes"',
        "amazonses.com; x=none (escaped \\); dkim=pass header.i=@customer.example; \\( parentheses)",
        "amazonses.com; x=none (never closed; dkim=pass header.i=@customer.example;",
        'amazonses.com; x="never closed; dkim=pass header.i=@customer.example;',
        "amazonses.com; dkim=pass header.i=@customer.example; x=none (never closed",
        'amazonses.com; dkim=pass header.i=@customer.example; x="never closed',
        "amazonses.com; dkim=none; dmarc=pass header.from=customer.example;",
        "amazonses.com; notdkim=pass header.i=@customer.example;",
        "mx.evil.example; dkim=pass header.i=@customer.example;",
        "amazonses.com.evil.example; dkim=pass header.i=@customer.example;",
        "evil-amazonses.com; dkim=pass header.i=@customer.example;",
        "dkim=pass header.i=@customer.example;",
        "; dkim=pass header.i=@customer.example;",
        "",
        "amazonses.com; dkim=pass header.i=@customer.example; x".ljust(4001, "x"),
        f"amazonses.com; x=none{' ' * 5000}; dkim=pass header.i=@customer.example;",
    ],
)
def test_anything_but_a_statement_of_ses_that_this_domain_signed_does_not_verify(field: str) -> None:
    assert verification(results(field))[0] is None


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("amazonses.com; dkim=none;", "nothing aligned"),
        ("amazonses.com;", "no results of SES"),
        ("mx.evil.example; dkim=pass;", "no results of SES"),
    ],
)
def test_the_reason_shows_whether_ses_gave_results(field: str, reason: str) -> None:
    assert verification(results(field)) == (None, reason)


def test_domains_are_compared_in_ascii() -> None:
    header = results("amazonses.com; dkim=pass header.d=xn--bcher-kva.example;", "jane@bücher.example")

    assert verification(header) == ("jane@bücher.example", "dkim aligned")


def test_only_the_topmost_results_are_from_ses() -> None:
    forged = f"Authentication-Results: {SES_DKIM}\r\n"
    own = "Authentication-Results: amazonses.com; dkim=pass header.i=@evil.example;\r\n"

    assert verification(own + forged + "From: jane@customer.example\r\n")[0] is None
    assert verification(forged + own + "From: jane@customer.example\r\n")[0] == "jane@customer.example"


RECEIVED = "Received: by inbound-smtp.us-east-1.amazonaws.com; Mon, 02 Mar 2026 09:00:00 +0000\r\n"


@pytest.mark.parametrize("end", ["X-SES-RECEIPT: AEFB\r\n", "x-ses-dkim-signature: a=rsa-sha256\r\n", RECEIVED])
def test_results_below_the_block_of_ses_came_with_the_message(end: str) -> None:
    """SES ends its block with X-SES-RECEIPT and writes one Received. If it gave no results, none count."""
    forged = f"Authentication-Results: {SES_DKIM}\r\n"

    assert verification(RECEIVED + end + forged + SENT) == (None, "no results of SES")
    assert verification(RECEIVED + forged + end + SENT)[0] == VERIFIED


@pytest.mark.parametrize(
    ("field", "envelope_sender", "verified"),
    [
        (
            "spf=pass client-ip=192.0.2.7; envelope-from=b@bounce.customer.example; helo=x;",
            "b@bounce.customer.example",
            True,
        ),
        ("spf=pass smtp.mailfrom=customer.example;", "b@customer.example", True),
        ("spf=pass client-ip=192.0.2.7;", "b@customer.example", True),
        ("SPF=Pass; envelope-from=B@Customer.example;", "b@CUSTOMER.example", True),
        ("spf=pass client-ip=192.0.2.7;", "b@evil.example", False),
        ("spf=pass client-ip=192.0.2.7;", "", False),
        ("spf=softfail client-ip=192.0.2.7;", "b@customer.example", False),
        ("spf=pass; envelope-from=b@evil.example;", "b@customer.example", False),
        ("spf=pass; envelope-from=b@mail.customer.example;", "b@customer.example", False),
        ("spf=pass envelope-from=b@evil.example;", "b@customer.example", False),
        ("spf=pass smtp.mailfrom=evil.example;", "b@customer.example", False),
        ("spf=pass smtp.mailfrom=evil.example; envelope-from=b@customer.example;", "b@customer.example", False),
        ("spf=pass; spf=fail;", "b@customer.example", False),
    ],
)
def test_spf_verifies_only_the_domain_of_the_envelope_sender(field: str, envelope_sender: str, verified: bool) -> None:
    address, _reason = verification(results(f"amazonses.com; {field}"), envelope_sender=envelope_sender)

    assert (address is not None) is verified


def test_domains_under_one_public_suffix_are_not_aligned() -> None:
    header = results("amazonses.com; dkim=pass header.i=@b.co.uk;", "owner@a.co.uk")

    assert verification(header)[0] is None


def test_a_receipt_is_rebuilt_from_the_fields_that_ses_put_on_top() -> None:
    forged = "X-SES-Spam-Verdict: FAIL\r\nReturn-Path: <evil@evil.example>\r\n"
    message = parse((SES_TOP + SENT + forged + "\r\nHello\r\n").encode())

    rebuilt = receipt_from_message(message, ReceiptId("r9"), [EmailAddress("contact@example.com")])

    assert rebuilt == SesReceipt(
        id=ReceiptId("r9"),
        envelope_sender="jane@customer.example",
        recipients=(EmailAddress("Contact+Fair@example.com"), EmailAddress("contact@example.com")),
        spam="PASS",
        virus="PASS",
        spf="PASS",
        dkim="PASS",
        dmarc="PASS",
        dmarc_policy="",
    )
    assert verify_sender(message, rebuilt).verified


def test_rebuilt_verdicts_are_in_upper_case() -> None:
    rebuilt = receipt_from_message(
        parse(b"X-SES-Spam-Verdict: fail\r\nX-SES-Virus-Verdict: Gray\r\n\r\n"), ReceiptId("r9")
    )

    assert (rebuilt.spam, rebuilt.virus) == ("FAIL", "GRAY")


@pytest.mark.parametrize(
    ("received", "recipients"),
    [
        ("by mx.example.com for <Contact@EXAMPLE.com>;", ["Contact@example.com"]),
        ("from for evil@evil.example by mx.example.com FOR contact@example.com; date", ["contact@example.com"]),
        ("by mx.example.com for contact@example.com (from evil@evil.example)", ["contact@example.com"]),
        ("by mx.example.com; for evil@evil.example", []),
        ("by mx.example.com for contact;", []),
        ("by mx.example.com for @example.com;", []),
        ("by mx.example.com for contact@;", []),
        ("by mx.example.com for", []),
    ],
)
def test_a_rebuilt_recipient_is_the_one_that_ses_received_the_message_for(received: str, recipients: list[str]) -> None:
    message = parse(f"Received: {received}\r\n\r\n".encode())
    assumed = EmailAddress("contact@example.com")

    assert list(receipt_from_message(message, ReceiptId("r9")).recipients) == recipients
    assert receipt_from_message(message, ReceiptId("r9"), [assumed]).recipients.count(assumed) == 1


@pytest.mark.parametrize(
    ("results_of", "verdicts"),
    [
        ("spf=softfail; dkim=none; dmarc=none", ("GRAY", "GRAY", "GRAY")),
        ("spf=temperror; dkim=fail; dkim=pass; dmarc=fail", ("PROCESSING_FAILED", "PASS", "FAIL")),
        ("spf=pass; dkim=temperror; dkim=fail; dmarc=permerror", ("PASS", "FAIL", "GRAY")),
        ("", ("", "", "")),
    ],
)
def test_results_become_the_verdicts_that_ses_would_give(results_of: str, verdicts: tuple[str, str, str]) -> None:
    message = parse(f"Authentication-Results: amazonses.com; {results_of}\r\n\r\n".encode())

    rebuilt = receipt_from_message(message, ReceiptId("r9"))

    assert (rebuilt.spf, rebuilt.dkim, rebuilt.dmarc) == verdicts
    assert rebuilt.envelope_sender == ""
    assert rebuilt.recipients == ()


@given(st.text(alphabet=st.sampled_from('amzonse.cdkip=h()"\\; \t@x/1')), st.text(max_size=200))
def test_no_results_field_raises_or_verifies_by_chance(field: str, rest: str) -> None:
    message = parse(f"Authentication-Results: amazonses.com; {field}{rest}\r\nFrom: a@b.example\r\n\r\n".encode())

    assert not verify_sender(message, receipt(envelope_sender="")).verified
    receipt_from_message(message, ReceiptId("r9"))


SIGNED = "DKIM-Signature: v=1; a=rsa-sha256;\r\n d=%s; s=a;\r\n h=%s;\r\n bh=a=; b=d=evil.example\r\n"
TO_AND_CC = "To: a@x.example\r\nCc: b@x.example\r\n"
DIRECT = SES_TOP.replace("from=jane@", "from=bounce@mail.")


@pytest.mark.parametrize(
    ("head", "added"),
    [
        ("", set()),
        ("to: c@x.example\r\n", {"to"}),
        ("To: c@x.example\r\nCC : d@x.example\r\n", {"to", "cc"}),
        (SIGNED % ("customer.example", "from:to:cc:subject"), set()),
        (SIGNED % ("customer.example", "From : To : CC"), set()),
        (SIGNED % ("customer.example", "from:to:subject"), {"cc"}),
        (SIGNED % ("mail.customer.example", "from:cc:subject"), {"to"}),
        (SIGNED % ("customer.example", "from:subject"), set()),  # some providers sign no recipients
        (SIGNED % ("evil.example", "from:to:subject"), set()),
        ("ARC-Message-Signature: d=customer.example; h=from:to; b=x\r\n", set()),
        (SIGNED % ("customer.example", "from:to") + SIGNED % ("customer.example", "from:to:cc"), {"cc"}),
        (f"To: c@x.example\r\n{SIGNED % ('customer.example', 'from:to')}", {"to", "cc"}),
        (DIRECT + SIGNED % ("customer.example", "from:to"), set()),
        (f"{DIRECT}To: c@x.example\r\n", {"to"}),
        (DIRECT.replace("spf=pass", "spf=none") + SIGNED % ("customer.example", "from:to"), {"cc"}),
    ],
)
def test_a_recipient_may_be_added_where_a_signature_of_the_sender_does_not_cover_it(head: str, added: set[str]) -> None:
    message = parse((head + SENT + TO_AND_CC + "\r\nHello\r\n").encode())

    assert added_recipients(message, receipt(envelope_sender="bounce@mail.customer.example")) == added


def test_to_a_message_without_from_only_a_field_that_stands_twice_was_added() -> None:
    message = parse((SIGNED % ("customer.example", "to") + TO_AND_CC + TO_AND_CC[:17] + "\r\n").encode())

    assert added_recipients(message, receipt()) == {"to"}
