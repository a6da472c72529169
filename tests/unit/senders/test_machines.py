"""Machines and people: what a machine wrote, and what only looks like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.mail.parsing import parse
from email_handler.senders.machines import automatic
from tests.support.builders import mail

JANE = "jane@customer.example"


def seen_as(raw: bytes, envelope_sender: str | None = JANE) -> str:
    return automatic(parse(raw), envelope_sender)


def test_a_person_is_not_a_machine() -> None:
    assert seen_as(mail()) == ""


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
def test_the_null_envelope_sender_is_a_sign_of_a_machine(envelope_sender: str) -> None:
    assert seen_as(mail(), envelope_sender) == "null envelope sender"


def test_a_person_behind_a_list_is_not_a_machine_if_only_the_envelope_shows_the_list() -> None:
    assert seen_as(mail(precedence="bulk"), "owner-talk@lists.example") == ""


def test_an_unknown_envelope_sender_is_not_a_sign() -> None:
    assert seen_as(mail(), None) == ""


@pytest.mark.parametrize("content_type", ["multipart/report; report-type=disposition-notification", "multipart/report"])
def test_reports_and_read_receipts_come_from_machines(content_type: str) -> None:
    raw = f'From: {JANE}\r\nSubject: Read: Hello\r\nContent-Type: {content_type}; boundary="b"\r\n\r\n--b\r\n\r\nRead\r\n--b--\r\n'

    assert seen_as(raw.encode()) == "report"


AUTOMATIC = (
    "Automatic reply: Hello|Auto: Hello|[EXT] Automatic reply: Hello|[Automatic reply] Hello"
    "|Automaticka odpoved: Hello|Automatiska atbilde: Hello|Arpus biroja atrasanas automatiska atbilde: Hello"
    "|AUTOREPLY Hello|Out of Office|Out of office: Hello|Out of Office AutoReply: Hello"
    "|Automatische Antwort: Angebot|Abwesenheitsnotiz: Angebot|Abwesend: Angebot|Réponse automatique : Devis"
    "|Absence du bureau : Devis|Respuesta automática: Oferta|Fuera de la oficina: Oferta"
    "|Resposta automática: Oferta|Risposta automatica: Offerta|Fuori ufficio: Offerta"
    "|Automatisch antwoord: Offerte|Autosvar: Tilbud|Automatiskt svar: Offert|Automaattinen vastaus: Tarjous"
    "|Automatyczna odpowiedź: Oferta|Automatická odpověď: Nabídka|Автоматический ответ: Запрос|Автоответ: Запрос"
    "|Otomatik yan\u0131t: Teklif|自動返信: お問い合わせ|不在: お問い合わせ|自动回复: 询价|자동 회신: 문의|رد تلقائي: طلب"
    "|Αυτόματη απάντηση: Προσφορά"
)


@pytest.mark.parametrize("subject", AUTOMATIC.split("|"))
def test_out_of_office_subjects_are_recognised_in_many_languages(subject: str) -> None:
    assert seen_as(mail(subject=subject)) == "autoreply subject"


WRITTEN_BY_PEOPLE = (
    "Re: Automatic reply: Hello|AW: Abwesenheitsnotiz|Out of office space for rent|Automation of replies"
    "|Absent parents support group|Vacation|Away|Question about automatic replies|Autobahn: maps|"
    "|On vacation rentals in May|不在者投票について"
)


@pytest.mark.parametrize("subject", WRITTEN_BY_PEOPLE.split("|"))
def test_people_write_about_absence_too(subject: str) -> None:
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
def test_people_behind_lists_and_odd_addresses_are_not_machines(raw: bytes) -> None:
    assert seen_as(raw) == ""


@given(st.binary(max_size=600))
def test_any_bytes_are_judged(raw: bytes) -> None:
    assert isinstance(seen_as(raw), str)
