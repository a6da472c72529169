"""``email-handler activate``: make the stack's receipt rule set the active one in SES, which CloudFormation cannot.

SES has one active rule set for an account and region, and other email systems may depend on it.
"""

from typing import Annotated, Any

import typer

from cli.options import AsJson, Endpoint, Stack
from cli.terminal import print_result
from operations.connection import aws_errors, connect
from operations.errors import CommandError

Replace = Annotated[bool, typer.Option(help="Even if another rule set with rules is active.")]


def activate(replace: Replace = False, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Make this stack's receipt rules the active ones in SES.

    Refuses if another rule set is in use, and shows how to merge the two.
    """
    connection = connect(stack, endpoint)
    ours = connection.outputs.get("RuleSet")
    if not ours:
        raise CommandError(f"{connection.where} has no receipt rules: it is deployed with ReceiveMail=false")
    with aws_errors(connection.where):
        before = make_active(connection.session.client("ses"), ours, replace=replace)
    state = "active already" if before == ours else f"active (before: {before or 'none'}). Next: email-handler doctor"
    print_result({"active": ours, "before": before}, f"{ours} is {state}", as_json=as_json)


def make_active(ses: Any, ours: str, *, replace: bool) -> str:
    """Make *ours* the active rule set and return the one before, "" for none. *ses* is boto3's v1 client.

    Raises CommandError if another one with rules is active, unless *replace*.
    """
    active = ses.describe_active_receipt_rule_set()
    name: str = (active.get("Metadata") or {}).get("Name", "")
    rules = [rule["Name"] for rule in active.get("Rules", ())]
    if name == ours:
        return name
    if name and rules and not replace:
        raise CommandError(
            f"the rule set {name} is active and has rules ({', '.join(rules)}): another email system may need them. "
            f"To have both, copy its rules to {ours}, after our two: aws ses describe-receipt-rule-set "
            f"--rule-set-name {name}, then aws ses create-receipt-rule --rule-set-name {ours} --after inbound --rule … "
            f"for each. Then, or if nothing needs them: email-handler activate --replace"
        )
    ses.set_active_receipt_rule_set(RuleSetName=ours)
    return name
