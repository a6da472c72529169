"""``email-handler list``, ``show``, ``inbox`` and ``why`` against the deployed stack."""

from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from cloud.cloud import LocalCloud
from email_handler.conversations.records import Status
from email_handler.identifiers import ConversationId
from tests.conftest import PROJECT
from tests.support.fakes import NOW
from tests.support.operator import lines, run
from tests.support.records import commit
from tests.support.records import conversation as conversation_record
from tests.support.table import DynamoTable

pytestmark = pytest.mark.cloud

OTTO = "otto@orchard.example"


@pytest.fixture(scope="module")
def receipt(cloud: LocalCloud) -> str:
    """Otto's first message, received and processed."""
    raw = (PROJECT / "events/mail/first_contact.eml").read_bytes()
    for jane, otto in ((b"jane@customer.example", OTTO.encode()), (b"Jane", b"Otto"), (b"garden-plan-", b"orchard-")):
        raw = raw.replace(jane, otto)
    accepted = cloud.send(raw, OTTO, ["contact@example.com"])
    cloud.settle()
    return accepted


@pytest.fixture(scope="module")
def conversation(cloud: LocalCloud, receipt: str) -> dict[str, Any]:
    del receipt  # it made the conversation
    (found,) = lines(cloud, "list", "--contact", OTTO)
    return found


def text(cloud: LocalCloud, *arguments: str, columns: int = 200) -> str:
    ran = run(cloud, *arguments, columns=columns)

    assert ran.exit_code == 0, ran.output
    return ran.output


def test_list_shows_conversations_without_their_secret_token(conversation: dict[str, Any]) -> None:
    assert (conversation["contact"], conversation["status"], conversation["received"]) == (OTTO, "open", 1)
    assert "token" not in conversation


@pytest.mark.parametrize(
    "question", [(), ("--domain", "orchard.example"), ("--status", "open"), ("--public", "contact@example.com")]
)
def test_list_finds_by_every_index(cloud: LocalCloud, conversation: dict[str, Any], question: tuple[str, ...]) -> None:
    assert conversation["id"] in [found["id"] for found in lines(cloud, "list", *question)]


def test_list_prints_a_table_without_json(cloud: LocalCloud, conversation: dict[str, Any]) -> None:
    assert conversation["id"] in text(cloud, "list")


def test_show_lists_messages_files_and_sends(cloud: LocalCloud, conversation: dict[str, Any], receipt: str) -> None:
    (shown,) = lines(cloud, "show", conversation["id"])

    (message,) = shown["messages"]
    assert message["receipt"] == receipt
    assert [found["name"] for found in message["attachments"]] == ["garden-plan.pdf"]
    assert {(send["kind"], send["state"]) for send in message["sends"]} == {
        ("acknowledgement", "sent"),
        ("forward", "sent"),
    }
    assert "garden-plan.pdf" in text(cloud, "show", conversation["id"])


def test_why_finds_a_message_by_receipt_send_ses_id_and_conversation(
    cloud: LocalCloud, conversation: dict[str, Any], receipt: str
) -> None:
    (by_receipt,) = lines(cloud, "why", receipt)
    send = by_receipt["sends"][0]

    assert [lines(cloud, "why", name) for name in (send["id"], send["ses_id"], conversation["id"])] == [
        [by_receipt]
    ] * 3
    assert by_receipt["decision"]["outcome"] == "deliver"
    assert by_receipt["decision"]["done"]
    assert [event["detail_type"] for event in by_receipt["events"]] == ["Conversation Started", "Message Received"]
    assert f"raw/inbound/{receipt}" in by_receipt["archive"]
    assert "forward to owner@private.example sent" in text(cloud, "why", receipt)


@pytest.mark.parametrize("command", ["show", "why"])
def test_the_beginning_of_an_id_and_the_contacts_address_name_the_same(
    cloud: LocalCloud, conversation: dict[str, Any], receipt: str, command: str
) -> None:
    whole = lines(cloud, command, conversation["id"])

    for name in (receipt[:20], conversation["id"][:8], conversation["id"].upper(), OTTO, f"<{OTTO.title()}>"):
        assert lines(cloud, command, name) == whole, name


