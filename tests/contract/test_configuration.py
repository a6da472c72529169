"""The configuration: the document that the parameter points to, or else the last good one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from threading import Event

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
        self.source = SsmConfig(self.ssm, self.s3, self.bucket, monotonic=lambda: self.now)

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
    assert deployment.calls == ["get_parameters", "get_object"]

    deployment.now += TTL - 1

    assert deployment.source.read(deployment.parameter) is first
    assert len(deployment.calls) == 2


@pytest.mark.cloud
def test_after_a_minute_an_unchanged_object_is_not_downloaded_again(deployment: Deployment) -> None:
    deployment.point_to("config/a")
    deployment.upload("config/a", b"a")
    first = deployment.read()

    assert deployment.read() is first
    assert deployment.calls == ["get_parameters"] * 2 + ["get_object"] * 2


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
        def get_parameters(self, **_: object) -> None:
            raise EndpointConnectionError(endpoint_url="http://ssm.invalid")

    with pytest.raises(ConfigUnavailable, match=r"EndpointConnectionError$"):
        SsmConfig(Silent(), None, "bucket").read("/rules")


@pytest.mark.cloud
def test_one_call_asks_for_the_parameters_that_are_wanted_together(deployment: Deployment) -> None:
    names = [deployment.parameter, f"{deployment.parameter}-routes", f"{deployment.parameter}-missing"]
    for name in names[:2]:
        deployment.clients.ssm.put_parameter(Name=name, Value=f"config{name}", Type="String")
        deployment.upload(f"config{name}", name.encode())
    source = SsmConfig(deployment.ssm, deployment.s3, deployment.bucket, names, lambda: deployment.now)

    found = [source.read(name) for name in names[:2]]
    with pytest.raises(ConfigUnavailable, match="ParameterNotFound"):
        source.read(names[2])

    assert [one.body for one in found if one] == [name.encode() for name in names[:2]]
    assert deployment.ssm.calls == ["get_parameters"]
    deployment.now += TTL
    assert [source.read(name) for name in names[:2]] == found
    assert deployment.ssm.calls == ["get_parameters"] * 2


def test_what_is_wanted_late_is_not_known_for_longer_than_what_was_wanted_with_it() -> None:
    now, ssm = 1000.0, Pointing({"/rules": "builtin", "/routes": "builtin"})
    source = SsmConfig(ssm, None, "bucket", ["/rules", "/routes"], lambda: now)

    source.read("/rules")
    now += TTL - 1
    source.read("/routes")
    now += 1
    source.read("/routes")

    assert ssm.calls == 2


def test_an_outage_is_waited_for_once_by_all_who_read_at_that_time() -> None:
    """Each would wait for half a minute."""
    names, ssm, times = ["/rules", "/routes", "/learned"], Pointing({}, down=True), count()

    def monotonic() -> float:
        now = next(times)
        if now == len(names) - 1:  # all have begun to read
            ssm.answers.set()
        return now

    source = SsmConfig(ssm, None, "bucket", names, monotonic)
    with ThreadPoolExecutor(len(names)) as pool:
        errors = [one.exception() for one in [pool.submit(source.read, name) for name in names]]

    assert {type(error) for error in errors} == {ConfigUnavailable}
    assert ssm.calls == 1


class Pointing:
    """SSM with *values*, or one that is *down* and takes until :attr:`answers` to say so."""

    def __init__(self, values: dict[str, str], *, down: bool = False) -> None:
        self._values, self._down = values, down
        self.calls = 0
        self.answers = Event()

    def get_parameters(self, Names: list[str]) -> dict[str, list[dict[str, str]]]:  # noqa: N803 - AWS's name
        self.calls += 1
        if self._down:
            self.answers.wait(5)
            raise EndpointConnectionError(endpoint_url="http://ssm.invalid")
        return {"Parameters": [{"Name": name, "Value": self._values[name]} for name in Names]}
