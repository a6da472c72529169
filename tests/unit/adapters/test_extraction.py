"""The text of documents, hostile ones among them."""

import io
import json
import os
import signal
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.adapters.extraction import documents, process
from email_handler.adapters.extraction.extractor import DocumentExtractor
from email_handler.adapters.extraction.plain_text import plain_text
from email_handler.ports import Extracted
from email_handler.usecases import attachments
from tests.support.builders import mail
from tests.support.hostile_documents import HOSTILE, docx, ole, outlook_message, page, stream, xlsx, zipped
from tests.support.world import World

PLENTY = 60.0  # seconds for a document that must be read, however busy the machine
PDF = page(
    stream(b"", b"BT /F 9 Tf 99 99 Td (Garden plan) Tj ET"),
    b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    names=b"/Font<</F 5 0 R>>",
)
LETTER = docx(b"<w:p><w:r><w:t>Garden plan</w:t></w:r></w:p>")


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentExtractor]:
    with DocumentExtractor({"TMPDIR": str(tmp_path_factory.mktemp("tmp"))}) as opened:
        yield opened


def found(extractor: DocumentExtractor, payload: bytes, charset: str = "") -> tuple[str, str, str]:
    result = extractor.extract(payload, charset, PLENTY)
    return result.detected_type, result.text, result.status


