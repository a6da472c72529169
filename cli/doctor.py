"""``email-handler doctor``: what a deployment needs to receive and send emails, and what to do if something is missing."""

from functools import partial

import typer

from cli.checks import print_checks
from cli.options import AsJson, Endpoint, Server, Stack
from cli.terminal import ExitCode, print_note, tracked
from operations.connection import connect, resources
from operations.dns import Dns
from operations.health import answers, questions


def doctor(stack: Stack = "", endpoint: Endpoint = "", dns: Server = "", as_json: AsJson = False) -> None:
    """Check what a deployment needs: SES, DNS, receipt rules, documents, queues, alarms and their recipients.

    Nothing is changed. The exit code is 1 if anything is wrong; each line shows what to do.
    """
    connection = connect(stack, endpoint)
    ids = resources(connection)
    asked = questions(Dns(dns))
    checks = [one for ask in tracked(asked, "questions", len(asked)) for one in answers(partial(ask, connection, ids))]
    if wrong := print_checks(checks, as_json=as_json):
        print_note(f"{wrong} to fix.", "red")
        raise typer.Exit(ExitCode.FAILED)
    print_note("Nothing to fix.", "dim")
