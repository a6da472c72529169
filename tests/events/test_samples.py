"""The samples in events/: each listed in the README, well-formed, and without a real name or number."""

import json
import re
from email import message_from_bytes
from pathlib import Path

import pytest

from email_handler.conversations.keys import acknowledgement_id, forward_id, reply_id
from email_handler.identifiers import ConversationId, ReceiptId

EVENTS = Path(__file__).parents[2] / "events"
README = (EVENTS / "README.md").read_text()
FUNCTIONS = ("inbound", "reply", "attachment", "ack_sender", "forward_sender", "reply_sender")
ENVELOPES = sorted(EVENTS.glob("*/*.json"))
MESSAGES = sorted(EVENTS.glob("mail/*.eml"))
WITHOUT_MESSAGE = {"never_stored", "never_recorded"}  # the bad cases refer to these

_RESERVED = re.compile(r"(?:.*\.)?(?:example\.(?:com|org|net)|[\w-]+\.(?:example|test|invalid)|example|test|invalid)")
_ADDRESS = re.compile(r"[\w.+%-]+@([\w-]+(?:\.[\w-]+)+)")
_HOST = re.compile(r"https?://([\w.-]+)")
_IP = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})(?![\d.])")
_AMAZON = "email.amazonses.com"  # the host of SES's own message ids


def _name(path: Path) -> str:
    return str(path.relative_to(EVENTS))


def test_every_file_has_a_line_in_the_readme_and_every_line_a_file() -> None:
    listed = set(re.findall(r"^\| `([^`]+)` \|", README, re.MULTILINE))
    there = {_name(path) for path in EVENTS.rglob("*") if path.is_file()} - {"README.md"}

    assert listed == there


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_has_at_least_three_cases(function: str) -> None:
    cases = [_name(path) for path in ENVELOPES if path.parent.name == function]
    marks = {re.search(rf"`{re.escape(case)}` \| (Good|Bad|Odd):", README)[1] for case in cases}  # type: ignore[index]  # a missing line fails the test above

    assert len(cases) >= 3
    assert marks == {"Good", "Bad", "Odd"}


@pytest.mark.parametrize("path", ENVELOPES, ids=_name)
def test_an_envelope_is_json_in_the_format_of_its_source_without_the_message(path: Path) -> None:
    event = json.loads(path.read_text())

    if "Records" in event:
        assert {record["eventSource"] for record in event["Records"]} <= {"aws:ses", "aws:sqs"}
    elif path.name in ("hourly.json", "reconcile.json"):
        assert event == {"reconcile": "hourly" if path.stem == "hourly" else True}, "of a schedule in template.yaml"
    else:
        assert {"source", "detail-type", "detail"} <= event.keys()
    assert len(path.read_bytes()) < 6_000, "the message itself is not in the envelope"


@pytest.mark.parametrize("path", ENVELOPES, ids=_name)
def test_an_envelope_refers_to_a_message_that_exists(path: Path) -> None:
    text = path.read_text()
    named = set(re.findall(r"raw/(?:inbound|reply)/(\w+)", text))
    named |= set(re.findall(r'"messageId": "(\w+)"', text)) if "aws:ses" in text else set()

    assert {f"mail/{name}.eml" for name in named - WITHOUT_MESSAGE} <= {_name(path) for path in MESSAGES}


def test_no_two_samples_are_the_same_received_message() -> None:
    """A message is decided once: the second sample would show nothing."""
    events = [json.loads(path.read_text()) for path in ENVELOPES]
    records = [record["ses"] for event in events for record in event.get("Records", []) if "ses" in record]
    received = [ses["mail"]["messageId"] for ses in records if "messageId" in ses.get("mail", {})]

    assert len(set(received)) == len(received) > 15


def test_jobs_name_the_sends_that_the_use_cases_plan_for_their_messages() -> None:
    jane, owner, thread = "jane@customer.example", "owner@private.example", ConversationId("c-7k2m9x4q")
    linkedin = ConversationId("linkedin-jane-doe")
    planned = {
        "acknowledge": acknowledgement_id(jane),
        "linkedin_message": forward_id(linkedin, ReceiptId("linkedin_message"), owner),
        "same_job_twice": forward_id(linkedin, ReceiptId("linkedin_message"), owner),
        "answer": reply_id(thread, ReceiptId("owner_answer"), [jane]),
    }

    for path in (path for path in EVENTS.glob("*_sender/*.json") if path.stem in planned):
        bodies = [json.loads(record["body"]) for record in json.loads(path.read_text())["Records"]]
        assert {body["ledger"] for body in bodies} == {planned[path.stem]}, path.name


@pytest.mark.parametrize("path", MESSAGES, ids=_name)
def test_a_message_has_a_header_a_body_and_crlf_throughout(path: Path) -> None:
    raw = path.read_bytes()

    assert message_from_bytes(raw)["From"]
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    assert b"\r\n\r\n" in raw


@pytest.mark.parametrize("path", MESSAGES, ids=_name)
def test_each_message_has_an_envelope(path: Path) -> None:
    assert any(path.stem in envelope.read_text() for envelope in ENVELOPES)


@pytest.mark.parametrize("path", [*ENVELOPES, *MESSAGES], ids=_name)
def test_only_names_and_numbers_reserved_for_examples_appear(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", "replace").replace("=\r\n", "")
    hosts = {host.lower() for pattern in (_ADDRESS, _HOST) for host in pattern.findall(text)}
    strangers = {h for h in hosts if not _RESERVED.fullmatch(h) and h != _AMAZON}
    numbers = {ip for ip in _IP.findall(text) if not ip.startswith(("192.0.2.", "198.51.100.", "203.0.113."))}

    if "linkedin" in path.stem:
        strangers = {h for h in strangers if h != "linkedin.com" and not h.endswith(".linkedin.com")}
    assert strangers == set()
    assert numbers == set()
