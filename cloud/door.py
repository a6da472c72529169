"""SES's door in: an SMTP server that carries out the receipt rules of the deployed template."""

import asyncio
import json
import logging
import re
import smtplib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from botocore.exceptions import BotoCoreError, ClientError

from cloud import receipt
from cloud.clients import ACCOUNT, REGION, Clients
from cloud.emulator import require_free
from cloud.receipt import Accepted
from cloud.template import ReceiptRule

MAX_MESSAGE = 40 * 1024 * 1024  # bytes, the S3 action's limit
_REFUSALS = 400  # reply codes from here on say no (RFC 5321 §4.2.1)
_log = logging.getLogger(__name__)


class Door:
    """Listens on localhost and hands each mail to S3 and Lambda as SES would, before it says 250."""

    def __init__(
        self,
        rules: Sequence[ReceiptRule],
        clients: Clients,
        *,
        port: int,
        host: str = "127.0.0.1",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Open the door. Raises LocalCloudError where *port* is taken."""
        require_free(port, "--smtp-port", host)
        self.port = port
        self._rules = rules
        self._clients = clients
        self._clock = clock
        # Both clients are made here: making one is not safe in several threads at once.
        self._s3, self._lambda = clients.s3, clients.lambda_
        self._controller = _Controller(self, hostname=host, port=port, ready_timeout=10)
        self._controller.start()

    def close(self) -> None:
        """Close the door."""
        self._controller.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take recipients that a rule is for."""
        if not any(rule.matches(address) for rule in self._rules):
            return "550 5.1.1 Requested action not taken: mailbox unavailable"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take the mail once every rule's actions have been carried out; otherwise the sender keeps it (451)."""
        sender = (envelope.mail_from or "").removeprefix("<>")  # which is how aiosmtpd tells of the null sender
        try:
            raw, verdicts = receipt.take_verdicts(bytes(envelope.original_content or b""), sender)
        except ValueError as error:
            return f"554 5.6.0 {error}"
        mail = Accepted(
            message_id=receipt.new_message_id(),
            at=self._clock(),
            helo=str(session.host_name or "localhost"),
            sender=sender,
            recipients=tuple(envelope.rcpt_tos),
            raw=raw,
            verdicts=verdicts,
        )
        try:
            await asyncio.to_thread(self.carry_out, mail)
        except (ClientError, BotoCoreError) as error:
            _log.warning("the local cloud did not take a mail: %s", error)
            return "451 4.3.0 Requested action aborted: the local cloud did not take it"
        return f"250 OK {mail.message_id}"

    def carry_out(self, mail: Accepted) -> None:
        """Store *mail* and invoke, for each rule that matches, in the rules' order. Raises ClientError, BotoCoreError."""
        for rule in self._rules:
            recipients = [recipient for recipient in mail.recipients if rule.matches(recipient)]
            if recipients:
                obj = receipt.stored(mail)
                self._s3.put_object(Bucket=rule.bucket, Key=rule.prefix + mail.message_id, Body=obj)
                arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{rule.function}"
                payload = json.dumps(receipt.event(mail, obj, recipients, arn)).encode()
                self._lambda.invoke(FunctionName=rule.function, InvocationType="Event", Payload=payload)


class _Server(SMTP):
    line_length_limit = MAX_MESSAGE


class _Controller(Controller):
    def factory(self) -> SMTP:
        """Make a server that takes what SES takes: any octets, in lines of any length, up to 40 MB."""
        return _Server(
            self.handler,
            data_size_limit=MAX_MESSAGE,
            decode_data=False,
            enable_SMTPUTF8=False,
            hostname=f"inbound-smtp.{REGION}.amazonaws.com",
            ident="SES as the local cloud has it",
        )


def submit(port: int, raw: bytes, sender: str, recipients: Sequence[str]) -> str:
    """Hand *raw* to the door as it is, octet for octet, and return SES's message id.

    smtplib would double the dots after bare line feeds too, which a server does not undo. A mail that does not end
    with a line break gets one: SMTP knows no other. Raises smtplib.SMTPException where the door refuses.
    """
    with smtplib.SMTP("127.0.0.1", port, local_hostname="mail.example.net", timeout=60) as session:
        session.ehlo()
        _expect(session.mail(sender))
        refused: dict[str, tuple[int, bytes]] = {}
        for recipient in recipients:
            answer = session.rcpt(recipient)
            if answer[0] >= _REFUSALS:
                refused[recipient] = answer
        if len(refused) == len(recipients):
            raise smtplib.SMTPRecipientsRefused(refused)
        _expect(session.docmd("DATA"))
        end = b".\r\n" if raw.endswith(b"\r\n") else b"\r\n.\r\n"
        session.send(re.sub(rb"(\A|\r\n)\.", rb"\1..", raw) + end)
        answer = session.getreply()
        _expect(answer)
        return answer[1].decode().removeprefix("OK ")


def _expect(answer: tuple[int, Any]) -> None:
    if answer[0] >= _REFUSALS:
        raise smtplib.SMTPResponseException(*answer)
