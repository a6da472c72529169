"""Calls side by side, made one after the other: what a test sees does not depend on threads."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class InTurn(Executor):
    """Makes each call where it is begun; if *late*, where its result is asked for, as if it had been slow."""

    def __init__(self, *, late: bool = False) -> None:
        self._late = late

    def submit(self, call: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Make *call*, or promise to. What is no ``Exception`` ends the caller, as the end of a process does."""
        future = _Call(call, args, named)
        if not self._late:
            future.make()
        return future


class _Call(Future[Any]):
    def __init__(self, call: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> None:
        super().__init__()
        self._call, self._args, self._named = call, args, named

    def make(self) -> None:
        """Make the call, once."""
        if self.running() or self.done():
            return
        self.set_running_or_notify_cancel()
        try:
            self.set_result(self._call(*self._args, **self._named))
        except BaseException as error:  # as a pool of threads has it
            self.set_exception(error)
            if not isinstance(error, Exception):
                raise

    def result(self, timeout: float | None = None) -> Any:
        self.make()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self.make()
        return super().exception(timeout)
