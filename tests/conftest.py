"""Seals the environment and starts the local cloud for those who ask.

Fixtures, each made once a session: ``emulator`` (MiniStack alone, 1 s), ``clients`` (boto3 for it), and ``cloud`` (the
stack deployed by ``sam deploy``, 10 s and more). EMAIL_HANDLER_ENDPOINT names another LocalStack-compatible endpoint to
deploy to: the same tests then run there.

``pytest -n 2`` shares the tests among processes. All tests of ``cloud`` go to one of them, since they share its stack;
every other file goes to whichever process is free, as one piece, so that fixtures of a module are made once.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pytest_socket import socket_allow_hosts

from cloud.clients import Clients
from cloud.cloud import LocalCloud
from cloud.emulator import Emulator

PROJECT = Path(__file__).parent.parent

ENDPOINT = os.environ.get("EMAIL_HANDLER_ENDPOINT", "")

# Whatever the developer's shell says of AWS must not reach a test; these mean nothing to AWS itself.
for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

# A shell lets what it starts in the background ignore SIGINT, and so would the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in this hook, too
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Group the tests for pytest-xdist, the longest groups first. Without pytest-xdist's processes, change nothing."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        name = "cloud" if _on_the_stack(item) else item.path.relative_to(PROJECT).as_posix()
        item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=lambda item: (not _on_the_stack(item), item.get_closest_marker("cloud") is None))


def _on_the_stack(item: pytest.Item) -> bool:
    return "cloud" in getattr(item, "fixturenames", ())


@pytest.fixture(autouse=True)
def this_machine_only() -> None:
    """Let no test reach further than this machine, or the endpoint it was told to use."""
    hosts = ["127.0.0.1", "localhost", urlsplit(ENDPOINT).hostname or "localhost"]
    socket_allow_hosts(hosts, allow_unix_socket=True)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """MiniStack with nothing deployed, for contract tests of adapters. Marker: cloud."""
    with Emulator(PROJECT, log=tmp_path_factory.mktemp("emulator") / "ministack.log") as running:
        yield running


@pytest.fixture(scope="session")
def clients(emulator: Emulator) -> Clients:
    """Make boto3 clients for ``emulator``: ``clients.s3``, ``.dynamodb``, ``.sqs``, ``.ssm``, ``.events`` and so on."""
    return Clients(emulator.endpoint)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """Deploy the project's stack to a local cloud of the tests' own: mail in by ``cloud.send``, out in ``cloud.sent()``.

    Tests share it, so each writes as people of its own. Marker: cloud.
    """
    folder = tmp_path_factory.mktemp("cloud")
    with LocalCloud.start(PROJECT, folder=folder, smtp_port=0, endpoint=ENDPOINT) as running:
        yield running
