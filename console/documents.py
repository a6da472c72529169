"""The documents in force: what they say, how another differs, checking it against the past, and putting it in force."""

from collections.abc import Iterator
from difflib import unified_diff
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from console.backtest import Backtest
from console.desk import Desk
from console.session import Undo
from console.view import desk_of, done, form_of, page, to
from operations.documents import BUILTIN, BY_NAME, RULES, Pointer, Version, builtin
from operations.errors import CommandError

type Kind = Literal["added", "removed", "same", "place"]
type Line = tuple[Kind, str]
_KINDS: dict[str, Kind] = {"+": "added", "-": "removed", "@": "place"}


def documents(request: Request) -> Response:
    """Return the page of the four documents, each with its problems."""
    desk = desk_of(request)
    found = []
    for name in BY_NAME:
        pointer = _pointer(desk, name)
        now = pointer.history()[-1]
        found.append((pointer.document, now, pointer.problems(now.key)))
    return page(request, "documents.html", documents=found, builtin=BUILTIN)


def document(request: Request) -> Response:
    """Return the page of one document: in force, its history, and how an earlier version differs."""
    pointer = _pointer(desk_of(request), request.path_params["name"])
    history = pointer.history()
    asked = request.query_params.get("version", "")
    other = next((version for version in history[:-1] if str(version.version) == asked), None)
    text = _text(pointer, history[-1].key)
    difference = list(_difference(text, _text(pointer, other.key))) if other else []
    return _page(request, pointer, history, text, draft=text, other=other, difference=difference)


def try_document(request: Request) -> Response:
    """Return the page of one document with what a changed text would mean: findings and the difference."""
    pointer = _pointer(desk_of(request), request.path_params["name"])
    history, draft = pointer.history(), _draft(request)
    text = _text(pointer, history[-1].key)
    findings = pointer.document.check(draft.encode())
    return _page(
        request,
        pointer,
        history,
        text,
        draft=draft,
        tried=True,
        findings=findings,
        difference=list(_difference(text, draft)),
    )


def push(request: Request) -> Response:
    """Put a changed text in force, unless something is wrong with it."""
    desk = desk_of(request)
    pointer = _pointer(desk, request.path_params["name"])
    body = _draft(request).encode()
    back = f"/documents/{pointer.document.name}"
    if findings := pointer.document.check(body):
        return done(request, back, f"Not pushed: {'; '.join(findings)}.", failed=True)
    before, key = pointer.push(body, desk.now())
    if key == before:
        return done(request, back, "This text is in force already.")
    undo = Undo(action=f"{back}/rollback", fields={"to": before}, label="Roll back")
    return done(request, back, f"In force within a minute: {key}.", undo=undo)


def rollback(request: Request) -> Response:
    """Put an earlier version in force again."""
    pointer = _pointer(desk_of(request), request.path_params["name"])
    back = f"/documents/{pointer.document.name}"
    before, key = pointer.back(form_of(request).get("to", ""))
    if key == before:
        return done(request, back, "This version is in force already.")
    undo = Undo(action=f"{back}/rollback", fields={"to": before})
    return done(request, back, f"In force within a minute: {key}.", undo=undo)


def backtest(request: Request) -> Response:
    """Begin to try changed rules on the messages of the past."""
    desk = desk_of(request)
    body = _draft(request).encode()
    if findings := RULES.check(body):
        return done(request, "/documents/rules", f"Not tried: {'; '.join(findings)}.", failed=True)
    desk.backtest = Backtest(desk.connection, body, desk.now())
    return to(request, "/backtest")


def backtest_result(request: Request) -> Response:
    """Return how far the back-test is, or its result."""
    return page(request, "backtest.html", backtest=desk_of(request).backtest)


def _pointer(desk: Desk, name: str) -> Pointer:
    """Return one of the documents in force. Raises CommandError."""
    if name not in BY_NAME:
        raise CommandError("There is no such document.")
    return Pointer(BY_NAME[name], desk.connection)


def _page(request: Request, pointer: Pointer, history: list[Version], text: str, **values: Any) -> Response:
    shown: dict[str, Any] = {"other": None, "tried": False, "findings": (), "difference": []}
    return page(
        request,
        "document.html",
        document=pointer.document,
        history=list(reversed(history)),
        problems=pointer.problems(history[-1].key),
        text=text,
        builtin=BUILTIN,
        **(shown | values),
    )


def _draft(request: Request) -> str:
    return form_of(request).get("text", "").replace("\r\n", "\n")  # as forms send each end of a line


def _text(pointer: Pointer, key: str) -> str:
    body = builtin(pointer.document) if key == BUILTIN else pointer.body(key)
    if body is None:
        raise CommandError(f"The archive holds no {key}.")
    return body.decode("utf-8", "replace").replace("\r\n", "\n")


def _difference(before: str, after: str) -> Iterator[Line]:
    """Yield the lines that differ, with a few around them."""
    lines = unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    for line in list(lines)[2:]:
        kind: Kind = _KINDS.get(line[:1], "same")
        yield kind, "" if kind == "place" else line[1:]
