"""The documents that configure the functions: rules, routes, acknowledgement, signature, and the personal model.

Each is an object below ``config/`` in the archive, and an SSM parameter (the pointer) holds its key. Pushing uploads
the document under a new key and moves the pointer; rolling back moves it to an earlier one. The functions follow
within a minute.
"""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from string import Template
from typing import Any

from email_handler import ports
from email_handler.conversations import keys
from email_handler.conversations.routes import load_routes
from email_handler.conversations.signatures import load_signatures
from email_handler.errors import ArchiveObjectMissing, BadRules, BadWords
from email_handler.outgoing.acknowledgement import builtin_templates
from email_handler.spam.learned import LearnedModel, load_learned
from email_handler.spam.rules import check as check_rules
from email_handler.spam.rules import load_rules
from operations.connection import Connection, aws_errors, resources
from operations.errors import CommandError

BUILTIN, OFF = ports.BUILTIN, ports.OFF  # what a pointer holds when it points to no object
SEPARATOR = "\n=====\n"
PLACEHOLDERS = frozenset({"name", "subject", "public_address", "display_name"})
ROUTE_FIELDS = frozenset({"to", "address", "tag", "subject", "sender"})

type Check = Callable[[bytes], Sequence[str]]
"""Returns what is wrong with a document, a sentence each."""


def rules_findings(document: bytes) -> tuple[str, ...]:
    """Return the findings of ``rules check``."""
    return tuple(f"{finding.rule or 'the document'}: {finding.problem}" for finding in check_rules(document))


def rules_problems(document: bytes) -> tuple[str, ...]:
    """Return what the functions skip in a rules document."""
    try:
        return load_rules(document, "shown").problems
    except BadRules as error:
        return (str(error),)


def routes_findings(document: bytes) -> tuple[str, ...]:
    """Return what the functions skip in a routes document, and unknown names: a route whose condition is misspelled
    has no condition and takes all messages."""
    routes = load_routes(document)
    if routes.problems:
        return routes.problems
    parsed: dict[str, Any] = tomllib.loads(document.decode("utf-8-sig"))
    if not routes.routes:
        return ("there is no route in it: push one, or go back with routes rollback --to builtin",)
    unknown = [f"{name} at the top is not a known name" for name in parsed if name != "route"]
    for number, route in enumerate(parsed["route"], start=1):
        unknown += [f"route {number}: {name} is not a condition" for name in route if name not in ROUTE_FIELDS]
    return tuple(unknown)


def acknowledgement_findings(document: bytes) -> tuple[str, ...]:
    """Return what is wrong with the two templates: one is missing or empty, or a placeholder is unknown."""
    try:
        text, found, html = document.decode().replace("\r\n", "\n").partition(SEPARATOR)
    except UnicodeDecodeError:
        return ("it is not UTF-8",)
    if not found:
        return ("it does not have two parts: the text, a line with only five equals signs (=====), the HTML",)
    findings = []
    for part, template in (("the text", text), ("the HTML", html)):
        if not template.strip():
            findings.append(f"{part} is empty")
        if not Template(template).is_valid():
            findings.append(f"{part} has a $ without a placeholder: write $$ for a dollar sign")
        findings += [
            f"{part} has the unknown placeholder ${name}; known are {', '.join('$' + known for known in sorted(PLACEHOLDERS))}"
            for name in Template(template).get_identifiers()
            if name not in PLACEHOLDERS
        ]
    return tuple(findings)


def signature_findings(document: bytes) -> tuple[str, ...]:
    """Return what the functions skip in a signatures document."""
    return load_signatures(document).problems


def learned_findings(document: bytes) -> tuple[str, ...]:
    """Return why the functions cannot use a personal model."""
    try:
        load_learned(document)
    except BadWords as error:
        return (str(error),)
    return ()


@dataclass(frozen=True, slots=True)
class Document:
    """One of them."""

    name: str  # for people, and the beginning of its pointer's logical id
    folder: str  # below config/
    suffix: str
    check: Check  # for the editor: everything that is worth a correction
    problems: Check  # what the functions would report
    history: str = ""  # the command that lists its versions, if it is not NAME show


