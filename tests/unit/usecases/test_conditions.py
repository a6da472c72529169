"""What no alarm sees is told once a day."""

from email_handler.usecases.conditions import report_conditions


class Asked:
    """Health that answers as told."""

    def __init__(self, *conditions: str) -> None:
        self._conditions = conditions

    def conditions(self) -> tuple[str, ...]:
        return self._conditions


class Topic:
    """Alerts that keeps what was published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str]] = []

    def publish(self, subject: str, text: str) -> None:
        self.published.append((subject, text))


def test_on_a_good_day_nothing_is_published() -> None:
    topic = Topic()

    assert report_conditions((), health=Asked(), alerts=topic) == ()
    assert topic.published == []


def test_all_that_is_wrong_goes_out_in_one_message() -> None:
    topic = Topic()
    report_conditions(("rules: one was skipped",), health=Asked("SES has paused sending"), alerts=topic)
    ((subject, text),) = topic.published

    assert subject.isascii()
    assert "rules: one was skipped" in text
    assert "SES has paused sending" in text
    assert "docs/runbook.md" in text
