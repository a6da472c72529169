"""The three stages of the filter: what SES found, who the message is for, what it contains; and the operator's lists."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import pcre2

from email_handler.conversations.disposition import Disposition, Outcome, Reason, mistaken
from email_handler.identifiers import EmailAddress
from email_handler.mail.message import Message
from email_handler.mistakes import Mistake
from email_handler.senders.authentication import SenderVerification, SesReceipt
from email_handler.spam.content import Content, is_public
from email_handler.spam.learned import RAISE, LearnedModel
from email_handler.spam.rules import RuleSet
from email_handler.spam.signals import SIGNALS
from email_handler.spam.words import builtin_words

_GRAVITY = (Outcome.DELIVER, Outcome.FLAG, Outcome.HOLD, Outcome.DROP)
_LIMITS_BEFORE_GIVING_UP = 5  # what a message can cost if every rule stalls
_BELOW_HOLD = 0.1  # a point's smallest part

type Listed = Literal["", "allow", "block"]

_SCAN = {"FAIL": "", "GRAY": "-unsure", "DISABLED": "-unscanned", "": "-unscanned"}
"""How the rule's id ends for a verdict of SES's scans. "" is a verdict that was lost (a message that the reconciler took
up). Verdicts are open strings: an unknown one counts as a failed scan."""

_RULES: Mapping[tuple[str, str], tuple[Outcome, str]] = {
    ("verdicts", "virus"): (Outcome.HOLD, "SES found a virus"),
    ("verdicts", "virus-unsure"): (Outcome.FLAG, "SES could not rule out a virus"),
    ("verdicts", "virus-unscanned"): (Outcome.DELIVER, "SES did not scan for viruses"),
    ("verdicts", "virus-scan-failed"): (Outcome.FLAG, "SES's virus scan failed"),
    ("verdicts", "spam"): (Outcome.HOLD, "SES classified the message as spam"),
    ("verdicts", "spam-unsure"): (Outcome.FLAG, "SES could not rule out spam"),
    ("verdicts", "spam-unscanned"): (Outcome.DELIVER, "SES did not scan for spam"),
    # Stage 3 still decides, and a failed scan is not evidence about the sender.
    ("verdicts", "spam-scan-failed"): (Outcome.DELIVER, "SES's spam scan failed"),
    ("verdicts", "dmarc"): (
        Outcome.HOLD,
        "the message failed DMARC, and the sender's domain asks not to deliver such messages",
    ),
    ("recipient", "unknown-recipient"): (Outcome.DROP, "no recipient is one of the public addresses"),
    ("list", "blocked"): (Outcome.HOLD, "the operator blocks this sender"),
    ("list", "allowed"): (Outcome.DELIVER, "the operator allows this sender"),
    ("list", "allowed-but-unverified"): (Outcome.DELIVER, "the operator allows this sender, who is not verified"),
    ("reputation", "doubtful"): (
        Outcome.HOLD,
        "too many forwards came back lately, and this message is flagged or its sender not verified",
    ),
}
"""Outcome and detail of each rule of stages 1 and 2, of the lists and of caution. Stage 3's rules are in the rules document."""


def filter_message(
    message: Message,
    receipt: SesReceipt,
    verification: SenderVerification,
    rules: RuleSet,
    *,
    public_addresses: Sequence[EmailAddress],
    listed: Listed,
    learned: LearnedModel | None = None,
    cautious: bool = False,
) -> Disposition:
    """Return what becomes of *message* by all three stages and the operator's lists; *learned* is the personal model in
    force; *cautious* holds the message if it is doubtful: flagged, or not verified.

    Every stage runs and every reason is kept, so that the record shows what else would have happened; see
    :func:`outcome_of` for which reason wins. An allow-list entry needs a verified sender, a block-list entry does not.
    """
    content = assess_content(
        message, rules, public_addresses=public_addresses, verified=verification.verified, learned=learned
    )
    return _with_envelope(content, receipt, verification, public_addresses, listed, cautious=cautious)


def filter_unread(
    receipt: SesReceipt,
    verification: SenderVerification,
    mistake: Mistake,
    *,
    public_addresses: Sequence[EmailAddress],
    listed: Listed,
) -> Disposition:
    """Return what becomes of a message that a *mistake* of ours kept from being read: flagged at least, and held or
    dropped by all that does not need its content. It is not held as doubtful, since the mistake is not the sender's."""
    content = Disposition(outcome=Outcome.FLAG, reasons=(mistaken(mistake),))
    judged = _with_envelope(content, receipt, verification, public_addresses, listed, cautious=False)
    return replace(judged, outcome=max(judged.outcome, Outcome.FLAG, key=_GRAVITY.index))


def _with_envelope(
    content: Disposition,
    receipt: SesReceipt,
    verification: SenderVerification,
    public_addresses: Sequence[EmailAddress],
    listed: Listed,
    *,
    cautious: bool,
) -> Disposition:
    """Return stage 3's *content* with the reasons of stages 1 and 2 and of the lists."""
    found = [
        *_verdicts(receipt),
        *_recipient(receipt, public_addresses),
        *_list(listed, verified=verification.verified),
    ]
    reasons = tuple(Reason(stage=stage, rule=rule, detail=_RULES[stage, rule][1]) for stage, rule in found)
    outcome = outcome_of(reasons, content.outcome)
    doubtful = outcome is Outcome.FLAG or (outcome is Outcome.DELIVER and not verification.verified)
    if cautious and doubtful:
        reasons = (Reason(stage="reputation", rule="doubtful", detail=_RULES["reputation", "doubtful"][1]), *reasons)
        outcome = outcome_of(reasons, content.outcome)
    return replace(content, outcome=outcome, reasons=(*reasons, *content.reasons))


