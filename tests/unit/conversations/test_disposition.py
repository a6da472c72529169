"""The filter's result."""

from email_handler.conversations.disposition import Disposition, Outcome, Reason, mistake_in, mistaken
from email_handler.mistakes import Mistake


def test_the_rules_of_a_result_are_the_pattern_rules_that_matched() -> None:
    reasons = (
        Reason(stage="list", rule="blocked"),
        Reason(stage="patterns", rule="seo", weight=1.5),
        Reason(stage="patterns", rule="crypto", weight=2.0),
    )

    assert Disposition(outcome=Outcome.HOLD, reasons=reasons).rules == ("seo", "crypto")


def test_a_mistake_is_found_among_the_reasons_that_it_gave_one_of() -> None:
    others = [Reason(stage="verdicts", rule="spam"), Reason(stage="patterns", rule="seo")]
    reason = mistaken(Mistake("ValueError", "mail.html:text:1"))

    assert reason == Reason(stage="mistake", rule="ValueError", detail="an error of ours at mail.html:text:1")
    assert mistake_in([*others, reason]) == reason
    assert mistake_in(others) is None
