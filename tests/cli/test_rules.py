"""``email-handler rules``: a rules file is checked, and tried on labelled messages."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from cli.main import app
from tests.support.builders import mail

RULES = """
[thresholds]
flag = 2
hold = 4

[[rule]]
id = "lottery"
pattern = "lottery"
field = "text"
weight = 3
purpose = "offers a prize"
match = ["You won the lottery"]
no_match = ["You won"]

[[rule]]
id = "hurry"
pattern = "hurry"
field = "subject"
weight = 2
purpose = "urges"
match = ["hurry up"]
no_match = ["no rush"]
"""


def lines(*arguments: str | Path, code: int = 0) -> list[dict[str, Any]]:
    ran = CliRunner().invoke(app, ["rules", *map(str, arguments), "--json"])

    assert ran.exit_code == code, ran.output
    return [json.loads(line) for line in ran.stdout.splitlines()]


def labelled(folder: Path) -> Path:
    """Write three spam messages, of which one is missed, and two ham messages, of which one is wrongly flagged."""
    for name, subject, text in (
        ("my_spam/1.eml", "Hurry", "You won the lottery"),
        ("my_spam/2.eml", "Hello", "You won the lottery"),
        ("my_spam/3.eml", "Hello", "You won a prize"),
        ("ham/1.eml", "Hello", "Shall we meet?"),
        ("ham/2.eml", "No hurry", "Shall we meet?"),
        ("other/1.eml", "Hello", "Not labelled"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(mail(subject=subject, text=text))
    return folder


def test_a_valid_rules_file_has_no_finding(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(RULES)

    assert lines("check", tmp_path / "rules.toml") == []


def test_an_example_that_does_not_match_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(RULES.replace('match = ["hurry up"]', 'match = ["hasten"]'))

    (finding,) = lines("check", tmp_path / "rules.toml", code=1)

    assert finding["rule"] == "hurry"
    assert "hasten" in finding["problem"]


def test_results_are_counted_by_folder_and_by_rule_with_what_each_rule_decided(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(RULES)

    printed = lines("test", labelled(tmp_path), "--rules", tmp_path / "rules.toml")

    ham = {"held": 0, "flagged": 1, "delivered": 1}  # these rules are without the model of words
    spam = {"held": 1, "flagged": 1, "delivered": 1}
    assert printed[:2] == [
        {"set": "ham", "label": "ham", "messages": 2, "held": 0, "flagged": 1, "delivered": 1} | {"by_patterns": ham},
        {"set": "my_spam", "label": "spam", "messages": 3, "held": 1, "flagged": 1, "delivered": 1}
        | {"by_patterns": spam},
    ]
    by_rule = {
        line["rule"]: (line["spam"], line["ham"], line["decided_spam"], line["decided_ham"]) for line in printed[2:]
    }
    assert by_rule["lottery"] == (2, 0, 2, 0)
    assert by_rule["hurry"] == (1, 1, 1, 1)


def test_the_model_of_words_is_counted_beside_the_patterns(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(RULES.replace("[thresholds]", "[thresholds]\nwords = 3.0"))
    (tmp_path / "spam").mkdir()
    phishing = "Your mailbox is full and messages are on hold. Click below to keep your password and restore access."
    (tmp_path / "spam/1.eml").write_bytes(mail(subject="Action required: verify your account", text=phishing))

    spam, *by_rule = lines("test", tmp_path, "--rules", tmp_path / "rules.toml")

    assert (spam["flagged"], spam["by_patterns"]["flagged"], spam["by_patterns"]["delivered"]) == (1, 0, 1)
    assert [one for one in by_rule if one["rule"] == "words"] == [
        {"rule": "words", "weight": 3.0, "spam": 1, "ham": 0, "decided_spam": 1, "decided_ham": 0}
    ]
    table = CliRunner().invoke(app, ["rules", "test", str(tmp_path), "--rules", str(tmp_path / "rules.toml")]).output
    (row,) = [line.split() for line in table.splitlines() if line.split()[:2] == ["spam", "spam"]]
    assert "alone" in table
    assert row[-2:] == ["100.0%", "0.0%"], "with the words, and by the patterns alone"


def test_wrongly_judged_messages_are_listed_on_request(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(RULES)
    folder = labelled(tmp_path)

    ham, spam, *_ = lines("test", folder, "--rules", tmp_path / "rules.toml", "--wrong")

    assert ham["wrong"] == [str(folder / "ham" / "2.eml")]
    assert spam["wrong"] == [str(folder / "my_spam" / "3.eml")]


def test_without_json_tables_are_printed(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(RULES)
    ran = CliRunner().invoke(
        app, ["rules", "test", str(labelled(tmp_path)), "--rules", str(tmp_path / "rules.toml"), "--wrong"]
    )

    assert ran.exit_code == 0
    for word in ("my_spam", "66.7%", "lottery", "ham judged wrongly", "other: left out"):
        assert word in ran.output


def test_rules_that_never_fired_are_one_line_in_tables_and_listed_in_json(tmp_path: Path) -> None:
    silent = RULES[RULES.index("[[rule]]") :].replace("lottery", "casino").replace("hurry", "hasten")
    (tmp_path / "rules.toml").write_text(RULES + silent)
    arguments = ["test", str(labelled(tmp_path)), "--rules", str(tmp_path / "rules.toml")]
    ran = CliRunner().invoke(app, ["rules", *arguments])

    assert ran.exit_code == 0
    assert "casino" not in ran.output
    assert "rules never fired" in ran.output
    assert {"casino", "hasten"} <= {line.get("rule") for line in lines(*arguments)}
