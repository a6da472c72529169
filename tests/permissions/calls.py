"""What IAM is asked when a recorded call reaches AWS. Pure.

AWS's Service Authorization Reference lists the actions that each operation needs, and the resources of each action.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloud import ACCOUNT, REGION

RECIPIENT = "recipient.example"
"""Stands for a recipient's identity, on which SES asks for permission too while an account is in its sandbox."""

type Need = tuple[str, str, Mapping[str, str]]  # action, resource, condition keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One recorded call; the names in *parameters* are logical ids of the template."""

    caller: str
    service: str  # as botocore calls it
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""  # AWS's code, "" for none

    def __str__(self) -> str:
        return f"{self.service}.{self.operation}"


def arn(service: str, resource: str) -> str:
    """Return the ARN of *resource*: IAM's have no region, and S3's no account either."""
    region = "" if service in {"iam", "s3"} else REGION
    return f"arn:aws:{service}:{region}:{'' if service == 's3' else ACCOUNT}:{resource}"


def needs(call: Call) -> list[Need]:
    """Return what IAM is asked about *call*. Raise LookupError for an operation that this module does not know."""
    found = list(_BY_SERVICE[call.service](call)) if call.service in _BY_SERVICE else []
    if not found:
        raise LookupError(f"tests/permissions/calls.py does not know {call}")
    return found


def _s3(call: Call) -> Iterator[Need]:
    parameters = call.parameters
    bucket = arn("s3", parameters["Bucket"])
    version = "Version" if "VersionId" in parameters else ""
    match call.operation:
        case "ListObjectsV2":
            yield "s3:ListBucket", bucket, {"s3:prefix": parameters.get("Prefix", "")}
        case "ListObjectVersions":
            yield "s3:ListBucketVersions", bucket, {"s3:prefix": parameters.get("Prefix", "")}
        case "DeleteObjects":
            for key, has_version in parameters["objects"]:
                yield f"s3:DeleteObject{'Version' if has_version else ''}", f"{bucket}/{key}", {}
        case "GetObject" | "HeadObject":
            yield f"s3:GetObject{version}", f"{bucket}/{parameters['Key']}", {}
            if call.error in {"NoSuchKey", "404"}:  # without it S3 answers 403, and a missing object looks forbidden
                yield "s3:ListBucket", bucket, {}
        case "PutObject" | "PutObjectTagging" | "DeleteObjectTagging" | "DeleteObject":
            yield f"s3:{call.operation}{version}", f"{bucket}/{parameters['Key']}", {}


def _dynamodb(call: Call) -> Iterator[Need]:
    parameters = call.parameters
    if call.operation == "TransactWriteItems":
        for kind, table in parameters["entries"]:
            action = "ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item"
            yield f"dynamodb:{action}", arn("dynamodb", f"table/{table}"), {}
        return
    index = f"/index/{parameters['IndexName']}" if "IndexName" in parameters else ""
    for table in parameters.get("tables") or [parameters["TableName"]]:
        yield f"dynamodb:{call.operation}", arn("dynamodb", f"table/{table}{index}"), {}


def _sqs(call: Call) -> Iterator[Need]:
    yield f"sqs:{call.operation.removesuffix('Batch')}", arn("sqs", call.parameters["QueueUrl"]), {}


def _ssm(call: Call) -> Iterator[Need]:
    for name in call.parameters.get("Names") or [call.parameters["Name"]]:
        yield f"ssm:{call.operation}", arn("ssm", f"parameter/{name}"), {}


def _events(call: Call) -> Iterator[Need]:
    for bus, source in call.parameters["events"]:
        yield "events:PutEvents", arn("events", f"event-bus/{bus}"), {"events:source": source}


def _sns(call: Call) -> Iterator[Need]:
    yield f"sns:{call.operation}", arn("sns", call.parameters["TopicArn"]), {}


def _ses(call: Call) -> Iterator[Need]:
    parameters = call.parameters
    match call.operation:
        case "SendEmail":  # raw content is authorised as both actions, on all that the send uses
            sender = parameters["FromEmailAddress"]
            used = [f"identity/{sender.rpartition('@')[2]}", f"identity/{RECIPIENT}"]
            used += [f"configuration-set/{parameters['ConfigurationSetName']}"]
            for action in ("ses:SendEmail", "ses:SendRawEmail"):
                for resource in used:
                    yield action, arn("ses", resource), {"ses:FromAddress": sender}
        case "GetEmailIdentity":
            yield "ses:GetEmailIdentity", arn("ses", f"identity/{parameters['EmailIdentity']}"), {}
        case "GetAccount" | "GetSuppressedDestination" | "DescribeActiveReceiptRuleSet" | "SetActiveReceiptRuleSet":
            yield f"ses:{call.operation}", "*", {}


def _lambda(call: Call) -> Iterator[Need]:
    if call.operation == "ListEventSourceMappings":
        yield "lambda:ListEventSourceMappings", "*", {}
    else:
        action = "InvokeFunction" if call.operation == "Invoke" else call.operation
        yield f"lambda:{action}", arn("lambda", f"function:{call.parameters['FunctionName']}"), {}


def _cloudformation(call: Call) -> Iterator[Need]:
    yield f"cloudformation:{call.operation}", arn("cloudformation", f"stack/{call.parameters['StackName']}/id"), {}


def _cloudwatch(call: Call) -> Iterator[Need]:
    for name in call.parameters["AlarmNames"]:
        yield f"cloudwatch:{call.operation}", arn("cloudwatch", f"alarm:{name}"), {}


_BY_SERVICE: dict[str, Callable[[Call], Iterator[Need]]] = {
    "cloudformation": _cloudformation,
    "cloudwatch": _cloudwatch,
    "dynamodb": _dynamodb,
    "events": _events,
    "lambda": _lambda,
    "s3": _s3,
    "ses": _ses,
    "sesv2": _ses,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": _ssm,
}
