"""The one place that knows both sides: reads the environment and gives the use cases their adapters.

Everything is built on first use and kept for the life of the execution environment; importing builds nothing. What only
one function works with is imported where it is built: a cold start loads nothing of the other functions.
"""

import gc

from email_handler import precompiled

gc.disable()  # while functions import, nothing becomes garbage; runtime enables it once a handler is made
precompiled.use()

import os
import random
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Any

import botocore.session

from email_handler.adapters.aws import CONFIG, DYNAMODB_CONFIG, DeferredClient
from email_handler.adapters.s3 import S3Archive
from email_handler.adapters.sqs import SqsJobs
from email_handler.adapters.ssm import SsmConfig
from email_handler.adapters.trust import share_authorities
from email_handler.conversations.jobs import JobKind
from email_handler.identifiers import FunctionName, ReceiptId
from email_handler.settings import AttachmentSettings, InboundSettings, ReceivingSettings, SendingSettings, Settings

if TYPE_CHECKING:
    from email_handler.adapters.dynamodb.ledger import DynamoLedger
    from email_handler.adapters.dynamodb.records import DynamoRecords
    from email_handler.adapters.health import AwsHealth, SnsAlerts
    from email_handler.conversations.records import AttachmentRecord
    from email_handler.usecases.configuration import Configuration, ConfigurationReader
    from email_handler.usecases.context import Context
    from email_handler.usecases.passes import PassReport
    from email_handler.usecases.sending import Dispatch

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_making = Lock()
_LEASE_MARGIN = timedelta(seconds=30)


def _now() -> datetime:
    return datetime.now(UTC)


def new_token(length: int) -> str:
    """Return *length* random characters of lower-case Crockford base32."""
    return "".join(secrets.choice(_CROCKFORD) for _ in range(length))


def _deferred(service: str) -> DeferredClient:
    def made() -> Any:
        with _making:  # documents are read in threads, and a session makes one client at a time
            return _client(service)

    return DeferredClient(made)


@cache
def _client(service: str) -> Any:
    if service != "sesv2":
        config = DYNAMODB_CONFIG if service == "dynamodb" else CONFIG
        return _session().create_client(service, config=config)
    from email_handler.adapters.ses import SES_CONFIG

    return _session().create_client(service, config=SES_CONFIG)


@cache
def _session() -> Any:
    share_authorities()
    return botocore.session.get_session()


def _archive(settings: Settings) -> S3Archive:
    return S3Archive(_deferred("s3"), settings.archive_bucket)


def _records(settings: Settings) -> "DynamoRecords":
    from email_handler.adapters.dynamodb.records import DynamoRecords

    return DynamoRecords(_deferred("dynamodb"), settings.table_name, clock=_now)


def _ledger(settings: Settings) -> "DynamoLedger":
    from email_handler.adapters.dynamodb.ledger import DynamoLedger

    return DynamoLedger(_deferred("dynamodb"), settings.table_name, clock=_now)


@cache
def _config(bucket: str, *together: str) -> SsmConfig:
    return SsmConfig(_deferred("ssm"), _deferred("s3"), bucket, together)


# inbound and reply


@cache
def _receiving() -> "tuple[ReceivingSettings, ConfigurationReader]":
    from email_handler.usecases.configuration import ConfigurationReader

    settings = ReceivingSettings.from_environ(os.environ)
    parameters = (
        settings.rules_parameter,
        settings.routes_parameter,
        settings.signature_parameter,
        settings.learned_parameter,
    )
    reader = ConfigurationReader(_config(settings.archive_bucket, *parameters), *parameters, settings.owners())
    return settings, reader


def context() -> "Context":
    """Return what inbound and reply work with. The documents are read in the background meanwhile."""
    from email_handler.adapters.eventbridge import EventBridgeEvents
    from email_handler.runtime import log_problems
    from email_handler.usecases.context import Context

    settings, reader = _receiving()
    awaited = reader.begin()

    @cache
    def configuration() -> "Configuration":
        found = awaited()
        log_problems(found.problems)
        return found

    return Context(
        archive=_archive(settings),
        records=_records(settings),
        ledger=_ledger(settings),
        jobs=SqsJobs(
            _deferred("sqs"),
            {
                JobKind.ACKNOWLEDGEMENT: settings.ack_queue_url,
                JobKind.FORWARD: settings.forward_queue_url,
                JobKind.NOTICE: settings.forward_queue_url,
                JobKind.REPLY: settings.reply_queue_url,
            },
            {},
        ),
        events=EventBridgeEvents(_deferred("events")),
        owners=settings.owners(),
        configuration=configuration,
        hold_unchecked=settings.unchecked_parts == "hold",
        ack_daily_cap=settings.ack_daily_cap,
        ack_daily_cap_per_domain=settings.ack_daily_cap_per_domain,
        reply_delay=timedelta(seconds=settings.reply_delay_seconds),
        new_conversations_daily_cap=settings.new_conversations_daily_cap,
        clock=_now,
        pause=time.sleep,
        chance=random.random,
        new_token=new_token,
    )


