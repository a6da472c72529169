"""The layer's ``dataclass``: that of the standard library, defined in a quarter of the time.

The standard library writes and compiles six methods for each class. A cold start defines 70 classes, which took a seventh
of it (docs/adr/0030-cold-starts.md). Here it compiles ``__init__`` alone, and all classes share the other methods. Type
checkers see the standard library's; so they, and nothing at run time, keep a frozen one from being changed.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        *, frozen: bool = False, slots: bool = False, kw_only: bool = False, eq: bool = True
    ) -> Callable[[type], type]:
        """Return what makes a class a dataclass, as the standard library's ``dataclass`` with these arguments."""

        def define(cls: type) -> type:
            cls.__repr__ = _shown
            if eq:
                cls.__eq__ = _equal
                cls.__hash__ = _hashed if frozen else None
            return dataclasses.dataclass(cls, slots=slots, kw_only=kw_only, eq=False, repr=False)

        return define


def _compared(value: Any) -> list[Any]:
    return [getattr(value, name) for name, field in value.__dataclass_fields__.items() if field.compare]


def _equal(value: Any, other: object) -> bool:
    return _compared(value) == _compared(other) if other.__class__ is value.__class__ else NotImplemented


def _hashed(value: Any) -> int:
    return hash(tuple(_compared(value)))


def _shown(value: Any) -> str:
    shown = (f"{field.name}={getattr(value, field.name)!r}" for field in dataclasses.fields(value) if field.repr)
    return f"{value.__class__.__qualname__}({', '.join(shown)})"
