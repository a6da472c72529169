"""``email-handler``: the operator's command."""

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from cli import (
    activation,
    backtest,
    closing,
    composition,
    conversations,
    doctor,
    documents,
    explanation,
    held,
    inspection,
    lists,
    local,
    personal_data,
    recovery,
    search,
    spam_rules,
)
from cli.terminal import AdminError, ExitCode, err
from cloud.errors import LocalCloudError
from email_handler.errors import EmailHandlerError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Look after a public contact address.",
    epilog="Exit codes: 0 done; 1 it could not be done, or not all of it; 2 the command line is wrong; "
    "3 compose held a mail that must not leave as it is; 4 rules backtest would hold again what was released; "
    "5 reconcile --dry-run found something stuck or without a state.",
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"email-handler {version('service-email-handler')}")
        raise typer.Exit


@app.callback()
def options(
    tell_version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version and end.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


app.command("list")(conversations.list_)
app.command()(conversations.show)
app.command()(search.search)
app.command()(explanation.why)
app.command()(closing.close)
app.add_typer(held.app, name="held")
app.command()(lists.allow)
app.command()(lists.block)
app.command()(lists.unlist)
app.command()(lists.lists)
app.command()(recovery.replay)
app.command()(recovery.reconcile)
app.command()(recovery.redrive)
app.command()(personal_data.export)
app.command()(personal_data.erase)
app.command()(doctor.doctor)
app.command()(activation.activate)
app.command()(inspection.inspect)
app.command()(composition.compose)
spam_rules.app.command()(backtest.backtest)
documents.add_commands(spam_rules.app, documents.RULES)
app.add_typer(spam_rules.app, name="rules")
app.add_typer(documents.routes, name="routes")
app.add_typer(documents.acknowledgement, name="acknowledgement")
app.add_typer(local.app, name="local")


def main() -> None:
    """Run the command. A mistake of the user's is one line on stderr, never a traceback."""
    try:
        app()
    except (AdminError, LocalCloudError, EmailHandlerError) as error:
        err.print(f"email-handler: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(ExitCode.FAILED)
    except BrokenPipeError:
        # The reader (head, less) has seen enough. What is buffered must not raise again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.FAILED)
