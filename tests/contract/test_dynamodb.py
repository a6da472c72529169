"""Behaviour that only the adapter has: calls, batches, lost responses, AWS's errors, items of other versions."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.stub import ANY, Stubber

from cloud.clients import Clients
from email_handler.adapters.dynamodb.items import encode
from email_handler.adapters.dynamodb.keys import conversation_attributes, ledger_attributes
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import SendState, Status
from email_handler.errors import EmailHandlerError, LeaseHeld, RecordChanged, RecordsUnavailable
from email_handler.identifiers import ConversationId, LedgerId, ReceiptId, SesId
from email_handler.ports import Question, SentCommit
from tests.contract.conftest import MovableClock
from tests.support.fakes import NOW
from tests.support.records import (
    CONVERSATION,
    JANE,
    commit,
    contact,
    conversation,
    first_contact,
    forward,
    message,
    reference,
)
from tests.support.table import DynamoTable

LEASE = timedelta(seconds=90)
ASKED = Question(receipt=ReceiptId("receipt-2"), decider="inbound", contact=JANE)


class Watched:
    """A client that records the operations called through it."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.calls: list[str] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self.calls.append(operation)
            return getattr(self.client, operation)(**request)

        return call


class SendsTwice:
    """A client that sends every request twice, as botocore does when the first response is lost."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            if operation == "transact_write_items":
                request["ClientRequestToken"] = str(uuid4())  # botocore sets it once for all attempts
            getattr(self.client, operation)(**request)
            return getattr(self.client, operation)(**request)

        return call


# calls


@pytest.mark.cloud
def test_a_look_up_takes_at_most_two_batches(clients: Clients, table_name: str) -> None:
    client = Watched(clients.dynamodb)
    table = DynamoTable(client, table_name, lambda: NOW)
    table.look_up(replace(ASKED, sends=(forward().id,)))
    assert client.calls == ["batch_get_item"]

    references = tuple(reference(f"id-{number}", ledger=forward().id) for number in range(40))
    table.commit(first_contact(references=references))
    client.calls.clear()
    known = table.look_up(
        replace(
            ASKED,
            subject="Hello",
            references=tuple(found.local_part for found in references),
            conversation=CONVERSATION,
            counters=("2026-03-02",),
            fingerprints=("print",),
            sends=tuple(LedgerId(f"notice-{number}") for number in range(3)),
        )
    )

    assert len(known.references) == 40
    assert client.calls == ["batch_get_item", "batch_get_item"]


@pytest.mark.cloud
def test_a_send_takes_three_calls(clients: Clients, table_name: str) -> None:
    client = Watched(clients.dynamodb)
    table = DynamoTable(client, table_name, lambda: NOW)
    table.commit(first_contact())
    client.calls.clear()

    item = table.claim(forward().id, NOW, NOW + LEASE)
    assert item is not None
    table.context(item.job)
    table.sent(SentCommit(item=replace(item, ses_id=SesId("ses-1")), reference=reference("ses-1")))

    assert client.calls == ["update_item", "batch_get_item", "transact_write_items"]


@pytest.mark.cloud
def test_the_cost_of_a_message_does_not_grow_with_its_conversation(clients: Clients, table_name: str) -> None:
    client = Watched(clients.dynamodb)
    table = DynamoTable(client, table_name, lambda: NOW)
    for number in range(150):
        table.commit(commit(record=message(f"receipt-{number}", at=NOW + number * timedelta(seconds=1))))
    client.calls.clear()

    first = next(iter(table.messages(CONVERSATION)))

    assert first.receipt == "receipt-0"
    assert client.calls == ["query", "batch_get_item"]


# lost responses


@pytest.mark.cloud
def test_requests_that_arrive_twice_take_effect_once(clients: Clients, table_name: str) -> None:
    table = DynamoTable(SendsTwice(clients.dynamodb), table_name, lambda: NOW)
    table.commit(first_contact())
    table.finish(ReceiptId("receipt-1"), "inbound")

    first = table.claim(forward().id, NOW, NOW + LEASE)
    assert first is not None
    table.give_back(first, SendState.QUEUED, "SES: Throttling", NOW)
    second = table.claim(forward().id, NOW, NOW + LEASE)
    assert second is not None
    third = table.claim(forward().id, NOW + LEASE, NOW + 2 * LEASE)
    assert third is not None
    table.sent(
        SentCommit(
            item=replace(third, ses_id=SesId("ses-1")),
            reference=reference("ses-1"),
            conversation=conversation(sent=1, version=1),
        )
    )

    assert [item.attempt for item in (first, second, third)] == [2, 4, 6]
    assert [item.possible_duplicate for item in (first, second, third)] == [False, False, True]
    assert table.conversation(CONVERSATION) == conversation(sent=1, version=2)
    assert table.look_up(replace(ASKED, counters=("2026-03-02",))).counts == {"2026-03-02": 1}


@pytest.mark.cloud
@pytest.mark.parametrize("expired", [False, True])
@pytest.mark.parametrize("state", [SendState.SENT, SendState.FAILED, SendState.UNKNOWN])
def test_a_claim_that_arrives_a_second_time_after_the_send_has_ended_does_not_reopen_it(
    clients: Clients, table_name: str, state: SendState, expired: bool
) -> None:
    """Botocore repeats a request whose response was lost; the first may be delayed on its way."""
    requests: list[dict[str, Any]] = []

    class Records(Watched):
        def update_item(self, **request: Any) -> Any:
            requests.append(request)
            return self.client.update_item(**request)

    table = DynamoTable(Records(clients.dynamodb), table_name, lambda: NOW)
    table.commit(first_contact())
    item = table.claim(forward().id, NOW, NOW + LEASE)
    if expired:
        item = table.claim(forward().id, NOW + LEASE, NOW + 2 * LEASE)
    assert item is not None
    late = requests[-1]
    if state is SendState.SENT:
        table.sent(SentCommit(item=replace(item, ses_id=SesId("ses-1")), reference=reference("ses-1")))
    else:
        table.give_back(item, state, "SES: MessageRejected", NOW)

    with pytest.raises(clients.dynamodb.exceptions.ConditionalCheckFailedException):
        clients.dynamodb.update_item(**late)
    ended = table.by_id(forward().id)
    assert ended is not None
    assert ended.state is state


# what is stored


@pytest.mark.cloud
def test_dropped_and_held_messages_expire_with_their_decision(clients: Clients, table_name: str) -> None:
    table = DynamoTable(clients.dynamodb, table_name, lambda: NOW)
    expires = NOW + timedelta(days=90)
    table.commit(commit("kept", conversation=conversation()))
    table.commit(commit("gone", record=message("gone", outcome=Outcome.HOLD), expires_at=expires))

    stored = clients.dynamodb.scan(TableName=table_name, ConsistentRead=True)["Items"]

    lasting = {item["pk"]["S"] + "/" + item["sk"]["S"] for item in stored if "expires_at" not in item}
    assert lasting == {
        "CONV#c-00000001/CONV",
        f"CONV#c-00000001/MESSAGE#{NOW:%Y-%m-%dT%H:%M:%S}.000000+00:00#kept#inbound",
        "RECEIPT#kept/DECISION#inbound",
        "RECEIPT#kept/MESSAGE#inbound",
    }
    assert {item["expires_at"]["N"] for item in stored if "expires_at" in item} == {str(int(expires.timestamp()))}


@pytest.mark.cloud
def test_items_of_newer_code_are_read_without_what_this_code_does_not_know(clients: Clients, table_name: str) -> None:
    table = DynamoTable(clients.dynamodb, table_name, lambda: NOW)
    table.commit(commit(contact=contact()))
    clients.dynamodb.update_item(
        TableName=table_name,
        Key={"pk": {"S": f"CONTACT#{JANE}"}, "sk": {"S": "CONTACT"}},
        UpdateExpression="SET mood = :mood REMOVE unreachable, conversations",
        ExpressionAttributeValues={":mood": {"S": "cheerful"}},
    )

    assert table.look_up(ASKED).contact == contact(version=1)


@pytest.mark.cloud
def test_a_days_count_of_acknowledgements_is_kept_for_a_week_after_the_day(clients: Clients, table_name: str) -> None:
    table = DynamoTable(clients.dynamodb, table_name, lambda: NOW)
    table.commit(commit(counted={"2026-03-02": 200}))

    key = {"pk": {"S": "COUNT#2026-03-02"}, "sk": {"S": "COUNT"}}
    stored = clients.dynamodb.get_item(TableName=table_name, Key=key, ConsistentRead=True)["Item"]
    assert stored["expires_at"] == {"N": str(int((NOW + timedelta(days=8)).timestamp()))}


@pytest.mark.cloud
def test_a_message_that_has_expired_is_left_out_of_its_conversation(clients: Clients, table_name: str) -> None:
    table = DynamoTable(clients.dynamodb, table_name, lambda: NOW)
    table.commit(commit("kept"))
    table.commit(commit("gone"))
    key = {"pk": {"S": "RECEIPT#gone"}, "sk": {"S": "MESSAGE#inbound"}}
    clients.dynamodb.delete_item(TableName=table_name, Key=key)

    assert [found.receipt for found in table.messages(CONVERSATION)] == ["kept"]


# requests, and AWS's errors


@pytest.fixture
def stubbed(clock: MovableClock) -> tuple[DynamoTable, Stubber, list[float]]:
    """Return a table whose responses come from a stub, the stub, and the pauses that the table made."""
    client = boto3.client("dynamodb", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}))
    pauses: list[float] = []
    stubber = Stubber(client)
    stubber.activate()
    return DynamoTable(client, "table", clock, pauses.append), stubber, pauses


def test_a_conversations_messages_and_the_lists_are_read_consistently(
    stubbed: tuple[DynamoTable, Stubber, list[float]],
) -> None:
    table, stubber, _ = stubbed
    table_and_keys = dict.fromkeys(
        ("TableName", "KeyConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"), ANY
    )
    for _query in range(2):
        stubber.add_response("query", {"Items": []}, table_and_keys | {"Limit": 100, "ConsistentRead": True})

    assert list(table.messages(CONVERSATION)) == []
    assert list(table.listed()) == []


def test_a_send_that_another_worker_gave_back_meanwhile_is_tried_again_later(
    stubbed: tuple[DynamoTable, Stubber, list[float]],
) -> None:
    table, stubber, _ = stubbed
    stubber.add_client_error("update_item", "ConditionalCheckFailedException")
    stubber.add_response("get_item", {"Item": encode(ledger_attributes(forward()))})

    with pytest.raises(LeaseHeld):
        table.claim(forward().id, NOW, NOW + LEASE)


def test_what_an_index_still_lists_and_the_table_does_not_have_is_left_out(
    stubbed: tuple[DynamoTable, Stubber, list[float]],
) -> None:
    """An index lags behind: one conversation was erased, one was closed, and one is as the index says."""
    table, stubber, _ = stubbed
    entries = [{"pk": {"S": f"CONV#{number}"}, "sk": {"S": "CONV"}} for number in range(3)]
    stubber.add_response("query", {"Items": entries})
    closed, still_open = (
        {**key, **encode(conversation_attributes(conversation(id=ConversationId(id_), status=status), NOW))}
        for key, id_, status in ((entries[1], "1", Status.CLOSED), (entries[2], "2", Status.OPEN))
    )
    stubber.add_response("batch_get_item", {"Responses": {"table": [still_open, closed]}})

    assert [each.id for each in table.find("status", "open")] == ["2"]  # type: ignore[union-attr]


@pytest.mark.parametrize(("limit", "page"), [(7, 7), (1000, 100)])
def test_a_search_reads_no_more_at_once_than_it_needs_or_a_page(
    stubbed: tuple[DynamoTable, Stubber, list[float]], limit: int, page: int
) -> None:
    table, stubber, _ = stubbed
    request = {
        "TableName": "table",
        "IndexName": "status",
        "KeyConditionExpression": "#by_status = :value",
        "ProjectionExpression": "#pk, #sk",
        "ExpressionAttributeNames": {"#by_status": "by_status", "#pk": "pk", "#sk": "sk"},
        "ExpressionAttributeValues": {":value": {"S": "open"}},
        "ScanIndexForward": False,
        "Limit": page,
    }
    stubber.add_response("query", {"Items": []}, request)

    assert list(table.find("status", "open", limit)) == []


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (["None", "ConditionalCheckFailed"], RecordChanged),
        (["TransactionConflict", "None"], RecordChanged),
        (["ThrottlingError", "None"], RecordsUnavailable),
        (["ProvisionedThroughputExceeded", "None"], RecordsUnavailable),
        (["None", "ItemCollectionSizeLimitExceeded"], RecordsUnavailable),
    ],
)
def test_a_cancelled_transaction_raises_record_changed_or_unavailable(
    stubbed: tuple[DynamoTable, Stubber, list[float]], reasons: list[str], expected: type[EmailHandlerError]
) -> None:
    table, stubber, _ = stubbed
    stubber.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        f"cancelled because of {JANE}",
        modeled_fields={"CancellationReasons": [{"Code": reason, "Message": JANE} for reason in reasons]},
    )

    with pytest.raises(expected) as raised:
        table.commit(commit())

    assert JANE not in str(raised.value)


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError", "AccessDenied"]
)
def test_a_table_that_fails_raises_unavailable(stubbed: tuple[DynamoTable, Stubber, list[float]], code: str) -> None:
    table, stubber, _ = stubbed
    stubber.add_client_error("get_item", code, f"no response about {JANE}")

    with pytest.raises(RecordsUnavailable, match=code) as raised:
        table.conversation(CONVERSATION)

    assert JANE not in str(raised.value)


def test_a_single_write_during_a_transaction_raises_record_changed(
    stubbed: tuple[DynamoTable, Stubber, list[float]],
) -> None:
    table, stubber, _ = stubbed
    stubber.add_client_error("update_item", "TransactionConflictException")

    with pytest.raises(RecordChanged):
        table.describe_attachments(ReceiptId("receipt-1"), "inbound", [], 0)


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://table.invalid"),
        ReadTimeoutError(endpoint_url="http://table.invalid"),
    ],
)
def test_a_table_that_does_not_respond_raises_unavailable(clock: MovableClock, error: Exception) -> None:
    class Silent:
        def get_item(self, **_: object) -> None:
            raise error

    with pytest.raises(RecordsUnavailable, match=type(error).__name__):
        DynamoTable(Silent(), "table", clock).conversation(CONVERSATION)


def test_unprocessed_keys_are_requested_again_after_a_pause(
    stubbed: tuple[DynamoTable, Stubber, list[float]],
) -> None:
    table, stubber, pauses = stubbed
    left = {"table": {"Keys": [{"pk": {"S": "LIST"}, "sk": {"S": JANE}}], "ConsistentRead": True}}
    found = {"table": [{"pk": {"S": "LIST"}, "sk": {"S": JANE}, "kind": {"S": "block"}}]}
    stubber.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": left})
    stubber.add_response("batch_get_item", {"Responses": found, "UnprocessedKeys": {}}, {"RequestItems": left})

    assert table.look_up(ASKED).listed == "block"
    assert pauses == [0.05]


def test_keys_that_stay_unprocessed_raise_unavailable(
    stubbed: tuple[DynamoTable, Stubber, list[float]],
) -> None:
    table, stubber, pauses = stubbed
    left = {"table": {"Keys": [{"pk": {"S": "LIST"}, "sk": {"S": JANE}}], "ConsistentRead": True}}
    for _ in range(5):
        stubber.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": left})

    with pytest.raises(RecordsUnavailable):
        table.look_up(ASKED)

    assert sum(pauses) < 2
