"""The proxy between functions and AWS: its record of calls, and the faults that callers see."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from cloud import REGION
from cloud.clients import Clients
from cloud.emulator import Emulator
from tests.support.proxy import Call, Fault, Proxy

pytestmark = pytest.mark.cloud

type Caller = Callable[[str], Any]


@pytest.fixture
def proxy(emulator: Emulator) -> Iterator[Proxy]:
    with Proxy(emulator.endpoint, emulator.endpoint) as running:
        yield running


@pytest.fixture
def bucket(clients: Clients) -> str:
    clients.s3.create_bucket(Bucket="proxied")
    return "proxied"


def client(proxy: Proxy, service: str, attempts: int = 1) -> Any:
    """Return a client that calls through the proxy as InboundFunction."""
    options: Any = {"user_agent_appid": "InboundFunction"}  # newer than botocore's types
    config = Config(retries={"mode": "standard", "total_max_attempts": attempts}, **options)
    create: Any = boto3.client  # its types know a service by its literal name only
    return create(service, endpoint_url=proxy.url, region_name=REGION, config=config)


def breaks(*faults: Fault | None) -> Callable[[Call], Fault | None]:
    """Return a breaker that applies *faults* to the first calls and none to later ones."""
    waiting = iter((*faults, *repeat(None, 100)))
    return lambda _: next(waiting)


def keys(clients: Clients, bucket: str) -> set[str]:
    return {entry["Key"] for entry in clients.s3.list_objects_v2(Bucket=bucket).get("Contents", ())}


def test_a_call_is_recorded_with_function_service_operation_and_queue(proxy: Proxy, clients: Clients) -> None:
    url = clients.sqs.create_queue(QueueName="proxied-queue")["QueueUrl"]

    client(proxy, "sqs").send_message(QueueUrl=url, MessageBody="x")

    (call,) = proxy.calls
    assert (call.function, str(call), call.status) == ("InboundFunction", "sqs.SendMessage proxied-queue", 200)
    assert call.began <= call.ended


def test_the_archives_calls_have_the_names_of_s3s_operations(proxy: Proxy, bucket: str) -> None:
    s3 = client(proxy, "s3")
    s3.put_object(Bucket=bucket, Key="named", Body=b"x")
    s3.get_object(Bucket=bucket, Key="named")
    s3.put_object_tagging(Bucket=bucket, Key="named", Tagging={"TagSet": []})
    s3.delete_object_tagging(Bucket=bucket, Key="named")
    s3.list_objects_v2(Bucket=bucket)

    assert [call.operation for call in proxy.calls] == [
        "PutObject",
        "GetObject",
        "PutObjectTagging",
        "DeleteObjectTagging",
        "ListObjectsV2",
    ]


def test_bodies_pass_unchanged_in_both_directions(proxy: Proxy, bucket: str) -> None:
    body = bytes(range(256)) * 1000
    s3 = client(proxy, "s3")

    s3.put_object(Bucket=bucket, Key="bytes", Body=body)

    assert s3.get_object(Bucket=bucket, Key="bytes")["Body"].read() == body


def test_a_reset_call_has_no_effect(proxy: Proxy, clients: Clients, bucket: str) -> None:
    proxy.breaker = breaks(Fault.RESET)

    with pytest.raises(ConnectionClosedError):
        client(proxy, "s3").put_object(Bucket=bucket, Key="reset", Body=b"x")

    assert "reset" not in keys(clients, bucket)


def test_a_call_whose_response_is_lost_takes_effect(proxy: Proxy, clients: Clients, bucket: str) -> None:
    proxy.breaker = breaks(Fault.LOST)

    with pytest.raises(ConnectionClosedError):
        client(proxy, "s3").put_object(Bucket=bucket, Key="lost", Body=b"x")

    assert "lost" in keys(clients, bucket)


@pytest.mark.parametrize(
    ("service", "fault", "code", "ask"),
    [
        ("s3", Fault.THROTTLED, "SlowDown", lambda s3: s3.get_object(Bucket="b", Key="k")),
        ("s3", Fault.UNAVAILABLE, "ServiceUnavailable", lambda s3: s3.get_object(Bucket="b", Key="k")),
        ("sqs", Fault.THROTTLED, "ThrottlingException", lambda sqs: sqs.list_queues()),
        ("ssm", Fault.UNAVAILABLE, "ServiceUnavailable", lambda ssm: ssm.get_parameter(Name="p")),
        (
            "dynamodb",
            Fault.THROTTLED,
            "ProvisionedThroughputExceededException",
            lambda table: table.describe_table(TableName="t"),
        ),
        (
            "sesv2",
            Fault.THROTTLED,
            "TooManyRequestsException",
            lambda ses: ses.send_email(Content={"Raw": {"Data": b"x"}}),
        ),
    ],
)
def test_botocore_reads_a_refusal_as_the_services_own(
    proxy: Proxy, service: str, fault: Fault, code: str, ask: Caller
) -> None:
    proxy.breaker = breaks(fault)

    with pytest.raises(ClientError) as refused:
        ask(client(proxy, service))

    assert refused.value.response["Error"]["Code"] == code


def test_all_attempts_of_one_call_have_its_id(proxy: Proxy, clients: Clients, bucket: str) -> None:
    proxy.breaker = breaks(Fault.THROTTLED, Fault.LOST)

    client(proxy, "s3", attempts=3).put_object(Bucket=bucket, Key="third", Body=b"x")

    assert [call.fault for call in proxy.calls] == [Fault.THROTTLED, Fault.LOST, None]
    assert len({call.call for call in proxy.calls}) == 1
    assert "third" in keys(clients, bucket)


@pytest.mark.skipif(sys.platform != "linux", reason="the calling process is found in /proc")
def test_a_killed_caller_dies_after_its_call_took_effect(proxy: Proxy, clients: Clients, bucket: str) -> None:
    proxy.breaker = breaks(Fault.KILLED)
    script = f"import boto3; boto3.client('s3').put_object(Bucket='{bucket}', Key='killed', Body=b'x')"

    ended = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "AWS_ENDPOINT_URL": proxy.url}, timeout=60, check=False
    )

    assert ended.returncode == -9
    assert "killed" in keys(clients, bucket)
