"""Runs one function on one sample of ``events/``: ``python -m cloud.invoke inbound first_contact``.

The mail that the envelope names is put into the archive first, as SES would have stored it. It uses the local cloud
that runs for this project, or one of its own for as long as it takes.
"""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cloud import PROJECT, receipt
from cloud.cloud import LocalCloud, running
from cloud.errors import LocalCloudError
from cloud.receipt import Accepted, Verdicts

_err = Console(stderr=True)


def invoke(
    function: Annotated[str, typer.Argument(help="Folder of the function, such as inbound.")],
    case: Annotated[str, typer.Argument(help="Sample in events/FUNCTION/, such as first_contact.")],
) -> None:
    """Run FUNCTION on events/FUNCTION/CASE.json against the local cloud; print what it returned, its log on stderr."""
    event = read_event(PROJECT / "events", function, case)
    with _cloud() as cloud:
        for name in mails_named(event, PROJECT / "events/mail"):
            put_mail(cloud, name, event)
        run = cloud.invoke(logical_id(function), event)
        _err.print(run.log.strip(), style="dim", markup=False, highlight=False, soft_wrap=True)
        typer.echo(json.dumps(run.payload, indent=2))
    if run.failed:
        raise typer.Exit(1)


def read_event(events: Path, function: str, case: str) -> Any:
    """Return a sample. Raises LocalCloudError that lists what there is."""
    path = events / function / f"{case}.json"
    if not path.exists():
        folder = path.parent if path.parent.is_dir() else events
        there = sorted(
            found.stem for found in folder.iterdir() if found.suffix == ".json" or (folder == events and found.is_dir())
        )
        raise LocalCloudError(f"there is no {path.relative_to(events.parent)}; {folder.name} has {', '.join(there)}")
    return json.loads(path.read_text())


def logical_id(function: str) -> str:
    """Return the template's name of a function folder: ack_sender is AckSenderFunction."""
    return "".join(word.title() for word in function.split("_")) + "Function"


def mails_named(event: Any, mails: Path) -> set[str]:
    """Return the names (without .eml) of the sample mails that *event* names, as messageId or archive key."""
    text = json.dumps(event)
    named = set(re.findall(r'raw/(?:inbound|reply)/([\w-]+)|"messageId": "([\w-]+)"', text))
    return {name for pair in named for name in pair if name and (mails / f"{name}.eml").exists()}


def put_mail(cloud: LocalCloud, name: str, event: Any) -> None:
    """Store the sample mail *name* below both prefixes, under SES's header fields with the verdicts that *event* tells."""
    raw, verdicts = receipt.take_verdicts((cloud.project / f"events/mail/{name}.eml").read_bytes(), "sender")
    ses = next((record["ses"] for record in event.get("Records", []) if "receipt" in record.get("ses", {})), None)
    if ses:
        told = ses["receipt"]
        kinds = ("spam", "virus", "spf", "dkim", "dmarc")
        stated = {kind: told[f"{kind}Verdict"]["status"] for kind in kinds if f"{kind}Verdict" in told}
        verdicts = Verdicts(**stated, policy=told.get("dmarcPolicy", ""))
    mail = Accepted(
        message_id=name,
        at=datetime.now(UTC),
        helo="mail.example.net",
        sender=ses["mail"].get("source", "") if ses else "",
        recipients=tuple(ses["receipt"].get("recipients", [])) if ses else (),
        raw=raw,
        verdicts=verdicts,
    )
    for rule in cloud.deployment.rules:
        cloud.clients.s3.put_object(Bucket=rule.bucket, Key=rule.prefix + name, Body=receipt.stored(mail))


@contextmanager
def _cloud() -> Iterator[LocalCloud]:
    if running(PROJECT):
        yield LocalCloud.attached(PROJECT)
        return
    _err.print("No local cloud is running (email-handler local up): starting one for this run.", style="dim")
    with LocalCloud.start(PROJECT, folder=PROJECT / ".local/invoke", smtp_port=0) as cloud:
        yield cloud
        cloud.settle()


def main() -> None:
    """Run the command; what the user can mend is one line."""
    try:
        typer.run(invoke)
    except LocalCloudError as error:
        _err.print(str(error), style="red", markup=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
