import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.mail.html import html_text, read_page


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>Hello<br>Jane</p><p>Bye", "Hello\nJane\n\nBye"),
        ("<div>one</div><div>two</div>", "one\ntwo"),
        ("a\n  b\t c&nbsp;d", "a b c d"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a b\nc"),
        ("<ul><li>a<li>b</ul>", "* a\n* b"),
        ("<p>I wrote:<blockquote>you <i>wrote</i><p>more</blockquote>new", "I wrote:\n\n> you wrote\n>\n> more\n\nnew"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("Gr&uuml;&szlig;e &lt;b&gt; &#8364; &amp;amp;", "Grüße <b> € &amp;"),
        ("<style>p {color: red}</style><script>x < y</script><title>t</title>seen", "seen"),
        ("<!-- not <b>seen</b> -->seen<!DOCTYPE html><?xml x?>", "seen"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ('<a title="x > y" href=u>link</a>', "link"),
        ("<B>big</B> <FONT color='red'>red</FONT>", "big red"),
        ("a<wbr>b<span>c</span>", "abc"),
        ("", ""),
    ],
)
def test_the_text_of_a_page_is_what_a_person_sees(html: str, expected: str) -> None:
    assert html_text(html) == expected


@pytest.mark.parametrize(
    "html",
    [
        "<!-- never closed>kept",
        "<style>never closed</stile>kept",
        "<title>never closed kept",
        "kept<a href='never closed>",
        "<b never closed kept",
        "<p style='display:none'>kept</p>",
        "<img alt='kept'>",
        "<title>kept</title>",
        "<textarea>kept</textarea>",
    ],
)
def test_broken_or_hiding_markup_loses_no_text(html: str) -> None:
    assert "kept" in html_text(html)


def test_a_page_of_images_alone_has_text() -> None:
    assert html_text("<img src=x>") == "[image]"
    assert html_text("<a href='https://shop.example/'><img></a>") == "https://shop.example/"


@pytest.mark.parametrize(
    "style",
    [
        "display:none",
        "color:red; DISPLAY : none !important",
        "visibility: hidden",
        "font-size:0",
        "font-size: 0px;color:red",
        "max-height:0;overflow:hidden",
        "opacity:0",
        "mso-hide:all",
    ],
)
def test_hidden_text_is_separated_from_visible_text(style: str) -> None:
    page = read_page(f'<p>seen<span style="{style}">hid<b>den</b></span> too</p>')

    assert (page.text, page.hidden) == ("seen too", "hid den")


@pytest.mark.parametrize("style", ["font-size:0.9em", "max-height:0.5in", "opacity:0.8", "display:block", "color:red"])
def test_harmless_styles_hide_nothing(style: str) -> None:
    assert read_page(f'<p style="{style}">seen</p>').hidden == ""


@pytest.mark.parametrize(
    "html",
    [
        "<font color=white>x</font>",
        "<font color='#FFFFFF'>x</font>",
        '<span style="color: rgb(255, 255, 255)">x</span>',
        '<td bgcolor="#123456"><span style="color:#123456">x</span></td>',
    ],
)
def test_text_in_the_color_of_its_background_is_both_hidden_and_kept(html: str) -> None:
    page = read_page(html)

    assert (page.text, page.hidden) == ("x", "x")


def test_white_text_on_a_dark_color_or_an_image_is_not_hidden() -> None:
    assert read_page("<td bgcolor=black><font color=white>x</font></td>").hidden == ""
    assert read_page("<td style='background:url(x.png)'><font color=white>x</font></td>").hidden == ""


def test_links_are_listed_with_their_visible_text() -> None:
    html = "<a href='https://a.example/?x=1&amp;y=2'>see <b>this</b></a> <a name=top>no link</a><a href=b>c"

    links = tuple((link.href, link.text) for link in read_page(html).links)

    assert links == (("https://a.example/?x=1&y=2", "see this"), ("b", "c"))


def test_text_after_the_limit_is_kept_without_its_tags() -> None:
    assert html_text("<p>a</p><p>b</p>", 8).split() == ["a", "b"]


@given(st.text(alphabet=st.sampled_from("<>/=\"'!-ab &#;x1\n"), max_size=300) | st.text(max_size=100))
def test_any_text_becomes_an_encodable_page(html: str) -> None:
    page = read_page(html)

    (page.text + page.hidden).encode()


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "<!",
            "<a ",
            "&",
            "<",
            "</",
            "<!--",
            "<a href='",
            "<a b=c ",
            "&#1",
            "<script>",
            "<title><",
            "<div>",
            "<b><p>",
        ),
        *("<a =\"'", "<p style='color:", '="', "</b>", "<table><td>", "<blockquote>x", "<a href=x>", "<textarea></"),
    ],
)
def test_a_long_hostile_page_reads_like_a_short_one(unit: str) -> None:
    """With more than linear time, this test would take much longer."""
    long, short = read_page(unit * (200_000 // len(unit))), read_page(unit * 20)

    assert set(long.text) == set(short.text)
    assert set(long.hidden) == set(short.hidden)
