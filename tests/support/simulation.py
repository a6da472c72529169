"""Work that waits in simulated time: many workers at once, deterministic and without a second of waiting.

simulation.start(work)  # calls simulation.wait(seconds) wherever it takes time
simulation.run()  # what each work returned, or the exception that it raised
"""

import heapq
from collections.abc import Callable
from itertools import count
from threading import Semaphore, Thread, current_thread
from typing import Any


class Simulation:
    """Workers, of which one runs at a time: the one whose waiting ends first. `now` is in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._results: list[Any] = []
        self._waiting: list[tuple[float, int, Semaphore]] = []  # until when, in which order, what wakes it
        self._order = count()
        self._turn: dict[Thread, Semaphore] = {}
        self._ended = Semaphore(0)

    def start(self, work: Callable[[], Any]) -> None:
        """Let a further worker begin *work* now."""
        turn, place = Semaphore(0), len(self._results)
        self._results.append(None)

        def run() -> None:
            turn.acquire()
            try:
                self._results[place] = work()
            except Exception as error:  # noqa: BLE001 - the test asks for it
                self._results[place] = error
            self._ended.release()

        thread = Thread(target=run, daemon=True)
        self._turn[thread] = turn
        self._wake_at(self.now, turn)
        thread.start()

    def wait(self, seconds: float) -> None:
        """Let the worker that calls this continue after *seconds*, and the others meanwhile."""
        turn = self._turn[current_thread()]
        self._wake_at(self.now + seconds, turn)
        self._ended.release()
        turn.acquire()

    def run(self) -> list[Any]:
        """Run until all work has ended. Return the results in the order of the starts."""
        while self._waiting:
            self.now, _, turn = heapq.heappop(self._waiting)
            turn.release()
            self._ended.acquire()
        return self._results

    def _wake_at(self, when: float, turn: Semaphore) -> None:
        heapq.heappush(self._waiting, (when, next(self._order), turn))
