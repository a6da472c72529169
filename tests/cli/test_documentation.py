"""The documents that people read first mention only files, targets and commands that exist."""

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from tests.conftest import PROJECT
from tests.support.command import whole_command

DOCUMENTS = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((PROJECT / "docs").glob("*.md")),
]
OUTSIDE_ALL = {"query", "output", "region", "profile"}  # options of the AWS CLI itself
WITHOUT_MODEL = {"s3"}  # a command of the AWS CLI's own, not a service; the service's is s3api


def _name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_link_to_a_file_has_a_target(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())

    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^|`|URL )make ([a-z-]+)", document.read_text(), re.MULTILINE)

    assert set(named) - targets == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_command_of_the_operator_exists(document: Path) -> None:
    commands = whole_command().commands
    known = {("", name) for name in commands}
    known |= {(name, below) for name, group in commands.items() for below in getattr(group, "commands", ())}
    named = re.findall(r"email-handler (?:(rules|local) )?([a-z]+)", document.read_text())

    assert set(named) - known == set()


def aws_commands(document: Path) -> list[list[str]]:
    """Return the AWS CLI's commands with options in *document*, as their words: those in backticks, and in blocks."""
    text = re.sub(r"(?m)^ *```\w*$", "```", document.read_text())
    blocks = re.findall(r"(?s)```\n(.*?)```", text)
    inline = re.findall(r"`(aws\s[^`]+)`", re.sub(r"(?s)```.*?```", "", text))
    started = [one for block in blocks for one in re.split(r"(?m)^(?= *\S)(?=\s*aws )", block.replace("\\\n", " "))]
    found = [one.strip() for one in started if one.strip().startswith("aws ")] + inline
    return [words for one in found if len(words := shlex.split(one.replace("…", ""))) > 1]


@cache
def service(name: str) -> tuple[dict[str, Any], set[str]]:
    """Return the AWS CLI's commands of the service *name*, each with what it takes, and what it can wait for."""
    session = botocore.session.get_session()
    model = session.get_service_model({"s3api": "s3"}.get(name, name))
    shapes = {each: model.operation_model(each).input_shape for each in model.operation_names}
    commands = {xform_name(each, "-"): shape.members if shape else {} for each, shape in shapes.items()}
    waiters = session.get_waiter_model(name).waiter_names if name in {"cloudformation", "dynamodb"} else ()
    return commands, {xform_name(each, "-") for each in waiters}


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_command_of_the_aws_cli_exists_with_its_options(document: Path) -> None:
    for _, name, command, *words in aws_commands(document):
        if name in WITHOUT_MODEL:
            continue
        commands, waiters = service(name)
        options = [word.removeprefix("--").partition("=")[0] for word in words if word.startswith("--")]
        if command == "wait":
            assert words[0] in waiters, f"aws {name} wait {words[0]}"
            continue
        assert command in commands, f"aws {name} {command}"
        members = commands[command]
        known = {xform_name(member, "-") for member in members}
        booleans = {xform_name(member, "-") for member, shape in members.items() if shape.type_name == "boolean"}
        known |= {f"no-{each}" for each in booleans} | OUTSIDE_ALL
        assert set(options) <= known, f"aws {name} {command}"


def test_the_documents_name_some_commands_of_the_aws_cli() -> None:
    """Else the test above would look at nothing."""
    found = [words for document in DOCUMENTS for words in aws_commands(document)]

    assert ["sesv2", "put-account-details"] in [words[1:3] for words in found]
    assert ["cloudformation", "execute-change-set"] in [words[1:3] for words in found]
    assert len(found) >= 20
