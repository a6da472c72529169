"""Output fits 80 columns, and ids in it are whole."""

import json
import re
import unicodedata
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from cli.conversations import conversations_table, messages_table, sends_table
from cli.terminal import new_console, new_table, print_hanging, print_json
from tests.support.records import acknowledgement, conversation, message

RECEIPT = "rafix1u4ulprtas0b59q2lvkk7l3c3kk88kvn1cu"
LINKEDIN = "linkedin-maximiliane-von-und-zu-habsburg"  # 40 characters, the most there are


def shown(*lines: RenderableType) -> str:
    console = new_console(width=80, file=StringIO())
    console.print(*lines)
    return str(getattr(console.file, "getvalue", str)())


@pytest.mark.parametrize(
    ("table", "ids"),
    [
        (conversations_table([conversation(id=LINKEDIN, subject="A plan for our garden " * 9)]), [LINKEDIN]),
        (messages_table([message(RECEIPT, conversation=LINKEDIN, subject="A plan for our garden " * 9)]), [RECEIPT]),
        (
            sends_table([acknowledgement(RECEIPT, conversation=LINKEDIN, reason="refused " * 9, lost=1)]),
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


HOSTILE = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
WRITTEN = "a\x1b[31mb\x1b]0;title\x07\x9b2Jc\u202edlrow\u2066\u200f\u061c" + "".join(reversed(HOSTILE)) + "end"


def everything(text: str) -> list[RenderableType]:
    """Return *text* in every place of a terminal where the commands print it."""
    table = new_table(text)
    table.add_row(text)
    table.add_row(Group(Text(text), text))
    return [text, Text(text, "bold"), table, Panel(text, title=text), Padding(Text.assemble((text, "red")), 1)]


@pytest.mark.parametrize("terminal", [False, True])
def test_no_control_or_formatting_character_of_a_stranger_reaches_a_terminal(terminal: bool) -> None:
    console = new_console(width=400, file=StringIO(), force_terminal=terminal)
    console.print(*everything(WRITTEN))
    console.print(WRITTEN, soft_wrap=True)
    print_hanging(console, "Text  ", WRITTEN)
    text = str(getattr(console.file, "getvalue", str)())

    own = re.sub(r"\x1b\[[0-9;]*m", "", text) if terminal else text  # the console's colours
    assert own.count("b]0;title2Jcdlrow") >= 8
    assert [letter for letter in set(HOSTILE) - {"\n"} if letter in own] == []
    assert ("\x1b[1m" in text) == terminal
    assert "\x1b[31mb" not in text


def test_what_a_stranger_wrote_is_no_markup() -> None:
    console = new_console(width=400, file=StringIO(), force_terminal=True)
    written = "[link=https://page.example]Click[/link] [bold]:smile: [/nothing"
    console.print(*everything(written))
    text = str(getattr(console.file, "getvalue", str)())

    assert written in text
    assert "\x1b]8" not in text


def test_json_keeps_every_character_and_prints_none_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"subject": WRITTEN})
    printed = capsys.readouterr().out

    assert json.loads(printed) == {"subject": WRITTEN}
    assert printed.isascii()
    assert [letter for letter in printed if not letter.isprintable()] == ["\n"]


def test_the_lines_of_a_value_are_kept() -> None:
    console: Any = Console(width=80, file=StringIO())

    print_hanging(console, "Text  ", "Hello,\n\nyou and me")

    assert console.file.getvalue() == "Text  Hello,\n      \n      you and me\n"
