"""Check that a value given by a user is of the declared type and range."""

import json
import math
import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml

from skfm_lib.utils.errors import SkfmError


@dataclass(frozen=True)
class AtLeast:
    """A lower bound, for ``Annotated[int, AtLeast(1)]``."""

    low: float

    def __contains__(self, value: float) -> bool:
        return value >= self.low

    def __str__(self) -> str:
        return f"of at least {self.low:g}"


@dataclass(frozen=True)
class Between:
    """Two bounds, both allowed, for ``Annotated[float, Between(0, 1)]``."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"from {self.low:g} to {self.high:g}"


def parse(text: str) -> object:
    """What words on a command line mean: JSON, in which 1e-4 is a number, or YAML."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def conform(name: str, value: object, hint: Any) -> Any:
    """`value` as the type `hint`, such as ``int`` or ``list[int] | None``.

    A whole float may stand for an int (2e5 steps), an int for a float, and a number for
    a text.  Text for a number or a list is parsed, since papermill hands over ``-p
    seeds "[0, 1]"`` as text; a single value for a list becomes its one item.

    Raises:
        SkfmError: naming `name`, the value and what was expected.

    >>> conform("seeds", "[0, 1]", list[int]), conform("steps", 2e5, int)
    ([0, 1], 200000)
    """
    found = _conform(value, hint)
    if found is _WRONG:
        raise SkfmError(f"{name} = {value!r}", describe(hint))
    return found


def describe(hint: Any) -> str:
    """The type in words: ``a whole number of at least 1``."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return f"{describe(args[0])} {args[1]}"
    if origin is Literal:
        return " or ".join(map(repr, args))
    if origin in (Union, types.UnionType):
        return " or ".join(map(describe, args))
    if origin in (list, tuple):
        return f"a list, each {describe(args[0])}"
    return _WORDS.get(hint, str(hint))


_WRONG = object()
_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    type(None): "None",
}


def _conform(value: Any, hint: Any) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        found = _conform(value, args[0])
        return found if found is not _WRONG and found in args[1] else _WRONG
    if origin is Literal:
        return value if value in args else _WRONG
    if origin in (Union, types.UnionType):
        tried = (_conform(value, arg) for arg in args)
        return next((found for found in tried if found is not _WRONG), _WRONG)
    if hint is str:
        plain = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        return str(value) if plain else _WRONG
    value = parse(value) if isinstance(value, str) else value
    if origin in (list, tuple):
        return _conform_items(value, origin, args)
    if hint in (bool, type(None)):
        return value if isinstance(value, hint) else _WRONG
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or (hint is int and value % 1):
        return _WRONG
    return hint(value)


def _conform_items(value: Any, origin: type, hints: tuple) -> Any:
    items = value if isinstance(value, (list, tuple)) else [value]
    if origin is list or hints[-1] is Ellipsis:
        hints = (hints[0],) * len(items)
    found = [_conform(item, hint) for item, hint in zip(items, hints)]
    wrong = len(items) != len(hints) or any(one is _WRONG for one in found)
    return _WRONG if wrong else origin(found)