def test_show_finds_the_conversation_of_a_message_and_of_a_send(
    cloud: LocalCloud, conversation: dict[str, Any], receipt: str
) -> None:
    whole = lines(cloud, "show", conversation["id"])
    (send, _) = whole[0]["messages"][0]["sends"]

    for name in (receipt, send["id"], send["ses_id"], f"<{send['ses_id']}@email.amazonses.com>"):
        assert lines(cloud, "show", name) == whole, name


def test_a_beginning_that_fits_several_ids_names_them(cloud: LocalCloud) -> None:
    store = DynamoTable(cloud.clients.dynamodb, cloud.resources["Records"], lambda: NOW)
    for number in range(2):
        started = conversation_record(id=ConversationId(f"c-zzzz000{number}"))
        store.commit(commit(f"several-{number}", conversation=started))

    for command in ("show", "why"):
        ran = run(cloud, command, "c-zzzz")
        assert ran.exit_code == 1
        assert "c-zzzz0000, c-zzzz0001" in str(ran.exception)


def test_a_beginning_of_less_than_four_characters_is_none(cloud: LocalCloud, conversation: dict[str, Any]) -> None:
    assert run(cloud, "show", conversation["id"][:3]).exit_code == 1


def test_the_inbox_lists_what_waits_for_a_reply_oldest_first_in_pages(
    cloud: LocalCloud, conversation: dict[str, Any]
) -> None:
    store = DynamoTable(cloud.clients.dynamodb, cloud.resources["Records"], lambda: NOW)
    began = NOW - timedelta(days=3000)
    for number, status in enumerate((Status.WAITING, Status.ANSWERED, Status.OPEN, Status.CLOSED)):
        at = began + timedelta(days=number)
        found = conversation_record(id=ConversationId(f"c-inbox00{number}"), status=status, updated_at=at)
        store.commit(commit(f"inbox-{number}", conversation=found))

    first = [found["id"] for found in lines(cloud, "inbox", "--limit", "2")]
    second = [found["id"] for found in lines(cloud, "inbox", "--limit", "2", "--page", "2")]
    assert first == ["c-inbox000", "c-inbox002"]
    assert not set(first) & set(second)
    assert conversation["id"] in [found["id"] for found in lines(cloud, "inbox", "--limit", "1000")]
    assert "more: --page 2" in run(cloud, "inbox", "--limit", "2").output


def test_a_list_says_when_there_is_more(cloud: LocalCloud, conversation: dict[str, Any]) -> None:
    del conversation  # there is one at least
    total = len(lines(cloud, "list", "--limit", "1000"))

    assert total > 1
    assert "There are more" in run(cloud, "list", "--limit", "1").output
    assert "There are more" not in run(cloud, "list", "--limit", str(total)).output
    assert len(lines(cloud, "list", "--limit", "1")) == 1


@pytest.mark.parametrize("command", ["show", "why"])
def test_ids_and_keys_are_whole_in_80_columns(
    cloud: LocalCloud, conversation: dict[str, Any], receipt: str, command: str
) -> None:
    (why,) = lines(cloud, "why", receipt)
    ids = [conversation["id"], f"raw/inbound/{receipt}"]
    if command == "why":
        ids += [*why["archive"], why["decision"]["rules_version"], *(send["ses_id"] for send in why["sends"])]

    shown = text(cloud, command, conversation["id"], columns=80)

    assert [one for one in ids if one not in shown] == []


def test_addresses_in_the_outbox_are_whole_in_80_columns(cloud: LocalCloud, receipt: str) -> None:
    del receipt  # its forward has the longest address
    folder = cloud.outbox.parent

    ran = CliRunner().invoke(app, ["local", "outbox", "--folder", str(folder)], env={"COLUMNS": "80"})

    assert [sent.sender for sent in cloud.sent() if sent.sender not in ran.stdout] == []


@pytest.mark.parametrize("command", ["show", "why"])
def test_an_unknown_id_fails_with_advice(cloud: LocalCloud, command: str) -> None:
    ran = run(cloud, command, "nonsense")

    assert ran.exit_code == 1
    assert "nonsense" in str(ran.exception)
    assert "email-handler" in str(ran.exception)


def test_an_unknown_stack_fails_with_its_name(cloud: LocalCloud) -> None:
    ran = run(cloud, "list", "--stack", "other")

    assert ran.exit_code == 1
    assert "there is no stack other" in str(ran.exception)
