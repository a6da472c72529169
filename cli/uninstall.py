"""``email-handler uninstall``: stop receiving, let the queues run empty, delete the stack, and say what remains.

CloudFormation keeps the archive and the table (DeletionPolicy), cannot delete a rule set while it is active, and takes
the queues with their jobs. Who may deploy may uninstall: the operator's policies allow neither.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.account import OUTPUTS, Account, read_parameters
from cli.configure import Environment
from cli.deactivate import Minutes, stop
from cli.deploy import environment_named
from cli.options import AsJson, Endpoint
from cli.parameters import Answers
from cli.questions import confirm
from cli.terminal import fail_if, print_note, print_result
from index.file import IndexFile
from operations.connection import aws_errors, list_resources
from operations.errors import CommandError
from operations.indexing import index_path

DeleteStored = Annotated[
    bool, typer.Option("--delete-stored", help="Delete the archive and the table as well: every message and record.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing.")]
Despite = Annotated[bool, typer.Option("--despite", help="Go on although jobs are left in the queues: they are lost.")]


@dataclass(frozen=True, slots=True)
class Left:
    """Something that is still there, and the command that removes it."""

    what: str
    command: str


def uninstall(
    env: Environment = "prod",
    delete_stored: DeleteStored = False,
    yes: Yes = False,
    despite: Despite = False,
    wait: Minutes = 10,
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Stop receiving, wait for the queues, delete the stack, and say what remains and how to remove it.

    The archive and the table stay unless you say --delete-stored. Nothing is done before you have agreed.
    """
    stack = str(environment_named(env)["stack_name"])
    if (elsewhere := os.environ.get("EMAIL_HANDLER_STACK", stack)) != stack:
        raise CommandError(
            f"EMAIL_HANDLER_STACK names {elsewhere}, and --env {env} is {stack}: say which by --env alone"
        )
    account = Account.of(endpoint)
    described = account.described(stack)
    outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", ())}
    if not outputs.keys() >= OUTPUTS:
        raise CommandError(f"there is no stack {stack} of email-handler in {account.place}")
    bucket, table = outputs["ArchiveBucket"], outputs["RecordsTable"]
    fate = "are deleted with every message and record, for good" if delete_stored else "stay"
    print_note(f"{stack} in {account.place} stops receiving and is deleted. Its archive and table {fate}.", "bold")
    if not (yes or confirm(f"Uninstall {stack} now?")):
        raise CommandError("nothing was done")
    session = account.session
    with aws_errors(account.place):
        there = list_resources(session, stack)
        ids = {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in there}
        _, jobs = stop(session, ids, outputs.get("RuleSet", ""), wait)
        if jobs and not despite:
            found = " and ".join(f"{number} in {name}" for name, number in jobs.items())
            raise CommandError(
                f"left: {found}; the stack was not deleted and no longer receives. Finish them with email-handler "
                f"redrive --stack {stack} and run this again, or lose them with --despite."
            )
        delete_stack(session.client("cloudformation"), stack)
    IndexFile(index_path(stack, described.get("StackId", ""), endpoint)).remove()
    unprotect = f"aws dynamodb update-table --table-name {table} --no-deletion-protection-enabled"
    archive = Left("the archive", f"empty it in the S3 console, every version; then aws s3 rb s3://{bucket}")
    records = Left("the table", f"{unprotect} && aws dynamodb delete-table --table-name {table}")
    stored: list[tuple[Left, Callable[[], None]]] = [
        (archive, lambda: delete_bucket(session.client("s3"), bucket)),
        (records, lambda: delete_table(session.client("dynamodb"), table)),
    ]
    kept = [each for each, delete in stored if not (delete_stored and _done(delete, account.place))]
    left = [*kept, *remains(read_parameters(described), Answers(stack, account.number, account.region))]
    text = "\n".join([f"{stack} is deleted. What remains:", *(f"  {each.what}: {each.command}" for each in left)])
    value = {"deleted": stack, "remains": [{"what": each.what, "command": each.command} for each in left]}
    print_result(value, text, as_json=as_json)
    fail_if(delete_stored and kept)


def _done(action: Callable[[], None], where: str) -> bool:
    """Return whether *action* succeeded: the stack is gone, so what else there is to do and to say must still come."""
    try:
        with aws_errors(where):
            action()
    except CommandError as error:
        print_note(str(error), "red")
        return False
    return True


def remains(parameters: Mapping[str, str], answers: Answers) -> Iterator[Left]:
    """Yield what neither the stack nor this command deletes, for a stack that had *parameters*."""
    domain = parameters.get("Domain", "")
    receives = parameters.get("ReceiveMail") == "true"
    if receives and not parameters.get("HostedZoneId"):
        yield Left("the DNS records (MX, DKIM, MAIL FROM, DMARC)", f"delete them where {domain} is managed")
    if receives and parameters.get("ManageIdentity") == "false":
        yield Left("the SES identity", f"aws sesv2 delete-email-identity --email-identity {domain}")
    yield Left(
        "SAM's bucket with the code", "sam delete --stack-name aws-sam-cli-managed-default, if nothing else uses it"
    )
    if answers.load():
        yield Left("your answers", f"rm {answers.path}")


def delete_stack(cloudformation: Any, stack: str) -> None:
    """Delete *stack* and wait until it is gone. Raises botocore's errors."""
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack)


def delete_bucket(s3: Any, bucket: str) -> None:
    """Delete every version of every object in *bucket*, then the bucket. Raises botocore's errors, or CommandError."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        if objects:
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            if errors := answer.get("Errors"):
                raise CommandError(f"{len(errors)} objects of {bucket} could not be deleted ({errors[0]['Code']})")
    s3.delete_bucket(Bucket=bucket)


def delete_table(dynamodb: Any, table: str) -> None:
    """Delete *table*, protected or not. Raises botocore's errors."""
    if dynamodb.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        dynamodb.get_waiter("table_exists").wait(TableName=table)  # it is being updated for a moment
    dynamodb.delete_table(TableName=table)
