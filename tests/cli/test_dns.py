"""What DNS says, asked over UDP at a name server on this machine."""

import socket

import pytest

from operations.dns import Dns
from operations.errors import CommandError
from tests.support.name_server import serving

RECORDS = {
    ("example.com", "MX"): ["20 mx2.example.net.", "10 mx.example.net."],
    ("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=none"'],
}


def test_a_name_servers_answers_are_values_as_in_a_zone_file() -> None:
    with serving(RECORDS) as server:
        dns = Dns(server)

        assert dns.values("example.com", "MX") == ["10 mx.example.net.", "20 mx2.example.net."]
        assert dns.values("_dmarc.example.com", "TXT") == ['"v=DMARC1; p=none"']
        assert dns.values("example.com", "TXT") == [], "the name exists, but not this record"
        assert dns.values("nowhere.example", "MX") == [], "there is no such name"


def test_a_silent_name_server_is_asked_once_and_is_no_empty_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.dns.SECONDS", 0.1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        dns = Dns(f"127.0.0.1:{silent.getsockname()[1]}")

        assert dns.values("example.com", "MX") is None
        silent.setblocking(False)
        while True:
            try:
                silent.recvfrom(4096)
            except BlockingIOError:
                break
        assert dns.values("example.com", "TXT") is None
        with pytest.raises(BlockingIOError):
            silent.recvfrom(4096)


@pytest.mark.parametrize("server", ["localhost", "192.0.2.1:dns", "x:53"])
def test_a_name_server_is_given_by_its_address(server: str) -> None:
    with pytest.raises(CommandError, match="give an IP address"):
        Dns(server)
