"""Runs the tests marked ``cloud`` against LocalStack in Docker: ``python -m tests.support.localstack [PYTEST ARGUMENTS]``.

pytest-localstack starts the container. Nothing is downloaded: if something is missing, one line reports it,
and the exit code is 2.
"""

import os
import subprocess
import sys
from typing import Any

import docker  # type: ignore[import-untyped]  # without types
from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]  # likewise
from pytest_localstack.constants import DEFAULT_LOCALSTACK_VERSION
from pytest_localstack.session import LocalstackSession

IMAGE = f"{LocalstackSession.image_name}:{DEFAULT_LOCALSTACK_VERSION}"
_SERVICES = [
    "cloudformation",
    "cloudwatch",
    "dynamodb",
    "events",
    "iam",
    "lambda",
    "logs",
    "s3",
    "ses",
    "sns",
    "sqs",
    "ssm",
]
_SOCKET = "/var/run/docker.sock"  # LocalStack runs functions in containers beside its own


class _Containers:
    """Docker's containers, run with the socket mounted: pytest-localstack has no option for that."""

    def __init__(self, containers: Any) -> None:
        self._containers = containers

    def run(self, *arguments: Any, **options: Any) -> Any:
        return self._containers.run(*arguments, volumes=[f"{_SOCKET}:{_SOCKET}"], **options)


class _Docker:
    """As much of a Docker client as pytest-localstack uses."""

    def __init__(self, client: docker.DockerClient) -> None:
        self.containers = _Containers(client.containers)
        self.images = client.images


def missing() -> str:
    """Return in one line what this machine lacks for LocalStack; "" if nothing is missing."""
    try:
        client = docker.from_env()
        client.images.get(IMAGE)
    except ImageNotFound:
        return f"the image {IMAGE} is missing (the last one that needs no token): docker pull {IMAGE}"
    except DockerException:
        return "Docker does not respond: start it. `make test` runs the same tests on MiniStack, without Docker"
    return ""


def main() -> int:
    """Run pytest against a LocalStack of its own. Return pytest's exit code, or 2 if something is missing."""
    lacking = missing()
    if lacking:
        sys.stderr.write(f"test-localstack: {lacking}.\n")
        return 2
    with LocalstackSession(_Docker(docker.from_env()), services=_SERVICES, pull_image=False) as localstack:
        environment = {**os.environ, "EMAIL_HANDLER_ENDPOINT": localstack.endpoint_url("s3")}
        tests = [sys.executable, "-m", "pytest", "-m", "cloud", *sys.argv[1:]]
        return subprocess.run(tests, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
