"""``email-handler local …``: the local cloud at the command line.

What starts servers is imported by the command that needs it: the operator's other commands share the start-up.
"""

import json
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.utils import formatdate, getaddresses, make_msgid
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from cli.terminal import print_hanging
from cloud import PROJECT
from cloud.errors import LocalCloudError

if TYPE_CHECKING:
    from cloud.cloud import Address, LocalCloud

_DETACHED_LIMIT = 1200.0  # seconds: a first build may have to download
_STOP_LIMIT = 30.0

app = typer.Typer(
    no_args_is_help=True, help="Run the deployed stack on this machine: mail in over SMTP, mail out as files."
)
_out = Console()
_err = Console(stderr=True)

Folder = Annotated[Path, typer.Option(help="Where it keeps its outbox, log and state.", show_default=False)]
_FOLDER = PROJECT / ".local"
AsJson = Annotated[bool, typer.Option("--json", help="JSON, one object a line.")]


@app.command()
def up(
    keep: Annotated[
        bool, typer.Option("--keep/--fresh", help="Go on with what the last --keep left, or begin anew.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background until `local down`.")] = False,
    smtp_port: Annotated[int, typer.Option(help="Port of the SMTP door; 0 for any.")] = 2525,
    endpoint_port: Annotated[int, typer.Option(help="Port of AWS; 0 for any.")] = 0,
    bind: Annotated[str, typer.Option(help="Interface of AWS; containers reach 0.0.0.0 only.")] = "127.0.0.1",
    endpoint: Annotated[str, typer.Option(help="Deploy to this LocalStack-compatible endpoint instead.")] = "",
    folder: Folder = _FOLDER,
    as_json: AsJson = False,
) -> None:
    """Start the local cloud and deploy the project to it. Ctrl-C ends it and leaves no process behind."""
    from cloud.cloud import LocalCloud, running  # noqa: PLC0415  (see the module's docstring)

    found = running(PROJECT, folder)
    if found:
        raise LocalCloudError(f"a local cloud runs already, as process {found.pid}: `email-handler local down` ends it")
    if detach:
        options = ["--keep" if keep else "--fresh", f"--smtp-port={smtp_port}", f"--endpoint-port={endpoint_port}"]
        _tell_where(_start_detached(folder, [*options, f"--bind={bind}", f"--endpoint={endpoint}"]), as_json)
        return
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupt)
    try:
        with LocalCloud.start(
            PROJECT,
            folder=folder,
            keep=keep,
            smtp_port=smtp_port,
            endpoint_port=endpoint_port,
            bind=bind,
            endpoint=endpoint,
            progress=lambda step: _err.print(f"{step} …", style="dim"),
        ) as cloud:
            _tell_where(cloud.address, as_json)
            threading.Event().wait()
    except KeyboardInterrupt:
        _err.print("stopped", style="dim")


