"""The deployment that a command works on, and the adapters for it.

boto3 takes half a second to import, and some commands need no AWS: only functions that need it import it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from cloud import PROJECT, STACK
from cloud.address import running
from operations.errors import CommandError

if TYPE_CHECKING:
    from email_handler.adapters.dynamodb.changes import DynamoChanges
    from email_handler.adapters.dynamodb.ledger import DynamoLedger
    from email_handler.adapters.dynamodb.operator import DynamoOperator
    from email_handler.adapters.dynamodb.records import DynamoRecords
    from email_handler.adapters.s3 import S3Archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One deployment."""

    records: "DynamoRecords"
    ledger: "DynamoLedger"
    operator: "DynamoOperator"
    changes: "DynamoChanges"
    archive: "S3Archive"
    bucket: str
    stack: str
    stack_id: str  # CloudFormation's StackId, an ARN: another one if the stack is deleted and deployed again
    status: str  # CloudFormation's StackStatus
    parameters: Mapping[str, str]  # those that the stack was deployed with; NoEcho ones are asterisks
    outputs: Mapping[str, str]
    endpoint: str  # that stands in for AWS, "" for AWS itself
    where: str  # for people: "stack email-handler at http://…"
    session: Any  # makes boto3's clients: session.client("sqs")
    emulated: bool  # at an endpoint that stands in for AWS: it has no SES identity and no DNS, and emails nobody


def connect(stack: str = "", endpoint: str = "") -> Connection:
    """Return the deployment *stack* at *endpoint* or AWS; with neither given, the local cloud running in this folder.

    Raises CommandError.
    """
    if not stack and not endpoint:
        local = running(PROJECT)
        if local is None:
            raise CommandError(
                "which deployment? Name a stack at AWS with --stack, or start the local cloud: email-handler local up"
            )
        endpoint = local.endpoint
    stack = stack or STACK
    place = endpoint or "AWS"
    with aws_errors(place):
        session = _session(endpoint)
        from email_handler.adapters.aws import DeferredClient  # noqa: PLC0415
        from email_handler.adapters.dynamodb.changes import DynamoChanges  # noqa: PLC0415
        from email_handler.adapters.dynamodb.ledger import DynamoLedger  # noqa: PLC0415
        from email_handler.adapters.dynamodb.operator import DynamoOperator  # noqa: PLC0415
        from email_handler.adapters.dynamodb.records import DynamoRecords  # noqa: PLC0415
        from email_handler.adapters.s3 import S3Archive  # noqa: PLC0415

        described = describe_stack(session, stack)
        if not described:
            raise CommandError(f"there is no stack {stack} at {place}: name one with --stack")
        outputs = {one["OutputKey"]: one["OutputValue"] for one in described.get("Outputs", ())}
        if missing := {"RecordsTable", "ArchiveBucket"} - outputs.keys():
            raise CommandError(f"stack {stack} has no output {min(missing)}: it is not a stack of email-handler")
        dynamodb, table = session.client("dynamodb"), outputs["RecordsTable"]
        return Connection(
            records=DynamoRecords(dynamodb, table, clock=lambda: datetime.now(UTC)),
            ledger=DynamoLedger(dynamodb, table, clock=lambda: datetime.now(UTC)),
            operator=DynamoOperator(dynamodb, table, clock=lambda: datetime.now(UTC)),
            changes=DynamoChanges(dynamodb, table),
            archive=S3Archive(DeferredClient(cache(partial(session.client, "s3"))), outputs["ArchiveBucket"]),
            bucket=outputs["ArchiveBucket"],
            stack=stack,
            stack_id=described.get("StackId", ""),
            status=described.get("StackStatus", ""),
            parameters={one["ParameterKey"]: one.get("ParameterValue", "") for one in described.get("Parameters", ())},
            outputs=outputs,
            endpoint=endpoint,
            where=f"stack {stack} at {place}",
            session=session,
            emulated=bool(endpoint),
        )


def _session(endpoint: str) -> Any:
    """Return what makes clients. Whoever imports botocore first decides what it imports: AWS may need all of it."""
    if endpoint:
        from cloud.clients import Clients  # noqa: PLC0415  (see the module's docstring)

        return Clients(endpoint)
    import boto3  # noqa: PLC0415  (likewise)

    return boto3.session.Session()


@contextmanager
def aws_errors(where: str) -> Iterator[None]:
    """Raise boto3's errors as CommandError. *where* names the deployment for people."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  (see the module's docstring)

    try:
        yield
    except ClientError as error:
        code, call = error.response.get("Error", {}).get("Code", "no code"), error.operation_name
        raise CommandError(
            f"{where} refused {call}: {code}. Check your credentials, their permissions and the region."
        ) from error
    except BotoCoreError as error:
        raise CommandError(f"{where} cannot be used: {error}") from error


def resources(connection: Connection) -> dict[str, str]:
    """Return the physical ids of the stack's resources (URLs of queues, ARNs of topics, names of others) by logical id.

    Raises CommandError.
    """
    with aws_errors(connection.where):
        return {
            found["LogicalResourceId"]: found.get("PhysicalResourceId", "")
            for found in list_resources(connection.session, connection.stack)
        }


def describe_stack(session: Any, stack: str) -> dict[str, Any]:
    """Return CloudFormation's description of *stack*, {} if there is none. Raises botocore's errors (aws_errors)."""
    from botocore.exceptions import ClientError  # noqa: PLC0415  (see the module's docstring)

    try:
        found: dict[str, Any] = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ValidationError":
            return {}
        raise
    return found


def list_resources(session: Any, stack: str) -> Iterator[dict[str, Any]]:
    """Yield CloudFormation's summary of each resource of *stack*. Raises botocore's errors (aws_errors)."""
    for page in session.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack):
        yield from page["StackResourceSummaries"]
