"""``email-handler search`` against the deployed stack, and where its index is."""

from dataclasses import replace
from pathlib import Path

import pytest

from cloud.cloud import LocalCloud
from operations.connection import connect
from operations.indexing import cache_folder, catch_up, existing_index, index_path, open_index
from tests.support.operator import arrive, held, lines, person, run

HOME = Path("/home/jane")


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({}, "linux", "/home/jane/.cache/email-handler"),
        ({"XDG_CACHE_HOME": "/cache"}, "linux", "/cache/email-handler"),
        ({"XDG_CACHE_HOME": "cache"}, "linux", "/home/jane/.cache/email-handler"),
        ({}, "darwin", "/home/jane/Library/Caches/email-handler"),
        ({"XDG_CACHE_HOME": "/cache"}, "darwin", "/cache/email-handler"),
        ({"LOCALAPPDATA": "/local"}, "win32", "/local/email-handler/Cache"),
    ],
)
def test_the_cache_is_where_the_platform_has_it(environ: dict[str, str], platform: str, expected: str) -> None:
    assert cache_folder(environ, platform, HOME) == Path(expected)


def test_each_account_region_endpoint_and_stack_has_a_file_of_its_own() -> None:
    def arn(region: str, account: str) -> str:
        return f"arn:aws:cloudformation:{region}:{account}:stack/mail/1"

    paths = [
        index_path("mail", arn("eu-west-1", "111122223333"), ""),
        index_path("mail", arn("us-east-1", "111122223333"), ""),
        index_path("mail", arn("eu-west-1", "444455556666"), ""),
        index_path("post", arn("eu-west-1", "111122223333"), ""),
        index_path("mail", arn("eu-west-1", "111122223333"), "http://127.0.0.1:4566"),
    ]

    assert len(set(paths)) == len(paths)
    assert "/".join(paths[0].parts[-2:]) == "111122223333-eu-west-1/mail.sqlite"


@pytest.mark.cloud
def test_a_message_is_found_by_words_of_its_record_its_text_and_its_files(cloud: LocalCloud) -> None:
    sender = person()
    file = ("plan.txt", "text/plain", b"a ramp for a wheelchair")
    receipt = arrive(cloud, sender, subject="Orangery", text="Is a tiled floor possible?", attachments=[file])

    for query in (
        ["orangery", sender],
        ["tiled", "wheelchair", "file:plan.txt"],
        ["from:" + sender, "-barn", "is:open"],
    ):
        assert [found["receipt"] for found in lines(cloud, "search", *query)] == [receipt], query
    (found,) = lines(cloud, "search", "wheelchair", f"from:{sender}")
    assert found["excerpt"] == "a ramp for a wheelchair"
    assert found["status"] == "open"
    assert "token" not in found
    shown = run(cloud, "search", "tiled", sender).output
    assert "Is a tiled floor possible?" in shown
    assert receipt in shown


@pytest.mark.cloud
def test_a_held_message_is_found_among_those(cloud: LocalCloud) -> None:
    sender = person()
    receipt = held(cloud, sender)

    assert [found["receipt"] for found in lines(cloud, "search", sender, "is:held")] == [receipt]
    assert lines(cloud, "search", sender, "is:open", code=1) == []
    assert len(lines(cloud, "search", sender, "affordable", "act")) == 1, "words behind the record's first ones"


@pytest.mark.cloud
def test_what_has_changed_is_found_unless_the_index_is_left_as_it_is(cloud: LocalCloud) -> None:
    sender = person()
    first = arrive(cloud, sender)
    assert [found["receipt"] for found in lines(cloud, "search", sender)] == [first]
    second = arrive(cloud, sender)

    assert [found["receipt"] for found in lines(cloud, "search", sender, "--no-sync")] == [first]
    assert [found["receipt"] for found in lines(cloud, "search", sender)] == [second, first]
    shown = run(cloud, "search", sender, "--limit", "1").output
    assert "1 more: --limit 2" in shown


@pytest.mark.cloud
def test_the_index_is_made_anew_on_demand_and_when_it_is_damaged(cloud: LocalCloud) -> None:
    sender = person()
    receipt = arrive(cloud, sender, text="quince jelly")
    connection = connect(endpoint=cloud.endpoint)
    assert run(cloud, "search", "--rebuild").exit_code == 0
    assert [found["receipt"] for found in lines(cloud, "search", "quince", sender, "--no-sync")] == [receipt]

    index = open_index(connection)
    index.path.write_bytes(index.path.read_bytes()[:8192] + b"\xff" * 100_000)

    assert [found["receipt"] for found in lines(cloud, "search", "quince", sender)] == [receipt]


@pytest.mark.cloud
def test_what_is_erased_leaves_the_index(cloud: LocalCloud) -> None:
    sender = person()
    arrive(cloud, sender, text="quincunx")
    connection = connect(endpoint=cloud.endpoint)
    catch_up(connection, open_index(connection))
    index = existing_index(connection)
    assert index is not None
    before = b"".join(path.read_bytes() for path in index.path.parent.iterdir())

    lines(cloud, "erase", sender, "--yes")

    after = b"".join(path.read_bytes() for path in index.path.parent.iterdir())
    for word in (sender.encode(), b"uincunx"):
        assert word in before
        assert word not in after
    assert lines(cloud, "search", sender, code=1) == []


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("query", "said"),
    [(["is:urgent"], "waiting"), (["on:tomorrow"], "2026-11-20"), (["-"], "no word"), ([], "what for?")],
)
def test_a_query_that_cannot_be_asked_says_why(cloud: LocalCloud, query: list[str], said: str) -> None:
    ran = run(cloud, "search", *query)

    assert ran.exit_code != 0
    assert said in f"{ran.output}{ran.exception}"


@pytest.mark.cloud
def test_a_word_with_a_minus_sign_is_no_option(cloud: LocalCloud) -> None:
    sender = person()
    arrive(cloud, sender, subject="Cold frame")

    assert lines(cloud, "search", sender, "-frame", code=1) == []
    assert len(lines(cloud, "search", sender, "-shed")) == 1


@pytest.mark.cloud
def test_a_stack_without_an_index_has_none(cloud: LocalCloud) -> None:
    other = replace(connect(endpoint=cloud.endpoint), stack="never-searched")

    assert existing_index(other) is None
