"""The configuration: the document that the parameter points to, or else the last good one."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from botocore.exceptions import EndpointConnectionError

from cloud.clients import Clients
from email_handler.adapters.ssm import TTL, SsmConfig
from email_handler.errors import ConfigUnavailable
from email_handler.ports import ConfigDocument, ConfigSource
from tests.contract.conftest import BOTH
from tests.contract.test_dynamodb import Watched
from tests.support.fakes import FakeConfig


@dataclass
class Deployment:
    """SSM and S3 as the operator changes them, and the source that reads them with a clock that a test moves."""

    clients: Clients
    bucket: str
    parameter: str
    now: float = 1000.0
    ssm: Watched = field(init=False)
    s3: Watched = field(init=False)

    def __post_init__(self) -> None:
        self.ssm, self.s3 = Watched(self.clients.ssm), Watched(self.clients.s3)
        self.source = SsmConfig(self.ssm, self.s3, self.bucket, lambda: self.now)

    def point_to(self, value: str) -> None:
        self.clients.ssm.put_parameter(Name=self.parameter, Value=value, Type="String", Overwrite=True)

    def upload(self, key: str, body: bytes) -> None:
        self.clients.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def read(self) -> ConfigDocument | None:
        """Return the document after the cached one has expired."""
        self.now += TTL
        return self.source.read(self.parameter)

    @property
    def calls(self) -> list[str]:
        return self.ssm.calls + self.s3.calls


@pytest.fixture
def deployment(clients: Clients, unique: Callable[[str], str]) -> Deployment:
    bucket = unique("config")
    clients.s3.create_bucket(Bucket=bucket)
    return Deployment(clients, bucket, f"/{unique('stack')}/rules")


@pytest.fixture(params=BOTH)
def source(request: pytest.FixtureRequest) -> tuple[ConfigSource, str, str]:
    """Return a source, a parameter with a document, and a parameter with the value ``builtin``."""
    if request.param == "fake":
        return FakeConfig({"/rules": b"[[rule]]", "/routes": None}), "/rules", "/routes"
    deployment: Deployment = request.getfixturevalue("deployment")
    deployment.point_to("config/rules-1.toml")
    deployment.upload("config/rules-1.toml", b"[[rule]]")
    builtin = deployment.parameter + "-routes"
    deployment.clients.ssm.put_parameter(Name=builtin, Value="builtin", Type="String")
    return deployment.source, deployment.parameter, builtin


def test_a_parameter_points_to_its_document_or_to_the_built_in_one(source: tuple[ConfigSource, str, str]) -> None:
    config, rules, builtin = source

    document = config.read(rules)

    assert document is not None
    assert document.body == b"[[rule]]"
    assert document.version
    assert config.read(builtin) is None


@pytest.mark.cloud
def test_a_document_that_is_switched_off_is_none(deployment: Deployment) -> None:
    deployment.point_to("off")

    assert deployment.read() is None


def test_a_parameter_that_cannot_be_read_raises_unavailable(source: tuple[ConfigSource, str, str]) -> None:
    config, rules, _ = source

    with pytest.raises(ConfigUnavailable):
        config.read(rules + "-missing")


@pytest.mark.cloud
def test_within_a_minute_nothing_is_read_again(deployment: Deployment) -> None:
    deployment.point_to("config/a")
    deployment.upload("config/a", b"a")
    first = deployment.read()
    assert deployment.calls == ["get_parameter", "get_object"]

    deployment.now += TTL - 1

    assert deployment.source.read(deployment.parameter) is first
    assert len(deployment.calls) == 2


@pytest.mark.cloud
def test_after_a_minute_an_unchanged_object_is_not_downloaded_again(deployment: Deployment) -> None:
    deployment.point_to("config/a")
    deployment.upload("config/a", b"a")
    first = deployment.read()

    assert deployment.read() is first
    assert deployment.calls == ["get_parameter"] * 2 + ["get_object"] * 2


@pytest.mark.cloud
def test_a_changed_parameter_and_a_changed_object_are_read_after_a_minute(deployment: Deployment) -> None:
    deployment.point_to("config/a")
    deployment.upload("config/a", b"a")
    deployment.upload("config/b", b"b")
    seen = [deployment.read()]
    deployment.upload("config/a", b"a2")
    seen.append(deployment.read())
    deployment.point_to("config/b")
    seen.append(deployment.read())

    found = [(document.body, document.version.partition("@")[0]) for document in seen if document]
    assert found == [(b"a", "config/a"), (b"a2", "config/a"), (b"b", "config/b")]
    assert len({document.version for document in seen if document}) == 3


@pytest.mark.cloud
def test_the_last_good_document_stays_in_force_and_cached_while_the_parameter_is_broken(
    deployment: Deployment,
) -> None:
    deployment.point_to("config/a")
    deployment.upload("config/a", b"a")
    first = deployment.read()
    deployment.point_to("config/missing")

    assert deployment.read() is first
    calls = len(deployment.calls)
    assert deployment.source.read(deployment.parameter) is first
    assert len(deployment.calls) == calls

    deployment.point_to("config/a")
    assert deployment.read() is first


@pytest.mark.cloud
def test_the_built_in_rules_stay_in_force_while_the_parameter_is_broken(deployment: Deployment) -> None:
    deployment.point_to("builtin")
    assert deployment.read() is None

    deployment.clients.ssm.delete_parameter(Name=deployment.parameter)

    assert deployment.read() is None


def test_the_error_for_an_outage_contains_only_its_code() -> None:
    class Silent:
        def get_parameter(self, **_: object) -> None:
            raise EndpointConnectionError(endpoint_url="http://ssm.invalid")

    with pytest.raises(ConfigUnavailable, match=r"EndpointConnectionError$"):
        SsmConfig(Silent(), None, "bucket").read("/rules")
