"""Compares what is asked with what is allowed: nothing denied, nothing allowed in vain, no statement that nobody misses. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.permissions.policies import Authorisation, Statement, decide

type Use = tuple[Statement, str, str]  # with one of its actions and one of its resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What came of it. Proven if all three lists are empty."""

    asked: int  # different authorisations
    denied: tuple[Authorisation, ...]  # answered wrongly: denied, or allowed where a policy exists to deny it
    unused: tuple[str, ...]  # what a statement allows and nobody needed
    unnoticed: tuple[Statement, ...]  # without it, every answer would be the same

    @property
    def proven(self) -> bool:
        """Whether the policies allow what is needed and nothing else."""
        return not (self.denied or self.unused or self.unnoticed)


def prove(statements: Sequence[Statement], asked: Iterable[Authorisation]) -> Proof:
    """Answer all of *asked* by *statements*, and take each statement away once."""
    questions = dict.fromkeys(asked)
    denied: list[Authorisation] = []
    used: set[Use] = set()
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
        unused=tuple(f"{statement}: {part}" for statement in statements for part in _unused(statement, used)),
        unnoticed=tuple(statement for statement in statements if statement not in noticed),
    )


def _unused(statement: Statement, used: set[Use]) -> Iterator[str]:
    """Yield each resource that no action needed, and each action that no resource of a form needed.

    A queue among others need not see each of their actions; but a query of an index is no query of its table.
    """
    needed = {
        resource: {action for one, action, on in used if (one, on) == (statement, resource)}
        for resource in statement.resources
    }
    yield from (resource for resource, actions in needed.items() if not actions)
    for form in dict.fromkeys(_form(resource) for resource, actions in needed.items() if actions):
        alike = {resource: actions for resource, actions in needed.items() if _form(resource) == form}
        for action in statement.actions:
            if not any(action in actions for actions in alike.values()):
                yield f"{action} on {', '.join(alike)}"


def _form(resource: str) -> tuple[str, str, int]:
    """Return what tells a kind of resource from another by its ARN: the service, the first part, how many parts there are."""
    prefix, _, name = resource.rpartition(":")
    parts = name.split("/")
    return prefix, parts[0] if len(parts) > 1 else "", len(parts)
