"""``email-handler inspect`` on files: one object for each file, even an unreadable one."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from cli import inspection
from cli.main import app
from email_handler.spam.rules import RuleSet
from tests.conftest import PROJECT
from tests.support.builders import mail

MESSAGES = PROJECT / "events" / "mail"
SHAPE = [
    "path",
    "ok",
    "error",
    "seconds",
    "from",
    "subject",
    "text_chars",
    "attachments",
    "automatic",
    "bounce",
    "spam",
]
SHAPE += ["new_text", "linkedin"]


def inspect(*arguments: str | Path, code: int = 0) -> list[dict[str, Any]]:
    ran = CliRunner().invoke(app, ["inspect", "--json", *map(str, arguments)])

    assert ran.exit_code == code, ran.output
    return [json.loads(line) for line in ran.stdout.splitlines()]


def one(name: str) -> dict[str, Any]:
    (found,) = inspect(MESSAGES / f"{name}.eml")
    return found


def test_every_sample_gives_one_object_with_the_same_keys() -> None:
    found = inspect(MESSAGES)

    assert [Path(each["path"]).name for each in found] == sorted(path.name for path in MESSAGES.iterdir())
    assert all(list(each) == SHAPE for each in found)
    assert all(each["ok"] and each["error"] is None and each["seconds"] > 0 for each in found)


def test_a_first_message_comes_from_a_person_and_has_its_file() -> None:
    found = one("first_contact")

    assert found["from"] == "jane@customer.example"
    assert found["attachments"] == [{"name": "garden-plan.pdf", "type": "application/pdf", "size": 930}]
    assert (found["automatic"], found["bounce"], found["linkedin"]) == (None, None, None)
    assert found["spam"]["outcome"] == "deliver"


def test_spam_is_held_with_its_score_and_rules() -> None:
    spam = one("spam")["spam"]

    assert spam["outcome"] == "hold"
    assert spam["score"] > 0
    assert "seo-offer" in spam["rules"]


def test_what_the_words_say_is_beside_the_rules_with_why(tmp_path: Path) -> None:
    text = "Your mailbox is full and messages are on hold. Click below to keep your password and restore access."
    (tmp_path / "a.eml").write_bytes(mail(subject="Verify your account", text=text))

    (found,) = inspect(tmp_path / "a.eml")

    words = found["spam"]["words"]
    assert words["points"] > 0
    assert words["why"].startswith("is worded like spam: “")
    assert one("first_contact")["spam"]["words"] == {"points": 0.0, "why": ""}


def test_a_bounce_names_recipient_status_and_original() -> None:
    assert one("bounce")["bounce"] == {
        "recipient": "jane@customer.example",
        "status": "5.1.1",
        "original_message_id": "0100019caaaa0003-00000000-0000-4000-8000-000000000003-000000@email.amazonses.test",
    }


def test_an_out_of_office_is_automatic_but_not_a_bounce() -> None:
    found = one("contact_out_of_office")

    assert found["automatic"]
    assert found["bounce"] is None


def test_new_text_leaves_out_the_quotation() -> None:
    assert one("follow_up")["new_text"].startswith("Tuesday at ten is perfect.")
    assert "soil samples" not in one("follow_up")["new_text"]


def test_a_linkedin_message_has_the_persons_name() -> None:
    assert one("linkedin_message")["linkedin"] == "Jane Doe"


@pytest.mark.parametrize(
    "results",
    [
        "amazonses.com; spf=fail; dkim=fail header.i=@linkedin.com; dmarc=fail header.from=linkedin.com;",
        "mx.example.net; dkim=none; dmarc=fail (p=REJECT) header.from=linkedin.com",
    ],
)
def test_a_linkedin_name_is_ignored_if_dmarc_failed(tmp_path: Path, results: str) -> None:
    forged = tmp_path / "forged.eml"
    forged.write_bytes(
        f"Authentication-Results: {results}\r\n".encode() + (MESSAGES / "linkedin_message.eml").read_bytes()
    )

    assert inspect(forged)[0]["linkedin"] is None


def test_an_unreadable_file_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(mail())
    (tmp_path / "b.eml").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "c.eml")  # reading it would wait forever for a writer
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "e").write_bytes(b"")

    found = inspect(tmp_path, tmp_path / "missing.eml", code=1)

    assert [(Path(each["path"]).name, each["ok"], each["error"]) for each in found] == [
        ("a.eml", True, None),
        ("b.eml", False, "no such file"),
        ("c.eml", False, "not a regular file"),
        ("e", True, None),
        ("missing.eml", False, "no such file"),
    ]
    assert all(list(each) == SHAPE for each in found)


def test_each_message_of_an_outbox_is_read_once_and_envelopes_are_not(tmp_path: Path) -> None:
    (tmp_path / "handed-in").mkdir()
    for name in ("0001.eml", "0001.json", "handed-in/0001.eml", "alone.json"):
        (tmp_path / name).write_bytes(mail())

    assert [Path(each["path"]).name for each in inspect(tmp_path)] == ["0001.eml", "alone.json"]


def test_a_folder_named_like_an_outboxs_is_read(tmp_path: Path) -> None:
    (tmp_path / "handed-in").mkdir()
    (tmp_path / "handed-in" / "one.eml").write_bytes(mail())

    assert [Path(each["path"]).name for each in inspect(tmp_path)] == ["one.eml"]


def test_an_error_of_ours_is_named_beside_what_could_be_seen(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(mail())

    found = inspection.inspect_file(tmp_path / "a.eml", cast("RuleSet", None))

    assert list(found) == SHAPE
    assert (found["ok"], found["from"], found["spam"]) == (True, "jane@customer.example", None)
    assert found["error"].startswith("AttributeError at spam.stages:")


@pytest.mark.parametrize("number", [1, 2])
def test_messages_that_an_error_of_ours_stops_are_shown(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(inspection, "parse", fails)
    for each in range(number):
        (tmp_path / f"{each}\udcff.eml").write_bytes(mail())
    ran = CliRunner().invoke(app, ["inspect", str(tmp_path)])

    assert ran.exit_code == 0, ran.output
    assert "MemoryError" in ran.output


def test_many_files_are_shared_among_processes_and_keep_their_order(tmp_path: Path) -> None:
    names = [f"{number:04}.eml" for number in range(inspection.MANY + 1)]
    for name in names:
        (tmp_path / name).write_bytes(mail(subject=name))

    found = list(inspection.inspect_files(list(inspection.find_files([tmp_path]))))

    assert [each["subject"] for each in found] == names


def test_a_hostile_file_name_and_subject_give_one_line_of_ascii(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.eml")
    path.write_bytes(mail(subject="=?utf-8?q?one=0D=0Atwo?= \u2603"))

    ran = CliRunner().invoke(app, ["inspect", "--json", str(path)])

    assert ran.stdout.isascii()
    assert ran.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["first_contact"], ["From", "jane@customer.example", "garden-plan.pdf", "deliver"]),
        (["spam", "bounce"], ["hold", "bounce", "2 messages: 1 deliver, 0 flag, 1 hold"]),
    ],
)
def test_without_json_a_table_is_printed(paths: Sequence[str], expected: Sequence[str]) -> None:
    ran = CliRunner().invoke(app, ["inspect", *(str(MESSAGES / f"{name}.eml") for name in paths)])

    assert ran.exit_code == 0
    assert [word for word in expected if word not in ran.stdout] == []
