"""A contact's HTML cannot leave its place or style anything else, and still looks like what was sent.

How a browser reads it is measured in tests/browser.
"""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.mail.confinement import MAX_OPEN, confine
from email_handler.mail.html import html_text

PIECES = [
    "<div>", "</div>", "<table>", "</table>", "<tr>", "</tr>", "<td>", "</td>", "<li>", "<p>", "</p>", "<a href='#x'>",
    "</a>", "<b>", "</b>", "<article>", "</section>", "</article>", "<style>", "</style>", "<!--", "-->", "<", ">", "x",
    "<title>", "</title>", "<plaintext>", "<svg>", "<select>", "</body>", "<body class='a'>", "&lt;", "&#", "\0", "'", '"',
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=200))
def test_any_page_becomes_balanced_known_elements(page: str) -> None:
    body = confine(page).body

    open_: list[str] = []
    for close, name, _ in re.findall(r"<(/?)([a-z0-9]+)((?: [a-z]+=\"[^\"<>]*\")*)>", body):
        if close:
            assert open_.pop() == name
        elif name not in ("br", "col", "hr", "img", "wbr"):
            open_.append(name)
    assert open_ == []
    assert re.sub(r"</?[a-z0-9]+(?: [a-z]+=\"[^\"<>]*\")*>", "", body).count("<") == 0
    assert len(re.findall("<article|<section", body)) == 1


def body(page: str) -> str:
    return confine(page).body.removeprefix('<article class="theirs" style="display:block">').removesuffix("</article>")


@pytest.mark.parametrize(
    ("page", "kept"),
    [
        ("<p>one<p>two", "<p>one</p><p>two</p>"),
        ("<ul><li>one<li>two</ul>", "<ul><li>one</li><li>two</li></ul>"),
        ("<b>one<i>two</b>three</i>", "<b>one<i>two</i></b><i>three</i>"),
        ("<table><td>one<td>two</table>", "<table><tr><td>one</td><td>two</td></tr></table>"),
        ("<table><tr><td><div>one</table>two</div>", "<table><tr><td><div>one</div></td></tr></table>two"),
        ("<table><tr><td>a<table><tr><td>b</table>c", "<table><tr><td>a<table><tr><td>b</td></tr></table>c</td></tr></table>"),
        ("</div></td></tr></table></section></body>one", "one"),
        ("<td>one</td><tr>two</tr>", "onetwo"),
        ("<a href=https://a.example>one<a href=https://b.example>two", '<a href="https://a.example">one</a><a href="https://b.example">two</a>'),
        ("<section>one</section><dialog open>two</dialog>", "<div>one</div><div>two</div>"),
        ("<form action=https://x.example><input>one<button>two</button></form>", "<div>onetwo</div>"),
        ("<!--[if mso]><table><tr><td><![endif]-->one<!--[if mso]></td></tr></table><![endif]-->", "one"),
        ("<xmp><b>one</xmp>", "<pre>&lt;b&gt;one</pre>"),
        ("<script>one</script><noscript>two</noscript>", "two"),
        ("<base href=https://x.example><meta http-equiv=refresh content=0><link rel=stylesheet href=x>one", "one"),
        ('<a href="java\nscript:alert(1)" onclick=x>one</a>', "<a>one</a>"),
        ("<img src=x alt='a picture'><img src='cid:1' width=20px onerror=x>", 'a picture<img src="cid:1" width="20">'),
        ('<p style="position:fixed;color:red;margin:-9px 0">one', '<p style="color:red">one</p>'),
        ("<p hidden>one", '<p style="display:none">one</p>'),
    ],
)  # fmt: skip
def test_structure_is_read_as_browsers_read_it(page: str, kept: str) -> None:
    assert body(page) == kept


def test_the_attributes_of_the_body_become_the_style_of_its_stand_in() -> None:
    page = "<html dir=rtl><body bgcolor=ffeeaa text=#333 class='mail dark' style='position:fixed;padding:4px'>Hi"

    assert confine(page).body == (
        '<article class="theirs mail dark" dir="rtl" bgcolor="ffeeaa" '
        'style="display:block;background-color:#ffeeaa;color:#333;padding:4px">Hi</article>'
    )


