"""Published events match their schemas, and contain neither bodies nor private addresses."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cloud import template
from email_handler.conversations.jobs import JobKind
from email_handler.identifiers import ReceiptId
from email_handler.usecases.feedback import record_feedback
from email_handler.usecases.held import release
from tests.support.builders import mail
from tests.support.world import OWNER, THREAD, World

SCHEMAS = Path(__file__).parents[3] / "docs/events"


def schema(detail_type: str) -> dict[str, Any]:
    """Return the schema of *detail_type*."""
    found: dict[str, Any] = json.loads((SCHEMAS / f"{detail_type.lower().replace(' ', '-')}.json").read_text())
    return found


@pytest.fixture
def eventful() -> World:
    """Return a world in which every kind of event has been published."""
    world = World()
    world.arrive(mail(text="the secret plan"))
    world.arrive(mail(message_id="<s@x.example>", sender="x@x.example", text="held"), receipt="held", spam="FAIL")
    world.run()
    release(world.arrive(mail(), receipt="held").receipt, "inbound", world.context)
    conversation = next(c for c in world.records.conversations.values() if c.contact == "jane@customer.example")
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    world.arrive(mail(sender=OWNER, to=thread, subject="Re: Hello", message_id="<o@private.example>"), to=thread)
    world.run()
    reply = next(item for item in world.records.ledger.values() if item.kind is JobKind.REPLY)
    record_feedback(
        {
            "eventType": "Bounce",
            "mail": {"messageId": reply.ses_id},
            "bounce": {
                "bounceType": "Permanent",
                "bouncedRecipients": [{"emailAddress": "jane@customer.example", "status": "5.1.1"}],
            },
        },
        world.context,
    )
    world.run()
    return world


def test_every_event_matches_its_schema(eventful: World) -> None:
    for event in eventful.events.published:
        jsonschema.validate(event.detail, schema(event.detail_type))


def test_every_schema_describes_an_event_that_is_published(eventful: World) -> None:
    published = {event.detail_type.lower().replace(" ", "-") for event in eventful.events.published}

    assert {path.stem for path in SCHEMAS.glob("*.json")} == published


def test_no_event_contains_a_body_or_an_address_of_the_owner(eventful: World) -> None:
    published = json.dumps([event.detail for event in eventful.events.published])

    assert OWNER not in published
    assert "secret plan" not in published


def test_an_event_says_how_many_files_a_message_has_unless_nobody_could_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The attachment function runs for messages with files, and for those of which nobody knows."""
    world = World()
    world.arrive(mail(), receipt="plain")
    world.arrive(mail(message_id="<2@x.example>", attachments=[("a.txt", "text/plain", b"a")] * 2), receipt="files")
    world.arrive(
        mail(message_id="<3@x.example>", attachments=[("a.txt", "text/plain", b"a")]), receipt="held", spam="FAIL"
    )
    release(ReceiptId("held"), "inbound", world.context)
    monkeypatch.setattr("email_handler.conversations.parsed.new_text", lambda *_: 1 // 0)
    world.arrive(mail(message_id="<4@x.example>"), receipt="unread")

    received = [event.detail for event in world.events.published if event.detail_type == "Message Received"]
    assert {detail["receipt"]: detail.get("attachments") for detail in received} == {
        "plain": 0,
        "files": 2,
        "held": 1,
        "unread": None,
    }


def test_every_event_has_its_own_id(eventful: World) -> None:
    ids = [event.id for event in eventful.events.published]

    assert len(ids) == len(set(ids))


CHAT = template.read(SCHEMAS / "chat.yaml")["Resources"]["SomethingNeedsYou"]["Properties"]


def chat_text(detail_type: str, detail: dict[str, Any]) -> str:
    """Return the text that the example workflow posts about an event, as EventBridge's input transformer composes it."""
    (target,) = CHAT["Targets"]
    whole = {"detail-type": detail_type, "detail": detail}

    def value(path: str) -> str:
        found: Any = whole
        for name in path.removeprefix("$.").split("."):
            found = found[name]
        assert isinstance(found, str)
        return found

    values = {name: value(path) for name, path in target["InputTransformer"]["InputPathsMap"].items()}
    text = target["InputTransformer"]["InputTemplate"]["Fn::Sub"]
    for name, pseudo in {"AWS::Region": "us-east-1", "Archive": "bucket"}.items():
        text = text.replace(f"${{{name}}}", pseudo)
    composed = json.loads(re.sub("<([a-z]+)>", lambda found: values[found[1]], text))
    assert composed.keys() == {"text"}
    return str(composed["text"])


def test_the_chat_example_posts_ids_and_a_link_about_what_needs_the_owner(eventful: World) -> None:
    wanted = CHAT["EventPattern"]["detail-type"]
    posted = [each for each in eventful.events.published if each.detail_type in wanted]

    assert {each.detail_type for each in posted} == set(wanted)
    for each in posted:
        detail = each.detail
        assert chat_text(each.detail_type, detail) == (
            f"{each.detail_type} (conversation {detail['conversation']}): email-handler why {detail['receipt']} "
            f"https://us-east-1.console.aws.amazon.com/s3/object/bucket?prefix={detail['archive_key']}"
        )
