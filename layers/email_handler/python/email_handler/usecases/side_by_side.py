"""Calls side by side: what needs no other call's result does not wait for it."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache
from typing import Any, Self

MOST = 16  # calls at once; botocore keeps ten connections to a service


class SideBySide:
    """Makes calls while the caller goes on. Leaving the block waits for those that are being made, so that none outlives
    the invocation, and drops those that are not begun yet.

    A call's error is raised where its result is asked for, and nowhere else: so the order in which a caller asks says
    which of several errors counts, whichever call ends first.
    """

    def __init__(self) -> None:
        """Nothing is begun yet."""
        self._begun: list[Future[Any]] = []

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for what is being made."""
        for future in self._begun:
            if not future.cancel():
                future.exception()

    def begin[*A, T](self, call: Callable[[*A], T], *args: *A) -> Future[T]:
        """Begin *call* with *args*, in a thread of its own, where no step is stopped (``mistakes.attempt``)."""
        future = pool().submit(call, *args)
        self._begun.append(future)
        return future


@cache
def pool() -> Executor:
    """Return the threads, which are kept for the life of the environment."""
    return ThreadPoolExecutor(MOST, thread_name_prefix="side-by-side")
