"""``email-handler configure`` and ``deactivate``: the conversation, what an account says, and what is deployed."""

import json
import os
import pty
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.configure import next_steps, plan
from cli.deactivate import QUIET, drain, make_inactive
from cli.deploy import sam_deploy
from cli.findings import Observed
from cli.main import app
from cli.parameters import Answers
from cloud import ACCOUNT, ARCHITECTURE, REGION
from cloud.clients import Clients
from tests.cli.test_command import COMMAND
from tests.support.name_server import serving
from tests.support.stack import PROJECT, TEMPLATE

SECRETS = ("me@private.example", "Jane Doe", "+1 555 0100")
DNS = {
    (f"inbound-smtp.{REGION}.amazonaws.com", "A"): ["192.0.2.1"],
    ("example.com", "NS"): ["ns.dns.example."],
    ("_dmarc.private.example", "TXT"): ['"v=DMARC1; p=reject"'],
}
SETTINGS = {
    "Domain": "example.com",
    "PublicAddresses": "contact@example.com",
    "ForwardTo": "me@private.example",
    "HiddenTerms": "Jane Doe,+1 555 0100",
    "ReceiveMail": "true",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the command a home, and a ``make`` that only writes down its arguments."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    make = tmp_path / "bin/make"
    make.parent.mkdir()
    make.write_text(f'#!/bin/sh\necho built; echo "$AWS_ENDPOINT_URL $@" >> "{tmp_path}/made"\n')
    make.chmod(0o755)
    monkeypatch.setenv("PATH", f"{make.parent}:{os.environ['PATH']}")
    return tmp_path


def made(home: Path) -> list[str]:
    """Return what ``make`` was called with."""
    return (home / "made").read_text().splitlines() if (home / "made").exists() else []


def kept(home: Path) -> dict[str, str]:
    (path,) = home.rglob(f"email-handler-{ACCOUNT}-{REGION}.json")
    return dict(json.loads(path.read_text()))


@pytest.fixture
def planted(clients: Clients) -> Iterator[Any]:
    """Let SES have an identity for the domain, and another system's rule set that is active."""
    ses = clients.client("ses")
    clients.sesv2.create_email_identity(EmailIdentity="example.com")
    ses.create_receipt_rule_set(RuleSetName="desk")
    ses.create_receipt_rule(RuleSetName="desk", Rule={"Name": "tickets"})
    ses.set_active_receipt_rule_set(RuleSetName="desk")
    yield ses
    ses.set_active_receipt_rule_set()
    ses.delete_receipt_rule_set(RuleSetName="desk")
    clients.sesv2.delete_email_identity(EmailIdentity="example.com")


def without_questions(
    clients: Clients, server: str, *more: str, **changed: str
) -> tuple[int, list[dict[str, Any]], str]:
    """Run configure without questions; return its exit code, its lines of JSON, and what else it says."""
    settings = [f"--set={name}={value}" for name, value in (SETTINGS | changed).items()]
    arguments = ["configure", "--yes", "--json", "--endpoint", clients.endpoint, "--dns", server, *settings, *more]
    ran = CliRunner().invoke(app, arguments)
    return ran.exit_code, [json.loads(line) for line in ran.stdout.splitlines()], f"{ran.stderr}{ran.exception}"


@pytest.mark.cloud
@pytest.mark.usefixtures("planted")
def test_planted_faults_of_an_account_are_found_before_anything_is_created(clients: Clients, home: Path) -> None:
    route53 = clients.client("route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="planted")["HostedZone"]["Id"]
    record = {"Name": "thread.example.com", "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": "a.example"}]}
    changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)
    clients.cloudformation.create_stack(StackName="email-handler-dev", TemplateBody=json.dumps(_another_installation()))
    strict = {
        ("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=reject; adkim=s"'],
        ("example.com", "MX"): ["1 mx.example.net."],
    }
    try:
        with serving(DNS | strict) as server:
            code, lines, text = without_questions(clients, server, HostedZoneId=zone.rpartition("/")[2])
    finally:
        clients.cloudformation.delete_stack(StackName="email-handler-dev")
        route53.change_resource_record_sets(
            HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "DELETE", "ResourceRecordSet": record}]}
        )
        route53.delete_hosted_zone(Id=zone)

    wrong = {(line["what"], line["found"].partition(":")[0]) for line in lines if line["state"] == "wrong"}
    assert wrong == {
        ("Other installation", "the stack email-handler-dev (mail.example.org) is in this account and region"),
        ("Receipt rules", "the rule set desk is active and has rules (tickets)"),
        ("Identity", "SES has an identity example.com already"),
        ("Route 53", f"DNS asks other name servers for example.com than those of {zone.rpartition('/')[2]}"),
        ("Route 53", "the zone has a record thread.example.com MX already"),
        ("MX", "example.com receives its email elsewhere (mx.example.net)"),
        ("DMARC", "example.com has a record"),
    }
    assert all(line["todo"] for line in lines if line["state"] == "wrong")
    assert {"SES", "Lambda", "Stack", "Region"} <= {line["what"] for line in lines if line["state"] != "wrong"}
    assert code == 1
    assert "7 to fix first; nothing was created" in text
    assert made(home) == []
    assert (
        clients.cloudformation.list_stacks(StackStatusFilter=["CREATE_COMPLETE", "REVIEW_IN_PROGRESS"])[
            "StackSummaries"
        ]
        == []
    )


