"""The personal model is silent until it has learned enough, moves points within bounds, and touches nothing else."""

import dataclasses
import random
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from email_handler.conversations.disposition import Disposition, Outcome
from email_handler.errors import BadWords
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from email_handler.senders.authentication import SenderVerification
from email_handler.spam.learned import (
    FEWEST,
    FEWEST_OF_A_KIND,
    LOWER,
    MOST,
    MOST_OF_A_DOMAIN,
    MOST_OF_ONE,
    RAISE,
    Act,
    LearnedModel,
    counted,
    fit,
    learn,
    load_learned,
    sample,
)
from email_handler.spam.rules import RuleSet, builtin_rules
from email_handler.spam.stages import assess_content, filter_message
from email_handler.spam.words import write_words
from tests.support.learned import NEUTRAL, PITCH, TRADE, example, examples, model, text
from tests.support.records import passed_receipt

PHISHING = (
    "Your mailbox storage is almost full and incoming messages are on hold. Log in below to keep your password and "
    "restore access today, otherwise your account will be closed. Click the button to update your webmail now."
)
WORDS_ALONE = dataclasses.replace(builtin_rules(), rules=(), signals={})
MODEL = model()


def message(body: str, subject: str = "Hello") -> Message:
    return parse(f"Subject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}".encode())


def assessed(body: str, learned: LearnedModel | None = MODEL, rules: RuleSet = WORDS_ALONE) -> Disposition:
    return assess_content(message(body), rules, learned=learned)


# How much must be learned


@settings(max_examples=20)
@given(st.integers(0, FEWEST), st.integers(0, FEWEST))
def test_below_the_thresholds_there_is_no_model(spam: int, ham: int) -> None:
    learned = learn(examples(spam, ham))

    assert (learned is not None) == (spam + ham >= FEWEST and min(spam, ham) >= FEWEST_OF_A_KIND)


def test_one_kind_of_examples_makes_no_model() -> None:
    assert fit(examples(60, 0)) is None
    assert fit(examples(0, 60)) is None
    assert fit([]) is None


def test_a_document_says_what_it_was_made_of_and_uses_the_whole_byte_of_each_weight() -> None:
    assert max(map(abs, MODEL.model.weights.values())) == 127
    assert MODEL.model.gain == pytest.approx(0.05066047012), "the training is what the ADR's figures were measured with"
    assert (MODEL.model.header["spam"], MODEL.model.header["ham"]) == (150, 150)


@pytest.mark.parametrize(("spam", "ham"), [(400, 60), (60, 400)])
def test_the_kind_that_is_judged_more_often_does_not_decide_about_words_of_both(spam: int, ham: int) -> None:
    """Both kinds weigh the same in sum."""
    learned = model(spam, ham).model

    assert abs(learned.odds(learned.weights.keys() & sample("Hello", " ".join(NEUTRAL)))) < 1


def test_examples_without_a_common_word_make_a_model_that_says_nothing() -> None:
    apart = [
        example(number, Act.SPAM if number % 2 else Act.REPLIED, f"own{'abcdefgh'[number]}") for number in range(8)
    ]
    document = fit([dataclasses.replace(one, features=one.features[:1]) for one in apart])

    assert document
    assert load_learned(document).assess("Hello", [text(1, PITCH)]).points == 0


def test_only_the_first_words_of_text_and_subject_count() -> None:
    words = [f"{first}{second}" for first in "abcdefghijklmnop" for second in "abcdefghijklmnop"]

    assert sample(" ".join(words), "") == sample(" ".join(words[:30]), "")
    assert sample("", " ".join(words)) == sample("", " ".join(words[:150]))
    assert sample("", " ".join(words[:150])) != sample("", " ".join(words[:149]))


def test_of_one_sender_and_one_domain_only_the_latest_few_are_learned_from() -> None:
    loud = [example(number, Act.SPAM, text(number, PITCH), "loud", "loud.test") for number in range(60)]
    busy = [example(number, Act.SPAM, text(number, PITCH), domain="busy.test") for number in range(100, 160)]
    quiet = examples(0, 160)

    kept = counted([*loud, *busy, *quiet])

    assert [one.at.hour for one in kept if one.sender == "loud"] == [
        one.at.hour for one in reversed(loud[-MOST_OF_ONE:])
    ]
    assert sum(one.domain == "busy.test" for one in kept) == max(MOST_OF_A_DOMAIN, 0.2 * 120)
    assert learn([*loud, *busy, *quiet]) is None, "of spam there is too little that counts"


