"""``email-handler rules backtest``: what changed rules would do, above all to messages that were forwarded."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from cloud.cloud import LocalCloud
from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.held import CONFIRMED, RELEASED
from email_handler.spam.rules import load_rules
from operations.backtest import Tried, try_record
from tests.support.builders import mail
from tests.support.learned import PITCH, model, text
from tests.support.operator import arrive, held, lines, person
from tests.support.records import PUBLIC, message

RULES = """
[thresholds]
flag = 2
hold = 4

[[rule]]
id = "kazoo"
pattern = "kazoo"
field = "text"
weight = 5
purpose = "sells kazoos"
match = ["a kazoo"]
no_match = ["a piano"]
"""
HARMLESS = RULES.replace("kazoo", "ophicleide")
VIRUS = Reason(stage="verdicts", rule="virus")
SPAM = Reason(stage="verdicts", rule="spam")
ALLOWED = Reason(stage="list", rule="allowed")


def tried(text: str, outcome: Outcome, *reasons: Reason) -> Tried:
    record = replace(message(), outcome=outcome, reasons=reasons)
    return try_record(record, mail(text=text), load_rules(RULES.encode(), "new"), [PUBLIC])


@pytest.mark.parametrize(
    ("text", "outcome", "reasons", "expected"),
    [
        ("a kazoo", Outcome.DELIVER, (), ("deliver", "hold", True, True)),
        ("a piano", Outcome.DELIVER, (), ("deliver", "deliver", False, False)),
        ("a kazoo", Outcome.DELIVER, (RELEASED,), ("released", "hold", True, True)),
        ("a piano", Outcome.DELIVER, (RELEASED,), ("released", "deliver", False, False)),
        ("a piano", Outcome.DELIVER, (VIRUS, RELEASED), ("released", "deliver", False, False)),
        ("a piano", Outcome.HOLD, (), ("hold", "deliver", True, False)),
        ("a piano", Outcome.HOLD, (VIRUS,), ("hold", "hold", False, False)),
        ("a piano", Outcome.HOLD, (CONFIRMED,), ("confirmed", "deliver", True, False)),
        ("a kazoo", Outcome.HOLD, (CONFIRMED,), ("confirmed", "hold", False, False)),
        ("a kazoo", Outcome.DELIVER, (ALLOWED,), ("deliver", "deliver", False, False)),
        ("a kazoo", Outcome.DELIVER, (SPAM, ALLOWED), ("deliver", "deliver", False, False)),
        ("a kazoo", Outcome.HOLD, (VIRUS, ALLOWED), ("hold", "hold", False, False)),
        ("a piano", Outcome.FLAG, (Reason(stage="verdicts", rule="spam-unsure"),), ("flag", "flag", False, False)),
    ],
)
def test_only_the_rules_are_tried(
    text: str, outcome: Outcome, reasons: tuple[Reason, ...], expected: tuple[str, str, bool, bool]
) -> None:
    one = tried(text, outcome, *reasons)

    assert (one.before, one.after, one.changed, one.newly_held) == expected


def test_a_folder_is_judged_by_both_sets(tmp_path: Path) -> None:
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "1.eml").write_bytes(mail(text="a kazoo"))
    (tmp_path / "messages" / "2.eml").write_bytes(mail(text="a piano"))
    (tmp_path / "new.toml").write_text(RULES)

    ran = CliRunner().invoke(
        app, ["rules", "backtest", str(tmp_path / "new.toml"), str(tmp_path / "messages"), "--json"]
    )

    changed, counts = map(json.loads, ran.stdout.splitlines())
    assert ran.exit_code == 0
    assert (changed["id"], changed["before"], changed["after"]) == (str(tmp_path / "messages/1.eml"), "deliver", "hold")
    assert (changed["rules"], changed["score"]) == (["kazoo"], 5.0)
    assert (counts["messages"], counts["changed"], counts["newly_held"], counts["held_again"]) == (2, 1, 1, 0)


def test_people_see_a_table_and_examples(tmp_path: Path) -> None:
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "1.eml").write_bytes(mail(text="a kazoo", subject="Kazoos"))
    (tmp_path / "new.toml").write_text(RULES)

    ran = CliRunner().invoke(app, ["rules", "backtest", str(tmp_path / "new.toml"), str(tmp_path / "messages")])

    for words in ("Forwarded, and would be held: 1", "Kazoos", "1 messages, 1 changed"):
        assert words in ran.output


def test_what_the_words_add_is_reported_beside_the_rules(tmp_path: Path) -> None:
    (tmp_path / "messages").mkdir()
    phishing = "Your mailbox is full and messages are on hold. Click below to keep your password and restore access."
    (tmp_path / "messages" / "1.eml").write_bytes(mail(subject="A kazoo: verify your account", text=phishing))
    (tmp_path / "new.toml").write_text(RULES.replace("[thresholds]", "[thresholds]\nwords = 1.0"))
    (tmp_path / "old.toml").write_text(HARMLESS)
    arguments = ["rules", "backtest", *(str(tmp_path / name) for name in ("new.toml", "messages"))]

    as_json, seen = (
        CliRunner().invoke(app, [*arguments, "--against", str(tmp_path / "old.toml"), *more])
        for more in (["--json"], [])
    )

    changed = json.loads(as_json.stdout.splitlines()[0])
    assert (changed["before"], changed["after"], changed["rules"]) == ("deliver", "hold", ["kazoo"])
    assert (changed["words"], changed["learned"], changed["score"]) == (1.0, 0.0, 6.0)
    assert "kazoo, words 1" in seen.output


def test_what_was_learned_is_reported_beside_the_rules() -> None:
    record = replace(message(), outcome=Outcome.DELIVER, reasons=())
    pitch = f"a kazoo {text(7000, PITCH)}"

    one = try_record(record, mail(text=pitch), load_rules(RULES.encode(), "new"), [PUBLIC], model())

    assert one.rules == ("kazoo",)
    assert one.words == 0
    assert one.learned > 0
    assert one.score == pytest.approx(5 + one.learned)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["no.toml"], "no.toml"), (["config/spam-rules.toml", "nowhere"], "nowhere is not a folder")],
)
def test_a_missing_file_or_folder_is_reported(arguments: list[str], words: str) -> None:
    ran = CliRunner().invoke(app, ["rules", "backtest", *arguments])

    assert ran.exit_code == 1
    assert words in str(ran.exception)


def backtest(
    cloud: LocalCloud, rules: str, folder: Path, code: int
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    (folder / "new.toml").write_text(rules)
    *changed, counts = lines(cloud, "rules", "backtest", str(folder / "new.toml"), "--days", "1", code=code)
    return {one["id"]: one for one in changed}, counts


@pytest.mark.cloud
def test_over_the_archive_a_released_message_that_would_be_held_again_gives_exit_code_4(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    pitch = "We are an SEO company: guaranteed first page ranking, 500 quality backlinks, guest posts, a kazoo"
    offer = held(cloud, person(), text=pitch)
    lines(cloud, "held", "release", offer)
    question = arrive(cloud, person(), text="Do you play the kazoo?")

    changed, counts = backtest(cloud, RULES, tmp_path, code=4)

    assert (changed[offer]["before"], changed[offer]["after"]) == ("released", "hold")
    assert (changed[question]["before"], changed[question]["after"]) == ("deliver", "hold")
    assert counts["held_again"] == 1
    assert counts["newly_held"] == 2


@pytest.mark.cloud
def test_over_the_archive_rules_that_hold_nothing_again_give_exit_code_0(cloud: LocalCloud, tmp_path: Path) -> None:
    offer = held(cloud, person())

    changed, counts = backtest(cloud, HARMLESS, tmp_path, code=0)

    assert (changed[offer]["before"], changed[offer]["after"]) == ("hold", "deliver")
    assert (counts["held_again"], counts["newly_held"]) == (0, 0)
