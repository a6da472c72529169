"""``email-handler local …``: the local cloud on the command line.

Commands import the modules that start servers when they run: all of ``email-handler`` shares this module's start-up.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.utils import formatdate, getaddresses, make_msgid
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from cli.conversations import describe_send
from cli.options import AsJson
from cli.terminal import err, out, print_hanging, print_json, print_line, print_result
from cloud import PRIVATE, PROJECT
from cloud.address import Address, running
from cloud.errors import LocalCloudError
from email_handler.identifiers import ReceiptId
from email_handler.mail.addresses import address_domain
from operations.connection import Connection, connect
from operations.conversations import sends_of
from operations.functions import RECEIVERS

if TYPE_CHECKING:
    from cloud.cloud import LocalCloud

_DETACHED_LIMIT = 1200.0  # seconds: the first build may have to download
_STOP_LIMIT = 30.0

app = typer.Typer(
    no_args_is_help=True, help="Run the whole service on this machine: send email in over SMTP, get email out as files."
)

Folder = Annotated[Path, typer.Option(help="Folder of its outbox, log and state.", show_default=False)]
_FOLDER = PROJECT / ".local"


@app.command()
def up(
    keep: Annotated[
        bool, typer.Option("--keep/--fresh", help="Continue with the state of the last --keep, or start empty.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background until `local down`.")] = False,
    smtp_port: Annotated[int, typer.Option(help="Port of the SMTP server; 0 for any free port.")] = 2525,
    endpoint_port: Annotated[int, typer.Option(help="Port of the AWS endpoint; 0 for any free port.")] = 0,
    bind: Annotated[str, typer.Option(help="Interface of the AWS endpoint; containers need 0.0.0.0.")] = "127.0.0.1",
    for_sam: Annotated[
        bool,
        typer.Option("--for-sam", help="Serve sam local: bind 0.0.0.0, store the sample messages, describe the stack."),
    ] = False,
    endpoint: Annotated[str, typer.Option(help="Deploy to this LocalStack-compatible endpoint instead.")] = "",
    folder: Folder = _FOLDER,
    as_json: AsJson = False,
) -> None:
    """Start the local cloud and deploy the project to it. Ctrl-C stops it and all its processes."""
    from cloud.cloud import LocalCloud  # noqa: PLC0415  (see the module's docstring)

    found = running(PROJECT, folder)
    if found:
        raise LocalCloudError(
            f"a local cloud is already running (process {found.pid}): `email-handler local down` stops it"
        )
    bind = "0.0.0.0" if for_sam else bind  # noqa: S104  (containers come from another interface)
    if detach:
        more = ["--for-sam"] if for_sam else []
        options = ["--keep" if keep else "--fresh", f"--smtp-port={smtp_port}", f"--endpoint-port={endpoint_port}"]
        _print_address(
            _start_detached(folder, for_sam, [*options, *more, f"--bind={bind}", f"--endpoint={endpoint}"]), as_json
        )
        return
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    try:
        with (
            LocalCloud.start(
                PROJECT,
                folder=folder,
                keep=keep,
                smtp_port=smtp_port,
                endpoint_port=endpoint_port,
                bind=bind,
                endpoint=endpoint,
                progress=lambda step: err.print(f"{step} …", style="dim"),
            ) as cloud,
            _served_to_sam(cloud) if for_sam else nullcontext(),
        ):
            _print_address(cloud.address, as_json)
            threading.Event().wait()
    except KeyboardInterrupt:
        err.print("The local cloud has stopped.", style="dim")


@contextmanager
def _served_to_sam(cloud: "LocalCloud") -> Iterator[None]:
    """Store the sample messages and describe the stack to ``sam local`` while the context lasts."""
    from cloud.invoke import store_samples  # noqa: PLC0415  (see the module's docstring)
    from cloud.sam_local import described  # noqa: PLC0415

    for path in sorted((PROJECT / "events").glob("[ir]*/*.json")):  # what inbound and reply receive
        store_samples(cloud, json.loads(path.read_text()))
    with described(cloud.deployment, cloud.address.ses_endpoint):
        yield


@app.command()
def send(
    file: Annotated[
        Path | None, typer.Argument(help="Email to send unchanged; without it, a new one is composed.", exists=True)
    ] = None,
    sender: Annotated[str, typer.Option("--from", help="Envelope sender; <> as in a bounce.")] = "",
    to: Annotated[list[str] | None, typer.Option("--to", help="Envelope recipient; may be repeated.")] = None,
    subject: Annotated[str, typer.Option(help="Subject of a composed email.")] = "Hello",
    text: Annotated[str, typer.Option(help="Text of a composed email.")] = "Hello,\n\nI have a question.\n\nJane",
    attach: Annotated[list[Path] | None, typer.Option(help="File to attach; may be repeated.", exists=True)] = None,
    verdicts: Annotated[
        str, typer.Option(help="SES's verdicts on it, such as 'spam=FAIL dmarc=FAIL policy=reject'.")
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it is fully processed, and say what became of it.")
    ] = False,
    folder: Folder = _FOLDER,
    as_json: AsJson = False,
) -> None:
    """Send an email to the local cloud over SMTP."""
    from cloud.cloud import LocalCloud  # noqa: PLC0415  (see the module's docstring)

    cloud = LocalCloud.attached(PROJECT, folder)
    public = cloud.address.parameters["PublicAddresses"].split(",")
    author = sender.strip("<>") or "jane@customer.example"
    raw = file.read_bytes() if file else _compose(author, to or public[:1], subject, text, attach or [])
    if not sender:
        author = next(iter(_addresses(raw, "from")), "")
    recipients = to or _addresses(raw, "to", "cc")
    if verdicts:
        raw = f"X-Local-Verdicts: {verdicts}\r\n".encode() + raw
    message_id = _submit(cloud, raw, "" if sender == "<>" else author, recipients)
    accepted: dict[str, Any] = {"ses_message_id": message_id, "sender": author, "recipients": recipients}
    lines = [f"Accepted as {message_id}"]
    if wait:
        cloud.settle()
        accepted["became"], told = _became(connect("", cloud.address.endpoint), message_id)
        lines += told
    print_result(accepted, "\n".join(lines), as_json=as_json)


def _became(connection: Connection, receipt: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what became of the message *receipt* in each function that got it, as JSON and as lines."""
    messages = [m for function in RECEIVERS if (m := connection.records.message(ReceiptId(receipt), function))]
    found, lines = [], [] if messages else ["Nothing is recorded of it: see the log of the local cloud."]
    for message in messages:
        sends = [describe_send(send) for send in sends_of(connection, message)]
        conversation = message.conversation or "no conversation"
        found.append(
            {
                "function": message.function,
                "outcome": message.outcome,
                "conversation": message.conversation,
                "sends": sends,
            }
        )
        lines += [f"{message.function}: {message.outcome} ({conversation})", *(f"  {send}" for send in sends)]
    return found, lines


