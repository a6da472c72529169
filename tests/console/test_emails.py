"""What is left of an email's HTML, its links and its files, as values."""

import time
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.emails import MAX_PICTURE, file_headers, framed, links, picture_type
from console.links import shown, split_links
from email_handler.mail.parsing import parse
from tests.console.hostile import HTML
from tests.support.builders import mail

ALLOWED = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "article",
        "a",
        "abbr",
        "address",
        "b",
        "bdi",
        "big",
        "blockquote",
        "br",
        "caption",
        "center",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "font",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "mark",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "u",
        "ul",
        "var",
        "wbr",
    ]
)
GIF = b"GIF89a" + b"\0" * 20


class Tags(HTMLParser):
    """Collects the tags of a page, and what they load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.styles: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += [(f"{tag} {name}", value) for name, value in attrs]
        self.styles += [str(value) for name, value in attrs if name == "style"]

    def handle_data(self, data: str) -> None:
        if self.lasttag == "style":
            self.styles.append(data)


@given(st.lists(st.sampled_from([*HTML.values(), "<table>", "</p>", "<!--", "<svg>", "x", "<td>", "\"'"]), max_size=6))
def test_whatever_is_put_together_has_known_elements_that_load_nothing(pieces: list[str]) -> None:
    page = framed(parse(mail(text=None, html="".join(pieces)))).page
    tags = Tags(page)

    assert tags.names <= ALLOWED
    assert not [name for name, _ in tags.attributes if name.split(" ")[1].startswith("on")]
    assert all(str(value).startswith("data:image/") for name, value in tags.attributes if name == "img src")
    assert not [style for style in tags.styles if "http" in style or "//" in style]


@given(st.text())
def test_any_text_is_shown_and_nothing_raises(text: str) -> None:
    page = framed(parse(f"Content-Type: text/html; charset=utf-8\r\n\r\n{text}".encode("utf-8", "replace"))).page

    assert Tags(page).names <= ALLOWED


def test_nesting_takes_no_more_time_than_its_length() -> None:
    """nh3 alone needs half a minute for it."""
    assert framed(parse(mail(text=None, html="<div>" * 80_000 + "deep"))).page.endswith("</article></body></html>")


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"\xff\xd8\xff...", "image/jpeg"),
        (GIF, "image/gif"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ""),
        (b"<?xml version='1.0'?><svg/>", ""),
        (b"<!doctype html><script>", ""),
        (b"", ""),
    ],
)
def test_only_pictures_that_are_nothing_else_are_shown(payload: bytes, kind: str) -> None:
    assert picture_type(payload) == kind


def test_a_picture_of_the_email_is_shown_by_its_content_id_up_to_a_size() -> None:
    html = '<img src="cid:small"><img src="cid:large"><img src="cid:missing"><img src="data:image/gif;base64,R0lGODlh">'
    inline = [("small", "image/gif", GIF), ("large", "image/gif", GIF + b"\0" * MAX_PICTURE)]

    shown = framed(parse(mail(html=html, inline=inline)))
    assert shown.page.count('src="data:image/gif;base64,') == 2
    assert shown.blocked == 2


def test_a_link_is_listed_once_with_where_it_leads() -> None:
    html = (
        '<a href="https://evil.example/a">https://bank.example</a> <a href="https://evil.example/a">again</a>'
        '<a href="mailto:jane@customer.example">mail</a> <a href="javascript:alert(1)">run</a>'
    )

    (link,) = links(parse(mail(text=None, html=html)))
    assert (link.text, link.url) == ("https://bank.example", "https://evil.example/a")


def test_a_link_in_a_text_is_its_own_address_without_the_marks_behind_it() -> None:
    text = 'See https://a.example/x(1), or "http://b.example?q=1". javascript:alert(1)'

    assert [piece for piece, is_link in split_links(text) if is_link] == [
        "https://a.example/x(1",
        "http://b.example?q=1",
    ]
    assert "".join(piece for piece, _ in split_links(text)) == text


@given(st.text(alphabet="htps:/.ex <>\"'()\u202e\n", max_size=40))
def test_no_letter_of_a_text_is_lost_to_its_links(text: str) -> None:
    assert "".join(piece for piece, _ in split_links(text)) == text


@pytest.mark.parametrize(
    "name", ["plan.pdf", "../../x", 'a"; filename="b', "a\r\nSet-Cookie: x", "\u202egpj.exe", "", "東京.txt"]
)
def test_a_file_name_stays_within_its_header(name: str) -> None:
    value = file_headers(name)["Content-Disposition"]

    assert value.startswith("attachment; filename*=UTF-8''")
    assert value.isascii()
    assert not set(value.removeprefix("attachment; filename*=UTF-8''")) & set("\r\n\"; /\\'")


# What a stranger wrote to be slow. Each took 2 to 31 s.


def clock_of(html: str) -> float:
    message = parse(mail(html=html, text=None))
    begun = time.process_time()
    framed(message)
    return time.process_time() - begun


@pytest.mark.parametrize(
    ("html", "times"),
    [("x &amp; ", 50_000), ("<style>p{font-family:'" + "url(" * 400 + "'}</style>", 30)],
    ids=["ampersands", "addresses in a sheet"],
)
def test_time_grows_with_the_length_of_the_html_and_no_faster(html: str, times: int) -> None:
    short = min(clock_of(html * times) for _ in range(2))

    assert clock_of(html * times * 4) < 0.3 + 8 * short


def test_long_runs_of_text_stay_what_they_are() -> None:
    said = "a<b&c " * 5_000
    page = framed(parse(mail(html=f"<p>{said.replace('&', '&amp;').replace('<', '&lt;')}</p>", text=None))).page
    whole = unescape(page.replace("<wbr>", ""))

    assert said.strip() in whole


def test_punctuation_behind_an_address_takes_no_time() -> None:
    text = ("http://a" + ")" * 1985 + "x ") * 100
    begun = time.process_time()

    assert "".join(piece for piece, _ in split_links(text)) == text
    assert time.process_time() - begun < 0.3


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://bank.example/login?a=b#c", "https://bank.example/login?a=b#c"),
        ("https://b\u0430nk.example:8080/login", "https://xn--bnk-6cd.example:8080/login"),
        ("https://m\u00fcnchen.example", "https://xn--mnchen-3ya.example"),
        ("https://evil.example\u3002com/", "https://evil.example.com/"),
        ("https://\uff42ank.example/", "https://bank.example/"),
        ("https://b%D0%B0nk.example/", "https://xn--bnk-6cd.example/"),
        ("https://bank.example@evil.example/", "https://evil.example/"),
        ("https://bank.example:443@evil.example\\@other.example/", "https://evil.example\\@other.example/"),
        ("HTTPS://Bank.Example", "HTTPS://bank.example"),
        ("https://bank.example/\u0430", "https://bank.example/\u0430"),
        ("https://" + "\u0430" * 300, "https://…"),
    ],
)
def test_a_link_is_shown_with_the_host_that_the_browser_asks(url: str, expected: str) -> None:
    assert shown(url) == expected


def test_any_link_can_be_shown_soon() -> None:
    began = time.process_time()
    for url in ("https://" + "\u0430" * 100_000, "https://" + "@" * 100_000, "https://" + "%" * 100_000):
        shown(url)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(("sheet", "dark"), [("@media (prefers-color-scheme: dark){p{color:#eee}}", True), ("", False)])
def test_only_an_email_that_is_made_for_dark_screens_is_dark_on_one(sheet: str, dark: bool) -> None:
    page = framed(parse(mail(html=f"<style>{sheet}</style><body style='background:#fff'><p>Hello</p>"))).page

    assert ("color-scheme:dark" in page) is dark
