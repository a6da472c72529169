"""Output fits 80 columns, and ids in it are whole."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from cli.conversations import conversations_table, messages_table, sends_table
from cli.terminal import print_hanging
from tests.support.records import acknowledgement, conversation, message

RECEIPT = "rafix1u4ulprtas0b59q2lvkk7l3c3kk88kvn1cu"
LINKEDIN = "linkedin-maximiliane-von-und-zu-habsburg"  # 40 characters, the most there are


def shown(*lines: RenderableType) -> str:
    console = Console(width=80, file=StringIO())
    console.print(*lines)
    return str(getattr(console.file, "getvalue", str)())


@pytest.mark.parametrize(
    ("table", "ids"),
    [
        (conversations_table([conversation(id=LINKEDIN, subject="A plan for our garden " * 9)]), [LINKEDIN]),
        (messages_table([message(RECEIPT, conversation=LINKEDIN, subject="A plan for our garden " * 9)]), [RECEIPT]),
        (
            sends_table(
                [acknowledgement(RECEIPT, conversation=LINKEDIN, reason="refused " * 9, possible_duplicate=True)]
            ),
            [LINKEDIN, acknowledgement().id],
        ),
    ],
)
def test_ids_in_tables_are_whole_in_80_columns(table: RenderableType, ids: list[str]) -> None:
    text = shown(table)

    assert [one for one in ids if one not in text] == []
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    "value", ["a short one", "", "many words " * 20, f"s3://bucket/{RECEIPT * 3}", f"at {RECEIPT * 3} end"]
)
def test_a_long_value_is_indented_and_no_word_is_broken(value: str) -> None:
    console: Any = Console(width=80, file=StringIO())

    print_hanging(console, Text("Archive  "), value)

    first, *others = console.file.getvalue().splitlines()
    assert first.startswith("Archive  ")
    assert all(line.startswith(" " * 9) for line in others)
    assert " ".join([first, *others]).split() == ["Archive", *value.split()]
    assert all(len(line) <= 80 or line.split()[-1].endswith(RECEIPT) for line in others)


def test_control_characters_of_a_stranger_are_removed() -> None:
    console: Any = Console(width=80, file=StringIO())

    print_hanging(console, "Text  ", "a \x1b[31mred\x1b[0m \x1b]0;title\x07 b")

    assert console.file.getvalue() == "Text  a [31mred[0m ]0;title b\n"


def test_the_lines_of_a_value_are_kept() -> None:
    console: Any = Console(width=80, file=StringIO())

    print_hanging(console, "Text  ", "Hello,\n\nyou and me")

    assert console.file.getvalue() == "Text  Hello,\n      \n      you and me\n"
