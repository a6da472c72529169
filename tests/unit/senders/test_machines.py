"""Machines and persons: who is never answered by a machine, and who only seems to be one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.mail.parsing import parse
from email_handler.senders.authentication import SenderVerification, SesReceipt
from email_handler.senders.machines import automatic, refuse_acknowledgement
from tests.support.builders import mail

JANE = "jane@customer.example"


def seen_as(raw: bytes, envelope_sender: str | None = JANE) -> str:
    return automatic(parse(raw), envelope_sender)


def refused(raw: bytes, *, sender: str = JANE, envelope_sender: str = JANE, verified: bool = True) -> str:
    receipt = SesReceipt(
        id=ReceiptId("r1"),
        envelope_sender=envelope_sender,
        recipients=(EmailAddress("contact@example.com"),),
        spam="PASS",
        virus="PASS",
        spf="PASS",
        dkim="PASS",
        dmarc="PASS",
        dmarc_policy="",
    )
    verification = SenderVerification(
        address=EmailAddress(sender) if verified else None, reason="dmarc pass" if verified else "dmarc fail"
    )
    return refuse_acknowledgement(
        parse(raw),
        receipt,
        verification,
        own_addresses=["Contact@example.com"],
        owners=["owner@private.example"],
        thread_domain="thread.example.com",
    )


def test_a_person_is_no_machine_and_is_acknowledged() -> None:
    assert seen_as(mail()) == ""
    assert refused(mail()) == ""


@pytest.mark.parametrize(
    ("raw", "sign"),
    [
        (mail(auto_submitted="auto-replied"), "auto-submitted"),
        (mail(auto_submitted="Auto-Generated; type=notice"), "auto-submitted"),
        (mail(auto_submitted="(comment) auto-notified"), ""),
        (mail(precedence="auto_reply"), "precedence"),
        (mail(precedence="junk"), "precedence"),
        (mail(precedence="bulk"), "precedence"),
        (mail(received="from a.example; Mon, 02 Mar 2026 09:00:00 +0000", precedence="bulk"), "precedence"),
        (mail(x_autoreply="yes"), "autoresponder field"),
        (mail(x_autorespond="Re: Hello"), "autoresponder field"),
        (mail(x_failed_recipients="a@b.example"), "autoresponder field"),
        (mail(x_ms_exchange_generated_message_source="Mailbox Rules Agent"), "autoresponder field"),
        (mail(x_post_messageclass="9; Autoresponder"), "autoresponder field"),
        (mail(sender="Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>"), "mailer-daemon"),
        (mail(sender="auto-reply@shop.example"), "autoresponder address"),
    ],
)
def test_signs_of_a_machine(raw: bytes, sign: str) -> None:
    assert seen_as(raw) == sign


@pytest.mark.parametrize("envelope_sender", ["", "<>", " "])
def test_the_null_envelope_sender_is_a_machine(envelope_sender: str) -> None:
    assert seen_as(mail(), envelope_sender) == "null envelope sender"


def test_a_person_behind_a_list_known_by_its_envelope_is_no_machine() -> None:
    assert seen_as(mail(precedence="bulk"), "owner-talk@lists.example") == ""


def test_an_unknown_envelope_sender_says_nothing() -> None:
    assert seen_as(mail(), None) == ""


@pytest.mark.parametrize("content_type", ["multipart/report; report-type=disposition-notification", "multipart/report"])
def test_reports_and_read_receipts_are_a_machines(content_type: str) -> None:
    raw = f'From: {JANE}\r\nSubject: Read: Hello\r\nContent-Type: {content_type}; boundary="b"\r\n\r\n--b\r\n\r\nRead\r\n--b--\r\n'

    assert seen_as(raw.encode()) == "report"


@pytest.mark.parametrize(
    "subject",
    [
        *(
            "Automatic reply: Hello",
            "Auto: Hello",
            "[EXT] Automatic reply: Hello",
            "[Automatic reply] Hello",
            "Automaticka odpoved: Hello",
            "Automatiska atbilde: Hello",
            "Arpus biroja atrasanas automatiska atbilde: Hello",
            "AUTOREPLY Hello",
            "Out of Office",
        ),
        *("Out of office: Hello", "Out of Office AutoReply: Hello", "Automatische Antwort: Angebot"),
        *(
            "Abwesenheitsnotiz: Angebot",
            "Abwesend: Angebot",
            "Réponse automatique : Devis",
            "Absence du bureau : Devis",
        ),
        *("Respuesta automática: Oferta", "Fuera de la oficina: Oferta", "Resposta automática: Oferta"),
        *(
            "Risposta automatica: Offerta",
            "Fuori ufficio: Offerta",
            "Automatisch antwoord: Offerte",
            "Autosvar: Tilbud",
        ),
        *(
            "Automatiskt svar: Offert",
            "Automaattinen vastaus: Tarjous",
            "Automatyczna odpowiedź: Oferta",
        ),
        *(
            "Automatická odpověď: Nabídka",
            "Автоматический ответ: Запрос",
            "Автоответ: Запрос",
            "Otomatik yan\u0131t: Teklif",
        ),
        *(
            "自動返信: お問い合わせ",
            "不在: お問い合わせ",
            "自动回复: 询价",
            "자동 회신: 문의",
            "رد تلقائي: طلب",
            "Αυτόματη απάντηση: Προσφορά",
        ),
    ],
)
def test_out_of_office_is_told_by_its_subject_in_many_languages(subject: str) -> None:
    assert seen_as(mail(subject=subject)) == "autoreply subject"


@pytest.mark.parametrize(
    "subject",
    [
        *(
            "Re: Automatic reply: Hello",
            "AW: Abwesenheitsnotiz",
            "Out of office space for rent",
            "Automation of replies",
        ),
        *("Absent parents support group", "Vacation", "Away", "Question about automatic replies", "Autobahn: maps", ""),
        *("On vacation rentals in May", "不在者投票について"),
    ],
)
def test_persons_write_about_absence_too(subject: str) -> None:
    assert seen_as(mail(subject=subject)) == ""


@pytest.mark.parametrize(
    "raw",
    [
        mail(
            list_id="<talk.groups.example>",
            precedence="list",
            x_google_group_id="12345",
            mailing_list="list talk@x.example",
        ),
        mail(list_post="<mailto:talk@lists.example>", precedence="bulk", sender="Jane <jane@customer.example>"),
        mail(precedence="bulk", Sender="owner-talk@lists.example"),  # Majordomo: no List- fields
        mail(precedence="bulk", received="from a.example by b.example; Mon, 02 Mar 2026 09:00:00 +0000"),  # a forwarder
        mail(sender="Jane <jane+noreply@customer.example>"),
        mail(sender="Jane Doe <inmail-hit-reply@linkedin.com>", list_unsubscribe="<https://linkedin.com/u>"),
        mail(auto_submitted="no"),
        mail(x_auto_response_suppress="All"),
        mail(sender="orders <no-reply@shop.example>"),
    ],
)
def test_persons_behind_lists_and_odd_addresses_are_not_machines(raw: bytes) -> None:
    assert seen_as(raw) == ""


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (mail(list_unsubscribe="<https://customer.example/u>"), "list"),
        (mail(list_id="<talk.lists.example>"), "list"),
        (mail(precedence="list"), "list"),
        (mail(Sender="talk-bounces@lists.example"), "list"),
        (mail(x_auto_response_suppress="DR, AutoReply"), "asks for no automatic answer"),
        (mail(auto_submitted="auto-generated"), "auto-submitted"),
        (mail(subject="Out of office: back on Monday"), "autoreply subject"),
    ],
)
def test_mail_that_asks_for_no_automatic_answer_gets_none(raw: bytes, reason: str) -> None:
    assert refused(raw) == reason


def test_nobody_unverified_is_acknowledged() -> None:
    assert refused(mail(), verified=False) == "sender not verified"


@pytest.mark.parametrize(
    ("sender", "reason"),
    [
        ("postmaster@customer.example", "role address"),
        ("abuse@customer.example", "role address"),
        ("root@customer.example", "role address"),
        ("bounces+17@mail.customer.example", "role address"),
        ("no-reply@customer.example", "no-reply"),
        ("DoNotReply@customer.example", "no-reply"),
        ("jane+noreply@customer.example", ""),
        ("rootbeer@customer.example", ""),
        ("inmail-hit-reply@linkedin.com", "linkedin"),
        ("x@reply.linkedin.com", "linkedin"),
        ("jane@notlinkedin.com", ""),
        ("jané@customer.example", "no address that SES can write to"),
        ("contact@example.com", "own address"),
        ("contact+fair@example.com", "own address"),
        ("owner+shop@private.example", "own address"),
        ("c-abc.token@thread.example.com", "own address"),
        ("jane@example.com", ""),
    ],
)
def test_whom_never_to_acknowledge(sender: str, reason: str) -> None:
    assert refused(mail(sender=sender), sender=sender) == reason


@pytest.mark.parametrize(
    "envelope_sender", ["owner-talk@lists.example", "talk-bounces+jane=x@lists.example", "talk-request@l.example"]
)
def test_list_software_in_the_envelope_is_not_acknowledged(envelope_sender: str) -> None:
    assert refused(mail(), envelope_sender=envelope_sender) == "list"


def test_our_own_acknowledgement_coming_back_is_a_machine() -> None:
    ours = mail(sender="Contact <contact@example.com>", auto_submitted="auto-replied", precedence="bulk")

    assert seen_as(ours) == "auto-submitted"
    assert refused(ours, sender="contact@example.com") == "auto-submitted"


@given(st.binary(max_size=600))
def test_any_octets_get_an_answer(raw: bytes) -> None:
    assert isinstance(seen_as(raw), str)
    assert isinstance(refused(raw), str)
