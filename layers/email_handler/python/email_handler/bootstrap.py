"""The one place that knows both sides: reads the environment and gives the use cases their adapters.

Everything is built on first use and kept for the life of the execution environment; importing builds nothing.
"""

import os
import random
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3

from email_handler.adapters.aws import CONFIG
from email_handler.adapters.dynamodb import DynamoRecords
from email_handler.adapters.eventbridge import EventBridgeEvents
from email_handler.adapters.health import AwsHealth, SnsAlerts
from email_handler.adapters.s3 import S3Archive
from email_handler.adapters.ses import SES_CONFIG, SesMailer
from email_handler.adapters.sqs import SqsJobs
from email_handler.adapters.ssm import SsmConfig
from email_handler.conversations.jobs import JobKind
from email_handler.ports import TextExtractor
from email_handler.runtime import log_problems
from email_handler.settings import AttachmentSettings, InboundSettings, ReceivingSettings, SendingSettings, Settings
from email_handler.usecases.configuration import Configuration, ConfigurationReader
from email_handler.usecases.context import Context
from email_handler.usecases.sending import Dispatch

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_LEASE_MARGIN = timedelta(seconds=30)


def _now() -> datetime:
    return datetime.now(UTC)


def new_token(length: int) -> str:
    """Return *length* random characters of lower-case Crockford base32."""
    return "".join(secrets.choice(_CROCKFORD) for _ in range(length))


@cache
def _client(service: str) -> Any:
    create: Any = boto3.client  # its types know a service by its literal name only
    return create(service, config=SES_CONFIG if service == "sesv2" else CONFIG)


def _archive(settings: Settings) -> S3Archive:
    return S3Archive(_client("s3"), settings.archive_bucket)


@cache
def _records(table_name: str) -> DynamoRecords:
    return DynamoRecords(_client("dynamodb"), table_name, clock=_now)


@cache
def _config(bucket: str) -> SsmConfig:
    return SsmConfig(_client("ssm"), _client("s3"), bucket)


@cache
def _receiving() -> tuple[ReceivingSettings, ConfigurationReader]:
    settings = ReceivingSettings.from_environ(os.environ)
    reader = ConfigurationReader(_config(settings.archive_bucket), settings.rules_parameter, settings.routes_parameter)
    return settings, reader


def context() -> Context:
    """Return what inbound and reply work with. The rules and routes in force now are read meanwhile."""
    settings, reader = _receiving()
    awaited = reader.begin()

    @cache
    def configuration() -> Configuration:
        found = awaited()
        log_problems(found.problems)
        return found

    return Context(
        archive=_archive(settings),
        records=_records(settings.table_name),
        ledger=_records(settings.table_name),
        jobs=SqsJobs(
            _client("sqs"),
            {
                JobKind.ACKNOWLEDGEMENT: settings.ack_queue_url,
                JobKind.FORWARD: settings.forward_queue_url,
                JobKind.NOTICE: settings.forward_queue_url,
                JobKind.REPLY: settings.reply_queue_url,
            },
            {},
        ),
        events=EventBridgeEvents(_client("events")),
        owners=settings.owners(),
        configuration=configuration,
        ack_daily_cap=settings.ack_daily_cap,
        clock=_now,
        new_token=new_token,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What inbound's daily report works with."""

    problems: tuple[str, ...]  # of rules and routes
    health: AwsHealth
    alerts: SnsAlerts


def watch() -> Watch:
    """Return what the daily report works with."""
    settings = InboundSettings.from_environ(os.environ)
    return Watch(
        problems=_receiving()[1].begin()().problems,
        health=AwsHealth(
            _client("sesv2"),
            _client("sqs"),
            domain=settings.domain,
            mailboxes=settings.forward_to,
            dead_letter_queue_urls=settings.dead_letter_queue_urls,
        ),
        alerts=SnsAlerts(_client("sns"), settings.alarm_topic_arn),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What the attachment function works with."""

    archive: S3Archive
    records: DynamoRecords
    extractor: TextExtractor


@cache
def storage() -> Storage:
    """Return what the attachment function works with."""
    from email_handler.adapters.kreuzberg import KreuzbergExtractor  # noqa: PLC0415 - 90 MB only one function has

    settings = AttachmentSettings.from_environ(os.environ)
    return Storage(archive=_archive(settings), records=_records(settings.table_name), extractor=KreuzbergExtractor())


@cache
def _sending() -> tuple[SendingSettings, SqsJobs]:
    settings = SendingSettings.from_environ(os.environ)
    kinds = list(JobKind)
    jobs = SqsJobs(
        _client("sqs"),
        dict.fromkeys(kinds, settings.queue_url),
        dict.fromkeys(kinds, settings.dead_letter_queue_url),
    )
    return settings, jobs


@cache
def dispatch() -> Dispatch:
    """Return what a sender works with."""
    settings, jobs = _sending()
    return Dispatch(
        archive=_archive(settings),
        ledger=_records(settings.table_name),
        jobs=jobs,
        mailer=SesMailer(_client("sesv2"), settings.configuration_set),
        events=EventBridgeEvents(_client("events")),
        config=_config(settings.archive_bucket),
        acknowledgement_parameter=settings.acknowledgement_parameter,
        routes_parameter=settings.routes_parameter,
        owners=settings.owners(),
        region=os.environ["AWS_REGION"],
        lease=timedelta(seconds=settings.timeout_seconds) + _LEASE_MARGIN,
        clock=_now,
        chance=random.random,
    )


def dead_letter_unreadable(body: str, reason: str, receives: int) -> None:
    """Park a queue message that is no job of ours in the sender's dead-letter queue."""
    _, jobs = _sending()
    jobs.dead_letter(body, JobKind.FORWARD, reason, receives)


def show_again(receipt_handle: str, seconds: int) -> None:
    """Let the sender's queue show the message of *receipt_handle* again after *seconds*."""
    settings, jobs = _sending()
    jobs.change_visibility(settings.queue_url, receipt_handle, seconds)
