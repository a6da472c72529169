"""What a deployment needs to receive and send emails, and what to do if something is missing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from email_handler.adapters.ses_state import receiving_condition
from operations.checks import Check, State, check
from operations.connection import Connection, aws_errors
from operations.dns import Dns, asks_strict_alignment
from operations.documents import BUILTIN, BY_NAME, LEARNED, Pointer
from operations.errors import CommandError

type Question = Callable[[Connection, Mapping[str, str]], Iterator[Check]]

NOT_HERE = "cannot be checked here"
SENDERS = ("AckSenderFunction", "ForwardSenderFunction", "ReplySenderFunction")


def questions(dns: Dns) -> tuple[Question, ...]:
    """Return the questions about a deployment, in the order of their answers. *dns* is asked for its records."""
    return (
        _stack,
        _receipt_rules,
        _ses,
        _documents,
        _senders,
        _alarms,
        _topic,
        partial(_dns, dns),
    )


def answers(ask: Callable[[], Iterator[Check]]) -> list[Check]:
    """Return the checks of one question, or a note if AWS did not answer it."""
    try:
        return list(ask())
    except CommandError as error:
        return [Check("AWS", State.NOTE, str(error), "Look in the AWS console.")]


def unavailable(condition: str, *, emulated: bool) -> str:
    """Return a note if *condition* (of Health) is only a question that an emulator cannot answer, else ""."""
    question = condition.removeprefix("Could not ask ")
    return f"{NOT_HERE}: SES's {question}" if emulated and question != condition else ""


def _stack(connection: Connection, _ids: Mapping[str, str]) -> Iterator[Check]:
    done = connection.status.endswith("_COMPLETE") and "ROLLBACK" not in connection.status
    todo = "CloudFormation's events show what failed; deploy again (docs/deploy.md)."
    yield check("Stack", connection.status, fine=done, todo=todo)


def _receives(connection: Connection) -> bool:
    """Return whether the stack sets up SES (``ReceiveMail``)."""
    return connection.parameters.get("ReceiveMail") == "true"


def _receipt_rules(connection: Connection, _ids: Mapping[str, str]) -> Iterator[Check]:
    ours = connection.outputs.get("RuleSet", "")
    if not ours:
        yield Check("Receiving", State.NOTE, "ReceiveMail is false: this stack does not set up SES and DNS")
        return
    with aws_errors(connection.where):
        active = connection.session.client("ses").describe_active_receipt_rule_set()
    yield check_rule_set(ours, active)


def check_rule_set(ours: str, active: Mapping[str, Any]) -> Check:
    """Check which receipt rule set is active: *active* is SES's response."""
    if wrong := receiving_condition(ours, active):
        return Check("Receiving", State.WRONG, wrong.found, wrong.todo)
    return Check("Receiving", State.FINE, f"The rule set {ours} is active")


def _ses(connection: Connection, ids: Mapping[str, str]) -> Iterator[Check]:
    from email_handler.adapters.health import AwsHealth  # noqa: PLC0415  (boto3, see operations.connection)

    client = connection.session.client
    with aws_errors(connection.where):
        configuration = client("lambda").get_function_configuration(FunctionName=ids["InboundFunction"])
    settings = configuration["Environment"]["Variables"]
    health = AwsHealth(
        client("sesv2"),
        client("sqs"),
        domain=settings["DOMAIN"],
        mailboxes=settings["FORWARD_TO"].split(","),
        dead_letter_queue_urls=settings["DEAD_LETTER_QUEUE_URLS"].split(","),
    )
    conditions = health.conditions()
    for condition in conditions:
        yield check_condition(condition, receives=_receives(connection), emulated=connection.emulated)
    if not conditions:
        fine = "sending is on, the domain is verified, MAIL FROM is set, nothing is dead-lettered"
        yield Check("SES and queues", State.FINE, fine)
    if _receives(connection):
        with aws_errors(connection.where):
            identity = client("sesv2").get_email_identity(EmailIdentity=settings["DOMAIN"])
        status = (identity.get("DkimAttributes") or {}).get("Status", "unknown")
        todo = "Set the three CNAME records below; SES looks for up to 72 hours."
        yield check("DKIM", status, fine=status == "SUCCESS", todo=todo)


def check_condition(condition: str, *, receives: bool, emulated: bool) -> Check:
    """Rate a condition that Health reported; *receives* is whether the stack sets up SES."""
    if note := unavailable(condition, emulated=emulated):
        return Check("SES and queues", State.NOTE, note)
    found, _, todo = condition.partition(": ")
    if found.startswith("Could not ask"):
        found, todo = condition, "It is missing, or you lack the permission: deploy again, or see the SES console."
    # Without ReceiveMail the operator sets up SES and knows its state, but dead letters wait all the same.
    serious = receives or "DeadLetters" in found or "ProcessingFailures" in found
    return Check("SES and queues", State.WRONG if serious else State.NOTE, found, todo)


