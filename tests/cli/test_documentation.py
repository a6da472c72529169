"""The documents that people read first mention only files, targets and commands that exist."""

import re
from pathlib import Path

import pytest
import typer

from cli.main import app
from tests.conftest import PROJECT

DOCUMENTS = [PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/flows.md")]


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
    groups = {group.name or "": group.typer_instance for group in app.registered_groups if group.typer_instance}
    known = {(name, sub) for name, group in groups.items() for sub in _commands(group)}
    known |= {("", name) for name in (*_commands(app), *groups)}
    named = re.findall(r"email-handler (?:(rules|local) )?([a-z]+)", document.read_text())

    assert set(named) - known == set()


def _commands(group: typer.Typer) -> set[str]:
    return {
        command.name or command.callback.__name__.rstrip("_")
        for command in group.registered_commands
        if command.callback
    }
