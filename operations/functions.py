"""Calls to the stack's Lambda functions: they do the work, with their own settings and permissions."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from email_handler.conversations.records import LedgerItem
from email_handler.identifiers import FunctionName
from operations.connection import Connection, aws_errors, resources
from operations.errors import CommandError

RECEIVERS: tuple[FunctionName, ...] = ("inbound", "reply")
"""The functions that receive messages, and may hold them."""


class Functions:
    """The stack's functions."""

    def __init__(self, connection: Connection) -> None:
        """Look up the functions of *connection*'s stack. Raises CommandError."""
        from cloud.clients import INVOKING  # noqa: PLC0415  (boto3, see operations.connection)

        self._names = {name: found for name, found in resources(connection).items() if name.endswith("Function")}
        self._client = connection.session.client("lambda", config=INVOKING)
        self._where = connection.where

    def call(self, function: FunctionName, payload: Mapping[str, Any]) -> Any:
        """Run *function* on *payload*, wait for its end, and return its result. Raises CommandError if it failed."""
        name = f"{function.capitalize()}Function"
        with aws_errors(self._where):
            response = self._client.invoke(FunctionName=self._names[name], Payload=json.dumps(payload).encode())
            result = json.loads(response["Payload"].read() or b"null")
        if "FunctionError" in response:
            error = result.get("errorType", "an error") if isinstance(result, dict) else "an error"
            raise CommandError(f"{name} failed with {error}: see its log (docs/runbook.md). Then try again.")
        return result

    def start(self, name: str, payload: Any) -> None:
        """Run the function of that *name* or ARN on *payload* without waiting. Raises CommandError."""
        with aws_errors(self._where):
            self._client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(payload).encode())

    def logical_id(self, arn: str) -> str:
        """Return the logical id of the function with *arn* (with or without a version), "" if the stack has none."""
        parts = arn.split(":")
        return next((logical for logical, name in self._names.items() if name in parts), "")


def describe_result(result: Mapping[str, Any], sends: Sequence[LedgerItem]) -> str:
    """Return what a function reports of a message as a line for people; *sends* are the jobs it names, as they are."""
    states = f", {' and '.join(f'{send.kind} {send.state}' for send in sends)}" if sends else ""
    conversation = f", conversation {result['conversation']}" if result["conversation"] else ""
    return f"{result['outcome']}{conversation}{states}"
