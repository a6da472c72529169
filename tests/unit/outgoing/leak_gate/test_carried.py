"""What programs do to an address that a text carries: they encode, break, quote, check and rewrite it."""

import base64
import binascii
import gzip
import itertools
from collections.abc import Callable
from html import escape

import pytest

from email_handler.mail.parsing import parse
from email_handler.outgoing.leak_gate import gate
from email_handler.outgoing.leak_gate.masking import mask
from email_handler.outgoing.reply import compose_reply
from tests.support.builders import entity, mail
from tests.support.compositions import CONTACT, NEEDLES, PRIVATE, THREAD, reply_context

LETTER = f"Dear Jane, please write to my own address {PRIVATE} and to no other one. Thank you so much."
CODECS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _cut(text: str, width: int) -> list[str]:
    return [text[at : at + width] for at in range(0, len(text), width)]


def _is_held(text: str, subtype: str = "plain") -> bool:
    part = entity([("From", "a@b.example"), ("Content-Type", f"text/{subtype}; charset=utf-8")], text.encode())
    return bool(gate.check(part, NEEDLES)[0])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "quotation",
    ["> ", ">", "> > ", "JD> ", "jd>> ", "JSD> > ", "Jane> ", "  JD> ", "JD| ", "| ", "JD: > ", ": ", "# ", "// ", "* ", "+ ", "\t"],
)  # fmt: skip
def test_lines_of_base64_are_read_however_they_are_quoted(quotation: str, codec: str) -> None:
    for width in (18, 40, 76):
        assert _is_held(
            "see\r\n" + "".join(f"{quotation}{line}\r\n" for line in _cut(_base64(LETTER.encode(codec)), width))
        )


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "between",
    [
        *("<br>", "<br/>", "<BR>\r\n", "</p><p>", "</div><div>", "</td><td>", "<br>\r\n&gt; ", "<wbr>", "&nbsp;<br>"),
        *("</span><br><span style='color:red; font-weight:bold'>", "\u200b"),
        *(" ", "  ", "\t", "\u00a0", "\r\n\r\n", "\r\n \r\n", "\r\n> \r\n> ", "\\\r\n", '" +\r\n"', '",\r\n"', "=\r\n"),
    ],
    ids=ascii,
)  # fmt: skip
def test_lines_of_base64_are_read_whatever_parts_them(between: str, codec: str) -> None:
    subtype = "html" if {*"<&\u200b"} & {*between} else "plain"
    for width in (18, 40, 76):
        assert _is_held(f"see {between.join(_cut(_base64(LETTER.encode(codec)), width))} .", subtype)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [1, 2, 4, 5, 7, 8, 10, 11, 20])
def test_base64_may_have_padding_inside(size: int, codec: str) -> None:
    content = LETTER.encode(codec)
    digits = [_base64(content[at : at + size]) for at in range(0, len(content), size)]

    for between in ("", "\r\n", " ", "\r\n> "):
        assert _is_held(f"see {between.join(digits)} .")
        assert _is_held(f"see {between.join(digits).replace('=', '%3D')} .")
    assert _is_held(f"//{_base64(PRIVATE[:size].encode())}{_base64(PRIVATE[size:].encode())} .")


def test_words_and_other_digits_are_left_alone() -> None:
    other = LETTER.replace(PRIVATE, "some.me@private.example")
    for digits in (_base64(other.encode()), "international organisations communicate = values == others\r\n" * 99):
        assert gate.check(mail(text=f"see\r\nJD> {digits[:40]}\r\nJD> {digits[40:]}\r\n"), NEEDLES) == ((), ())


_XX = "+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _uu(content: bytes, zero: str = " ") -> list[str]:
    lines = (binascii.b2a_uu(content[at : at + 45]).decode().rstrip("\n") for at in range(0, len(content), 45))
    return ["begin 644 a.txt", *(line.replace(" ", zero) for line in lines), "`", "end"]


