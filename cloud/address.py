"""Where a running local cloud is, for those who use it: without its servers, which are slow to import."""

import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a running local cloud is: the content of ``.local/cloud.json``."""

    pid: int  # of the process that runs it
    endpoint: str  # AWS
    ses_endpoint: str  # AWS, but sent messages go to the outbox
    smtp_port: int
    outbox: str
    log: str
    stack: str
    parameters: dict[str, str]


def running(project: Path, folder: Path | None = None) -> Address | None:
    """Return where the local cloud of *project* runs, None if it does not."""
    try:
        address = Address(**json.loads(((folder or project / ".local") / "cloud.json").read_text()))
        os.kill(address.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return address
