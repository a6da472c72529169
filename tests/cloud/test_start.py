"""What the local cloud checks before it starts anything."""

import socket
from pathlib import Path

import pytest

from cloud.cloud import LocalCloud
from cloud.errors import LocalCloudError


@pytest.mark.parametrize(("port", "option"), [("smtp_port", "--smtp-port"), ("endpoint_port", "--endpoint-port")])
def test_a_port_in_use_is_reported_before_anything_is_started_or_deleted(
    tmp_path: Path, port: str, option: str
) -> None:
    mail = tmp_path / "outbox" / "0001.eml"
    mail.parent.mkdir()
    mail.touch()
    steps: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"smtp_port": 0, "endpoint_port": 0, port: taken.getsockname()[1]}

        with (
            pytest.raises(LocalCloudError, match=f"port {ports[port]} is in use: .* {option}"),
            LocalCloud.start(tmp_path / "no project", folder=tmp_path, progress=steps.append, **ports),
        ):
            pass

    assert steps == []
    assert mail.exists()
