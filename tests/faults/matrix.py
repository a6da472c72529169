"""The fault matrix: each AWS call of each function fails in each way; every run is finished and audited from outside.

``make faults`` prints it; ``make faults JSON=1`` ends with one line ``{"runs", "calls", "lost", "doubled", "marked",
"never_struck"}``. A call may come in another order or not at all if the machine is busy; then its run is repeated, and
what was never struck is listed.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.faults.rig import OWNER, PUBLIC, THREAD, Audit, Fault, Rig, World
from tests.faults.worker import KINDS
from tests.support.builders import mail

NEVER_STRUCK = "never struck"
ATTEMPTS = 3  # to strike one call

JANE = "Jane Doe <jane@customer.example>"


def first_contact(world: World) -> None:
    """Send a first message with an attachment: inbound, both senders, attachment."""
    files = [("list.csv", "text/csv", b"a,b\r\n1,2\r\n")]
    world.invoke(*world.store(mail(sender=JANE, subject="A question", attachments=files)))
    world.settle()


def _owner_reply(world: World, text: str = "Yes, we do.\r\n", verdicts: str = "") -> None:
    conversation = world.conversation()
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    raw = mail(
        sender=f"The Owner <{OWNER}>",
        to=thread,
        subject="Re: A question",
        text=text,
        message_id="<o1@private.example>",
    )
    world.invoke(*world.store(raw, to=thread, verdicts=verdicts))
    world.settle()


def follow_up(world: World) -> None:
    """Let the contact write again: inbound joins the conversation, no acknowledgement."""
    raw = mail(sender=JANE, subject="Re: A question", message_id="<m2@customer.example>", text="And one more thing.")
    world.invoke(*world.store(raw))
    world.settle()


def forged_reply(world: World) -> None:
    """Forge the owner: reply holds it, forward-sender sends the notice."""
    _owner_reply(world, verdicts="dmarc=GRAY spf=GRAY dkim=GRAY")


def spam(world: World) -> None:
    """Send a message that SES reports as spam: it is held, and nothing is sent."""
    world.invoke(*world.store(mail(sender="x@spam.example", message_id="<s@spam.example>"), verdicts="spam=FAIL"))
    world.settle()


def feedback(world: World) -> None:
    """Report by an event of SES that the acknowledgement bounced."""
    sent = next(one for one in world.sent() if one.sender == PUBLIC)
    detail = {
        "eventType": "Bounce",
        "mail": {"messageId": sent.ses_id},
        "bounce": {
            "bounceType": "Permanent",
            "bouncedRecipients": [{"emailAddress": sent.recipients[0], "status": "5.1.1"}],
        },
    }
    world.invoke("inbound", {"source": "aws.ses", "detail-type": "Email Bounced", "detail": detail})
    world.settle()


def release(world: World) -> None:
    """Release the held message: it is forwarded and acknowledged once."""
    receipt, _ = world.stored[-1]
    world.invoke("inbound", {"operator": {"do": "release", "receipt": receipt}})
    world.settle()


def reconciliation(world: World) -> None:
    """Let the reconciler find a message whose event never arrived."""
    world.store(mail(sender="kim@customer.example", message_id="<lost@customer.example>", text="Lost?"))
    world.moved += 8 * 3600
    world.invoke("inbound", {"reconcile": True})
    world.settle()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The steps that run before without faults, and the step whose calls fail."""

    before: tuple[Callable[[World], None], ...]
    act: Callable[[World], None]
    sends: int  # messages that are sent in the act without a fault


SCENARIOS = (
    Scenario(before=(), act=first_contact, sends=2),
    Scenario(before=(first_contact,), act=follow_up, sends=1),
    Scenario(before=(first_contact,), act=_owner_reply, sends=1),
    Scenario(before=(first_contact,), act=forged_reply, sends=1),
    Scenario(before=(), act=spam, sends=0),
    Scenario(before=(first_contact,), act=feedback, sends=0),
    Scenario(before=(spam,), act=release, sends=2),
    Scenario(before=(), act=reconciliation, sends=1),
)


class NeverStruck(Exception):
    """The function made other calls than before, so the fault did not occur."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One scenario with one fault, and its audit."""

    scenario: str
    fault: Fault
    audit: Audit | None  # None if the fault never occurred

    @property
    def outcome(self) -> str:
        """Return the outcome as one word or two."""
        if self.audit is None:
            return NEVER_STRUCK
        if self.audit.lost:
            return "lost"
        if self.audit.doubled:
            return "doubled"
        for word in ("marked", "unknown", "dead_lettered"):
            if getattr(self.audit, word):
                return word
        return "ok"


