"""The proof finds what is denied, what is allowed in vain, and what nobody would miss."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.permissions.__main__ import authorisations
from tests.permissions.commands import ACTS, READS, policies, unrecorded
from tests.permissions.policies import Authorisation, Statement
from tests.permissions.proof import prove
from tests.permissions.recording import keep_names, read_calls
from tests.permissions.stack import TLS, Stack
from tests.support.stack import TEMPLATE

READ = Statement(
    policy="Role",
    sid="Read",
    allows=True,
    actions=("s3:GetObject",),
    resources=("arn:aws:s3:::b/raw/*", "arn:aws:s3:::b/config/*"),
)
WRITE = Statement(
    policy="Role", sid="Write", allows=True, actions=("s3:PutObject",), resources=("arn:aws:s3:::b/sent/*",)
)
PLAIN = Statement(
    policy="Bucket",
    sid="Plain",
    allows=False,
    actions=("s3:*",),
    resources=("*",),
    conditions=(("Bool", "aws:SecureTransport", ("false",)),),
    principals=("*",),
)


def ask(action: str, resource: str, **changes: Any) -> Authorisation:
    asked = Authorisation(caller="f", policies=frozenset({"Role"}), action=action, resource=resource)
    return replace(asked, **changes)


ASKED = [
    ask("s3:GetObject", "arn:aws:s3:::b/raw/1"),
    ask("s3:GetObject", "arn:aws:s3:::b/config/1"),
    ask("s3:PutObject", "arn:aws:s3:::b/sent/1"),
]
PROBE = ask("s3:PutObject", "arn:aws:s3:::b/sent/1", context=(("aws:SecureTransport", "false"),), allowed=False)


def test_what_is_needed_and_nothing_else_is_proven() -> None:
    found = prove([READ, WRITE, PLAIN], [*ASKED, *ASKED, PROBE])

    assert found.proven
    assert found.asked == 4


def test_a_call_that_no_statement_allows_is_found() -> None:
    assert prove([READ], ASKED).denied == (ASKED[2],)


@pytest.mark.parametrize(
    ("added", "unused"),
    [
        (
            {"actions": ("s3:GetObject", "s3:DeleteObject")},
            [f"s3:DeleteObject on {', '.join(READ.resources)}"],
        ),
        ({"resources": (*READ.resources, "arn:aws:s3:::b/text/*")}, ["arn:aws:s3:::b/text/*"]),
        ({"resources": (*READ.resources, "arn:aws:s3:::b")}, ["arn:aws:s3:::b"]),
    ],
)
def test_an_action_or_a_resource_that_nobody_needs_is_found(added: dict[str, Any], unused: list[str]) -> None:
    found = prove([replace(READ, **added), WRITE], ASKED)

    assert found.unused == tuple(f"Role.Read: {part}" for part in unused)
    assert not found.proven


def test_an_action_is_needed_on_each_kind_of_resource_but_not_on_each_one() -> None:
    table, index = "arn:aws:dynamodb:r:1:table/T", "arn:aws:dynamodb:r:1:table/T/index/*"
    queues = ("arn:aws:sqs:r:1:A", "arn:aws:sqs:r:1:B")
    read = Statement(policy="Role", sid="R", allows=True, actions=("d:Get", "d:Query"), resources=(table, index))
    take = Statement(policy="Role", sid="T", allows=True, actions=("q:Receive", "q:Delete"), resources=queues)
    asked = [ask("d:Get", table), ask("d:Query", index.replace("*", "day"))]
    asked += [ask("q:Receive", queues[0]), ask("q:Delete", queues[1])]

    assert prove([read, take], asked).unused == (f"Role.R: d:Query on {table}", f"Role.R: d:Get on {index}")


def test_a_statement_that_another_one_makes_superfluous_is_found() -> None:
    again = replace(WRITE, sid="Again")

    assert prove([READ, WRITE, again], ASKED).unnoticed == (WRITE, again)
    assert prove([READ, WRITE, again], ASKED).unused == ()


def test_a_denial_is_missed_only_if_something_is_asked_that_it_must_refuse() -> None:
    assert prove([READ, WRITE, PLAIN], ASKED).unnoticed == (PLAIN,)
    assert prove([READ, WRITE], [*ASKED, PROBE]).denied == (PROBE,)


def test_commands_that_change_nothing_have_the_policy_that_reads() -> None:
    assert policies("why") == policies("reconcile --dry-run") == {READS}
    assert policies("reconcile") == policies("redrive --dry-run") == policies("rules push") == {READS, ACTS}


def test_a_command_on_a_stack_that_was_not_recorded_is_found() -> None:
    missing = unrecorded(["why", "redrive --dry-run"])

    assert {"list", "held release", "rules push"} <= set(missing)
    assert not {"why", "redrive", "local up", "inspect"} & set(missing)


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder as a sender and a command left it, each with one read of the archive."""
    monkeypatch.setenv("RECORDED_CALLS", str(tmp_path))
    keep_names("1", {"bucket/bucket-1": "Archive", "queue/queue-1": "AckQueue"})
    read = {
        "service": "s3",
        "operation": "GetObject",
        "parameters": {"Bucket": "bucket-1", "Key": "raw/1"},
        "error": "",
    }
    for number, caller in enumerate(("AckSenderFunction", "why")):
        (tmp_path / f"{number}.jsonl").write_text(json.dumps({"caller": caller, **read}) + "\n")
    return tmp_path


