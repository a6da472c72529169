"""The mailer: one attempt, and an error that shows whether the message may have been sent."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from cloud.emulator import free_port
from cloud.events import feedback
from cloud.ses import Fault, SesEndpoint
from email_handler.adapters.ses import LARGEST, SES_CONFIG, SesMailer
from email_handler.errors import (
    EmailHandlerError,
    MessageRefused,
    MessageTooLarge,
    SendingBlocked,
    SendingThrottled,
    SendOutcomeUnknown,
)
from email_handler.identifiers import LedgerId
from email_handler.ports import Mailer
from email_handler.senders.bounces.ses_events import delivered
from tests.support.fakes import NOW, FakeMailer

PUBLIC, JANE, OWNER = "contact@example.com", "jane@customer.example", "owner@private.example"
LEDGER = LedgerId("reply-0123456789abcdef01234567")
MAIL = (
    b"From: Contact <contact@example.com>\r\nTo: jane@customer.example\r\nSubject: Hello\r\n\r\nBody, 8 bit: \xff\r\n"
)
SESSION: Any = boto3.session.Session()


def client(url: str, read_timeout: float = 10) -> Any:
    """Return an SES client as bootstrap makes it, for *url* and with shorter time-outs."""
    config = SES_CONFIG.merge(Config(read_timeout=read_timeout, connect_timeout=2))
    return SESSION.client("sesv2", endpoint_url=url, region_name="us-east-1", config=config)


@dataclass(frozen=True)
class Outbox:
    """The port, and the messages sent: the bytes as handed in, the envelope and SES's id."""

    mailer: Mailer
    left: Callable[[], list[tuple[bytes, str, Sequence[str], str]]]


@pytest.fixture
def ses(tmp_path: Path) -> Iterator[SesEndpoint]:
    with SesEndpoint(tmp_path / "outbox", domain="example.com") as endpoint:
        yield endpoint


@pytest.fixture(params=["fake", "aws"])
def outbox(request: pytest.FixtureRequest) -> Outbox:
    if request.param == "fake":
        fake = FakeMailer()
        return Outbox(fake, lambda: [(s.raw, s.sender, s.recipients, s.ses_id) for s in fake.sent])
    ses: SesEndpoint = request.getfixturevalue("ses")
    return Outbox(
        SesMailer(client(ses.url), "forwards"),
        lambda: [(Path(s.handed_in).read_bytes(), s.sender, s.recipients, s.ses_id) for s in ses.sent()],
    )


def test_a_message_is_sent_once_and_unchanged_under_the_returned_id(outbox: Outbox) -> None:
    ses_id = outbox.mailer.send(MAIL, PUBLIC, [JANE, OWNER], LEDGER)

    assert outbox.left() == [(MAIL, PUBLIC, (JANE, OWNER), ses_id)]
    assert ses_id
    assert "@" not in ses_id


def test_every_message_has_its_own_id(outbox: Outbox) -> None:
    assert outbox.mailer.send(MAIL, PUBLIC, [JANE], LEDGER) != outbox.mailer.send(MAIL, PUBLIC, [JANE], LEDGER)


def test_a_message_larger_than_ses_accepts_is_refused_before_it_is_sent(outbox: Outbox) -> None:
    with pytest.raises(MessageTooLarge):
        outbox.mailer.send(MAIL + b"x" * LARGEST, PUBLIC, [JANE], LEDGER)

    assert outbox.left() == []


def test_the_ledger_id_comes_back_in_the_tags_of_sess_events(ses: SesEndpoint) -> None:
    SesMailer(client(ses.url), "forwards").send(MAIL, PUBLIC, [JANE], LEDGER)
    (sent,) = ses.sent()
    event = feedback("Delivery", sent, NOW)

    report = delivered(event["detail"])
    assert report is not None
    assert (report.ledger, report.ses_id) == (LEDGER, sent.ses_id)


@pytest.mark.parametrize(("code", "status"), [("InternalFailure", 500), ("InternalServiceErrorException", 500)])
def test_a_server_error_does_not_show_whether_ses_has_taken_the_message(
    ses: SesEndpoint, code: str, status: int
) -> None:
    ses.fail_next(Fault(code=code, status=status, delivered=True))

    with pytest.raises(SendOutcomeUnknown):
        SesMailer(client(ses.url), "forwards").send(MAIL, PUBLIC, [JANE], LEDGER)


def test_messages_are_sent_with_the_configuration_set(ses: SesEndpoint) -> None:
    SesMailer(client(ses.url), "forwards").send(MAIL, PUBLIC, [JANE], LEDGER)

    assert [sent.configuration_set for sent in ses.sent()] == ["forwards"]


