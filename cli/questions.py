"""The questions of ``email-handler configure``, and the conversation in the terminal. Questions go to stderr."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from cli.findings import Finding
from cli.parameters import listed, mistakes, tidy
from cli.terminal import print_note
from operations.errors import CommandError


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one setting."""

    name: str
    text: str
    optional: bool = False
    private: bool = False  # neither printed nor proposed


QUESTIONS = (
    Question(
        "Domain",
        "Which domain receives the email? It must receive no other; a subdomain such as mail.example.com is fine.",
    ),
    Question("PublicAddresses", "Which addresses do you publish? Several with commas."),
    Question("ForwardTo", "Which private mailbox are messages forwarded to? Several with commas.", private=True),
    Question(
        "OwnerAliases", "Which other addresses do you write from? Several with commas.", optional=True, private=True
    ),
    Question("DisplayName", "Which name is shown with the public address?", optional=True),
    Question(
        "HiddenTerms",
        "Which other words must never leave in a reply, such as a private telephone number? Several with commas.",
        optional=True,
        private=True,
    ),
    Question(
        "AlarmEmail", "Which address gets the alarms? Best not a public one of these.", optional=True, private=True
    ),
)


def ask(source: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
    """Ask each question until its answer has no mistake; return *values* with the answers. Raises CommandError."""
    answered = dict(values)
    for question in QUESTIONS:
        while True:
            answered[question.name] = tidy(question.name, _answer(question, proposal(question, answered)))
            text = mistakes(source, answered).get(question.name, "")
            if not text:
                break
            print_note(f"  {text}", "red")
    return answered


def proposal(question: Question, values: Mapping[str, str]) -> str:
    """Return what Enter answers: what is known, else what follows from other answers, else nothing."""
    if value := values.get(question.name):
        return value
    if question.name == "PublicAddresses":
        return f"contact@{values['Domain']}"
    return listed(values["ForwardTo"])[0] if question.name == "AlarmEmail" and question.name not in values else ""


def _answer(question: Question, proposed: str) -> str:
    shown = "as before" if proposed and question.private else proposed or ("none" if question.optional else "")
    if question.name == "AlarmEmail" and proposed:
        shown = "the private mailbox, or as before"
    print_note(question.text)
    typed = _prompt(f"{question.name}{f' [{shown}]' if shown else ''}: ")
    return "" if typed == "-" else typed or proposed


def _prompt(text: str) -> str:
    """Return the line that the user types at *text*, which goes to stderr. Raises CommandError at the input's end."""
    typer.echo(text, err=True, nl=False)
    try:
        return input().strip()
    except EOFError as error:
        raise CommandError("nobody answers here: run it in a terminal, or with --yes and --set Name=value") from error


def confirm(text: str, *, default: bool = False) -> bool:
    """Ask a question to answer with yes or no."""
    while True:
        typed = _prompt(f"{text} [{'Y/n' if default else 'y/N'}]: ").lower()
        if typed in {"", "y", "yes", "n", "no"}:
            return typed.startswith("y") if typed else default


def offer(found: Sequence[Finding], refused: set[str]) -> dict[str, str]:
    """Offer each fix for what was *found*; return the accepted settings, and add the others to *refused*."""
    accepted: dict[str, str] = {}
    for one in found:
        if not one.fix or one.fix.keys() & (refused | accepted.keys()):
            continue
        print_note(f"{one.found}. {one.todo}", "yellow")
        wording = " and ".join(f"{name}={value}" for name, value in one.fix.items())
        if confirm(f"Use {wording}?", default=True):
            accepted |= one.fix
        else:
            refused.update(one.fix)
    return accepted
