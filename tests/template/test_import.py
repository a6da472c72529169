"""A stack can be made of a bucket and a table that exist: docs/import.yaml, and the command in docs/runbook.md."""

import json
import re

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from cloud import template
from tests.support.stack import PROJECT, RESOURCES

IMPORTED = template.read(PROJECT / "docs/import.yaml")["Resources"]


def test_the_import_has_the_templates_bucket_and_table_as_they_are() -> None:
    """Else the deployment that follows would change them. The protection is a parameter there."""
    expected = {name: RESOURCES[name] for name in ("Archive", "Records")}
    expected["Records"] = {
        **expected["Records"],
        "Properties": {**expected["Records"]["Properties"], "DeletionProtectionEnabled": True},
    }

    assert expected == IMPORTED
    assert {each["DeletionPolicy"] for each in IMPORTED.values()} == {"Retain"}, "CloudFormation imports no other"


def test_the_command_names_each_resource_of_the_import_by_its_identifier() -> None:
    (text,) = re.findall(r"--resources-to-import '(\[.*?\])'", (PROJECT / "docs/runbook.md").read_text(), re.DOTALL)
    named = {each["LogicalResourceId"]: each for each in json.loads(text)}

    assert named.keys() == IMPORTED.keys()
    for name, resource in IMPORTED.items():
        kind = resource["Type"]
        identifiers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["primaryIdentifier"]
        assert named[name]["ResourceType"] == kind
        assert [f"/properties/{each}" for each in named[name]["ResourceIdentifier"]] == identifiers
