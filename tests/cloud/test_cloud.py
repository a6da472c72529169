"""The whole local cloud, with the deployed stack."""

import json
import os
import signal
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from cloud.cloud import LocalCloud
from cloud.deploy import upload_config
from cloud.emulator import require_free, wait_until
from cloud.errors import LocalCloudError
from cloud.invoke import logical_id, read_event, samples_named, store_sample
from cloud.ses import Fault
from tests.conftest import PROJECT

pytestmark = pytest.mark.cloud


def message(person: str) -> bytes:
    """Return a first message from a person whom only this test uses."""
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


def test_a_message_comes_in_and_its_acknowledgement_goes_out(cloud: LocalCloud) -> None:
    message_id = cloud.send(message("ada"), "ada@customer.example", ["contact@example.com"])
    cloud.settle()

    archive = cloud.resources["Archive"]
    assert (
        cloud.clients.s3.get_object(Bucket=archive, Key=f"raw/inbound/{message_id}")["Body"]
        .read()
        .endswith(message("ada"))
    )
    assert [sent.sender for sent in sent_to(cloud, "ada@customer.example")] == ["contact@example.com"]


def test_bounces_reach_the_function_through_the_stacks_rule(cloud: LocalCloud) -> None:
    cloud.send(message("bob"), "bob@customer.example", ["contact@example.com"])
    (acknowledged,) = cloud.wait_until(lambda: sent_to(cloud, "bob@customer.example"), 30, "the acknowledgement")
    cloud.settle()

    cloud.ses_event("Bounce", acknowledged.ses_id)
    cloud.settle()

    failed = cloud.clients.sqs.get_queue_attributes(
        QueueUrl=cloud.resources["ProcessingFailures"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert failed["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_feedback_on_a_message_that_was_not_sent_is_an_error(cloud: LocalCloud) -> None:
    with pytest.raises(LocalCloudError, match="no email was sent as no-such"):
        cloud.ses_event("Bounce", "no-such")


def test_functions_see_a_fault_of_ses(cloud: LocalCloud) -> None:
    assert cloud.ses
    to_eve = Fault(
        code="MessageRejected", only=lambda request: request["Destination"]["ToAddresses"] == ["eve@customer.example"]
    )
    cloud.ses.fail_next(to_eve)

    cloud.send(message("eve"), "eve@customer.example", ["contact@example.com"])
    cloud.settle()

    assert sent_to(cloud, "eve@customer.example") == []


def test_another_process_finds_the_cloud(cloud: LocalCloud) -> None:
    attached = LocalCloud.attached(PROJECT, cloud.outbox.parent)

    assert attached.resources == cloud.resources
    assert attached.outputs["RecordsTable"]
    assert attached.quiescent()


def test_the_error_without_a_running_cloud_names_the_command_that_starts_one(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="email-handler local up"):
        LocalCloud.attached(PROJECT, tmp_path)


def test_configuration_is_uploaded_and_its_pointers_are_set(cloud: LocalCloud, tmp_path: Path) -> None:
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


def test_a_sample_runs_with_its_message_in_the_archive(cloud: LocalCloud) -> None:
    event = read_event(PROJECT / "events", "inbound", "tagged_address")
    for name in samples_named(event, PROJECT / "events/mail"):
        store_sample(cloud, name, event)

    run = cloud.invoke(logical_id("inbound"), event)

    assert not run.failed
    assert "decision" in run.log


def test_a_function_that_raises_is_reported_as_failed(cloud: LocalCloud) -> None:
    run = cloud.invoke("InboundFunction", read_event(PROJECT / "events", "inbound", "no_mail_object"))

    assert run.failed
    assert "errorMessage" in run.payload


def test_the_error_about_an_unknown_sample_lists_the_known_ones() -> None:
    with pytest.raises(LocalCloudError, match=r"no events/inbound/nothing\.json; inbound has .*first_contact"):
        read_event(PROJECT / "events", "inbound", "nothing")
    with pytest.raises(LocalCloudError, match=r"events has .*inbound, .*reply"):
        read_event(PROJECT / "events", "nobody", "nothing")


class TestCommands:
    """``email-handler local`` from up to down, as a user types it."""

    def run(self, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli.local", *arguments, f"--folder={folder}"]
        return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300)

    def test_up_send_outbox_down(self, tmp_path: Path) -> None:
        up = self.run("up", "--detach", "--smtp-port=0", "--json", folder=tmp_path)
        address = json.loads(up.stdout)
        try:
            again = self.run("up", folder=tmp_path)
            sent = self.run("send", "--from=zoe@customer.example", "--wait", "--json", folder=tmp_path)
            typo = self.run("send", "--verdicts=spm=FAIL", folder=tmp_path)
            listed = self.run("outbox", "--json", folder=tmp_path)
            shown = self.run("outbox", "1", folder=tmp_path)
        finally:
            down = self.run("down", "--json", folder=tmp_path)

        assert again.returncode == 1
        assert "already running" in again.stderr
        assert len(json.loads(sent.stdout)["ses_message_id"]) == 40
        assert "554" in typo.stderr
        assert {tuple(json.loads(line)["recipients"]) for line in listed.stdout.splitlines()} == {
            ("zoe@customer.example",),
            ("owner@private.example",),
        }
        assert message_from_bytes(shown.stdout.encode())["Message-ID"].endswith("@email.amazonses.com>")
        assert json.loads(down.stdout) == {"stopped": address["pid"]}
        require_free(address["smtp_port"], "")
        assert not (tmp_path / "cloud.json").exists()

    @pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
    def test_a_cloud_that_is_stopped_while_it_starts_leaves_nothing_behind(
        self, tmp_path: Path, ending: signal.Signals
    ) -> None:
        command = [sys.executable, "-m", "cli.local", "up", "--smtp-port=0", f"--folder={tmp_path}"]
        up = subprocess.Popen(
            command, cwd=PROJECT, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.DEVNULL
        )
        # Not the folder: it exists shortly before the watchdog, which is to remove it.
        wait_until(lambda: _processes_of(f"{tmp_path}/local-cloud-"), 30, "the emulator's start")

        up.send_signal(ending)
        up.wait()

        wait_until(lambda: not list(tmp_path.glob("local-cloud-*")), 30, "the emulator's end")
        wait_until(lambda: not _processes_of(str(tmp_path)), 30, "the end of all its processes")


def _processes_of(text: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (process / "environ").read_bytes():
                found.append(process.name)
        except OSError:
            continue
    return found