@app.command()
def outbox(
    number: Annotated[int | None, typer.Argument(help="Show this email as the recipient gets it.")] = None,
    folder: Folder = _FOLDER,
    as_json: AsJson = False,
) -> None:
    """List the emails that were sent, or show one."""
    from cloud.mailclient import decoded  # noqa: PLC0415  (see the module's docstring)
    from cloud.ses import read_outbox  # noqa: PLC0415

    emails = read_outbox(folder / "outbox")
    if number is not None:
        emails = [email for email in emails if email.number == number]
        if not emails:
            raise LocalCloudError(f"the outbox has no email {number}: `email-handler local outbox` lists them")
    if as_json:
        for email in emails:
            print_json(asdict(email))
    elif number is not None:
        raw = Path(emails[0].eml).read_bytes()
        if out.is_terminal:
            print_line(raw.decode(errors="replace"))
        else:
            sys.stdout.buffer.write(raw)
    else:
        for email in emails:
            before = Text.assemble((f"{email.number:3}", "bold"), f"  {email.at[11:19]} UTC  ")
            print_hanging(out, before, f"{decoded(email.subject)} ({email.size} bytes)")
            print_hanging(out, "     ", f"{email.sender} → {', '.join(email.recipients)}", "dim")
        if not emails:
            err.print("No emails sent yet.")


