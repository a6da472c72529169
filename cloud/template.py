"""Reads the receipt rules of the deployed template, so that the SMTP server can apply them as SES does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cloud.errors import LocalCloudError
from email_handler.mail.addresses import split_address


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: ``!Sub x`` becomes ``{"Fn::Sub": "x"}``."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)  # YAML has three kinds of node
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def read(template: Path) -> dict[str, Any]:
    """Return the template as plain values, short forms expanded."""
    loaded: dict[str, Any] = yaml.load(template.read_text(), Loader=_Loader)
    return loaded


def parameters(template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Return every parameter's value: as given, else its default. Raise LocalCloudError if one has neither."""
    values: dict[str, str] = {}
    for name, parameter in template["Parameters"].items():
        value = given.get(name, parameter.get("Default"))
        if value is None:
            raise LocalCloudError(f"template.yaml: the local cloud has no value for parameter {name}")
        values[name] = str(value)
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRule:
    """One ``AWS::SES::ReceiptRule`` with an S3 and a Lambda action, resolved."""

    name: str
    recipients: tuple[str, ...]  # lower case; none means all
    bucket: str
    prefix: str
    function: str  # name

    def matches(self, recipient: str) -> bool:
        """Return whether SES applies the rule to an envelope recipient.

        ``example.com`` is that domain only, ``.example.com`` its subdomains only, and ``user@example.com`` also
        ``user+tag@example.com``.
        """
        local, domain = split_address(recipient.lower())
        untagged = f"{local.partition('+')[0]}@{domain}"
        return not self.recipients or any(
            domain.endswith(entry) if entry.startswith(".") else entry in {domain, f"{local}@{domain}", untagged}
            for entry in self.recipients
        )


def receipt_rules(template: Mapping[str, Any], values: Mapping[str, str]) -> list[ReceiptRule]:
    """Return the enabled rules in the order in which SES applies them.

    *values* are parameters and, by logical id, physical names. Raise LocalCloudError for a rule that the SMTP server
    cannot apply as SES does.
    """
    ordered: list[tuple[str, ReceiptRule]] = []
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] != "AWS::SES::ReceiptRule":
            continue
        after = resource["Properties"].get("After", {}).get("Ref")
        place = next((n + 1 for n, (found, _) in enumerate(ordered) if found == after), 0)
        if after and not place:
            raise LocalCloudError(f"template.yaml: put {logical_id} below {after}, the rule it comes after")
        rule = resource["Properties"]["Rule"]
        if rule.get("Enabled"):
            ordered.insert(place, (logical_id, _rule(logical_id, rule, values)))
    return [rule for _, rule in ordered]


def _rule(logical_id: str, rule: Mapping[str, Any], values: Mapping[str, str]) -> ReceiptRule:
    actions = {kind: action for entry in rule["Actions"] for kind, action in entry.items()}
    if (
        list(actions) != ["S3Action", "LambdaAction"]
        or actions["LambdaAction"].get("InvocationType") == "RequestResponse"
    ):
        raise LocalCloudError(
            f"template.yaml: the SMTP server needs one S3 and then one Lambda action, not those of {logical_id}"
        )
    recipients = resolve(rule.get("Recipients", []), values)
    return ReceiptRule(
        name=resolve(rule.get("Name", logical_id), values),
        recipients=tuple(recipient.lower() for recipient in recipients),
        bucket=resolve(actions["S3Action"]["BucketName"], values),
        prefix=resolve(actions["S3Action"].get("ObjectKeyPrefix", ""), values),
        function=resolve(actions["LambdaAction"]["FunctionArn"], values),
    )


def resolve(value: Any, values: Mapping[str, str]) -> Any:
    """Return *value* with Ref, Sub, Split and GetAtt resolved. An attribute resolves to the physical name, which Lambda
    accepts instead of an ARN. Raise LocalCloudError for other functions."""
    if isinstance(value, list):
        return [resolve(entry, values) for entry in value]
    if not isinstance(value, dict):
        return value
    ((function, argument),) = value.items()
    try:
        match function:
            case "Ref":
                return values[argument]
            case "Fn::GetAtt":
                return values[argument.partition(".")[0] if isinstance(argument, str) else argument[0]]
            case "Fn::Sub" if isinstance(argument, str):
                for name in values:
                    argument = argument.replace(f"${{{name}}}", values[name])
                return argument
            case "Fn::Split":
                return resolve(argument[1], values).split(argument[0])
    except KeyError as error:
        raise LocalCloudError(f"template.yaml: a receipt rule refers to {error}, which is not deployed") from error
    raise LocalCloudError(f"template.yaml: the SMTP server does not support {function} in a receipt rule")
