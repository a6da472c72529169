"""boto3 clients for one endpoint, made when first used."""

from functools import cache, cached_property
from typing import Any

import boto3
from botocore.config import Config

REGION = "us-east-1"
ACCOUNT = "000000000000"  # the emulators' own
INVOKING = Config(read_timeout=910, tcp_keepalive=True, retries={"total_max_attempts": 1})
"""For a Lambda client that waits for a run's end: longer than Lambda lets any function run (900 s), and an answer that
does not come is no reason to run it again."""


class Clients:
    """One client a service, all for *endpoint*, with credentials that mean nothing anywhere else."""

    def __init__(self, endpoint: str, *, ses_endpoint: str = "") -> None:
        """Talk to *endpoint*; to *ses_endpoint* for SES v2 where one is given."""
        self.endpoint = endpoint
        self.ses_endpoint = ses_endpoint or endpoint
        self._session = _session()

    def client(self, service: str, endpoint: str = "", config: Config | None = None) -> Any:
        """Return a new client of *service* that makes one attempt and waits at most a minute for it, or as *config*
        has it."""
        ours = Config(retries={"total_max_attempts": 1}, read_timeout=60, max_pool_connections=32)
        return self._session.client(
            service, endpoint_url=endpoint or self.endpoint, config=ours.merge(config) if config else ours
        )

    @cached_property
    def s3(self) -> Any:
        """S3."""
        return self.client("s3")

    @cached_property
    def dynamodb(self) -> Any:
        """DynamoDB."""
        return self.client("dynamodb")

    @cached_property
    def sqs(self) -> Any:
        """SQS."""
        return self.client("sqs")

    @cached_property
    def sesv2(self) -> Any:
        """SES v2, at the endpoint that captures what is sent."""
        return self.client("sesv2", self.ses_endpoint)

    @cached_property
    def ssm(self) -> Any:
        """SSM."""
        return self.client("ssm")

    @cached_property
    def events(self) -> Any:
        """EventBridge."""
        return self.client("events")

    @cached_property
    def lambda_(self) -> Any:
        """Lambda."""
        return self.client("lambda", config=INVOKING)

    @cached_property
    def logs(self) -> Any:
        """CloudWatch Logs."""
        return self.client("logs")

    @cached_property
    def cloudformation(self) -> Any:
        """CloudFormation."""
        return self.client("cloudformation")


@cache
def _session() -> Any:
    """Return boto3's session of this process: it reads each service's description once, which takes 0.1 s."""
    return boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
