"""The fuzz itself: it repeats its cases, finds what raises, and finds nothing in a few cases."""

from itertools import islice
from random import Random

import pytest

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.mail import parsing
from email_handler.usecases import contact_message, reply
from tests.fuzz.running import arrived
from tests.fuzz.searching import each_case, search
from tests.support.builders import mail
from tests.support.world import OWNER, THREAD, World


def test_the_same_seed_gives_the_same_cases() -> None:
    first, again = (list(islice(each_case([], Random(1), 0, 1), 20)) for _ in range(2))

    assert first == again
    assert len(set(first)) > 10


def test_a_few_cases_raise_nothing() -> None:
    found = search([], 0, 25, 1, 0, 1)

    assert (found.cases, found.wrong) == (25, {})


@pytest.mark.parametrize(("module", "step"), [(parsing, "html_text"), (contact_message, "filter_message")])
def test_what_the_net_catches_is_found(module: object, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError

    monkeypatch.setattr(module, step, fails)

    assert search([], 0, 15, 1, 0, 1).wrong


def test_a_message_of_the_owners_that_ends_in_silence_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Reason(stage="owner", rule="silent")
    monkeypatch.setattr(reply, "stop", lambda *_: (Outcome.RECORD, silent))
    world = World()
    world.arrive(mail())
    world.run()
    (conversation,) = world.records.conversations.values()
    to = f"{conversation.id}.{conversation.token}@{THREAD}"

    assert list(arrived(world, mail(sender=OWNER, to=to), to=to)) == [f"in silence: {(silent,)}"]