def outcome_of(reasons: Iterable[Reason], by_content: Outcome) -> Outcome:
    """Return the gravest outcome: of those that *reasons* stand for (stages 1 and 2, the operator's lists) and stage
    3's, *by_content*.

    An allowed and verified sender passes SES's spam verdict and stage 3, never the virus verdict.
    """
    found = [(reason.stage, reason.rule) for reason in reasons]
    allowed = ("list", "allowed") in found
    outcomes = [
        _RULES[stage, rule][0]
        for stage, rule in found
        if (stage, rule) in _RULES and not (allowed and rule.startswith("spam"))
    ]
    return max([*outcomes, Outcome.DELIVER if allowed else by_content], key=_GRAVITY.index)


def assess_content(
    message: Message,
    rules: RuleSet,
    *,
    public_addresses: Sequence[EmailAddress] = (),
    verified: bool = True,
    learned: LearnedModel | None = None,
) -> Disposition:
    """Return what stage 3 alone decides: the weights of what matched and the points of the message's words, in sum,
    against the set's two thresholds. *verified*: whether the sender is, if that is known; *learned*: the personal model.

    A search that reaches a limit of PCRE2, and tags left out of the HTML, flag the message at least, whatever the
    score.
    """
    content = Content(message, rules, public_addresses, verified=verified)
    reasons = [*_words(content, rules)]
    if learned:
        reasons += _learned(content, rules, learned, sum(reason.weight for reason in reasons))
    reasons += [
        Reason(stage="patterns", rule=signal.id, weight=signal.weight, detail=signal.purpose)
        for name, signal in rules.signals.items()
        if SIGNALS[name](content)
    ]
    limits = 0
    if content.too_many_tags:
        limits += 1
        reasons.append(Reason(stage="limit", rule="html-tags", detail="the HTML has more tags than are read"))
    candidates = content.candidates
    for rule in [rule for rule in rules.rules if rule.id in candidates]:
        try:
            if any(map(rule.search, candidates[rule.id])):
                reasons.append(Reason(stage="patterns", rule=rule.id, weight=rule.weight, detail=rule.purpose))
        except pcre2.LibraryError:
            limits += 1
            reasons.append(Reason(stage="limit", rule=rule.id, detail="the search for this rule reached a limit"))
            if limits == _LIMITS_BEFORE_GIVING_UP:
                reasons.append(Reason(stage="limit", rule="given-up", detail="too many searches reached a limit"))
                break
    score = round(sum(reason.weight for reason in reasons), 3)
    outcome = (
        Outcome.HOLD if score >= rules.hold else Outcome.FLAG if score >= rules.flag or limits else Outcome.DELIVER
    )
    return Disposition(outcome=outcome, reasons=tuple(reasons), score=score, rules_version=rules.version)


def _words(content: Content, rules: RuleSet) -> Iterator[Reason]:
    """Yield what the model of words adds: at most ``rules.words``, which is below ``rules.hold``, so that words alone
    never hold a message. No words lower a score."""
    if rules.words:
        found = builtin_words().assess(*content.worded)
        if points := max(0.0, min(found.points, rules.words)):
            yield Reason(
                stage="words", rule="words", weight=points, detail=f"is worded like spam: {_quoted(found.named)}"
            )


def _learned(content: Content, rules: RuleSet, learned: LearnedModel, of_words: float) -> Iterator[Reason]:
    """Yield what the personal model adds to the points *of_words*, or takes from them.

    Both models together stay between 0 and a cap below ``rules.hold``: no words hold a message, and what patterns, SES
    and the lists found stands, whatever the owner has answered.
    """
    found = learned.assess(*content.worded)
    most = max(rules.words, min(RAISE, rules.hold - _BELOW_HOLD))
    points = round(max(0.0, min(of_words + found.points, most)) - of_words, 1)
    if points * found.points > 0:  # a cap that the other model has reached leaves nothing to add
        what = "what you marked as spam or confirmed" if points > 0 else "what you answered or released"
        detail = f"is worded like {what}: {_quoted(found.named)} (learned from your decisions)"
        yield Reason(stage="learned", rule="learned", weight=points, detail=detail)


def _quoted(named: Iterable[str]) -> str:
    return ", ".join(f"\u201c{name}\u201d" for name in named)


type _Found = Iterator[tuple[str, str]]
"""Keys of :data:`_RULES`."""


def _verdicts(receipt: SesReceipt) -> _Found:
    """Stage 1. Without DMARC FAIL, DMARC counts for the sender's verification only (:func:`.verify_sender`)."""
    for scan, verdict in (("virus", receipt.virus), ("spam", receipt.spam)):
        if verdict != "PASS":
            yield "verdicts", scan + _SCAN.get(verdict, "-scan-failed")
    if receipt.dmarc == "FAIL" and receipt.dmarc_policy.lower() in ("reject", "quarantine"):
        yield "verdicts", "dmarc"


def _recipient(receipt: SesReceipt, public_addresses: Sequence[EmailAddress]) -> _Found:
    """Stage 2. A message of which the envelope was lost has no recipients and passes."""
    if receipt.recipients and not any(is_public(address, public_addresses) for address in receipt.recipients):
        yield "recipient", "unknown-recipient"


def _list(listed: Listed, *, verified: bool) -> _Found:
    if listed == "block":
        yield "list", "blocked"
    elif listed == "allow":
        yield "list", "allowed" if verified else "allowed-but-unverified"
