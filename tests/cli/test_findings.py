"""What configure finds before anything is created: each planted fault, and what to do about it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cli.findings import Finding, Observed, Zone, findings
from operations.checks import State

VALUES = {"Domain": "example.com", "PublicAddresses": "contact@example.com", "ForwardTo": "me@private.example"}
INBOUND = "inbound-smtp.eu-west-1.amazonaws.com"
ZONE = Zone(id="Z1", name="example.com", name_servers=("ns.dns.example",))
HEALTHY = {
    "SendingEnabled": True,
    "ProductionAccessEnabled": True,
    "EnforcementStatus": "HEALTHY",
    "SendQuota": {"Max24HourSend": 50_000.0, "SentLast24Hours": 10.0},
}
DNS: dict[tuple[str, str], Sequence[str] | None] = {
    (INBOUND, "A"): ["192.0.2.1"],
    ("example.com", "NS"): ["ns.dns.example."],
    ("example.com", "MX"): [],
    ("thread.example.com", "MX"): [],
    ("bounce.example.com", "MX"): [],
    ("no-such-name-here.example.com", "MX"): [],
    ("example.com", "TXT"): [],
    ("bounce.example.com", "TXT"): [],
    ("_dmarc.example.com", "TXT"): [],
    ("_dmarc.thread.example.com", "TXT"): [],
    ("_dmarc.private.example", "TXT"): ['"v=DMARC1; p=reject"'],
}


def look(values: Mapping[str, str] | None = None, **seen: Any) -> list[Finding]:
    observed = {"stack": "email-handler", "region": "eu-west-1", "ses": HEALTHY, "concurrency": 1000, **seen}
    observed["dns"] = DNS | observed.get("dns", {})
    return findings({**VALUES, **(values or {})}, Observed(**observed))


def the_one(state: State, words: str, found: list[Finding]) -> Finding:
    """Return the one finding of *state*, which says *words*."""
    (finding,) = [each for each in found if each.state is state]
    assert words in finding.found
    return finding


def test_nothing_is_wrong_with_a_new_domain_in_a_new_region() -> None:
    assert {each.state for each in look()} == {State.FINE}


WRONG: list[tuple[str, dict[str, str], dict[str, Any], str, str, dict[str, str]]] = [
    # what is planted: settings, what is seen; then what is found, what to do, and the settings that are offered
    ("no receiving", {}, {"dns": {(INBOUND, "A"): []}}, "SES receives no email in eu-west-1", "us-east-1", {}),
    (
        "identity",
        {},
        {"identity": {}},
        "identity example.com already",
        "delete-email-identity",
        {"ManageIdentity": "false"},
    ),
    ("no identity", {"ManageIdentity": "false"}, {}, "SES has no identity", "manage", {"ManageIdentity": "true"}),
    (
        "identity given up",
        {"ManageIdentity": "false"},
        {"identity": {}, "resources": {"Identity": "example.com"}, "status": "UPDATE_COMPLETE"},
        "would delete the identity",
        "manage",
        {"ManageIdentity": "true"},
    ),
    (
        "rule set",
        {},
        {"active": "desk", "active_rules": ["tickets"]},
        "desk is active and has rules (tickets)",
        "--despite",
        {},
    ),
    (
        "second stack",
        {},
        {"others": {"email-handler-dev": "mail.example.org"}},
        "email-handler-dev (mail.example.org)",
        "region",
        {},
    ),
    ("paused", {}, {"ses": HEALTHY | {"SendingEnabled": False}}, "paused", "console", {}),
    ("probation", {}, {"ses": HEALTHY | {"EnforcementStatus": "PROBATION"}}, "PROBATION", "AWS first", {}),
    ("no functions", {}, {"concurrency": 0}, "0 functions may run", "Service Quotas", {}),
    (
        "rolled back",
        {},
        {"status": "ROLLBACK_COMPLETE"},
        "is ROLLBACK_COMPLETE",
        "delete-stack --stack-name email-handler",
        {},
    ),
    ("not deleted", {}, {"status": "DELETE_FAILED"}, "is DELETE_FAILED", "email-handler deactivate", {}),
    ("stuck", {}, {"status": "UPDATE_ROLLBACK_FAILED"}, "UPDATE_ROLLBACK_FAILED", "continue-update-rollback", {}),
    ("busy", {}, {"status": "CREATE_IN_PROGRESS"}, "CREATE_IN_PROGRESS", "Wait", {}),
    (
        "another domain",
        {},
        {"status": "UPDATE_COMPLETE", "deployed": {"Domain": "example.org"}},
        "serves example.org",
        "another stack",
        {},
    ),
    (
        "another subdomain",
        {"ThreadSubdomain": "t"},
        {"status": "UPDATE_COMPLETE", "deployed": {"Domain": "example.com", "ThreadSubdomain": "thread"}},
        "move from thread.example.com to t.example.com",
        "--despite",
        {"ThreadSubdomain": "thread"},
    ),
    ("misspelt", {}, {"dns": {("example.com", "NS"): []}}, "DNS does not know example.com", "misspelt", {}),
    (
        "mail server",
        {},
        {"dns": {("example.com", "MX"): ["10 mx.example.net."]}},
        "elsewhere (mx.example.net)",
        "mail.example.com",
        {},
    ),
    (
        "SES in another region",
        {},
        {"dns": {("example.com", "MX"): ["10 inbound-smtp.us-east-1.amazonaws.com."]}},
        "elsewhere (inbound-smtp.us-east-1.amazonaws.com)",
        "ManageMx=false",
        {},
    ),
    (
        "thread used",
        {},
        {"dns": {("thread.example.com", "MX"): ["5 mx.example.net."]}},
        "thread.example.com has",
        "ThreadSubdomain",
        {},
    ),
    (
        "bounce used",
        {},
        {"dns": {("bounce.example.com", "MX"): ["5 mx.example.net."]}},
        "bounce.example.com has",
        "MailFromSubdomain",
        {},
    ),
    (
        "SPF",
        {},
        {"dns": {("bounce.example.com", "TXT"): ['"v=spf1 -all"']}},
        "another SPF record",
        "MailFromSubdomain",
        {},
    ),
    (
        "TXT at the domain",
        {"ManageRootSpf": "true"},
        {"dns": {("example.com", "TXT"): ['"site-verification=1"']}},
        "has TXT records",
        "ManageRootSpf=false",
        {"ManageRootSpf": "false"},
    ),
    (
        "strict DMARC",
        {"ManageDmarc": "false"},
        {"dns": {("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=none; " "adkim=s"']}},
        "strict alignment: every forward from thread.example.com",
        "_dmarc.thread.example.com TXT",
        {},
    ),
    (
        "strict DMARC of the parent",
        {"Domain": "mail.example.com", "PublicAddresses": "contact@mail.example.com"},
        {"dns": {("_dmarc.example.com", "TXT"): ['"v=DMARC1;adkim = s"']}},
        "the DMARC record of example.com asks for strict alignment",
        "_dmarc.thread.mail.example.com TXT",
        {},
    ),
    (
        "zone of others",
        {"HostedZoneId": "Z9"},
        {"zones": [ZONE]},
        "no hosted zone Z9",
        "Choose",
        {"HostedZoneId": "Z1"},
    ),
    (
        "other domain's zone",
        {"HostedZoneId": "Z2"},
        {"zones": [ZONE, Zone(id="Z2", name="ample.com")]},
        "ample.com (Z2) does not hold example.com",
        "Choose",
        {"HostedZoneId": "Z1"},
    ),
    (
        "private zone",
        {"HostedZoneId": "Z3"},
        {"zones": [Zone(id="Z3", name="example.com", private=True)]},
        "is private",
        "public zone",
        {"HostedZoneId": ""},
    ),
    (
        "zone that nobody asks",
        {"HostedZoneId": "Z1"},
        {"zones": [ZONE], "dns": {("example.com", "NS"): ["ns.other.example."]}},
        "other name servers",
        "ns.dns.example",
        {},
    ),
    (
        "record in the zone",
        {"HostedZoneId": "Z1", "ManageMx": "true"},
        {"zones": [ZONE], "zone_records": frozenset({("example.com", "MX")})},
        "a record example.com MX already",
        "ManageMx=false",
        {},
    ),
    (
        "alias in the zone",
        {"HostedZoneId": "Z1"},
        {"zones": [ZONE], "zone_records": frozenset({("thread.example.com", "CNAME")})},
        "a record thread.example.com MX already",
        "Delete the record",
        {},
    ),
    (
        "thread policy in the zone",
        {"HostedZoneId": "Z1"},
        {"zones": [ZONE], "zone_records": frozenset({("_dmarc.thread.example.com", "TXT")})},
        "a record _dmarc.thread.example.com TXT already",
        "Delete the record",
        {},
    ),
    (
        "policy in the zone",
        {"HostedZoneId": "Z1", "ManageDmarc": "true"},
        {"zones": [ZONE], "zone_records": frozenset({("_dmarc.example.com", "TXT")})},
        "a record _dmarc.example.com TXT already",
        "ManageDmarc=false",
        {"ManageDmarc": "false"},
    ),
]


@pytest.mark.parametrize(
    ("values", "seen", "found", "todo", "fix"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_a_planted_fault_is_found_and_says_what_to_do(
    values: dict[str, str], seen: dict[str, Any], found: str, todo: str, fix: dict[str, str]
) -> None:
    finding = the_one(State.WRONG, found, look(values, **seen))

    assert todo in finding.todo
    assert finding.fix == fix


@pytest.mark.parametrize(
    ("values", "seen"), [case[1:3] for case in WRONG if case[5]], ids=[case[0] for case in WRONG if case[5]]
)
def test_the_settings_that_are_offered_put_it_right(values: dict[str, str], seen: dict[str, Any]) -> None:
    (finding,) = [each for each in look(values, **seen) if each.state is State.WRONG]

    assert [each for each in look({**values, **finding.fix}, **seen) if each.state is State.WRONG] == []


NOTES: list[tuple[str, dict[str, str], dict[str, Any], str]] = [
    ("sandbox", {}, {"ses": HEALTHY | {"ProductionAccessEnabled": False}}, "sandbox"),
    ("quota", {}, {"ses": HEALTHY | {"SendQuota": {"Max24HourSend": 200.0, "SentLast24Hours": 190.0}}}, "190 of 200"),
    ("few functions", {}, {"concurrency": 10}, "10 functions may run"),
    ("zone not used", {}, {"zones": [ZONE]}, "the hosted zone example.com (Z1) holds"),
    ("moving", {"ManageMx": "false"}, {"dns": {("example.com", "MX"): ["10 mx.example.net."]}}, "elsewhere"),
    ("DMARC", {}, {"dns": {("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=none"']}}, "has a record: v=DMARC1"),
    ("mailbox", {}, {"dns": {("_dmarc.private.example", "TXT"): []}}, "publishes no DMARC policy"),
    ("no answer", {}, {"unanswered": ["Lambda's limits (denied)"], "concurrency": None}, "Lambda's limits (denied)"),
    ("no DNS", {}, {"dns": dict.fromkeys(DNS)}, "no name server answers"),
    (
        "kept identity",
        {"ManageIdentity": "false"},
        {"identity": {"DkimAttributes": {"Status": "SUCCESS"}}},
        "MAIL FROM domain is not set, not bounce.example.com",
    ),
    (
        "kept identity without DKIM",
        {"ManageIdentity": "false"},
        {"identity": {"MailFromAttributes": {"MailFromDomain": "bounce.example.com"}}},
        "DKIM is unknown",
    ),
]


@pytest.mark.parametrize(("values", "seen", "found"), [case[1:] for case in NOTES], ids=[case[0] for case in NOTES])
def test_what_is_only_worth_knowing_does_not_stop_a_deployment(
    values: dict[str, str], seen: dict[str, Any], found: str
) -> None:
    everything = look(values, **seen)

    the_one(State.NOTE, found, everything)
    assert State.WRONG not in {each.state for each in everything}


OURS = {"ReceiptRules": "ours", "Identity": "example.com", "MailDns": "dns"}
FINE: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    (
        "our own records",
        {"HostedZoneId": "Z1"},
        {
            "status": "UPDATE_COMPLETE",
            "resources": OURS,
            "identity": {},
            "active": "ours",
            "active_rules": ["thread", "inbound"],
            "zones": [ZONE],
            "zone_records": frozenset({("example.com", "MX"), ("_dmarc.example.com", "TXT")}),
            "dns": {
                ("example.com", "MX"): [f"10 {INBOUND}."],
                ("thread.example.com", "MX"): [f"10 {INBOUND}."],
                ("bounce.example.com", "MX"): ["10 feedback-smtp.eu-west-1.amazonses.com."],
                ("bounce.example.com", "TXT"): ['"v=spf1 include:amazonses.com -all"'],
                ("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=quarantine; adkim=r; aspf=r"'],
            },
        },
    ),
    ("an empty rule set", {}, {"active": "default-rule-set", "active_rules": []}),
    (
        "a wildcard",
        {},
        {
            "dns": {
                (f"{name}.example.com", "MX"): ["10 mx.example.net."]
                for name in ("thread", "bounce", "no-such-name-here")
            }
        },
    ),
    ("zone of the parent", {"HostedZoneId": "Z1", "Domain": "mail.example.com"}, {"zones": [ZONE]}),
    (
        "strict parent, thread record set by the stack",
        {"HostedZoneId": "Z1", "ManageDmarc": "false"},
        {"zones": [ZONE], "dns": {("_dmarc.example.com", "TXT"): ['"v=DMARC1; adkim=s"']}},
    ),
    (
        "strict parent, relaxed thread",
        {"ManageDmarc": "false"},
        {
            "dns": {
                ("_dmarc.example.com", "TXT"): ['"v=DMARC1; adkim=s"'],
                ("_dmarc.thread.example.com", "TXT"): ['"v=DMARC1; p=quarantine; adkim=r"'],
            }
        },
    ),
]


@pytest.mark.parametrize(("values", "seen"), [case[1:] for case in FINE], ids=[case[0] for case in FINE])
def test_what_is_ours_or_harmless_is_fine(values: dict[str, str], seen: dict[str, Any]) -> None:
    assert [each.found for each in look(values, **seen) if each.state is not State.FINE] == []


def test_a_stack_that_receives_nothing_needs_neither_ses_nor_dns() -> None:
    planted = {
        "identity": {},
        "active": "desk",
        "active_rules": ["a"],
        "dns": {("example.com", "MX"): ["1 mx.example.net."]},
    }

    the_one(State.NOTE, "ReceiveMail is false", look({"ReceiveMail": "false"}, **planted))
