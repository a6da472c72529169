"""Thread addresses and their tokens."""

import pytest

from email_handler.conversations.commands import EVERYONE
from email_handler.conversations.thread_address import read_thread_address, thread_address, token_matches
from email_handler.identifiers import ConversationId
from tests.support.records import conversation


def test_a_thread_address_is_read_back_with_its_token() -> None:
    target = read_thread_address(thread_address(conversation(), "thread.example.com"), "thread.example.com")

    assert target is not None
    assert (target.conversation, target.token, target.everyone) == ("c-00000001", "0123456789", False)
    assert token_matches(target, conversation())


def test_the_address_for_everyone_has_the_same_token() -> None:
    address = thread_address(conversation(), "thread.example.com", EVERYONE)
    target = read_thread_address(address.upper(), "thread.example.com")

    assert address == "c-00000001.0123456789+all@thread.example.com"
    assert target is not None
    assert target.everyone
    assert token_matches(target, conversation())


@pytest.mark.parametrize(
    "address",
    [
        "c-00000001@thread.example.com",
        "c-00000001.012@thread.example.com",
        "c-00000001.0123456789@example.com",
        "c-00000001.0123456789@evil-thread.example.com",
        "notices@thread.example.com",
        "",
        "@thread.example.com",
    ],
)
def test_other_addresses_are_not_thread_addresses(address: str) -> None:
    assert read_thread_address(address, "thread.example.com") is None


def test_a_wrong_token_or_one_of_another_conversation_does_not_match() -> None:
    target = read_thread_address("c-00000001.0123456780@thread.example.com", "thread.example.com")

    assert not token_matches(target, conversation())
    right = read_thread_address("c-00000001.0123456789@thread.example.com", "thread.example.com")
    assert not token_matches(right, conversation(id=ConversationId("c-99999999")))
    assert not token_matches(right, None)
    assert not token_matches(None, conversation())
