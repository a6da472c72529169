"""An owner whose decisions can be learned from: they answer the harbour, and are tired of link sellers."""

import random
from datetime import UTC, datetime, timedelta

from email_handler.spam.learned import Act, Example, LearnedModel, learn, load_learned, sample

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NEUTRAL = [
    "please",
    "find",
    "the",
    "figures",
    "for",
    "this",
    "week",
    "below",
    "with",
    "thanks",
    "and",
    "regards",
    "from",
    "all",
    "here",
]
TRADE = ["harbour", "crane", "tonnage", "manifest", "stevedore", "quay", "berth", "draught"]
PITCH = ["backlinks", "ranking", "guest", "posting", "niche", "authority", "outreach", "traffic"]


def text(number: int, words: list[str]) -> str:
    chosen = random.Random(number)
    return " ".join(chosen.sample(words, 5) + chosen.sample(NEUTRAL, 9))


def example(number: int, act: Act, body: str, sender: str = "", domain: str = "") -> Example:
    return Example(
        act=act,
        at=BEGAN + timedelta(hours=number),
        sender=sender or f"sender-{number}",
        domain=domain or f"domain-{number}",
        features=sample("Hello", body),
    )


def examples(spam: int, ham: int) -> list[Example]:
    """Return an owner's examples who answers the harbour and is tired of link sellers."""
    marked = [example(number, Act.SPAM, text(number, PITCH)) for number in range(spam)]
    return [*marked, *(example(1000 + number, Act.REPLIED, text(1000 + number, TRADE)) for number in range(ham))]


def model(spam: int = 150, ham: int = 150) -> LearnedModel:
    document = learn(examples(spam, ham))
    assert document is not None
    return load_learned(document)
