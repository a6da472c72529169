"""What a release consists of: one version, what sam publish needs, allowed licences, workflows that call make."""

import json
import re
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

from cloud.cloud import LocalCloud
from tests.support.stack import PROJECT, TEMPLATE
from tests.template.test_make import make

VERSION = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
METADATA = TEMPLATE["Metadata"]["AWS::ServerlessRepo::Application"]
WORKFLOWS = sorted((PROJECT / ".github/workflows").glob("*.yml"))

ALLOWED = {
    *("MIT", "MIT-0", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0"),
    "License :: OSI Approved :: BSD License",  # what projects say who don't say which
    "License :: OSI Approved :: Apache Software License",  # likewise
    "MPL-2.0",  # the list of public suffixes: its files are passed on unchanged, with their notice
}
"""Licences that allow to ship a library beside code under MIT, and ask for nothing but their notice."""


def test_the_template_has_the_projects_version_and_what_publishing_needs() -> None:
    assert METADATA["SemanticVersion"] == VERSION
    assert METADATA.keys() >= {"Name", "Description", "Author", "SpdxLicenseId"}
    for name in ("LicenseUrl", "ReadmeUrl"):
        assert (PROJECT / METADATA[name]).is_file()


def test_every_library_that_the_layer_ships_has_an_allowed_licence() -> None:
    subprocess.run(["make", "sbom"], cwd=PROJECT, check=True, capture_output=True, timeout=120)
    found = json.loads((PROJECT / ".aws-sam/sbom.json").read_text())["components"]

    required = re.findall(r"(?m)^([a-z0-9-]+)==", (PROJECT / "layers/email_handler/requirements.txt").read_text())
    assert sorted(each["name"].replace("_", "-") for each in found) == sorted(required)
    assert {each["name"]: forbidden for each in found if (forbidden := licences(each) - ALLOWED)} == {}
    assert all(licences(each) for each in found)


def licences(component: dict[str, Any]) -> set[str]:
    """Return the licences that a library declares, as SPDX has them if they are known there."""
    found = [each.get("license", each) for each in component.get("licenses", ())]
    return {each.get("id") or each.get("name") or each["expression"] for each in found}


@pytest.mark.cloud
def test_a_packaged_template_names_its_code_in_the_bucket(cloud: LocalCloud) -> None:
    """The local cloud has made the build already, and packed its code, which takes SAM ten seconds: so only the
    packaging itself is run."""
    cloud.clients.s3.create_bucket(Bucket="packages")
    lines = make("--dry-run", "package", "ENV=local", "BUCKET=packages").stdout.replace("\\\n", "")
    (package,) = re.findall(r"(?m)^.*sam package.*$", lines)
    assert ".aws-sam/local/template.yaml" in package
    package = package.replace(".aws-sam/local/template.yaml", ".aws-sam/local/zipped.yaml")

    ran = subprocess.run(
        ["bash", "-c", f"AWS_ENDPOINT_URL={cloud.endpoint} {package}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    packaged = yaml.safe_load(re.sub(r"!\w+", "", (PROJECT / ".aws-sam/packaged.yaml").read_text()))
    code = [
        resource["Properties"].get("CodeUri") or resource["Properties"]["ContentUri"]
        for resource in packaged["Resources"].values()
        if resource["Type"] in {"AWS::Serverless::Function", "AWS::Serverless::LayerVersion"}
    ]
    assert len(code) == 7
    published = packaged["Metadata"]["AWS::ServerlessRepo::Application"]
    for place in [*code, published["LicenseUrl"], published["ReadmeUrl"]]:
        assert place.startswith("s3://packages/")
        cloud.clients.s3.head_object(Bucket="packages", Key=place.removeprefix("s3://packages/"))


def test_packaging_asks_for_a_bucket_before_it_builds() -> None:
    refused = make("package")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "make package BUCKET=" in refused.stderr


@pytest.mark.parametrize(
    ("argument", "reason"),
    [("TAG=v9.9.9", f"The tag is v9.9.9, the version {VERSION}"), ("VERSION=9.9.9", "no section [9.9.9]")],
)
def test_a_release_begins_with_its_tag_and_its_section_of_the_changelog(argument: str, reason: str) -> None:
    refused = make("release", argument)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert reason in refused.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_only_calls_make(workflow: Any) -> None:
    targets = set(re.findall(r"(?m)^\.PHONY: ([a-z-]+)$", (PROJECT / "Makefile").read_text()))
    steps = [step for job in yaml.safe_load(workflow.read_text())["jobs"].values() for step in job["steps"]]
    commands = [step["run"].split() for step in steps if "run" in step]

    assert commands
    for program, target, *_ in commands:
        assert program == "make"
        assert target in targets