def _documents(connection: Connection, _ids: Mapping[str, str]) -> Iterator[Check]:
    for document in (*BY_NAME.values(), LEARNED):
        pointer = Pointer(document, connection)
        key = pointer.history()[-1].key
        problems = pointer.problems(key)
        none = "nothing yet" if document is LEARNED else "the built-in ones"
        found = "; ".join([none if key == BUILTIN else key, *problems])
        todo = f"email-handler {document.name} push FILE, or {document.name} rollback"
        todo = "email-handler learn rollback, or learn off" if document is LEARNED else todo
        yield check(document.name.capitalize(), found, fine=not problems, todo=todo)


def _senders(connection: Connection, ids: Mapping[str, str]) -> Iterator[Check]:
    client = connection.session.client("lambda")
    for sender in SENDERS:
        with aws_errors(connection.where):
            mappings = client.list_event_source_mappings(FunctionName=ids[sender])
        states = [mapping.get("State", "") for mapping in mappings["EventSourceMappings"]]
        if states != ["Enabled"]:
            found = f"the trigger of its queue is {' and '.join(states) or 'missing'}: jobs wait"
            yield Check(sender, State.WRONG, found, "Enable the trigger in the Lambda console, or deploy again.")


def _alarms(connection: Connection, ids: Mapping[str, str]) -> Iterator[Check]:
    alarms = {name: logical for logical, name in ids.items() if logical.endswith(("Errors", "Alarm"))}
    with aws_errors(connection.where):
        found = connection.session.client("cloudwatch").describe_alarms(AlarmNames=list(alarms))["MetricAlarms"]
    on = [alarms.get(alarm["AlarmName"], alarm["AlarmName"]) for alarm in found if alarm["StateValue"] == "ALARM"]
    for name in on:
        yield Check("Alarm", State.WRONG, name, f"docs/runbook.md, {name}")
    if not on:
        yield Check("Alarms", State.FINE, f"none of {len(found)} is on")


def _topic(connection: Connection, ids: Mapping[str, str]) -> Iterator[Check]:
    with aws_errors(connection.where):
        pages = connection.session.client("sns").get_paginator("list_subscriptions_by_topic")
        found = [
            subscription["SubscriptionArn"]
            for page in pages.paginate(TopicArn=ids["AlarmTopic"])
            for subscription in page["Subscriptions"]
        ]
    yield check_subscriptions(found, emulated=connection.emulated)


def check_subscriptions(subscriptions: Sequence[str], *, emulated: bool = False) -> Check:
    """Check that alarms reach somebody: *subscriptions* are ARNs, or ``PendingConfirmation``."""
    what = "Alarm mail"  # scripts find it by this name
    if emulated and not subscriptions:
        return Check(what, State.NOTE, f"{NOT_HERE}: an emulator sends no emails")
    if confirmed := [arn for arn in subscriptions if arn.startswith("arn:")]:
        return Check(what, State.FINE, f"{len(confirmed)} confirmed")
    if subscriptions:
        todo = "Follow the link in the email from AWS Notifications (look in the spam folder as well)."
        return Check(what, State.WRONG, "the subscription is not confirmed", todo)
    return Check(what, State.WRONG, "alarms reach nobody", "Deploy with the parameter AlarmEmail.")


def _dns(dns: Dns, connection: Connection, _ids: Mapping[str, str]) -> Iterator[Check]:
    for output in sorted(name for name in connection.outputs if name.startswith("Dns")):
        name, kind, wanted = connection.outputs[output].split(" ", 2)
        yield check_record(name, kind, wanted, dns.values(name, kind))


def check_record(name: str, kind: str, wanted: str, values: Sequence[str] | None) -> Check:
    """Check one DNS record: *values* are those that DNS has, None if no resolver answered."""
    expected = f"{name} {kind} {wanted}"
    if values is None:
        return Check("DNS", State.NOTE, "not checked: no resolver answers", f"Expected: {expected}")
    if kind == "TXT":  # the rest of the record is the choice of the domain's owner
        tag = wanted.strip('"').partition(";")[0].partition(" ")[0]
        there = any(value.replace('"', "").startswith(tag) for value in values)
        there = there and (tag != "v=spf1" or any("amazonses.com" in value for value in values))
        there = there and ("adkim=r" not in wanted or not any(map(asks_strict_alignment, values)))
    else:
        there = wanted.lower() in [value.rstrip(".").lower() for value in values]
    found = expected if there else f"{name} {kind} is {' and '.join(values) or 'missing'}"
    return check("DNS", found, fine=there, todo=f"Set {expected}")