RULES = Document("rules", "spam-rules", ".toml", rules_findings, rules_problems)
ROUTES = Document("routes", "routes", ".toml", routes_findings, routes_findings)
ACKNOWLEDGEMENT = Document(
    "acknowledgement", "acknowledgement", ".txt", acknowledgement_findings, acknowledgement_findings
)
SIGNATURE = Document("signature", "signatures", ".toml", signature_findings, signature_findings)
LEARNED = Document("learned", keys.LEARNED, keys.MODEL, learned_findings, learned_findings, "learn status")
"""The personal model, which inbound's daily pass writes."""

BY_NAME = {document.name: document for document in (RULES, ROUTES, ACKNOWLEDGEMENT, SIGNATURE)}
"""Those that people write."""


def builtin(document: Document) -> bytes:
    """Return the built-in version of *document*: empty for those that need none."""
    if document is RULES:
        return (files("email_handler.builtin") / "spam-rules.toml").read_bytes()
    if document is ACKNOWLEDGEMENT:
        return SEPARATOR.join(part.rstrip("\n") for part in builtin_templates()).encode()
    return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One value that a pointer had, as ``show --json`` prints it."""

    version: int
    key: str
    at: datetime | None


def key_for(document: Document, body: bytes, now: datetime) -> str:
    """Return the key for a new *body*: keys are in the order of time, and a new one is never in use already."""
    return keys.document_key(document.folder, document.suffix, body, now)


def previous(history: Sequence[Version]) -> str:
    """Return the key in force before the present one, "" if there is none; *history* has the oldest first."""
    return next((version.key for version in reversed(history) if version.key != history[-1].key), "")


class Pointer:
    """One document's pointer in one deployment."""

    def __init__(self, document: Document, connection: Connection) -> None:
        """Find the parameter. Raises CommandError."""
        self.document = document
        self.connection = connection
        self.parameter = resources(connection)[f"{document.name.capitalize()}Pointer"]
        self._ssm = connection.session.client("ssm")

    def history(self) -> list[Version]:
        """Return the values it had (SSM keeps a hundred), oldest first. Raises CommandError."""
        with aws_errors(self.connection.where):
            pages = self._ssm.get_paginator("get_parameter_history").paginate(Name=self.parameter)
            found = [
                Version(version=entry["Version"], key=entry["Value"].strip(), at=entry.get("LastModifiedDate"))
                for page in pages
                for entry in page["Parameters"]
            ]
        return sorted(found, key=lambda version: version.version)

    def body(self, key: str) -> bytes | None:
        """Return the document at *key*, None if the archive has none or it is the built-in one."""
        try:
            return None if key in (BUILTIN, OFF) else self.connection.archive.get(key)
        except ArchiveObjectMissing:
            return None

    def move(self, key: str) -> None:
        """Point to *key*. Raises CommandError."""
        with aws_errors(self.connection.where):
            self._ssm.put_parameter(Name=self.parameter, Value=key, Type="String", Overwrite=True)

    def push(self, body: bytes, now: datetime) -> tuple[str, str]:
        """Upload *body*, which was checked, and point to it; return the old and the new key, which are the same if it is
        in force already. Raises CommandError."""
        before = self.history()[-1].key
        if self.body(before) == body:
            return before, before
        key = key_for(self.document, body, now)
        self.connection.archive.put(key, body, "text/plain; charset=utf-8")
        self.move(key)
        return before, key

    def back(self, to: str) -> tuple[str, str]:
        """Point to the key *to*, or if it is "" to what was in force before; return the old and the new key.

        Raises CommandError if there is none.
        """
        history = self.history()
        now, key = history[-1].key, to or previous(history)
        if not key:
            raise CommandError(f"nothing was in force before {now}: name one with --to")
        if key != BUILTIN and self.body(key) is None:
            listing = f"{self.document.history or f'{self.document.name} show'} lists them"
            raise CommandError(f"the archive holds no {key}: name another with --to ({listing})")
        if key != now:
            self.move(key)
        return now, key

    def problems(self, key: str) -> Sequence[str]:
        """Return what is wrong with the document at *key*."""
        if key in (BUILTIN, OFF):
            return ()
        body = self.body(key)
        return ("the archive holds no such document",) if body is None else self.document.problems(body)


def learned_in_force(connection: Connection) -> LearnedModel | None:
    """Return the personal model in force, None if there is none, or none that can be read. Raises CommandError."""
    pointer = Pointer(LEARNED, connection)
    body = pointer.body(pointer.history()[-1].key)
    try:
        return load_learned(body) if body else None
    except BadWords:
        return None
