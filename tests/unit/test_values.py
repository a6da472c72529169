"""What the layer's dataclasses have in common with the standard library's."""

import copy
import dataclasses
import pickle
from dataclasses import asdict, field, fields, replace

import pytest

from email_handler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    number: int
    words: tuple[str, ...] = ()
    secret: str = field(default="", repr=False)
    cached: int = field(default=0, compare=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    number: int
    words: tuple[str, ...] = ()
    secret: str = field(default="", repr=False)
    cached: int = field(default=0, compare=False)


@dataclass(slots=True)
class Changed:
    number: int


SAME = {"number": 1, "words": ("a", "b"), "secret": "s", "cached": 1}


@pytest.mark.parametrize("change", [{}, {"number": 2}, {"words": ("a",)}, {"secret": ""}, {"cached": 2}])
def test_values_are_equal_where_those_of_the_standard_library_are(change: dict[str, object]) -> None:
    ours, other = Ours(**SAME), Ours(**SAME | change)  # type: ignore[arg-type]
    expected = Theirs(**SAME) == Theirs(**SAME | change)  # type: ignore[arg-type]

    assert (ours == other) is expected
    assert (hash(ours) == hash(other)) is expected
    assert (len({ours, other}) == 1) is expected


def test_a_value_of_another_class_is_never_equal() -> None:
    others: list[object] = [Theirs(number=1), Changed(1), 1]

    assert Ours(number=1) not in others
    assert Changed(1) not in [1, Ours(number=1)]


def test_a_value_shows_what_the_standard_library_would() -> None:
    ours, theirs = Ours(**SAME), Theirs(**SAME)  # type: ignore[arg-type]

    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert "secret" not in repr(ours)


def test_the_standard_library_takes_it_for_a_dataclass() -> None:
    value = Ours(number=1, words=("a",))

    assert [each.name for each in fields(value)] == ["number", "words", "secret", "cached"]
    assert asdict(value) == {"number": 1, "words": ("a",), "secret": "", "cached": 0}
    assert replace(value, number=2) == Ours(number=2, words=("a",))
    assert copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value


def test_a_value_has_no_attributes_but_its_fields() -> None:
    with pytest.raises(AttributeError):
        Ours(number=1).other = 2  # type: ignore[attr-defined]


def test_what_may_change_has_no_hash() -> None:
    changed = Changed(1)
    changed.number = 2

    assert changed == Changed(2)
    with pytest.raises(TypeError):
        hash(changed)
