"""How the operator's command calls the deployed functions."""

from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest

from cli.connection import Connection
from cli.deployment import Functions
from cloud.clients import Clients
from tests.support.stack import FUNCTIONS, timeout


class Session:
    """Makes clients of boto3's or of the local cloud's making, and keeps the one for Lambda."""

    def __init__(self, makes: Any) -> None:
        self.makes = makes
        self.lambda_: Any = None

    def client(self, service: str, **options: Any) -> Any:
        if service == "cloudformation":
            return SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: ()))
        self.lambda_ = self.makes.client(service, **options)
        return self.lambda_


@pytest.mark.parametrize("makes", [boto3.session.Session(), Clients("http://127.0.0.1:1")], ids=["aws", "local cloud"])
def test_a_functions_end_is_waited_for_and_an_answer_that_is_late_starts_no_second_run(makes: Any) -> None:
    session = Session(makes)

    Functions(cast("Connection", SimpleNamespace(session=session, stack="email-handler", where="here")))

    settings = session.lambda_.meta.config
    assert settings.read_timeout > max(map(timeout, FUNCTIONS))
    assert settings.retries["total_max_attempts"] == 1
