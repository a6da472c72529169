"""MiniStack as an embedded AWS: starts on a local port, and ends with this process."""

import http.client
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from cloud import REGION, ministack_process
from cloud.errors import LocalCloudError
from cloud.guarded import Guarded, new_scratch

_READY_LIMIT = 60.0  # seconds; 1.5 is usual
_RESPONSE_LIMIT = 60.0  # seconds; a busy machine may leave MiniStack without a turn for many of them
_CLEAN_STOP = 10.0  # seconds that saving the state may take


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, option: str, host: str = "127.0.0.1") -> None:
    """Raise LocalCloudError, naming *option*, if *port* is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise LocalCloudError(
                f"port {port} is in use: stop the program that uses it or choose another port with {option}"
            ) from error


def wait_until[T](condition: Callable[[], T], limit: float, what: str, pause: float = 0.05) -> T:
    """Return *condition*'s first true value. Raise TimeoutError naming *what* after *limit* seconds."""
    deadline = time.monotonic() + limit
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {limit:g} s")
        time.sleep(pause)
    return found


class Emulator(Guarded):
    """A running MiniStack. It ends with :meth:`close`, the ``with`` block or this process, and leaves nothing behind."""

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
        """Start MiniStack and return when it responds.

        *port* 0 takes any free port. *bind* is the interface (127.0.0.1 is out of reach for containers).
        *ses_endpoint* is where functions find SES v2. *state* is a folder that keeps everything between runs.
        Raise LocalCloudError if an environment is missing, the port is in use, or MiniStack does not start.
        """
        interpreter = _interpreter(project, ".venv-cloud")
        functions_interpreter = _interpreter(project, ".venv-runtime")
        if port:
            require_free(port, "--endpoint-port", bind)
        port = port or free_port(bind)
        self.endpoint = f"http://127.0.0.1:{port}"
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        scratch = new_scratch()
        environment = {
            # Functions inherit all of this, so it has nothing of the developer's own environment.
            "PATH": os.defpath,
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "LANG": "C.UTF-8",
            "GATEWAY_PORT": str(port),
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
            super().__init__(
                [interpreter, ministack_process.__file__, functions_interpreter],
                environment=environment,
                output=output,
                grace=_CLEAN_STOP if state else 0,
                scratch=scratch,
            )
        try:
            wait_until(self._ready, _READY_LIMIT, "MiniStack's start")
        except TimeoutError as error:
            self.close()
            raise LocalCloudError(f"MiniStack did not respond within {_READY_LIMIT:.0f} s: see {log}") from error

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            last = self.log.read_text(errors="replace").splitlines()[-1:]
            raise LocalCloudError(f"MiniStack ended while it started ({' '.join(last)}): see {self.log}")
        try:
            return _get(self.endpoint, "/_ministack/ready")[0] == http.HTTPStatus.OK
        except OSError:
            return False


def _interpreter(project: Path, environment: str) -> Path:
    """Return the Python of one of the environments that ``make setup`` makes. Raise LocalCloudError if it is missing."""
    python = project / environment / "bin/python"
    if not python.exists():
        raise LocalCloudError(f"{environment} is missing: run `make setup` first")
    if not (project / environment / "lib/python3.12").exists():
        raise LocalCloudError(f"{environment} is not an environment of Python 3.12: run `make setup`")
    return python


def in_flight(endpoint: str) -> int:
    """Return how many invocations run or wait for a retry; 0 if *endpoint* is not our MiniStack."""
    status, body = _get(endpoint, ministack_process.IN_FLIGHT_PATH)
    return int(json.loads(body)["in_flight"]) if status == http.HTTPStatus.OK else 0


def _get(endpoint: str, path: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=_RESPONSE_LIMIT)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
