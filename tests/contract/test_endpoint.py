"""The endpoint of the contract tests, as CONTRIBUTING promises it."""

import os
import subprocess
import sys

from cloud import PROJECT
from cloud.http_server import Exchange, HttpServer


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
