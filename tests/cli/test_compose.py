"""``email-handler compose``: what would leave, as files, and what must not."""

import json
import os
import re
from dataclasses import replace
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import composition
from cli.main import app
from email_handler.mail.parsing import parse
from tests.conftest import PROJECT
from tests.support.builders import mail
from tests.support.revealed import revealed
from tests.support.ses_rules import problems
from tests.support.world import World

MAILS = PROJECT / "events" / "mail"
OWNER = "owner@private.example"
PUBLIC = "contact@example.com"
SHAPE = ["path", "out", "held", "places", "unchecked", "error"]


def compose(kind: str, *paths: Path, out: Path, code: int = 0, more: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    arguments = ["compose", kind, *map(str, paths), "--private", OWNER, "--public", PUBLIC, "--out", str(out), *more]
    ran = CliRunner().invoke(app, arguments)

    assert ran.exit_code == code, ran.output
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("kind", ["forward", "acknowledgement", "reply"])
def test_every_sample_mail_composes_into_one_that_ses_takes(kind: str, tmp_path: Path) -> None:
    lines = compose(kind, MAILS, out=tmp_path)

    assert all(list(line) == SHAPE for line in lines)
    assert [Path(line["out"]).name for line in lines] == sorted(path.name for path in MAILS.iterdir())
    for line in lines:
        raw = Path(line["out"]).read_bytes()
        assert problems(raw) == [], line["path"]
        assert message_from_bytes(raw)["From"]


def test_a_forward_keeps_every_file_byte_for_byte(tmp_path: Path) -> None:
    compose("forward", MAILS / "first_contact.eml", out=tmp_path)

    def files(raw: bytes) -> dict[str | None, Any]:
        return {part.get_filename(): part.get_payload(decode=True) for part in message_from_bytes(raw).walk()}

    before, after = ((folder / "first_contact.eml").read_bytes() for folder in (MAILS, tmp_path))
    assert files(after)["garden-plan.pdf"] == files(before)["garden-plan.pdf"]


def test_a_reply_shows_neither_the_owner_nor_a_thread_address_and_tells_the_places(tmp_path: Path) -> None:
    (line,) = compose("reply", MAILS / "owner_answer.eml", out=tmp_path, more=("--contact", "jane@customer.example"))
    seen = revealed(Path(line["out"]).read_bytes())

    assert OWNER not in seen
    assert "@thread." not in seen
    assert "jane@customer.example" in seen
    assert {"where": "text/plain", "action": "replaced", "what": "thread address"} in line["places"]


@pytest.mark.parametrize(("kind", "shown"), [("reply", True), ("forward", False), ("acknowledgement", False)])
def test_a_reply_has_the_signature_of_its_public_address(tmp_path: Path, kind: str, shown: bool) -> None:
    document = tmp_path / "signatures.toml"
    document.write_text(f'"{PUBLIC}" = "Garden Desk, Example Street 1"\ndefault = "Somebody else"\n')
    (line,) = compose(kind, MAILS / "owner_answer.eml", out=tmp_path / "out", more=("--signature", str(document)))

    assert ("Garden Desk" in parse(Path(line["out"]).read_bytes()).text) == shown
    assert "Somebody else" not in parse(Path(line["out"]).read_bytes()).text


def test_what_cannot_be_cleaned_is_held_and_not_written(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "key.eml").write_bytes(
        mail(sender=f"Owner <{OWNER}>", attachments=[("notes.bin", "application/octet-stream", OWNER.encode())])
    )
    (source / "plain.eml").write_bytes(mail(sender=f"Owner <{OWNER}>"))

    held, sent = compose("reply", source, out=tmp_path / "out", code=3)

    assert (held["held"], held["out"]) == (True, None)
    assert "private address" in [place["what"] for place in held["places"]]
    assert (sent["held"], sent["out"]) == (False, str(tmp_path / "out" / "plain.eml"))
    assert not (tmp_path / "out" / "key.eml").exists()


def test_a_hidden_term_does_not_leave(tmp_path: Path) -> None:
    source = tmp_path / "answer.eml"
    source.write_bytes(mail(sender=f"Owner <{OWNER}>", text="Call me at Rosebud Cottage.\r\n"))

    compose("reply", source, out=tmp_path / "out", more=("--term", "Rosebud Cottage"))

    assert "rosebud cottage" not in revealed((tmp_path / "out" / "answer.eml").read_bytes())


def test_files_of_one_name_and_of_other_endings_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder / "sub").mkdir(parents=True)
        (tmp_path / folder / "sub" / "one.eml").write_bytes(mail(text=f"in folder {folder}\r\n"))
        (tmp_path / folder / "sub" / "one").write_bytes(mail(text=f"in folder {folder}\r\n"))

    lines = compose("forward", tmp_path / "a", tmp_path / "b", out=tmp_path / "out")

    written = [str(Path(line["out"]).relative_to(tmp_path / "out")) for line in lines]
    assert len(set(written)) == 4
    assert written[0] == "sub/one.eml"
    for line in lines:
        assert f"in folder {Path(line['path']).parts[-3]}" in revealed(Path(line["out"]).read_bytes())


def test_the_mails_that_are_read_are_never_written_over(tmp_path: Path) -> None:
    source = tmp_path / "one.eml"
    source.write_bytes(mail())
    options = ["--private", OWNER, "--public", PUBLIC, "--out", str(tmp_path)]

    ran = CliRunner().invoke(app, ["compose", "forward", str(tmp_path), *options])

    assert ran.exit_code == 2
    assert source.read_bytes() == mail()


