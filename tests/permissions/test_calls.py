"""What IAM is asked about each call, and what is written down of it."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from tests.permissions.calls import Call, needs
from tests.permissions.recorder.call_recorder import initialize_client_plugin, kept
from tests.permissions.recording import logical

TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/Records"


def asked(operation: str, error: str = "", **parameters: Any) -> list[tuple[str, str]]:
    service, _, operation = operation.partition(".")
    call = Call(caller="x", service=service, operation=operation, parameters=parameters, error=error)
    return [(action, resource) for action, resource, _ in needs(call)]


@pytest.mark.parametrize(
    ("operation", "parameters", "expected"),
    [
        ("dynamodb.Query", {"TableName": "Records"}, [("dynamodb:Query", TABLE)]),
        ("dynamodb.Query", {"TableName": "Records", "IndexName": "day"}, [("dynamodb:Query", f"{TABLE}/index/day")]),
        ("dynamodb.BatchGetItem", {"tables": ["Records"]}, [("dynamodb:BatchGetItem", TABLE)]),
        (
            "dynamodb.TransactWriteItems",
            {
                "entries": [
                    ["ConditionCheck", "Records"],
                    ["Delete", "Records"],
                    ["Put", "Records"],
                    ["Update", "Records"],
                ]
            },
            [(f"dynamodb:{kind}Item", TABLE) for kind in ("ConditionCheck", "Delete", "Put", "Update")],
        ),
        ("s3.GetObject", {"Bucket": "b", "Key": "raw/1"}, [("s3:GetObject", "arn:aws:s3:::b/raw/1")]),
        (
            "s3.GetObject",
            {"Bucket": "b", "Key": "raw/1", "VersionId": "v"},
            [("s3:GetObjectVersion", "arn:aws:s3:::b/raw/1")],
        ),
        ("s3.ListObjectsV2", {"Bucket": "b", "Prefix": "raw/"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
        ("s3.ListObjectVersions", {"Bucket": "b"}, [("s3:ListBucketVersions", "arn:aws:s3:::b")]),
        (
            "s3.DeleteObjects",
            {"Bucket": "b", "objects": [["x", True], ["y", False]]},
            [("s3:DeleteObjectVersion", "arn:aws:s3:::b/x"), ("s3:DeleteObject", "arn:aws:s3:::b/y")],
        ),
        (
            "sqs.ChangeMessageVisibilityBatch",
            {"QueueUrl": "AckQueue"},
            [("sqs:ChangeMessageVisibility", "arn:aws:sqs:us-east-1:000000000000:AckQueue")],
        ),
        (
            "lambda.Invoke",
            {"FunctionName": "ReplyFunction"},
            [("lambda:InvokeFunction", "arn:aws:lambda:us-east-1:000000000000:function:ReplyFunction")],
        ),
        ("sesv2.GetAccount", {}, [("ses:GetAccount", "*")]),
    ],
)
def test_a_call_asks_for_its_actions_on_its_resources(
    operation: str, parameters: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert asked(operation, **parameters) == expected


def test_a_missing_object_asks_whether_the_bucket_may_be_listed_as_well() -> None:
    found = asked("s3.GetObject", error="NoSuchKey", Bucket="b", Key="raw/1")

    assert found == [("s3:GetObject", "arn:aws:s3:::b/raw/1"), ("s3:ListBucket", "arn:aws:s3:::b")]


def test_a_raw_send_asks_for_both_actions_on_sender_recipient_and_configuration_set() -> None:
    parameters = {"FromEmailAddress": "a@thread.example.com", "ConfigurationSetName": "Owner"}
    found = needs(Call(caller="x", service="sesv2", operation="SendEmail", parameters=parameters))

    ends = ["identity/thread.example.com", "identity/recipient.example", "configuration-set/Owner"]
    assert [(action, resource.rpartition(":")[2]) for action, resource, _ in found] == [
        (action, end) for action in ("ses:SendEmail", "ses:SendRawEmail") for end in ends
    ]
    assert {context["ses:FromAddress"] for *_, context in found} == {"a@thread.example.com"}


def test_each_event_asks_with_its_source() -> None:
    call = Call(
        caller="x", service="events", operation="PutEvents", parameters={"events": [["default", "a"], ["b", "c"]]}
    )

    assert [(resource.rpartition(":")[2], context) for _, resource, context in needs(call)] == [
        ("event-bus/default", {"events:source": "a"}),
        ("event-bus/b", {"events:source": "c"}),
    ]


@pytest.mark.parametrize("operation", ["s3.CopyObject", "ec2.RunInstances", "sesv2.CreateEmailIdentity"])
def test_an_unknown_operation_is_an_error(operation: str) -> None:
    with pytest.raises(LookupError, match=operation):
        asked(operation, Bucket="b", Key="k")


def test_only_what_names_a_resource_is_recorded() -> None:
    assert kept(
        {
            "Bucket": "b",
            "Key": "k",
            "Body": b"secret",
            "Destination": {"ToAddresses": ["owner@private.example"]},
            "Content": {"Raw": {"Data": b"secret"}},
            "Item": {"pk": {"S": "secret"}},
            "MessageBody": "secret",
            "Message": "secret",
            "Value": "secret",
            "EmailAddress": "owner@private.example",
            "RequestItems": {"Records": {"Keys": ["secret"]}},
            "TransactItems": [{"Put": {"TableName": "Records", "Item": "secret"}}],
            "Entries": [{"Source": "email-handler", "Detail": "secret"}],
            "Delete": {"Objects": [{"Key": "k", "VersionId": "v"}]},
        }
    ) == {
        "Bucket": "b",
        "Key": "k",
        "tables": ["Records"],
        "entries": [("Put", "Records")],
        "events": [("default", "email-handler")],
        "objects": [["k", True]],
    }


def test_physical_names_become_logical_ids() -> None:
    names = {
        "bucket/b-1": "Archive",
        "table/b-1": "Records",
        "queue/q-1": "AckQueue",
        "function/f-1": "InboundFunction",
    }

    def translated(**parameters: Any) -> Any:
        return logical(Call(caller="x", service="s", operation="o", parameters=parameters), names).parameters

    assert translated(Bucket="b-1", Key="b-1") == {"Bucket": "Archive", "Key": "b-1"}
    assert translated(tables=["b-1"]) == {"tables": ["Records"]}
    assert translated(entries=[["Put", "b-1"]]) == {"entries": [["Put", "Records"]]}
    assert translated(QueueUrl="http://127.0.0.1:1/000000000000/q-1") == {"QueueUrl": "AckQueue"}
    assert translated(FunctionName="arn:aws:lambda:us-east-1:000000000000:function:f-1") == {
        "FunctionName": "InboundFunction"
    }
    assert translated(Bucket="unknown") == {"Bucket": "unknown"}


def test_a_call_is_recorded_with_its_error_and_only_if_its_caller_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests share their clients with the commands that they run."""
    ssm = boto3.session.Session().client("ssm")
    initialize_client_plugin(ssm)
    monkeypatch.setenv("RECORDED_CALLS", str(tmp_path))
    with Stubber(ssm) as stubber:
        for _ in range(2):
            stubber.add_client_error("get_parameter", "ParameterNotFound")
        for caller in ("", "why"):
            monkeypatch.setenv("RECORDED_CALLER", caller)
            with pytest.raises(ssm.exceptions.ParameterNotFound):
                ssm.get_parameter(Name="pointer", WithDecryption=True)

    (line,) = [line for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    expected = {"caller": "why", "service": "ssm", "operation": "GetParameter", "parameters": {"Name": "pointer"}}
    assert json.loads(line) == {**expected, "error": "ParameterNotFound"}