@app.command()
def send(
    file: Annotated[
        Path | None, typer.Argument(help="Mail to send as it is; without, one is made.", exists=True)
    ] = None,
    sender: Annotated[str, typer.Option("--from", help="Envelope sender; <> for a bounce's.")] = "",
    to: Annotated[list[str] | None, typer.Option("--to", help="Envelope recipient; may be given again.")] = None,
    subject: Annotated[str, typer.Option(help="Subject of a made mail.")] = "Hello",
    text: Annotated[str, typer.Option(help="Text of a made mail.")] = "Hello,\n\nI have a question.\n\nJane",
    attach: Annotated[list[Path] | None, typer.Option(help="File to attach; may be given again.", exists=True)] = None,
    verdicts: Annotated[
        str, typer.Option(help="What SES is to say of it, such as 'spam=FAIL dmarc=FAIL policy=reject'.")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until everything has come to rest.")] = False,
    folder: Folder = _FOLDER,
    as_json: AsJson = False,
) -> None:
    """Send a mail to the local cloud as another server would."""
    cloud = _attached(folder)
    public = cloud.address.parameters["PublicAddresses"].split(",")
    author = sender.strip("<>") or "jane@customer.example"
    raw = file.read_bytes() if file else _compose(author, to or public[:1], subject, text, attach or [])
    headers = BytesHeaderParser().parsebytes(raw)
    if not sender:
        author = next((address for _, address in _addresses(headers, "from")), "")
    recipients = to or [address for _, address in _addresses(headers, "to", "cc")]
    if verdicts:
        raw = f"X-Local-Verdicts: {verdicts}\r\n".encode() + raw
    message_id = _deliver(cloud, raw, "" if sender == "<>" else author, recipients)
    if wait:
        cloud.settle()
    if as_json:
        typer.echo(json.dumps({"ses_message_id": message_id, "sender": author, "recipients": recipients}))
    else:
        _out.print(f"Accepted as {message_id}", highlight=False)


@app.command()
def outbox(
    number: Annotated[int | None, typer.Argument(help="Show this mail as the recipient gets it.")] = None,
    folder: Folder = _FOLDER,
    as_json: AsJson = False,
) -> None:
    """List the mails that left, or show one."""
    from cloud.receipt import decoded  # noqa: PLC0415  (see the module's docstring)
    from cloud.ses import read_outbox  # noqa: PLC0415

    mails = read_outbox(folder / "outbox")
    if number is not None:
        mails = [mail for mail in mails if mail.number == number]
        if not mails:
            raise LocalCloudError(f"the outbox has no mail {number}: `email-handler local outbox` lists them")
    if as_json:
        for mail in mails:
            typer.echo(json.dumps(asdict(mail)))
    elif number is not None:
        sys.stdout.buffer.write(Path(mails[0].eml).read_bytes())
    else:
        for mail in mails:
            before = Text.assemble((f"{mail.number:3}", "bold"), f"  {mail.at[11:19]} UTC  ")
            print_hanging(_out, before, f"{decoded(mail.subject)} ({mail.size} bytes)")
            print_hanging(_out, "     ", f"{mail.sender} → {', '.join(mail.recipients)}", "dim")
        if not mails:
            _err.print("Nothing has left.")


@app.command()
def down(folder: Folder = _FOLDER, as_json: AsJson = False) -> None:
    """End the local cloud that runs for this project."""
    from cloud.cloud import running, stop  # noqa: PLC0415  (see the module's docstring)

    found = running(PROJECT, folder)
    if found:
        stop(found, _STOP_LIMIT)
    if as_json:
        typer.echo(json.dumps({"stopped": found.pid if found else None}))
    else:
        _out.print("Stopped." if found else "No local cloud is running.")


def main() -> None:
    """Run these commands alone: ``python -m cli.local``."""
    try:
        app()
    except LocalCloudError as error:
        _err.print(str(error), style="red", markup=False, soft_wrap=True)
        sys.exit(1)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _start_detached(folder: Path, options: list[str]) -> "Address":
    """Run the same command in the background and return once the cloud is up. Raises LocalCloudError."""
    from cloud.cloud import running  # noqa: PLC0415  (see the module's docstring)
    from cloud.emulator import wait_until  # noqa: PLC0415

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
        return process.poll() is not None or running(PROJECT, folder) is not None

    wait_until(up_or_ended, _DETACHED_LIMIT, "the local cloud", 0.2)
    found = running(PROJECT, folder)
    if found is None:
        raise LocalCloudError(log.read_text().strip() or f"the local cloud ended at once: see {log}")
    return found


def _tell_where(address: "Address", as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(address)))
        return
    typer.echo(f"Mail in   localhost:{address.smtp_port} (SMTP), for {address.parameters['PublicAddresses']}")
    typer.echo(f"Mail out  {address.outbox}")
    typer.echo(f"AWS       {address.endpoint}, stack {address.stack}")
    typer.echo(f"Log       {address.log}")
    typer.echo("Try       email-handler local send --wait; email-handler local outbox; email-handler list")


def _attached(folder: Path) -> "LocalCloud":
    from cloud.cloud import LocalCloud  # noqa: PLC0415  (see the module's docstring)

    return LocalCloud.attached(PROJECT, folder)


def _deliver(cloud: "LocalCloud", raw: bytes, sender: str, recipients: list[str]) -> str:
    import smtplib  # noqa: PLC0415  (see the module's docstring)

    try:
        return cloud.send(raw, sender, recipients)
    except smtplib.SMTPRecipientsRefused as refused:
        answers = {f"{code} {text.decode(errors='replace')}" for code, text in refused.recipients.values()}
        raise LocalCloudError(f"the door refused every recipient: {'; '.join(sorted(answers))}") from refused
    except smtplib.SMTPResponseException as refused:
        text = refused.smtp_error
        reason = text.decode(errors="replace") if isinstance(text, bytes) else text
        raise LocalCloudError(f"the door refused the mail: {refused.smtp_code} {reason}") from refused


def _addresses(headers: Any, *names: str) -> list[tuple[str, str]]:
    return [pair for pair in getaddresses([str(v) for name in names for v in headers.get_all(name, [])]) if pair[1]]


def _compose(author: str, recipients: list[str], subject: str, text: str, attachments: list[Path]) -> bytes:
    message = EmailMessage()
    message["From"] = author
    message["To"] = ", ".join(recipients)
    message["Subject"] = subject
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain=author.rpartition("@")[2])
    message.set_content(text)
    for path in attachments:
        main, _, sub = (guess_type(path.name)[0] or "application/octet-stream").partition("/")
        message.add_attachment(path.read_bytes(), maintype=main, subtype=sub, filename=path.name)
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


if __name__ == "__main__":
    main()
