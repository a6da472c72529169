"""The rules and routes in force with valid, broken and missing documents."""

import pytest

from email_handler.conversations.owners import Owners
from email_handler.errors import ConfigUnavailable
from email_handler.ports import ConfigDocument
from email_handler.spam.rules import builtin_rules
from email_handler.usecases.configuration import ConfigurationReader
from tests.support.fakes import FakeConfig

OWNERS = Owners(public_addresses=(), thread_domain="thread.example.com", forward_to=())
RULE = b'[[rule]]\nid = "own"\npattern = "zzz"\nfield = "text"\nweight = 9\npurpose = "p"\nmatch = ["zzz"]\n'
ROUTE = b'[[route]]\nto = "x@private.example"\n'


def reader(rules: bytes | None, routes: bytes | None) -> tuple[ConfigurationReader, FakeConfig]:
    config = FakeConfig({"rules": rules, "routes": routes, "signature": None, "learned": None})
    return ConfigurationReader(config, "rules", "routes", "signature", "learned", OWNERS), config


def test_builtin_as_parameter_value_means_the_built_in_rules_and_no_routes() -> None:
    configuration = reader(None, None)[0].begin()()

    assert configuration.rules is builtin_rules()
    assert configuration.routes.routes == ()
    assert configuration.problems == ()


def test_the_operators_documents_are_in_force_and_compiled_once() -> None:
    source, _ = reader(RULE, ROUTE)
    first, second = source.begin()(), source.begin()()

    assert first.rules is second.rules is not builtin_rules()
    assert first.rules.version == "rules@fake"
    assert first.routes.mailboxes == {"x@private.example"}


class Changing(FakeConfig):
    """A parameter that a test points to another document."""

    version = 1

    def read(self, parameter: str) -> ConfigDocument | None:
        body = self.documents[parameter]
        return None if body is None else ConfigDocument(body=body, version=str(self.version))


def test_broken_rules_leave_the_last_good_set_in_force_and_are_reported() -> None:
    config = Changing({"rules": RULE, "routes": None, "signature": None, "learned": None})
    source = ConfigurationReader(config, "rules", "routes", "signature", "learned", OWNERS)
    good = source.begin()().rules
    config.documents["rules"], config.version = b"[[[", 2
    configuration = source.begin()()

    assert configuration.rules is good
    assert any("unusable" in problem for problem in configuration.problems)


def test_rules_whose_reading_fails_in_any_way_stop_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr("email_handler.usecases.configuration.load_rules", fails)
    configuration = reader(RULE, None)[0].begin()()

    assert configuration.rules is builtin_rules()
    assert len(configuration.problems) == 1
    assert "RecursionError" in configuration.problems[0]


def test_an_unreachable_source_leaves_the_built_in_rules_and_is_reported() -> None:
    source = ConfigurationReader(FakeConfig({}), "rules", "routes", "signature", "learned", OWNERS)
    configuration = source.begin()()

    assert configuration.rules is builtin_rules()
    assert len(configuration.problems) == 4


def test_an_outage_leaves_the_last_good_documents_in_force() -> None:
    source, config = reader(RULE, ROUTE)
    good = source.begin()()
    config.fail("read", ConfigUnavailable("down"))
    config.fail("read", ConfigUnavailable("down"))

    assert source.begin()().rules is good.rules


def test_every_mailbox_of_the_routes_is_an_owners() -> None:
    owners = reader(None, ROUTE)[0].begin()().owners

    assert owners.include("x@private.example")


def test_routes_are_read_again_only_when_their_document_changes() -> None:
    config = Changing({"rules": None, "routes": ROUTE, "signature": None, "learned": None})
    source = ConfigurationReader(config, "rules", "routes", "signature", "learned", OWNERS)
    first, same = source.begin()(), source.begin()()
    config.documents["routes"], config.version = ROUTE.replace(b"x@", b"y@"), 2

    assert first.routes is same.routes
    assert source.begin()().owners.routed == {"y@private.example"}