def _another_installation() -> dict[str, Any]:
    outputs = {name: {"Value": name} for name in ("RecordsTable", "ArchiveBucket", "ThreadDomain")}
    defaults = {"Domain": "mail.example.org", "ReceiveMail": "true"}
    return {
        "Parameters": {name: {"Type": "String", "Default": value} for name, value in defaults.items()},
        "Resources": {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}},
        "Outputs": outputs,
    }


@pytest.mark.cloud
def test_a_person_at_a_terminal_answers_questions_mends_mistakes_and_deploys(
    clients: Clients, home: Path, planted: Any
) -> None:
    planted.set_active_receipt_rule_set()
    with serving(DNS) as server:
        shown = at_a_terminal(
            [str(COMMAND), "configure", "--endpoint", clients.endpoint, "--dns", server, "--set", "ReceiveMail=true"],
            [
                ("Domain: ", "Example.COM"),
                ("PublicAddresses [contact@example.com]: ", "contact@example.org"),
                ("contact@example.org is not in example.com", ""),
                ("PublicAddresses [contact@example.org]: ", "contact@example.com, help@example.com"),
                ("ForwardTo: ", "help@example.com"),
                ("not private", ""),
                ("ForwardTo [as before]: ", "me@private.example"),
                ("OwnerAliases [none]: ", "\n"),
                ("DisplayName [none]: ", "Example Studio"),
                ("HiddenTerms [none]: ", "y"),
                ("two characters", ""),
                ("HiddenTerms [as before]: ", "Jane Doe, +1 555 0100"),
                ("AlarmEmail [the private mailbox, or as before]: ", "\n"),
                ("Use ManageIdentity=false? [Y/n]: ", "\n"),
                ("Deploy email-handler now? [y/N]: ", "y"),
                ("email-handler activate --stack email-handler", ""),
            ],
        )

    assert made(home) == [f"{clients.endpoint} deploy ENV=prod ARGS=--no-confirm-changeset"]
    assert kept(home) == SETTINGS | {
        "PublicAddresses": "contact@example.com,help@example.com",
        "OwnerAliases": "",
        "DisplayName": "Example Studio",
        "AlarmEmail": "me@private.example",
        "ManageIdentity": "false",
        "DeletionProtection": "true",
        "EndpointUrl": clients.endpoint,
        "Architecture": ARCHITECTURE,
    }
    assert [shown.count(secret) for secret in SECRETS] == [1] * len(SECRETS), "only as the terminal echoed it"


