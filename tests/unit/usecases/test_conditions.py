"""Conditions that no alarm covers are reported once a day."""

from email_handler.usecases.conditions import report_conditions


class FakeHealth:
    """Returns the conditions it was given."""

    def __init__(self, *conditions: str) -> None:
        self._conditions = conditions

    def conditions(self) -> tuple[str, ...]:
        return self._conditions


class FakeAlerts:
    """Keeps what was published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str]] = []

    def publish(self, subject: str, text: str) -> None:
        self.published.append((subject, text))


def test_without_conditions_nothing_is_published() -> None:
    topic = FakeAlerts()

    assert report_conditions((), health=FakeHealth(), alerts=topic) == ()
    assert topic.published == []


def test_all_conditions_are_published_in_one_alert() -> None:
    topic = FakeAlerts()
    report_conditions(("rules: one was skipped",), health=FakeHealth("SES has paused sending"), alerts=topic)
    ((subject, text),) = topic.published

    assert subject.isascii()
    assert "rules: one was skipped" in text
    assert "SES has paused sending" in text
    assert "docs/runbook.md" in text
