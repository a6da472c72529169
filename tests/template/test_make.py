"""What the Makefile promises to whoever types it."""

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


def test_make_alone_tells_of_every_target() -> None:
    shown = set(re.findall(r"(?m)^  make ([a-z-]+)", make().stdout))

    assert set(re.findall(r"(?m)^\.PHONY: ([a-z-]+)$", MAKEFILE)) == shown


@pytest.mark.parametrize("environment", ["", "nowhere", "default"])
def test_an_environment_that_samconfig_does_not_have_is_refused_before_anything_is_built(environment: str) -> None:
    """SAM itself ignores an unknown one and deploys the defaults."""
    refused = make("deploy", f"ENV={environment}")

    assert refused.returncode == 2
    assert "there are: local dev prod" in refused.stderr
    assert refused.stdout == ""


def test_the_environments_are_three_stacks_with_parameters_that_the_template_has() -> None:
    assert {"local", "dev", "prod"} == DEPLOYS.keys()
    assert DEPLOYS["dev"]["stack_name"] != DEPLOYS["prod"]["stack_name"]
    for settings in [*DEPLOYS.values(), SAMCONFIG["default"]["local_invoke"]["parameters"]]:
        given = {entry.partition("=")[0] for entry in settings.get("parameter_overrides", [])}

        assert given <= TEMPLATE["Parameters"].keys()


def test_production_is_confirmed_and_protected() -> None:
    assert DEPLOYS["prod"]["confirm_changeset"] is True
    assert "DeletionProtection=true" in DEPLOYS["prod"]["parameter_overrides"]


def test_every_parameter_says_what_it_is() -> None:
    for name, parameter in TEMPLATE["Parameters"].items():
        assert len(parameter["Description"]) > 20, name
        checked = {"AllowedPattern", "AllowedValues", "MaxLength", "MinValue"} & parameter.keys()
        assert checked, f"{name} takes anything"


@pytest.mark.parametrize("target", ["build", "build-local"])
def test_a_build_tells_sam_and_the_layers_make_the_same_processor(target: str) -> None:
    """SAM passes it on to its own builders only, and its cache does not know it: one folder for each build."""
    (command,) = re.findall(
        r"ARCH=(\S+).*--build-dir \S+/(\S+) --cache-dir \S+-(\S+) .*Architecture=(\S+)", planned(target)
    )
    told_make, build, cache, told_sam = command

    assert told_make == told_sam
    assert build == cache


def planned(target: str) -> str:
    """Return the commands that *target* would run, each on one line."""
    return make("--dry-run", target).stdout.replace("\\\n", " ")
