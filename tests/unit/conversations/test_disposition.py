"""The filter's result."""

from email_handler.conversations.disposition import Disposition, Outcome, Reason


def test_the_rules_of_a_result_are_the_pattern_rules_that_matched() -> None:
    reasons = (
        Reason(stage="list", rule="blocked"),
        Reason(stage="patterns", rule="seo", weight=1.5),
        Reason(stage="patterns", rule="crypto", weight=2.0),
    )

    assert Disposition(outcome=Outcome.HOLD, reasons=reasons).rules == ("seo", "crypto")
