"""IAM's decisions, and that each document that this evaluator would misread is refused."""

from typing import Any

import pytest

from tests.permissions.policies import Authorisation, Statement, decide, read_statements

OBJECT = "arn:aws:s3:::Archive/raw/inbound/1"


def document(**changes: Any) -> dict[str, Any]:
    statement = {"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::Archive/raw/*"}
    return {"Statement": [{name: value for name, value in (statement | changes).items() if value}]}


def ask(action: str = "s3:GetObject", resource: str = OBJECT, **context: str) -> Authorisation:
    named = tuple((name.replace("_", ":"), value) for name, value in context.items())
    return Authorisation(
        caller="inbound", policies=frozenset({"Role"}), action=action, resource=resource, context=named
    )


def allowed(asked: Authorisation, *documents: dict[str, Any], policy: str = "Role") -> bool:
    return decide(asked, [statement for one in documents for statement in read_statements(policy, one)])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (ask(), True),
        (ask("S3:getobject"), True),  # actions have no case
        (ask("s3:PutObject"), False),
        (ask("s3:GetObjectVersion"), False),
        (ask(resource="arn:aws:s3:::Archive/RAW/1"), False),  # resources have
        (ask(resource="arn:aws:s3:::Archive/raw/a/b"), True),  # * crosses slashes
        (ask(resource="arn:aws:s3:::Archive/raw"), False),
        (ask(resource="arn:aws:s3:::ArchiveX/raw/1"), False),
    ],
)
def test_an_action_on_a_resource_needs_a_statement_with_both(asked: Authorisation, expected: bool) -> None:
    assert allowed(asked, document()) is expected


def test_a_policy_allows_only_those_who_have_it() -> None:
    assert not allowed(ask(), document(), policy="OtherRole")
    assert not allowed(ask())


def test_a_denial_wins() -> None:
    assert not allowed(ask(), document(), document(Effect="Deny"))
    assert allowed(ask(), document(), document(Effect="Deny", Action="s3:PutObject"))


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"StringEquals": {"ses:FromAddress": ["a@example.com", "b@example.com"]}}, "b@example.com", True),
        ({"StringEquals": {"ses:FromAddress": "*@example.com"}}, "b@example.com", False),
        ({"StringLike": {"ses:FromAddress": "*@example.com"}}, "b@example.com", True),
        ({"StringLike": {"ses:FromAddress": "*@example.com"}}, "b@example.com.evil.example", False),
        ({"StringLike": {"SES:fromaddress": "?@example.com"}}, "b@example.com", True),  # keys have no case
        ({"StringEquals": {"ses:FromAddress": "a@example.com"}}, None, False),
    ],
)
def test_a_condition_holds_if_one_of_its_values_matches(condition: Any, context: str | None, expected: bool) -> None:
    asked = ask(**({"ses_FromAddress": context} if context else {}))

    assert allowed(asked, document(Condition=condition)) is expected


def test_all_conditions_must_hold() -> None:
    both = {"StringEquals": {"aws:SourceAccount": "1"}, "ArnLike": {"aws:SourceArn": "arn:aws:ses:*"}}

    assert allowed(ask(aws_SourceAccount="1", aws_SourceArn="arn:aws:ses:rule"), document(Condition=both))
    assert not allowed(ask(aws_SourceAccount="2", aws_SourceArn="arn:aws:ses:rule"), document(Condition=both))
    assert not allowed(ask(aws_SourceAccount="1"), document(Condition=both))


@pytest.mark.parametrize(
    ("principal", "expected"),
    [("*", True), ({"Service": "inbound"}, True), ({"Service": ["other"]}, False)],
)
def test_a_resource_policy_is_for_its_principals(principal: Any, expected: bool) -> None:
    assert allowed(ask(), document(Principal=principal), policy="BucketPolicy") is expected


@pytest.mark.parametrize(
    "changes",
    [
        {"NotAction": "s3:*"},
        {"NotResource": "*"},
        {"Condition": {"StringNotEquals": {"a": "b"}}},
        {"Condition": {"StringEqualsIfExists": {"a": "b"}}},
        {"Principal": {"AWS": "arn:aws:iam::1:root"}},
    ],
)
def test_what_the_evaluator_does_not_know_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="the evaluator"):
        read_statements("Role", document(**changes))


def test_a_statement_without_a_resource_is_about_the_one_that_it_belongs_to() -> None:
    (statement,) = read_statements("Role", document(Resource=None, Principal={"Service": "lambda"}), "arn:role")

    assert statement == Statement(
        policy="Role",
        sid="Read",
        allows=True,
        actions=("s3:GetObject",),
        resources=("arn:role",),
        principals=("lambda",),
    )
