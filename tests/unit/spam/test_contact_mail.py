"""Our own samples of what contact addresses get today: messages of people are delivered, and most spam is not."""

import dataclasses
from functools import cache

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.spam.rules import builtin_rules
from email_handler.spam.stages import assess_content
from tests.support.contact_mail import ContactMail, contact_mail

HAM, SPAM = contact_mail("ham"), contact_mail("spam")
WORDS = "the garden was green and the river ran slowly past the old mill where somebody sang " * 650  # 54 kB


@cache
def outcome(mail: ContactMail) -> Outcome:
    return assess_content(mail.message, builtin_rules()).outcome


def test_there_are_many_samples_of_many_kinds_and_languages() -> None:
    assert len(HAM) >= 120
    assert len(SPAM) >= 120
    assert len({mail.kind for mail in HAM}) >= 10
    assert len({mail.language for mail in HAM}) >= 6


def test_no_good_message_is_held_and_at_most_one_is_flagged() -> None:
    outcomes = {mail.name: outcome(mail) for mail in HAM}

    assert [name for name, found in outcomes.items() if found is Outcome.HOLD] == []
    assert len([name for name, found in outcomes.items() if found is Outcome.FLAG]) <= 1


def test_nine_of_ten_spam_messages_are_caught_and_a_third_is_held() -> None:
    outcomes = [outcome(mail) for mail in SPAM]

    assert outcomes.count(Outcome.DELIVER) <= len(SPAM) / 10
    assert outcomes.count(Outcome.HOLD) >= len(SPAM) / 3


@pytest.mark.parametrize("where", ["before", "behind", "on both sides", "in the other part"])
def test_padding_with_fifty_kilobytes_of_words_changes_no_outcome_of_the_patterns(where: str) -> None:
    patterns = dataclasses.replace(builtin_rules(), words=0.0)
    changed = []
    for mail in SPAM:
        message = mail.message
        if where == "in the other part" and message.html:
            padded = dataclasses.replace(message, text=WORDS)
        elif where == "before":
            html = message.html.replace("<body>", f"<body><p>{WORDS}</p>")
            padded = dataclasses.replace(message, text=WORDS + message.text, html=html)
        elif where == "on both sides":
            html = message.html.replace("<body>", f"<body><p>{WORDS}</p>").replace("</body>", f"<p>{WORDS}</p></body>")
            padded = dataclasses.replace(message, text=f"{WORDS}\n{message.text}\n{WORDS}", html=html)
        else:
            html = message.html.replace("</body>", f"<p>{WORDS}</p></body>")
            padded = dataclasses.replace(message, text=message.text + "\n" + WORDS, html=html)
        if assess_content(padded, patterns).outcome is not assess_content(message, patterns).outcome:
            changed.append(mail.name)

    assert changed == []
