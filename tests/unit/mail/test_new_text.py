"""New text: what the author wrote, whichever client added the quotation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.mail.new_text import new_text
from tests.support.replies import PHRASES, Reply, written_replies

OWN = "Thank you, that works for me.\n\nShall we say Tuesday?"


@pytest.mark.parametrize(
    "introduction",
    [
        "On Mon, Apr 2, 2026 at 6:26 PM, Jane Doe <jane@customer.example> wrote:",
        "On Mon, Aug 26, 2026 at 4:37 PM A Very Long Name Indeed <\na-long-address@customer.example> wrote:",
        "On Apr 3, 2026,\nat 4:19 PM,\nJane Doe <jane@customer.example>\nwrote:",
        "On Nov 26, 2026 you wrote:",
        "Am 13.12.2026 um 21:11 schrieb Jane Doe <jane@customer.example>:",
        "Jane Doe <jane@customer.example> schrieb am Mo., 3. Mai 2026, 10:00:",
        "Le lun. 15 nov. 2026 à 19:42, Jane Doe <jane@customer.example>\na écrit :",
        "El 3 may 2026, a las 10:00, Jane Doe <jane@customer.example> escribió:",
        "Em 10 de julho de 2026 às 16:32:35, Jane Doe (\njane@customer.example) escreveu:",
        "Il giorno lun 3 mag 2026 alle ore 10:00 Jane Doe <jane@customer.example> ha scritto:",
        "Op 12 december 2026 19:05 schreef Jane Doe <\njane@customer.example>:",
        "Den 3 maj 2026 10:00 skrev Jane Doe <jane@customer.example>:",
        "pe 20. lokakuuta 2026 klo 17.50 Jane Doe\n<jane@customer.example> kirjoitti:",
        "W dniu 2026-01-09 11:59:39 użytkownik Jane Doe <jane@customer.example> napisał:",
        "среда, 30 апреля 2026 года, 15:19, Jane Doe <jane@customer.example>:",
        '30.09.2026, 18.30, "Jane Doe" <jane@customer.example>:',
        "2026年5月3日(日) 10:00 Jane Doe <jane@customer.example>:",
        "Jane Doe <jane@customer.example> 于2026年5月3日周日 10:00写道\uff1a",
        "---- On Wed, 24 Feb 2026 14:02:50 +0530 jane@customer.example wrote ----",
        "-----Original Message-----",
        "-------- Message d'origine --------",
        "-----Ursprüngliche Nachricht-----",
        "---------- Forwarded message ---------",
        "From: Jane Doe <jane@customer.example>\nSent: Monday, 2 March 2026 10:00\nTo: contact@example.com\nSubject: Offer",
        "________________________________\nFrom: Jane Doe\nSent: Monday\nTo: us\nSubject: Offer",
        " ------------------------------\n\n*From:* Jane Doe [mailto:jane@customer.example]\n*Sent:* Monday\n*Subject:* Offer",
        "Von: Jane Doe <jane@customer.example>\nGesendet: Montag, 2. März 2026\nAn: uns\nBetreff: Angebot",
        "De : Jane Doe<mailto:jane@customer.example>\nEnvoyé le :lundi 2 mars 2026\nÀ : nous\nObjet : Offre",
        "发件人: Jane Doe\n发送时间: 2026年3月2日\n收件人: us\n主题: Offer",
    ],
)
def test_new_text_ends_where_any_client_introduces_a_quotation(introduction: str) -> None:
    assert new_text(f"{OWN}\n\n{introduction}\n\nWould Monday suit you?\n") == OWN
    assert new_text(f"{OWN}\r\n\r\n{introduction}\r\n> Would Monday suit you?\r\n".replace("\r\n", "\n")) == OWN


@pytest.mark.parametrize(
    "introduction",
    [
        "Begin forwarded message:",
        "Forwarded message:",
        "Anfang der weitergeleiteten Nachricht:",
        "Début du message réexpédié :",
        "Inicio del mensaje reenviado:",
        "Início da mensagem encaminhada:",
        "Välitetty viesti alkaa:",
        "Továbbított levél kezdete:",
        "Початок листа, що пересилається:",
        "İleti başlang\u0131c\u0131:",
    ],
)
@pytest.mark.parametrize("mark", ["", "> "])
def test_the_introduction_of_a_forwarded_message_is_not_new_text(introduction: str, mark: str) -> None:
    forwarded = f"{mark}From: Jane Doe <jane@customer.example>\n{mark}Date: 3 May 2026 at 10:00\n{mark}Subject: Offer\n"

    assert new_text(f"{OWN}\n\n{introduction}\n\n{forwarded}{mark}\n{mark}Would Monday suit you?\n") == OWN


@pytest.mark.parametrize(
    "divider",
    [
        "----- Vidarebefordrat meddelande -----",
        "----- Přeposlaná zpráva -----",
        "-------- Välitetty viesti / Fwd.Msg --------",
        "--- Treść przekazanej wiadomości ---",
        "-------- İletilen İleti --------",
        "--------- メッセージを転送 ---------",
        "-------- Origineel bericht --------",
        "-------- A language nobody here knows --------",
    ],
)
def test_a_dashed_title_above_a_quoted_header_is_not_new_text_in_any_language(divider: str) -> None:
    header = "Saatja: Jane Doe <jane@customer.example>\nKuupäev: 3. mai 2026 10:00\nTeema: Offer\n"

    assert new_text(f"{OWN}\n\n{divider}\n{header}\nWould Monday suit you?\n") == OWN


@pytest.mark.parametrize(
    "header",
    [
        "Šalje: Jane Doe <jane@customer.example>\nNaslov: Ponuda\nDatum: 3. svibnja 2026.\nPrima: nama",
        "Expeditorul: Jane Doe <jane@customer.example>\nSubiectul: Oferta\nDată: 3 mai 2026\nDestinatarul: noi",
        "Від кого: Jane Doe <jane@customer.example>\n\u0422\u0435м\u0430: Offer\nД\u0430т\u0430: 3 травня 2026\n\u041a\u043eм\u0443: us",
        "送信元: Jane Doe <jane@customer.example>\n件名: Offer\n日付: 2026年5月3日\n送信先: us",
    ],
)
def test_a_quoted_header_is_recognized_in_many_languages(header: str) -> None:
    assert new_text(f"{OWN}\n\n{header}\n\nWould Monday suit you?\n") == OWN


def test_text_between_quoted_lines_is_kept_in_order() -> None:
    text = (
        "On 3 May 2026, Jane Doe <jane@customer.example> wrote:\n> Which day?\n\nTuesday.\n\n> Which place?\n\nYours.\n\n"
        "> On 2 May 2026, Joe wrote:\n> > Hello\n"
    )

    assert new_text(text) == "Tuesday.\n\nYours."


def test_text_below_the_quotation_is_kept() -> None:
    assert new_text("On 04/02/2026 06:26 PM, Jane wrote:\n> Hi\nHello Jane\n") == "Hello Jane"


def test_a_paragraph_directly_above_the_introduction_is_kept() -> None:
    text = 'I will try it as soon as I\nget back to a computer.\nOn Dec 8, 2026 2:10 PM, "Jane" <jane@customer.example> wrote:\n\n> Hi\n'

    assert new_text(text) == "I will try it as soon as I\nget back to a computer."


def test_the_end_of_a_broken_quoted_line_is_not_new_text() -> None:
    quoted = "> " + "a long quoted sentence that fills the line up to its very end " * 2

    assert new_text(f"Yes.\n\n{quoted}\nand goes on here\n> to its end.\n") == "Yes."
    assert new_text("> Which day?\nTuesday\n> Which place?\nyours\n") == "Tuesday\nyours"


@pytest.mark.parametrize(
    "signature",
    [
        *("-- \nJane Doe\nCustomer Ltd", "--\nJane Doe", "\u2014\nJane Doe", "_____\nJane Doe\n+1 555 0100"),
        *("Sent from my iPhone", "Sent from Yahoo Mail on Android", "Get Outlook for iOS<https://o.example>"),
        *("Gesendet von Outlook für Android<https://o.example>", "Von meinem iPhone gesendet", "Envoyé de mon iPhone"),
        *(
            "Enviado desde mi iPhone",
            "Inviato da iPhone",
            "Отправлено из мобильной почты",
            "iPhoneから送信",
            "发自我的iPhone",
        ),
        *("Regards,\nJane", "Kind regards,\n\nJane Doe\nCustomer Ltd", "Mit freundlichen Grüßen\nJane Doe", "LG\nJane"),
        *(
            "Cordialement,\nJane",
            "Saludos,\nJane",
            "Met vriendelijke groet,\nJane",
            "\u0421 уважением,\nJane",
            "Thanks,\nJane",
        ),
        "-Jane Doe",
    ],
)
def test_signatures_are_removed(signature: str) -> None:
    assert new_text(f"{OWN}\n\n{signature}\n") == OWN
    assert new_text(f"{OWN}\n\n{signature}\n\nOn 3 May 2026, Joe <joe@customer.example> wrote:\n> Hi\n") == OWN


@pytest.mark.parametrize(
    "text",
    [
        "On the surface, this looks like a quotation.\nOn average, it is none.",
        "From: Berlin\nTo: Paris\nDate: 3 May 2026\n\nWhat would that cost?",
        "We met in 2019 and he wrote:\n\nnothing at all.",
        "These are my points:\n- first\n- second\n\nGood?",
        "Table\n-----\none 1\ntwo 2\n\nAbove you see what we ordered last year.",
        "As regards the price, we agree.",
        "Sent from my desk, which is easier than a phone.",
        "We bought it in May.\nSent via Berlin\nIt took a week.\nThe box was empty.\nWhat now?",
        "Thank you,\nplease send the invoice to our office in Berlin today.",
        "The value > 100 is fine.",
        "----- Contact -----\nE-mail: jane@customer.example\nTelephone: 555 0100\n\nCall me, please.",
        "We need a forwarded message:\nthe one of last week.",
        "Please answer this one:\n\nthe offer of Monday.",
        "Here is the fix -- not a signature.",
        "Thanks!",
        f"On 3 May 2026, {'very ' * 60}\n{'long ' * 60}jane@customer.example wrote:\n\nnothing",
        "Regards,",
        "Call me at 10:30 or 11:45, please.",
    ],
)
def test_text_that_only_resembles_a_quotation_or_signature_is_kept(text: str) -> None:
    assert new_text(text).split() == text.split()


@pytest.mark.parametrize("reply", list(written_replies()), ids=lambda reply: reply.name)
def test_of_a_reply_what_its_author_wrote_is_new(reply: Reply) -> None:
    assert new_text(reply.text, reply.html).split() in [accepted.split() for accepted in reply.accepted]


@pytest.mark.parametrize("device", PHRASES["devices"])
def test_the_name_of_a_device_is_cut_below_and_above_the_text(device: str) -> None:
    assert new_text(f"{OWN}\n\n{device}\n") == OWN
    assert new_text(f"{device}\n\n{OWN}\n") == OWN


@pytest.mark.parametrize("attribution", PHRASES["attributions"])
def test_an_attribution_is_cut_with_its_quotation_and_without_what_stands_below_it(attribution: str) -> None:
    assert new_text(f"{OWN}\n\n{attribution}\n\nWhich day?\n") == OWN
    assert new_text(f"{OWN}\n\n{attribution}\n> Which day?\n") == OWN
    assert new_text(f"{attribution}\n\n{OWN}\n") == OWN


@pytest.mark.parametrize("header", [*PHRASES["headers"], *PHRASES["dividers"]])
def test_the_header_of_an_original_in_many_languages_ends_the_new_text(header: str) -> None:
    assert new_text(f"{OWN}\n\n{header}\n\nWhich day?\n") == OWN


@pytest.mark.parametrize("warning", PHRASES["warnings"])
def test_a_gateways_warning_above_the_text_is_cut(warning: str) -> None:
    assert new_text(f"{warning}\n\n{OWN}\n") == OWN
    assert new_text(f"{warning}\n{OWN}\n") == OWN
    assert new_text(f"{warning}\n") == warning


@pytest.mark.parametrize(
    "first",
    [
        "Attention: the external auditor comes on Monday.",
        "Notice: our company moved outside of the city.",
        "Warning: the external door of your shop was open at night.",
        "Important: please call me back.",
        "This message is about external e-mail servers. Could you help?",
        "External sender addresses bounce since Monday. Can you look?",
        "Your message was marked as external email, be careful with links.",
        "注意\uff1a外部墙需要油漆",
        "Sent from Berlin by post, it took a week.",
        "Sent via Berlin",
        "Please ask Jane Doe <jane@customer.example> and show me what she wrote:",
        "This came from jane@customer.example and others, and this is what they wrote:",
        "Yesterday at 10:00 the lift stopped between the floors:",
    ],
)
def test_first_words_that_only_resemble_a_warning_or_an_attribution_are_kept(first: str) -> None:
    text = f"{first}\n\nPlease tell me more about it."

    assert new_text(text) == text


@pytest.mark.parametrize("name", ["Jane", "Jane Doe", "J. Doe", "JD", "Jane-Marie", "Anne O'Neill", "Зоя", "- Jane"])
def test_a_name_below_a_sentence_is_a_signature(name: str) -> None:
    assert new_text(f"The keys are at the desk.\n\n{name}\n") == "The keys are at the desk."


@pytest.mark.parametrize(
    "text",
    [
        "Hi Jane,\n\nBerlin",
        "The keys are at the desk.\nJane",
        "The keys are at the desk.\n\nThanks",
        "The keys are at the desk.\n\nTomorrow",
        "The keys are at the desk.\n\njust there",
        "The keys are at the desk.\n\nDiscuss.",
        "The keys are at the desk.\n\nA Long Row Of Words",
        "These are free:\n\nMonday\n\nTuesday",
        "Which one?\n\nBerlin",
        "Jane",
    ],
)
def test_a_last_word_that_may_say_something_is_kept(text: str) -> None:
    assert new_text(text) == text


def test_a_signature_ends_at_the_next_quotation() -> None:
    text = "Yes.\n\nRegards,\nJane\n\n> Which day?\n\nTuesday.\n\n-- \nJane Doe\n"

    assert new_text(text) == "Yes.\n\nTuesday."


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<p>A</p><div class="gmail_quote">Jane wrote<blockquote>B</blockquote></div><p>C</p>', "A\nC"),
        (
            '<p>A</p><div class="gmail_quote">From: x@y.example<br>Subject: B<blockquote>B</blockquote></div><p>C</p>',
            "A",
        ),
        ('<p>A</p><div id="divRplyFwdMsg">Jane</div><blockquote>B</blockquote><p>C</p>', "A"),
        ('<blockquote type="cite">A<br>B<br>C</blockquote>', "A\nB\nC"),
    ],
    ids=["an answer below", "a forward", "an original to the end", "nothing else"],
)
def test_the_html_shows_where_a_quotation_ends_that_the_text_does_not_mark(html: str, expected: str) -> None:
    assert new_text("A\nB\nC", html).split() == expected.split()


def test_a_bare_forward_has_no_new_text() -> None:
    assert (
        new_text("---------- Forwarded message ---------\nFrom: Jane <jane@customer.example>\nSubject: x\n\nHi\n") == ""
    )


def test_a_message_that_is_only_a_signature_keeps_it() -> None:
    assert new_text("-- \nJane Doe\n") == "--\nJane Doe"


def test_blank_lines_are_trimmed() -> None:
    assert new_text("\n\nHello\n\n\n\nJane?  \n\n---\n") == "Hello\n\nJane?"


@pytest.mark.parametrize(
    "element",
    [
        '<div class="gmail_quote gmail_quote_container">',
        '<blockquote type="cite">',
        '<div id="divRplyFwdMsg" dir="ltr">',
        "<div id=appendonsend></div>",
        '<div class="moz-cite-prefix">',
        '<div class="protonmail_quote">',
    ],
)
def test_the_html_reveals_a_quotation_that_the_text_does_not_mark(element: str) -> None:
    html = f"<p>Tuesday is fine.</p>{element}<p>Which day?</p>"

    assert new_text("Tuesday is fine.\nWhich day?", html) == "Tuesday is fine."


def test_html_without_a_quotation_changes_nothing() -> None:
    assert new_text("Tuesday is fine.", "<p>Other <b>words</b></p>") == "Tuesday is fine."


@given(
    st.lists(
        st.sampled_from(
            [
                "> a\n",
                "On 3 May 2026, x@y.example wrote:\n",
                "--\n",
                "\n",
                "Hello\n",
                "From: a@b.example\n",
                "Subject: x\n",
                "Regards,\n",
                "Jane\n",
                "Sent from my iPhone\n",
                "CAUTION: external email\n",
                "___\n",
                "\r",
                "\x00",
            ]
        ),
        max_size=20,
    ),
    st.text(max_size=60),
)
def test_the_new_lines_of_any_text_are_among_its_lines(pieces: list[str], rest: str) -> None:
    text = "".join(pieces) + rest
    lines = {line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")}

    assert set(new_text(text, rest).split("\n")) <= lines | {""}


@pytest.mark.parametrize(
    "piece",
    [
        "On ",
        "On\n",
        ">",
        "-",
        "From: a\n",
        "1 ",
        "\n",
        "Regards,\n",
        "On 1 1 a@b:\n",
        "wrote ",
        "a@",
        " ",
        "<div class=",
        "_\n",
        "x\n\nOn 1 1 a@b.example wrote:\ny\n",
        "External email: be careful\n",
        "Come in.\n\nJane\n\n",
    ],
)
def test_a_long_hostile_text_has_the_same_new_lines_as_a_short_one(piece: str) -> None:
    """With more than linear time, this test would take much longer."""
    much, some = (piece * (size // len(piece)) for size in (100_000, 500))
    new = new_text(much, much)

    assert set(new) == set(new_text(some, some))
    assert set(new.split("\n")) <= {line.rstrip() for line in much.split("\n")} | {""}
