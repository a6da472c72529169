"""Sending through SES v2, and what each of its refusals means for a send."""

import re
from collections.abc import Sequence
from typing import Any

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ProxyConnectionError,
)

from email_handler import errors
from email_handler.adapters.aws import code, translating
from email_handler.identifiers import LedgerId, SesId
from email_handler.mail.addresses import ascii_address
from email_handler.mail.patterns import regex
from email_handler.senders.bounces.ses_events import LEDGER_TAG

SES_CONFIG = Config(connect_timeout=3, read_timeout=30, retries={"total_max_attempts": 1})
"""One attempt: botocore would also retry time-outs, and SES has no idempotency token."""

LARGEST = 40 * 1024 * 1024
"""Bytes of raw content that v2 ``SendEmail`` accepts."""

REFUSALS: dict[str, type[errors.EmailHandlerError]] = {
    # SES will accept it later.
    "TooManyRequestsException": errors.SendingThrottled,
    "Throttling": errors.SendingThrottled,
    "ThrottlingException": errors.SendingThrottled,
    "RequestTimeout": errors.SendingThrottled,  # SES stopped reading the request
    # The same message will be refused again, unless the text shows one of BLOCKED.
    "MessageRejected": errors.MessageRefused,
    "BadRequestException": errors.MessageRefused,
    "InvalidParameterValue": errors.MessageRefused,
}
"""SES's error codes that are about the message or the rate. Any other 4xx code (sending paused, MAIL FROM not verified,
a configuration set that does not exist, no permission, ...) means that nothing was sent and that the account or the
deployment is not ready: SendingBlocked."""

BLOCKED = regex(
    r"^email address is not verified|quota exceeded|sending (?:for the account )?(?:is )?(?:paused|suspended)|account (?:is|has been) (?:paused|suspended)",
    re.IGNORECASE,
)
"""SES's texts about the state of the account where the code is about the message or the rate: "Daily message quota
exceeded", "Email address is not verified" (also while DKIM is pending), "Sending paused for this account". Somebody must
act first, or a day must pass. Whole phrases: SES's other texts may quote an address."""

# The request was never written: refused connections, DNS, connect time-outs, no credentials to sign with.
_NOT_SENT = (
    EndpointConnectionError,
    ConnectTimeoutError,
    ProxyConnectionError,
    NoCredentialsError,
    CredentialRetrievalError,
)
_SERVER_ERROR, _UNAVAILABLE = 500, 503


class SesMailer:
    """Port Mailer with one configuration set."""

    def __init__(self, client: Any, configuration_set: str) -> None:
        """Use *client* (boto3, sesv2, made with :data:`SES_CONFIG`) and send under *configuration_set*."""
        self._client = client
        self._configuration_set = configuration_set

    def send(self, raw: bytes, sender: str, recipients: Sequence[str], ledger: LedgerId) -> SesId:
        """Hand *raw* to SES once, from *sender* to the envelope *recipients*, and return SES's id.

        SES's events about the message carry *ledger* in their tags: they name the send even if the response was lost.

        Raises SendingThrottled, SendingBlocked or MessageRefused (MessageTooLarge) if SES did not accept it,
        SendOutcomeUnknown if it may have.
        """
        if len(raw) > LARGEST:
            raise errors.MessageTooLarge("the composed message is larger than SES accepts")
        with translating(_translated):
            response = self._client.send_email(
                FromEmailAddress=sender,
                Destination={"ToAddresses": [ascii_address(recipient) for recipient in recipients]},
                Content={"Raw": {"Data": raw}},
                ConfigurationSetName=self._configuration_set,
                EmailTags=[{"Name": LEDGER_TAG, "Value": ledger}],
            )
        if "MessageId" not in response:
            raise errors.SendOutcomeUnknown("SES: a response without an id")
        return SesId(response["MessageId"])


def _translated(error: ClientError | BotoCoreError) -> errors.EmailHandlerError:
    kind = _refusal(error) if isinstance(error, ClientError) else _silence(error)
    return kind(f"SES: {code(error)}")


def _refusal(error: ClientError) -> type[errors.EmailHandlerError]:
    text = str(error.response.get("Error", {}).get("Message") or "")
    known = REFUSALS.get(code(error))
    if known:
        return errors.SendingBlocked if BLOCKED.search(text) else known
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status < _SERVER_ERROR:
        return errors.SendingBlocked
    # 503 with one of SES's own codes, which are words, is a refusal. Any other 5xx does not show whether SES has taken
    # the message: an internal failure, or the response of a proxy, for which botocore makes up a code such as "502".
    is_refusal = status == _UNAVAILABLE and code(error)[:1].isalpha() and code(error) != "no code"
    return errors.SendingThrottled if is_refusal else errors.SendOutcomeUnknown


def _silence(error: BotoCoreError) -> type[errors.EmailHandlerError]:
    if isinstance(error, _NOT_SENT):
        return errors.SendingThrottled
    if isinstance(error, ParamValidationError):
        return errors.MessageRefused
    return errors.SendOutcomeUnknown  # read time-out, reset, unreadable response: SES may have read the request
