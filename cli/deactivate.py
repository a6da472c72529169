"""``email-handler deactivate``: stop receiving, and wait for what was received: what comes before deleting a stack.

CloudFormation cannot delete a receipt rule set while it is the active one, and a deleted queue takes its jobs with it.
"""

import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from cli.options import AsJson, Endpoint, Stack
from cli.terminal import fail_if, print_note, print_result
from operations.connection import aws_errors, connect, resources

PAUSE = 5.0  # seconds between two looks; SQS counts approximately
QUIET = 3  # looks in a row that find nothing
_COUNTS = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
]

Minutes = Annotated[int, typer.Option("--wait", min=0, help="Minutes to wait for the queues.")]


def deactivate(wait: Minutes = 10, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Stop receiving, then wait until the queues are empty: do this before you delete the stack.

    From then on SES refuses email to the domain, and the sending server tells its sender. The exit code is 1 if jobs
    are left.
    """
    connection = connect(stack, endpoint)
    ids = resources(connection)
    with aws_errors(connection.where):
        stopped, left = stop(connection.session, ids, connection.outputs.get("RuleSet", ""), wait)
    found = " and ".join(f"{number} in {name}" for name, number in left.items())
    text = (
        f"Left: {found}. Finish them with email-handler redrive, or lose them with the stack"
        if left
        else "The queues are empty. Next: email-handler uninstall (docs/deploy.md, Leaving)"
    )
    print_result({"deactivated": stopped, "left": left}, text, as_json=as_json)
    fail_if(left)


def stop(session: Any, ids: Mapping[str, str], rule_set: str, wait: int) -> tuple[str, dict[str, int]]:
    """Make *rule_set* inactive, and wait up to *wait* minutes for the queues among the resources *ids*.

    Return the rule set if it was active, and how many jobs are left, by queue. Raises botocore's errors (aws_errors).
    """
    stopped = make_inactive(session.client("ses"), rule_set)
    print_note(f"{stopped} is no longer active." if stopped else "This stack's rule set is not active.", "dim")
    sqs = session.client("sqs")
    urls = {name: ids[name] for name in ids if name.endswith("Queue")}
    looks = max(QUIET, round(wait * 60 / PAUSE)) if wait else 1
    waiting = drain(sqs, urls, looks=looks, pause=lambda: time.sleep(PAUSE if wait else 0))
    dead = counts(sqs, {name: url for name, url in ids.items() if name.endswith(("DeadLetters", "Failures"))})
    return stopped, {**waiting, **dead}


def make_inactive(ses: Any, ours: str) -> str:
    """Make no rule set active if *ours* is, and return its name, else "". *ses* is boto3's v1 client."""
    active = (ses.describe_active_receipt_rule_set().get("Metadata") or {}).get("Name", "")
    if not ours or active != ours:
        return ""
    ses.set_active_receipt_rule_set()
    return ours


def drain(sqs: Any, urls: Mapping[str, str], *, looks: int, pause: Callable[[], object]) -> dict[str, int]:
    """Wait until the queues *urls* (by name) are empty several looks in a row, or for *looks*; return what is left."""
    left: dict[str, int] = {}
    quiet = 0
    for look in range(looks):
        if look:
            pause()
        left = counts(sqs, urls)
        quiet = 0 if left else quiet + 1
        if quiet == QUIET:
            break
    return left


def counts(sqs: Any, urls: Mapping[str, str]) -> dict[str, int]:
    """Return how many messages each of the queues *urls* holds, without empty ones."""
    found = {}
    for name, url in sorted(urls.items()):
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=_COUNTS).get("Attributes", {})
        found[name] = sum(int(attributes.get(count, 0)) for count in _COUNTS)
    return {name: number for name, number in found.items() if number}
