"""Rules, routes, signatures and personal model in force: the documents, or the built-in ones if those cannot be used."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from email_handler.conversations.owners import Owners
from email_handler.conversations.routes import Routes, load_routes
from email_handler.conversations.signatures import Signatures, load_signatures
from email_handler.errors import BadRules, BadWords, ConfigUnavailable
from email_handler.mistakes import Mistake, attempt
from email_handler.ports import ConfigDocument, ConfigSource
from email_handler.spam.learned import LearnedModel, load_learned
from email_handler.spam.rules import RuleSet, builtin_rules, load_rules
from email_handler.usecases.side_by_side import SideBySide
from email_handler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What is in force for one invocation."""

    rules: RuleSet
    routes: Routes
    signatures: Signatures
    owners: Owners  # the routes' mailboxes included
    learned: LearnedModel | None  # the personal model, if there is one and it is not switched off
    problems: tuple[str, ...]  # what is wrong with the documents: constants, for log, metric and the daily report


class ConfigurationReader:
    """Reads the documents and keeps them compiled until they change."""

    def __init__(
        self,
        source: ConfigSource,
        rules_parameter: str,
        routes_parameter: str,
        signature_parameter: str,
        learned_parameter: str,
        owners: Owners,
    ) -> None:
        """Take the port, the names of the four SSM parameters, and the owners as deployed."""
        self._source = source
        self._parameters = {
            "rules": rules_parameter,
            "routes": routes_parameter,
            "signature": signature_parameter,
            "learned": learned_parameter,
        }
        self._owners = owners
        self._good: dict[str, tuple[str, Any]] = {}  # by name: the version and content of the last good document

    def begin(self) -> Callable[[], Configuration]:
        """Start reading the documents, and return a function that waits for the configuration in force.

        That function never fails: no message waits for a rules file.
        """
        beside = SideBySide()
        reading_rules = beside.begin(
            self._read, "rules", lambda found: load_rules(found.body, found.version), builtin_rules
        )
        reading_signatures = beside.begin(
            self._read, "signature", lambda found: load_signatures(found.body), Signatures
        )
        reading_learned = beside.begin(self._read, "learned", lambda found: load_learned(found.body), _nothing)
        reading_routes = beside.begin(self._read, "routes", lambda found: load_routes(found.body), Routes)

        def configuration() -> Configuration:
            (rules, rules_problem), (routes, routes_problem) = reading_rules.result(), reading_routes.result()
            signatures, signatures_problem = reading_signatures.result()
            learned, learned_problem = reading_learned.result()
            found = filter(None, (rules_problem, routes_problem, signatures_problem, learned_problem))
            return Configuration(
                rules=rules,
                routes=routes,
                signatures=signatures,
                owners=replace(self._owners, routed=routes.mailboxes),
                learned=learned,
                problems=(*rules.problems, *routes.problems, *signatures.problems, *found),
            )

        return configuration

    def _read[T](self, name: str, load: Callable[[ConfigDocument], T], builtin: Callable[[], T]) -> tuple[T, str]:
        """Return the content of the document *name* that is in force, and what is wrong with the document, or ""."""
        problem, unusable = "", f"{name}: the document is unusable, the last good one is in force"
        try:
            document = self._source.read(self._parameters[name])
            if document is None:
                return builtin(), ""
            if name not in self._good or self._good[name][0] != document.version:
                loaded = attempt(load, document)
                if isinstance(loaded, Mistake):
                    problem = f"{unusable} ({loaded})"
                else:
                    self._good[name] = (document.version, loaded)
        except (BadRules, BadWords):
            problem = unusable
        except ConfigUnavailable:
            problem = f"{name}: the document could not be read, the last good one is in force"
        return self._good[name][1] if name in self._good else builtin(), problem


def _nothing() -> LearnedModel | None:
    """Return the personal model of who has none."""
    return None
