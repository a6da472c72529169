"""The SMTP server with the emulator: what it accepts, what it refuses, and what happens if AWS fails."""

import io
import json
import smtplib
import socket
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from cloud.clients import Clients
from cloud.emulator import Emulator, free_port, wait_until
from cloud.errors import LocalCloudError
from cloud.smtp import SmtpServer, submit
from cloud.template import ReceiptRule

pytestmark = pytest.mark.cloud

BUCKET = "smtp-archive"
RULES = [
    ReceiptRule(
        name="thread", recipients=("thread.example.com",), bucket=BUCKET, prefix="raw/reply/", function="smtp-reply"
    ),
    ReceiptRule(
        name="inbound",
        recipients=("contact@example.com",),
        bucket=BUCKET,
        prefix="raw/inbound/",
        function="smtp-inbound",
    ),
]
RECORDER = """
import json, os, boto3
def handler(event, context):
    ses = event["Records"][0]["ses"]["mail"]
    key = f"events/{context.function_name}/{ses['messageId']}"
    boto3.client("s3").put_object(Bucket="smtp-archive", Key=key, Body=json.dumps(event))
"""
MAIL = b"From: jane@example.org\r\nTo: contact@example.com\r\nSubject: Hello\r\n\r\nBody\r\n"


@pytest.fixture(scope="module")
def server(clients: Clients) -> Iterator[SmtpServer]:
    clients.s3.create_bucket(Bucket=BUCKET)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("handler.py", RECORDER)
    for rule in RULES:
        clients.lambda_.create_function(
            FunctionName=rule.function,
            Runtime="python3.12",
            Handler="handler.handler",
            Role="arn:aws:iam::000000000000:role/r",
            Code={"ZipFile": code.getvalue()},
        )
    with SmtpServer(RULES, clients, port=free_port()) as opened:
        yield opened


def stored(clients: Clients, rule: ReceiptRule, message_id: str) -> bytes:
    body: bytes = clients.s3.get_object(Bucket=BUCKET, Key=rule.prefix + message_id)["Body"].read()
    return body


def events(clients: Clients, function: str, message_id: str) -> list[Any]:
    listed = clients.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"events/{function}/{message_id}").get("Contents", [])
    return [json.loads(clients.s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()) for entry in listed]


def test_a_message_is_stored_and_its_function_invoked(server: SmtpServer, clients: Clients) -> None:
    message_id = submit(server.port, MAIL, "jane@example.org", ["contact@example.com"])

    assert stored(clients, RULES[1], message_id).endswith(b"\r\n" + MAIL)
    wait_until(lambda: events(clients, "smtp-inbound", message_id), 20, "the event")
    (event,) = events(clients, "smtp-inbound", message_id)
    assert event["Records"][0]["ses"]["mail"]["messageId"] == message_id
    assert events(clients, "smtp-reply", message_id) == []


def test_a_message_that_two_rules_match_has_one_id_for_both(server: SmtpServer, clients: Clients) -> None:
    recipients = ["contact+tag@example.com", "c-1.abc@thread.example.com"]

    message_id = submit(server.port, MAIL, "jane@example.org", recipients)

    for rule, recipient in zip(RULES, reversed(recipients), strict=True):
        wait_until(lambda name=rule.function: events(clients, name, message_id), 20, "the event")  # type: ignore[misc]
        (event,) = events(clients, rule.function, message_id)
        assert event["Records"][0]["ses"]["receipt"]["recipients"] == [recipient]
        assert stored(clients, rule, message_id).endswith(MAIL)


@pytest.mark.parametrize(
    "body",
    [
        b"bare\nline feeds\n.\n..\n",
        b"bare\rreturns\r",
        b"nul \x00 and 8 bit \xff",
        b"x" * 200_000,
        b".\r\n..\r\n.x\r\n",
        b"From the start\r\n\r\n\r\n",
    ],
    ids=["LF", "CR", "NUL", "200 kB line", "dots", "empty lines"],
)
def test_bytes_arrive_as_they_were_sent(server: SmtpServer, clients: Clients, body: bytes) -> None:
    raw = MAIL + body + b"\r\n"

    message_id = submit(server.port, raw, "jane@example.org", ["contact@example.com"])

    assert stored(clients, RULES[1], message_id).endswith(b"\r\n" + raw)


def test_the_null_sender_is_accepted(server: SmtpServer, clients: Clients) -> None:
    message_id = submit(server.port, MAIL, "", ["contact@example.com"])

    assert stored(clients, RULES[1], message_id).startswith(b"Return-Path: <>\r\n")


def test_recipients_without_a_rule_are_refused_and_others_accepted(server: SmtpServer, clients: Clients) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        submit(server.port, MAIL, "jane@example.org", ["nobody@example.com"])

    assert refused.value.recipients["nobody@example.com"][0] == 550
    message_id = submit(server.port, MAIL, "jane@example.org", ["nobody@example.com", "contact@example.com"])
    assert stored(clients, RULES[1], message_id)


def test_over_40_mb_is_refused_and_just_below_is_accepted(server: SmtpServer) -> None:
    line = b"x" * 998 + b"\r\n"

    with pytest.raises(smtplib.SMTPResponseException, match="552"):
        submit(server.port, MAIL + line * 41_944, "jane@example.org", ["contact@example.com"])
    assert submit(server.port, MAIL + line * 39_000, "jane@example.org", ["contact@example.com"])


def test_a_message_that_cannot_be_stored_stays_with_its_sender(emulator: Emulator) -> None:
    elsewhere = ReceiptRule(
        name="r", recipients=("contact@example.com",), bucket="no-such", prefix="", function="smtp-inbound"
    )

    with (
        SmtpServer([elsewhere], Clients(emulator.endpoint), port=free_port()) as server,
        pytest.raises(smtplib.SMTPResponseException, match="451"),
    ):
        submit(server.port, MAIL, "jane@example.org", ["contact@example.com"])


def test_the_error_about_a_port_in_use_names_the_option(clients: Clients) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(LocalCloudError, match="--smtp-port"):
        SmtpServer(RULES, clients, port=taken.getsockname()[1])
