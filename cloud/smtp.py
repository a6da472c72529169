"""The SMTP server that receives email in place of SES: it applies the receipt rules of the deployed template."""

import asyncio
import json
import logging
import re
import smtplib
from collections.abc import Sequence
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from botocore.exceptions import BotoCoreError, ClientError

from cloud import ACCOUNT, REGION, receipt
from cloud.clients import Clients
from cloud.emulator import require_free
from cloud.receipt import Accepted
from cloud.template import ReceiptRule

MAX_MESSAGE = 40 * 1024 * 1024  # bytes, the S3 action's limit
_REFUSALS = 400  # SMTP reply codes from here on are refusals (RFC 5321 §4.2.1)
_log = logging.getLogger(__name__)


class SmtpServer(Controller):
    """Listens on localhost and hands each message to S3 and Lambda, as SES does, before it replies 250."""

    def __init__(self, rules: Sequence[ReceiptRule], clients: Clients, *, port: int) -> None:
        """Start listening. Raise LocalCloudError if *port* is in use."""
        require_free(port, "--smtp-port")
        self._rules = rules
        # Both clients are made here: creating one is not thread-safe.
        self._s3, self._lambda = clients.s3, clients.lambda_
        super().__init__(self, hostname="127.0.0.1", port=port, ready_timeout=10)
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def factory(self) -> SMTP:
        """Return a server that takes what SES takes: any bytes, in lines of any length, up to 40 MB."""
        return _Server(
            self.handler,
            data_size_limit=MAX_MESSAGE,
            decode_data=False,
            enable_SMTPUTF8=False,
            hostname=f"inbound-smtp.{REGION}.amazonaws.com",
            ident="the local cloud in place of SES",
        )

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept a recipient that a rule matches."""
        if not any(rule.matches(address) for rule in self._rules):
            return "550 5.1.1 Requested action not taken: mailbox unavailable"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Accept the message once every rule's actions are done; otherwise reply 451, and the sender keeps it."""
        sender = (envelope.mail_from or "").removeprefix("<>")  # aiosmtpd's form of the null sender
        raw, helo = bytes(envelope.original_content or b""), str(session.host_name or "localhost")
        try:
            message = receipt.accept(raw, sender, envelope.rcpt_tos, helo=helo)
        except ValueError as error:
            return f"554 5.6.0 {error}"
        try:
            await asyncio.to_thread(self.apply_rules, message)
        except (ClientError, BotoCoreError) as error:
            _log.warning("the local cloud could not store a message: %s", error)
            return "451 4.3.0 Requested action aborted: the local cloud could not store the message"
        return f"250 OK {message.message_id}"

    def apply_rules(self, message: Accepted) -> None:
        """Store *message* and invoke the function of each rule that matches, in the rules' order.

        Raise ClientError or BotoCoreError.
        """
        for rule in self._rules:
            recipients = [recipient for recipient in message.recipients if rule.matches(recipient)]
            if recipients:
                obj = receipt.stored(message)
                self._s3.put_object(Bucket=rule.bucket, Key=rule.prefix + message.message_id, Body=obj)
                arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{rule.function}"
                payload = json.dumps(receipt.event(message, obj, recipients, arn)).encode()
                self._lambda.invoke(FunctionName=rule.function, InvocationType="Event", Payload=payload)


class _Server(SMTP):
    line_length_limit = MAX_MESSAGE


def submit(port: int, raw: bytes, sender: str, recipients: Sequence[str]) -> str:
    """Send *raw* to the SMTP server byte for byte, and return SES's message id.

    smtplib would also double dots after bare line feeds, which a server does not undo. A message that does not end
    with a line break gets one, as SMTP requires. Raise smtplib.SMTPException if the server refuses.
    """
    with smtplib.SMTP("127.0.0.1", port, local_hostname="mail.example.net", timeout=60) as session:
        session.ehlo()
        _expect(session.mail(sender))
        replies = {recipient: session.rcpt(recipient) for recipient in recipients}
        if all(code >= _REFUSALS for code, _ in replies.values()):
            raise smtplib.SMTPRecipientsRefused(replies)
        _expect(session.docmd("DATA"))
        end = b".\r\n" if raw.endswith(b"\r\n") else b"\r\n.\r\n"
        session.send(re.sub(rb"(\A|\r\n)\.", rb"\1..", raw) + end)
        reply = session.getreply()
        _expect(reply)
        return reply[1].decode().removeprefix("OK ")


def _expect(reply: tuple[int, Any]) -> None:
    if reply[0] >= _REFUSALS:
        raise smtplib.SMTPResponseException(*reply)