def test_a_file_that_cannot_be_read_is_told_and_the_rest_composed(tmp_path: Path) -> None:
    missing, composed = compose("forward", tmp_path / "no.eml", MAILS / "spam.eml", out=tmp_path / "out", code=1)

    assert missing["error"] == "no such file"
    assert composed["error"] is None


def fails(*_: object, **__: object) -> None:
    raise RecursionError


@pytest.mark.parametrize("where", ["compose_forward", "forward_context", "assess_content"])
def test_a_forward_that_an_error_of_ours_stops_goes_as_it_came(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, where, fails)
    (line,) = compose("forward", MAILS / "first_contact.eml", out=tmp_path)

    assert line["error"].startswith("RecursionError at ")
    original = (MAILS / "first_contact.eml").read_bytes()
    (attached,) = [part for part in message_from_bytes(Path(line["out"]).read_bytes()).walk() if part.get_filename()]
    assert original == (attached.get_payload(decode=True) or attached.get_payload(0).as_bytes())  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["reply", "acknowledgement"])
def test_a_reply_and_an_acknowledgement_that_an_error_of_ours_stops_are_held(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, f"compose_{kind}", fails)
    (line,) = compose(kind, MAILS / "first_contact.eml", out=tmp_path, code=3)

    assert (line["out"], line["held"]) == (None, True)
    assert line["places"][0]["what"] == "an error of ours (RecursionError)"


def test_a_message_under_any_file_name_is_composed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in (b"x" * 255, b"x" * 251 + b".eml", b"\xff.eml", b"a\nb"):
        (folder / os.fsdecode(name)).write_bytes(mail())

    assert all(line["out"] for line in compose("forward", folder, out=tmp_path / "out"))


@pytest.mark.parametrize("option", ["--private", "--public", "--contact"])
def test_an_option_that_is_no_address_is_a_wrong_command_line(option: str, tmp_path: Path) -> None:
    options = {"--private": OWNER, "--public": PUBLIC, "--contact": "jane@customer.example"} | {option: "nobody"}
    given = [word for pair in options.items() for word in pair]

    ran = CliRunner().invoke(app, ["compose", "reply", str(MAILS), "--out", str(tmp_path), *given])

    assert ran.exit_code == 2
    assert "nobody is not an address" in ran.output


def test_a_forward_has_the_subject_and_the_warnings_of_the_deployed_path(tmp_path: Path) -> None:
    source = tmp_path / "plan.eml"
    source.write_bytes(
        mail(subject="AW: Plan", sender="Jane <jane@mail.customer.example>", reply_to="Desk <desk@customer.example>")
    )
    world = World()
    world.arrive(source.read_bytes())
    (deployed,) = [sent.raw for sent in world.run() if sent.recipients == (OWNER,)]

    compose("forward", source, out=tmp_path / "out")
    composed = (tmp_path / "out" / "plan.eml").read_bytes()

    assert message_from_bytes(composed)["Subject"] == message_from_bytes(deployed)["Subject"] == "Re: Plan"
    assert _without_ids(composed.decode()) == _without_ids(deployed.decode())


@pytest.mark.parametrize(
    ("verdicts", "shown"),
    [
        ("dmarc=FAIL,dkim=GRAY", "> · not verified · first message]"),
        ("spf=FAIL dkim=FAIL dmarc=GRAY", "> · not verified · first message]"),
        ("dmarc=GRAY", "> · verified · first message]"),
        ("spam=FAIL", "> · verified · first message]"),
    ],
)
def test_the_verdicts_of_ses_decide_what_a_forward_says_of_its_sender(
    verdicts: str, shown: str, tmp_path: Path
) -> None:
    compose("forward", MAILS / "first_contact.eml", out=tmp_path, more=("--verdicts", verdicts))

    forwarded = parse((tmp_path / "first_contact.eml").read_bytes())
    assert shown in forwarded.text
    assert forwarded.from_[0].name.startswith("Not verified: ") is ("not" in shown)


def test_a_word_that_is_no_verdict_is_a_wrong_command_line(tmp_path: Path) -> None:
    options = ["--private", OWNER, "--public", PUBLIC, "--out", str(tmp_path), "--verdicts", "dmark=FAIL"]

    ran = CliRunner().invoke(app, ["compose", "forward", str(MAILS), *options])

    assert ran.exit_code == 2
    assert "dmark" in ran.output


def test_an_acknowledgement_is_the_one_of_the_deployed_path(tmp_path: Path) -> None:
    source = tmp_path / "plan.eml"
    source.write_bytes(mail(subject="AW: Plan"))
    world = World()
    world.owners = replace(world.owners, display_name="")
    world.arrive(source.read_bytes())
    (deployed,) = [sent.raw for sent in world.run() if sent.recipients != (OWNER,)]

    compose("acknowledgement", source, out=tmp_path / "out")
    composed = (tmp_path / "out" / "plan.eml").read_bytes()

    assert _without_ids(composed.decode()) == _without_ids(deployed.decode())


def _without_ids(text: str) -> str:
    """Return *text* without what differs between any two conversations: their ids, tokens and verification."""
    text = re.sub(r"c-[0-9a-z]{8}(?:\.[0-9a-z]{10})?", "c-", text.replace("=\r\n", ""))
    return re.sub(r"dmarc pass|read from a file|=_[0-9a-f]{24}", "", text)
