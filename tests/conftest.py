"""Isolates the tests from AWS and starts the local cloud for the tests that need it.

Fixtures, each made once per session: ``emulator`` (MiniStack alone, 1 s), ``clients`` (boto3 for it), and ``cloud`` (the
stack deployed by ``sam deploy``, 10 s and more). EMAIL_HANDLER_ENDPOINT names another LocalStack-compatible endpoint to
deploy to: the same tests then run there.

``pytest -n 2`` shares the tests among processes. All tests of ``cloud`` go to one of them, since they share its stack;
every other file goes as a whole to the next free process, so that fixtures of a module are made once.
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

# No AWS setting of the developer's shell may reach a test; AWS itself would not accept these values.
for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

# Background processes of a shell ignore SIGINT, and would pass that on to the processes that tests interrupt.
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
    """Allow connections only to this machine and to the configured endpoint."""
    hosts = ["127.0.0.1", "localhost", urlsplit(ENDPOINT).hostname or "localhost"]
    socket_allow_hosts(hosts, allow_unix_socket=True)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Start MiniStack with nothing deployed, for contract tests of adapters. Marker: cloud."""
    with Emulator(PROJECT, log=tmp_path_factory.mktemp("emulator") / "ministack.log") as running:
        yield running


@pytest.fixture(scope="session")
def clients(emulator: Emulator) -> Clients:
    """Return boto3 clients for ``emulator``: ``clients.s3``, ``.dynamodb``, ``.sqs``, ``.ssm``, ``.events`` and so on."""
    return Clients(emulator.endpoint)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """Deploy the stack to a local cloud: ``cloud.send`` hands a message in, ``cloud.sent()`` lists the sent messages.

    All tests share it, so each uses addresses of its own. Marker: cloud.
    """
    folder = tmp_path_factory.mktemp("cloud")
    with LocalCloud.start(PROJECT, folder=folder, smtp_port=0, endpoint=ENDPOINT) as running:
        yield running
