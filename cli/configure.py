"""``email-handler configure``: ask for everything that a deployment needs, check it, keep it, and deploy."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.account import Account
from cli.checks import print_checks
from cli.deploy import STDERR, environment_named
from cli.findings import Finding, Names, Observed, findings
from cli.options import AsJson, DryRun, Endpoint, Server
from cli.parameters import Answers, assignments, listed, mistakes
from cli.questions import ask, confirm, offer
from cli.terminal import print_note, print_result
from cloud import ARCHITECTURE, PROJECT, template
from operations.dns import Dns
from operations.errors import CommandError

Environment = Annotated[str, typer.Option("--env", help="prod or dev: its name, protection and logs (samconfig.toml).")]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing: use the stored answers and --set.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Answer or change a setting, such as Domain=example.com. Repeatable.", show_default=False
    ),
]
Despite = Annotated[bool, typer.Option("--despite", help="Deploy although something is wrong.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is configured: one stack in one account."""

    source: Mapping[str, Any]  # template.yaml
    settings: Mapping[str, Any]  # samconfig.toml's, of the environment
    account: Account
    dns: Dns
    endpoint: str

    @property
    def stack(self) -> str:
        """The stack's name."""
        return str(self.settings["stack_name"])

    @property
    def answers(self) -> Answers:
        """Where the answers are kept."""
        return Answers(self.stack, self.account.number, self.account.region)

    def known(self) -> dict[str, str]:
        """Return what is known before anything is asked. Raises CommandError."""
        configured = assignments(self.settings.get("parameter_overrides", ()))
        deployed = self.account.deployed(self.stack)
        deployed = {name: value for name, value in deployed.items() if name in self.source["Parameters"]}
        emulated = {"ReceiveMail": "false", "EndpointUrl": self.endpoint, "Architecture": ARCHITECTURE}
        return {**configured, **deployed, **self.answers.load(), **(emulated if self.endpoint else {})}

    def look(self, values: Mapping[str, str]) -> tuple[list[Finding], Observed]:
        """Return what would come of *values*, and what that was concluded from. Raises CommandError."""
        seen = self.account.observe(self.stack, values, self.dns)
        return findings(values, seen), seen

    def improved(self, values: dict[str, str], refused: set[str]) -> dict[str, str]:
        """Offer settings that would mend what is found, except those *refused*; return *values* with the accepted."""
        while changes := offer(self.look(values)[0], refused):
            values = values | changes
            self.answers.keep(values)
        return values


def configure(
    env: Environment = "prod",
    yes: Yes = False,
    set_: Settings = None,
    despite: Despite = False,
    dry_run: DryRun = False,
    endpoint: Endpoint = "",
    dns: Server = "",
    as_json: AsJson = False,
) -> None:
    """Ask for what a deployment needs, check it against your AWS account and DNS, and deploy.

    Nothing is created before you have seen what was found and agreed. The answers stay outside the repository, in a
    file for your user alone, and `make deploy` uses them from then on.
    """
    ours = installation(env, endpoint, dns)
    given = assignments(set_ or ())
    values = ours.known() | given
    if not yes:
        print_note(f"{ours.stack} in {ours.account.place}. Enter takes what is in brackets, - is nothing.", "bold")
        values = ask(ours.source, values)
    for name, text in mistakes(ours.source, values).items():
        raise CommandError(f"{name}: {text}. Give it with --set {name}=…")
    ours.answers.keep(values)
    if not yes:
        values = ours.improved(values, set(given))
    found, seen = ours.look(values)
    wrong = print_checks(found, as_json=as_json)
    for line in plan(ours.source, values, seen):
        print_note(line)
    print_note(f"Your answers are in {ours.answers.path}, for you alone.", "dim")
    if wrong and not despite:
        raise CommandError(
            f"{wrong} to fix first; nothing was created. Then run this again (--despite deploys anyway)."
        )
    if dry_run or not (yes or confirm(f"Deploy {ours.stack} now?")):
        print_note(f"Nothing was created. Later: make deploy ENV={env}", "dim")
        return
    if code := run_deploy(env, endpoint, quiet=as_json):
        raise CommandError(f"the deployment ended with code {code}: its last lines say why. Then run this again.")
    following = next_steps(values, ours.stack)
    print_result({"deployed": ours.stack, "next": following}, "\n".join(following), as_json=as_json)


def installation(environment: str, endpoint: str, server: str) -> Installation:
    """Return what is configured, before anything is known about it. Raises CommandError."""
    if environment == "local":
        raise CommandError("the local cloud needs no answers: email-handler local up")
    return Installation(
        source=template.read(PROJECT / "template.yaml"),
        settings=environment_named(environment),
        account=Account.of(endpoint),
        dns=Dns(server),
        endpoint=endpoint,
    )


def plan(source: Mapping[str, Any], values: Mapping[str, str], seen: Observed) -> Iterator[str]:
    """Yield what will be there after the deployment, in lines that name nothing private."""
    kinds = [resource["Type"] for resource in source["Resources"].values()]
    functions, queues = kinds.count("AWS::Serverless::Function"), kinds.count("AWS::SQS::Queue")
    names, mailboxes = Names.of(values), len(listed(values["ForwardTo"]))
    verb = "is updated" if seen.deployed else "is created"
    yield f"What {verb}: {seen.stack} in {seen.region} with {functions} functions, {queues} queues, a table and a bucket."
    yield f"  Received: {', '.join(listed(values['PublicAddresses']))}; replies to {names.thread}"
    yield f"  Forwarded to: {mailboxes} private {'mailbox' if mailboxes == 1 else 'mailboxes'}"
    yield f"  Never shown: {len(listed(values.get('HiddenTerms', '')))} terms, besides the private addresses"
    yield f"  Alarms: {'by email' if values.get('AlarmEmail') else 'not emailed'}"
    zone = values.get("HostedZoneId")
    if values.get("ReceiveMail") != "false":
        yield f"  DNS: {f'set in {zone}' if zone else 'you set the records that the outputs Dns… list'}"
    yield f"  Table: {'protected from deletion' if values.get('DeletionProtection') == 'true' else 'not protected'}"


def next_steps(values: Mapping[str, str], stack: str) -> list[str]:
    """Return what remains to be done by hand, in order."""
    if values.get("ReceiveMail") == "false":
        return []
    steps = (
        [] if values.get("HostedZoneId") else [f"Set the DNS records: .venv/bin/email-handler doctor --stack {stack}"]
    )
    if values.get("AlarmEmail"):
        steps.append("Confirm the email in which AWS asks whether it may send alarms.")
    return [*steps, f"Once doctor finds DKIM fine: .venv/bin/email-handler activate --stack {stack}"]


def run_deploy(environment: str, endpoint: str, *, quiet: bool) -> int:
    """Run ``make deploy``, which uses the stored answers; return its exit code. SAM's own question was asked already.

    *quiet* leaves stdout alone: what make and SAM print goes to stderr.
    """
    command = ["make", "deploy", f"ENV={environment}", "ARGS=--no-confirm-changeset"]
    settings = dict(os.environ)
    if endpoint:
        settings |= {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
        settings |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    return subprocess.run(command, cwd=PROJECT, env=settings, stdout=STDERR if quiet else None, check=False).returncode  # noqa: S603  (a list, no shell)
