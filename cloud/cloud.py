"""The whole local cloud: emulator, SMTP server, SES's sending API, and the deployed stack."""

import base64
import json
import os
import secrets
import shutil
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from cloud import PRIVATE, STACK, template
from cloud.address import Address, running
from cloud.clients import Clients
from cloud.deploy import PARAMETERS, Deployment, deploy, describe
from cloud.emulator import Emulator, free_port, in_flight, require_free, wait_until
from cloud.errors import LocalCloudError
from cloud.events import FeedbackKind, feedback
from cloud.ses import Sent, SesEndpoint, read_outbox
from cloud.smtp import SmtpServer, submit

SMTP_PORT = 2525
_SEND_QUEUES = ("AckQueue", "ForwardQueue", "ReplyQueue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """The result of a function's run."""

    failed: bool
    payload: Any  # its return value, or errorType, errorMessage and stackTrace
    log: str  # its last 4 KB


class LocalCloud:
    """A running local cloud with the deployed stack: :meth:`start` one, or use one that is :meth:`attached`."""

    def __init__(self, project: Path, address: Address, deployment: Deployment, ses: SesEndpoint | None = None) -> None:
        """*ses* is given if this process runs it; it can inject faults (``ses.fail_next``)."""
        self.project = project
        self.address = address
        self.deployment = deployment
        self.ses = ses
        self.clients = Clients(address.endpoint, ses_endpoint=address.ses_endpoint)
        self.endpoint = address.endpoint
        self.smtp_port = address.smtp_port
        self.outbox = Path(address.outbox)
        self.outputs = deployment.outputs
        self.resources = deployment.resources

    @classmethod
    @contextmanager
    def start(
        cls,
        project: Path,
        *,
        folder: Path | None = None,
        keep: bool = False,
        smtp_port: int = SMTP_PORT,
        endpoint_port: int = 0,
        bind: str = "127.0.0.1",
        endpoint: str = "",
        parameters: Mapping[str, str] | None = None,
        progress: Callable[[str], object] = lambda _: None,
    ) -> Iterator[Self]:
        """Start everything and yield it; at the end only the outbox and the log remain in *folder* (``.local``), for
        the user alone.

        *keep* continues with what an earlier run with *keep* left (messages, records, outbox). Port 0 takes any free
        port. *endpoint* is a LocalStack-compatible endpoint to deploy to instead of starting an emulator; without
        *keep* the stack has a unique name there and is deleted at the end. *parameters* override deploy.PARAMETERS.
        Raise LocalCloudError if a step fails.
        """
        for port, option, host in ((smtp_port, "--smtp-port", "127.0.0.1"), (endpoint_port, "--endpoint-port", bind)):
            if port:
                require_free(port, option, host)  # before anything of the last run is deleted
        folder = (folder or project / ".local").resolve()
        state = folder / "state"
        if not keep:
            shutil.rmtree(state, ignore_errors=True)
            shutil.rmtree(folder / "outbox", ignore_errors=True)
        given = {**PARAMETERS, **(parameters or {})}
        log, known = folder / "ministack.log", folder / "cloud.json"
        name = f"{STACK}-{secrets.token_hex(4)}" if endpoint and not keep else STACK
        with ExitStack() as stack:
            stack.callback(os.umask, os.umask(PRIVATE))
            folder.mkdir(parents=True, exist_ok=True)
            for last in (log, known):  # with the modes of an earlier version, perhaps
                last.unlink(missing_ok=True)
            for kept_folder in (state, folder / "outbox"):
                if kept_folder.exists():
                    kept_folder.chmod(0o700)
            ses = stack.enter_context(SesEndpoint(folder / "outbox", domain=given["Domain"], bind=bind))
            ses.upstream = endpoint
            if not endpoint:
                progress("emulator")
                port = endpoint_port or (_kept_port(state) if keep else 0)
                kept = state if keep else None
                emulator = Emulator(project, log=log, port=port, bind=bind, ses_endpoint=ses.url, state=kept)
                ses.upstream = stack.enter_context(emulator).endpoint
            clients = Clients(ses.upstream)
            if name != STACK:
                stack.callback(clients.cloudformation.delete_stack, StackName=name)
            deployment = deploy(
                project,
                clients,
                given=given,
                # Another emulator knows nothing of our SES endpoint, so its functions reach all of AWS through that.
                function_endpoint=ses.url if endpoint else ses.upstream,
                stack=name,
                progress=progress,
            )
            smtp = stack.enter_context(SmtpServer(deployment.rules, clients, port=smtp_port or free_port()))
            address = Address(
                pid=os.getpid(),
                endpoint=ses.upstream,
                ses_endpoint=ses.url,
                smtp_port=smtp.port,
                outbox=str(ses.outbox),
                log=str(log),
                stack=name,
                parameters=dict(deployment.parameters),
            )
            known.write_text(json.dumps(asdict(address), indent=2))
            stack.callback(known.unlink, missing_ok=True)
            yield cls(project, address, deployment, ses)

    @classmethod
    def attached(cls, project: Path, folder: Path | None = None) -> Self:
        """Return the local cloud that runs for *project*. Raise LocalCloudError if none does."""
        address = running(project, folder)
        if address is None:
            raise LocalCloudError("no local cloud is running here: start one with `email-handler local up`")
        source = template.read(project / "template.yaml")
        try:
            deployment = describe(source, Clients(address.endpoint), address.stack, address.parameters)
        except (ClientError, BotoCoreError) as error:
            raise LocalCloudError(
                f"the local cloud at {address.endpoint} does not respond: see {address.log}"
            ) from error
        return cls(project, address, deployment)

    def send(self, raw: bytes, sender: str, recipients: Sequence[str]) -> str:
        """Send a message to the SMTP server; return SES's message id.

        ``X-Local-Verdicts`` in *raw* sets SES's verdicts (see receipt.take_verdicts). Raise smtplib.SMTPException if
        the server refuses.
        """
        return submit(self.smtp_port, raw, sender, recipients)

    def sent(self, after: int = 0) -> list[Sent]:
        """Return the messages that were sent, oldest first; *after* is how many to skip."""
        return read_outbox(self.outbox, after)

    def wait_until[T](self, condition: Callable[[], T], limit: float = 30, what: str = "the local cloud") -> T:
        """Return *condition*'s first true value. Raise TimeoutError naming *what* after *limit* seconds."""
        return wait_until(condition, limit, what)

    def quiescent(self) -> bool:
        """Return whether no invocation runs, no asynchronous retry is due, and no job is in a send queue.

        This checks twice, since work may move from one place to another during a check.
        """
        return not any(count for _ in range(2) for _, count in self._waiting())

    def settle(self, limit: float = 60) -> None:
        """Wait until the cloud is quiescent. Raise TimeoutError after *limit* seconds."""
        wait_until(self.quiescent, limit, "the end of all work in the local cloud", 0.1)

    def unfinished(self) -> dict[str, int]:
        """Return the number of jobs in each send queue, visible or not, and of invocations that run or wait for a retry."""
        return dict(self._waiting())

    def _waiting(self) -> Iterator[tuple[str, int]]:
        """Yield the same counts one by one, the cheapest question first."""
        yield "invocations", in_flight(self.endpoint)
        names = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]
        for queue in _SEND_QUEUES:
            found = self.clients.sqs.get_queue_attributes(QueueUrl=self.resources[queue], AttributeNames=names)
            yield queue, sum(int(found["Attributes"].get(name, 0)) for name in names)

    def ses_event(self, kind: FeedbackKind, ses_id: str, **details: Any) -> None:
        """Publish SES's feedback on the sent message *ses_id* as its configuration set would (see events.feedback).

        Only AWS may publish as ``aws.ses``, so this asks EventBridge which rules match and invokes their functions as
        EventBridge does. Raise LocalCloudError for an unknown id, or if no rule matches.
        """
        sent = next((sent for sent in self.sent() if sent.ses_id == ses_id), None)
        if sent is None:
            raise LocalCloudError(f"no email was sent as {ses_id}: see `email-handler local outbox`")
        event = feedback(kind, sent, datetime.now(UTC), **details)
        text = json.dumps(event)
        events = self.clients.events
        functions = [
            target["Arn"]
            for rule in events.list_rules()["Rules"]
            if rule.get("EventPattern")
            and events.test_event_pattern(EventPattern=rule["EventPattern"], Event=text)["Result"]
            for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        ]
        if not functions:
            raise LocalCloudError(f"no rule of the stack matches SES's {kind} events of {sent.configuration_set!r}")
        for function in functions:
            self.clients.lambda_.invoke(FunctionName=function, InvocationType="Event", Payload=text.encode())

    def invoke(self, function: str, event: Any) -> Invocation:
        """Run the function with the logical id *function* on *event* and wait for its end."""
        run = self.clients.lambda_.invoke(
            FunctionName=self.resources[function], Payload=json.dumps(event).encode(), LogType="Tail"
        )
        return Invocation(
            failed="FunctionError" in run,
            payload=json.loads(run["Payload"].read() or b"null"),
            log=base64.b64decode(run.get("LogResult", "")).decode(errors="replace"),
        )


def stop(address: Address, limit: float) -> None:
    """Stop a local cloud that another process runs; raise TimeoutError if its ports are open after *limit* seconds."""
    os.kill(address.pid, signal.SIGTERM)
    ports = (address.smtp_port, urlsplit(address.ses_endpoint).port, urlsplit(address.endpoint).port)
    wait_until(lambda: not any(map(_listens, ports)), limit, "the local cloud's end")


def _listens(port: int | None) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _kept_port(state: Path) -> int:
    """Return the port of the kept state: queue URLs and functions' settings contain it."""
    known = state / "port"
    if not known.exists():
        state.mkdir(parents=True, exist_ok=True)
        known.write_text(str(free_port()))
    return int(known.read_text())
