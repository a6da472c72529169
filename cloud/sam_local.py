"""Runs one function in AWS's own runtime image against the running local cloud, by ``sam local invoke``.

``python -m cloud.sam_local inbound first_contact``. SAM knows parameters, but not what the stack's resources are called;
this writes their names for it to ``.local/sam-local.json``, where samconfig.toml looks. It wants Docker and a cloud that
containers reach: ``email-handler local up --bind 0.0.0.0``.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cloud import PROJECT
from cloud.cloud import LocalCloud
from cloud.deploy import ARCHITECTURE, Deployment
from cloud.errors import LocalCloudError
from cloud.invoke import logical_id, mails_named, put_mail, read_event

VARIABLES = PROJECT / ".local/sam-local.json"
_HOST = "host.docker.internal"  # this machine as a container sees it; samconfig.toml adds the name on Linux


def variables(deployment: Deployment, ses_endpoint: str) -> dict[str, dict[str, str]]:
    """Return each function's variables as SAM cannot work them out, by logical id.

    AWS is the local cloud's SES endpoint, which captures what is sent and hands every other call on.
    """
    endpoint = f"http://{_HOST}:{ses_endpoint.rpartition(':')[2]}"
    shared = deployment.template["Globals"]["Function"]["Environment"]["Variables"]
    found: dict[str, dict[str, str]] = {}
    for name, resource in deployment.template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            own = resource["Properties"].get("Environment", {}).get("Variables", {})
            named = {key: value["Ref"] for key, value in {**shared, **own}.items() if "Ref" in value}
            found[name] = {key: deployment.resources[ref] for key, ref in named.items() if ref in deployment.resources}
            found[name]["AWS_ENDPOINT_URL"] = endpoint
    return found


def invoke(
    function: Annotated[str, typer.Argument(help="Folder of the function, such as inbound.")],
    case: Annotated[str, typer.Argument(help="Sample in events/FUNCTION/, such as first_contact.")],
) -> None:
    """Run FUNCTION on events/FUNCTION/CASE.json in a container; print what it returned, its log on stderr."""
    event = read_event(PROJECT / "events", function, case)
    cloud = LocalCloud.attached(PROJECT)
    _require_docker()
    VARIABLES.write_text(json.dumps(variables(cloud.deployment, cloud.address.ses_endpoint), indent=2))
    for name in mails_named(event, PROJECT / "events/mail"):
        put_mail(cloud, name, event)
    given = {**cloud.deployment.parameters, "Architecture": ARCHITECTURE}
    command: list[str | Path] = [Path(sys.executable).with_name("sam"), "local", "invoke", logical_id(function)]
    command += ["--event", f"events/{function}/{case}.json", "--parameter-overrides"]
    command += [f'{name}="{value}"' for name, value in given.items()]
    raise typer.Exit(subprocess.run(command, cwd=PROJECT, check=False).returncode)


def _require_docker() -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        raise LocalCloudError("Docker does not answer: start it, or use `make invoke`, which needs none")


def main() -> None:
    """Run the command; what the user can mend is one line."""
    try:
        typer.run(invoke)
    except LocalCloudError as error:
        Console(stderr=True).print(str(error), style="red", markup=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
