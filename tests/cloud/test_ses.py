"""SES's sending API: what it refuses, what it keeps, and the faults it injects."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from cloud.clients import Clients
from cloud.emulator import Emulator
from cloud.ses import Fault, SesEndpoint

MAIL = (
    b"From: Contact <contact@example.com>\r\nTo: jane@example.org\r\nSubject: Hello\r\nMessage-ID: <ours@example.com>\r\n"
    b"Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nX-Note: 1\r\nX-Note: 2\r\n\r\nBody, 8 bit: \xff\r\n"
)


@pytest.fixture
def ses(tmp_path: Path) -> Iterator[SesEndpoint]:
    with SesEndpoint(tmp_path / "outbox", domain="example.com") as endpoint:
        yield endpoint


SESSION: Any = boto3.session.Session()  # one for all tests: it reads the service model once


def send(
    ses: SesEndpoint, raw: bytes, to: list[str] | None = None, sender: str = "contact@example.com", limit: float = 30
) -> str:
    """Send through boto3, as the functions do, and wait *limit* seconds for the response; return SES's id."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=limit)
    client = SESSION.client("sesv2", endpoint_url=ses.url, config=config)
    response = client.send_email(
        FromEmailAddress=sender,
        Destination={"ToAddresses": ["jane@example.org"] if to is None else to},
        Content={"Raw": {"Data": raw}},
        ConfigurationSetName="replies",
    )
    return str(response["MessageId"])


def test_a_sent_message_is_kept_byte_for_byte_with_its_envelope(ses: SesEndpoint) -> None:
    ses_id = send(ses, MAIL)

    (sent,) = ses.sent()
    assert Path(sent.handed_in).read_bytes() == MAIL
    assert (sent.ses_id, sent.sender, sent.recipients) == (ses_id, "contact@example.com", ("jane@example.org",))
    assert (sent.configuration_set, sent.subject, sent.size) == ("replies", "Hello", len(MAIL))


def test_the_recipient_gets_the_message_id_and_date_of_ses_and_the_same_body(ses: SesEndpoint) -> None:
    ses_id = send(ses, MAIL)

    (sent,) = ses.sent()
    received = Path(sent.eml).read_bytes()
    assert sent.message_id == f"<{ses_id}@email.amazonses.com>"
    assert received.count(b"Message-ID:") == received.count(b"Date:") == 1
    assert f"Message-ID: {sent.message_id}\r\n".encode() in received
    assert received.endswith(b"\r\n\r\nBody, 8 bit: \xff\r\n")
    assert b"1970" not in received


def test_the_ten_thousandth_message_comes_after_the_one_before(ses: SesEndpoint) -> None:
    send(ses, MAIL)
    envelope = json.loads((ses.outbox / "0001.json").read_text())
    for number in (10_000, 9_999):
        (ses.outbox / f"{number:04}.json").write_text(json.dumps(envelope | {"number": number}))

    assert [sent.number for sent in ses.sent()] == [1, 9_999, 10_000]


def test_numbers_continue_in_an_outbox_that_has_messages(ses: SesEndpoint) -> None:
    send(ses, MAIL)

    with SesEndpoint(ses.outbox, domain="example.com") as second:
        send(second, MAIL)

        assert [sent.number for sent in second.sent()] == [1, 2]


@pytest.mark.parametrize(
    ("raw", "to", "code", "text"),
    [
        (MAIL.replace(b"@example.com>\r\nTo", b"@example.org>\r\nTo"), None, "MessageRejected", "not verified.*EAST-1"),
        (MAIL.replace(b"@example.com>\r\nTo", b"@notexample.com>\r\nTo"), None, "MessageRejected", "not verified"),
        (
            b"References: <a@b>\r\nReferences: <c@d>\r\n" + MAIL,
            None,
            "BadRequestException",
            "Duplicate header 'References'",
        ),
        (MAIL + b"x" * 999, None, "BadRequestException", "longer than 998"),
        (b"Subject-" + b"a: b\r\nX-" * 3000 + MAIL, None, "BadRequestException", "too long"),
        (MAIL.replace(b"X-Note: 1", b"not a field"), None, "BadRequestException", "not a header field"),
        (MAIL, ["jané@example.org"], "BadRequestException", "not ASCII"),
        (MAIL, ["jane"], "BadRequestException", "@domain"),
        (MAIL, [f"u{n}@example.org" for n in range(51)], "BadRequestException", "exceeds 50"),
        (MAIL + b"line\r\n" * (7 * 1024 * 1024), None, "BadRequestException", "more than 41943040"),
    ],
    ids=["from", "lookalike", "duplicate", "line", "headers", "no field", "utf-8", "no domain", "51", "40 MB"],
)
def test_what_ses_refuses_is_refused_with_its_code(
    ses: SesEndpoint, raw: bytes, to: list[str] | None, code: str, text: str
) -> None:
    with pytest.raises(ClientError, match=text) as refused:
        send(ses, raw, to)

    assert refused.value.response["Error"]["Code"] == code
    assert ses.sent() == []


def test_a_message_at_the_limits_is_accepted(ses: SesEndpoint) -> None:
    send(ses, MAIL + b"x" * 998 + b"\r\n", [f"u{n}@example.org" for n in range(50)], "replies@thread.example.com")

    assert len(ses.sent()[0].recipients) == 50


def test_an_injected_refusal_keeps_nothing_and_happens_as_often_as_requested(ses: SesEndpoint) -> None:
    ses.fail_next(Fault(code="TooManyRequestsException", status=429, message="Maximum sending rate exceeded."), times=2)

    for _ in range(2):
        with pytest.raises(ClientError, match="Maximum sending rate") as refused:
            send(ses, MAIL)
        assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert ses.sent() == []
    send(ses, MAIL)
    assert len(ses.sent()) == 1


@pytest.mark.parametrize("delivered", [True, False])
def test_a_reset_loses_the_response_and_on_request_the_message_too(ses: SesEndpoint, delivered: bool) -> None:
    ses.fail_next(Fault(reset=True, delivered=delivered))

    with pytest.raises(ConnectionClosedError):
        send(ses, MAIL)

    assert len(ses.sent()) == delivered


def test_a_slow_response_is_a_read_timeout_after_the_message_was_sent(ses: SesEndpoint) -> None:
    ses.fail_next(Fault(seconds=1))

    with pytest.raises(ReadTimeoutError):
        send(ses, MAIL, limit=0.2)

    assert len(ses.sent()) == 1


def test_a_fault_applies_only_to_the_requests_it_selects(ses: SesEndpoint) -> None:
    ses.fail_next(Fault(code="X", only=lambda request: request["Destination"]["ToAddresses"] == ["joe@example.org"]))

    send(ses, MAIL)
    with pytest.raises(ClientError):
        send(ses, MAIL, ["joe@example.org"])


@pytest.mark.cloud
def test_other_calls_reach_the_emulator(ses: SesEndpoint, emulator: Emulator) -> None:
    ses.upstream = emulator.endpoint
    through = Clients(ses.url)
    through.s3.create_bucket(Bucket="behind-ses")
    through.s3.put_object(Bucket="behind-ses", Key="a b+c", Body=b"x" * 3_000_000)

    assert through.s3.head_object(Bucket="behind-ses", Key="a b+c")["ContentLength"] == 3_000_000
    assert Clients(emulator.endpoint).s3.get_object(Bucket="behind-ses", Key="a b+c")["Body"].read() == b"x" * 3_000_000
