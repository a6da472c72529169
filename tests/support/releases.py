"""What the last release deployed, and what an update from it would do: ``python -m tests.support.releases`` records it.

CloudFormation replaces a resource whose type or create-only property changes. Which properties those are, its own
schemas say, which cfn-lint ships. Functions and schedules are compared as SAM's transform gives them to CloudFormation.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.permissions.stack import transformed
from tests.support.stack import PROJECT

RECORD = PROJECT / "tests/data/release.json"
STATEFUL = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue"}
"""What holds messages, records or jobs."""
_NEW_EACH_TIME = {"AWS::Lambda::LayerVersion"}  # its logical id is a hash of its content


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What happens to resources, by logical id."""

    removed: frozenset[str]
    replaced: Mapping[str, str]  # and why
    lost: frozenset[str]  # those of the two that are stateful
    indexes: tuple[str, ...]  # the table's indexes that are created, deleted, or changed (which is both)

    @property
    def possible(self) -> bool:
        """Whether CloudFormation makes it in one update: a table gets or loses one index at a time."""
        return len(self.indexes) <= 1


def release() -> dict[str, Any]:
    """Return what template.yaml deploys, as far as :func:`update` compares it. It takes some seconds."""
    resources = {
        name: {"type": resource["Type"], "condition": resource.get("Condition", ""), "fixed": _fixed(resource)}
        for name, resource in sorted(transformed()["Resources"].items())
        if resource["Type"] not in _NEW_EACH_TIME
    }
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    return {"version": version, "resources": resources}


def _fixed(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of *resource* whose change replaces it, and a table's indexes."""
    properties = resource.get("Properties", {})
    found = {path: _at(properties, path.split("/")[2:]) for path in _create_only(resource["Type"])}
    if resource["Type"] == "AWS::DynamoDB::Table":
        found["indexes"] = {each["IndexName"]: each for each in properties.get("GlobalSecondaryIndexes", ())}
    return {path: value for path, value in found.items() if value is not None}


def _at(properties: Any, path: list[str]) -> Any:
    for name in path:
        properties = properties.get(name) if isinstance(properties, dict) else None
    return properties


@cache
def _create_only(kind: str) -> tuple[str, ...]:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # noqa: PLC0415  (a second, which few tests need)

    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    return *schema.get("createOnlyProperties", ()), *schema.get("conditionalCreateOnlyProperties", ())


def update(before: Mapping[str, Any], after: Mapping[str, Any]) -> Update:
    """Return what an update from the release *before* to *after* does."""
    old, new = before["resources"], after["resources"]
    replaced, indexes = {}, list[str]()
    for name in old.keys() & new.keys():
        is_, was = ({**each["fixed"]} for each in (new[name], old[name]))
        now, then = is_.pop("indexes", {}), was.pop("indexes", {})
        for index in sorted(now.keys() | then.keys()):
            changed = index in now and index in then and now[index] != then[index]
            indexes += [index] * (2 if changed else now.get(index) != then.get(index))
        if changes := sorted(path for path in is_.keys() | was.keys() if is_.get(path) != was.get(path)):
            replaced[name] = ", ".join(re.sub("^/properties/", "", path) for path in changes)
        if new[name]["type"] != old[name]["type"]:
            replaced[name] = f"{old[name]['type']} becomes {new[name]['type']}"
    conditional = {
        name for name in old.keys() & new.keys() if new[name]["condition"] not in {"", old[name]["condition"]}
    }
    removed = frozenset(old.keys() - new.keys() | conditional)
    lost = frozenset(name for name in removed | replaced.keys() if old[name]["type"] in STATEFUL)
    return Update(removed=removed, replaced=replaced, lost=lost, indexes=tuple(indexes))


if __name__ == "__main__":
    RECORD.write_text(json.dumps(release(), indent=1, sort_keys=True) + "\n")