def test_a_newsletter_keeps_its_looks() -> None:
    page = (
        "<html><head><style>@media (max-width: 600px){.w{width:100%!important}} a:hover{color:#f00} "
        "body{background:#eee url(https://x.example/a.png) no-repeat}</style></head><body>"
        '<table width="600" align="center" cellpadding="0" cellspacing="0" border="0" bgcolor="#ffffff" class="w">'
        '<tr><td background="https://x.example/b.png" style="padding:10px 20px;font-family:\'Open Sans\',Arial;'
        'background-image:linear-gradient(to right,#fff,rgba(0,0,0,.5));border-radius:4px">'
        '<font color="red" size="2">Hi</font><img src="https://x.example/c.png" width="50" height="20" alt="c"></td></tr>'
        "</table></body></html>"
    )
    confined = confine(page)

    assert (
        '<table width="600" align="center" cellpadding="0" cellspacing="0" border="0" bgcolor="#ffffff" class="w">'
        in confined.body
    )
    assert 'background="https://x.example/b.png"' in confined.body
    assert "padding:10px 20px;font-family:&#x27;Open Sans&#x27;,Arial;" in confined.body
    assert "linear-gradient(to right,#fff,rgba(0,0,0,0.5));border-radius:4px" in confined.body
    assert '<font color="red" size="2">Hi</font>' in confined.body
    assert "@media (max-width: 600px){\n.theirs .w{width:100%!important}\n}" in confined.sheet
    assert ".theirs a:hover{color:#f00}" in confined.sheet
    assert '.theirs{background:#eee url("https://x.example/a.png") no-repeat}' in confined.sheet


def test_hidden_text_stays_hidden_even_between_the_rows_of_a_table() -> None:
    page = "<table><tr><td>shown</td></tr><div style='display:none'>hidden</div><tr><td>too</td></tr></table>"

    assert "hidden" not in html_text(confine(page).body)


@pytest.mark.parametrize(
    "piece",
    ["<div>", "<b a=1><p>", "<table>", "<table><tr><td>", "</div>", "<a><p>", "<li><div>", "<!--", "<a b=", "<style>", "&#9",
     "<p style='color:red;", "<b><i><u></b>", "<style>{", "<style>@media x{", "<style>a{b:(", "<p style='width:calc(((((((((('>"],
)  # fmt: skip
def test_hostile_pages_stay_small(piece: str) -> None:
    page = piece * 3000

    confined = confine(page)

    assert len(confined.body) + len(confined.sheet) < 40 * len(page) + 1000


def test_numbers_of_thousands_of_digits_are_no_mistake() -> None:
    number = "9" * 5000

    assert confine(f"<p style='width:{number}'>&#{number};<style>a{{width:{number}px}}</style>x").shows


def test_what_is_nested_too_deep_keeps_its_text() -> None:
    assert html_text(confine("<div>" * (3 * MAX_OPEN) + "deep").body) == "deep"


def test_all_runs_of_text_are_reworded_at_once() -> None:
    confined = confine("a<b>b</b><p lang=x>c&amp;", lambda runs: [run.upper() for run in runs])

    assert confined.body.endswith('A<b>B</b><p lang="x">C&amp;</p></article>')


def test_what_stands_in_place_of_a_blocked_picture_is_text_too_and_a_word_may_go_on_around_it() -> None:
    page = "o<img src=cid:1 alt='n&quot;'>e<p title='one'>"
    seen: list[str] = []

    def reworded(runs: Sequence[str]) -> list[str]:
        seen.append("".join(runs))
        return [run.upper() for run in runs]

    confined = confine(page, reworded)

    assert seen == ["oe", 'On"E']
    assert confined.body.endswith('O<img src="cid:1" alt="N&quot;">E<p></p></article>')


@pytest.mark.parametrize(
    ("page", "shows"), [("", False), ("<p>&nbsp;</p>", False), ("<img src=cid:1>", True), ("x", True)]
)
def test_an_empty_page_shows_nothing(page: str, shows: bool) -> None:
    assert confine(page).shows is shows
