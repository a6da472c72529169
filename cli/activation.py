"""``email-handler activate``: make the stack's receipt rules those that SES goes by. CloudFormation cannot.

SES has one active rule set for an account and region, and other mail systems may live in it.
"""

from typing import Annotated, Any

import typer

from cli.connection import Endpoint, Stack, connect
from cli.deployment import asking, stack
from cli.terminal import AdminError, AsJson, err, print_json


def activate(
    replace: Annotated[bool, typer.Option(help="Even where another rule set with rules is active.")] = False,
    stack_name: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Let SES go by this stack's receipt rules. Refuses where another rule set is in use, and tells how to merge."""
    connection = connect(stack_name, endpoint)
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack(connection).get("Outputs", ())}
    if "RuleSet" not in outputs:
        raise AdminError(f"{connection.where} has no receipt rules: it is deployed with ReceiveMail=false")
    with asking(connection.where):
        before = make_active(connection.session.client("ses"), outputs["RuleSet"], replace=replace)
    if as_json:
        print_json({"active": outputs["RuleSet"], "before": before})
    elif before == outputs["RuleSet"]:
        err.print(f"{before} is active already.", markup=False)
    else:
        err.print(
            f"{outputs['RuleSet']} is active (before: {before or 'none'}). Next: email-handler doctor", markup=False
        )


def make_active(ses: Any, ours: str, *, replace: bool) -> str:
    """Make the rule set *ours* the active one and return what was, "" for none. *ses* is boto3's v1 client.

    Raises AdminError where another one with rules is active, unless *replace*.
    """
    active = ses.describe_active_receipt_rule_set()
    name: str = (active.get("Metadata") or {}).get("Name", "")
    rules = [rule["Name"] for rule in active.get("Rules", ())]
    if name == ours:
        return name
    if name and rules and not replace:
        raise AdminError(
            f"the rule set {name} is active and has rules ({', '.join(rules)}): another mail system may live by it. "
            f"To have both, make its rules anew in {ours}, after our two: aws ses describe-receipt-rule-set "
            f"--rule-set-name {name}, then aws ses create-receipt-rule --rule-set-name {ours} --after inbound --rule … "
            f"for each. Then, or if it is not needed: email-handler activate --replace"
        )
    ses.set_active_receipt_rule_set(RuleSetName=ours)
    return name
