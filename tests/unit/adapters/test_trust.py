"""Clients that share the authorities they trust, against a server with a certificate that the test issues."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import botocore.httpsession
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import SSLError

from email_handler.adapters.trust import share_authorities
from tests.support.tls import context, issue


class Queue(BaseHTTPRequestHandler):
    """Responds to any call of SQS, and closes the connection."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Server:
    url: str
    authority: Path  # whom one must trust to trust the server


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Yield a server, to which clients connect that share their authorities."""
    for changed in ("SSLContext", "create_urllib3_context"):
        monkeypatch.setattr(botocore.httpsession, changed, getattr(botocore.httpsession, changed))
    share_authorities()
    certificate, key = issue(tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), Queue) as listening:
        listening.socket = context(certificate, key).wrap_socket(listening.socket, server_side=True)
        Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield Server(f"https://127.0.0.1:{listening.server_port}", certificate)
        listening.shutdown()


def call(server: Server, authorities: Path | None) -> None:
    """Make one call to *server* with a new client that trusts *authorities*, or those that botocore brings."""
    session: Any = botocore.session.get_session()
    session.set_credentials("test", "test")
    client = session.create_client(
        "sqs",
        region_name="us-east-1",
        endpoint_url=server.url,
        verify=str(authorities) if authorities else None,
        config=Config(retries={"total_max_attempts": 1}),
    )
    with closing(client):
        client.list_queues()


def test_authorities_are_read_once_for_all_clients(server: Server) -> None:
    call(server, server.authority)
    server.authority.unlink()

    call(server, server.authority)


def test_a_server_whose_authority_nobody_trusts_is_refused(server: Server) -> None:
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        call(server, None)


def test_a_server_with_another_name_is_refused(server: Server) -> None:
    elsewhere = Server(server.url.replace("127.0.0.1", "localhost"), server.authority)

    with pytest.raises(SSLError, match="doesn't match"):
        call(elsewhere, elsewhere.authority)
