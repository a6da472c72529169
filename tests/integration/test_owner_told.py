"""What the owner is told and shown on the deployed stack: what became of a reply, a reply before it leaves, large files."""

import secrets
from pathlib import Path

import pytest

from cloud.cloud import LocalCloud
from cloud.mailclient import read
from cloud.ses import Sent
from email_handler.outgoing.original import FORWARD_LIMIT
from tests.support.builders import mail
from tests.support.operator import OWNER, PUBLIC, person, sent_since

pytestmark = pytest.mark.cloud


def forwarded(cloud: LocalCloud, sender: str, **fields: object) -> Sent:
    """Let *sender* write, and return the forward."""
    before = len(cloud.sent())
    raw = mail(sender=sender, message_id=f"<{sender}>", subject=f"From {sender.partition('@')[0]}", **fields)  # type: ignore[arg-type]
    cloud.send(raw, sender, [PUBLIC])
    (forward,) = [sent for sent in sent_since(cloud, before) if OWNER in sent.recipients]
    return forward


def write(cloud: LocalCloud, to: str, **fields: object) -> list[Sent]:
    """Let the owner write to the thread address *to*, and return what is sent."""
    before = len(cloud.sent())
    raw = mail(sender=OWNER, to=to, message_id=f"<{secrets.token_hex(8)}@private.example>", **fields)  # type: ignore[arg-type]
    cloud.send(raw, OWNER, [to])
    return sent_since(cloud, before)


def text(sent: Sent) -> str:
    found: str = read(Path(sent.eml).read_bytes()).get_body(("plain",)).get_content()  # type: ignore[union-attr]
    return found


def test_a_complaint_about_a_reply_is_told_to_its_owner(cloud: LocalCloud) -> None:
    contact = person()
    forward = forwarded(cloud, contact)
    (reply,) = write(cloud, forward.sender, subject=f"Re: {forward.subject}")
    before = len(cloud.sent())
    cloud.ses_event("Complaint", reply.ses_id)

    (notice,) = sent_since(cloud, before)
    assert reply.recipients == (contact,)
    assert notice.recipients == (OWNER,)
    assert "marked as spam" in text(notice)


def test_a_reply_is_checked_before_it_leaves(cloud: LocalCloud) -> None:
    contact = person()
    forward = forwarded(cloud, contact)
    (notice,) = write(cloud, forward.sender.replace("@", "+check@"), subject="Re: Hello", text="Dear contact\r\n")

    assert notice.recipients == (OWNER,)
    assert "Dear contact" in text(notice)
    assert contact.partition("@")[0] in text(notice)


def test_the_files_that_a_forward_lacks_follow_when_asked_for(cloud: LocalCloud) -> None:
    files = [(f"{number}.bin", "application/octet-stream", bytes(250) * 40_000) for number in range(2)]
    forward = forwarded(cloud, person(), attachments=files)
    assert "Send the files" in text(forward)
    sent = write(cloud, forward.sender.replace("@", "+files@"))

    said = sorted(text(one).partition("\r\n")[0] for one in sent)
    assert said == ["Files 1 of 2", "Files 2 of 2", "The files follow in 2 messages."]
    assert {one.recipients for one in sent} == {(OWNER,)}
    assert all(len(Path(one.eml).read_bytes()) < FORWARD_LIMIT for one in sent)
