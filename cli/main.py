"""``email-handler``: the operator's command."""

import os
import sys
from typing import Annotated

import typer

from cli.commands import Commands
from cloud import PRIVATE
from cloud.errors import LocalCloudError
from email_handler.errors import EmailHandlerError
from operations.errors import CommandError

FAILED = 1  # cli.terminal.ExitCode.FAILED

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Operate a public contact address.",
    epilog="Exit codes: 0 done; 1 it failed, or a part of it did; 2 the command line is wrong; 3 compose held a message "
    "that must not leave as it is; 4 rules backtest would hold a released message again; 5 reconcile --dry-run found "
    "something unfinished.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  (20 ms that no other command needs)

        typer.echo(f"email-handler {version('service-email-handler')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that come before a command."""


def main() -> None:
    """Run the command. An expected error is one line on stderr, never a traceback. Files that it writes are the user's alone."""
    os.umask(PRIVATE)
    try:
        app()
    except (CommandError, LocalCloudError, EmailHandlerError) as error:
        from cli.terminal import print_note  # noqa: PLC0415  (it imports Rich, as the command has)

        print_note(f"email-handler: {error}", "red")
        sys.exit(FAILED)
    except BrokenPipeError:
        # The reader (head, less) closed the pipe. Buffered output must not raise again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