@pytest.mark.parametrize(
    ("code", "status", "text", "expected"),
    [
        ("TooManyRequestsException", 429, "Maximum sending rate exceeded.", SendingThrottled),
        ("Throttling", 400, "Maximum sending rate exceeded.", SendingThrottled),
        ("ThrottlingException", 400, "Rate exceeded", SendingThrottled),
        ("TooManyRequestsException", 429, "Daily message quota exceeded.", SendingBlocked),
        ("Throttling", 400, "Daily message quota exceeded.", SendingBlocked),
        ("LimitExceededException", 400, "", SendingBlocked),
        ("MailFromDomainNotVerifiedException", 400, "", SendingBlocked),
        ("SendingPausedException", 400, "", SendingBlocked),
        ("AccountSuspendedException", 400, "", SendingBlocked),
        ("AccountSendingPausedException", 400, "", SendingBlocked),
        ("ConfigurationSetSendingPausedException", 400, "", SendingBlocked),
        ("MessageRejected", 400, "Sending suspended for this account.", SendingBlocked),
        ("MessageRejected", 400, "Email sending for the account is paused.", SendingBlocked),
        ("BadRequestException", 400, "Sending paused for this account.", SendingBlocked),
        # What an address or a domain in the text seems to say means nothing.
        ("BadRequestException", 400, "Illegal address: <quota@paused.example>", MessageRefused),
        ("MessageRejected", 400, "Invalid domain name: suspended.example", MessageRefused),
        # These pass by themselves: DKIM is pending, the stack is being deployed.
        ("MessageRejected", 400, "Email address is not verified: jane@customer.example", SendingBlocked),
        ("BadRequestException", 400, "Email address is not verified.", SendingBlocked),
        ("NotFoundException", 404, "Configuration set <forwards> does not exist.", SendingBlocked),
        ("ConfigurationSetDoesNotExist", 400, "", SendingBlocked),
        ("ConfigurationSetDoesNotExistException", 400, "", SendingBlocked),
        ("MailFromDomainNotVerified", 400, "", SendingBlocked),
        ("AccessDeniedException", 403, "", SendingBlocked),
        ("ExpiredTokenException", 403, "", SendingBlocked),
        ("MessageRejected", 400, "Email contains a virus.", MessageRefused),
        ("MessageRejected", 400, "", MessageRefused),
        ("BadRequestException", 400, "Duplicate header 'References'.", MessageRefused),
        ("InvalidParameterValue", 400, "", MessageRefused),
        ("ServiceUnavailableException", 503, "", SendingThrottled),
    ],
)
def test_the_error_for_a_refusal_of_ses_shows_whether_and_when_to_retry(
    ses: SesEndpoint, code: str, status: int, text: str, expected: type[EmailHandlerError]
) -> None:
    ses.fail_next(Fault(code=code, status=status, message=text))

    with pytest.raises(expected) as raised:
        SesMailer(client(ses.url), "forwards").send(MAIL, PUBLIC, [JANE], LEDGER)

    assert type(raised.value) is expected
    assert str(raised.value) == f"SES: {code}"  # SES's own texts may quote addresses
    assert ses.sent() == []


@pytest.mark.parametrize("fault", [Fault(reset=True, delivered=True), Fault(reset=True), Fault(seconds=2)])
def test_without_a_response_the_outcome_is_unknown_and_nothing_is_sent_again(ses: SesEndpoint, fault: Fault) -> None:
    ses.fail_next(fault)

    with pytest.raises(SendOutcomeUnknown):
        SesMailer(client(ses.url, read_timeout=0.5), "forwards").send(MAIL, PUBLIC, [JANE], LEDGER)

    assert len(ses.sent()) <= 1


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 13\r\n\r\n<html></html>",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{{{{{",
        b"no HTTP at all\r\n\r\n",
        b"",
    ],
)
def test_after_a_response_that_is_not_from_ses_the_outcome_is_unknown(response: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = threading.Thread(target=_respond_once, args=(server, response))
        proxy.start()
        try:
            with pytest.raises(SendOutcomeUnknown):
                SesMailer(client(f"http://127.0.0.1:{server.getsockname()[1]}"), "forwards").send(
                    MAIL, PUBLIC, [JANE], LEDGER
                )
        finally:
            proxy.join(10)


def _respond_once(server: socket.socket, response: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        received = b""
        while b'"}' not in received:  # the end of the request's JSON
            received += connection.recv(65536)
        connection.sendall(response)


def test_a_refused_connection_sent_nothing() -> None:
    with pytest.raises(SendingThrottled, match="EndpointConnectionError"):
        SesMailer(client(f"http://127.0.0.1:{free_port()}"), "forwards").send(MAIL, PUBLIC, [JANE], LEDGER)


def test_a_name_that_does_not_resolve_sent_nothing() -> None:
    with pytest.raises(SendingThrottled, match="EndpointConnectionError"):
        SesMailer(client("http://ses.invalid"), "forwards").send(MAIL, PUBLIC, [JANE], LEDGER)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectTimeoutError(endpoint_url="http://ses.invalid"), SendingThrottled),
        (EndpointConnectionError(endpoint_url="http://ses.invalid"), SendingThrottled),
        (NoCredentialsError(), SendingThrottled),
        (CredentialRetrievalError(provider="test", error_msg="gone"), SendingThrottled),
        (ReadTimeoutError(endpoint_url="http://ses.invalid"), SendOutcomeUnknown),
        (ParamValidationError(report="jane@customer.example is no list"), MessageRefused),
    ],
)
def test_an_error_without_a_response_depends_on_whether_the_request_was_written(
    error: Exception, expected: type[EmailHandlerError]
) -> None:
    class Silent:
        def send_email(self, **_: object) -> None:
            raise error

    with pytest.raises(expected) as raised:
        SesMailer(Silent(), "forwards").send(MAIL, PUBLIC, [JANE], LEDGER)

    assert str(raised.value) == f"SES: {type(error).__name__}"
