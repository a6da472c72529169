"""``email-handler doctor``: everything a deployment needs to take mail in and let mail out, and what to do where it
does not have it."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import typer
from rich.text import Text

from cli.connection import Connection, Endpoint, Stack, connect
from cli.deployment import NOT_HERE, asking, resources, stack, unasked
from cli.documents import ACKNOWLEDGEMENT, BUILTIN, ROUTES, RULES, Pointer
from cli.terminal import AdminError, AsJson, ExitCode, err, out, print_hanging, print_json, tracked

DIG_SECONDS = 5
SENDERS = ("AckSenderFunction", "ForwardSenderFunction", "ReplySenderFunction")


class State(StrEnum):
    """How one thing is."""

    FINE = "fine"
    NOTE = "note"  # works, or cannot be looked at: worth knowing
    WRONG = "wrong"  # mail waits, is refused, or nobody would hear of trouble


STYLES = {State.FINE: "green", State.NOTE: "yellow", State.WRONG: "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    what: str
    state: State
    found: str
    todo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is known of the stack before anything is checked."""

    connection: Connection
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    resources: Mapping[str, str]

    @property
    def receives(self) -> bool:
        """Tell whether this stack sets up SES (``ReceiveMail``)."""
        return self.parameters.get("ReceiveMail") == "true"

    def client(self, service: str) -> Any:
        """Return a boto3 client."""
        return self.connection.session.client(service)


