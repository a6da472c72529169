"""The model of words adds between nothing and a cap, explains itself in the message's own words, and never holds alone."""

import string
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.conversations.disposition import Disposition, Outcome
from email_handler.errors import BadWords
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from email_handler.spam.attached import attached_texts
from email_handler.spam.rules import builtin_rules
from email_handler.spam.stages import assess_content
from email_handler.spam.words import WordModel, builtin_words, features, load_words, windows, words, write_words
from tests.support.builders import entity, multipart
from tests.support.pdfs import page

LETTERS_OF_WORDS = string.ascii_lowercase[:20]
LETTERS = st.sampled_from(string.ascii_lowercase)
WORDS = st.text(LETTERS, min_size=2, max_size=12)
PHISHING = (
    "Your mailbox storage is almost full and incoming messages are on hold. Log in below to keep your password and "
    "restore access today, otherwise your account will be closed. Click the button to update your webmail now."
)


def assessed(text: str, subject: str = "Notice", *, hold: float = 11.5) -> Disposition:
    message = parse(f"Subject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode())
    return assess_content(message, replace(builtin_rules(), hold=hold, rules=(), signals={}))


def model(**weights: int) -> WordModel:
    """Return a model of single words."""
    found = {features([], [word])[0]: weight for word, weight in weights.items()}
    return load_words(write_words({"gain": 0.1, "base": -1.0}, found))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Verify, YOUR account.", ["verify", "your", "account"]),
        ("Don't follow-up", ["dont", "followup"]),
        ("see https://bank.test/login?x=1 or a.b@bank.test, file.txt", ["see", "or"]),
        ("12 of 30 a I", ["of"]),
        ("Пароль истёк", ["пароль", "истёк"]),
        ("नमस्ते, मेरा", ["नमस्ते", "मेरा"]),
        ("請求書の件です 2件", [*"請求書の件です件"]),
        ("x" * 25, []),
        ("", []),
    ],
)
def test_words_are_of_letters_only_and_addresses_are_none(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(st.characters(max_codepoint=127)))
def test_words_are_the_same_beside_a_letter_outside_ascii(text: str) -> None:
    assert words(f"{text} \u00e9") == words(text)


def test_a_pair_is_hashed_like_its_words_with_a_space_and_the_subject_apart() -> None:
    assert features([], ["your", "account"])[2] == features([], ["your account"])[0]
    assert len(set(features(["your"], ["your"]))) == 2


@given(st.lists(WORDS), st.lists(WORDS))
def test_words_alone_never_hold_and_never_lower_a_score(subject: list[str], text: list[str]) -> None:
    found = assessed(" ".join(text), " ".join(subject))

    assert found.outcome in (Outcome.DELIVER, Outcome.FLAG)
    assert 0 <= found.score <= builtin_rules().words


def test_a_text_at_the_cap_is_flagged_and_not_held() -> None:
    text = (
        "Dear customer, your account has been suspended. Click here to verify your account and confirm your information. "
        "Failure to verify your account within 24 hours will result in permanent suspension. Click the link below to "
        "restore access to your wallet. Best regards, security team."
    )

    found = assessed(f"{PHISHING} {text}", "Your account has been suspended: verify your account")

    assert (found.outcome, found.score) == (Outcome.FLAG, builtin_rules().words)


def test_points_are_explained_by_words_that_the_message_has() -> None:
    (reason,) = assessed(PHISHING).reasons
    named = reason.detail.removeprefix("is worded like spam: ").split(", ")

    assert (reason.stage, reason.rule) == ("words", "words")
    assert 1 <= len(named) <= 5
    assert all(set(name.strip("“”").split()) <= set(words(f"Notice {PHISHING}")) for name in named)


DRAWN = str.maketrans("abcdeghijklmnoprtuvwyz", "ᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡʏᴢ")
SHAPES = str.maketrans("aeopcxy", "\u0430\u0435\u043e\u0440\u0441\u0445\u0443")


@pytest.mark.parametrize(
    "disguised",
    [
        *(each.join(PHISHING) for each in ("\u200b", "\u00ad", "\u2060", "\u034f", "\u0301", "\x01", "\x7f", "\x9f")),
        PHISHING.lower().translate(DRAWN),
        PHISHING.translate(SHAPES),
        PHISHING.replace("a", "\u0251").replace("g", "\u0261"),
        PHISHING.replace(" ", "\u2800"),
        PHISHING.replace(" ", "\u00a0"),
        f"\u202e{PHISHING[::-1]}\u202c",
        "   ".join("\u00a0".join(word) for word in PHISHING.split()),
        "".join(f"&#{ord(letter)};" for letter in PHISHING),
    ],
)
def test_words_in_disguise_get_the_points_of_the_words(disguised: str) -> None:
    assert assessed(disguised).words >= assessed(PHISHING).words > 0


