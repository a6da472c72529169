"""A back-test of changed rules, which takes a while: on a thread of its own, and asked how far it is."""

import threading
from collections import Counter
from datetime import datetime, timedelta

from email_handler.errors import EmailHandlerError
from email_handler.spam.rules import load_rules
from operations.backtest import Tried, stored_since, try_archive
from operations.connection import Connection

DAYS = 30
SHOWN = 200  # changed messages that the page lists


class Backtest:
    """The messages of the last DAYS under changed rules."""

    def __init__(self, connection: Connection, rules: bytes, now: datetime) -> None:
        """Begin with *rules*, which were checked."""
        self.total = 0  # 0 until it is known
        self.done = 0
        self.counts: Counter[tuple[str, str]] = Counter()
        self.changed: list[Tried] = []
        self.problem = ""
        self._connection = connection
        self._rules = load_rules(rules, "tried")
        self._since = now - timedelta(days=DAYS)
        self._thread = threading.Thread(target=self._run, name="backtest", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Return whether it is not over."""
        return self._thread.is_alive()

    @property
    def held_again(self) -> int:
        """Return how many messages that the operator released would be held again."""
        return self.counts["released", "hold"]

    def _run(self) -> None:
        try:
            stored = stored_since(self._connection, self._since)
            self.total = len(stored)
            for tried in try_archive(self._connection, stored, self._rules):
                self.done += 1
                self.counts[tried.before, tried.after] += 1
                if (tried.changed or tried.newly_held) and len(self.changed) < SHOWN:
                    self.changed.append(tried)
        except EmailHandlerError as error:
            self.problem = str(error)
        except Exception as error:  # noqa: BLE001 - a thread's last words would quote what it read
            self.problem = f"an error of ours, {type(error).__name__}"
