"""``push``, ``rollback`` and ``show`` for the four documents that configure the functions: rules, routes,
acknowledgement, signature.

Each is an object below ``config/`` in the archive, and an SSM parameter (the pointer) holds its key. Pushing uploads
the document under a new key and moves the pointer; rolling back moves it to an earlier one. The functions follow
within a minute.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli.options import AsJson, Endpoint, Stack
from cli.terminal import fail_if, new_table, out, print_json, print_note, print_pairs, print_result, when
from operations.connection import connect
from operations.documents import ACKNOWLEDGEMENT, ROUTES, SEPARATOR, SIGNATURE, Document, Pointer, Version
from operations.errors import CommandError

File = Annotated[Path, typer.Argument(metavar="FILE", help="The document to put in force.")]
To = Annotated[str, typer.Option(metavar="KEY", help="The one to use: a key that show lists, or builtin.")]


def read_document(path: Path) -> bytes:
    """Return the document in *path*; of a folder, its first text and HTML file as one. Raises CommandError."""
    try:
        if not path.is_dir():
            return path.read_bytes()
        parts = [next(iter(sorted(path.glob(pattern))), None) for pattern in ("*.txt", "*.html")]
        if None in parts:
            raise CommandError(f"{path}: the folder must hold a .txt and a .html file")
        return SEPARATOR.encode().join(part.read_bytes().rstrip(b"\n") for part in parts if part)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}. Name the file to push.") from error


def add_commands(app: typer.Typer, document: Document) -> None:
    """Add ``push``, ``rollback`` and ``show`` for *document* to *app*."""

    @app.command()
    def push(file: File, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
        """Check a document, upload it under a new name, and put it in force. One with findings is not pushed."""
        body = read_document(file)
        if findings := document.check(body):
            for finding in findings:
                print_result({"path": str(file), "problem": finding}, f"{file} {finding}", as_json=as_json)
            print_note(f"Not pushed: {len(findings)} to fix first.", "red")
        fail_if(findings)
        pointer = Pointer(document, connect(stack, endpoint))
        before, key = pointer.push(body, datetime.now(UTC))
        _print_move(document, before, key, as_json=as_json)

    @app.command()
    def rollback(to: To = "", stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
        """Put the previous one in force again, or the one that --to names."""
        before, key = Pointer(document, connect(stack, endpoint)).back(to)
        _print_move(document, before, key, as_json=as_json)

    @app.command()
    def show(stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
        """Show which one is in force, what is wrong with it, and the earlier ones."""
        pointer = Pointer(document, connect(stack, endpoint))
        history = pointer.history()
        problems = pointer.problems(history[-1].key)
        if as_json:
            versions = [asdict(version) for version in reversed(history)]
            print_json({"in_force": history[-1].key, "problems": list(problems), "history": versions})
        else:
            _print_history(history, problems)
        fail_if(problems)


def _print_move(document: Document, before: str, key: str, *, as_json: bool) -> None:
    moved = f"In force within a minute: {key}\nBefore: {before} ({document.name} rollback goes back)"
    text = f"{key} is in force already." if key == before else moved
    print_result({"in_force": key, "before": before}, text, as_json=as_json)


def _print_history(history: Sequence[Version], problems: Sequence[str]) -> None:
    print_pairs(**{"In force": history[-1].key, "Since": when(history[-1].at), "Problems": "\n".join(problems)})
    table = new_table("Version", "When", "Key")
    for version in reversed(history[:-1]):
        table.add_row(str(version.version), when(version.at), Text(version.key))
    if len(history) > 1:
        out.print()
        out.print(table)


routes = typer.Typer(no_args_is_help=True, help="Choose the mailboxes that messages are forwarded to.")
acknowledgement = typer.Typer(no_args_is_help=True, help="Write the automatic acknowledgement to contacts.")
add_commands(routes, ROUTES)
signature = typer.Typer(no_args_is_help=True, help="Write what stands below replies, for each public address.")
add_commands(acknowledgement, ACKNOWLEDGEMENT)
add_commands(signature, SIGNATURE)
