"""Each kind of message, compared with examples in and out that a person can read. A new case is a new file."""

from typing import Any

import pytest

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.threads import Threading
from email_handler.mail.parsing import parse
from email_handler.outgoing.acknowledgement import compose_acknowledgement
from email_handler.outgoing.forward import compose_forward
from email_handler.outgoing.reply import compose_reply
from tests.support.compositions import acknowledgement_context, forward_context, reply_context
from tests.support.golden import GOLDEN, assert_golden, cases, given
from tests.support.ses_rules import problems

FORWARDS: dict[str, dict[str, Any]] = {
    "forward/suspicious": {
        "verified": False,
        "verification": "nothing aligned",
        "outcome": Outcome.FLAG,
        "score": 3.5,
        "reasons": (
            Reason(stage="verdicts", rule="spam-unsure", detail="SES could not rule out spam"),
            Reason(stage="patterns", rule="link-building", weight=3.5, detail="sells or wants links"),
        ),
        "reply_address": "sales@elsewhere.example",
        "reply_differs": True,
    },
    "forward/linkedin": {
        "id": "linkedin-jane-doe",
        "sender_name": "Jane Doe",
        "linkedin_thread": "https://www.linkedin.example/messaging/thread/2-abc==/",
    },
    "forward/flowed_text": {"number": 4, "source": "project"},
}


@pytest.mark.parametrize("name", cases("forward"))
def test_forward(name: str) -> None:
    message = parse(given(name))

    composed = compose_forward(message, forward_context(message, **FORWARDS.get(name, {})))

    assert problems(composed.raw) == []
    assert_golden(composed.raw, name)


@pytest.mark.parametrize("name", cases("reply"))
def test_reply(name: str) -> None:
    composed = compose_reply(parse(given(name)), reply_context())

    assert problems(composed.raw) == []
    assert composed.held == ("held" in name)
    assert_golden(composed.raw, name)


@pytest.mark.parametrize("name", cases("acknowledgement"))
def test_acknowledgement(name: str) -> None:
    message = parse(given(name))
    threading = Threading(subject=f"Re: {message.subject}", in_reply_to=message.message_id, references=())

    composed = compose_acknowledgement(acknowledgement_context(threading=threading))

    assert problems(composed.raw) == []
    assert not composed.held
    assert_golden(composed.raw, name)


def test_the_readme_describes_every_case() -> None:
    described = (GOLDEN / "README.md").read_text("utf-8")

    everything = [name for kind in ("forward", "reply", "acknowledgement") for name in cases(kind)]
    assert len(everything) >= 20
    assert [name for name in everything if f"`{name}`" not in described] == []
