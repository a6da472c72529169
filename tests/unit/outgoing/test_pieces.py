"""The pieces: the same words as text and as HTML, readable in light and dark, and nothing of theirs becomes markup."""

import re
from importlib.resources import files
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.mail.html import html_text
from email_handler.outgoing import pieces
from email_handler.outgoing.pieces import (
    DARK,
    LIGHT,
    Action,
    Actions,
    Box,
    Card,
    Facts,
    Heading,
    Paragraph,
    Piece,
    Tone,
)
from tests.support.previews import preview

AA = 4.5  # WCAG 2.2 §1.4.3, for text of any size
AA_EDGE = 1.2  # an edge only repeats what the ground and the words say


def luminance(color: str) -> float:
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    channels = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colors (WCAG 2.2)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_formula_is_that_of_wcag() -> None:
    assert round(contrast("#000000", "#ffffff"), 2) == 21
    assert round(contrast("#767676", "#ffffff"), 2) == 4.54


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", LIGHT)
def test_every_text_has_enough_contrast(name: str, palette: dict[str, pieces.Colors]) -> None:
    colors = palette[name]

    assert contrast(colors.ink, colors.ground) >= AA
    assert contrast(colors.edge, colors.ground) >= AA_EDGE


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_a_link_can_be_read_on_every_ground(palette: dict[str, pieces.Colors]) -> None:
    grounds = {palette[name].ground for name in ("page", "dim")}

    assert all(contrast(palette["link"].ink, ground) >= AA for ground in grounds)


def test_light_and_dark_know_the_same_pieces() -> None:
    assert LIGHT.keys() == DARK.keys() >= {tone.value for tone in Tone}


def test_the_acknowledgement_has_the_colors_of_the_pieces_and_no_others() -> None:
    page = (files("email_handler") / "builtin" / "acknowledgement" / "html.html").read_text("utf-8")
    ours = {value for palette in (LIGHT, DARK) for c in palette.values() for value in (c.ink, c.ground, c.edge)}

    used = set(re.findall(r"#[0-9a-f]{6}", page))
    assert used <= ours
    assert {LIGHT["page"].ink, LIGHT["dim"].ink, DARK["page"].ink, DARK["dim"].ink} <= used
    assert pieces.FONT in page


ACTION = Action("Block", "mailto:c-1.a+block@thread.example.com?subject=Block")
ALL: tuple[Piece, ...] = (
    Heading("A heading"),
    Paragraph("A paragraph"),
    Paragraph("A dim one", dim=True),
    *(Box(tone, f"Title {tone}", "Its text", ("one", "two")) for tone in Tone),
    Facts((("Subject", "Hello"), ("Why", "sells links"))),
    Card("A card", "by Jane", "Its beginning", "Held: sells links", "To release it: …", (ACTION,)),
    Actions((ACTION,)),
)


def test_every_kind_of_piece_is_tested_here() -> None:
    assert {type(piece) for piece in ALL} == set(get_args(Piece.__value__))


@pytest.mark.parametrize("piece", ALL, ids=lambda piece: type(piece).__name__)
def test_text_and_html_say_the_same(piece: Piece) -> None:
    def words(text: str) -> list[str]:
        return sorted(set(re.findall(r"\w+", text.replace(ACTION.url, ""))))

    assert words(html_text(pieces.as_html([piece]))) == words(pieces.as_text([piece]))
    if isinstance(piece, Card | Actions):
        assert f'href="{ACTION.url}"' in pieces.as_html([piece])


def test_without_actions_or_facts_nothing_is_shown() -> None:
    nothing = (Actions(()), Facts(()))

    assert pieces.as_text(nothing) == ""
    assert pieces.as_html(nothing) == ""


@given(st.text(max_size=60))
def test_no_text_becomes_markup(text: str) -> None:
    shown = (Heading(text), Paragraph(text), Box(Tone.GRAVE, text, text, (text,)), Facts(((text, text),)),
             Card(text, text, text, text, text, (Action(text, text),)))  # fmt: skip
    plain = (Heading("x"), Paragraph("x"), Box(Tone.GRAVE, "x", "x", ("x",)), Facts((("x", "x"),)),
             Card("x", "x", "x", "x", "x", (Action("x", "x"),)))  # fmt: skip

    def tags(page: str) -> list[str]:
        return [name for name in re.findall(r"</?\w+", page) if name != "<br"]

    if text:
        assert tags(pieces.as_html(shown)) == tags(pieces.as_html(plain))


def test_a_page_names_its_language_its_direction_and_both_color_schemes() -> None:
    page = pieces.page("<p>x</p>", title="A <title>", preview="")

    assert '<html lang="en" dir="ltr">' in page
    assert '<meta name="color-scheme" content="light dark">' in page
    assert "@media (prefers-color-scheme:dark)" in page
    assert "<title>A &lt;title&gt;</title>" in page
    assert "<img" not in page


@pytest.mark.parametrize("words", ["Hi", "Hello, can you help me with the plan of our courtyard? " * 3])
def test_a_list_of_messages_shows_the_words_for_it_and_nothing_of_what_follows(words: str) -> None:
    page = pieces.page("<p>What follows</p>", title="Title", preview=words)

    assert preview(page) == words[:100].strip() or words.strip().startswith(preview(page))
    assert "What" not in preview(page)
    assert html_text(page).strip() == "What follows"
