"""Isolates the tests from AWS and starts the local cloud for the tests that need it.

Fixtures, each made once per session: ``emulator`` (MiniStack alone, 1 s), ``clients`` (boto3 for it), and ``cloud`` (the
stack deployed by ``sam deploy``, 10 s and more). EMAIL_HANDLER_ENDPOINT names another LocalStack-compatible endpoint:
``clients`` and ``cloud`` are then of that one. ``emulator`` is MiniStack in any case.

``pytest -n auto`` shares the tests among processes. Files that use ``cloud`` go first, since they take longest, and to
two processes with a stack each: one for those of the operator's command, one for all others. Unit tests, which share
nothing, are shared one by one, so that no process has a long file left when the others have ended.
"""

import os
import re
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer.testing
from hypothesis import HealthCheck, settings
from pytest_socket import socket_allow_hosts
from xdist.scheduler import LoadFileScheduling

from cloud.clients import Clients
from cloud.cloud import LocalCloud
from cloud.emulator import Emulator
from tests.permissions import recording

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

recording.start()

# Background processes of a shell ignore SIGINT, and would pass that on to the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Typer's CliRunner builds the whole command again for each run, which takes 0.1 s.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes ``-n auto`` starts: two more than processors, since the two with a stack often wait.

    More than six would have nothing to do while these work.
    """
    return min(6, (os.cpu_count() or 1) + 2)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests among pytest-xdist's processes by :func:`_unit`."""
    sharing = LoadFileScheduling(config, log)
    sharing._split_scope = _unit
    return sharing


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let pytest-xdist's processes begin with what takes longest. Without them the order is that of the folders."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: (not _on_the_stack(_file(item.nodeid)), item.get_closest_marker("cloud") is None))


def _unit(test: str) -> str:
    """Return the name of what one process runs as a whole: a stack's tests, a file's, or one unit test's cases."""
    file = _file(test)
    if _on_the_stack(file):
        return "the operator's stack" if file.startswith("tests/cli/") else "the stack"
    return test.partition("[")[0] if file.startswith("tests/unit/") else file


def _file(test: str) -> str:
    return test.partition("::")[0]


@cache
def _on_the_stack(file: str) -> bool:
    """Return whether *file* names the type of the fixture ``cloud``. Types are checked, so all its users do."""
    return re.search(r"\bLocalCloud\b", (PROJECT / file).read_text()) is not None


@pytest.fixture(autouse=True)
def this_machine_only() -> None:
    """Allow connections only to this machine and to the configured endpoint."""
    hosts = ["127.0.0.1", "localhost", urlsplit(ENDPOINT).hostname or "localhost"]
    socket_allow_hosts(hosts, allow_unix_socket=True)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep search indexes apart from the developer's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Start MiniStack with nothing deployed. Marker: cloud."""
    with Emulator(PROJECT, log=tmp_path_factory.mktemp("emulator") / "ministack.log") as running:
        yield running


@pytest.fixture(scope="session")
def clients(request: pytest.FixtureRequest) -> Clients:
    """Return boto3 clients for EMAIL_HANDLER_ENDPOINT, else for ``emulator``, for contract tests of adapters.

    ``clients.s3``, ``.dynamodb``, ``.sqs``, ``.ssm``, ``.events`` and so on. Marker: cloud.
    """
    return Clients(ENDPOINT or request.getfixturevalue("emulator").endpoint)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """Deploy the stack to a local cloud: ``cloud.send`` hands a message in, ``cloud.sent()`` lists the sent messages.

    All tests share it, so each uses addresses of its own. Marker: cloud.
    """
    folder = tmp_path_factory.mktemp("cloud")
    with LocalCloud.start(PROJECT, folder=folder, smtp_port=0, endpoint=ENDPOINT) as running:
        recording.record(running)
        yield running