@pytest.mark.parametrize("between", ["<b></b>", "<!-- x -->", "<wbr>", "&shy;", "<i style='display:none'>q</i>"])
def test_words_split_by_markup_get_the_points_of_the_words(between: str) -> None:
    html = f"<p>{between.join(PHISHING)}</p>"
    message = parse(f"Subject: Notice\r\nContent-Type: text/html\r\n\r\n{html}".encode())

    assert assess_content(message, builtin_rules()).words == assessed(PHISHING).words


@pytest.mark.parametrize("text", ["", "password", "Viagra", "a", "\u8acb"])
def test_a_message_of_a_word_or_none_gets_no_points(text: str) -> None:
    assert assessed(text, "").score == assessed(text, text).score == 0


@pytest.mark.parametrize(
    ("kind", "piece"),
    [
        ("plain", "word "),
        ("plain", "a"),
        ("plain", "a "),
        ("plain", "pa5sw0rd "),
        ("plain", "p\u0251ss "),
        ("plain", "\u8acb"),
        ("plain", "\ufdfa"),
        ("plain", "\u202e\u200b"),
        ("plain", "> x\n"),
        ("plain", f"{PHISHING} "),
        ("html", "<p>a"),
        ("html", "&#112;"),
        ("html", "<a href='http://a.example/x'>b</a> "),
    ],
)
def test_five_megabytes_are_judged_in_bounded_time_and_not_held_by_words(kind: str, piece: str) -> None:
    """It takes 70 ms at most on a machine that does nothing else."""
    body = piece.encode() * (5_000_000 // len(piece.encode()))
    message = parse(b"Subject: Notice\r\nContent-Type: text/%b; charset=utf-8\r\n\r\n%b" % (kind.encode(), body))
    began = time.process_time()

    found = assess_content(message, replace(builtin_rules(), rules=(), signals={}))

    assert found.outcome is not Outcome.HOLD
    assert time.process_time() - began < 1


@pytest.mark.parametrize("times", [1, 200])
def test_what_is_quoted_counts_for_nothing(times: int) -> None:
    quoted = "\n".join(f"> {line}" for line in PHISHING.split(". ") * times)

    assert assessed(f"Is this from you?\n\n{quoted}").score == 0
    assert assessed(quoted).score == assessed(f"> {PHISHING}").score == 0


@pytest.mark.parametrize(
    "text",
    [
        "Kedves kolléga, köszönöm a tegnapi beszélgetést, mellékelve küldöm a szerződést és a számlát.",
        "Labdien, vai jūs varētu man atsūtīt rēķinu par pēdējo pasūtījumu? Paldies jau iepriekš!",
        "Habari, naomba unitumie ankara ya agizo langu la mwisho. Asante sana na siku njema kwenu nyote.",
        "안녕하세요, 지난주에 주문한 상품의 영수증을 다시 보내 주실 수 있을까요? 감사합니다.",
        "先週注文した商品の領収書をもう一度送っていただけますか。よろしくお願いいたします。",
        "สวัสดีครับ กรุณาส่งใบเสร็จของคำสั่งซื้อล่าสุดให้ผมอีกครั้ง ขอบคุณครับ",
        "שלום, האם תוכלו לשלוח לי שוב את החשבונית של ההזמנה האחרונה? תודה רבה",
        "مرحبا، هل يمكنكم إرسال فاتورة طلبي الأخير مرة أخرى؟ شكرا جزيلا لكم",
    ],
)
def test_languages_that_the_model_does_not_know_get_no_points(text: str) -> None:
    assert assessed(text, text.split(",", maxsplit=1)[0]).score <= 1


@pytest.mark.parametrize(("before", "behind"), [(2000, 0), (0, 2000), (1000, 1000), (301, 0), (150, 250)])
def test_padding_does_not_outweigh_what_is_sold(before: int, behind: int) -> None:
    sold, other = [f"pills{letter}" for letter in LETTERS_OF_WORDS], [f"garden{letter}" for letter in LETTERS_OF_WORDS]
    spam = model(**dict.fromkeys(sold, 20), **dict.fromkeys(other, -2))
    text, padding = " ".join(sold * 4), (" ".join(other * 100)).split()

    hidden = spam.assess("", [" ".join([*padding[:before], text, *padding[:behind]])])

    assert hidden.points > 0.5 * spam.assess("", [text]).points > 0
    assert set(hidden.named) <= set(sold)


@pytest.mark.parametrize("count", [0, 1, 400, 401, 500, 599, 600, 2999])
def test_windows_cover_every_word_and_half_a_window_is_always_within_one(count: int) -> None:
    whole, *parts = windows(count)

    assert whole == slice(0, count)
    assert bool(parts) is (count > 400)
    assert all(part.stop - part.start <= 200 and part.stop <= count for part in parts)
    if parts:
        assert all(any(part.start <= at and at + 100 <= part.stop for part in parts) for at in range(count - 99))


def test_a_sender_who_is_not_verified_counts_as_the_rules_say() -> None:
    message = parse(b"Subject: Hello\r\n\r\nHello")
    known, unknown = (assess_content(message, builtin_rules(), verified=verified) for verified in (True, False))

    assert unknown.score - known.score == pytest.approx(builtin_rules().signals["not-verified"].weight)


TEXT = entity([("Content-Type", "text/plain")], b"See the file.")


def with_attachment(content_type: str, name: str, payload: bytes) -> Message:
    disposition = f'attachment; filename="{name}"'
    return parse(
        multipart(
            "mixed",
            TEXT,
            entity([("Content-Type", content_type), ("Content-Disposition", disposition)], payload),
        )
    )


def pdf_of(text: str) -> bytes:
    """Return a PDF with a page of *text*."""
    return page(
        b"BT /F1 12 Tf 72 700 Td (%b) Tj ET" % text.encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        fonts=b"/F1 3 0 R",
    )


@pytest.mark.parametrize(
    ("content_type", "name", "payload"),
    [
        ("text/html", "a.html", f"<p>{PHISHING}</p>".encode()),
        ("application/octet-stream", "a.HTM", f"<p>{PHISHING}</p>".encode()),
        ("application/pdf", "a.pdf", pdf_of(PHISHING)),
        ("application/octet-stream", "a.bin", pdf_of(PHISHING)),
    ],
)
def test_the_text_of_an_attached_page_or_pdf_is_read(content_type: str, name: str, payload: bytes) -> None:
    message = with_attachment(content_type, name, payload)

    assert "mailbox storage is almost full" in " ".join(attached_texts(message))
    assert assess_content(message, builtin_rules()).words > 0


def test_a_pdf_that_is_broken_is_read_as_far_as_it_goes() -> None:
    broken = [with_attachment("application/pdf", "a.pdf", pdf_of(PHISHING)[:length]) for length in range(5, 900, 50)]

    assert "Your mailbox" in " ".join(text for message in broken for text in attached_texts(message))


def test_a_pdf_that_is_too_long_is_not_read() -> None:
    assert attached_texts(with_attachment("application/pdf", "a.pdf", pdf_of(PHISHING) + bytes(256 * 1024))) == ()


def test_of_attached_texts_only_the_first_few_are_read_and_each_is_cut() -> None:
    disposition = ("Content-Disposition", "attachment; filename=a.html")
    long = entity([("Content-Type", "text/html"), disposition], b"<p>" + b"word " * 10_000)

    texts = attached_texts(parse(multipart("mixed", TEXT, *[long] * 8)))

    assert [len(text) for text in texts] == [8 * 1024] * 3


def test_rules_without_a_cap_for_words_are_without_the_model() -> None:
    message = parse(f"Subject: Notice\r\n\r\n{PHISHING}".encode())

    assert assess_content(message, replace(builtin_rules(), words=0.0)).words == 0


@given(st.dictionaries(st.integers(0, 2**32 - 1), st.integers(-127, 127)))
def test_a_model_is_read_as_it_was_written(weights: dict[int, int]) -> None:
    document = write_words({"gain": 0.5, "base": -2.0, "made": "2026-11-29"}, weights)

    assert load_words(document).weights == weights
    assert document == write_words({"gain": 0.5, "base": -2.0, "made": "2026-11-29"}, dict(reversed(weights.items())))


@given(st.binary(max_size=100))
def test_any_other_bytes_are_refused(document: bytes) -> None:
    with pytest.raises(BadWords):
        load_words(document)


def test_the_built_in_model_is_small_and_says_how_it_was_made() -> None:
    header = builtin_words().header

    assert len(write_words(header, builtin_words().weights)) < 200_000
    assert {"made", "by", "learned", "spam", "folds"} <= header.keys()