def test_one_text_from_many_senders_counts_a_few_times() -> None:
    campaign = [example(number, Act.REPLIED, text(1, PITCH)) for number in range(50)]

    assert len(counted([*campaign, *examples(50, 0)])) == MOST_OF_ONE + 50


def test_a_flood_from_one_sender_or_one_domain_pushes_nobody_out() -> None:
    """A stranger sends thousands of messages that are held, and the owner confirms all of them."""
    one_sender = [
        example(5000 + number, Act.CONFIRMED, text(number, PITCH), "loud", "loud.test") for number in range(MOST)
    ]
    one_domain = [
        example(9000 + number, Act.CONFIRMED, text(number, PITCH), domain="busy.test") for number in range(MOST)
    ]
    honest = examples(150, 150)

    kept = counted([*one_sender, *one_domain, *honest])

    assert len(kept) <= MOST
    assert {one.sender for one in honest} <= {one.sender for one in kept}
    assert learn([*one_sender, *one_domain, *honest]) is not None


def test_only_the_latest_examples_count_and_those_of_another_form_do_not() -> None:
    old = dataclasses.replace(example(5000, Act.SPAM, "x y"), form=0)

    empty = dataclasses.replace(example(5000, Act.SPAM, ""), features=())
    assert counted([old, empty]) == []
    assert len(counted(example(number, Act.REPLIED, text(number, TRADE)) for number in range(MOST + 50))) == MOST


def test_the_same_examples_give_the_same_bytes_in_any_order() -> None:
    given_, shuffled = examples(110, 90), examples(110, 90)
    random.Random(1).shuffle(shuffled)

    assert learn(given_) == learn(shuffled)


def test_the_features_of_a_text_are_those_that_were_learned_before() -> None:
    """If this fails, features have changed: raise FORM, so that what was learned of others is left out, and the hash here."""
    found = sample("Quay 7: storage", "Don't unload the follow-up cargo, see https://quay.test. Der Kran läuft wieder.")

    assert sha256(repr(found).encode()).hexdigest()[:16] == "a42e21577fe0e456"


def test_what_only_one_sender_wrote_is_not_in_the_model() -> None:
    own = [
        example(2000 + number, Act.REPLIED, f"zebrafish {text(number, TRADE)}", "one", "one.test")
        for number in range(5)
    ]
    document = learn([*examples(150, 150), *own])

    shared = learn([*examples(150, 150), *own, example(2010, Act.REPLIED, f"zebrafish {text(10, TRADE)}")])

    assert document is not None
    assert shared is not None
    zebrafish = set(sample("", "zebrafish"))
    assert not load_learned(document).model.weights.keys() & zebrafish
    assert load_learned(shared).model.weights.keys() & zebrafish


def test_a_model_of_two_thousand_examples_is_small() -> None:
    chosen = random.Random(1)
    words = ["".join(chosen.choices("abcdefgh", k=5)) for _ in range(200)]  # every pair of them occurs
    many = [
        example(number, Act.SPAM if number % 2 else Act.REPLIED, " ".join(chosen.choices(words, k=150)))
        for number in range(MOST)
    ]
    document = learn(many)

    assert document is not None
    assert len(document) < 100_000


def test_another_kind_of_model_is_refused() -> None:
    for document in (b"", b"{}", write_words({"gain": 1, "base": 0}, {1: 1})):
        with pytest.raises(BadWords):
            load_learned(document)


# What it does


def test_what_the_owner_marks_is_flagged_and_explained() -> None:
    found = assessed(text(7000, PITCH))

    assert found.outcome is Outcome.FLAG
    assert found.words == 0
    assert found.score == found.learned <= RAISE
    (reason,) = found.reasons
    assert (reason.stage, reason.rule) == ("learned", "learned")
    assert "learned from your decisions" in reason.detail
    assert any(word in reason.detail for word in PITCH)


def test_what_the_owner_answers_loses_points_of_the_other_model_and_is_explained() -> None:
    body = f"{PHISHING} Please verify your account now: click the button below to keep your password."
    like_it = [example(3000 + number, Act.RELEASED, body) for number in range(60)]
    document = learn([*examples(150, 150), *like_it])
    assert document is not None

    before, after = assessed(body, None), assessed(body, load_learned(document))

    assert before.words > 0
    assert -LOWER <= after.learned < 0
    assert after.score == pytest.approx(max(0, before.score + after.learned))
    assert "what you answered or released" in after.reasons[-1].detail


