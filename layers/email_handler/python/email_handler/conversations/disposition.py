"""The outcome of a received message, with every reason: one value for log, record, banner and operator."""

from collections.abc import Iterable
from enum import StrEnum

from email_handler.mistakes import Mistake
from email_handler.values import dataclass


class Outcome(StrEnum):
    """How a received message ended."""

    DELIVER = "deliver"  # forwarded
    FLAG = "flag"  # forwarded with a warning, never acknowledged
    HOLD = "hold"  # kept and shown to the operator, sent to nobody
    DROP = "drop"  # not for us: recorded with the reason
    RECORD = "record"  # a bounce, a complaint, a duplicate, an owner's out-of-office: recorded, sent to nobody
    RELAY = "relay"  # the owner's reply: sent to the contact from the public address


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason for an outcome, for the operator to read, free of addresses. Only the details of ``words`` and ``learned``
    have some of the content, single words: they are shown and stored, never logged."""

    stage: str  # "verdicts", "recipient", "patterns", "words", "learned", "list", "owner", "feedback", "duplicate", ...
    rule: str  # constant id within the stage: "virus", "unknown-recipient", a spam rule's id, ...
    weight: float = 0.0  # what it added to the score, or took from it; 0 for reasons without a weight
    detail: str = ""  # one short sentence for people: what the rule is for

    def __str__(self) -> str:
        """Return ``stage:rule``, the form that logs and records search by."""
        return f"{self.stage}:{self.rule}"


_MISTAKE = "mistake"


def mistaken(mistake: Mistake) -> Reason:
    """Return the reason of an outcome that a *mistake* of ours forced."""
    return Reason(stage=_MISTAKE, rule=mistake.kind, detail=f"an error of ours at {mistake.place}")


def mistake_in(reasons: Iterable[Reason]) -> Reason | None:
    """Return the reason among *reasons* that a mistake of ours gave, None if there is none."""
    return next((reason for reason in reasons if reason.stage == _MISTAKE), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition:
    """The filter's result. ``score`` is the sum of the weights of the pattern rules and of both models of
    words."""

    outcome: Outcome
    reasons: tuple[Reason, ...] = ()
    score: float = 0.0
    rules_version: str = ""  # which rule set decided

    @property
    def rules(self) -> tuple[str, ...]:
        """Return the ids of the pattern rules that matched, in order."""
        return tuple(reason.rule for reason in self.reasons if reason.stage == "patterns")

    @property
    def words(self) -> float:
        """Return the points that the model of words added."""
        return sum(reason.weight for reason in self.reasons if reason.stage == "words")

    @property
    def learned(self) -> float:
        """Return the points that the personal model added to those of the model of words, or took from them."""
        return sum(reason.weight for reason in self.reasons if reason.stage == "learned")
