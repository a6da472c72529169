"""An update from the last release loses nothing, and CloudFormation can make it in one step."""

import copy
import json
import re
from typing import Any

import pytest

from tests.support.releases import RECORD, release, update
from tests.support.stack import PROJECT

BEFORE: dict[str, Any] = json.loads(RECORD.read_text())


def changed(*path: str, to: Any = None) -> dict[str, Any]:
    """Return the release with one value changed, or without it."""
    after = copy.deepcopy(BEFORE)
    *outer, last = path
    place = after["resources"]
    for name in outer:
        place = place[name]
    if to is None:
        del place[last]
    else:
        place[last] = to
    return after


def test_an_update_from_the_last_release_keeps_what_is_stored_and_can_be_made_in_one_step() -> None:
    """And the changelog names for the operator whatever else it replaces or removes."""
    found = update(BEFORE, release())
    unreleased = (PROJECT / "CHANGELOG.md").read_text().partition("## [Unreleased]")[2].partition("\n## ")[0]

    assert not found.lost, f"an update would delete or replace what holds messages or jobs: {found.replaced}"
    assert found.possible, f"one index is created or deleted in one update, not {', '.join(found.indexes)}"
    unnamed = {name for name in found.removed | found.replaced.keys() if not re.search(rf"`{name}`", unreleased)}
    assert not unnamed, f"CHANGELOG.md, Unreleased, must name what an update removes or replaces: {found.replaced}"


@pytest.mark.parametrize("name", ["Records", "Archive", "ForwardQueue", "ReplyDeadLetters", "ProcessingFailures"])
def test_what_holds_messages_must_not_go(name: str) -> None:
    assert update(BEFORE, changed(name)).lost == {name}
    assert update(BEFORE, changed(name, "type", to="AWS::SSM::Parameter")).lost == {name}
    assert update(BEFORE, changed(name, "condition", to="DnsRecords")).lost == {name}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Records", "/properties/TableName"),
        ("Records", "/properties/KeySchema"),
        ("Archive", "/properties/BucketName"),
        ("AckQueue", "/properties/QueueName"),
    ],
)
def test_a_property_that_cannot_change_replaces_what_is_stored(name: str, path: str) -> None:
    found = update(BEFORE, changed(name, "fixed", path, to="another"))

    assert found.lost == {name}
    assert found.replaced == {name: path.removeprefix("/properties/")}


def test_other_resources_may_be_replaced_and_are_named() -> None:
    found = update(BEFORE, changed("ReceiptRules", "fixed", "/properties/RuleSetName", to="another"))

    assert found.replaced == {"ReceiptRules": "RuleSetName"}
    assert not found.lost | found.removed


def test_new_resources_and_properties_that_can_change_are_no_matter() -> None:
    after = changed("Another", to={"type": "AWS::SQS::Queue", "condition": "", "fixed": {}})

    assert update(BEFORE, after) == update(BEFORE, BEFORE)


def test_a_table_gets_or_loses_one_index_in_one_update() -> None:
    indexes = BEFORE["resources"]["Records"]["fixed"]["indexes"]
    another = {"one": indexes["day"], "two": indexes["day"]}
    without = {name: each for name, each in indexes.items() if name != "day"}

    def possible(after: dict[str, Any]) -> bool:
        return update(BEFORE, changed("Records", "fixed", "indexes", to=after)).possible

    assert possible(indexes | {"one": indexes["day"]})
    assert possible(without)
    assert not possible(indexes | another)
    assert not possible(without | {"one": indexes["day"]}), "another name is another index"
    assert not possible(indexes | {"day": indexes["contact"]}), "a change is a deletion and a creation"
