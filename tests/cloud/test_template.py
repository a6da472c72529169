"""Receipt rules as SES applies them, read from templates."""

from pathlib import Path

import pytest

from cloud import template
from cloud.errors import LocalCloudError
from cloud.template import ReceiptRule, receipt_rules

TEMPLATE = """
Parameters:
  Domain: {Type: String}
  Sub: {Type: String, Default: thread}
  Public: {Type: String}
Resources:
  First:
    Type: AWS::SES::ReceiptRule
    Properties:
      RuleSetName: !Ref Rules
      Rule:
        Name: thread
        Enabled: true
        Recipients: [!Sub "${Sub}.${Domain}"]
        Actions:
          - S3Action: {BucketName: !Ref Archive, ObjectKeyPrefix: raw/reply/}
          - LambdaAction: {FunctionArn: !GetAtt ReplyFunction.Arn, InvocationType: Event}
  Second:
    Type: AWS::SES::ReceiptRule
    Properties:
      After: !Ref First
      Rule:
        Enabled: true
        Recipients: !Split [",", !Ref Public]
        Actions:
          - S3Action: {BucketName: !Ref Archive}
          - LambdaAction: {FunctionArn: !GetAtt InboundFunction.Arn}
  Disabled:
    Type: AWS::SES::ReceiptRule
    Properties: {Rule: {Actions: [{StopAction: {Scope: RuleSet}}]}}
"""
PHYSICAL = {"Archive": "bucket-1", "ReplyFunction": "reply-1", "InboundFunction": "inbound-1"}


def rules(tmp_path: Path, text: str = TEMPLATE) -> list[ReceiptRule]:
    (tmp_path / "template.yaml").write_text(text)
    read = template.read(tmp_path / "template.yaml")
    given = {"Domain": "example.com", "Public": "Contact@example.com,sales@example.com"}
    return receipt_rules(read, template.parameters(read, given) | PHYSICAL)


def test_enabled_rules_are_read_in_order_with_parameters_and_physical_names(tmp_path: Path) -> None:
    first, second = rules(tmp_path)

    assert first == ReceiptRule(
        name="thread", recipients=("thread.example.com",), bucket="bucket-1", prefix="raw/reply/", function="reply-1"
    )
    assert second.recipients == ("contact@example.com", "sales@example.com")
    assert (second.name, second.prefix, second.function) == ("Second", "", "inbound-1")


def test_a_rule_without_after_goes_first(tmp_path: Path) -> None:
    assert [rule.name for rule in rules(tmp_path, TEMPLATE.replace("      After: !Ref First\n", ""))] == [
        "Second",
        "thread",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEMPLATE.replace("Domain: {Type: String}", "Domain: {Type: String}\n  New: {Type: String}"), "parameter New"),
        (TEMPLATE.replace("!Ref Archive", "!Ref Elsewhere"), "'Elsewhere', which is not deployed"),
        (TEMPLATE.replace("LambdaAction", "SNSAction"), "needs one S3 and then one Lambda action, not those of First"),
        (TEMPLATE.replace("!Ref Archive", "!ImportValue x"), "does not support Fn::ImportValue"),
        (TEMPLATE.replace("!Ref First", "!Ref Disabled"), "put Second below Disabled"),
    ],
    ids=["parameter", "resource", "action", "function", "order"],
)
def test_the_error_about_an_unsupported_rule_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LocalCloudError, match=message):
        rules(tmp_path, text)


@pytest.mark.parametrize(
    ("entry", "recipient", "expected"),
    [
        ("example.com", "anyone@example.com", True),
        ("example.com", "anyone@EXAMPLE.COM", True),
        ("example.com", "anyone@sub.example.com", False),
        (".example.com", "anyone@sub.example.com", True),
        (".example.com", "anyone@a.b.example.com", True),
        (".example.com", "anyone@example.com", False),
        ("contact@example.com", "contact@example.com", True),
        ("contact@example.com", "Contact@Example.com", True),
        ("contact@example.com", "contact+project@example.com", True),
        ("contact@example.com", "contacts@example.com", False),
        ("contact@example.com", "contact@sub.example.com", False),
        ("contact+a@example.com", "contact+a@example.com", True),
        ("contact+a@example.com", "contact@example.com", False),
    ],
)
def test_recipients_match_as_ses_documents(entry: str, recipient: str, expected: bool) -> None:
    rule = ReceiptRule(name="r", recipients=(entry,), bucket="b", prefix="", function="f")

    assert rule.matches(recipient) is expected


def test_a_rule_without_recipients_matches_all() -> None:
    assert ReceiptRule(name="r", recipients=(), bucket="b", prefix="", function="f").matches("x@example.org")
