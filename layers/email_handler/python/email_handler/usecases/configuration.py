"""Rules and routes in force: the operator's documents, or the built-in ones if those cannot be used."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from email_handler.conversations.owners import Owners
from email_handler.conversations.routes import Routes, load_routes
from email_handler.errors import BadRules, ConfigUnavailable
from email_handler.ports import ConfigSource
from email_handler.spam.rules import RuleSet, builtin_rules, load_rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What is in force for one invocation."""

    rules: RuleSet
    routes: Routes
    owners: Owners  # the routes' mailboxes included
    problems: tuple[str, ...]  # what is wrong with the documents: constants, for log, metric and the daily report


class ConfigurationReader:
    """Reads both documents and keeps them compiled until they change."""

    def __init__(self, source: ConfigSource, rules_parameter: str, routes_parameter: str, owners: Owners) -> None:
        """Take the port, the names of the two SSM parameters, and the owners as deployed."""
        self._source = source
        self._rules_parameter = rules_parameter
        self._routes_parameter = routes_parameter
        self._owners = owners
        self._rules: tuple[str, RuleSet] | None = None
        self._routes: tuple[str, Routes] | None = None
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="configuration")

    def begin(self) -> Callable[[], Configuration]:
        """Start reading both documents, and return a function that waits for the configuration in force.

        That function never fails: no message waits for a rules file.
        """
        reading_rules, reading_routes = self._pool.submit(self._read_rules), self._pool.submit(self._read_routes)

        def configuration() -> Configuration:
            (rules, rules_problem), (routes, routes_problem) = reading_rules.result(), reading_routes.result()
            found = filter(None, (rules_problem, routes_problem))
            return Configuration(
                rules=rules,
                routes=routes,
                owners=replace(self._owners, routed=routes.mailboxes),
                problems=(*rules.problems, *routes.problems, *found),
            )

        return configuration

    def _read_rules(self) -> tuple[RuleSet, str]:
        problem = ""
        try:
            document = self._source.read(self._rules_parameter)
            if document is None:
                return builtin_rules(), ""
            if self._rules is None or self._rules[0] != document.version:
                self._rules = (document.version, load_rules(document.body, document.version))
        except BadRules:
            problem = "rules: the document is unusable, the last good set is in force"
        except ConfigUnavailable:
            problem = "rules: the document could not be read, the last good set is in force"
        return self._rules[1] if self._rules else builtin_rules(), problem

    def _read_routes(self) -> tuple[Routes, str]:
        problem = ""
        try:
            document = self._source.read(self._routes_parameter)
            if document is None:
                return Routes(), ""
            if self._routes is None or self._routes[0] != document.version:
                self._routes = (document.version, load_routes(document.body))
        except ConfigUnavailable:
            problem = "routes: the document could not be read, the last good one is in force"
        return self._routes[1] if self._routes else Routes(), problem