def at_a_terminal(command: Sequence[str], conversation: Sequence[tuple[str, str]]) -> str:
    """Run *command* in a pseudo-terminal: wait for each text, then type the answer; return all that was shown."""
    ours, theirs = pty.openpty()
    shown, done = "", 0
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=PROJECT) as process:
        os.close(theirs)
        for text, typed in [*conversation, ("\0", "")]:  # the last is never shown: read to the end
            while text not in shown[done:]:
                try:
                    read = os.read(ours, 65536)
                except OSError:  # Linux: the other side is closed
                    read = b""
                if not read:
                    assert text == "\0", f"ended without {text!r}:\n{shown}"
                    break
                shown += read.decode(errors="replace")
            done = shown.find(text, done) + len(text) if text in shown[done:] else len(shown)
            if typed:
                os.write(ours, f"{typed.strip()}\n".encode())
        os.close(ours)
        assert process.wait() == 0, shown
    return shown


@pytest.mark.cloud
def test_without_a_terminal_and_without_answers_it_ends_in_a_line(clients: Clients, home: Path) -> None:
    ran = CliRunner().invoke(app, ["configure", "--endpoint", clients.endpoint], input="")

    assert ran.exit_code == 1
    assert "with --yes and --set Name=value" in str(ran.exception)
    assert made(home) == []


@pytest.mark.cloud
def test_stored_answers_suffice_and_nothing_private_is_printed(clients: Clients, home: Path) -> None:
    with serving(DNS) as server:
        first = without_questions(clients, server, "--dry-run")
        arguments = ["configure", "--yes", "--json", "--endpoint", clients.endpoint, "--dns", server]
        ran = CliRunner().invoke(app, [*arguments, "--set", "ReceiveMail=true"])

    assert first[0] == ran.exit_code == 0
    assert json.loads(ran.stdout.splitlines()[-1])["deployed"] == "email-handler"
    assert made(home) == [f"{clients.endpoint} deploy ENV=prod ARGS=--no-confirm-changeset"], "once, not by --dry-run"
    assert kept(home)["HiddenTerms"] == SETTINGS["HiddenTerms"]
    assert not any(secret in ran.output + first[2] for secret in SECRETS)