def test_documents_are_read_by_their_content(extractor: DocumentExtractor, subtests: pytest.Subtests) -> None:
    cases = {
        "PDF": (PDF, "application/pdf"),
        "Word": (LETTER, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        "Excel": (
            xlsx(b'<row r="1"><c r="A1" t="inlineStr"><is><t>Garden plan</t></is></c></row>'),
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        "Outlook": (outlook_message("Hello", "Garden plan"), "application/vnd.ms-outlook"),
        "Outlook, long": (outlook_message("Hello", "Garden plan " * 900), "application/vnd.ms-outlook"),
        "message": (mail(text="Garden plan", subject="Hello"), "message/rfc822"),
        "text with colons": (b"From: here\nTo: there\n\nGarden plan", "text/plain"),
        "RTF": (rb"{\rtf1\ansi Garden plan}", "application/rtf"),
        "HTML": (b"<!DOCTYPE html><html><body>Garden plan</body></html>", "text/html"),
        "JSON": (b'{"a": "Garden plan"}', "application/json"),
        "text": (b"Garden plan", "text/plain"),
        "text that begins like a bitmap": (b"BM is not all: Garden plan", "text/plain"),
    }
    for name, (payload, media_type) in cases.items():
        with subtests.test(name):
            detected, text, status = found(extractor, payload)
            assert (detected, status) == (media_type, "extracted")
            assert "Garden plan" in text


def test_what_is_no_document_is_unsupported_or_without_text(extractor: DocumentExtractor) -> None:
    assert found(extractor, b"") == ("", "", "no text")
    assert found(extractor, b" \r\n") == ("text/plain", "", "no text")
    assert found(extractor, b"\x7fELF\x02\x01\x01" + bytes(100)) == ("", "", "unsupported")
    assert found(extractor, ole({"Anything": b"x"})) == ("application/x-ole-storage", "", "unsupported")


def test_the_text_is_bounded(extractor: DocumentExtractor) -> None:
    _, text, status = found(extractor, b"ab " * process.MAX_TEXT)

    assert (len(text), status) == (process.MAX_TEXT, "extracted in part")


def test_no_document_does_harm_to_the_next(extractor: DocumentExtractor, subtests: pytest.Subtests) -> None:
    for name, build in HOSTILE.items():
        with subtests.test(name):
            extracted = extractor.extract(build(), "", 0.3)
            assert len(extracted.text) <= process.MAX_TEXT
            assert found(extractor, LETTER)[1:] == ("Garden plan", "extracted")


def test_a_document_that_takes_too_much_memory_dies_alone(extractor: DocumentExtractor) -> None:
    found(extractor, b"First")
    before = extractor._process
    _, text, status = found(extractor, HOSTILE["60 KB of nested SVG groups"]())

    assert (text, status) == ("", "failed: SIGABRT")
    assert found(extractor, b"Next")[1] == "Next"
    assert extractor._process is before


def test_a_document_that_takes_too_long_is_killed_and_its_type_known(extractor: DocumentExtractor) -> None:
    loop = HOSTILE["a PDF form that draws itself"]()

    assert extractor.extract(loop, "", 0.3) == Extracted(
        detected_type="application/pdf", text="", status="failed: time"
    )
    assert extractor.extract(PDF, "", 0.0).status == "failed: time"
    assert extractor.extract(PDF, "", -1.0).status == "failed: time"


def test_no_document_leaves_a_file(extractor: DocumentExtractor, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A killed one could not remove it, and the folder is small."""
    found(extractor, PDF)
    kept = [path.name for path in tmp_path_factory.getbasetemp().glob("tmp0/**/*") if path.is_file()]

    assert kept == ["libpdfium.so"]


def test_a_process_that_was_killed_is_started_again() -> None:
    with DocumentExtractor({}) as extractor:
        found(extractor, b"First")
        assert extractor._process
        os.kill(extractor._process.pid, signal.SIGKILL)
        extractor._process.wait()
        assert found(extractor, b"Second")[1] == "Second"


def test_a_process_that_cannot_start_fails_its_document_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with DocumentExtractor({}) as extractor:
        monkeypatch.setattr("email_handler.adapters.extraction.extractor._COMMAND", ("/nonexistent",))
        assert found(extractor, b"First")[2] == "failed: process"
        monkeypatch.undo()
        assert found(extractor, b"Second")[1] == "Second"


def test_the_process_has_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with DocumentExtractor({}) as extractor:
        found(extractor, b"First")
        assert extractor._process
        assert b"AWS_" not in Path(f"/proc/{extractor._process.pid}/environ").read_bytes()


def test_a_panic_is_a_failure_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):  # as pyo3 raises it
        pass

    def panic(*_: Any) -> Any:
        raise PanicException

    monkeypatch.setattr(documents, "read", panic)
    pipe = io.BytesIO()
    process._read(b"Hello", "", pipe)

    lines = [json.loads(line) for line in pipe.getvalue().splitlines()]
    assert lines == [{"detected_type": "text/plain"}, {"status": "failed: PanicException"}]


def test_each_attachment_is_stored_and_the_good_ones_read_whatever_the_others_do(
    extractor: DocumentExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "DOCUMENT_SECONDS", 0.5)
    bad = ["a PDF form that draws itself", "60 KB of nested SVG groups", "a ZIP cut short"]
    payloads = [b"First", *(HOSTILE[name]() for name in bad), b"Last"]
    world = World()
    files = [(f"{number}", "application/octet-stream", payload) for number, payload in enumerate(payloads)]
    decision = world.arrive(mail(attachments=files))
    stored = attachments.store_attachments(
        decision.receipt,
        "inbound",
        archive=world.archive,
        records=world.records,
        extractor=extractor,
        seconds=lambda: 0.0,
    )

    assert [world.archive.objects[one.archive_key] for one in stored] == payloads
    assert [one.status.partition(":")[0] for one in stored] == ["extracted", *["failed"] * 3, "extracted"]


# Charsets

SENTENCES = {
    "windows-1251": "Привет, мир! Это обычный русский текст о погоде и дороге.",  # noqa: RUF001
    "koi8-r": "Привет, мир! Это обычный русский текст о погоде.",  # noqa: RUF001
    "cp866": "Привет, мир! Это обычный русский текст о погоде и дороге.",  # noqa: RUF001
    "shift_jis": "こんにちは世界。これは日本語の文章です。",
    "euc_jp": "こんにちは世界。これは日本語の文章です。",
    "iso2022_jp": "こんにちは世界",
    "gbk": "你好，世界。这是中文文本，用于测试编码。",  # noqa: RUF001
    "gb18030": "編碼測試𠀀你好",
    "euc-kr": "안녕하세요 세계. 이것은 한국어 문장입니다.",
    "big5": "你好世界這是繁體中文的文字測試",
    "cp1253": "Καλημέρα κόσμε, αυτό είναι ελληνικό κείμενο",
    "cp1250": "Příliš žluťoučký kůň úpěl ďábelské ódy",
    "iso8859_2": "Příliš žluťoučký kůň úpěl ďábelské ódy",
    "cp1255": "שלום עולם, זה טקסט בעברית",
    "cp1256": "مرحبا بالعالم، هذا نص عربي",
    "cp874": "สวัสดีชาวโลก นี่คือข้อความภาษาไทย",
    "cp1252": "Rechnung „Müller“ über 5 €; name;café",
    "utf-8": "Grüße, Привет, 你好",
    "utf-8-sig": "Grüße, Привет, 你好",
    "utf-16": "Grüße, Привет, 你好",
    "utf-32": "Grüße, Привет, 你好",
    "utf-16-le": "Привет, мир, и всё остальное",
    "utf-16-be": "Grüße an alle, die dies lesen",
}
DECLARED = {
    **SENTENCES,
    "cp1254": "Merhaba dünya, bu Türkçe bir metindir: ığüşöç",
    "cp037": "Hello, world",
    "mac_roman": "Grüße aus Köln",
    "utf-7": "Grüße",
}


def test_text_is_read_in_the_charset_that_it_is_most_likely_in(subtests: pytest.Subtests) -> None:
    for charset, sentence in SENTENCES.items():
        with subtests.test(charset):
            assert plain_text(sentence.encode(charset), "") == sentence


def test_text_is_read_in_the_charset_that_its_part_declares(subtests: pytest.Subtests) -> None:
    for charset, sentence in DECLARED.items():
        with subtests.test(charset):
            assert plain_text(sentence.encode(charset), charset) == sentence


def test_a_wrong_or_unknown_declaration_does_not_spoil_the_text() -> None:
    for charset in ("iso-8859-1", "us-ascii", "windows-1251", "utf-16", "nonsense", "hex", "punycode", "\udcff"):
        assert plain_text("Grüße aus Köln".encode(), charset) == "Grüße aus Köln", charset


def test_a_web_page_is_read_in_the_charset_that_it_declares() -> None:
    text = '<?xml version="1.0" encoding="ibm866"?><a>Я</a>'

    assert plain_text(text.encode("cp866"), "") == text


def test_a_log_of_a_terminal_is_text_and_compressed_bytes_are_not() -> None:
    log = "\x1b[31mFehler\x1b[0m: Größe\n"

    assert plain_text(log.encode(), "") == log
    assert plain_text(zlib.compress(bytes(range(256)) * 40), "iso-8859-1") is None
    assert plain_text(zipped({"a": b"x"}), "windows-1251") is None


@given(st.binary(max_size=200), st.sampled_from(["", "utf-16", "iso-2022-jp", "windows-1251", "utf-7", "x"]))
def test_any_bytes_in_any_charset_are_text_or_not_and_can_be_stored(payload: bytes, charset: str) -> None:
    text = plain_text(payload, charset)

    assert text is None or text.encode() is not None
