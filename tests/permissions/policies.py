"""IAM's decision about one action, as far as this project's policies go (docs/adr/0019). Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html: within one account an action
is allowed if a statement of the caller's own policies or of the resource's policy allows it, and no statement denies it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

OPERATORS = ("StringEquals", "StringLike", "ArnLike", "Bool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorisation:
    """One question to IAM: whether *caller* may do *action* to *resource*."""

    caller: str  # a service's principal such as ses.amazonaws.com; a role or person by logical id or name
    policies: frozenset[str] = frozenset()  # logical ids of the roles or managed policies that the caller has
    action: str
    resource: str  # ARN, or "*" for an action that has no resource
    context: tuple[tuple[str, str], ...] = ()  # condition keys and their values
    allowed: bool = True  # the answer that is right


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a policy."""

    policy: str  # logical id of the role, managed policy, bucket policy or Lambda permission that has it
    sid: str
    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()  # operator, key, values
    principals: tuple[str, ...] = ()  # services, or * for everyone; none in a policy of the caller's own

    def __str__(self) -> str:
        return f"{self.policy}.{self.sid}"

    def applies(self, asked: Authorisation) -> bool:
        """Return whether the statement is about *asked*."""
        return bool(self.parts(asked))

    def parts(self, asked: Authorisation) -> list[tuple[str, str]]:
        """Return the pairs of an action and a resource in this statement that match *asked*; none if it does not apply."""
        own = self.policy in asked.policies and not self.principals
        if not own and not {"*", asked.caller} & set(self.principals):
            return []
        context = {key.lower(): value for key, value in asked.context}
        if not all(_holds(operator, context.get(key.lower()), values) for operator, key, values in self.conditions):
            return []
        return [
            (action, resource)
            for action in self.actions
            if _like(action.lower()).fullmatch(asked.action.lower())
            for resource in self.resources
            if _like(resource).fullmatch(asked.resource)
        ]


def read_statements(policy: str, document: Mapping[str, Any], resource: str = "") -> list[Statement]:
    """Return the statements of a resolved policy *document*; *resource* is the one they are about if they name none.

    Raise ValueError for what this evaluator does not know, so that nothing is judged by half of its text.
    """
    return [_statement(policy, number, entry, resource) for number, entry in enumerate(document["Statement"], 1)]


def _statement(policy: str, number: int, entry: Mapping[str, Any], resource: str) -> Statement:
    known = {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}
    operators = entry.get("Condition", {})
    if unknown := [*(entry.keys() - known), *(operators.keys() - set(OPERATORS))]:
        raise ValueError(f"{policy}: the evaluator does not know {unknown[0]}")
    principals = entry.get("Principal", {})
    if isinstance(principals, Mapping) and principals.keys() - {"Service"}:
        raise ValueError(f"{policy}: the evaluator knows services as principals, not {principals}")
    return Statement(
        policy=policy,
        sid=entry.get("Sid", str(number)),
        allows=entry["Effect"] == "Allow",
        actions=_listed(entry["Action"]),
        resources=_listed(entry.get("Resource", resource)),
        conditions=tuple((op, key, _listed(value)) for op, keys in operators.items() for key, value in keys.items()),
        principals=_listed(principals.get("Service", ()) if isinstance(principals, Mapping) else principals),
    )


def decide(asked: Authorisation, statements: Iterable[Statement]) -> bool:
    """Return whether *statements* allow *asked*."""
    applying = [statement for statement in statements if statement.applies(asked)]
    return any(statement.allows for statement in applying) and all(statement.allows for statement in applying)


def _holds(operator: str, actual: str | None, values: tuple[str, ...]) -> bool:
    """Return whether a condition holds: one of its values matches. A key that the request lacks matches nothing."""
    if actual is None:
        return False
    if operator in {"StringLike", "ArnLike"}:
        return any(_like(value).fullmatch(actual) for value in values)
    return actual in values


@cache
def _like(pattern: str) -> re.Pattern[str]:
    """Return IAM's wildcards as a regular expression: ``*`` is any characters, ``?`` any one."""
    return re.compile("".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in pattern), re.DOTALL)


def _listed(value: Any) -> tuple[str, ...]:
    return (str(value),) if isinstance(value, str | bool) else tuple(value)
