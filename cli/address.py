"""``email-handler address``: where the owner writes to start a conversation."""

from typing import Annotated

import typer

from cli.options import AsJson, Endpoint, Stack
from cli.terminal import print_json
from email_handler.conversations.starting_address import Start, starting_address
from email_handler.identifiers import EmailAddress
from email_handler.mail.addresses import can_be_written_to
from operations.connection import connect
from operations.errors import CommandError


def address(
    contact: Annotated[str, typer.Argument(metavar="ADDRESS", help="Whom to write to: jane@customer.example.")],
    sender: Annotated[str, typer.Option("--from", help="The public address to write from; the first by default.")] = "",
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Print the address to which the owner writes, from a mailbox or alias of theirs, to start a conversation.

    What arrives there leaves from the public address, and the contact's reply comes as any message does.
    """
    if not can_be_written_to(contact):
        raise CommandError(f"{contact} is no address that can be written to")
    parameters = connect(stack, endpoint).parameters
    public = tuple(map(EmailAddress, parameters["PublicAddresses"].split(",")))
    wanted = EmailAddress(sender.lower()) if sender else public[0]
    if wanted not in public:
        raise CommandError(f"{sender} is no public address: choose one of {', '.join(public)}")
    thread_domain = f"{parameters['ThreadSubdomain']}.{parameters['Domain']}"
    try:
        found = starting_address(Start(contact=EmailAddress(contact), public_address=wanted), public, thread_domain)
    except ValueError as error:
        raise CommandError(str(error)) from error
    if as_json:
        print_json({"contact": contact, "from": wanted, "address": found})
    else:
        typer.echo(found)