@given(st.lists(st.sampled_from([*TRADE, *PITCH, *NEUTRAL, *PHISHING.split()]), max_size=60))
def test_words_of_both_kinds_stay_within_their_bounds_and_never_hold(chosen: list[str]) -> None:
    body = " ".join(chosen)
    before, after = assessed(body, None), assessed(body)

    assert 0 <= after.score < WORDS_ALONE.hold
    assert -LOWER <= after.score - before.score <= RAISE
    assert after.outcome is not Outcome.HOLD


def test_a_rules_document_with_a_low_threshold_is_not_reached_by_words_either() -> None:
    low = dataclasses.replace(WORDS_ALONE, flag=2.0, hold=4.0, words=0.0)

    assert assessed(text(7000, PITCH), rules=low).outcome is Outcome.FLAG


def test_points_of_patterns_and_outcomes_of_other_stages_stand() -> None:
    spam = message(text(9000, TRADE) + "\r\nhttp://198.51.100.7/login")
    rules = builtin_rules()
    alone, learned = assess_content(spam, rules), assess_content(spam, rules, learned=MODEL)
    assert [reason for reason in learned.reasons if reason.stage == "patterns"] == [
        reason for reason in alone.reasons if reason.stage == "patterns"
    ]
    assert learned.score >= alone.score - alone.words

    for changes, listed in (({"virus": "FAIL"}, ""), ({"spam": "FAIL"}, ""), ({}, "block")):
        receipt = dataclasses.replace(passed_receipt(), **changes)  # type: ignore[arg-type]
        found = filter_message(
            message(text(9001, TRADE)),
            receipt,
            SenderVerification(address=None, reason="test"),
            rules,
            public_addresses=receipt.recipients,
            listed=listed,  # type: ignore[arg-type]
            learned=MODEL,
        )
        assert found.outcome is Outcome.HOLD


@pytest.mark.parametrize("texts", [("a", "z"), ("z", "a")])
def test_of_several_texts_the_one_that_says_most_for_spam_counts(texts: tuple[str, str]) -> None:
    wanted, unwanted = (f"{texts[0]}{text(1, TRADE)}", f"{texts[1]}{text(1, PITCH)}")

    assert MODEL.assess("Hello", [wanted]).points < 0
    for bodies in ([wanted, unwanted], [unwanted, wanted]):
        found = MODEL.assess("Hello", bodies)
        assert found.points > 0
        assert set(found.named) & set(PITCH)


def test_only_words_that_weigh_are_named() -> None:
    found = MODEL.assess("", [f"qwertz {' '.join(PITCH)} qwertz"])

    assert found.points > 0
    assert not any("qwertz" in name for name in found.named)


def test_a_text_without_a_known_word_gets_no_points() -> None:
    assert MODEL.assess("", ["qwertz uiop"]).points == 0
    assert MODEL.assess("", []).points == 0
    assert assessed("qwertz uiop").reasons == ()


def test_a_language_that_the_owner_has_not_judged_gets_no_points_for_a_few_known_words() -> None:
    known, foreign = (
        text(1, PITCH).split()[:3],
        [f"kedves{letter}{other}" for letter in "abcdefghij" for other in "klmnopqr"],
    )

    assert MODEL.assess("Hello", [" ".join(known)]).points > 0
    assert MODEL.assess("Hello", [" ".join([*known, *foreign])]).points == 0


def test_fifty_poisoned_labels_change_little() -> None:
    """An attacker whose fifty messages of link selling were answered, each from a domain of its own."""
    poison = [example(5000 + number, Act.REPLIED, text(6000 + number, PITCH)) for number in range(50)]
    document = learn([*examples(150, 150), *poison])
    assert document is not None
    poisoned = load_learned(document)

    bodies = [text(7000 + number, PITCH) for number in range(40)]
    assert all(assessed(body, poisoned).score >= assessed(body, None).score - LOWER for body in bodies)
    assert all(poisoned.assess("Hello", [body]).points >= 0 for body in bodies), (
        "it earns less, and is not taken for ham"
    )


# What remains of a decision


def test_the_four_acts_are_for_or_against_a_message() -> None:
    assert {act: act.against for act in Act} == {
        Act.RELEASED: False,
        Act.REPLIED: False,
        Act.CONFIRMED: True,
        Act.SPAM: True,
    }
