"""Records as DynamoDB items and back, by their type hints, so that no record needs a mapping of its own.

Datetimes become ISO 8601 in UTC with microseconds (so that text order is time order), enums their value, tuples lists,
floats decimals, nested dataclasses maps. None is left out, and so is what is empty if that is the field's default: a write
costs by the kilobyte. Reading ignores unknown attributes and gives missing ones
the field's default, so that older and newer code can read each other's items.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NewType, TypeAliasType, Union, get_args, get_origin, get_type_hints

type Attributes = dict[str, Any]
"""An item as plain Python values: str, int, Decimal, bool, list, dict."""

type Item = dict[str, Any]
"""An item as DynamoDB's API writes it: ``{"pk": {"S": "..."}}``."""

_KEY_BYTES = 512  # of a part of a key; DynamoDB takes 2,048 for a partition key and 1,024 for a sort key
_SHOWN = 64  # characters of an overlong part that stay readable


def encode(attributes: Mapping[str, Any]) -> Item:
    """Return *attributes* in the API's form. Raises TypeError for what is no plain value."""
    return {name: _typed(value) for name, value in attributes.items()}


def decode(item: Item) -> Attributes:
    """Return *item* as plain values; numbers are decimals. Sets and binaries, which no record has, stay as they are."""
    return {name: _plain(value) for name, value in item.items()}


def _typed(value: Any) -> dict[str, Any]:
    """Return *value* with its type, as DynamoDB's API names it. boto3 has the same, at 40 ms for its import."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | Decimal():
            return {"N": str(value)}
        case list():
            return {"L": [_typed(each) for each in value]}
        case dict():
            return {"M": encode(value)}
    raise TypeError(f"{type(value).__name__} is no plain value")


def _plain(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return Decimal(content)
        case "L":
            return [_plain(each) for each in content]
        case "M":
            return decode(content)
        case _:
            return content


def key_part(text: str) -> str:
    """Return *text*, which may come from a hostile header, as part of a key: bounded, valid Unicode.

    Overlong text, or text with lone surrogates, keeps its beginning and gets a hash: other texts give other keys.
    """
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) <= _KEY_BYTES and encoded.decode("utf-8", "replace") == text:
        return text
    return f"{write(text[:_SHOWN])}~{hashlib.sha256(encoded).hexdigest()}"


def timestamp(moment: datetime) -> str:
    """Return *moment* (aware) as text that sorts by time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def write(value: Any) -> Any:  # noqa: PLR0911  # one return a type
    """Return *value*, a record or part of one, as a plain value."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()  # lone surrogates of 8-bit headers are not Unicode
        case float():
            return Decimal(str(value))
        case datetime():
            return timestamp(value)
        case list() | tuple():
            return [write(each) for each in value]
        case dict():
            return {write(key): write(each) for key, each in value.items()}
        case _ if is_dataclass(value):
            empty = _empty(value.__class__)
            given = ((field.name, getattr(value, field.name)) for field in fields(value))
            return {name: write(each) for name, each in given if each is not None and empty.get(name) != each}
        case _:
            return value


def read[T](record: Callable[..., T], attributes: Mapping[str, Any]) -> T:
    """Return the *record* (a dataclass) that *attributes* hold; a field of theirs may have the name that it had before."""
    if formerly := _formerly(record):
        attributes = {**{name: attributes[before] for name, before in formerly if before in attributes}, **attributes}
    return record(**{name: reader(attributes[name]) for name, reader in _readers(record).items() if name in attributes})


def read_optional[T](record: Callable[..., T], attributes: Mapping[str, Any] | None) -> T | None:
    """Return the *record* that *attributes* hold, None for None."""
    return None if attributes is None else read(record, attributes)


@cache
def _empty(record: Any) -> dict[str, Any]:
    """Return the fields of *record* that have an empty default, with that; a number is never empty."""
    defaults = {field.name: _default(field) for field in fields(record)}
    return {name: default for name, default in defaults.items() if default is False or default in ("", (), {})}


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


@cache
def _readers(record: Any) -> dict[str, Callable[[Any], Any]]:
    return {name: _reader(hint) for name, hint in get_type_hints(record).items()}


@cache
def _formerly(record: Any) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, field.metadata["formerly"]) for field in fields(record) if "formerly" in field.metadata)


def _reader(hint: Any) -> Callable[[Any], Any]:  # noqa: PLR0911  # one return a kind of hint
    """Return a function that turns a plain value into one of type *hint*. All our literals are text."""
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, NewType):
        return _reader(hint.__supertype__)
    if isinstance(hint, TypeAliasType):
        return _reader(hint.__value__)
    if origin in (Union, UnionType):
        return _reader(next(arm for arm in arguments if arm is not NoneType and get_origin(arm) is not Literal))
    if origin is tuple and arguments[-1] is not Ellipsis:
        readers = [_reader(argument) for argument in arguments]
        return lambda value: tuple(reader(each) for reader, each in zip(readers, value, strict=True))
    if origin is tuple:
        reader = _reader(arguments[0])
        return lambda value: tuple(map(reader, value))
    if origin is dict:
        reader = _reader(arguments[1])
        return lambda value: {key: reader(each) for key, each in value.items()}
    if hint is datetime:
        return datetime.fromisoformat
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda value: read(hint, value)
    if hint is Any:
        return _untyped
    kind: Callable[[Any], Any] = str if origin is Literal else hint  # an enum, str, int, float or bool
    return kind


def _untyped(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case list():
            return list(map(_untyped, value))
        case dict():
            return {key: _untyped(each) for key, each in value.items()}
        case _:
            return value
