"""``email-handler deploy``, which ``make deploy`` runs: build, and deploy with every value that is known.

SAM's own ``--parameter-overrides`` replaces samconfig's list whole, and CloudFormation keeps what is not given, even a
processor that was not built for. So the parameters come from one place (:func:`cli.parameters.compose`), and reach SAM
in a file: arguments can be read by every user of the machine.
"""

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.account import Account
from cli.options import AsJson
from cli.parameters import REQUIRED, Answers, assignments, compose, environments, mistake
from cli.terminal import ExitCode, print_result
from cloud import ARCHITECTURE, PROJECT, template
from operations.errors import CommandError

OVERRIDES = "--parameter-overrides"
STDERR = 2  # file descriptor


def deploy(
    environment: Annotated[str, typer.Argument(help="prod, dev or local, as samconfig.toml has them.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="More options for sam deploy.", show_default=False)
    ] = None,
    architecture: Annotated[str, typer.Option("--architecture", help="Processor to build for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Build the project and deploy it with what samconfig.toml sets, the answers to configure, and --parameter-overrides.

    What is given is kept with the answers, so that the next deployment has it too.
    """
    settings = environment_named(environment)
    given, options = read_arguments(arguments or [])
    if architecture and given.get("Architecture", architecture) != architecture:
        raise CommandError(
            f"ARCH={architecture} and Architecture={given['Architecture']} contradict each other: give one"
        )
    source = template.read(PROJECT / "template.yaml")
    for name, value in given.items():
        if text := mistake(source, name, value):
            raise CommandError(f"{name}: {text}")
    account = Account.of()
    stack = settings["stack_name"]
    answers = Answers(stack, account.number, account.region)
    kept = {} if environment == "local" else answers.load()
    deployed = account.deployed(stack)
    configured = assignments(settings.get("parameter_overrides", ()))
    built = architecture or architecture_for(environment, given, kept, deployed, configured)
    values = compose(configured, kept, given, architecture=built)
    if missing := [name for name in REQUIRED if not values.get(name)]:
        if not deployed:
            raise CommandError(f"{stack} needs {' and '.join(missing)}: make configure ENV={environment} asks for them")
        for name in missing:  # CloudFormation has them
            values.pop(name, None)
    target = ["build-local"] if environment == "local" else ["build", f"ARCH={built}"]
    output = STDERR if as_json else None
    if subprocess.run(["make", *target], cwd=PROJECT, stdout=output, check=False).returncode:  # noqa: S603, S607  (the user's own make)
        raise typer.Exit(ExitCode.FAILED)
    code = sam_deploy(PROJECT, ["--config-env", environment, "--region", account.region, *options], values, output)
    if code:
        raise typer.Exit(code)
    if environment != "local" and (kept or given):
        answers.keep({**kept, **given, "Architecture": built})
    print_result({"deployed": stack, "architecture": built}, f"{stack} is deployed.", as_json=as_json)


def environment_named(name: str) -> dict[str, Any]:
    """Return what ``samconfig.toml`` says of deploying the environment *name*. Raises CommandError."""
    there = environments(PROJECT)
    if name not in there:
        raise CommandError(f"samconfig.toml has no environment {name}; there are: {' '.join(there)}")
    return there[name]


def architecture_for(environment: str, *sources: Mapping[str, str]) -> str:
    """Return the processor to build for: this machine's for ``local``, else what the first of *sources* says."""
    if environment == "local":
        return ARCHITECTURE
    return next((source["Architecture"] for source in sources if source.get("Architecture")), "arm64")


def read_arguments(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Split the user's *arguments* for ``sam deploy`` into parameters and the rest. Raises CommandError."""
    given: dict[str, str] = {}
    rest: list[str] = []
    takes_values = False
    for each in arguments:
        option, equals, value = each.partition("=") if each.startswith("--") else ("", "", "")
        if option in {"--guided", "-g"} or each == "-g":
            raise CommandError("--guided cannot explain its questions or check the answers: make configure does both")
        if option == OVERRIDES:
            takes_values = not equals
            given |= assignments(_words(value)) if equals else {}
        elif takes_values and not each.startswith("-"):
            given |= assignments(_words(each))
        else:
            takes_values = False
            rest.append(each)
    return given, rest


def _words(text: str) -> list[str]:
    """Return the ``Name=value`` texts of one argument: SAM also takes several in one, or ``ParameterKey=…`` pairs."""
    words = shlex.split(text) if " " in text and text.count("=") > 1 else [text]
    return [word.removeprefix("ParameterKey=").replace(",ParameterValue=", "=", 1) for word in words]


def sam_deploy(project: Path, options: Sequence[str], values: Mapping[str, Any], output: int | None = None) -> int:
    """Run ``sam deploy`` in *project* with the parameters *values*; return its exit code. *output* is where it prints to,
    as subprocess has it."""
    with tempfile.TemporaryDirectory() as folder:  # only this user can open it
        overrides = Path(folder) / "parameters.yaml"
        overrides.write_text(json.dumps(values))  # JSON is YAML
        command = [str(Path(sys.executable).with_name("sam")), "deploy", *options, OVERRIDES, f"file://{overrides}"]
        return subprocess.run(command, cwd=project, stdout=output, check=False).returncode  # noqa: S603  (a list, no shell)
