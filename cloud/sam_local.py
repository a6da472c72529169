"""What ``sam local`` needs to run functions in AWS's runtime image against the local cloud: files that samconfig.toml names.

SAM does not know the physical names of the stack's resources, nor where the local cloud is. The files are there as long
as a local cloud runs that containers reach (``email-handler local up --for-sam``); their names are in SAM's error if not.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from cloud import ARCHITECTURE, PROJECT
from cloud.deploy import Deployment

ENVIRONMENT = PROJECT / ".local/run-email-handler-local-up--for-sam.json"
"""Environment variables by function."""

PARAMETERS = PROJECT / ".local/run-email-handler-local-up--for-sam.yaml"
"""The template's parameters."""

_HOST = "host.docker.internal"  # this machine as containers see it; samconfig.toml adds the name on Linux


@contextmanager
def described(deployment: Deployment, ses_endpoint: str) -> Iterator[None]:
    """Keep the files for *deployment* while the context lasts."""
    files = {
        ENVIRONMENT: variables(deployment, ses_endpoint),
        PARAMETERS: {**deployment.parameters, "Architecture": ARCHITECTURE},
    }
    try:
        for path, content in files.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(content, indent=2))  # JSON is YAML
        yield
    finally:
        for path in files:
            path.unlink(missing_ok=True)


def variables(deployment: Deployment, ses_endpoint: str) -> dict[str, dict[str, str]]:
    """Return, by logical id, each function's environment variables that SAM cannot resolve.

    AWS is the local cloud's SES endpoint, which keeps what is sent and forwards every other call.
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