def _xx(content: bytes) -> list[str]:
    first, *lines, _zero, last = _uu(content)
    return [first, *("".join(_XX[(ord(c) - 32) & 63] for c in line) for line in lines), "+", last]


ENCODERS: dict[str, Callable[[bytes], list[str]]] = {"uu": _uu, "uu with backticks": lambda c: _uu(c, "`"), "xx": _xx}


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("quotation", ["", "> ", ">", "> > ", ">> ", "| ", "JD> ", "  ", "\t", ": ", "> | "])
def test_an_encoded_file_is_read_however_its_lines_are_quoted(quotation: str, encoder: str) -> None:
    for content in (LETTER.encode(), LETTER.encode("utf-16-le"), gzip.compress(LETTER.encode())):
        assert _is_held("see\r\n" + "".join(f"{quotation}{line}\r\n" for line in ENCODERS[encoder](content)))


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("frame", ["<pre>{}</pre>", "<p>{}</p>"])
def test_an_encoded_file_is_read_in_a_page(frame: str, encoder: str) -> None:
    between = "\r\n" if "pre" in frame else "<br>\r\n"
    lines = (escape(line) for line in ENCODERS[encoder](LETTER.encode()))

    assert _is_held(frame.format(between.join(lines) + between), "html")


@pytest.mark.parametrize("encoder", ENCODERS)
def test_another_encoded_file_is_left_alone(encoder: str) -> None:
    lines = ENCODERS[encoder](LETTER.replace(PRIVATE, "some.me@private.example").encode())

    assert gate.check(mail(text="".join(f"> {line}\r\n" for line in lines)), NEEDLES) == ((), ())
    assert gate.check(mail(text="We begin 100 years ago\r\nand so on\r\nto the end\r\n"), NEEDLES) == ((), ())


@pytest.mark.parametrize("subtype", ["enriched", "richtext"])
@pytest.mark.parametrize(
    "text",
    [
        *("me<bold>@</bold>private.example", "me<color><param>red</param>@</color>private.example"),
        *("Smith<nl>me@private.example<nl>Berlin", "m<smaller>e@private.</smaller>example"),
        *("me<comment>not shown</comment>@private.example", "<fixed>me</fixed>@<x-tag>private</x-tag>.example"),
    ],
)  # fmt: skip
def test_a_tag_of_enriched_text_is_a_boundary(text: str, subtype: str) -> None:
    assert _is_held(text, subtype)
    assert not _is_held(f"so{text.replace('private', 'public')}", subtype)


PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
COUNTS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _checked(url: str, kept: str, *, runs: bool) -> str:
    """Return *url* as Proofpoint's third form has it, with what is not *kept* in base64."""
    written, characters = "", ""
    for is_kept, group in itertools.groupby(url, lambda c: c in kept):
        run = "".join(group)
        stars = f"**{COUNTS[len(run) - 2]}" if runs and len(run) > 1 else "*" * len(run)
        written += run if is_kept else stars
        characters += "" if is_kept else run
    digits = base64.urlsafe_b64encode(characters.encode()).decode().rstrip("=")
    return f"https://urldefense.com/v3/__{written}__;{digits}!!Ab0Cd_1!xyz-9$"


@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.parametrize("kept", [PLAIN, PLAIN + ":/?=&.-_%", PLAIN + ":/?=&", PLAIN + ":/.-?=&#%@"])
@pytest.mark.parametrize(
    "url", ["https://x.example/?u={}&y=1", "mailto:{}", "https://x.example/\xe9/\xfc/{}/z", "https://x.example/?u={}"]
)
def test_the_characters_of_a_checked_link_are_put_back(url: str, kept: str, *, runs: bool) -> None:
    for address in (PRIVATE, PRIVATE.replace("@", "%40")):
        link = _checked(url.format(address), kept, runs=runs)

        assert _is_held(link)
        assert _is_held(f'<a href="{escape(link)}">x</a>', "html")
        reply = compose_reply(parse(mail(sender=PRIVATE, to=THREAD, text=f"{link}\r\n")), reply_context())
        assert not reply.held
        assert reply.changes
    for other in ("some.me@private.example", "me@private.example.test", "you@private.example"):
        link = _checked(url.format(other), kept, runs=runs)

        assert mask(link, NEEDLES, CONTACT) == (link, ())
        assert not _is_held(link)


