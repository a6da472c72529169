"""Which deployment the operator means, and the adapters to talk to it.

boto3 takes half a second to import, and the commands that need no AWS can do without: only :func:`connect` imports it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.terminal import AdminError
from cloud import PROJECT

if TYPE_CHECKING:
    from email_handler.adapters.dynamodb.ledger import DynamoLedger
    from email_handler.adapters.dynamodb.operator import DynamoOperator
    from email_handler.adapters.dynamodb.records import DynamoRecords
    from email_handler.adapters.s3 import S3Archive

STACK = "email-handler"  # the name that samconfig.toml and the local cloud deploy under

Stack = Annotated[
    str, typer.Option("--stack", envvar="EMAIL_HANDLER_STACK", help="Name of the deployed stack.", show_default=False)
]
Endpoint = Annotated[
    str, typer.Option("--endpoint", help="AWS-compatible endpoint instead of AWS itself.", show_default=False)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One deployment."""

    records: "DynamoRecords"
    ledger: "DynamoLedger"
    operator: "DynamoOperator"
    archive: "S3Archive"
    bucket: str
    where: str  # for people: "stack email-handler at http://…"
    stack: str
    session: Any  # makes boto3's clients: session.client("sqs")
    emulated: bool  # at an endpoint that stands in for AWS: it has no SES identity, no DNS, nobody to write to


def connect(stack: str = "", endpoint: str = "") -> Connection:
    """Find the deployment: *endpoint* or AWS by *stack*; with neither, the local cloud that runs in this folder.

    Raises AdminError that says what to do.
    """
    import boto3  # noqa: PLC0415  (see the module's docstring)
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    from cloud.clients import Clients  # noqa: PLC0415
    from email_handler.adapters.dynamodb.ledger import DynamoLedger  # noqa: PLC0415
    from email_handler.adapters.dynamodb.operator import DynamoOperator  # noqa: PLC0415
    from email_handler.adapters.dynamodb.records import DynamoRecords  # noqa: PLC0415
    from email_handler.adapters.s3 import S3Archive  # noqa: PLC0415

    if not stack and not endpoint:
        endpoint = running_local_cloud()
    stack = stack or STACK
    try:
        session: Any = Clients(endpoint) if endpoint else boto3.session.Session()
        outputs = _outputs(session.client("cloudformation"), stack)
        dynamodb, table = session.client("dynamodb"), outputs["RecordsTable"]
        return Connection(
            records=DynamoRecords(dynamodb, table, clock=lambda: datetime.now(UTC)),
            ledger=DynamoLedger(dynamodb, table, clock=lambda: datetime.now(UTC)),
            operator=DynamoOperator(dynamodb, table),
            archive=S3Archive(session.client("s3"), outputs["ArchiveBucket"]),
            bucket=outputs["ArchiveBucket"],
            where=f"stack {stack} at {endpoint or 'AWS'}",
            stack=stack,
            session=session,
            emulated=bool(endpoint),
        )
    except KeyError as error:
        raise AdminError(f"stack {stack} has no output {error}: it is not one of email-handler's") from error
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code == "ValidationError":
            raise AdminError(f"there is no stack {stack} at {endpoint or 'AWS'}: name one with --stack") from error
        raise AdminError(f"{endpoint or 'AWS'} refused: {code}. Check your credentials and region.") from error
    except BotoCoreError as error:
        raise AdminError(f"{endpoint or 'AWS'} cannot be used: {error}") from error


def running_local_cloud() -> str:
    """Return the endpoint of this project's running local cloud. Raises AdminError where there is none."""
    from cloud.cloud import running  # noqa: PLC0415  (it brings the servers, which only this question needs)

    address = running(PROJECT)
    if address is None:
        raise AdminError(
            "which deployment? Name a stack at AWS with --stack, or start the local cloud: email-handler local up"
        )
    return address.endpoint


def _outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}
