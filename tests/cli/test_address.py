"""``email-handler address``."""

import pytest

from cloud.cloud import LocalCloud
from tests.support.operator import run

pytestmark = pytest.mark.cloud


@pytest.mark.parametrize("options", [[], ["--from", "contact@example.com"], ["--from", "Contact@Example.com"]])
def test_the_address_to_write_to_is_printed(cloud: LocalCloud, options: list[str]) -> None:
    result = run(cloud, "address", "jane@customer.example", *options)

    assert result.stdout.strip() == "to.jane=customer.example@thread.example.com"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["jane@customer.example", "--from", "nobody@example.com"], "is no public address"),
        (["jane"], "is no address that can be written to"),
        (["j" * 60 + "@customer.example"], "cannot be written as a part of another address"),
    ],
)
def test_what_cannot_be_written_to_is_refused(cloud: LocalCloud, arguments: list[str], said: str) -> None:
    result = run(cloud, "address", *arguments)

    assert result.exit_code == 1
    assert said in str(result.exception)
