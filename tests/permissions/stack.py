"""The policies of the template as CloudFormation gets it from SAM, and what AWS's services do on their own with them.

Resources have their logical ids as names, everywhere: a recorded call's physical names are translated to them.
"""

import copy
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cloud import ACCOUNT, REGION, deploy, template
from tests.permissions.calls import arn
from tests.permissions.policies import Authorisation, Statement, read_statements

PROJECT = Path(__file__).parents[2]

PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": "stack",
    "AWS::StackId": arn("cloudformation", "stack/stack/id"),
}
PARAMETERS = {**deploy.PARAMETERS, "ReceiveMail": "true", "HostedZoneId": "Z1", "AlarmEmail": "operator@example.net"}

_ARNS = {
    "AWS::CloudWatch::Alarm": "cloudwatch alarm:",
    "AWS::DynamoDB::Table": "dynamodb table/",
    "AWS::Events::Rule": "events rule/",
    "AWS::IAM::ManagedPolicy": "iam policy/",
    "AWS::IAM::Role": "iam role/",
    "AWS::Lambda::Function": "lambda function:",
    "AWS::Logs::LogGroup": "logs log-group:",
    "AWS::S3::Bucket": "s3 ",
    "AWS::SNS::Topic": "sns ",
    "AWS::SQS::Queue": "sqs ",
    "AWS::SSM::Parameter": "ssm parameter/",
    "AWS::Scheduler::Schedule": "scheduler schedule/default/",
    "AWS::Serverless::Function": "lambda function:",  # before the transform
}
_WITH_ARN_AS_REF = {"AWS::SNS::Topic", "AWS::IAM::ManagedPolicy"}


def transformed(project: Path = PROJECT) -> dict[str, Any]:
    """Return template.yaml as SAM's transform gives it to CloudFormation. It takes three seconds, mostly to import."""
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    from samtranslator.translator.transform import transform  # noqa: PLC0415

    source = template.read(project / "template.yaml")
    for resource in source["Resources"].values():
        for code in ("CodeUri", "ContentUri"):
            if code in resource.get("Properties", {}):
                resource["Properties"][code] = "s3://artifacts/code"  # where sam deploy has put it by then
    result: dict[str, Any] = transform(copy.deepcopy(source), PARAMETERS, _NoManagedPolicies())
    return result


class _NoManagedPolicies:
    """The names of AWS's managed policies, none of which the template uses."""

    def load(self) -> dict[str, str]:
        return {}


