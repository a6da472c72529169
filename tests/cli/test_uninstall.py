"""``email-handler uninstall``, on a small stack of the same parts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from cli.main import app
from cli.parameters import Answers
from cli.uninstall import remains
from cloud import ACCOUNT, REGION
from cloud.clients import Clients
from index.store import SearchIndex
from operations.indexing import index_path

pytestmark = pytest.mark.cloud
STACK = "email-handler-dev"
KEPT = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
TEMPLATE = {
    "Parameters": {"Domain": {"Type": "String", "Default": "example.com"}},
    "Resources": {
        "Archive": {
            "Type": "AWS::S3::Bucket",
            "Properties": {"BucketName": "uninstalled", "VersioningConfiguration": {"Status": "Enabled"}},
            **KEPT,
        },
        "Records": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": "uninstalled",
                "BillingMode": "PAY_PER_REQUEST",
                "DeletionProtectionEnabled": True,
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            },
            **KEPT,
        },
        "AckQueue": {"Type": "AWS::SQS::Queue"},
        "AckDeadLetters": {"Type": "AWS::SQS::Queue"},
    },
    "Outputs": {
        "ArchiveBucket": {"Value": {"Ref": "Archive"}},
        "RecordsTable": {"Value": {"Ref": "Records"}},
        "ThreadDomain": {"Value": "thread.example.com"},
        "RuleSet": {"Value": "uninstalled"},
    },
}


@pytest.fixture
def installed(clients: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """Install the small stack, with a message in two versions, and let its rule set be active."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    clients.cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(TEMPLATE))
    clients.cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    for _ in range(2):
        clients.s3.put_object(Bucket="uninstalled", Key="raw/inbound/1", Body=b"message")
    ses = clients.client("ses")
    ses.create_receipt_rule_set(RuleSetName="uninstalled")
    ses.set_active_receipt_rule_set(RuleSetName="uninstalled")
    yield clients
    ses.set_active_receipt_rule_set()
    ses.delete_receipt_rule_set(RuleSetName="uninstalled")
    if there(clients):
        clients.cloudformation.delete_stack(StackName=STACK)
    if "bucket" in stored(clients):
        objects = clients.s3.list_object_versions(Bucket="uninstalled").get("Versions", ())
        for each in objects:
            clients.s3.delete_object(Bucket="uninstalled", Key=each["Key"], VersionId=each["VersionId"])
        clients.s3.delete_bucket(Bucket="uninstalled")
    if "table" in stored(clients):
        clients.dynamodb.update_table(TableName="uninstalled", DeletionProtectionEnabled=False)
        clients.dynamodb.delete_table(TableName="uninstalled")


def uninstall(clients: Clients, *arguments: str, typed: str = "") -> Result:
    command = ["uninstall", "--env", "dev", "--wait", "0", "--json", "--endpoint", clients.endpoint, *arguments]
    return CliRunner().invoke(app, command, input=typed)


def there(clients: Clients) -> bool:
    try:
        (stack,) = clients.cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    except ClientError:
        return False
    return str(stack["StackStatus"]) != "DELETE_COMPLETE"


def stored(clients: Clients) -> set[str]:
    """Return which of bucket and table exist."""
    buckets = {each["Name"] for each in clients.s3.list_buckets()["Buckets"]}
    tables = set(clients.dynamodb.list_tables()["TableNames"])
    return {kind for kind, names in (("bucket", buckets), ("table", tables)) if "uninstalled" in names}


def active(clients: Clients) -> str:
    metadata: dict[str, Any] = clients.client("ses").describe_active_receipt_rule_set().get("Metadata") or {}
    return str(metadata.get("Name", ""))


def test_nothing_happens_before_the_user_agrees(installed: Clients) -> None:
    for typed in ("\n", "n\n", ""):
        assert uninstall(installed, "--delete-stored", typed=typed).exit_code == 1

    assert (there(installed), stored(installed), active(installed)) == (True, {"bucket", "table"}, "uninstalled")