def test_recorded_calls_are_asked_with_the_policies_of_their_callers(recorded: Path) -> None:
    role = {"Properties": {"Role": "arn:aws:iam::1:role/AckSenderRole"}, "Type": "AWS::Lambda::Function"}
    asked = authorisations(read_calls(recorded), stack({"AckSenderFunction": role}))

    assert {(one.caller, one.policies) for one in asked} == {
        ("AckSenderFunction", frozenset({"AckSenderRole"})),
        ("why", frozenset({READS})),
    }
    assert {(one.action, one.resource, one.context) for one in asked} == {
        ("s3:GetObject", "arn:aws:s3:::Archive/raw/1", tuple(TLS.items()))
    }


@pytest.mark.parametrize(
    "removed", ["ArchivePolicy", "InboundFunctionMayBeCalledBySes", "ReplyFunctionMayBeCalledBySes"]
)
def test_without_its_permission_ses_is_denied(removed: str) -> None:
    resources = {name: resource for name, resource in TEMPLATE["Resources"].items() if name != removed}
    asked = list(Stack(TEMPLATE).receiving())

    assert not prove(Stack(TEMPLATE).statements, asked).denied
    denied = prove(Stack({**TEMPLATE, "Resources": resources}).statements, asked).denied
    assert {one.caller for one in denied} == {"ses.amazonaws.com"}


def stack(resources: Mapping[str, Any]) -> Stack:
    return Stack({"Parameters": {}, "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}}, "Resources": resources})


def test_a_policy_is_read_as_cloudformation_resolves_it() -> None:
    statement = {
        "Effect": "Allow",
        "Action": "sqs:SendMessage",
        "Resource": [{"Fn::GetAtt": "Jobs.Arn"}, {"Fn::Sub": "${Jobs.Arn}-${AWS::Region}"}],
    }
    either = {"Fn::If": ["Never", statement, {"Ref": "AWS::NoValue"}]}
    found = stack(
        {
            "Jobs": {"Type": "AWS::SQS::Queue"},
            "Policy": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {"PolicyDocument": {"Statement": [statement, either]}},
            },
            "Not": {"Type": "AWS::IAM::ManagedPolicy", "Condition": "Never", "Properties": {}},
        }
    ).statements

    arn = "arn:aws:sqs:us-east-1:000000000000:Jobs"
    assert [(one.policy, one.resources) for one in found] == [("Policy", (arn, f"{arn}-us-east-1"))]


@pytest.mark.parametrize("function", ["Fn::ImportValue", "Fn::Join", "Fn::Select"])
def test_a_function_that_is_not_known_is_an_error(function: str) -> None:
    with pytest.raises(ValueError, match=function):
        stack({}).resolve({function: "x"})


def test_what_services_ask_follows_from_how_the_template_connects_them() -> None:
    role = "arn:aws:iam::1:role/Role"
    function = {"Role": role, "LoggingConfig": {"LogGroup": "Log"}}
    queue = "arn:aws:sqs:us-east-1:1:Jobs"
    found = stack(
        {
            "F": {"Type": "AWS::Lambda::Function", "Properties": function},
            "M": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {"FunctionName": "F", "EventSourceArn": queue},
            },
            "S": {"Type": "AWS::Scheduler::Schedule", "Properties": {"Target": {"Arn": "arn:F", "RoleArn": role}}},
            "E": {"Type": "AWS::Events::Rule", "Properties": {"Targets": [{"Arn": "arn:F"}]}},
        }
    ).services()

    assert [(one.caller, one.action) for one in found] == [
        ("lambda.amazonaws.com", "sts:AssumeRole"),
        ("Role", "logs:CreateLogStream"),
        ("Role", "logs:PutLogEvents"),
        ("Role", "sqs:ReceiveMessage"),
        ("Role", "sqs:DeleteMessage"),
        ("Role", "sqs:GetQueueAttributes"),
        ("events.amazonaws.com", "lambda:InvokeFunction"),
        ("scheduler.amazonaws.com", "sts:AssumeRole"),
        ("Role", "lambda:InvokeFunction"),
    ]
