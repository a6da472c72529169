"""Which requests the local endpoints serve, and where they listen."""

import contextlib
import http.client
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cloud.clients import Clients
from cloud.emulator import Emulator, free_port
from cloud.http_server import Exchange, HttpServer
from cloud.loopback import is_loopback, refusal
from cloud.smtp import SmtpServer
from cloud.template import ReceiptRule

BROWSERS = [
    {"Origin": "https://page.example"},
    {"Origin": "null"},
    {"origin": "http://127.0.0.1:4566"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
]
STRANGERS = [
    "page.example",
    "page.example:4566",
    "127.0.0.1.page.example",
    "localhost.page.example",
    "notlocalhost",
    "127.0.0.1@page.example",
    "192.0.2.1",
    "0.0.0.0:4566",
    "[2001:db8::1]:4566",
    "",
]
OURS = ["127.0.0.1", "127.0.0.1:4566", "LOCALHOST:4566", "bucket.s3.localhost:4566", "[::1]:4566", "127.8.9.10"]


def test_a_request_of_a_web_page_is_refused(subtests: pytest.Subtests) -> None:
    for fields in BROWSERS:
        with subtests.test(str(fields)):
            assert "web page" in refusal([("Host", "127.0.0.1:4566"), *fields.items()], containers=True)


def test_a_request_for_another_host_is_refused(subtests: pytest.Subtests) -> None:
    for host in [*STRANGERS, "host.docker.internal"]:
        with subtests.test(host):
            assert "Host" in refusal([("Host", host)], containers=False)
    assert refusal([], containers=False)
    assert refusal([("Host", "127.0.0.1"), ("Host", "page.example")], containers=False)


def test_programs_on_this_machine_are_served(subtests: pytest.Subtests) -> None:
    for host in OURS:
        with subtests.test(host):
            assert refusal([("host", host), ("authorization", "AWS4-HMAC-SHA256 …")], containers=False) == ""


def test_containers_are_served_only_if_they_can_reach_the_endpoint() -> None:
    assert refusal([("Host", "host.docker.internal:4566")], containers=True) == ""
    assert refusal([("Host", "host.docker.internal.page.example")], containers=True)
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")


def ask(url: str, path: str, *, method: str = "GET", **fields: str) -> int:
    """Return the status of a request with exactly these header *fields*."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": urlsplit(url).netloc, **fields}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        return connection.getresponse().status


class Echo(HttpServer):
    def serve(self, exchange: Exchange) -> None:
        exchange.respond(200, (), b"served")


@pytest.fixture
def server() -> Iterator[Echo]:
    with Echo() as running:
        yield running


def test_the_endpoints_of_this_process_refuse_web_pages_and_other_hosts(server: Echo) -> None:
    assert ask(server.url, "/") == 200
    assert ask(server.url, "/", method="POST", Origin="https://page.example") == 403
    assert ask(server.url, "/", method="OPTIONS", Origin="https://page.example") == 403
    assert ask(server.url, "/", Host="page.example") == 403


def test_a_request_of_a_web_page_to_the_smtp_port_hands_nothing_in() -> None:
    """A page can post any body there. The header that the browser puts before it is too much nonsense."""
    header = b"".join(
        b"%s: x\r\n" % name for name in (b"Host", b"Connection", b"User-Agent", b"Accept", b"Origin", b"Content-Length")
    )
    mail = b"EHLO x\r\nMAIL FROM:<a@page.example>\r\nRCPT TO:<contact@example.com>\r\nDATA\r\n"
    rule = ReceiptRule(name="all", recipients=("example.com",), bucket="b", prefix="p", function="f")
    with (
        SmtpServer([rule], Clients("http://127.0.0.1:1"), port=free_port()) as door,
        socket.create_connection(("127.0.0.1", door.port), timeout=10) as page,
    ):
        page.sendall(b"POST / HTTP/1.1\r\n" + header + b"\r\n" + mail)
        replies = b""
        with contextlib.suppress(ConnectionResetError):
            while more := page.recv(4096):
                replies += more

    assert replies.startswith(b"220 ")
    assert {reply[:3] for reply in replies.splitlines()[1:]} <= {b"500", b"502"}


@pytest.mark.cloud
def test_the_emulator_refuses_web_pages_and_other_hosts(emulator: Emulator) -> None:
    for path in ("/_ministack/ready", "/?Action=ListQueues", "/_local/in-flight", "/2015-03-31/functions"):
        assert ask(emulator.endpoint, path) == 200, path
        assert ask(emulator.endpoint, path, Origin="https://page.example") == 403, path
        assert ask(emulator.endpoint, path, Sec_Fetch_Site="cross-site") == 403, path
        assert ask(emulator.endpoint, path, Host="page.example") == 403, path
    assert ask(emulator.endpoint, "/", method="OPTIONS", Origin="null", Access_Control_Request_Method="PUT") == 403
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    web_socket = {**upgrade, "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Origin": "https://page.example"}
    assert ask(emulator.endpoint, "/", **web_socket) == 403


@pytest.mark.cloud
def test_the_emulator_listens_on_loopback_alone(emulator: Emulator) -> None:
    addresses = listening_addresses(emulator.process.pid)

    assert addresses
    assert addresses <= {"0100007F", "00000000000000000000000001000000"}  # 127.0.0.1 and ::1 as /proc/net writes them


def listening_addresses(ancestor: int) -> set[str]:
    """Return the local addresses, in /proc's hexadecimal, on which *ancestor* and its descendants listen."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = {ancestor}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    inodes = set()
    for process_id in family:
        for descriptor in Path(f"/proc/{process_id}/fd").glob("*"):
            try:
                if stat.S_ISSOCK(descriptor.stat().st_mode):
                    inodes.add(descriptor.readlink().name[len("socket:[") : -1])
            except OSError:
                continue
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {line[1].partition(":")[0] for line in lines if line[3] == "0A" and line[9] in inodes}
