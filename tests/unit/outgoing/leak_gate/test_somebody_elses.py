"""Other people's addresses that begin or end like the owner's: they leave as they were written, wherever they stand."""

import base64
import quopri

import pytest

from email_handler.mail.ignorable import RANGES
from email_handler.mail.parsing import parse
from email_handler.outgoing.leak_gate import gate
from email_handler.outgoing.leak_gate.masking import mask
from email_handler.outgoing.reply import compose_reply
from tests.support.builders import entity, multipart
from tests.support.compositions import CONTACT, NEEDLES, PRIVATE, THREAD, reply_context
from tests.support.hostile_documents import zipped

DOTS = (
    *("%2E", "%2e", "%252E", "&#46;", "&#046;", "&#46", "&#x2e;", "&#x2E;", "&period;", "&amp;#46;", "&amp;period;"),
    *("%26%2346%3B", "=2E", "-2E", "+2E", "_x002E_", "\\u002e", "\\x2e", "\\x{2e}", "\\u{2E}", "\\2e ", "\\."),
)
"""A dot as readers and mail systems write it."""
HYPHENS = ("%2D", "&#45;", "&#x2d;", "=2D", "\\u002d")
LETTERS = ("%C3%A9", "&eacute;", "&#233;", "=C3=A9", "\\u00e9", "%61", "&#97;", "&amp;eacute;", "=E9", "%E9")
LONGER_DOMAINS = (
    *(f"{PRIVATE}{dot}test" for dot in DOTS),
    *(f"{PRIVATE}.%{ord('t'):x}est" for _ in "1"),
    *(f"{PRIVATE}{hyphen}shop.test" for hyphen in HYPHENS),
    *(f"{PRIVATE}{hyphen}shop%2Etest" for hyphen in HYPHENS),
    *(f"{PRIVATE}{letter}.test" for letter in LETTERS),
    *(f"{PRIVATE.upper()}{dot}TEST" for dot in DOTS[:3]),
    f"{PRIVATE}\u0435.test",
    f"{PRIVATE}\u0335.test",
)
BEFORE = (
    *("\u0436.", "\u0436-", "\u0627.", "\u03b1_", "\u674e.", "\u0939\u093f.", "\u0e44\u0e17\u0e22\u0e35."),
    *("rene\u0301", "rene\u0301.", "q\u0301", "q\u0323\u0301", "\u0435\u0301", "\xe9", "\xe9.", "ren\xe9", "\ufb01."),
    *("ren&eacute;", "&eacute;.", "some&#46;", "some&period;", "some\\.", "so&shy;", "so&#8205;", "so&zwj;"),
    *("so\xad", "ho\u200c", "some.\xad", "some\u200d.", "so\u2060\u200d", "so\ufeff"),
)
LONGER_LOCALS = (*(f"{before}{PRIVATE}" for before in BEFORE), "so\xad\xadme@private.example\xads")
WORDS = ("Rumpelstilt\xadskins", "Rumpelstiltskin\u200ds", "x\u2060Rumpelstiltskin")


def _text(
    text: str, encoding: str, subtype: str = "plain", charset: str = "utf-8", sender: str = "a@b.example"
) -> bytes:
    encoded = {"8bit": text.encode(charset), "quoted-printable": quopri.encodestring(text.encode(charset))}
    fields = [
        ("From", sender),
        ("To", CONTACT if sender == "a@b.example" else THREAD),
        ("Content-Type", f"text/{subtype}; charset={charset}"),
        ("Content-Transfer-Encoding", encoding),
    ]
    return entity(fields, encoded[encoding] + b"\r\n")


def _with_file(payload: bytes, content_type: str = "application/octet-stream") -> bytes:
    head = [("Content-Type", content_type), ("Content-Transfer-Encoding", "base64")]
    return multipart(
        "mixed", entity([], b"x"), entity(head, base64.encodebytes(payload)), headers=[("From", "a@b.example")]
    )


def _is_left_alone(text: str, subtype: str) -> bool:
    if mask(text, NEEDLES, CONTACT, markup=subtype == "html") != (text, ()):
        return False
    for encoding in ("8bit", "quoted-printable"):
        reply = compose_reply(parse(_text(text, encoding, subtype, sender=PRIVATE)), reply_context())
        if reply.held or reply.changes or gate.check(_text(text, encoding, subtype), NEEDLES)[0]:
            return False
    return gate.check(_with_file(text.encode()), NEEDLES) == ((), ())


@pytest.mark.parametrize("frame", ["https://shop.example/?m={}&x=1, write to {}", "<p>{}</p>"])
@pytest.mark.parametrize("address", [*LONGER_DOMAINS, *LONGER_LOCALS, *WORDS], ids=ascii)
def test_an_address_that_is_longer_in_an_encoding_is_left_alone(address: str, frame: str) -> None:
    assert _is_left_alone(frame.replace("{}", address), "html" if frame.startswith("<p") else "plain")


@pytest.mark.parametrize(
    "after",
    [
        *("&gt;", "&#62;", "&lt;/a&gt;", "&amp;gt;", "&nbsp;", "&#160;and", "%20and", "%3E", "%26x=1", "=20", "=3D", "&quot;"),
        *("&#46;", "&#46; And", "%2E", "&period;</p>", "%2Epdf", "&#46;pdf", "\\n", "\\nand", "\\test", "\\data\\x"),
        *(".&nbsp;And", ".&#10;and", ".=20And", "&copy=1", "&eth=1", "-2nd", "-20", "+2 more", "\u3002thanks", "\u3002"),
    ],
)  # fmt: skip
def test_an_address_ends_where_what_follows_is_no_part_of_a_domain_once_decoded(after: str) -> None:
    for frame, is_page in (("to {}", False), ("<p>to {}</p>", True)):
        text = frame.format(PRIVATE + after)

        assert PRIVATE not in mask(text, NEEDLES, CONTACT, markup=is_page)[0]


