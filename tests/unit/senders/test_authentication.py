"""Who wrote: "sender verified", with every way to forge it that we know of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.mail.parsing import parse
from email_handler.senders.authentication import SesReceipt, receipt_from_message, verify_sender

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
    return SesReceipt(
        id=ReceiptId("r1"),
        envelope_sender=envelope_sender,
        recipients=(EmailAddress("contact@example.com"),),
        spam="PASS",
        virus="PASS",
        spf="PASS",
        dkim="PASS",
        dmarc=dmarc,
        dmarc_policy="",
    )


def verification(header: str, **verdicts: str) -> tuple[str | None, str]:
    found = verify_sender(parse(header.encode() + b"\r\nHello\r\n"), receipt(**verdicts))
    return found.address, found.reason


def results(field: str, sender: str = "Jane <jane@customer.example>") -> str:
    return f"Authentication-Results: {field}\r\nFrom: {sender}\r\n"


def test_dmarc_pass_proves_the_one_address_of_the_one_from_field() -> None:
    assert verification("From: Jane <jane@customer.example>\r\n", dmarc="PASS") == (
        "jane@customer.example",
        "dmarc pass",
    )


def test_a_verified_address_is_lower_case_so_that_it_can_be_compared() -> None:
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
    ],
)
def test_odd_from_fields_prove_nothing_even_with_dmarc_pass(header: str, reason: str) -> None:
    address, why = verification(header, dmarc="PASS")

    assert address is None
    assert why in (reason, "no From address")


def test_an_overlong_from_field_proves_nothing() -> None:
    assert verification(f"From: {'x' * 5000} <jane@customer.example>\r\n", dmarc="PASS")[0] is None


def test_dmarc_fail_outweighs_an_aligned_signature() -> None:
    assert verification(results(SES_DKIM), dmarc="FAIL") == (None, "dmarc fail")


def test_dmarc_pass_that_ses_states_for_another_domain_is_no_proof() -> None:
    """Two readers of one odd From field: SES judged the attacker's address, we would show the owner's."""
    header = results("amazonses.com; dmarc=pass header.from=evil.example;")

    assert verification(header, dmarc="PASS") == (None, "dmarc pass for another domain")


@pytest.mark.parametrize("dmarc", ["GRAY", "PROCESSING_FAILED", "DISABLED", ""])
def test_without_a_dmarc_verdict_an_aligned_signature_proves(dmarc: str) -> None:
    assert verification(results(SES_DKIM), dmarc=dmarc) == ("jane@customer.example", "dkim aligned")


@pytest.mark.parametrize(
    "field",
    [
        "amazonses.com; dkim=pass header.d=customer.example",
        "amazonses.com; dkim=pass header.i=@mail.customer.example header.s=sel1;",
        "AmazonSES.com; DKIM=Pass Header.I=@CUSTOMER.example;",
        "amazonses.com 1; dkim/1=pass (good; signature) header.i=@customer.example header.b=abc=",
        'amazonses.com; dkim=fail header.i=@evil.example; dkim=pass header.i="jane;x"@customer.example;',
    ],
)
def test_an_aligned_dkim_pass_is_read_whatever_stands_around_it(field: str) -> None:
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
        "amazonses.com; dkim=pass (header.i=@customer.example) header.i=@evil.example;",
        'amazonses.com; x=none reason="; dkim=pass header.i=@customer.example;"',
        "amazonses.com; x=none (a (nested; dkim=pass header.i=@customer.example;) one)",
        "amazonses.com; x=none (never closed; dkim=pass header.i=@customer.example;",
        'amazonses.com; x="never closed; dkim=pass header.i=@customer.example;',
        "amazonses.com; dkim=none; dmarc=pass header.from=customer.example;",
        "amazonses.com; notdkim=pass header.i=@customer.example;",
        "mx.evil.example; dkim=pass header.i=@customer.example;",
        "amazonses.com.evil.example; dkim=pass header.i=@customer.example;",
        "dkim=pass header.i=@customer.example;",
        "; dkim=pass header.i=@customer.example;",
        "",
        f"amazonses.com; x=none{' ' * 5000}; dkim=pass header.i=@customer.example;",
    ],
)
def test_what_is_not_ses_saying_that_this_domain_signed_proves_nothing(field: str) -> None:
    assert verification(results(field))[0] is None


def test_only_the_topmost_results_are_ses_own() -> None:
    forged = f"Authentication-Results: {SES_DKIM}\r\n"
    own = "Authentication-Results: amazonses.com; dkim=pass header.i=@evil.example;\r\n"

    assert verification(own + forged + "From: jane@customer.example\r\n")[0] is None
    assert verification(forged + own + "From: jane@customer.example\r\n")[0] == "jane@customer.example"


def test_results_below_the_block_of_ses_came_with_the_mail() -> None:
    """SES ends its block with X-SES-RECEIPT and writes one Received; where it gave no results, none are believed."""
    forged = f"Authentication-Results: {SES_DKIM}\r\n"
    block = "Received: by inbound-smtp.us-east-1.amazonaws.com; Mon, 02 Mar 2026 09:00:00 +0000\r\n"

    assert verification(block + "X-SES-RECEIPT: AEFB\r\n" + forged + SENT)[0] is None
    assert verification(block + block + forged + SENT)[0] is None


@pytest.mark.parametrize(
    ("field", "envelope_sender", "verified"),
    [
        (
            "spf=pass client-ip=192.0.2.7; envelope-from=b@bounce.customer.example; helo=x;",
            "b@bounce.customer.example",
            True,
        ),
        ("spf=pass smtp.mailfrom=customer.example;", "b@customer.example", True),
        ("spf=pass client-ip=192.0.2.7;", "b@evil.example", False),
        ("spf=pass client-ip=192.0.2.7;", "", False),
        ("spf=softfail client-ip=192.0.2.7;", "b@customer.example", False),
        ("spf=pass; envelope-from=b@evil.example;", "b@customer.example", False),
        ("spf=pass; spf=fail;", "b@customer.example", False),
    ],
)
def test_spf_proves_the_domain_of_the_envelope_sender_only(field: str, envelope_sender: str, verified: bool) -> None:
    address, _reason = verification(results(f"amazonses.com; {field}"), envelope_sender=envelope_sender)

    assert (address is not None) is verified


def test_domains_below_one_public_suffix_are_not_aligned() -> None:
    header = results("amazonses.com; dkim=pass header.i=@b.co.uk;", "owner@a.co.uk")

    assert verification(header)[0] is None


def test_a_receipt_is_rebuilt_from_what_ses_wrote_on_top() -> None:
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


@pytest.mark.parametrize(
    ("results_of", "verdicts"),
    [
        ("spf=softfail; dkim=none; dmarc=none", ("GRAY", "GRAY", "GRAY")),
        ("spf=temperror; dkim=fail; dkim=pass; dmarc=fail", ("PROCESSING_FAILED", "PASS", "FAIL")),
        ("", ("", "", "")),
    ],
)
def test_results_become_the_verdicts_they_stand_for(results_of: str, verdicts: tuple[str, str, str]) -> None:
    message = parse(f"Authentication-Results: amazonses.com; {results_of}\r\n\r\n".encode())

    rebuilt = receipt_from_message(message, ReceiptId("r9"))

    assert (rebuilt.spf, rebuilt.dkim, rebuilt.dmarc) == verdicts
    assert rebuilt.envelope_sender == ""
    assert rebuilt.recipients == ()


@given(st.text(alphabet=st.sampled_from('amzonse.cdkip=h()"\\; \t@x/1')), st.text(max_size=200))
def test_no_results_field_raises_or_proves_by_chance(field: str, rest: str) -> None:
    message = parse(f"Authentication-Results: amazonses.com; {field}{rest}\r\nFrom: a@b.example\r\n\r\n".encode())

    assert not verify_sender(message, receipt(envelope_sender="")).verified
    receipt_from_message(message, ReceiptId("r9"))
