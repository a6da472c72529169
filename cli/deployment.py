"""What commands that act need of a deployment: its resources, calls to its functions, and AWS's refusals in words."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cli.connection import Connection
from cli.terminal import AdminError

NOT_HERE = "cannot be checked here"


def unasked(condition: str, *, emulated: bool) -> str:
    """Return what a condition of Health is where it is no fault: a question that an emulator has no answer to; "" where
    it is one."""
    question = condition.removeprefix("Could not ask ")
    return f"{NOT_HERE}: SES's {question}" if emulated and question != condition else ""


@contextmanager
def asking(where: str) -> Iterator[None]:
    """Turn what boto3 raises within into an AdminError. *where* is the deployment, for people."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  (see cli.connection)

    try:
        yield
    except ClientError as error:
        code, call = error.response.get("Error", {}).get("Code", "no code"), error.operation_name
        raise AdminError(f"{where} refused {call}: {code}. Check your credentials' permissions and region.") from error
    except BotoCoreError as error:
        raise AdminError(f"{where} cannot be used: {error}") from error


def resources(connection: Connection) -> Mapping[str, str]:
    """Return the physical ids of the stack's resources (queues: URLs, topics: ARNs, else names) by logical id.

    Raises AdminError.
    """
    with asking(connection.where):
        pages = connection.session.client("cloudformation").get_paginator("list_stack_resources")
        return {
            found["LogicalResourceId"]: found.get("PhysicalResourceId", "")
            for page in pages.paginate(StackName=connection.stack)
            for found in page["StackResourceSummaries"]
        }


def stack(connection: Connection) -> Mapping[str, Any]:
    """Return the stack's description: StackStatus, Parameters, Outputs. Raises AdminError."""
    with asking(connection.where):
        described: dict[str, Any] = connection.session.client("cloudformation").describe_stacks(
            StackName=connection.stack
        )["Stacks"][0]
    return described


def parameters(connection: Connection) -> Mapping[str, str]:
    """Return the parameters that the stack was deployed with; those that are not echoed as asterisks."""
    return {given["ParameterKey"]: given.get("ParameterValue", "") for given in stack(connection).get("Parameters", ())}


class Functions:
    """The stack's functions, called by their logical ids."""

    def __init__(self, connection: Connection) -> None:
        """Look up the functions of *connection*'s stack. Raises AdminError."""
        from cloud.clients import INVOKING  # noqa: PLC0415  (boto3, see cli.connection)

        self._names = {name: found for name, found in resources(connection).items() if name.endswith("Function")}
        self._client = connection.session.client("lambda", config=INVOKING)
        self._where = connection.where

    def call(self, function: str, payload: Mapping[str, Any]) -> Any:
        """Run *function* on *payload*, wait, and return its answer. Raises AdminError where it failed."""
        with asking(self._where):
            answer = self._client.invoke(FunctionName=self._names[function], Payload=json.dumps(payload).encode())
            told = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            error = told.get("errorType", "an error") if isinstance(told, dict) else "an error"
            raise AdminError(f"{function} failed with {error}: its log says more (docs/runbook.md). Then try again.")
        return told

    def start(self, name: str, payload: Any) -> None:
        """Run the function of that *name* or ARN on *payload* without waiting. Raises AdminError."""
        with asking(self._where):
            self._client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(payload).encode())

    def logical_id(self, arn: str) -> str:
        """Return the logical id of the function behind *arn* (with or without a version), "" if it is not ours."""
        parts = arn.split(":")
        return next((logical for logical, name in self._names.items() if name in parts), "")
