"""Compares what is asked with what is allowed: nothing denied, nothing allowed in vain, no statement that nobody misses. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.permissions.policies import Authorisation, Statement, decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What came of it. Proven if all three lists are empty."""

    asked: int  # different authorisations
    denied: tuple[Authorisation, ...]  # answered wrongly: denied, or allowed where a policy exists to deny it
    unused: tuple[str, ...]  # an action on a resource that a statement allows and nobody needed
    unnoticed: tuple[Statement, ...]  # without it, every answer would be the same

    @property
    def proven(self) -> bool:
        """Whether the policies allow what is needed and nothing else."""
        return not (self.denied or self.unused or self.unnoticed)


def prove(statements: Sequence[Statement], asked: Iterable[Authorisation]) -> Proof:
    """Answer all of *asked* by *statements*, and take each statement away once."""
    questions = dict.fromkeys(asked)
    denied: list[Authorisation] = []
    used: Counter[tuple[Statement, str, str]] = Counter()
    noticed: set[Statement] = set()
    for question in questions:
        applying = {statement: parts for statement in statements if (parts := statement.parts(question))}
        if decide(question, applying) is not question.allowed:
            denied.append(question)
            continue
        noticed |= {
            one
            for one in applying
            if decide(question, [other for other in applying if other is not one]) is not question.allowed
        }
        used.update((one, *part) for one, parts in applying.items() if one.allows is question.allowed for part in parts)
    return Proof(
        asked=len(questions),
        denied=tuple(denied),
        unused=tuple(
            f"{statement}: {action} on {resource}"
            for statement in statements
            for action in statement.actions
            for resource in statement.resources
            if not used[statement, action, resource]
        ),
        unnoticed=tuple(statement for statement in statements if statement not in noticed),
    )
