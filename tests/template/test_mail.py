"""Receiving, sending and DNS, as SES requires."""

import json
from typing import Any

import pytest

from tests.support.stack import FUNCTIONS, RESOURCES, RULES, TEMPLATE, name_of, of_type

MAIL_TYPES = ("AWS::SES::ReceiptRule", "AWS::SES::ReceiptRuleSet", "AWS::SES::EmailIdentity", "AWS::Route53::")
FUNCTION_OF = {"ThreadRule": "ReplyFunction", "InboundRule": "InboundFunction"}


def test_the_thread_rule_runs_first_and_the_inbound_rule_after_it() -> None:
    assert list(FUNCTION_OF) == list(RULES)
    assert "After" not in RESOURCES["ThreadRule"]["Properties"]
    assert RESOURCES["InboundRule"]["Properties"]["After"] == {"Ref": "ThreadRule"}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_sets_what_ses_would_default_wrongly(name: str) -> None:
    rule = RULES[name]

    assert (rule["Enabled"], rule["ScanEnabled"], rule["TlsPolicy"]) == (True, True, "Optional")


@pytest.mark.parametrize("name", RULES)
def test_a_rule_stores_the_message_then_calls_its_function_and_does_not_stop(name: str) -> None:
    """A StopAction would hide a message to both rules from one function; a BounceAction would create backscatter."""
    store, call = RULES[name]["Actions"]
    folder = FUNCTION_OF[name].removesuffix("Function").lower()

    assert {"S3Action": {"BucketName": {"Ref": "Archive"}, "ObjectKeyPrefix": f"raw/{folder}/"}} == store
    assert {"Fn::GetAtt": f"{FUNCTION_OF[name]}.Arn"} == call["LambdaAction"]["FunctionArn"]
    assert call["LambdaAction"]["InvocationType"] == "Event"


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_created_after_the_policy_and_the_permission_that_ses_checks(name: str) -> None:
    permission = f"{FUNCTION_OF[name]}MayBeCalledBySes"

    assert ["ArchivePolicy", permission] == RESOURCES[name]["DependsOn"]
    assert {"Ref": FUNCTION_OF[name]} == RESOURCES[permission]["Properties"]["FunctionName"]


@pytest.mark.parametrize("name", RULES)
def test_policy_and_permission_name_exactly_that_rule(name: str) -> None:
    end = f"receipt-rule-set/${{ReceiptRules}}:receipt-rule/{RULES[name]['Name']}"
    permission = RESOURCES[f"{FUNCTION_OF[name]}MayBeCalledBySes"]["Properties"]
    policy = RESOURCES["ArchivePolicy"]["Properties"]["PolicyDocument"]["Statement"][1]["Fn::If"][1]
    sources = [source["Fn::Sub"] for source in policy["Condition"]["StringEquals"]["aws:SourceArn"]]

    assert permission["SourceArn"]["Fn::Sub"].endswith(end)
    assert len([source for source in sources if source.endswith(end)]) == 1


def test_the_rules_recipients_cannot_overlap() -> None:
    """A domain matches only itself, not its subdomains; the addresses are in the parent domain."""
    assert RULES["ThreadRule"]["Recipients"] == [{"Fn::Sub": "${ThreadSubdomain}.${Domain}"}]
    assert RULES["InboundRule"]["Recipients"] == {"Fn::Split": [",", {"Ref": "PublicAddresses"}]}


def test_without_receive_mail_there_are_no_ses_rules_and_no_dns_records() -> None:
    """The local cloud has neither; then no output uses an attribute of the identity."""
    conditions = {
        name: resource.get("Condition")
        for name, resource in RESOURCES.items()
        if resource["Type"].startswith(MAIL_TYPES) or name.endswith("MayBeCalledBySes")
    }

    assert conditions.pop("MailDns") == "DnsRecords"
    assert conditions.pop("Identity") == "OwnIdentity"
    assert set(conditions.values()) == {"MailResources"}
    assert len(conditions) == 5
    for name, output in TEMPLATE["Outputs"].items():
        if "Identity" in str(output["Value"]):
            assert output["Condition"] == "OwnIdentity", name
        elif name.startswith("Dns"):
            assert output["Condition"] == "MailResources", name


