"""Why a message was flagged or held, in words for the owner: no ids, no scores."""

from collections.abc import Iterable

from email_handler.conversations.disposition import Reason

_WORDS = {
    ("verdicts", "virus"): "the virus scan found a virus",
    ("verdicts", "virus-unsure"): "the virus scan could not rule out a virus",
    ("verdicts", "virus-scan-failed"): "the virus scan failed",
    ("verdicts", "spam"): "the mail service's own filter takes it for spam",
    ("verdicts", "spam-unsure"): "the mail service's own filter could not rule out spam",
    ("verdicts", "dmarc"): "it did not come from the domain that it names, which asks to refuse such messages",
    ("recipient", "unknown-recipient"): "it is for none of your public addresses",
    ("list", "blocked"): "you block this sender",
    ("reputation", "doubtful"): "it is doubtful, and too many forwards to you came back lately",
}
_LIMIT = "it is built so that the filter could not read all of it"
_SILENT = frozenset(
    (
        ("verdicts", "virus-unscanned"), ("verdicts", "spam-unscanned"), ("verdicts", "spam-scan-failed"),
        ("list", "allowed"), ("list", "allowed-but-unverified"),
    )
)  # fmt: skip
"""Reasons that speak for a message, or say nothing about it."""


_WEIGHED = ("patterns", "words", "learned")
"""Stages whose reasons have weights."""


def words(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Return *reasons* in words, the weightiest first, each once: ``sells or wants links``, ``hides text in its HTML``.

    What speaks for a message, or says nothing about it, is left out. A rule of the operator's own is told by what it is
    for, as its document says.
    """
    against = [r for r in reasons if (r.stage, r.rule) not in _SILENT and (r.stage not in _WEIGHED or r.weight > 0)]
    against.sort(key=lambda reason: -reason.weight if reason.stage in _WEIGHED else float("-inf"))
    return tuple(dict.fromkeys(map(_said, against)))


def may_hold_a_virus(reasons: Iterable[Reason]) -> bool:
    """Return whether one of *reasons* is the virus scan's."""
    return any(r.stage == "verdicts" and r.rule in ("virus", "virus-unsure", "virus-scan-failed") for r in reasons)


def _said(reason: Reason) -> str:
    if reason.stage == "limit":
        return _LIMIT
    return _WORDS.get((reason.stage, reason.rule)) or reason.detail or reason.rule.replace("-", " ")
