"""template.yaml for tests: plain values, by logical id and by type."""

from pathlib import Path
from typing import Any

from cloud import template

PROJECT = Path(__file__).parents[2]
TEMPLATE: dict[str, Any] = template.read(PROJECT / "template.yaml")
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]


def of_type(kind: str) -> dict[str, Any]:
    """Return the properties of every resource of *kind*, by logical id."""
    return {name: resource.get("Properties", {}) for name, resource in RESOURCES.items() if resource["Type"] == kind}


FUNCTIONS = of_type("AWS::Serverless::Function")
QUEUES = of_type("AWS::SQS::Queue")
ALARMS = of_type("AWS::CloudWatch::Alarm")
RULES = {name: properties["Rule"] for name, properties in of_type("AWS::SES::ReceiptRule").items()}


def name_of(reference: Any) -> str:
    """Return the logical id in a ``!Ref X`` or ``!GetAtt X.Y``."""
    ((_, target),) = reference.items()
    return str(target).partition(".")[0]


def logical_id(folder: str) -> str:
    """Return the function's logical id that follows from its folder: ``ack_sender`` → ``AckSenderFunction``."""
    return "".join(word.capitalize() for word in folder.split("_")) + "Function"


def timeout(function: str) -> int:
    """Return a function's time-out in seconds."""
    seconds: int = FUNCTIONS[function].get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"])
    return seconds


def statements(function: str) -> list[dict[str, Any]]:
    """Return the statements of a function's role."""
    role = RESOURCES[name_of(FUNCTIONS[function]["Role"])]["Properties"]
    return [entry for policy in role["Policies"] for entry in policy["PolicyDocument"]["Statement"]]


def listed(value: Any) -> list[Any]:
    """Return *value* as a list, as IAM reads what may be one or several."""
    return value if isinstance(value, list) else [value]
