"""Text as rules see it: of bounded length, without disguises, and never an exception."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.spam.normalise import WINDOW, as_seen, fold

HOSTILE = st.lists(
    st.sampled_from(
        [
            "a",
            "V I A",
            "&#105;",
            "&",
            "\u200b",
            "\u0430",
            "é",
            "\ufdfa",
            "\ud800",
            "a1",
            " \n",
            ".",
            "\U000e0041",
            "ﬁ",
            "\u202e",
            "\x00",
        ]
    )
).map("".join)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("V I A G R A now", "VIAGRA now"),
        ("f r e e   m o n e y", "free money"),
        ("c.l.i.c.k here", "click here"),
        ("v1agra and m0ney", "viagra and money"),
        ("gr\u00f6\u00dfe na\u00efve", "grosse naive"),
        ("\u0412\u0456\u0430gr\u0430", "Biagra"),
        (
            "\u043f\u0440\u0438\u0432\u0435\u0442 \u0434\u0440\u0443\u0433",
            "\u043f\u0440\u0438\u0432\u0435\u0442 \u0434\u0440\u0443\u0433",
        ),
        ("user1@example.com", "user1@example.com"),
        ("https://a1b.example/x?a=b1c", "https://a1b.example/x?a=b1c"),
        ("U.S.A. and e.g. this", "U.S.A. and e.g. this"),
        ("pa\x00ss\x7fwo\x9frd", "password"),
        ("click\u2800here", "click here"),
        ("\u1d0f\u1d18\u1d07\u0274 \U0001f171\U0001f174 \U0001f15e\U0001f15d", "open be on"),
        ("p\u0251ssword lo\u0261in \u13a0octor", "password login Doctor"),
        ("/\u02c8l\u0254\u0261\u026an/", "/\u02c8l\u0254gin/"),
        ("p/a/s/s v\u00a0i\u00a0e\u00a0w   m\u2009o\u2009r\u2009e", "pass view more"),
        ("\u202edrowssap ruoy\u202c now", "your password now"),
        ("\u202egro.elpmaxe", "example.org"),
        ("and/or", "and/or"),
        ("z\u0142oty k\u0131z \u0111a \u00f8l", "z\u0142oty k\u0131z \u0111a \u00f8l"),
        ("\u201cquoted\u201d \u2013 text", '"quoted" - text'),
        ("", ""),
    ],
)
def test_disguises_are_removed_and_other_text_stays(text: str, read: str) -> None:
    assert as_seen(text)[-1] == read


@given(st.one_of(HOSTILE, st.text()))
def test_views_of_any_text_are_bounded(text: str) -> None:
    for view in as_seen(text, spacing=True):
        assert len(view) <= 2 * WINDOW


@pytest.mark.parametrize(
    "piece",
    [
        "a ",
        "a1",
        "\u0430",
        "a\u0430",
        "é",
        "&amp;",
        "\ufdfa",
        " ",
        "\u200b",
        "a.b.",
        "\U000e0041",
        "a\u0251",
        "\u202e",
        "\x00",
        "\u1d00",
    ],
)
def test_a_megabyte_of_one_piece_gives_few_bounded_windows(piece: str) -> None:
    seen = as_seen(piece * (1_000_000 // len(piece)))

    assert len(seen) <= 4
    assert max(map(len, seen)) <= 2 * WINDOW


@pytest.mark.parametrize("size", [100, WINDOW, WINDOW + 1, 10 * WINDOW, 40 * WINDOW])
def test_both_ends_are_seen_whole(size: int) -> None:
    begin, end = "begin " + "bb " * 4000, "ee " * 4000 + "end"
    seen = as_seen(begin + "xx " * (size // 3) + end)

    assert fold(begin) in seen[0]
    assert fold(end) in (seen[1] if len(seen) > 1 else seen[0])
