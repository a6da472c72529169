"""boto3's clients for one endpoint, made by botocore, which boto3 wraps: its import takes half as long again."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from cloud import REGION


@contextmanager
def _without(*libraries: str) -> Iterator[None]:
    """Let what is imported meanwhile find none of *libraries*, unless they are already there."""
    hidden = [name for name in libraries if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is what says so
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


# Of these two, which other tools bring, botocore would import 60 ms of cryptography that a local cloud needs not.
with _without("awscrt", "OpenSSL"):
    import botocore.session
    from botocore.config import Config

INVOKING = Config(read_timeout=910, tcp_keepalive=True, retries={"total_max_attempts": 1})
"""For a Lambda client that waits for a run's end: longer than Lambda lets any function run (900 s), and no second run
if the response is lost."""


_ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=60, max_pool_connections=32)


class Clients:
    """One client for each service, created on first use, with credentials that are valid nowhere else."""

    def __init__(self, endpoint: str, *, ses_endpoint: str = "") -> None:
        """Use *endpoint* for all services, or *ses_endpoint* for SES v2 if given."""
        self.endpoint = endpoint
        self.ses_endpoint = ses_endpoint or endpoint

    def client(self, service: str, endpoint: str = "", config: Config = _ONCE) -> Any:
        """Return the client for *service*. It makes one attempt and waits up to 60 s, unless *config* overrides it."""
        return _client(service, endpoint or self.endpoint, config)

    s3 = property(lambda self: self.client("s3"))
    dynamodb = property(lambda self: self.client("dynamodb"))
    sqs = property(lambda self: self.client("sqs"))
    sesv2 = property(lambda self: self.client("sesv2", self.ses_endpoint))
    ssm = property(lambda self: self.client("ssm"))
    events = property(lambda self: self.client("events"))
    lambda_ = property(lambda self: self.client("lambda", config=INVOKING))
    logs = property(lambda self: self.client("logs"))
    cloudformation = property(lambda self: self.client("cloudformation"))


@cache
def _client(service: str, endpoint: str, config: Config) -> Any:
    """Return this process's client, which threads may share: a new one takes 0.1 s."""
    return _session().create_client(service, endpoint_url=endpoint, config=_ONCE.merge(config))


@cache
def _session() -> Any:
    """Return the session of this process: it reads each service's description once, which takes 0.1 s."""
    session = botocore.session.get_session()
    session.set_credentials("test", "test")
    session.set_config_variable("region", REGION)
    return session
