"""What the Makefile promises to its users."""

import re
import subprocess
import tomllib

import pytest

from tests.support.stack import PROJECT, TEMPLATE

MAKEFILE = (PROJECT / "Makefile").read_text()
SAMCONFIG = tomllib.loads((PROJECT / "samconfig.toml").read_text())
DEPLOYS = {
    name: part["deploy"]["parameters"] for name, part in SAMCONFIG.items() if name != "version" and "deploy" in part
}


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=30, check=False)


def test_make_alone_lists_every_target() -> None:
    shown = set(re.findall(r"(?m)^  make ([a-z-]+)", make().stdout))

    assert set(re.findall(r"(?m)^\.PHONY: ([a-z-]+)$", MAKEFILE)) == shown


@pytest.mark.parametrize("environment", ["", "nowhere", "default"])
def test_an_environment_missing_from_samconfig_is_rejected_before_anything_is_built(environment: str) -> None:
    """SAM itself ignores an unknown environment and deploys the defaults."""
    refused = make("deploy", f"ENV={environment}")

    assert refused.returncode == 2
    assert "there are: local dev prod" in refused.stderr
    assert refused.stdout == ""


def test_the_three_environments_use_only_parameters_of_the_template() -> None:
    assert {"local", "dev", "prod"} == DEPLOYS.keys()
    assert DEPLOYS["dev"]["stack_name"] != DEPLOYS["prod"]["stack_name"]
    for settings in [*DEPLOYS.values(), SAMCONFIG["default"]["local_invoke"]["parameters"]]:
        given = {entry.partition("=")[0] for entry in settings.get("parameter_overrides", [])}

        assert given <= TEMPLATE["Parameters"].keys()


def test_production_needs_confirmation_and_is_protected() -> None:
    assert DEPLOYS["prod"]["confirm_changeset"] is True
    assert "DeletionProtection=true" in DEPLOYS["prod"]["parameter_overrides"]


def test_every_parameter_has_a_description_and_a_constraint() -> None:
    for name, parameter in TEMPLATE["Parameters"].items():
        assert len(parameter["Description"]) > 20, name
        checked = {"AllowedPattern", "AllowedValues", "MaxLength", "MinValue"} & parameter.keys()
        assert checked, f"{name} takes anything"


@pytest.mark.parametrize("target", ["build", "build-local"])
def test_a_build_passes_the_same_processor_to_sam_and_to_the_layers_make(target: str) -> None:
    """SAM passes it to its own builders only, and its cache ignores it: each build has its own folder."""
    (command,) = re.findall(
        r"ARCH=(\S+).*--build-dir \S+/(\S+) --cache-dir \S+-(\S+) .*Architecture=(\S+)", planned(target)
    )
    of_make, build, cache, of_sam = command

    assert of_make == of_sam
    assert build == cache


def planned(target: str) -> str:
    """Return the commands that *target* would run, each on one line."""
    return make("--dry-run", target).stdout.replace("\\\n", " ")
