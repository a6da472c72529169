"""Which changes the mutation tool makes."""

from pathlib import Path

import pytest

from tests.mutants.changes import Mutant, mutants

SOURCE = '''
def decide(known, *, quick=True):
    """Return something."""
    if known.open and not known.late:
        first(known)
        second(known)
    return max(known.ages[1:]) if known.state in (1, "b") else None
'''


@pytest.fixture
def found(tmp_path: Path) -> list[Mutant]:
    (tmp_path / "module.py").write_text(SOURCE)
    return list(mutants(tmp_path / "module.py", tmp_path))


def test_conditions_values_and_calls_are_changed(found: list[Mutant]) -> None:
    assert {mutant.change for mutant in found} == {
        "default of quick: False",
        "known.open and (not known.late) -> not (known.open and (not known.late))",
        "known.open and (not known.late) without known.open",
        "known.open and (not known.late) without not known.late",
        "not known.late -> known.late",
        "dropped: first(known)",
        "dropped: second(known)",
        "in reverse order: first(known) / second(known)",
        "max(known.ages[1:]) -> min(known.ages[1:])",
        "[1:] -> [:]",
        "1 -> 2",
        "1 -> 2 (number 2 of the line)",
        "known.state in (1, 'b') -> known.state not in (1, 'b')",
        "known.state in (1, 'b') -> known.state in (1,)",
        "known.state in (1, 'b') -> known.state in ('b',)",
    }


def test_a_change_says_where_it_is_and_which_lines_must_run(found: list[Mutant]) -> None:
    dropped = next(mutant for mutant in found if mutant.change == "dropped: second(known)")

    assert (dropped.function, dropped.line, dropped.text) == ("decide", 6, "second(known)")
    assert dropped.lines == range(6, 7)


def test_the_changed_code_is_the_modules_with_this_change(found: list[Mutant]) -> None:
    exchanged = next(mutant for mutant in found if mutant.change.startswith("in reverse order"))
    names: dict[str, object] = {}
    called: list[str] = []
    exec(exchanged.apply(), names)
    names |= {"first": lambda _: called.append("first"), "second": lambda _: called.append("second")}

    class Known:
        open, late, state, ages = True, False, 1, (1, 3, 2)

    assert names["decide"](Known()) == 3  # type: ignore[operator]
    assert called == ["second", "first"]
