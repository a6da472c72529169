"""Our own samples of what contact addresses get today: messages of people are delivered, and most spam is not."""

import dataclasses
from functools import cache

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.mail.message import Message
from email_handler.spam.rules import builtin_rules
from email_handler.spam.stages import assess_content
from tests.support.contact_mail import ContactMail, contact_mail

HAM, SPAM = contact_mail("ham"), contact_mail("spam")
LANGUAGES = sorted({mail.language for mail in HAM})
WORDS = "the garden was green and the river ran slowly past the old mill where somebody sang " * 650  # 54 kB


@cache
def outcome(mail: ContactMail) -> Outcome:
    return assess_content(mail.message, builtin_rules()).outcome


def test_there_are_many_samples_of_many_kinds_and_languages() -> None:
    assert len(HAM) >= 180
    assert len(SPAM) >= 120
    assert len({mail.kind for mail in HAM}) >= 12
    assert len(LANGUAGES) >= 13


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_good_message_is_held_and_at_most_one_is_flagged(language: str) -> None:
    outcomes = {mail.name: outcome(mail) for mail in HAM if mail.language == language}

    assert [name for name, found in outcomes.items() if found is Outcome.HOLD] == []
    assert len([name for name, found in outcomes.items() if found is Outcome.FLAG]) <= 1


def test_if_no_sender_were_verified_hardly_any_good_message_would_suffer() -> None:
    """The one that is held quotes a whole phishing message and asks whether it is genuine."""
    outcomes = [assess_content(mail.message, builtin_rules(), verified=False).outcome for mail in HAM]

    assert outcomes.count(Outcome.HOLD) <= 1
    assert outcomes.count(Outcome.FLAG) <= 4


def test_nine_of_ten_spam_messages_are_caught_and_a_third_is_held() -> None:
    outcomes = [outcome(mail) for mail in SPAM]

    assert outcomes.count(Outcome.DELIVER) <= len(SPAM) / 10
    assert outcomes.count(Outcome.HOLD) >= len(SPAM) / 3


@cache
def padded(mail: ContactMail, where: str) -> Message:
    """Return the message with WORDS *where*, in its text and in its HTML."""
    message = mail.message
    before, behind = (WORDS if where in (side, "on both sides") else "" for side in ("before", "behind"))
    if where == "in the other part" and message.html:
        return dataclasses.replace(message, text=WORDS)
    html = message.html.replace("<body>", f"<body><p>{before}</p>").replace("</body>", f"<p>{behind}</p></body>")
    return dataclasses.replace(message, text=f"{before}\n{message.text}\n{behind}", html=html)


PLACES = pytest.mark.parametrize("where", ["before", "behind", "on both sides", "in the other part"])


@PLACES
def test_padding_with_fifty_kilobytes_of_words_changes_no_outcome_of_the_patterns(where: str) -> None:
    patterns = dataclasses.replace(builtin_rules(), words=0.0)
    outcomes = {
        mail.name: [assess_content(m, patterns).outcome for m in (mail.message, padded(mail, where))] for mail in SPAM
    }

    assert [name for name, (plain, hidden) in outcomes.items() if plain is not hidden] == []


@PLACES
def test_padding_lets_hardly_any_spam_through_the_model_of_words(where: str) -> None:
    caught = [mail for mail in SPAM[::3] if outcome(mail) is not Outcome.DELIVER]
    lost = [mail for mail in caught if assess_content(padded(mail, where), builtin_rules()).outcome is Outcome.DELIVER]

    assert len(lost) <= 2
