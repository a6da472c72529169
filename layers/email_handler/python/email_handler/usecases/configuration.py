"""Rules and routes in force: the operator's documents, or what is built in when those cannot be used."""

from dataclasses import dataclass

from email_handler.domain.routes import Routes, load_routes
from email_handler.domain.spam.rules import RuleSet, builtin_rules, load_rules
from email_handler.errors import BadRules, ConfigUnavailable
from email_handler.ports import ConfigSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What is in force, and what is wrong with the documents (constants; for log, metric and the daily report)."""

    rules: RuleSet
    routes: Routes
    problems: tuple[str, ...]


class ConfigurationReader:
    """Reads both documents and keeps what was made of them until they change: patterns are compiled once."""

    def __init__(self, source: ConfigSource, rules_parameter: str, routes_parameter: str) -> None:
        """Take the port and the names of the two SSM parameters."""
        self._source = source
        self._rules_parameter = rules_parameter
        self._routes_parameter = routes_parameter
        self._rules: tuple[str, RuleSet] | None = None
        self._routes: tuple[str, Routes] | None = None

    def read(self) -> Configuration:
        """Return the configuration in force. Never fails: mail does not wait for a rule file."""
        problems: list[str] = []
        rules = self._read_rules(problems)
        routes = self._read_routes(problems)
        return Configuration(rules=rules, routes=routes, problems=(*rules.problems, *routes.problems, *problems))

    def _read_rules(self, problems: list[str]) -> RuleSet:
        try:
            document = self._source.read(self._rules_parameter)
            if document is None:
                return builtin_rules()
            if self._rules is None or self._rules[0] != document.version:
                self._rules = (document.version, load_rules(document.body, document.version))
        except BadRules:
            problems.append("rules: the document is unusable, the last good set is in force")
        except ConfigUnavailable:
            problems.append("rules: the document could not be read, the last good set is in force")
        return self._rules[1] if self._rules else builtin_rules()

    def _read_routes(self, problems: list[str]) -> Routes:
        try:
            document = self._source.read(self._routes_parameter)
            if document is None:
                return Routes()
            if self._routes is None or self._routes[0] != document.version:
                self._routes = (document.version, load_routes(document.body))
        except ConfigUnavailable:
            problems.append("routes: the document could not be read, the last good one is in force")
        return self._routes[1] if self._routes else Routes()
