"""The local cloud as a whole: the deployed stack between the two doors."""

from pathlib import Path
from typing import Any

import pytest

from cloud.cloud import LocalCloud
from cloud.deploy import upload_config
from cloud.errors import LocalCloudError
from cloud.invoke import logical_id, mails_named, put_mail, read_event
from cloud.ses import Fault
from tests.conftest import PROJECT

pytestmark = pytest.mark.cloud


def mail(person: str) -> bytes:
    """Return a first mail of a person of the test's own."""
    address = f"{person}@customer.example"
    lines = (
        f"From: {person} <{address}>",
        "To: contact@example.com",
        "Subject: A question",
        f"Message-ID: <{person}@customer.example>",
    )
    return "\r\n".join((*lines, "", "Could you come on Tuesday?", "")).encode()


def sent_to(cloud: LocalCloud, address: str) -> list[Any]:
    return [sent for sent in cloud.sent() if address in sent.recipients]


def test_a_mail_goes_in_and_what_it_causes_comes_out(cloud: LocalCloud) -> None:
    message_id = cloud.send(mail("ada"), "ada@customer.example", ["contact@example.com"])
    cloud.settle()

    archive = cloud.resources["Archive"]
    assert (
        cloud.clients.s3.get_object(Bucket=archive, Key=f"raw/inbound/{message_id}")["Body"]
        .read()
        .endswith(mail("ada"))
    )
    assert [sent.sender for sent in sent_to(cloud, "ada@customer.example")] == ["contact@example.com"]


def test_bounces_reach_the_function_through_the_rule_of_the_stack(cloud: LocalCloud) -> None:
    cloud.send(mail("bob"), "bob@customer.example", ["contact@example.com"])
    (acknowledged,) = cloud.wait_until(lambda: sent_to(cloud, "bob@customer.example"), 30, "the acknowledgement")
    cloud.settle()

    cloud.ses_event("Bounce", acknowledged.ses_id)
    cloud.settle()

    failed = cloud.clients.sqs.get_queue_attributes(
        QueueUrl=cloud.resources["ProcessingFailures"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert failed["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_feedback_on_a_mail_that_never_left_is_a_slip_of_the_tester(cloud: LocalCloud) -> None:
    with pytest.raises(LocalCloudError, match="nothing was sent as no-such"):
        cloud.ses_event("Bounce", "no-such")


def test_a_fault_of_ses_is_met_by_the_functions(cloud: LocalCloud) -> None:
    assert cloud.ses
    to_eve = Fault(
        code="MessageRejected", only=lambda request: request["Destination"]["ToAddresses"] == ["eve@customer.example"]
    )
    cloud.ses.fail_next(to_eve)

    cloud.send(mail("eve"), "eve@customer.example", ["contact@example.com"])
    cloud.settle()

    assert sent_to(cloud, "eve@customer.example") == []


def test_another_process_finds_the_cloud(cloud: LocalCloud) -> None:
    attached = LocalCloud.attached(PROJECT, cloud.outbox.parent)

    assert attached.resources == cloud.resources
    assert attached.outputs["RecordsTable"]
    assert attached.quiescent()


def test_where_no_cloud_runs_the_command_to_start_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="email-handler local up"):
        LocalCloud.attached(PROJECT, tmp_path)


def test_configuration_is_uploaded_and_pointed_to(cloud: LocalCloud, tmp_path: Path) -> None:
    pointers = {name: cloud.resources[name] for name in ("RulesPointer", "RoutesPointer", "AcknowledgementPointer")}
    before = {
        name: cloud.clients.ssm.get_parameter(Name=pointer)["Parameter"]["Value"] for name, pointer in pointers.items()
    }
    (tmp_path / "acknowledgement").mkdir()
    (tmp_path / "acknowledgement/text.txt").write_text("Thank you\n")
    (tmp_path / "acknowledgement/html.html").write_text("<p>Thank you</p>\n")

    upload_config(tmp_path, cloud.deployment, cloud.clients)

    try:
        after = {
            name: cloud.clients.ssm.get_parameter(Name=pointer)["Parameter"]["Value"]
            for name, pointer in pointers.items()
        }
        stored = cloud.clients.s3.get_object(Bucket=cloud.resources["Archive"], Key=after["AcknowledgementPointer"])
        assert stored["Body"].read() == b"Thank you\n=====\n<p>Thank you</p>"
        assert after["RulesPointer"] == before["RulesPointer"]
    finally:
        upload_config(PROJECT / "config", cloud.deployment, cloud.clients)


def test_a_sample_runs_with_its_mail_in_the_archive(cloud: LocalCloud) -> None:
    event = read_event(PROJECT / "events", "inbound", "tagged_address")
    for name in mails_named(event, PROJECT / "events/mail"):
        put_mail(cloud, name, event)

    run = cloud.invoke(logical_id("inbound"), event)

    assert not run.failed
    assert "decision" in run.log


def test_a_function_that_raises_is_told_apart_from_one_that_returns(cloud: LocalCloud) -> None:
    run = cloud.invoke("InboundFunction", read_event(PROJECT / "events", "inbound", "no_mail_object"))

    assert run.failed
    assert "errorMessage" in run.payload


def test_an_unknown_sample_lists_those_there_are() -> None:
    with pytest.raises(LocalCloudError, match=r"no events/inbound/nothing\.json; inbound has .*first_contact"):
        read_event(PROJECT / "events", "inbound", "nothing")
    with pytest.raises(LocalCloudError, match=r"events has .*inbound, .*reply"):
        read_event(PROJECT / "events", "nobody", "nothing")