REWRITTEN = (
    *("prvs=me/0123456789@private.example", "prvs=0123456789=me@private.example", "PRVS=me/0123abcdef@private.example"),
    *("prvs=0123=me+tag@private.example", "prvs=me=0123456789@private.example", "btv1==0123456789==me@private.example"),
    *("DDA:SMTP=me(a)private.example;", "DDA:RFC-822=me(a)private.example", "/DD.RFC-822=me(a)private.example/P=x/C=us/"),
    *("c=us;a= ;p=x;dda:SMTP=me(A)private.example", "IMCEAINVALID-me@private+2Eexample@customer.example"),
    "IMCEAX400-c+3DUS+3Bdda+3ASMTP+3Dme+28a+29private+2Eexample@customer.example",
    "IMCEAEX-_O=X_OU=Y_CN=RECIPIENTS_CN=me+40private+2Eexample@customer.example",
    *("SMTP:me@private.example", "[smtp:me@private.example]", "rfc822;me@private.example", "SIP:ME@PRIVATE.EXAMPLE"),
    *("<@a.example,@b.example:me@private.example>", "utf-8;me\\x{40}private.example", "X500:/o=x/cn=me@private.example"),
)  # fmt: skip
OTHERS = (
    *("prvs=some.me/0123@private.example", "prvs=0123=some.me@private.example", "prvs=me/0123@private.example.test"),
    *("prvs=notme/0123@private.example", "me/0123@private.example", "DDA:SMTP=some.me(a)private.example;"),
    *("DD.RFC-822=me(a)private.example.test", "me (a) private.example (b) public.example", "SMTP:some.me@private.example"),
    *("IMCEASMTP-some+2Eme+40private+2Eexample@customer.example", "SMTP:me@private.example.test"),
    "IMCEASMTP-me+40private+2Eexample+2Etest@customer.example",
)  # fmt: skip


@pytest.mark.parametrize("written", REWRITTEN)
def test_an_address_is_found_as_mail_systems_rewrite_it(written: str) -> None:
    assert _is_held(f"see {written} .\r\n")
    assert gate.check(mail(x_sender=written), NEEDLES)[0]


@pytest.mark.parametrize("written", OTHERS)
def test_another_address_is_left_alone_as_mail_systems_rewrite_it(written: str) -> None:
    text = f"see {written} .\r\n"

    assert mask(text, NEEDLES, CONTACT) == (text, ())
    assert not _is_held(text)


@pytest.mark.parametrize("name", ["alt", "title", "aria-label", "placeholder", "value", "label", "content", "download"])
@pytest.mark.parametrize(
    "value", [PRIVATE, "me&#64;private.example", "me&commat;private&period;example", "me&shy;@private.example", "me&#10;@private.example"]
)  # fmt: skip
def test_an_address_in_an_attribute_is_found(name: str, value: str) -> None:
    for quote in "\"'":
        assert _is_held(f"<p>x</p><img {name}={quote}{value}{quote} src=cid:x>", "html")


@pytest.mark.parametrize(
    "page",
    [
        "<p>me<img alt='@' src=cid:x>private.example</p>",
        "<p><img alt='me'><img alt='@'><img alt='private.example'></p>",
        '<p>me<IMG class=at title="x" alt="&#64;">private<img alt=".">example</p>',
        "<p>me<img alt=@ src=x>private.example</p>",
        "<p>me<input value='@'>private.example</p>",
        "<p><input placeholder='me'>@private.example</p>",
    ],
)
def test_what_a_picture_or_a_field_shows_stands_within_its_line(page: str) -> None:
    assert _is_held(page, "html")
    assert not _is_held(mask(page, NEEDLES, CONTACT, markup=True)[0], "html")
    assert not _is_held(page.replace("private", "public"), "html")
