"""Running one function on one sample: what the sample assumes is brought about, and what `sam local invoke` gets."""

import pytest

from cloud.cloud import LocalCloud
from cloud.deploy import Deployment
from cloud.invoke import is_error, logical_id, prepare, read_event
from cloud.sam_local import variables
from cloud.ses import Sent
from cloud.staging import earlier
from tests.support.stack import FUNCTIONS, PROJECT, RESOURCES, TEMPLATE

DEPLOYMENT = Deployment(
    parameters={}, resources={name: f"physical-{name}" for name in RESOURCES}, outputs={}, template=TEMPLATE
)


def test_each_function_gets_the_physical_names_that_sam_cannot_resolve() -> None:
    found = variables(DEPLOYMENT, "http://127.0.0.1:4577")

    assert found.keys() == FUNCTIONS.keys()
    assert found["AckSenderFunction"] == {
        "TABLE_NAME": "physical-Records",
        "ARCHIVE_BUCKET": "physical-Archive",
        "QUEUE_URL": "physical-AckQueue",
        "DEAD_LETTER_QUEUE_URL": "physical-AckDeadLetters",
        "NOTICE_QUEUE_URL": "physical-ForwardQueue",
        "CONFIGURATION_SET": "physical-ContactConfigurationSet",
        "ACKNOWLEDGEMENT_PARAMETER": "physical-AcknowledgementPointer",
        "ROUTES_PARAMETER": "physical-RoutesPointer",
        "SIGNATURE_PARAMETER": "physical-SignaturePointer",
        "AWS_ENDPOINT_URL": "http://host.docker.internal:4577",
    }


@pytest.mark.parametrize(
    ("sample", "before"),
    [
        ("inbound/first_contact", []),
        ("inbound/spam", []),
        ("inbound/follow_up", ["inbound/first_contact"]),
        ("reply/owner_answer", ["inbound/first_contact"]),
        ("reply_sender/answer", ["inbound/first_contact", "reply/owner_answer"]),
        ("forward_sender/linkedin_message", ["inbound/linkedin_message"]),
        ("attachment/message_with_pdf", ["inbound/first_contact"]),
        ("attachment/many_attachments", ["inbound/first_contact", "inbound/many_attachments"]),
        ("ack_sender/empty_batch", []),
        ("ack_sender/not_json", []),
    ],
)
def test_a_sample_is_preceded_by_what_it_is_about(sample: str, before: list[str]) -> None:
    function, _, case = sample.partition("/")

    found = earlier(function, case, read_event(PROJECT / "events", function, case))

    assert [f"{function}/{case}" for function, case in found] == before


@pytest.mark.cloud
def test_samples_run_in_any_order_and_again(cloud: LocalCloud) -> None:
    jane = "jane@customer.example"

    def sent_by(function: str, case: str) -> list[Sent]:
        """Return what leaves in Jane's conversation: a send of another test's may be repeated meanwhile."""
        before = len(cloud.sent())
        event = read_event(PROJECT / "events", function, case)
        prepare(cloud, function, case, event)
        run = cloud.invoke(logical_id(function), event)
        cloud.settle()
        assert not run.failed, run
        return [one for one in cloud.sent(before) if jane in one.recipients or one.sender.startswith("c-7k2m9x4q.")]

    for function, case in (
        ("reply", "owner_answer"),
        ("reply_sender", "answer"),
        ("ack_sender", "acknowledge"),
        ("reply", "owner_answer"),
    ):
        (sent,) = sent_by(function, case)
        assert (sent.sender, sent.recipients) == ("contact@example.com", (jane,)), (function, case)
    (followed,) = sent_by("inbound", "follow_up")
    assert followed.sender.startswith("c-7k2m9x4q.a1b2c3d4e5@"), "Jane's conversation goes on, without a second reply"


@pytest.mark.parametrize(
    ("printed", "error"),
    [
        ('START\n{"errorType": "ObjectMissing", "errorMessage": "…"}\n', True),
        ("null\n", False),
        ('{"batchItemFailures": []}', False),
        ('["errorType"]', False),
        ("", False),
        ("killed", False),
    ],
)
def test_a_functions_error_is_told_by_its_result_since_sam_exits_with_0(printed: str, *, error: bool) -> None:
    assert is_error(printed) is error
