"""What SES's responses about account and receipt rules mean for this deployment. Pure, and without botocore: the daily
pass reports it, and the operator's command asks it before anything is created."""

from collections.abc import Iterator, Mapping
from typing import Any

from email_handler.values import dataclass

NEARLY_ALL = 0.8  # of the daily quota


@dataclass(frozen=True, slots=True)
class Condition:
    """Something about SES that the operator should know."""

    found: str  # without a colon followed by a blank
    todo: str
    serious: bool = True  # False: it works within limits

    def __str__(self) -> str:
        return f"{self.found}: {self.todo}"


def account_conditions(account: Mapping[str, Any]) -> Iterator[Condition]:
    """Yield what is wrong with the account; *account* is the response to SES v2 ``GetAccount``."""
    if account.get("SendingEnabled") is False:
        yield Condition("SES has paused sending for this account, so nothing leaves", "See the SES console.")
    if (health := account.get("EnforcementStatus", "HEALTHY")) != "HEALTHY":
        todo = "Forwarded spam would make it worse: settle it with AWS first (SES console, Reputation metrics)."
        yield Condition(f"SES says {health}, because of too many bounces or complaints", todo)
    if account.get("ProductionAccessEnabled") is False:
        todo = "Ask for production access (docs/deploy.md); until then verify your own mailbox in SES to try it."
        yield Condition("SES is in the sandbox, where only verified addresses get email", todo, serious=False)
    most, sent = sending_quota(account)
    if 0 < most * NEARLY_ALL <= sent:
        todo = "Ask for a higher quota: SES console, Account dashboard."
        yield Condition(f"{sent:.0f} of {most:.0f} emails a day are used up", todo, serious=False)


def sending_quota(account: Mapping[str, Any]) -> tuple[float, float]:
    """Return how many emails may be sent in 24 hours (-1: no limit, or unknown) and how many were."""
    quota = account.get("SendQuota") or {}
    return float(quota.get("Max24HourSend", -1)), float(quota.get("SentLast24Hours", 0))


def receiving_condition(ours: str, active: Mapping[str, Any]) -> Condition | None:
    """Return what is wrong if *ours* is not the active receipt rule set, None if it is; *active* is the response to
    ``DescribeActiveReceiptRuleSet``. SES applies one rule set and refuses all email without one."""
    name = (active.get("Metadata") or {}).get("Name", "")
    if name == ours:
        return None
    found = f"The rule set {name} is active, not {ours}" if name else "No rule set is active, so SES refuses all email"
    return Condition(found, "email-handler activate")
