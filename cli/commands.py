"""Which commands there are, and where; each is imported when it runs, or when its own help is shown.

All of them together take a second to import, boto3 and the pages of the console included.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command is, and how its help begins."""

    module: str  # of this package
    attribute: str  # a function, or a Typer for a group of commands or for settings of its own
    summary: str


COMMANDS = {
    "list": Command(
        "conversations",
        "list_",
        "List conversations, newest first; or messages by what the filter did; or sends by their state.",
    ),
    "search": Command(
        "search", "app", "Find messages by words in names, addresses, subjects, texts and files; newest first."
    ),
    "inbox": Command(
        "inbox",
        "inbox",
        "List the conversations that wait for your reply, oldest first: open ones, and those where the contact wrote last.",
    ),
    "show": Command(
        "conversations",
        "show",
        "Show a conversation: who, its messages in order with their files, and what was sent; for a contact, all of theirs.",
    ),
    "why": Command(
        "why",
        "why",
        "Show what happened to a message and why: decision, reasons, sends, events, and its place in the archive.",
    ),
    "close": Command("close", "close", "Close conversations."),
    "address": Command(
        "address",
        "address",
        "Print the address to which the owner writes, from a mailbox or alias of theirs, to start a conversation.",
    ),
    "cancel": Command(
        "waiting", "cancel", "Cancel replies that have not left yet: the last few of a conversation, or one."
    ),
    "snooze": Command("waiting", "snooze", "Put a conversation off: a notice reminds you in its thread."),
    "reopen": Command(
        "waiting",
        "reopen",
        "Let a conversation wait for your reply again, whatever it is now: closed, spam, answered or snoozed.",
    ),
    "allow": Command("lists", "allow", "Let emails from an address or a domain pass the spam filter."),
    "block": Command("lists", "block", "Hold all emails from an address or a domain, verified or not."),
    "unlist": Command("lists", "unlist", "Take an address or a domain off the list that it is on."),
    "lists": Command("lists", "lists", "Show the allow-list and the block-list."),
    "replay": Command("replay", "replay", "Run the receiving function again for stored messages."),
    "reconcile": Command(
        "reconcile",
        "reconcile",
        "Run the daily pass now: take up messages without a decision, unfinished decisions and overdue sends.",
    ),
    "redrive": Command(
        "redrive", "redrive", "Send again what was dead-lettered. The ledger decides, so that nothing is sent twice."
    ),
    "export": Command("personal_data", "export", "Write the data of a conversation or a person to files."),
    "erase": Command("personal_data", "erase", "Erase the data of a conversation or a person for good."),
    "configure": Command(
        "configure",
        "configure",
        "Ask for what a deployment needs, check it against your AWS account and DNS, and deploy.",
    ),
    "deploy": Command(
        "deploy",
        "deploy",
        "Build the project and deploy it with what samconfig.toml sets, the answers to configure, and --parameter-overrides.",
    ),
    "doctor": Command(
        "doctor",
        "doctor",
        "Check what a deployment needs: SES, DNS, receipt rules, documents, queues, alarms and their recipients.",
    ),
    "activate": Command("activate", "activate", "Make this stack's receipt rules the active ones in SES."),
    "deactivate": Command(
        "deactivate",
        "deactivate",
        "Stop receiving, then wait until the queues are empty: do this before you delete the stack.",
    ),
    "uninstall": Command(
        "uninstall",
        "uninstall",
        "Stop receiving, wait for the queues, delete the stack, and say what remains and how to remove it.",
    ),
    "console": Command(
        "console",
        "console",
        "Open the console in your browser: what waits for you, conversations, held messages, search, health, documents.",
    ),
    "inspect": Command(
        "inspection",
        "inspect",
        "Show what the functions would see in raw messages: sender, text, attachments, machine, bounce, spam, LinkedIn.",
    ),
    "compose": Command(
        "composition", "compose", "Compose what would be sent for raw mail, into files of the same names in DIR"
    ),
    "held": Command("held", "app", "Look at held messages, release them, or confirm that they were rightly held."),
    "rules": Command("rules", "app", "Check, try and change the spam rules."),
    "learn": Command("learn", "app", "See what the filter learned from your decisions; stop it, undo it or forget it."),
    "routes": Command("documents", "routes", "Choose the mailboxes that messages are forwarded to."),
    "acknowledgement": Command("documents", "acknowledgement", "Write the automatic acknowledgement to contacts."),
    "signature": Command("documents", "signature", "Write what stands below replies, for each public address."),
    "local": Command(
        "local", "app", "Run the whole service on this machine: send email in over SMTP, get email out as files."
    ),
}
"""In the order in which ``--help`` lists them."""


class Commands(TyperGroup):
    """The group of all commands. Until one runs it is known by its name and summary alone."""

    def __init__(self, **attributes: Any) -> None:
        """Take what Typer gives a group."""
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=command.summary) for name, command in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the name, the imported command, and the arguments that are left. Raises UsageError."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name and command else command, rest


def load(name: str) -> Any:
    """Import the command *name* and return it as Typer runs it."""
    found = getattr(import_module(f"cli.{COMMANDS[name].module}"), COMMANDS[name].attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(name)(found)
        return get_command(single)
    command = get_group(found) if len(found.registered_commands) > 1 else get_command(found)
    command.name = name
    return command
