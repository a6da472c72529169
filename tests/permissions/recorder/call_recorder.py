"""Writes down which AWS calls a process makes: a plugin of botocore, for functions, fault runs and the command alike.

botocore loads it into every client that is created while BOTOCORE_EXPERIMENTAL__PLUGINS names this module. It imports
nothing of the project, since the functions of the local cloud load it too.

RECORDED_CALLS is a folder: each process appends to a file of its own there, a JSON object a line. RECORDED_CALLER is who
makes the call: a function's logical id or a command. It is read at each call, since tests share their clients with the
commands that they run; a call without it is a test's own. Only those parameters are kept that name a resource or that a
policy may test: never a body, an item, or an address other than our own sender's.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_KEPT = (
    *("Bucket", "Key", "Prefix", "VersionId"),
    *("TableName", "IndexName", "QueueUrl", "Name", "Names", "TopicArn", "FunctionName", "StackName", "AlarmNames"),
    *("FromEmailAddress", "ConfigurationSetName", "EmailIdentity", "RuleSetName"),
)


def initialize_client_plugin(client: Any) -> None:
    """Let *client* report its calls. botocore calls this for each new client."""
    register(client.meta.events)


def register(events: Any) -> None:
    """Let the client with *events*, or all further clients of the session with *events*, report their calls."""
    events.register("provide-client-params", _remember)
    events.register("after-call", _record)
    events.register("after-call-error", _record)


def kept(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may be written down of a call's *parameters*."""
    found = {name: parameters[name] for name in _KEPT if name in parameters}
    if "RequestItems" in parameters:
        found["tables"] = sorted(parameters["RequestItems"])
    if "TransactItems" in parameters:
        entries = {(kind, item["TableName"]) for entry in parameters["TransactItems"] for kind, item in entry.items()}
        found["entries"] = sorted(entries)
    if "Delete" in parameters:
        found["objects"] = [[entry["Key"], "VersionId" in entry] for entry in parameters["Delete"]["Objects"]]
    if "Entries" in parameters and "QueueUrl" not in parameters:
        events = {(entry.get("EventBusName", "default"), entry["Source"]) for entry in parameters["Entries"]}
        found["events"] = sorted(events)
    return found


def _remember(params: Mapping[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
    if caller := os.environ.get("RECORDED_CALLER"):
        context["recorded"] = {
            "caller": caller,
            "service": model.service_model.service_name,
            "operation": model.name,
            "parameters": kept(params),
        }


def _record(context: Mapping[str, Any], parsed: Mapping[str, Any] | None = None, **_: Any) -> None:
    """Append the call, whatever came of it: AWS asks for permission before all else."""
    if "recorded" not in context:
        return
    line = {**context["recorded"], "error": (parsed or {}).get("Error", {}).get("Code", "")}
    folder = Path(os.environ["RECORDED_CALLS"])
    file = os.open(folder / f"{os.getpid()}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")  # at once: the process may be killed after any call
    finally:
        os.close(file)