def test_a_stack_named_in_the_environment_must_be_the_one_that_is_meant(
    installed: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMAIL_HANDLER_STACK", "email-handler")
    result = uninstall(installed, "--yes")

    assert result.exit_code == 1
    assert "EMAIL_HANDLER_STACK names email-handler" in str(result.exception)
    assert installed.cloudformation.describe_stacks(StackName=STACK)["Stacks"]


def test_the_stack_goes_and_what_is_stored_stays(installed: Clients) -> None:
    stack_id = installed.cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackId"]
    index = SearchIndex.open(index_path(STACK, stack_id, installed.endpoint), stack_id)

    ran = uninstall(installed, typed="y\n")

    assert ran.exit_code == 0, ran.exception
    assert not index.path.exists()
    assert (there(installed), stored(installed), active(installed)) == (False, {"bucket", "table"}, "")
    remaining = json.loads(ran.stdout.splitlines()[-1])["remains"]
    assert [each["what"] for each in remaining][:2] == ["the archive", "the table"]
    assert "s3://uninstalled" in remaining[0]["command"]


def test_what_is_stored_is_deleted_if_asked_every_version_and_a_protected_table(installed: Clients) -> None:
    ran = uninstall(installed, "--yes", "--delete-stored")

    assert ran.exit_code == 0, ran.exception
    assert (there(installed), stored(installed)) == (False, set())
    assert "the archive" not in ran.stdout


def test_what_could_not_be_deleted_is_named_and_the_rest_is_deleted(installed: Clients) -> None:
    installed.dynamodb.update_table(TableName="uninstalled", DeletionProtectionEnabled=False)
    installed.dynamodb.delete_table(TableName="uninstalled")
    ran = uninstall(installed, "--yes", "--delete-stored")

    assert ran.exit_code == 1
    assert (there(installed), stored(installed)) == (False, set())
    assert json.loads(ran.stdout)["remains"][0]["what"] == "the table"
    assert "DescribeTable: ResourceNotFoundException" in ran.stderr


def test_jobs_keep_the_stack_unless_they_may_be_lost(installed: Clients) -> None:
    queue = installed.cloudformation.describe_stack_resource(StackName=STACK, LogicalResourceId="AckDeadLetters")
    installed.sqs.send_message(
        QueueUrl=queue["StackResourceDetail"]["PhysicalResourceId"], MessageBody="a job that nobody has finished"
    )
    refused = uninstall(installed, "--yes", "--delete-stored")

    assert refused.exit_code == 1
    assert "1 in AckDeadLetters" in str(refused.exception)
    assert (there(installed), stored(installed)) == (True, {"bucket", "table"})
    assert uninstall(installed, "--yes", "--despite").exit_code == 0
    assert not there(installed)


def test_a_stack_that_is_none_of_ours_is_not_touched(clients: Clients) -> None:
    clients.cloudformation.create_stack(
        StackName=STACK,
        TemplateBody=json.dumps({"Resources": {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}}),
    )
    try:
        refused = uninstall(clients, "--yes", "--delete-stored")

        assert "there is no stack email-handler-dev of email-handler" in str(refused.exception)
        assert there(clients)
    finally:
        clients.cloudformation.delete_stack(StackName=STACK)


def test_what_was_never_in_the_stack_is_named_with_how_to_remove_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    answers = Answers(STACK, ACCOUNT, REGION)
    receives = {"Domain": "example.com", "ReceiveMail": "true"}

    def named(**parameters: str) -> list[str]:
        return [each.what.partition(" (")[0] for each in remains(receives | parameters, answers)]

    code = "SAM's bucket with the code"
    assert named() == ["the DNS records", code]
    assert named(HostedZoneId="Z1", ManageIdentity="false") == ["the SES identity", code]
    answers.keep(receives)
    assert named(ReceiveMail="false") == [code, "your answers"]
