"""How long adapters wait for AWS, and the part of an AWS error that may be shown."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

CONFIG = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
"""For every client except SES's (see :data:`email_handler.adapters.ses.SES_CONFIG`): at most half a minute a call."""

DYNAMODB_CONFIG = CONFIG.merge(Config(parameter_validation=False))
"""For DynamoDB's: botocore would look at every attribute of every item, a third of a transaction's processor time. Ours
are encoded from values with types (``adapters/dynamodb/items.py``), and DynamoDB refuses what is none."""

FAILURES = (ClientError, BotoCoreError)
"""Everything a boto3 call raises when AWS refuses or does not respond."""


class DeferredClient:
    """A client that is made with its first call: nothing waits for one that it does not need."""

    def __init__(self, made: Callable[[], Any]) -> None:
        """Call *made* for each call; it returns the same client each time."""
        self._made = made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made(), name)


def code(error: ClientError | BotoCoreError) -> str:
    """Return AWS's code of *error*, or botocore's class: safe to log, while AWS's texts may quote addresses."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code") or "no code")
    return type(error).__name__


@contextmanager
def translating(translated: Callable[[ClientError | BotoCoreError], Exception]) -> Iterator[None]:
    """Raise *translated* of what AWS raises within the block."""
    try:
        yield
    except FAILURES as error:
        raise translated(error) from error
