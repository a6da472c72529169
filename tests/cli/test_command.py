"""``email-handler`` as a process: exit codes, and one line instead of a traceback."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.commands import COMMANDS
from cli.main import app, main
from tests.conftest import PROJECT
from tests.support.command import whole_command

COMMAND = Path(sys.executable).with_name("email-handler")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, cwd=PROJECT
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nonsense"], 2, "No such command"),
        (["inspect"], 2, "Missing argument"),
        (["list", "--status", "asleep"], 2, "--status"),
        (["list", "--verdict", "bogus"], 2, "'bogus' is not one of 'held', 'flagged', 'dropped'"),
        (["list", "--send", "sent"], 2, "'sent' is not one of 'queued', 'sending', 'failed', 'unknown', 'bounced'"),
        (["list", "--day", "yesterday"], 2, "'yesterday' does not match the format"),
        (["list", "--status", "open", "--contact", "a@b.example"], 2, "one of them at a time"),
        (["list", "--endpoint", "http://127.0.0.1:1"], 1, "http://127.0.0.1:1 cannot be used"),
        (["inspect", "--rules", "no.toml", "events/mail/spam.eml"], 1, "Name a rules file with --rules"),
        (["rules", "check", "no.toml"], 1, "Name the rules file"),
        (["rules", "check", "events/README.md"], 1, "not TOML"),
        (["rules", "test", "functions"], 1, "spam or ham"),
        (["local", "send", "no.eml"], 2, "does not exist"),
    ],
)
def test_a_mistake_is_explained_and_has_its_exit_code(
    arguments: list[str], code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(sys, "argv", ["email-handler", *arguments])
    with pytest.raises(SystemExit) as ended:  # any other exception would be a traceback
        main()

    output = " ".join("".join(capsys.readouterr()).replace("│", " ").split())
    assert ended.value.code == code
    assert words in output


def test_a_mistake_ends_the_process_with_its_exit_code_and_no_traceback() -> None:
    ran = run("rules", "check", "no.toml")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("email-handler: ")
    assert "Traceback" not in ran.stderr


def test_files_that_a_command_writes_are_the_users_alone(tmp_path: Path) -> None:
    parties = ["--private", "owner@private.example", "--public", "contact@example.com"]
    ran = run("compose", "forward", "events/mail/first_contact.eml", *parties, "--out", tmp_path / "new/folder")
    written = list(tmp_path.rglob("*"))

    assert ran.returncode == 0
    assert len(written) == 3
    assert [path for path in written if path.stat().st_mode & 0o077] == []


def test_help_lists_the_exit_codes_and_every_command() -> None:
    ran = run("--help")

    assert ran.returncode == 0
    assert "Exit codes" in ran.stdout
    assert [name for name, *_ in ALL if name not in ran.stdout] == []


def test_the_list_of_commands_says_of_each_how_its_own_help_begins() -> None:
    """``--help`` imports no command, so the beginning is written twice."""
    helps = {name: " ".join(command.help.split()) for name, command in whole_command().commands.items()}

    assert {name: helps[name][: len(command.summary)] for name, command in COMMANDS.items()} == {
        name: command.summary for name, command in COMMANDS.items()
    }


def test_help_imports_no_command_and_no_aws() -> None:
    code = "import sys; from cli.main import main\ntry: main()\nexcept SystemExit: print(*sys.modules)"

    ran = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True, cwd=PROJECT
    )

    imported = set(ran.stdout.splitlines()[-1].split())
    assert {name for name in imported if name.startswith("cli.")} == {"cli.main", "cli.commands"}
    assert not imported & {"botocore", "boto3", "email_handler.mail", "starlette"}


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]

    ran = CliRunner().invoke(app, ["--version"])

    assert (ran.exit_code, ran.stdout) == (0, f"email-handler {project['version']}\n")


def test_a_pipe_closed_early_causes_no_traceback() -> None:
    shell = f"{COMMAND} inspect --json {' '.join(['events/mail'] * 8)} | head -1"

    ran = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=60, check=False, cwd=PROJECT)

    assert ran.stdout.count("\n") == 1
    assert "Traceback" not in ran.stderr
    assert "BrokenPipe" not in ran.stderr


def commands(group: Any, *names: str) -> Iterator[tuple[str, ...]]:
    """Yield the names of every command, except the local cloud's, which have their own tests."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *names, name)
        elif names != ("local",):
            yield (*names, name)


ALL = list(commands(whole_command()))


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_every_command_has_json(command: tuple[str, ...]) -> None:
    assert "--json" in CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"}).stdout


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_every_command_and_every_option_has_a_help_text(command: tuple[str, ...]) -> None:
    found: Any = whole_command()
    for name in command:
        found = found.commands[name]

    assert found.help
    assert [option.name for option in found.params if option.param_type_name == "option" and not option.help] == []
