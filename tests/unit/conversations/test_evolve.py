"""How a conversation changes with each message and each send."""

from email_handler.conversations.evolve import MAX_LINKS, with_link
from tests.support.records import conversation, link


def test_a_link_gets_the_id_of_the_other_side_once_it_is_known() -> None:
    before = with_link(conversation(), link("r1", contact_id="m1@example.org"))
    after = with_link(before, link("r1", owner_id="s1@email.amazonses.com"))

    assert after.links == (link("r1", "m1@example.org", "s1@email.amazonses.com"),)


def test_links_keep_the_first_and_the_last_messages() -> None:
    grown = conversation()
    for number in range(30):
        grown = with_link(grown, link(f"r{number}", contact_id=f"m{number}@example.org"))

    assert [one.receipt for one in grown.links] == ["r0", *(f"r{n}" for n in range(30 - MAX_LINKS + 1, 30))]