def test_an_identity_that_ses_has_already_is_left_alone_and_no_record_uses_its_attributes() -> None:
    mail, manage = TEMPLATE["Conditions"]["OwnIdentity"]["Fn::And"]
    uses = [record for record in RESOURCES["MailDns"]["Properties"]["RecordSets"] if "Identity" in str(record)]

    assert (mail, manage) == ({"Condition": "MailResources"}, {"Fn::Equals": [{"Ref": "ManageIdentity"}, "true"]})
    assert len(uses) == 3
    assert {record["Fn::If"][0] for record in uses} == {"OwnIdentity"}


def test_the_identity_signs_never_falls_back_and_reports_bounces_by_event_only() -> None:
    identity = RESOURCES["Identity"]["Properties"]

    assert identity["DkimAttributes"] == {"SigningEnabled": True}
    assert identity["MailFromAttributes"]["BehaviorOnMxFailure"] == "REJECT_MESSAGE"
    assert identity["FeedbackAttributes"] == {"EmailForwardingEnabled": False}


def test_both_configuration_sets_publish_feedback_that_one_rule_sends_to_inbound() -> None:
    kinds = {
        "bounce": "Email Bounced",
        "complaint": "Email Complaint Received",
        "reject": "Email Rejected",
        "deliveryDelay": "Email Delivery Delayed",
        "delivery": "Email Delivered",  # confirms a send whose response was lost
    }
    destinations = of_type("AWS::SES::ConfigurationSetEventDestination")
    pattern = FUNCTIONS["InboundFunction"]["Events"]["Feedback"]["Properties"]["Pattern"]
    sets = [entry["ConfigurationSetName"] for entry in destinations.values()]

    assert of_type("AWS::SES::ConfigurationSet").keys() == {name_of(entry) for entry in sets}
    for destination in destinations.values():
        assert list(kinds) == destination["EventDestination"]["MatchingEventTypes"]
        assert destination["EventDestination"]["Enabled"] is True
    assert (["aws.ses"], list(kinds.values())) == (pattern["source"], pattern["detail-type"])
    assert sorted(map(str, sets)) == sorted(map(str, pattern["detail"]["mail"]["tags"]["ses:configuration-set"]))


def test_an_event_of_ses_that_sending_is_disabled_goes_to_the_alarm_topic() -> None:
    """With a role, so that the topic keeps its default policy, by which the account's alarms may publish."""
    rule, role = RESOURCES["SendingDisabled"]["Properties"], RESOURCES["SendingDisabledRole"]["Properties"]
    (target,) = rule["Targets"]
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]

    assert rule["EventPattern"] == {"source": ["aws.ses"], "detail-type": ["Sending Status Disabled"]}
    assert (target["Arn"], target["RoleArn"]) == ({"Ref": "AlarmTopic"}, {"Fn::GetAtt": "SendingDisabledRole.Arn"})
    assert "docs/runbook.md" in json.loads(target["Input"])
    assert (statement["Action"], statement["Resource"]) == ("sns:Publish", {"Ref": "AlarmTopic"})
    assert of_type("AWS::SNS::TopicPolicy") == {}


def test_the_thread_addresses_have_a_dmarc_record_of_their_own_with_relaxed_alignment() -> None:
    """They are signed by the parent domain, whose own record may ask for strict alignment (RFC 7489 §3.1.1)."""
    (record,) = [
        record
        for record in RESOURCES["MailDns"]["Properties"]["RecordSets"]
        if record.get("Name") == {"Fn::Sub": "_dmarc.${ThreadSubdomain}.${Domain}"}
    ]

    assert record["Type"] == "TXT"
    assert record["ResourceRecords"] == ['"v=DMARC1; p=quarantine; adkim=r; aspf=r"']


def _text(value: Any) -> str:
    ((_, text),) = value.items() if isinstance(value, dict) else [("", value)]
    return str(text)


def test_the_outputs_list_every_record_that_a_hosted_zone_would_contain() -> None:
    """Except the optional SPF record of the domain itself, which sending does not need."""
    records = [record.get("Fn::If", [None, record])[1] for record in RESOURCES["MailDns"]["Properties"]["RecordSets"]]
    wanted = set()
    for record in records:
        name, kind, (value,) = record["Name"], record["Type"], record["ResourceRecords"]
        owner = name.get("Fn::Sub") or f"${{{_text(name)}}}"
        wanted.add(f"{owner} {kind} " + (f"${{{_text(value)}}}" if kind == "CNAME" else _text(value)))
    wanted.remove('${Domain} TXT "v=spf1 include:amazonses.com -all"')
    listed = {_text(output["Value"]) for name, output in TEMPLATE["Outputs"].items() if name.startswith("Dns")}

    assert wanted == listed
