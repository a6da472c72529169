"""For tests of the operator's command against the deployed stack: running it, and messages that are held."""

import json
import os
from itertools import count
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner, Result

from cli.main import app
from cloud.cloud import LocalCloud
from cloud.ses import Sent
from tests.permissions import recording
from tests.support.builders import mail

PUBLIC = "contact@example.com"
OWNER = "owner@private.example"
OFFER = (
    "Hi there, we are a leading SEO company and offer guaranteed first page ranking, 500 high DA backlinks, guest posts "
    "on premium sites, website redesign and mobile app development at affordable prices. 100% risk free, act now!\r\n"
)
_numbers = count(1)


def run(cloud: LocalCloud, *arguments: str, columns: int = 200) -> Result:
    """Run the command against *cloud*."""
    environment = {"COLUMNS": str(columns), "RECORDED_CALLER": recording.command(arguments)}
    return CliRunner().invoke(app, [*arguments, "--endpoint", cloud.endpoint], env=environment)


def lines(cloud: LocalCloud, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """Run the command with --json and return its lines."""
    ran = run(cloud, *arguments, "--json")

    assert ran.exit_code == code, f"{ran.output}{ran.exception}"
    return [json.loads(line) for line in ran.stdout.splitlines()]


def person() -> str:
    """Return an address that no other test uses."""
    return f"person-{next(_numbers)}@operated.example"


def arrive(cloud: LocalCloud, sender: str, *, to: str = PUBLIC, **fields: Any) -> str:
    """Let a message from *sender* be processed and return its receipt. While a command runs, this is none of its calls."""
    number = next(_numbers)
    given = {"sender": sender, "to": to, "message_id": f"<{number}@operated.example>", "subject": f"Question {number}"}
    with patch.dict(os.environ):
        os.environ.pop("RECORDED_CALLER", None)
        receipt = cloud.send(mail(**(given | fields)), sender, [to])
        cloud.settle()
    return receipt


def held(cloud: LocalCloud, sender: str, **fields: Any) -> str:
    """Let an unwanted offer arrive, which is held; return its receipt."""
    return arrive(cloud, sender, **({"subject": "First page ranking guaranteed!!", "text": OFFER} | fields))


def sent_since(cloud: LocalCloud, before: int) -> list[Sent]:
    """Return the messages sent after the first *before*."""
    cloud.settle()
    return cloud.sent()[before:]
