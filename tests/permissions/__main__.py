"""``make permissions``: proves that the template's policies allow what AWS is asked, and nothing else.

The argument is the folder with the recorded calls; ``--json`` prints only the last line, which is JSON.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from tests.permissions.calls import Call, needs
from tests.permissions.commands import policies, unrecorded
from tests.permissions.policies import Authorisation
from tests.permissions.proof import Proof, prove
from tests.permissions.recording import read_calls
from tests.permissions.stack import TLS, Stack, transformed

NO_SUCH_STACK = "ValidationError"
"""CloudFormation's answer about a stack that is not there: nobody needs to be allowed to ask about it."""


def authorisations(calls: Iterable[Call], stack: Stack) -> Counter[Authorisation]:
    """Return what IAM is asked about *calls*, and how often."""
    found: Counter[Authorisation] = Counter()
    for call in calls:
        function = call.caller.endswith("Function")
        attached = frozenset({stack.role_of(call.caller)}) if function else policies(call.caller)
        for action, resource, context in needs(call):
            found[
                Authorisation(
                    caller=call.caller,
                    policies=attached,
                    action=action,
                    resource=resource,
                    context=(*context.items(), *TLS.items()),
                    allowed=call.error != NO_SUCH_STACK,
                )
            ] += 1
    return found


def report(proof: Proof, unproven: Iterable[str], console: Console) -> None:
    """Print what is wrong, one thing a line."""
    for one in proof.denied:
        context = ", ".join(f"{key} {value}" for key, value in one.context)
        what = "denied" if one.allowed else "allowed, though a policy should deny it"
        console.print(f"[red]{what}[/]: {one.caller}: {one.action} on {one.resource} ({context})", highlight=False)
    for allowed in proof.unused:
        console.print(f"[red]unused[/]: {allowed}", highlight=False)
    for statement in proof.unnoticed:
        console.print(f"[red]not missed[/]: {statement}: every answer is the same without it", highlight=False)
    for command in unproven:
        console.print(f"[red]not recorded[/]: no test runs email-handler {command} against the stack", highlight=False)


def main() -> None:
    """Prove, print, and exit with 1 unless everything is proven."""
    folder, *options = sys.argv[1:]
    calls = list(read_calls(Path(folder)))
    stack = Stack(transformed())
    asked = authorisations(calls, stack)
    services = list(stack.services())
    proof = prove(stack.statements, [*asked, *services])
    unproven = unrecorded(call.caller for call in calls)
    console = Console(width=240, soft_wrap=True)
    if "--json" not in options:
        report(proof, unproven, console)
        console.print(
            f"{len(calls)} calls of {len({call.caller for call in calls})} functions and commands, and "
            f"{len(services)} of AWS's services, asked {proof.asked} different questions of {len(stack.statements)} statements."
        )
    elif not proof.proven or unproven:
        report(proof, unproven, Console(stderr=True, width=240, soft_wrap=True))
    print(  # noqa: T201 - scripts read this line
        json.dumps(
            {
                "calls": len(calls),
                "authorisations": asked.total() + len(services),
                "denied": len(proof.denied),
                "unused": len(proof.unused),
                "statements": len(stack.statements),
                "noticed": len(stack.statements) - len(proof.unnoticed),
            }
        )
    )
    sys.exit(0 if proof.proven and not unproven else 1)


if __name__ == "__main__":
    main()
