"""``email-handler doctor`` and ``activate``: how each thing is rated, and what to do."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from cli import activate, doctor
from cli.activate import make_active
from cloud.clients import Clients
from cloud.cloud import LocalCloud
from operations.checks import State
from operations.connection import Connection, connect
from operations.errors import CommandError
from operations.health import check_condition, check_record, check_rule_set, check_subscriptions
from tests.support.operator import run

MX = ("example.com", "MX", "10 inbound-smtp.us-east-1.amazonaws.com")
SPF = ("bounce.example.com", "TXT", '"v=spf1 include:amazonses.com -all"')
DMARC = ("_dmarc.example.com", "TXT", '"v=DMARC1; p=quarantine"')
THREAD_DMARC = ("_dmarc.thread.example.com", "TXT", '"v=DMARC1; p=quarantine; adkim=r; aspf=r"')


@pytest.mark.parametrize(
    ("wanted", "values", "state"),
    [
        (MX, ["10 inbound-smtp.us-east-1.amazonaws.com."], State.FINE),
        (MX, ["10 mail.example.net."], State.WRONG),
        (MX, [], State.WRONG),
        (MX, None, State.NOTE),
        (SPF, ['"v=spf1 include:amazonses.com ~all"'], State.FINE),
        (SPF, ['"v=spf1 -all"'], State.WRONG),
        (DMARC, ['"v=DMARC1; p=reject"'], State.FINE),
        (DMARC, ['"something else"'], State.WRONG),
        (DMARC, ['"v=DMARC1; p=reject; adkim=s"'], State.FINE),
        (THREAD_DMARC, ['"v=DMARC1; p=reject"'], State.FINE),
        (THREAD_DMARC, ['"v=DMARC1; p=reject; adkim=r; aspf=s"'], State.FINE),
        (THREAD_DMARC, ['"v=DMARC1; p=reject; " "Adkim = S"'], State.WRONG),
        (THREAD_DMARC, [], State.WRONG),
    ],
)
def test_a_dns_record_is_rated_by_its_required_content(
    wanted: tuple[str, str, str], values: list[str] | None, state: State
) -> None:
    check = check_record(*wanted, values)

    assert check.state is state
    assert state is State.FINE or wanted[2] in check.todo


@pytest.mark.parametrize(
    ("active", "state", "words"),
    [
        ({"Metadata": {"Name": "ours"}}, State.FINE, "The rule set ours is active"),
        ({"Metadata": {"Name": "theirs"}}, State.WRONG, "The rule set theirs is active, not ours"),
        ({}, State.WRONG, "No rule set is active"),
    ],
)
def test_receiving_needs_our_rule_set_to_be_the_active_one(active: dict[str, Any], state: State, words: str) -> None:
    check = check_rule_set("ours", active)

    assert check.state is state
    assert words in check.found
    assert (check.todo == "email-handler activate") is (state is State.WRONG)


@pytest.mark.parametrize(
    ("subscriptions", "state", "todo"),
    [
        (["arn:aws:sns:us-east-1:000000000000:topic:1"], State.FINE, ""),
        (["PendingConfirmation"], State.WRONG, "Follow the link"),
        ([], State.WRONG, "AlarmEmail"),
    ],
)
def test_alarms_need_a_confirmed_subscription(subscriptions: list[str], state: State, todo: str) -> None:
    check = check_subscriptions(subscriptions)

    assert check.state is state
    assert todo in check.todo


@pytest.mark.parametrize(
    ("condition", "receives", "state"),
    [
        ("Could not ask identity: NotFoundException.", True, State.WRONG),
        ("Could not ask identity: NotFoundException.", False, State.NOTE),
        ("SES has paused sending for this account: see the SES console.", False, State.NOTE),
        ("2 still in stack-AckDeadLetters-1: email-handler redrive.", False, State.WRONG),
    ],
)
def test_conditions_of_ses_are_wrong_only_if_the_stack_sets_it_up_but_dead_letters_always(
    condition: str, receives: bool, state: State
) -> None:
    check = check_condition(condition, receives=receives, emulated=False)

    assert check.state is state
    assert check.found.partition(":")[0] == condition.partition(":")[0]


def test_what_an_emulator_lacks_is_only_a_note() -> None:
    checks = [
        check_condition("Could not ask identity: NotFoundException.", receives=True, emulated=True),
        check_subscriptions([], emulated=True),
    ]

    assert [check.state for check in checks] == [State.NOTE] * 2
    assert all(check.found.startswith("cannot be checked here: ") and not check.todo for check in checks)


def test_dead_letters_are_wrong_in_an_emulator_too() -> None:
    check = check_condition("2 still in stack-AckDeadLetters-1: email-handler redrive.", receives=False, emulated=True)

    assert check.state is State.WRONG


@pytest.mark.cloud
def test_doctor_checks_the_deployed_stack(cloud: LocalCloud) -> None:
    ran = run(cloud, "doctor", "--json")

    found = [json.loads(line) for line in ran.stdout.splitlines()]
    checks = {check["what"]: check for check in found}
    wrong = [check["found"] for check in found if check["state"] == "wrong"]
    assert ran.exit_code == (1 if wrong else 0)
    assert [text for text in wrong if "still in" not in text] == [], "other tests may have left dead letters here"
    shown = ("Stack", "Rules", "Routes", "Acknowledgement", "Signature", "Receiving")
    assert {what: checks[what]["state"] for what in shown} == {
        "Stack": "fine",
        "Rules": "fine",
        "Routes": "fine",
        "Acknowledgement": "fine",
        "Signature": "fine",
        "Receiving": "note",
    }
    assert checks["Alarm mail"]["found"].startswith("cannot be checked here")


@pytest.mark.cloud
def test_a_stack_without_receipt_rules_has_none_to_activate(cloud: LocalCloud) -> None:
    ran = run(cloud, "activate")

    assert ran.exit_code == 1
    assert "ReceiveMail=false" in str(ran.exception)


@pytest.mark.cloud
def test_deactivation_reports_what_is_left_in_the_queues(cloud: LocalCloud) -> None:
    cloud.settle()
    ran = run(cloud, "deactivate", "--wait", "0", "--json")

    found = json.loads(ran.stdout)
    assert found["deactivated"] == "", "this stack has no receipt rules"
    assert all(name.endswith(("DeadLetters", "Failures")) for name in found["left"]), "other tests may have left these"
    assert ran.exit_code == (1 if found["left"] else 0)


@pytest.mark.cloud
def test_the_rule_set_of_a_stack_that_receives_is_activated_and_then_found(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulator creates no receipt rules, so the rule set's name is added to what the stack says of itself."""
    ses = cloud.clients.client("ses")
    ses.create_receipt_rule_set(RuleSetName="ours")

    def receiving(*place: str) -> Connection:
        found = connect(*place)
        return replace(found, outputs={**found.outputs, "RuleSet": "ours"}, parameters={"ReceiveMail": "true"})

    for module in (activate, doctor):
        monkeypatch.setattr(module, "connect", receiving)

    before = run(cloud, "doctor", "--json").stdout
    activated = run(cloud, "activate", "--json")
    after = run(cloud, "doctor", "--json").stdout
    ses.set_active_receipt_rule_set()

    assert "No rule set is active" in before
    assert json.loads(activated.stdout) == {"active": "ours", "before": ""}
    assert "The rule set ours is active" in after