@pytest.mark.parametrize(
    "before",
    [
        *("&lt;", "&nbsp;", "&#58;", "&amp;lt;", "AT&T;", ";", "&quot;", "\\.", "x&nbsp;&shy;", "to:\xad", "\u202a", "to\u2066"),
        *("so\u200b", "so&#8203;", "so&ZeroWidthSpace;", "Smith\u200b\xad", "Smith\xad\u200b", "x%E2%80%8B"),
        *("\u8bf7", "\u8c22\u8c22\u3002", "\u8c22\u8c22\uff61", "\u5230_", "\u5230-", "\u043a", "\u201e", "\xab", " \u0301", "d'"),
    ],
    ids=ascii,
)  # fmt: skip
def test_an_address_begins_behind_what_is_no_part_of_a_word_once_decoded(before: str) -> None:
    for frame, is_page in (("{}", False), ("<p>{}</p>", True)):
        text = frame.format(before + PRIVATE)

        assert PRIVATE not in mask(text, NEEDLES, CONTACT, markup=is_page)[0]


def test_what_is_not_shown_begins_no_address_within_a_word(subtests: pytest.Subtests) -> None:
    """What turns a run around does: programs put it around an address that they insert. So does a zero-width space: a
    line may be broken there."""
    marks = {mark for first, last in RANGES for mark in (chr(first), chr((first + last) // 2), chr(last))}
    turning = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)), "\u200b"}

    for mark in marks - turning:
        with subtests.test(ascii(mark)):
            assert mask(f"so{mark}{PRIVATE}", NEEDLES, CONTACT)[1] == ()
            assert mask(f"to {mark}{PRIVATE}{mark} and", NEEDLES, CONTACT)[1]
    assert all(mask(f"to{mark}{PRIVATE}{mark}and", NEEDLES, CONTACT)[1] for mark in turning)


def _letter(encoding: str, charset: str = "utf-8") -> bytes:
    words = "ren\xe9me@private.example, \xe9.me@private.example and so many others.\r\n"
    broken = {"8bit": b"", "quoted-printable": b"so=\r\nme@private.example, me@private.example=\r\n.test.\r\n"}
    return b"Subject: x\r\n" + _text(words, encoding, charset=charset) + broken[encoding]


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1"])
@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable"])
@pytest.mark.parametrize("carrier", ["as it is", "octet-stream", "message/rfc822", "mailbox", "archive"])
def test_another_persons_message_is_left_alone_however_it_is_attached(
    carrier: str, encoding: str, charset: str
) -> None:
    letter = _letter(encoding, charset)
    raw = {
        "as it is": lambda: letter,
        "octet-stream": lambda: _with_file(letter),
        "message/rfc822": lambda: _with_file(letter, "message/rfc822"),
        "mailbox": lambda: _with_file(b"From a@b.example Mon\n" + letter.replace(b"\r\n", b"\n")),
        "archive": lambda: _with_file(zipped({"a.eml": letter})),
    }[carrier]()

    assert gate.check(raw, NEEDLES) == ((), ())


@pytest.mark.parametrize("charset", ["iso-8859-1", "koi8-r", "cp1251", "iso-8859-5"])
def test_a_letter_of_an_unknown_charset_belongs_to_a_word(charset: str) -> None:
    word = "ren\xe9me" if charset == "iso-8859-1" else "\u0436.me"
    text = f"Hello,\r\n{word}@private.example\r\n".encode(charset)

    assert gate.check(_with_file(text), NEEDLES) == ((), ())
    assert gate.check(_with_file(text, f"text/plain; charset={charset}"), NEEDLES) == ((), ())
    assert gate.check(b"From: a@b.example\r\n\r\n" + text, NEEDLES) == ((), ())


@pytest.mark.parametrize("charset", ["gb2312", "big5", "euc-jp", "shift-jis", "utf-8"])
def test_a_word_in_an_unspaced_script_ends_before_an_address_in_any_charset(charset: str) -> None:
    text = f"Hello,\r\n\u4e2d\u6587{PRIVATE}\r\n".encode(charset)

    assert gate.check(_with_file(text), NEEDLES)[0]
    assert gate.check(_with_file(text, f"text/plain; charset={charset}"), NEEDLES)[0]


@pytest.mark.parametrize("address", [f"x{PRIVATE}", f"{PRIVATE}x", f"{PRIVATE}.test"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_longer_address_is_left_alone_in_digits_and_in_two_byte_text(address: str, end: str) -> None:
    text = address + end
    digits = (text.encode().hex(), base64.b64encode(text.encode()).decode(), base64.b32encode(text.encode()).decode())

    for written in (*digits, f"{digits[1]} and {digits[1]}"):
        assert gate.check(_with_file(written.encode(), "text/plain"), NEEDLES) == ((), ())
    for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        assert gate.check(_with_file(text.encode(codec), "text/plain"), NEEDLES) == ((), ())


@pytest.mark.parametrize("ending", [".org.pdf", ".org.tar.gz", ".co.v2.pdf"])
def test_a_longer_domain_before_the_endings_of_a_files_name_is_left_alone(ending: str) -> None:
    head = [("Content-Disposition", f'attachment; filename="{PRIVATE}{ending}"')]

    raw = multipart("mixed", entity([], b"x"), entity(head, b"y"), headers=[("From", "a@b.example")])

    assert gate.check(raw, NEEDLES) == ((), ())
