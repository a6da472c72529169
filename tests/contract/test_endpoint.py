"""The endpoint of the contract tests, as CONTRIBUTING promises it."""

import os
import re
import subprocess
import sys

from cloud import PROJECT
from cloud.http_server import Exchange, HttpServer
from tests.support.moto import LACKING


class Refusing(HttpServer):
    """Refuses every request and counts them."""

    requests = 0

    def serve(self, exchange: Exchange) -> None:
        self.requests += 1
        exchange.respond(501, [], b"")


def test_the_adapters_meet_the_endpoint_that_the_environment_names() -> None:
    with Refusing() as elsewhere:
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/contract/test_archive.py"],
            env=os.environ | {"EMAIL_HANDLER_ENDPOINT": elsewhere.url},
            cwd=PROJECT,
            capture_output=True,
            check=False,
        )

    assert ran.returncode == 1
    assert elsewhere.requests


def test_what_moto_is_spared_are_tests_that_exist() -> None:
    for lacking in LACKING:
        file, name = lacking.split("::")
        test = re.escape(name.partition("[")[0])
        assert re.search(rf"(?m)^def {test}\(", (PROJECT / "tests/contract" / file).read_text()), lacking
