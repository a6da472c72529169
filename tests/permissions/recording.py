"""Lets tests record the AWS calls of functions and commands (recorder/call_recorder.py), and reads what was recorded.

Nothing is recorded unless RECORDED_CALLS names a folder; ``make test`` and ``make permissions`` do.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cloud import clients
from cloud.cloud import LocalCloud
from tests.permissions.calls import Call
from tests.permissions.recorder import call_recorder
from tests.support.command import whole_command

_HERE = Path(__file__).parent
_NAMES = "names-{}.json"
_KINDS = {
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::DynamoDB::Table": "table",
    "AWS::S3::Bucket": "bucket",
    "AWS::SES::ConfigurationSet": "configuration set",
    "AWS::SNS::Topic": "topic",
    "AWS::SQS::Queue": "queue",
    "AWS::SSM::Parameter": "parameter",
    "AWS::Serverless::Function": "function",
}
_NAMED = {
    "AlarmNames": "alarm",
    "Bucket": "bucket",
    "ConfigurationSetName": "configuration set",
    "FunctionName": "function",
    "Name": "parameter",
    "Names": "parameter",
    "QueueUrl": "queue",
    "StackName": "stack",
    "TableName": "table",
    "TopicArn": "topic",
    "entries": "table",
    "tables": "table",
}

type Names = Mapping[str, str]
"""Logical ids by ``kind/physical name``."""


def start() -> None:
    """Let the commands that tests run in this process record their calls, if anything is recorded."""
    if variables():
        call_recorder.register(clients._session().get_component("event_emitter"))


def variables(caller: str = "", *, module: str = "tests.permissions.recorder.call_recorder") -> dict[str, str]:
    """Return the environment variables that let a process record its calls as *caller*; none if nothing is recorded."""
    folder = os.environ.get("RECORDED_CALLS")
    if not folder:
        return {}
    named = {"RECORDED_CALLER": caller} if caller else {}
    return named | {"RECORDED_CALLS": folder, "BOTOCORE_EXPERIMENTAL__PLUGINS": f"recorder={module}"}


def keep_names(stack: str, names: Names) -> None:
    """Store the names of a stack's resources beside the calls, if these are recorded."""
    if folder := os.environ.get("RECORDED_CALLS"):
        (Path(folder) / _NAMES.format(stack)).write_text(json.dumps(dict(names)))


def record(cloud: LocalCloud) -> None:
    """Let the deployed functions of *cloud* record their calls, if anything is recorded."""
    if not variables():
        return
    types = {name: resource["Type"] for name, resource in cloud.deployment.template["Resources"].items()}
    names = {
        f"{_KINDS[types[logical]]}/{_bare(physical)}": logical
        for logical, physical in cloud.resources.items()
        if types.get(logical) in _KINDS
    }
    keep_names(str(os.getpid()), names | {f"stack/{cloud.address.stack}": "stack"})
    for name in (name for name in cloud.resources if types.get(name) == "AWS::Serverless::Function"):
        client, function = cloud.clients.lambda_, cloud.resources[name]
        known = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
        ours = {"PYTHONPATH": str(_HERE / "recorder"), **variables(name, module="call_recorder")}
        client.update_function_configuration(FunctionName=function, Environment={"Variables": known | ours})


def command(arguments: Sequence[str]) -> str:
    """Return the command that *arguments* name, as a caller: ``held release``, or ``redrive --dry-run``."""
    path: list[str] = []
    at: Any = whole_command()
    for argument in arguments:
        if argument not in getattr(at, "commands", ()):
            break
        at = at.commands[argument]
        path.append(argument)
    return " ".join([*path, *(["--dry-run"] if "--dry-run" in arguments else [])])


def read_calls(folder: Path) -> Iterator[Call]:
    """Yield what was recorded in *folder*, with logical ids in place of the stack's physical names."""
    names: dict[str, str] = {}
    for file in folder.glob(_NAMES.format("*")):
        names |= json.loads(file.read_text())
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            yield logical(Call(**json.loads(line)), names)


def logical(call: Call, names: Names) -> Call:
    """Return *call* with logical ids in place of the names in *names*; others stay."""
    found = {key: _translated(_NAMED[key], value, names) for key, value in call.parameters.items() if key in _NAMED}
    return Call(
        caller=call.caller,
        service=call.service,
        operation=call.operation,
        parameters={**call.parameters, **found},
        error=call.error,
    )


def _translated(kind: str, value: Any, names: Names) -> Any:
    if isinstance(value, str):
        return names.get(f"{kind}/{_bare(value)}", value)
    return [_translated(kind, entry, names) for entry in value]


def _bare(name: str) -> str:
    """Return a resource's name, which may be given as the last part of a queue's URL or of an ARN."""
    return re.split(r"[/:]", name)[-1] if name.startswith(("http", "arn:")) else name
