"""What the Makefile promises to its users."""

import os
import re
import subprocess
import tomllib

import pytest

from cloud import STACK
from cloud.sam_local import ENVIRONMENT, PARAMETERS
from tests.support.stack import PROJECT, TEMPLATE

MAKEFILE = (PROJECT / "Makefile").read_text()
SAMCONFIG = tomllib.loads((PROJECT / "samconfig.toml").read_text())
DEPLOYS = {
    name: part["deploy"]["parameters"]
    for name, part in SAMCONFIG.items()
    if name not in {"version", "default"} and "deploy" in part
}


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_make_alone_lists_every_target() -> None:
    shown = set(re.findall(r"(?m)^  make ([a-z-]+)", make().stdout))

    assert set(re.findall(r"(?m)^\.PHONY: ([a-z-]+)$", MAKEFILE)) == shown


@pytest.mark.parametrize("environment", ["", "nowhere", "default", "loca."])
def test_an_environment_missing_from_samconfig_is_rejected_before_anything_is_built(environment: str) -> None:
    """SAM itself ignores an unknown environment and deploys the defaults."""
    refused = make("deploy", f"ENV={environment}")

    assert refused.returncode == 2
    assert "there are: local dev prod" in refused.stderr
    assert refused.stdout == ""


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "https://cloudformation.us-east-1.amazonaws.com",
        "http://192.0.2.1:4566",
        "http://localhost.example:4566",
        "http://127.0.0.1.example",
        "http://127.0.0.1:4566@aws.example",
        "http://127.0.0.1:4566/@aws.example",
        "http://aws.example/?http://127.0.0.1:4566",
        "http://aws.example\nhttp://127.0.0.1:4566",
        "ftp://127.0.0.1",
    ],
)
def test_the_local_stack_is_deployed_to_this_machine_alone(endpoint: str) -> None:
    refused = make("deploy", "ENV=local", AWS_ENDPOINT_URL=endpoint)

    assert refused.returncode == 2
    assert "ENV=local needs AWS_ENDPOINT_URL" in refused.stderr
    assert refused.stdout == ""


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:4566", "http://localhost:4566/", "https://[::1]:4566"])
def test_the_local_stack_never_uses_the_developers_credentials(endpoint: str) -> None:
    """AWS would refuse these, if a setting sent the request there all the same."""
    planned = make("--dry-run", "deploy", "ENV=local", AWS_ENDPOINT_URL=endpoint)
    (deploy,) = re.findall(r"(?m)^ *(env .*) \S*email-handler deploy local", planned.stdout.replace("\\\n", ""))

    shown = subprocess.run(
        ["bash", "-c", f"{deploy} env"],
        env={
            "PATH": os.environ["PATH"],
            "AWS_PROFILE": "production",
            "AWS_ACCESS_KEY_ID": "real",
            "AWS_SESSION_TOKEN": "real",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ENDPOINT_URL_CLOUDFORMATION": "https://aws.example",
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        },
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert {line for line in shown.splitlines() if line.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID=test",
        "AWS_SECRET_ACCESS_KEY=test",
        "AWS_DEFAULT_REGION=us-east-1",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false",
        f"AWS_ENDPOINT_URL={endpoint}",
    }


def test_the_other_environments_use_the_developers_credentials() -> None:
    assert re.search(r"(?m)^ *\S*email-handler deploy prod", make("--dry-run", "deploy", "ENV=prod").stdout)


@pytest.mark.parametrize("arguments", ["--guided", "--no-confirm-changeset --guided", "-g"])
def test_the_guided_mode_is_refused_at_once_in_a_line_that_names_configure(arguments: str) -> None:
    """SAM would ask for what it hides again and again, and explain nothing."""
    refused = make("deploy", "ENV=prod", f"ARGS={arguments}")

    assert refused.returncode == 2
    assert refused.stderr.startswith("--guided can't")
    assert "make configure" in refused.stderr.splitlines()[0]
    assert refused.stdout == ""


def test_a_processor_is_passed_on_only_if_it_was_chosen() -> None:
    """Otherwise that of the stack counts: a plain deployment must not change it."""
    assert "--architecture" not in make("--dry-run", "deploy", "ENV=prod").stdout
    assert "--architecture x86_64" in make("--dry-run", "deploy", "ENV=prod", "ARCH=x86_64").stdout
    assert "--architecture x86_64" in make("--dry-run", "deploy", "ENV=prod", ARCH="x86_64").stdout


def test_the_three_environments_use_only_parameters_of_the_template() -> None:
    assert {"local", "dev", "prod"} == DEPLOYS.keys()
    assert len({settings["stack_name"] for settings in DEPLOYS.values()}) == 3
    assert DEPLOYS["local"]["stack_name"] == STACK
    for settings in DEPLOYS.values():
        given = {entry.partition("=")[0] for entry in settings.get("parameter_overrides", [])}

        assert given <= TEMPLATE["Parameters"].keys()


@pytest.mark.parametrize("command", ["local_invoke", "local_start_lambda"])
def test_sam_local_reads_what_the_local_cloud_writes_and_says_the_command_if_it_is_missing(command: str) -> None:
    settings = SAMCONFIG["default"][command]["parameters"]

    assert settings["env_vars"] == str(ENVIRONMENT.relative_to(PROJECT))
    assert settings["parameter_overrides"] == [f"file://{PARAMETERS.relative_to(PROJECT)}"]
    assert ENVIRONMENT.stem == PARAMETERS.stem == "run-email-handler-local-up--for-sam"


def test_sam_deploy_without_an_environment_ends_in_a_line_that_names_configure() -> None:
    (missing,) = SAMCONFIG["default"]["deploy"]["parameters"]["parameter_overrides"]

    assert missing == "file://run-make-configure-instead.yaml"
    assert not (PROJECT / missing.removeprefix("file://")).exists()


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
