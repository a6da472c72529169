"""``push``, ``rollback`` and ``show``: documents are checked, put in force and rolled back; bad ones stop no message."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cli.documents import read_document
from cloud.cloud import LocalCloud
from email_handler.outgoing.acknowledgement import builtin_templates
from operations.documents import (
    RULES,
    Version,
    acknowledgement_findings,
    key_for,
    previous,
    routes_findings,
    signature_findings,
)
from operations.errors import CommandError
from tests.conftest import PROJECT
from tests.support.operator import OWNER, arrive, held, lines, person, run, sent_since

SOUND = """
[thresholds]
flag = 2
hold = 4

[[rule]]
id = "xylophone"
pattern = "xylophone"
field = "text"
weight = 5
purpose = "sells xylophones"
match = ["a xylophone"]
no_match = ["a piano"]
"""


def version(number: int, key: str) -> Version:
    return Version(version=number, key=key, at=None)


def test_the_previous_value_is_the_last_different_one() -> None:
    assert previous([version(1, "a"), version(2, "b"), version(3, "b")]) == "a"
    assert previous([version(1, "a"), version(2, "b"), version(3, "a")]) == "b"
    assert previous([version(1, "a")]) == ""


def test_a_key_has_the_time_and_a_hash() -> None:
    key = key_for(RULES, b"rules", datetime(2026, 11, 20, 10, 15, tzinfo=UTC))

    assert key == "config/spam-rules/20261120T101500Z-6c621d1a.toml"


def test_the_shipped_acknowledgement_has_no_finding() -> None:
    text, html = builtin_templates()

    assert acknowledgement_findings(f"{text}\n=====\n{html}".encode()) == ()
    assert acknowledgement_findings(read_document(PROJECT / "config" / "acknowledgement")) == ()


@pytest.mark.parametrize("document", [b"contact@example.com = 1", b'nobody = "x"', b"default = 1"])
def test_a_bad_signature_has_a_finding(document: bytes) -> None:
    (finding,) = signature_findings(document)
    assert finding.startswith("signature: ")


def test_the_shipped_signatures_have_no_finding() -> None:
    assert signature_findings((PROJECT / "config" / "signatures.toml").read_bytes()) == ()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"only text", "two parts"),
        (b"\n=====\n<p>Hello</p>", "the text is empty"),
        (b"Hello $nam\n=====\n<p>Hello</p>", "the unknown placeholder $nam"),
        (b"That is 5 $\n=====\n<p>Hello</p>", "a $ without a placeholder"),
        (b"\xff\n=====\n<p>Hello</p>", "not UTF-8"),
    ],
)
def test_a_bad_acknowledgement_has_a_finding(document: bytes, words: str) -> None:
    (finding, *_) = acknowledgement_findings(document)

    assert words in finding


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"[[route", "not a TOML document"),
        (b"", "no route"),
        (b'[[route]]\nto = "nobody"', "route 1 left out"),
        (b'[[route]]\nto = "a@private.example"\nadress = "contact@example.com"', "route 1: adress is not a condition"),
        (b'[[route]]\nto = "a@private.example"\n[[rout]]\nto = "b@private.example"', "rout at the top"),
        (b'[[route]]\nto = "a@private.example"\nsubject = "("', "route 1 left out"),
    ],
)
def test_a_bad_routes_file_has_a_finding(document: bytes, words: str) -> None:
    (finding, *_) = routes_findings(document)

    assert words in finding


def test_a_valid_routes_file_has_none() -> None:
    assert routes_findings(b'[[route]]\nto = "a@private.example"\ntag = "shop"') == ()
    assert routes_findings(b'\xef\xbb\xbf[[route]]\nto = "a@private.example"') == ()  # editors on Windows save it so
    assert routes_findings((PROJECT / "config/routes.toml").read_bytes()) == ()


def test_a_folder_without_both_templates_fails(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("Hello")

    with pytest.raises(CommandError, match=r"\.txt and a \.html"):
        read_document(tmp_path)


# On the deployed stack


def restore(cloud: LocalCloud) -> Iterator[None]:
    """Restore all documents afterwards."""
    ssm = cloud.clients.ssm
    names = [
        cloud.resources[name]
        for name in ("RulesPointer", "RoutesPointer", "AcknowledgementPointer", "SignaturePointer", "LearnedPointer")
    ]
    before = {name: ssm.get_parameter(Name=name)["Parameter"]["Value"] for name in names}
    yield
    for name, key in before.items():
        ssm.put_parameter(Name=name, Value=key, Type="String", Overwrite=True)
    restart_functions(cloud)


restored = pytest.fixture(restore, name="restored")
restored_at_the_end = pytest.fixture(restore, name="restored_at_the_end", scope="module")
_deployments = count(1)


def restart_functions(cloud: LocalCloud, *functions: str) -> None:
    """Restart *functions*, or all that read documents, as a deployment does: they keep documents for a minute."""
    cloud.settle()
    for function in functions or ("InboundFunction", "ReplyFunction", "ForwardSenderFunction", "ReplySenderFunction"):
        cloud.clients.lambda_.update_function_configuration(
            FunctionName=cloud.resources[function], MemorySize=1024 + next(_deployments)
        )


@pytest.mark.cloud
@pytest.mark.usefixtures("restored")
def test_rules_are_pushed_used_rolled_back_and_recorded_with_each_decision(cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "new.toml").write_text(SOUND)
    (tmp_path / "worse.toml").write_text(SOUND.replace('match = ["a xylophone"]', 'match = ["a tuba"]'))

    (pushed,) = lines(cloud, "rules", "push", str(tmp_path / "new.toml"))
    (again,) = lines(cloud, "rules", "push", str(tmp_path / "new.toml"))
    (finding,) = lines(cloud, "rules", "push", str(tmp_path / "worse.toml"), code=1)
    restart_functions(cloud)
    receipt = arrive(cloud, person(), text="Buy a xylophone")
    (shown,) = lines(cloud, "rules", "show")
    (back,) = lines(cloud, "rules", "rollback")
    restart_functions(cloud)
    later = arrive(cloud, person(), text="Buy a xylophone")

    assert pushed["in_force"].startswith("config/spam-rules/")
    assert again == {"in_force": pushed["in_force"], "before": pushed["in_force"]}
    assert "tuba" in finding["problem"]
    assert (shown["in_force"], shown["problems"]) == (pushed["in_force"], [])
    assert back == {"in_force": pushed["before"], "before": pushed["in_force"]}
    (held_by_new,), (by_old,) = lines(cloud, "why", receipt), lines(cloud, "why", later)
    assert held_by_new["decision"]["outcome"] == "hold"
    assert held_by_new["decision"]["rules_version"].startswith(f"{pushed['in_force']}@")
    assert by_old["decision"]["outcome"] == "deliver"
    assert by_old["decision"]["rules_version"].startswith(pushed["before"])


@pytest.mark.cloud
@pytest.mark.usefixtures("restored")
def test_routes_are_pushed_and_rolled_back_to_none(cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "routes.toml").write_text('[[route]]\nto = "shop@private.example"\ntag = "shop"\n')

    lines(cloud, "routes", "push", str(tmp_path / "routes.toml"))
    restart_functions(cloud)
    before = len(cloud.sent())
    arrive(cloud, person(), to="contact+shop@example.com")
    forwarded = [sent.recipients for sent in sent_since(cloud, before)]
    (back,) = lines(cloud, "routes", "rollback", "--to", "builtin")

    assert ("shop@private.example",) in forwarded
    assert back["in_force"] == "builtin"
    assert "config/routes/" in run(cloud, "routes", "show").output


@pytest.mark.cloud
@pytest.mark.usefixtures("restored")
def test_a_signature_that_is_pushed_stands_below_replies_and_can_be_taken_back(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_text('default = "Jo Example"\n')
    (pushed,) = lines(cloud, "signature", "push", str(tmp_path / "own.toml"))
    restart_functions(cloud)
    contact, before = person(), len(cloud.sent())
    arrive(cloud, contact)
    thread = next(sent.sender for sent in sent_since(cloud, before) if OWNER in sent.recipients)
    arrive(cloud, OWNER, to=thread, text="Dear contact\r\n")
    reply = next(sent for sent in sent_since(cloud, before) if b"Dear contact" in Path(sent.eml).read_bytes())
    (shown,) = lines(cloud, "signature", "show")
    (back,) = lines(cloud, "signature", "rollback")

    assert reply.recipients == (contact,)
    assert Path(reply.eml).read_bytes().endswith(b"Dear contact\r\n\r\n-- \r\nJo Example\r\n")
    assert shown["in_force"] == pushed["in_force"] == back["before"]
    assert back["in_force"] == pushed["before"]


@pytest.mark.cloud
@pytest.mark.usefixtures("restored")
def test_the_acknowledgement_is_pushed_from_its_folder(cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("Dear $name, thank you.\n")
    (tmp_path / "html.html").write_text("<p>Dear $name, thank you.</p>\n")

    (pushed,) = lines(cloud, "acknowledgement", "push", str(tmp_path))
    (shown,) = lines(cloud, "acknowledgement", "show")
    (back,) = lines(cloud, "acknowledgement", "rollback")

    assert shown["in_force"] == pushed["in_force"] == back["before"]
    assert back["in_force"] == pushed["before"]
    stored = cloud.clients.s3.get_object(Bucket=cloud.resources["Archive"], Key=pushed["in_force"])["Body"].read()
    assert stored == b"Dear $name, thank you.\n=====\n<p>Dear $name, thank you.</p>"


@pytest.mark.cloud
def test_an_unknown_key_fails_and_changes_nothing(cloud: LocalCloud) -> None:
    (before,) = lines(cloud, "rules", "show")

    ran = run(cloud, "rules", "rollback", "--to", "config/spam-rules/none.toml")

    assert ran.exit_code == 1
    assert "rules show lists them" in str(ran.exception)
    assert lines(cloud, "rules", "show") == [before]


@pytest.mark.cloud
def test_a_missing_file_fails(cloud: LocalCloud) -> None:
    ran = run(cloud, "rules", "push", "no.toml")

    assert ran.exit_code == 1
    assert "Name the file to push" in str(ran.exception)


# Rules written straight into the archive, without the command's check.

STALLING = SOUND.replace('pattern = "xylophone"', r"pattern = '(?:a+)+$'")
HALF_BAD = SOUND.replace(
    "[[rule]]", '[[rule]]\nid = "broken"\npattern = "("\nfield = "text"\nweight = 5\npurpose = "x"\n\n[[rule]]'
)


@pytest.fixture
def in_force(cloud: LocalCloud, restored_at_the_end: None) -> Callable[[bytes | None], str]:
    """Return a function that puts a document in force for inbound, unchecked (None: a missing object), and returns its
    key. Each restart takes seconds, so the old documents come back only after the last of these tests."""
    del restored_at_the_end

    def put(document: bytes | None) -> str:
        key = f"config/hostile/{next(_deployments)}.toml"
        if document is not None:
            cloud.clients.s3.put_object(Bucket=cloud.resources["Archive"], Key=key, Body=document)
        pointer = cloud.resources["RulesPointer"]
        cloud.clients.ssm.put_parameter(Name=pointer, Value=key, Type="String", Overwrite=True)
        restart_functions(cloud, "InboundFunction")
        return key

    return put


def decision(cloud: LocalCloud, receipt: str) -> dict[str, Any]:
    (why,) = lines(cloud, "why", receipt)
    found: dict[str, Any] = why["decision"]
    return found


def reported(cloud: LocalCloud) -> list[str]:
    """Return the conditions that the daily pass publishes to the alarm topic."""
    conditions: list[str] = lines(cloud, "reconcile")[0]["conditions"]
    return conditions


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("document", "problem"),
    [
        pytest.param(b"[[rule", "unusable", id="broken TOML"),
        pytest.param(b"", "unusable", id="empty"),
        pytest.param(b"\x00\xff\xfe" * 1000, "unusable", id="not text"),
        pytest.param(b"a = " + b"[" * 50_000, "unusable", id="nested too deep"),
        pytest.param(b"#" * 2_000_000, "unusable", id="too large"),
        pytest.param(None, "could not be read", id="missing"),
    ],
)
def test_with_unusable_rules_the_built_in_set_decides_and_the_problem_is_reported(
    cloud: LocalCloud, in_force: Callable[[bytes | None], str], document: bytes | None, problem: str
) -> None:
    key = in_force(document)
    before = len(cloud.sent())
    sender = person()

    delivered, offer = arrive(cloud, sender), held(cloud, person())

    assert sorted(sent.recipients for sent in sent_since(cloud, before)) == [(OWNER,), (sender,)]
    assert (decision(cloud, delivered)["outcome"], decision(cloud, offer)["outcome"]) == ("deliver", "hold")
    assert decision(cloud, delivered)["rules_version"] == decision(cloud, offer)["rules_version"] == "builtin"
    assert [condition for condition in reported(cloud) if condition.startswith("rules: ") and problem in condition]
    (shown,) = lines(cloud, "rules", "show", code=1)
    assert shown["in_force"] == key
    assert shown["problems"]


@pytest.mark.cloud
def test_a_stalling_rule_flags_the_message_and_is_named_as_the_reason(
    cloud: LocalCloud, in_force: Callable[[bytes | None], str]
) -> None:
    key = in_force(STALLING.encode())
    before = len(cloud.sent())

    receipt = arrive(cloud, person(), text="a" * 5000 + "!\r\n")

    made = decision(cloud, receipt)
    assert (made["outcome"], made["rules_version"].partition("@")[0]) == ("flag", key)
    assert [(reason["stage"], reason["rule"]) for reason in made["reasons"] if reason["stage"] == "limit"] == [
        ("limit", "xylophone")
    ]
    assert [sent.recipients for sent in sent_since(cloud, before)] == [(OWNER,)], "flagged: not acknowledged"


@pytest.mark.cloud
def test_a_bad_rule_is_skipped_and_reported_and_the_others_work(
    cloud: LocalCloud, in_force: Callable[[bytes | None], str]
) -> None:
    key = in_force(HALF_BAD.encode())

    receipt = arrive(cloud, person(), text="Buy a xylophone")

    made = decision(cloud, receipt)
    assert (made["outcome"], made["rules_version"].partition("@")[0]) == ("hold", key)
    assert [condition for condition in reported(cloud) if "broken" in condition]