@dataclass(frozen=True)
class Stack:
    """A transformed template, with the parameters of an installation that receives mail."""

    source: Mapping[str, Any]

    @cached_property
    def resources(self) -> dict[str, Any]:
        """The resources whose conditions hold, resolved, by logical id."""
        there = {
            name: resource
            for name, resource in self.source["Resources"].items()
            if "Condition" not in resource or self._condition(resource["Condition"])
        }
        return {
            name: {"Type": resource["Type"], "Properties": self.resolve(resource.get("Properties", {}))}
            for name, resource in there.items()
        }

    def of_type(self, kind: str) -> dict[str, Any]:
        """Return the properties of every resource of *kind*, by logical id."""
        return {name: found["Properties"] for name, found in self.resources.items() if found["Type"] == kind}

    def resolve(self, value: Any) -> Any:
        """Return *value* with CloudFormation's functions resolved. Raise ValueError for one that is not known here."""
        if isinstance(value, list):
            return [found for entry in value if (found := self.resolve(entry)) is not None]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._function(function, argument)
        resolved = {name: self.resolve(entry) for name, entry in value.items()}
        return {name: entry for name, entry in resolved.items() if entry is not None}

    def _function(self, function: str, argument: Any) -> Any:
        match function:
            case "Ref":
                return self._ref(argument)
            case "Fn::GetAtt":
                return self._attribute(argument if isinstance(argument, str) else ".".join(argument))
            case "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", self._substitute, argument)
            case "Fn::Split":
                return self.resolve(argument[1]).split(argument[0])
            case "Fn::If":
                return self.resolve(argument[1] if self._condition(argument[0]) else argument[2])
        raise ValueError(f"tests/permissions/stack.py does not know {function}")

    def _substitute(self, name: re.Match[str]) -> str:
        return self._attribute(name[1]) if "." in name[1] else str(self._ref(name[1]))

    def _condition(self, name: str) -> bool:
        return self._test(self.source["Conditions"][name])

    def _test(self, value: Mapping[str, Any]) -> bool:
        ((function, argument),) = value.items()
        match function:
            case "Condition":
                return self._condition(argument)
            case "Fn::Equals":
                return bool(self.resolve(argument[0]) == self.resolve(argument[1]))
            case "Fn::Not":
                return not self._test(argument[0])
            case "Fn::And":
                return all(map(self._test, argument))
        raise ValueError(f"tests/permissions/stack.py does not know {function}")

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return None
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.source["Parameters"]:
            return template.parameters(self.source, PARAMETERS)[name]
        return self._arn(name) if self.source["Resources"][name]["Type"] in _WITH_ARN_AS_REF else name

    def _attribute(self, text: str) -> str:
        name, _, attribute = text.partition(".")
        if attribute != "Arn":
            return name if attribute.endswith("Name") else text
        return self._arn(name) + (":*" if self._type(name) == "AWS::Logs::LogGroup" else "")

    def _arn(self, name: str) -> str:
        service, prefix = _ARNS[self._type(name)].split(" ")
        return arn(service, prefix + name)

    def _type(self, name: str) -> str:
        """Return a resource's type. What is named and not there before the transform is the rule of a function's event."""
        return str(self.source["Resources"].get(name, {"Type": "AWS::Events::Rule"})["Type"])

    # Policies

    @cached_property
    def statements(self) -> list[Statement]:
        """Every statement of the stack: of roles and who may assume them, managed policies, bucket, queue, functions."""
        found: list[Statement] = []
        for name, role in self.of_type("AWS::IAM::Role").items():
            found += read_statements(f"{name}.trust", role["AssumeRolePolicyDocument"], self._arn(name))
            for policy in role.get("Policies", ()):
                found += read_statements(name, policy["PolicyDocument"])
            if role.get("ManagedPolicyArns"):
                raise ValueError(f"{name} has managed policies, which are not read here")
        for name, policy in self.of_type("AWS::IAM::ManagedPolicy").items():
            found += read_statements(name, policy["PolicyDocument"])
        for kind in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"):
            for name, policy in self.of_type(kind).items():
                found += read_statements(name, policy["PolicyDocument"])
        for name, permission in self.of_type("AWS::Lambda::Permission").items():
            found += read_statements(name, {"Statement": [self._lambda_statement(permission)]})
        return found

    def _lambda_statement(self, permission: Mapping[str, Any]) -> dict[str, Any]:
        """Return the statement that Lambda adds to the function's policy for an AWS::Lambda::Permission."""
        conditions: dict[str, Any] = {"ArnLike": {"aws:SourceArn": permission["SourceArn"]}}
        if "SourceAccount" in permission:
            conditions["StringEquals"] = {"aws:SourceAccount": permission["SourceAccount"]}
        return {
            "Sid": "call",
            "Effect": "Allow",
            "Principal": {"Service": permission["Principal"]},
            "Action": permission["Action"],
            "Resource": self._function_arn(permission["FunctionName"]),
            "Condition": conditions,
        }

    def role_of(self, function: str) -> str:
        """Return the logical id of a function's role."""
        return _last(self.of_type("AWS::Lambda::Function")[function]["Role"])

    @staticmethod
    def _function_arn(function: str) -> str:
        return function if function.startswith("arn:") else arn("lambda", f"function:{function}")

    # What services do on their own

    def services(self) -> Iterator[Authorisation]:
        """Yield what AWS's services ask because of how the template connects its resources."""
        yield from self._functions()
        yield from self.receiving()
        yield from self._triggers()
        yield from self._refused()

    def _functions(self) -> Iterator[Authorisation]:
        """Lambda assumes the role, writes the log, polls the queue, and sends what failed, all as the function's role."""
        for name, function in self.of_type("AWS::Lambda::Function").items():
            yield _as_service("lambda", "sts:AssumeRole", function["Role"])
            stream = arn("logs", f"log-group:{function['LoggingConfig']['LogGroup']}:log-stream:2026/11/28/[1]abc")
            for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
                yield self._as_role(self.role_of(name), action, stream)
        for mapping in self.of_type("AWS::Lambda::EventSourceMapping").values():
            for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
                yield self._as_role(self.role_of(mapping["FunctionName"]), action, mapping["EventSourceArn"])
        for invoking in self.of_type("AWS::Lambda::EventInvokeConfig").values():
            failed = invoking["DestinationConfig"]["OnFailure"]["Destination"]
            yield self._as_role(self.role_of(invoking["FunctionName"]), "sqs:SendMessage", failed)

    def receiving(self) -> Iterator[Authorisation]:
        """SES stores a message in the bucket and calls a function, for each receipt rule."""
        for rule in self.of_type("AWS::SES::ReceiptRule").values():
            name = f"receipt-rule-set/{rule['RuleSetName']}:receipt-rule/{rule['Rule']['Name']}"
            context = {"aws:SourceArn": arn("ses", name), "aws:SourceAccount": ACCOUNT, **TLS}
            for action in rule["Rule"]["Actions"]:
                if stored := action.get("S3Action"):
                    for key in ("AMAZON_SES_SETUP_NOTIFICATION", "0123456789abcdefghij"):
                        target = arn("s3", f"{stored['BucketName']}/{stored['ObjectKeyPrefix']}{key}")
                        yield _as_service("ses", "s3:PutObject", target, context)
                if called := action.get("LambdaAction"):
                    yield _as_service("ses", "lambda:InvokeFunction", called["FunctionArn"], context)

    def _triggers(self) -> Iterator[Authorisation]:
        """EventBridge calls the functions that are its rules' targets, or publishes to a topic as the target's role, and
        keeps what it cannot deliver; Scheduler calls those of its schedules."""
        for name, rule in self.of_type("AWS::Events::Rule").items():
            for target in rule["Targets"]:
                if undelivered := target.get("DeadLetterConfig"):
                    context = {"aws:SourceArn": self._arn(name)}
                    yield _as_service("events", "sqs:SendMessage", undelivered["Arn"], context)
                if role := target.get("RoleArn"):
                    yield _as_service("events", "sts:AssumeRole", role)
                    yield self._as_role(_last(role), "sns:Publish", target["Arn"])
                    continue
                yield _as_service("events", "lambda:InvokeFunction", target["Arn"], {"aws:SourceArn": self._arn(name)})
        for schedule in self.of_type("AWS::Scheduler::Schedule").values():
            target = schedule["Target"]
            yield _as_service("scheduler", "sts:AssumeRole", target["RoleArn"])
            yield self._as_role(_last(target["RoleArn"]), "lambda:InvokeFunction", target["Arn"])

    def _refused(self) -> Iterator[Authorisation]:
        """Whoever may use the archive may not do it over a plain connection."""
        plain = (("aws:SecureTransport", "false"),)
        for name in self.of_type("AWS::S3::Bucket"):
            for statement in self.statements:
                for action in statement.actions:
                    for resource in statement.resources:
                        if statement.allows and not statement.principals and resource.startswith(arn("s3", name)):
                            yield Authorisation(
                                caller=statement.policy,
                                policies=frozenset({statement.policy}),
                                action=action,
                                resource=resource.replace("*", "x"),
                                context=plain,
                                allowed=False,
                            )

    def _as_role(self, role: str, action: str, resource: str) -> Authorisation:
        return Authorisation(caller=role, policies=frozenset({role}), action=action, resource=resource)


TLS = {"aws:SecureTransport": "true"}
"""What every call of ours has in its context."""


def _as_service(service: str, action: str, resource: str, context: Mapping[str, str] | None = None) -> Authorisation:
    known = tuple((context or {}).items())
    return Authorisation(caller=f"{service}.amazonaws.com", action=action, resource=resource, context=known)


def _last(name: str) -> str:
    return name.rpartition("/")[2]
