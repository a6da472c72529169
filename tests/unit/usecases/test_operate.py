"""The operator's requests to the functions."""

from typing import Any

import pytest

from email_handler.errors import MalformedEvent
from email_handler.usecases.operate import operate
from tests.support.builders import mail
from tests.support.world import World


@pytest.fixture
def world() -> World:
    world = World()
    world.arrive(mail(), receipt="r1", spam="FAIL")
    return world


def test_a_release_returns_the_decision(world: World) -> None:
    result = operate({"do": "release", "receipt": "r1"}, world.context)

    assert result["outcome"] == "deliver"
    assert len(result["jobs"]) == 2


def test_a_confirmation_returns_that_the_message_stays_held(world: World) -> None:
    assert operate({"do": "confirm", "receipt": "r1", "block": True}, world.context)["outcome"] == "hold"
    assert world.records.lists == {"jane@customer.example": "block"}


def test_a_request_that_fails_returns_its_error(world: World) -> None:
    assert "no such message" in operate({"do": "release", "receipt": "r2"}, world.context)["error"]
    assert "error" in operate({"do": "replay", "receipt": "r2"}, world.context)
    assert "no such message" in operate({"do": "release", "receipt": "r1", "function": "reply"}, world.context)["error"]


def test_a_replay_of_a_decided_message_sends_nothing(world: World) -> None:
    world.arrive(mail(message_id="<m2@customer.example>", text="other"), receipt="r2")
    world.run()
    result = operate({"do": "replay", "receipt": "r2"}, world.context)

    assert result["outcome"] == "deliver"
    assert world.run() == []


def test_a_replay_of_a_message_without_a_decision_forwards_it(world: World) -> None:
    world.store(mail(message_id="<m3@customer.example>", text="lost"), receipt="r3")
    operate({"do": "replay", "receipt": "r3"}, world.context)

    assert len(world.run()) == 1


@pytest.mark.parametrize(
    "request_", [{}, {"do": "erase", "receipt": "r1"}, {"do": "release"}, {"do": "release", "receipt": 7},
                 {"do": "release", "receipt": ""},
                 {"do": "release", "receipt": "r1", "function": "release"}]
)  # fmt: skip
def test_an_invalid_request_is_refused(world: World, request_: dict[str, Any]) -> None:
    with pytest.raises(MalformedEvent):
        operate(request_, world.context)


@pytest.mark.parametrize(("do", "word", "kind"), [("release", "allow", "allow"), ("confirm", "block", "block")])
def test_the_sender_is_listed_only_if_the_request_asks_for_it(world: World, do: str, word: str, kind: str) -> None:
    operate({"receipt": "r1", "function": "inbound", "do": do}, world.context)
    operate({"receipt": "r1", "function": "inbound", "do": do, word: "true"}, world.context)
    assert world.records.lists == {}

    operate({"receipt": "r1", "function": "inbound", "do": do, word: True}, world.context)
    assert world.records.lists == {"jane@customer.example": kind}
