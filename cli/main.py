"""``email-handler``: the operator's command."""

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from cli import (
    activate,
    address,
    backtest,
    close,
    composition,
    configure,
    console,
    conversations,
    deactivate,
    deploy,
    doctor,
    documents,
    held,
    inbox,
    inspection,
    learn,
    lists,
    local,
    personal_data,
    reconcile,
    redrive,
    replay,
    rules,
    search,
    uninstall,
    waiting,
    why,
)
from cli.terminal import ExitCode, print_note
from cloud import PRIVATE
from cloud.errors import LocalCloudError
from email_handler.errors import EmailHandlerError
from operations.documents import RULES
from operations.errors import CommandError

app = typer.Typer(
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
        typer.echo(f"email-handler {version('service-email-handler')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that come before a command."""


app.command("list")(conversations.list_)
# A word may begin with a minus sign: -shed is no list of options, so not even -h is one here.
app.command(context_settings={"help_option_names": ["--help"], "ignore_unknown_options": True})(search.search)
for command in (
    *(inbox.inbox, conversations.show, why.why, close.close, address.address),
    *(waiting.cancel, waiting.snooze, waiting.reopen),
    *(lists.allow, lists.block, lists.unlist, lists.lists),
    *(replay.replay, reconcile.reconcile, redrive.redrive),
    *(personal_data.export, personal_data.erase),
    *(configure.configure, deploy.deploy, doctor.doctor, activate.activate, deactivate.deactivate),
    *(uninstall.uninstall, console.console),
    *(inspection.inspect, composition.compose),
):
    app.command()(command)
rules.app.command()(backtest.backtest)
documents.add_commands(rules.app, RULES)
app.add_typer(held.app, name="held")
app.add_typer(rules.app, name="rules")
app.add_typer(learn.app, name="learn")
app.add_typer(documents.routes, name="routes")
app.add_typer(documents.acknowledgement, name="acknowledgement")
app.add_typer(documents.signature, name="signature")
app.add_typer(local.app, name="local")


def main() -> None:
    """Run the command. An expected error is one line on stderr, never a traceback. Files that it writes are the user's alone."""
    os.umask(PRIVATE)
    try:
        app()
    except (CommandError, LocalCloudError, EmailHandlerError) as error:
        print_note(f"email-handler: {error}", "red")
        sys.exit(ExitCode.FAILED)
    except BrokenPipeError:
        # The reader (head, less) closed the pipe. Buffered output must not raise again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.FAILED)