def inbound_hourly(context: "Context") -> "PassReport":
    """Run inbound's hourly pass with what only inbound's passes need: AWS's health and the alarm topic."""
    from email_handler.usecases import passes

    health, alerts = _watching()
    return passes.inbound_hourly(context, health=health, alerts=alerts)


def inbound_daily(context: "Context") -> "PassReport":
    """Run inbound's daily pass with these, and with what it learns from."""
    from email_handler.adapters.dynamodb.judgements import DynamoJudgements
    from email_handler.adapters.ssm import SsmPointer
    from email_handler.usecases import passes
    from email_handler.usecases.learning import Learning

    settings = InboundSettings.from_environ(os.environ)
    learning = Learning(
        judgements=DynamoJudgements(_deferred("dynamodb"), settings.table_name),
        pointer=SsmPointer(_deferred("ssm"), settings.learned_parameter),
    )
    health, alerts = _watching()
    return passes.inbound_daily(context, health=health, alerts=alerts, learning=learning)


def _watching() -> "tuple[AwsHealth, SnsAlerts]":
    from email_handler.adapters.health import AwsHealth, SnsAlerts

    settings = InboundSettings.from_environ(os.environ)
    health = AwsHealth(
        _deferred("sesv2"),
        _deferred("sqs"),
        domain=settings.domain,
        mailboxes=settings.forward_to,
        dead_letter_queue_urls=settings.dead_letter_queue_urls,
        rule_set=settings.rule_set,
        active_rule_set=lambda: _deferred("ses").describe_active_receipt_rule_set(),
    )
    return health, SnsAlerts(_deferred("sns"), settings.alarm_topic_arn)


def reply_hourly(context: "Context") -> "PassReport":
    """Run reply's hourly pass."""
    from email_handler.usecases import passes

    return passes.reply_hourly(context)


def reply_daily(context: "Context") -> "PassReport":
    """Run reply's daily pass."""
    from email_handler.usecases import passes

    return passes.reply_daily(context)


# attachment


@cache
def attachments() -> "Callable[[ReceiptId, FunctionName], tuple[AttachmentRecord, ...]]":
    """Return the attachment function's use case with what it works with."""
    from email_handler.adapters.extraction.extractor import INHERITED, DocumentExtractor
    from email_handler.usecases.attachments import store_attachments

    settings = AttachmentSettings.from_environ(os.environ)
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return partial(
        store_attachments,
        archive=_archive(settings),
        records=_records(settings),
        extractor=DocumentExtractor(environment),
        seconds=time.monotonic,
    )


# The three senders


@cache
def _sending() -> tuple[SendingSettings, SqsJobs]:
    settings = SendingSettings.from_environ(os.environ)
    queues: dict[str, str] = dict.fromkeys(JobKind, settings.queue_url)
    queues[JobKind.NOTICE] = settings.notice_queue_url
    dead_letters: dict[str, str] = dict.fromkeys(JobKind, settings.dead_letter_queue_url)
    return settings, SqsJobs(_deferred("sqs"), queues, dead_letters)


@cache
def dispatch() -> "Dispatch":
    """Return what a sender works with."""
    from email_handler.adapters.eventbridge import EventBridgeEvents
    from email_handler.adapters.ses import SesMailer
    from email_handler.usecases.sending import Dispatch

    settings, jobs = _sending()
    return Dispatch(
        archive=_archive(settings),
        ledger=_ledger(settings),
        jobs=jobs,
        mailer=SesMailer(_deferred("sesv2"), settings.configuration_set),
        events=EventBridgeEvents(_deferred("events")),
        config=_config(settings.archive_bucket, settings.routes_parameter, settings.signature_parameter),
        acknowledgement_parameter=settings.acknowledgement_parameter,
        routes_parameter=settings.routes_parameter,
        signature_parameter=settings.signature_parameter,
        owners=settings.owners(),
        region=os.environ["AWS_REGION"],
        lease=timedelta(seconds=settings.timeout_seconds) + _LEASE_MARGIN,
        clock=_now,
        chance=random.random,
        pause=time.sleep,
    )


def dead_letter_unreadable(body: str, reason: str, receives: int) -> None:
    """Send a queue message that is not a job to the sender's dead-letter queue."""
    _, jobs = _sending()
    jobs.dead_letter(body, JobKind.FORWARD, reason, receives)


def show_again(receipt_handle: str, seconds: int) -> None:
    """Let the sender's queue show the message of *receipt_handle* again after *seconds*."""
    settings, jobs = _sending()
    jobs.change_visibility(settings.queue_url, receipt_handle, seconds)
