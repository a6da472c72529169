"""MiniStack as embedded AWS: started on a port of ours, ready when it says so, gone when we are."""

import http.client
import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from cloud import ministack_process
from cloud.clients import REGION
from cloud.errors import LocalCloudError
from cloud.guarded import Guarded, new_scratch

_READY_LIMIT = 60.0  # seconds; 1.5 is usual
_CLEAN_STOP = 10.0  # seconds that saving the state may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Environments:
    """The two environments beside the developer's own (``make setup`` makes all three)."""

    cloud: Path  # interpreter with MiniStack
    runtime: Path  # interpreter with boto3 alone, as Lambda has it

    @classmethod
    def of(cls, project: Path) -> Self:
        """Find them below *project*. Raises LocalCloudError where one is missing."""
        found = cls(cloud=project / ".venv-cloud/bin/python", runtime=project / ".venv-runtime/bin/python")
        for interpreter in (found.cloud, found.runtime):
            if not interpreter.exists():
                raise LocalCloudError(f"{interpreter.parent.parent.name} is missing: run `make setup` first")
            # A virtual environment whose interpreter was removed has a dangling link, which exists() reports above.
            if not list(interpreter.parent.parent.glob("lib/python3.12")):
                raise LocalCloudError(f"{interpreter.parent.parent.name} is not of Python 3.12: run `make setup`")
        return found


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, option: str, host: str = "127.0.0.1") -> None:
    """Raise LocalCloudError, naming *option*, where *port* is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise LocalCloudError(
                f"port {port} is in use: stop what listens there or choose another with {option}"
            ) from error


def wait_until(condition: Callable[[], object], limit: float, what: str, pause: float = 0.05) -> None:
    """Return as soon as *condition* is true. Raises TimeoutError naming *what* after *limit* seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {limit:g} s")
        time.sleep(pause)


class Emulator:
    """A running MiniStack. Close it, or leave the ``with`` block, or die: nothing of it stays."""

    def __init__(
        self,
        project: Path,
        *,
        log: Path,
        port: int = 0,
        bind: str = "127.0.0.1",
        ses_endpoint: str = "",
        state: Path | None = None,
    ) -> None:
        """Start MiniStack and return when it answers.

        *port* 0 takes a free one. *bind* is the interface (containers reach us only on a wider one than 127.0.0.1).
        *ses_endpoint* is where functions find SES v2. *state* is a folder that keeps everything between runs.
        Raises LocalCloudError where an environment is missing, the port is taken, or MiniStack does not come up.
        """
        environments = Environments.of(project)
        if port:
            require_free(port, "--endpoint-port", bind)
        self.port = port or free_port(bind)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        scratch = new_scratch()
        environment = {
            # Functions inherit all of this, so nothing of the developer's own environment is in it.
            "PATH": os.defpath,
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "LANG": "C.UTF-8",
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": bind,
            "MINISTACK_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
        if ses_endpoint:
            environment["AWS_ENDPOINT_URL_SESV2"] = ses_endpoint
        if state:
            environment |= {"PERSIST_STATE": "1", "STATE_DIR": str(state / "services")}
            environment |= {"S3_PERSIST": "1", "S3_DATA_DIR": str(state / "s3")}
        with log.open("ab") as output:
            self._guarded = Guarded(
                [environments.cloud, ministack_process.__file__, environments.runtime],
                environment=environment,
                output=output,
                grace=_CLEAN_STOP if state else 0,
                scratch=scratch,
            )
        try:
            wait_until(self._ready, _READY_LIMIT, "MiniStack's answer")
        except TimeoutError as error:
            self.close()
            raise LocalCloudError(f"MiniStack did not answer within {_READY_LIMIT:.0f} s: see {log}") from error

    @property
    def pid(self) -> int:
        """The watchdog's process id: SIGTERM to it ends the emulator and its functions."""
        return self._guarded.process.pid

    def _ready(self) -> bool:
        if self._guarded.process.poll() is not None:
            last = self.log.read_text(errors="replace").splitlines()[-1:]
            raise LocalCloudError(f"MiniStack ended while it started ({' '.join(last)}): see {self.log}")
        try:
            return _get(self.endpoint, "/_ministack/ready")[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def close(self) -> None:
        """End MiniStack and every function it runs."""
        self._guarded.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def in_flight(endpoint: str) -> int:
    """Return how many invocations run or wait for a retry; 0 from an endpoint that isn't our MiniStack."""
    status, body = _get(endpoint, ministack_process.IN_FLIGHT_PATH)
    if status != http.HTTPStatus.OK:
        return 0
    count: int = json.loads(body)["in_flight"]
    return count


def _get(endpoint: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