def doctor(stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Look at all that a deployment needs: SES, DNS, receipt rules, documents, queues, alarms and who hears of them.

    Nothing is changed. Exit code 1 if anything is wrong; each line says what to do.
    """
    deployment = examine(connect(stack, endpoint))
    questions = [partial(question, deployment) for question in QUESTIONS]
    found = [check for ask in tracked(questions, "questions", len(questions)) for check in answers(ask)]
    if as_json:
        for check in found:
            print_json(asdict(check))
    else:
        _print(found)
    wrong = sum(check.state is State.WRONG for check in found)
    if wrong:
        err.print(f"{wrong} to put right.", style="red")
        raise typer.Exit(ExitCode.FAILED)
    err.print("Nothing to put right.", style="dim")


def examine(connection: Connection) -> Deployment:
    """Return what CloudFormation knows. Raises AdminError."""
    described = stack(connection)
    return Deployment(
        connection=connection,
        status=described.get("StackStatus", ""),
        parameters={one["ParameterKey"]: one.get("ParameterValue", "") for one in described.get("Parameters", ())},
        outputs={one["OutputKey"]: one["OutputValue"] for one in described.get("Outputs", ())},
        resources=resources(connection),
    )


def answers(ask: Callable[[], Iterator[Check]]) -> list[Check]:
    """Return the checks of one question; where AWS does not say, that."""
    try:
        return list(ask())
    except AdminError as error:
        return [Check(what="AWS", state=State.NOTE, found=str(error), todo="Look in the AWS console.")]


def _stack(deployment: Deployment) -> Iterator[Check]:
    done = deployment.status.endswith("_COMPLETE") and "ROLLBACK" not in deployment.status
    yield Check(
        what="Stack",
        state=State.FINE if done else State.WRONG,
        found=deployment.status,
        todo="" if done else "CloudFormation's events say what failed; deploy again (docs/deploy.md).",
    )


def _receipt_rules(deployment: Deployment) -> Iterator[Check]:
    ours = deployment.outputs.get("RuleSet", "")
    if not ours:
        yield Check(
            what="Receiving", state=State.NOTE, found="ReceiveMail is false: this stack leaves SES and DNS alone"
        )
        return
    with asking(deployment.connection.where):
        active = deployment.client("ses").describe_active_receipt_rule_set()
    yield receiving(ours, active)


def receiving(ours: str, active: Mapping[str, Any]) -> Check:
    """Judge which receipt rule set is active: *active* is what SES answered."""
    name = (active.get("Metadata") or {}).get("Name", "")
    if name == ours:
        return Check(what="Receiving", state=State.FINE, found=f"rule set {ours} is active")
    found = f"rule set {name} is active, not {ours}" if name else "no rule set is active: SES refuses all mail"
    return Check(what="Receiving", state=State.WRONG, found=found, todo="email-handler activate")


def _ses(deployment: Deployment) -> Iterator[Check]:
    from email_handler.adapters.health import AwsHealth  # noqa: PLC0415  (boto3, see cli.connection)

    with asking(deployment.connection.where):
        settings = deployment.client("lambda").get_function_configuration(
            FunctionName=deployment.resources["InboundFunction"]
        )["Environment"]["Variables"]
    health = AwsHealth(
        deployment.client("sesv2"),
        deployment.client("sqs"),
        domain=settings["DOMAIN"],
        mailboxes=settings["FORWARD_TO"].split(","),
        dead_letter_queue_urls=settings["DEAD_LETTER_QUEUE_URLS"].split(","),
    )
    conditions = health.conditions()
    for condition in conditions:
        yield judged(condition, receives=deployment.receives, emulated=deployment.connection.emulated)
    if not conditions:
        fine = "sending is on, the domain is verified, MAIL FROM is set, nothing is parked"
        yield Check(what="SES and queues", state=State.FINE, found=fine)
    if deployment.receives:
        with asking(deployment.connection.where):
            identity = deployment.client("sesv2").get_email_identity(EmailIdentity=settings["DOMAIN"])
        status = (identity.get("DkimAttributes") or {}).get("Status", "unknown")
        yield Check(
            what="DKIM",
            state=State.FINE if status == "SUCCESS" else State.WRONG,
            found=status,
            todo="" if status == "SUCCESS" else "Set the three CNAME records below; SES looks for up to 72 hours.",
        )


def judged(condition: str, *, receives: bool, emulated: bool) -> Check:
    """Judge what Health found wrong: *receives* tells whether the stack sets up SES."""
    what = "SES and queues"
    if not_here := unasked(condition, emulated=emulated):
        return Check(what=what, state=State.NOTE, found=not_here)
    found, _, todo = condition.partition(": ")
    if found.startswith("Could not ask"):
        found, todo = condition, "It is not there, or you may not ask: deploy again, or look in the SES console."
    # Who sets SES up by hand knows of it; parked mail waits all the same.
    ours = receives or "DeadLetters" in found or "ProcessingFailures" in found
    return Check(what=what, state=State.WRONG if ours else State.NOTE, found=found, todo=todo)


def _documents(deployment: Deployment) -> Iterator[Check]:
    for document in (RULES, ROUTES, ACKNOWLEDGEMENT):
        pointer = Pointer(document, deployment.connection)
        key = pointer.history()[-1].key
        problems = pointer.problems(key)
        yield Check(
            what=document.name.capitalize(),
            state=State.WRONG if problems else State.FINE,
            found="; ".join([f"{'the built-in ones' if key == BUILTIN else key}", *problems]),
            todo=f"email-handler {document.name} push FILE, or {document.name} rollback" if problems else "",
        )


def _senders(deployment: Deployment) -> Iterator[Check]:
    client = deployment.client("lambda")
    for sender in SENDERS:
        with asking(deployment.connection.where):
            mappings = client.list_event_source_mappings(FunctionName=deployment.resources[sender])
        states = [mapping.get("State", "") for mapping in mappings["EventSourceMappings"]]
        if states != ["Enabled"]:
            yield Check(
                what=sender,
                state=State.WRONG,
                found=f"its queue's trigger is {' and '.join(states) or 'not there'}: jobs wait",
                todo="Enable the trigger in the Lambda console, or deploy again.",
            )


def _alarms(deployment: Deployment) -> Iterator[Check]:
    names = [name for logical, name in deployment.resources.items() if logical.endswith(("Errors", "Alarm"))]
    with asking(deployment.connection.where):
        found = deployment.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    logical = {name: key for key, name in deployment.resources.items()}
    ringing = [logical.get(alarm["AlarmName"], alarm["AlarmName"]) for alarm in found if alarm["StateValue"] == "ALARM"]
    for name in ringing:
        yield Check(what="Alarm", state=State.WRONG, found=name, todo=f"docs/runbook.md, {name}")
    if not ringing:
        yield Check(what="Alarms", state=State.FINE, found=f"none of {len(found)} is on")


def _topic(deployment: Deployment) -> Iterator[Check]:
    with asking(deployment.connection.where):
        pages = deployment.client("sns").get_paginator("list_subscriptions_by_topic")
        found = [
            subscription["SubscriptionArn"]
            for page in pages.paginate(TopicArn=deployment.resources["AlarmTopic"])
            for subscription in page["Subscriptions"]
        ]
    yield hearers(found, emulated=deployment.connection.emulated)


def hearers(subscriptions: Sequence[str], *, emulated: bool = False) -> Check:
    """Judge who hears of alarms: *subscriptions* are ARNs, or ``PendingConfirmation``."""
    if emulated and not subscriptions:
        return Check(what="Alarm mail", state=State.NOTE, found=f"{NOT_HERE}: an emulator writes to nobody")
    confirmed = [arn for arn in subscriptions if arn.startswith("arn:")]
    if confirmed:
        return Check(what="Alarm mail", state=State.FINE, found=f"{len(confirmed)} confirmed")
    if subscriptions:
        todo = "Confirm by the link in the mail from AWS Notifications (look among the spam as well)."
        return Check(what="Alarm mail", state=State.WRONG, found="the subscription is not confirmed", todo=todo)
    todo = "Deploy with the parameter AlarmEmail."
    return Check(what="Alarm mail", state=State.WRONG, found="nobody is told of alarms", todo=todo)


def _dns(deployment: Deployment) -> Iterator[Check]:
    dig = shutil.which("dig")
    for output in sorted(name for name in deployment.outputs if name.startswith("Dns")):
        name, kind, wanted = deployment.outputs[output].split(" ", 2)
        yield record(name, kind, wanted, look_up(dig, name, kind) if dig else None)


def look_up(dig: str, name: str, kind: str) -> list[str] | None:
    """Return the values that DNS has, None where no resolver answers."""
    command = [dig, "+short", "+time=2", "+tries=1", name, kind]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=DIG_SECONDS, check=False)  # noqa: S603  (a list, no shell)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if ran.returncode:
        return None
    return [line for line in ran.stdout.splitlines() if line and not line.startswith(";")]


def record(name: str, kind: str, wanted: str, values: Sequence[str] | None) -> Check:
    """Judge one DNS record: *values* are what DNS has, None where nobody could be asked."""
    told = f"{name} {kind} {wanted}"
    if values is None:
        return Check(what="DNS", state=State.NOTE, found="not looked up: no resolver answers", todo=f"Wanted: {told}")
    if kind == "TXT":  # what a domain says beyond that is its owner's business
        tag = wanted.strip('"').partition(";")[0].partition(" ")[0]
        there = any(value.replace('"', "").startswith(tag) for value in values)
        there = there and (tag != "v=spf1" or any("amazonses.com" in value for value in values))
    else:
        there = wanted.lower() in [value.rstrip(".").lower() for value in values]
    if there:
        return Check(what="DNS", state=State.FINE, found=told)
    found = f"{name} {kind} is {' and '.join(values) or 'not there'}"
    return Check(what="DNS", state=State.WRONG, found=found, todo=f"Set {told}")


QUESTIONS = (_stack, _receipt_rules, _ses, _documents, _senders, _alarms, _topic, _dns)


def _print(found: Sequence[Check]) -> None:
    width = max(len(check.what) for check in found)
    for check in found:
        before = Text.assemble((f"{check.state.value:5}  ", STYLES[check.state]), (f"{check.what:{width}}  ", "bold"))
        print_hanging(out, before, check.found)
        if check.todo:
            print_hanging(out, " " * before.cell_len, f"→ {check.todo}")
