"""The local cloud as one thing: emulator, SES's two doors, and the stack deployed between them."""

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
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from cloud import template
from cloud.clients import Clients
from cloud.deploy import PARAMETERS, STACK, Deployment, deploy, describe
from cloud.door import Door, submit
from cloud.emulator import Emulator, free_port, in_flight, require_free, wait_until
from cloud.errors import LocalCloudError
from cloud.events import FeedbackKind, feedback
from cloud.ses import Sent, SesEndpoint, read_outbox

SMTP_PORT = 2525
_SEND_QUEUES = ("AckQueue", "ForwardQueue", "ReplyQueue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a running local cloud is to be found: what ``.local/cloud.json`` holds."""

    pid: int  # of the process whose end is the cloud's end
    endpoint: str  # AWS
    ses_endpoint: str  # AWS, with SES captured
    smtp_port: int
    outbox: str
    log: str
    stack: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """How a function's run ended."""

    failed: bool
    payload: Any  # what it returned, or errorType, errorMessage and stackTrace
    log: str  # its last 4 KB


class LocalCloud:
    """A running local cloud with the stack deployed: :meth:`start` one, or be :meth:`attached` to one."""

    def __init__(self, project: Path, address: Address, deployment: Deployment, ses: SesEndpoint | None = None) -> None:
        """*ses* is there where this process runs it, and takes faults (``ses.fail_next``)."""
        self.project = project
        self.address = address
        self.deployment = deployment
        self.ses = ses
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
        """Start everything, yield it, and leave nothing behind but the outbox and the log in *folder* (``.local``).

        *keep* goes on with what an earlier run with *keep* left (mails, records, outbox); otherwise all is fresh.
        Ports of 0 are any free ones. *endpoint* is a LocalStack-compatible endpoint to deploy to instead of starting
        an emulator; without *keep* the stack gets a name of its own there and is deleted at the end. *parameters* go over the template's (see deploy.PARAMETERS). Raises LocalCloudError.
        """
        for port, option, host in ((smtp_port, "--smtp-port", "127.0.0.1"), (endpoint_port, "--endpoint-port", bind)):
            if port:
                require_free(port, option, host)  # asked before anything of the last run is thrown away
        folder = (folder or project / ".local").resolve()
        state = folder / "state"
        if not keep:
            shutil.rmtree(state, ignore_errors=True)
            shutil.rmtree(folder / "outbox", ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        given = {**PARAMETERS, **(parameters or {})}
        log = folder / "ministack.log"
        log.unlink(missing_ok=True)
        name = f"{STACK}-{secrets.token_hex(4)}" if endpoint and not keep else STACK
        with ExitStack() as stack:
            ses = stack.enter_context(SesEndpoint(folder / "outbox", domain=given["Domain"], bind=bind))
            if not endpoint:
                progress("emulator")
                emulator = Emulator(
                    project,
                    log=log,
                    port=endpoint_port or (_kept_port(state) if keep else 0),
                    bind=bind,
                    ses_endpoint=ses.url,
                    state=state if keep else None,
                )
                stack.enter_context(emulator)
            ses.upstream = endpoint or emulator.endpoint
            clients = Clients(ses.upstream)
            if name != STACK:
                stack.callback(clients.cloudformation.delete_stack, StackName=name)
            deployment = deploy(
                project,
                clients,
                given=given,
                # An emulator of somebody else's knows nothing of our SES: its functions reach all of AWS through it.
                function_endpoint=ses.url if endpoint else ses.upstream,
                stack=name,
                progress=progress,
            )
            door = stack.enter_context(Door(deployment.rules, clients, port=smtp_port or free_port()))
            address = Address(
                pid=os.getpid(),
                endpoint=ses.upstream,
                ses_endpoint=ses.url,
                smtp_port=door.port,
                outbox=str(ses.outbox),
                log=str(log),
                stack=name,
                parameters=dict(deployment.parameters),
            )
            known = folder / "cloud.json"
            known.write_text(json.dumps(asdict(address), indent=2))
            stack.callback(known.unlink, missing_ok=True)
            yield cls(project, address, deployment, ses)

    @classmethod
    def attached(cls, project: Path, folder: Path | None = None) -> Self:
        """Return the local cloud that runs for *project*. Raises LocalCloudError where none does."""
        address = running(project, folder)
        if address is None:
            raise LocalCloudError("no local cloud is running here: start one with `email-handler local up`")
        source = template.read(project / "template.yaml")
        try:
            deployment = describe(source, Clients(address.endpoint), address.stack, address.parameters)
        except (ClientError, BotoCoreError) as error:
            raise LocalCloudError(
                f"the local cloud at {address.endpoint} does not answer: see {address.log}"
            ) from error
        return cls(project, address, deployment)

    @cached_property
    def clients(self) -> Clients:
        """boto3 clients for it."""
        return Clients(self.address.endpoint, ses_endpoint=self.address.ses_endpoint)

    def send(self, raw: bytes, sender: str, recipients: Sequence[str]) -> str:
        """Hand a mail to the SMTP door as another server would; return SES's message id.

        ``X-Local-Verdicts`` in *raw* sets SES's verdicts (see receipt.take_verdicts). Raises smtplib.SMTPException.
        """
        return submit(self.smtp_port, raw, sender, recipients)

    def sent(self, after: int = 0) -> list[Sent]:
        """Return what SES was given to send, oldest first, without the first *after*."""
        return read_outbox(self.outbox, after)

    def wait_until[T](self, condition: Callable[[], T], limit: float = 30, what: str = "the local cloud") -> T:
        """Return *condition*'s first true value. Raises TimeoutError naming *what* after *limit* seconds."""
        found: list[T] = []

        def holds() -> bool:
            found[:] = [condition()]
            return bool(found[0])

        wait_until(holds, limit, what)
        return found[0]

    def quiescent(self) -> bool:
        """Tell whether nothing runs and nothing waits: no invocation, no asynchronous retry, no job in a send queue.

        Looked at twice, since work moves from one place to another between two looks.
        """
        return not any(count for _ in range(2) for _, count in self._waiting())

    def settle(self, limit: float = 60) -> None:
        """Wait until the cloud is quiescent. Raises TimeoutError."""
        wait_until(self.quiescent, limit, "the local cloud to come to rest", 0.1)

    def unfinished(self) -> dict[str, int]:
        """Return how many jobs each send queue holds, visible or not, and how many invocations run or wait for a retry."""
        return dict(self._waiting())

    def _waiting(self) -> Iterator[tuple[str, int]]:
        """Yield the same counts one by one, the cheapest question first."""
        yield "invocations", in_flight(self.endpoint)
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ]
        for queue in _SEND_QUEUES:
            answer = self.clients.sqs.get_queue_attributes(QueueUrl=self.resources[queue], AttributeNames=names)
            yield queue, sum(int(answer["Attributes"].get(name, 0)) for name in names)

    def ses_event(self, kind: FeedbackKind, ses_id: str, **details: Any) -> None:
        """Publish SES's feedback on the sent mail *ses_id* as its configuration set would (see events.feedback).

        Nobody but AWS may publish as ``aws.ses``, so this asks EventBridge which rules match and calls their
        functions as EventBridge does. Raises LocalCloudError for an unknown id, or where no rule matches.
        """
        sent = next((sent for sent in self.sent() if sent.ses_id == ses_id), None)
        if sent is None:
            raise LocalCloudError(f"nothing was sent as {ses_id}: see `email-handler local outbox`")
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
            raise LocalCloudError(f"no rule of the stack takes SES's {kind} events of {sent.configuration_set!r}")
        for function in functions:
            self.clients.lambda_.invoke(FunctionName=function, InvocationType="Event", Payload=text.encode())

    def invoke(self, function: str, event: Any) -> Invocation:
        """Run the function of logical id *function* on *event* and wait for its end."""
        answer = self.clients.lambda_.invoke(
            FunctionName=self.resources[function], Payload=json.dumps(event).encode(), LogType="Tail"
        )
        return Invocation(
            failed="FunctionError" in answer,
            payload=json.loads(answer["Payload"].read() or b"null"),
            log=base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"),
        )


def running(project: Path, folder: Path | None = None) -> Address | None:
    """Return where the local cloud of *project* runs, None where it doesn't."""
    try:
        address = Address(**json.loads(((folder or project / ".local") / "cloud.json").read_text()))
        os.kill(address.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return address


def stop(address: Address, limit: float) -> None:
    """End a local cloud that another process runs, and wait until its ports are closed. Raises TimeoutError."""
    os.kill(address.pid, signal.SIGTERM)
    ports = (address.smtp_port, int(address.ses_endpoint.rpartition(":")[2]), int(address.endpoint.rpartition(":")[2]))
    wait_until(lambda: not any(_listens(port) for port in ports), limit, "the local cloud's end")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _kept_port(state: Path) -> int:
    """Return the port the kept state was made on: queue URLs and functions' settings hold it."""
    known = state / "port"
    if not known.exists():
        state.mkdir(parents=True, exist_ok=True)
        known.write_text(str(free_port()))
    return int(known.read_text())