def name(scenario: Scenario) -> str:
    """Return the scenario's name."""
    return scenario.act.__name__.strip("_").replace("_", " ")


def play(rig: Rig, scenario: Scenario, fault: Fault | None) -> tuple[dict[str, list[str]], Audit]:
    """Play *scenario* in a new world with *fault* in its act; return the calls by function, and the audit.

    Raise NeverStruck if the fault did not occur, and AssertionError if a message was neither sent nor recorded as unsent.
    """
    with rig.world() as world:
        for step in scenario.before:
            step(world)
        world.calls.clear()
        before = len(world.sent())
        world.fault = fault
        scenario.act(world)
        if fault is not None and world.fault is not None:
            raise NeverStruck(str(fault))
        audit = world.audit()
        gave_up = tuple(f"{failure['function']} gave up" for failure in world.failures)
        audit = replace(audit, lost=audit.lost + gave_up)
        missing = scenario.sends - (audit.sent - before) - audit.dead_lettered - audit.unknown
        if missing > 0:
            raise AssertionError(
                f"{name(scenario)}, {fault}: {missing} messages were neither sent nor recorded as unsent"
            )
        return world.calls, audit


def strike(rig: Rig, scenario: Scenario, fault: Fault) -> Run:
    """Play *scenario* with *fault*, again in a new world if it did not occur, up to :data:`ATTEMPTS` times."""
    for _ in range(ATTEMPTS):
        try:
            return Run(scenario=name(scenario), fault=fault, audit=play(rig, scenario, fault)[1])
        except NeverStruck:
            continue
    return Run(scenario=name(scenario), fault=fault, audit=None)


def faults(calls: dict[str, list[str]], kinds: tuple[str, ...] = KINDS) -> Iterator[Fault]:
    """Yield every fault for every one of *calls*."""
    for function, labels in calls.items():
        for label in labels:
            for kind in kinds:
                if kind != "rejected" or label.startswith("sesv2."):
                    yield Fault(function=function, call=label, kind=kind)


def run(rig: Rig, scenarios: tuple[Scenario, ...] = SCENARIOS, *, quiet: bool = False) -> list[Run]:
    """Play each scenario once to list its calls, then once for each fault of each call."""
    runs: list[Run] = []
    for scenario in scenarios:
        calls, audit = play(rig, scenario, None)
        assert not audit.lost, audit
        assert not audit.doubled, audit
        planned = list(faults(calls))
        shown = track(planned, description=f"{name(scenario):16}", console=Console(stderr=True), disable=quiet)
        runs.extend(strike(rig, scenario, fault) for fault in shown)
    return runs


def table(runs: list[Run]) -> Table:
    """Return the matrix: a row for each call, a column for each fault."""
    shown = Table("Function", "Call", *KINDS, title="function x call x fault -> outcome")
    rows: dict[tuple[str, str], dict[str, Counter[str]]] = {}
    for one in runs:
        cells = rows.setdefault((one.fault.function, one.fault.call), {})
        cells.setdefault(one.fault.kind, Counter())[one.outcome] += 1
    for (function, call), cells in sorted(rows.items()):
        words = [", ".join(sorted(cells.get(kind, {}))) for kind in KINDS]
        shown.add_row(function, call, *words)
    return shown


def main() -> None:
    """Run everything, print the matrix, and exit with 1 if anything was lost or doubled."""
    as_json = "--json" in sys.argv
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder))
        try:
            runs = run(rig, quiet=as_json)
        finally:
            rig.close()
    outcomes = Counter(one.outcome for one in runs)
    calls = len({(one.scenario, one.fault.function, one.fault.call) for one in runs})
    bad = [one for one in runs if one.outcome in ("lost", "doubled")]
    missed = [one for one in runs if one.audit is None]
    if not as_json:
        console = Console(width=160)
        console.print(table(runs))
        for one in bad:
            console.print(f"{one.scenario}, {one.fault}: {one.audit and (one.audit.lost or one.audit.doubled)}")
        for one in missed:
            console.print(f"{one.scenario}, {one.fault}: never struck in {ATTEMPTS} runs")
        console.print(
            f"{len(runs)} runs over {calls} calls: "
            + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        )
    print(  # noqa: T201 - scripts read this line
        json.dumps(
            {
                "runs": len(runs),
                "calls": calls,
                "lost": outcomes["lost"],
                "doubled": outcomes["doubled"],
                "marked": sum(one.audit.marked for one in runs if one.audit),
                "never_struck": len(missed),
            }
        )
    )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