@pytest.mark.cloud
class TestActivation:
    """With SES's API in the emulator."""

    @pytest.fixture
    def ses(self, clients: Clients) -> Iterator[Any]:
        ses = clients.client("ses")
        yield ses
        ses.set_active_receipt_rule_set()

    @pytest.fixture
    def rule_set(self, ses: Any, unique_name: Callable[[str], str]) -> Callable[..., str]:
        def create(kind: str, *rules: str) -> str:
            name = unique_name(kind)
            ses.create_receipt_rule_set(RuleSetName=name)
            for rule in rules:
                ses.create_receipt_rule(RuleSetName=name, Rule={"Name": rule})
            return name

        return create

    @pytest.fixture
    def unique_name(self, request: pytest.FixtureRequest) -> Callable[[str], str]:
        return lambda kind: f"{kind}-{abs(hash(request.node.name))}"

    def test_our_rule_set_becomes_the_active_one_and_stays_so(self, ses: Any, rule_set: Callable[..., str]) -> None:
        ours = rule_set("ours", "thread", "inbound")

        assert make_active(ses, ours, replace=False) == ""
        assert make_active(ses, ours, replace=False) == ours
        assert ses.describe_active_receipt_rule_set()["Metadata"]["Name"] == ours

    def test_another_one_with_rules_is_kept_and_the_error_shows_how_to_merge(
        self, ses: Any, rule_set: Callable[..., str]
    ) -> None:
        ours, theirs = rule_set("ours", "thread"), rule_set("theirs", "tickets")
        ses.set_active_receipt_rule_set(RuleSetName=theirs)

        with pytest.raises(CommandError, match=f"tickets.*--rule-set-name {ours} --after inbound"):
            make_active(ses, ours, replace=False)
        assert ses.describe_active_receipt_rule_set()["Metadata"]["Name"] == theirs

        assert make_active(ses, ours, replace=True) == theirs
        assert ses.describe_active_receipt_rule_set()["Metadata"]["Name"] == ours

    def test_another_one_without_rules_is_replaced(self, ses: Any, rule_set: Callable[..., str]) -> None:
        ours, empty = rule_set("ours", "thread"), rule_set("empty")
        ses.set_active_receipt_rule_set(RuleSetName=empty)

        assert make_active(ses, ours, replace=False) == empty
