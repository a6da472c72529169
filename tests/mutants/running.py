"""Runs mutants: tests are collected once and run once, then each mutant is a fork in which one function has other code.

A fork costs some milliseconds, where a new interpreter with pytest and the project's imports costs seconds. The first
run records which test runs which line, so a mutant meets only the tests that can notice it, the quickest first.
"""

import ast
import gc
import os
import resource
import signal
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import CodeType, FunctionType
from typing import Any, cast

import pytest
from botocore.httpsession import URLLib3Session

from tests.mutants.changes import Mutant

LONGEST = 5.0  # seconds of tests (as measured in the first run) that one mutant meets
PATIENCE = 20  # seconds more than the tests need: a mutant that takes longer loops
MEMORY = 4 * 1024**3  # bytes: a mutant may also loop by growing
TOOL = 3  # an id that sys.monitoring leaves free


class End(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    UNREACHED = "no test runs the line"


@dataclass
class Runner:
    """A pytest plugin that takes over the loop of tests. ``ends`` is the result, in the order of ``mutants``."""

    mutants: Sequence[Mutant]
    workers: int
    report: Callable[[Mutant, End, float], None]
    ends: dict[int, End] = field(default_factory=dict)
    _failed: bool = False
    _reached: dict[tuple[str, int], set[int]] = field(default_factory=lambda: defaultdict(set))
    _seconds: list[float] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note whether a phase of a test failed."""
        if report.failed:
            self._failed = True

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests once, then every mutant against those that reach it."""
        from hypothesis import settings  # noqa: PLC0415 - not before pytest, which wants to rewrite its assertions

        settings.register_profile("mutants", database=None, derandomize=True, deadline=None, max_examples=25)
        settings.load_profile("mutants")
        if session.testsfailed:
            raise pytest.UsageError("the tests could not be collected")
        self._first_run(session)
        began: dict[int, tuple[int, float]] = {}
        for number, mutant in enumerate(self.mutants):
            items = self._items(mutant, session)
            if not items:
                self._ended(number, End.UNREACHED, 0.0)
                continue
            if len(began) == self.workers:
                self._wait(began)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of fork with threads: ours are idle
                child = os.fork()
            if child == 0:
                self._attempt(mutant, items, session)
            began[child] = (number, time.monotonic())
        while began:
            self._wait(began)
        return True

    def _first_run(self, session: pytest.Session) -> None:
        sys.monitoring.use_tool_id(TOOL, "mutants")
        current = -1

        def line(code: CodeType, number: int) -> Any:
            self._reached[code.co_filename, number].add(current)
            return sys.monitoring.DISABLE  # until the next test

        sys.monitoring.register_callback(TOOL, sys.monitoring.events.LINE, line)
        for module, name in {(m.module, m.function): None for m in self.mutants}:
            for code in _all_codes(_function(module, name).__code__):
                sys.monitoring.set_local_events(TOOL, code, sys.monitoring.events.LINE)
        for current, item in enumerate(session.items):  # noqa: B007 - `line` reads it
            sys.monitoring.restart_events()
            before = time.process_time()
            _run(item, session)
            self._seconds.append(time.process_time() - before)
            if self._failed:
                raise pytest.UsageError(f"fails without any change: {item.nodeid}")
        sys.monitoring.free_tool_id(TOOL)
        for found in gc.get_objects():
            if isinstance(found, URLLib3Session):
                found.close()  # two forks must not share a connection: each opens its own

    def _items(self, mutant: Mutant, session: pytest.Session) -> list[pytest.Item]:
        """Return the tests that run one of the mutant's lines, the quickest first, as many as take ``LONGEST``."""
        file = _function(mutant.module, mutant.function).__code__.co_filename
        reaching = sorted(set().union(*(self._reached[file, line] for line in mutant.lines)), key=self._cost)
        total = 0.0
        items: list[pytest.Item] = []
        for number in reaching:
            total += self._seconds[number]
            if items and total > LONGEST:
                break
            items.append(session.items[number])
        return items

    def _cost(self, number: int) -> tuple[float, int]:
        return self._seconds[number], number

    def _attempt(self, mutant: Mutant, items: Sequence[pytest.Item], session: pytest.Session) -> None:
        """In a fork: make the change, run *items* until one fails, and end the process with 1 if one did."""
        try:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, PATIENCE + 3 * LONGEST)
            signal.alarm(10 * PATIENCE)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            _make(mutant)
            for item in items:
                _run(item, session)
                if self._failed:
                    os._exit(1)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a change that breaks the loop of tests itself is noticed too
            os._exit(1)

    def _wait(self, began: dict[int, tuple[int, float]]) -> None:
        child, status = os.wait()
        while child not in began:  # a process that a test left
            child, status = os.wait()
        number, at = began.pop(child)
        self._ended(number, End.KILLED if status else End.SURVIVED, time.monotonic() - at)

    def _ended(self, number: int, end: End, seconds: float) -> None:
        self.ends[number] = end
        self.report(self.mutants[number], end, seconds)


def run(mutants: Sequence[Mutant], tests: Sequence[str], runner: Runner) -> dict[int, End]:
    """Run *mutants* against the *tests* (arguments of pytest) and return what became of each, by its place."""
    quiet = ["-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:terminal", "-s"]
    code = pytest.main([*quiet, *tests], plugins=[runner])
    if len(runner.ends) != len(mutants):
        raise SystemExit(f"the tests did not run: pytest ended with {code}")
    return runner.ends


def _run(item: pytest.Item, session: pytest.Session) -> None:
    # With the session as the next item pytest keeps only the session's fixtures, so that any item can come next.
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=session)


def _function(module: str, name: str) -> FunctionType:
    __import__(module)
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = vars(found)[part]
        found = getattr(found, "fget", None) or getattr(found, "func", None) or getattr(found, "__wrapped__", found)
    return cast(FunctionType, found)


def _all_codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all_codes(constant)


def _make(mutant: Mutant) -> None:
    """Give the mutant's function its other code: whoever imported the function has it."""
    function = _function(mutant.module, mutant.function)
    old = function.__code__
    function.__code__ = next(
        code
        for code in _all_codes(mutant.apply())
        if (code.co_name, code.co_firstlineno) == (old.co_name, old.co_firstlineno)
    )
    for *_, node in mutant.edits:
        if isinstance(node, ast.arguments) and function.__kwdefaults__:
            for argument, default in zip(node.kwonlyargs, node.kw_defaults, strict=True):
                if argument.arg in function.__kwdefaults__ and isinstance(default, ast.Constant):
                    function.__kwdefaults__[argument.arg] = default.value