@app.command()
def down(folder: Folder = _FOLDER, as_json: AsJson = False) -> None:
    """Stop the local cloud of this project."""
    from cloud.cloud import stop  # noqa: PLC0415  (see the module's docstring)

    found = running(PROJECT, folder)
    if found:
        stop(found, _STOP_LIMIT)
    done = "The local cloud has stopped." if found else "No local cloud is running."
    print_result({"stopped": found.pid if found else None}, done, as_json=as_json)


def main() -> None:
    """Run only these commands: ``python -m cli.local``."""
    os.umask(PRIVATE)
    try:
        app()
    except LocalCloudError as error:
        err.print(str(error), style="red", soft_wrap=True)
        sys.exit(1)


def _start_detached(folder: Path, for_sam: bool, options: list[str]) -> "Address":
    """Run ``local up`` in the background and return when the cloud is up, *for_sam* if so. Raise LocalCloudError if it
    fails."""
    from cloud.emulator import wait_until  # noqa: PLC0415
    from cloud.sam_local import ENVIRONMENT  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.local", "up", f"--folder={folder.resolve()}", *options],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def up_or_ended() -> bool:
        up = running(PROJECT, folder) is not None and (ENVIRONMENT.exists() or not for_sam)
        return up or process.poll() is not None

    wait_until(up_or_ended, _DETACHED_LIMIT, "the local cloud", 0.2)
    found = running(PROJECT, folder)
    if found is None:
        raise LocalCloudError(log.read_text().strip() or f"the local cloud ended at once: see {log}")
    return found


def _print_address(address: "Address", as_json: bool) -> None:
    if as_json:
        print_json(asdict(address))
        return
    typer.echo(f"SMTP     localhost:{address.smtp_port}, for email to {address.parameters['PublicAddresses']}")
    typer.echo(f"Outbox   {address.outbox}")
    typer.echo(f"AWS      {address.endpoint}, stack {address.stack}")
    typer.echo(f"Log      {address.log}")
    typer.echo("Try      .venv/bin/email-handler local send --wait; … local outbox; … list")


def _submit(cloud: "LocalCloud", raw: bytes, sender: str, recipients: list[str]) -> str:
    import smtplib  # noqa: PLC0415  (see the module's docstring)

    try:
        return cloud.send(raw, sender, recipients)
    except smtplib.SMTPRecipientsRefused as refused:
        replies = {f"{code} {text.decode(errors='replace')}" for code, text in refused.recipients.values()}
        raise LocalCloudError(f"the SMTP server refused all recipients: {'; '.join(sorted(replies))}") from refused
    except smtplib.SMTPResponseException as refused:
        reason = refused.smtp_error
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise LocalCloudError(f"the SMTP server refused the email: {refused.smtp_code} {reason}") from refused


def _addresses(raw: bytes, *names: str) -> list[str]:
    headers = BytesHeaderParser().parsebytes(raw)
    values = [str(value) for name in names for value in headers.get_all(name, [])]
    return [address for _, address in getaddresses(values) if address]


def _compose(author: str, recipients: list[str], subject: str, text: str, attachments: list[Path]) -> bytes:
    message = EmailMessage()
    message["From"] = author
    message["To"] = ", ".join(recipients)
    message["Subject"] = subject
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain=address_domain(author))
    message.set_content(text)
    for path in attachments:
        main, _, sub = (guess_type(path.name)[0] or "application/octet-stream").partition("/")
        message.add_attachment(path.read_bytes(), maintype=main, subtype=sub, filename=path.name)
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


if __name__ == "__main__":
    main()