@pytest.mark.cloud
def test_a_plain_deployment_has_every_value_that_was_ever_given(
    clients: Clients, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed: list[Mapping[str, str]] = []

    def deploy(_project: Path, options: Sequence[str], values: Mapping[str, str], _output: int | None) -> int:
        assert options[:2] == ["--config-env", "prod"]
        deployed.append(values)
        return 0

    monkeypatch.setattr("cli.deploy.sam_deploy", deploy)
    monkeypatch.setenv("AWS_ENDPOINT_URL", clients.endpoint)
    refused = CliRunner().invoke(app, ["deploy", "prod"])
    assert "email-handler needs Domain and PublicAddresses and ForwardTo: make configure ENV=prod" in str(
        refused.exception
    )
    assert (deployed, made(home)) == ([], [])

    Answers("email-handler", ACCOUNT, REGION).keep(SETTINGS)
    for more in (["--architecture", "x86_64"], ["--", "--parameter-overrides", "AckDailyCap=7"], []):
        ran = CliRunner().invoke(app, ["deploy", "prod", "--json", *more])
        assert ran.exit_code == 0, ran.exception
        assert json.loads(ran.stdout) == {"deployed": "email-handler", "architecture": "x86_64"}

    first = SETTINGS | {"DeletionProtection": "true", "Architecture": "x86_64"}
    assert deployed == [first, first | {"AckDailyCap": "7"}, first | {"AckDailyCap": "7"}]
    assert [line.rpartition(" build ")[2] for line in made(home)] == ["ARCH=x86_64"] * 3


@pytest.mark.cloud
def test_what_is_composed_reaches_cloudformation_and_what_is_missing_names_the_command(
    clients: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """SAM deploys a stack of the template's parameters and rules alone."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", clients.endpoint)
    monkeypatch.setenv("SAM_CLI_POLL_DELAY", "0.2")
    handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    template = {"Parameters": TEMPLATE["Parameters"], "Rules": TEMPLATE["Rules"], "Resources": {"Handle": handle}}
    (tmp_path / "template.yaml").write_text(json.dumps(template))
    options = ["--stack-name", "composed", "--region", REGION, "--no-confirm-changeset"]
    values = SETTINGS | {"DisplayName": "Jane's Studio, Ltd", "Architecture": "x86_64", "DeletionProtection": "true"}

    assert sam_deploy(tmp_path, options, values | {"ForwardTo": ""}) != 0
    assert "ForwardTo is missing. `make configure` asks" in "".join(capfd.readouterr())
    assert sam_deploy(tmp_path, options, values) == 0

    shown = "".join(capfd.readouterr())
    (stack,) = clients.cloudformation.describe_stacks(StackName="composed")["Stacks"]
    given = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
    hidden = {name for name in values if TEMPLATE["Parameters"][name].get("NoEcho")}
    assert {name: given[name] for name in values.keys() - hidden} == {n: values[n] for n in values.keys() - hidden}
    assert not any(secret in shown for secret in SECRETS)
    clients.cloudformation.delete_stack(StackName="composed")


def test_the_plan_and_the_next_steps_name_nothing_private() -> None:
    values = SETTINGS | {"AlarmEmail": "me@private.example", "DeletionProtection": "true"}
    lines = [
        *plan(TEMPLATE, values, Observed(stack="email-handler", region=REGION)),
        *next_steps(values, "email-handler"),
    ]

    assert not any(secret in line for line in lines for secret in SECRETS)
    assert "6 functions" in lines[0]
    assert lines[-1].endswith("email-handler activate --stack email-handler")
    assert next_steps({**values, "ReceiveMail": "false"}, "email-handler") == []


class Queue:
    """SQS with one queue that shows these numbers of messages, one after the other."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)

    def get_queue_attributes(self, **_: Any) -> dict[str, dict[str, str]]:
        number = self.numbers.pop(0)
        return {
            "Attributes": {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": str(number)}
        }


@pytest.mark.parametrize(
    ("numbers", "left", "looks"),
    [
        ((3, 1, 0, 0, 0, 9), {}, 5),
        ((0, 0, 1, 0, 0, 0, 9), {}, 6),  # SQS counts approximately: only several looks in a row are sure
        ((0, 0, 0, 9), {}, QUIET),
        ((2, 2, 2, 2), {"AckQueue": 2}, 4),
    ],
)
def test_deactivation_waits_until_the_queues_stay_empty(
    numbers: tuple[int, ...], left: dict[str, int], looks: int
) -> None:
    sqs, paused = Queue(*numbers), list[int]()

    assert drain(sqs, {"AckQueue": "url"}, looks=len(numbers), pause=lambda: paused.append(1)) == left
    assert len(paused) == looks - 1


@pytest.mark.cloud
def test_only_our_own_rule_set_is_deactivated(clients: Clients) -> None:
    ses = clients.client("ses")
    ses.create_receipt_rule_set(RuleSetName="ours-alone")
    ses.set_active_receipt_rule_set(RuleSetName="ours-alone")

    assert make_inactive(ses, "theirs") == ""
    assert make_inactive(ses, "") == ""
    assert ses.describe_active_receipt_rule_set()["Metadata"]["Name"] == "ours-alone"
    assert make_inactive(ses, "ours-alone") == "ours-alone"
    assert "Metadata" not in ses.describe_active_receipt_rule_set()
    assert make_inactive(ses, "ours-alone") == ""
