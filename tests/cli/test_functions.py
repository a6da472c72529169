"""How the operator's command calls the deployed functions."""

from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest

from cloud.clients import Clients
from operations.connection import Connection
from operations.functions import Functions
from tests.support.stack import FUNCTIONS, timeout


class Session:
    """Makes clients as boto3 or the local cloud does, and keeps the one for Lambda."""

    def __init__(self, makes: Any) -> None:
        self.makes = makes
        self.lambda_: Any = None

    def client(self, service: str, **options: Any) -> Any:
        if service == "cloudformation":
            return SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: ()))
        self.lambda_ = self.makes.client(service, **options)
        return self.lambda_


@pytest.mark.parametrize("makes", [boto3.session.Session(), Clients("http://127.0.0.1:1")], ids=["aws", "local cloud"])
def test_a_call_waits_longer_than_any_function_runs_and_is_not_repeated(makes: Any) -> None:
    session = Session(makes)

    Functions(cast("Connection", SimpleNamespace(session=session, stack="email-handler", where="here")))

    settings = session.lambda_.meta.config
    assert settings.read_timeout > max(map(timeout, FUNCTIONS))
    assert settings.retries["total_max_attempts"] == 1
