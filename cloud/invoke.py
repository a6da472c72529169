"""Runs one function on one sample of ``events/``: ``python -m cloud.invoke inbound first_contact``.

The message that the event names is stored in the archive first, as SES stores it, and what the sample assumes is brought
about. The run uses the local cloud of this project, or starts one for its duration. With ``--container`` the function runs
in AWS's own runtime image, by ``sam local invoke``. That needs Docker and a cloud that containers can reach:
``email-handler local up --for-sam``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cloud import PRIVATE, PROJECT, receipt
from cloud.address import running
from cloud.cloud import LocalCloud
from cloud.errors import LocalCloudError
from cloud.receipt import VERDICT_KINDS, Verdicts
from cloud.sam_local import ENVIRONMENT
from cloud.staging import earlier, stage

_err = Console(stderr=True)


def invoke(
    function: Annotated[str, typer.Argument(help="Folder of the function, such as inbound.")],
    case: Annotated[str, typer.Argument(help="Sample in events/FUNCTION/, such as first_contact.")],
    container: Annotated[
        bool, typer.Option("--container", help="Run it in AWS's runtime image; needs Docker.")
    ] = False,
) -> None:
    """Run FUNCTION on events/FUNCTION/CASE.json; print what it returns, and its log on stderr."""
    event = read_event(PROJECT / "events", function, case)
    with _cloud(start=not container) as cloud:
        prepare(cloud, function, case, event)
        if container:
            raise typer.Exit(_run_in_container(function, case))
        run = cloud.invoke(logical_id(function), event)
        _err.print(run.log.strip(), style="dim", markup=False, highlight=False, soft_wrap=True)
        typer.echo(json.dumps(run.payload, indent=2))
    if run.failed:
        raise typer.Exit(1)


def read_event(events: Path, function: str, case: str) -> Any:
    """Return a sample event. Raise LocalCloudError that lists the samples if there is no such sample."""
    path = events / function / f"{case}.json"
    if not path.exists():
        folder = path.parent if path.parent.is_dir() else events
        there = sorted(
            found.stem for found in folder.iterdir() if found.suffix == ".json" or (folder == events and found.is_dir())
        )
        raise LocalCloudError(f"there is no {path.relative_to(events.parent)}; {folder.name} has {', '.join(there)}")
    return json.loads(path.read_text())


def logical_id(function: str) -> str:
    """Return the template's name for a function folder: ack_sender is AckSenderFunction."""
    return "".join(word.title() for word in function.split("_")) + "Function"


def samples_named(event: Any, samples: Path) -> set[str]:
    """Return the names (without .eml) of the sample messages that *event* refers to, by messageId or archive key."""
    text = json.dumps(event)
    named = set(re.findall(r'raw/(?:inbound|reply)/([\w-]+)|"messageId": "([\w-]+)"', text))
    return {name for pair in named for name in pair if name and (samples / f"{name}.eml").exists()}


def prepare(cloud: LocalCloud, function: str, case: str, event: Any) -> None:
    """Store the messages that CASE of FUNCTION is about, and bring about what happened before (see staging)."""
    events = cloud.project / "events"
    before = [
        (receiver, read_event(events, receiver, sample))
        for receiver, sample in earlier(function, case, event)
        if (events / receiver / f"{sample}.json").exists()  # some samples are about what never was received
    ]
    for each in (*(happened for _, happened in before), event):
        store_samples(cloud, each)
    stage(before, mail=events / "mail", clients=cloud.clients, deployment=cloud.deployment)


def store_samples(cloud: LocalCloud, event: Any) -> None:
    """Store the sample messages that *event* refers to."""
    for name in samples_named(event, cloud.project / "events/mail"):
        store_sample(cloud, name, event)


def store_sample(cloud: LocalCloud, name: str, event: Any) -> None:
    """Store the sample message *name* below both prefixes, under SES's header fields with the verdicts in *event*."""
    raw = (cloud.project / f"events/mail/{name}.eml").read_bytes()
    message = replace(receipt.accept(raw, "sender", ()), message_id=name, sender="")
    ses = next((record["ses"] for record in event.get("Records", []) if "receipt" in record.get("ses", {})), None)
    if ses:
        found = ses["receipt"]
        stated = {kind: found[f"{kind}Verdict"]["status"] for kind in VERDICT_KINDS if f"{kind}Verdict" in found}
        message = replace(
            message,
            sender=ses["mail"].get("source", ""),
            recipients=tuple(found.get("recipients", [])),
            verdicts=Verdicts(**stated, policy=found.get("dmarcPolicy", "")),
        )
    for rule in cloud.deployment.rules:
        cloud.clients.s3.put_object(Bucket=rule.bucket, Key=rule.prefix + name, Body=receipt.stored(message))


def _run_in_container(function: str, case: str) -> int:
    """Run ``sam local invoke``; return its exit code. Raise LocalCloudError if Docker does not respond."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        raise LocalCloudError("Docker does not respond: start it, or use `make invoke`, which does not need it")
    if not ENVIRONMENT.exists():
        raise LocalCloudError(
            "containers cannot reach the local cloud, which listens on 127.0.0.1: email-handler local down, then up --for-sam"
        )
    command = [str(Path(sys.executable).with_name("sam")), "local", "invoke", logical_id(function)]
    command += ["--event", f"events/{function}/{case}.json"]
    ran = subprocess.run(  # the container's user reads the code
        command, cwd=PROJECT, check=False, umask=0o022, stdout=subprocess.PIPE, text=True
    )
    typer.echo(ran.stdout.strip())
    return ran.returncode or int(is_error(ran.stdout))


def is_error(printed: str) -> bool:
    """Return whether the last line that ``sam local invoke`` *printed* is a function's error: it exits with 0 then."""
    try:
        result = json.loads(printed.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return False
    return isinstance(result, dict) and "errorType" in result


@contextmanager
def _cloud(*, start: bool) -> Iterator[LocalCloud]:
    """Yield the running local cloud, or with *start* a new one if none runs."""
    if running(PROJECT):
        yield LocalCloud.attached(PROJECT)
        return
    if not start:
        raise LocalCloudError("no local cloud is running: start one with `email-handler local up --for-sam`")
    _err.print("No local cloud is running (email-handler local up): starting one for this run.", style="dim")
    with LocalCloud.start(PROJECT, folder=PROJECT / ".local/invoke", smtp_port=0) as cloud:
        yield cloud
        cloud.settle()


def main() -> None:
    """Run the command. A user's mistake is one line on stderr."""
    os.umask(PRIVATE)
    try:
        typer.run(invoke)
    except LocalCloudError as error:
        _err.print(str(error), style="red", markup=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
