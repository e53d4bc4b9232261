"""Typed settings: a tree of frozen dataclasses, filled from YAML and ``a.b=c`` texts, unknown names refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from f2v_bench.errors import F2VError, suggest

T = TypeVar("T")


def as_mapping(settings: Any) -> dict[str, Any]:
    """A tree of settings as plain dictionaries, lists and values: what a checkpoint carries and YAML can hold."""
    return {name: _plain(value) for name, value in asdict(settings).items()}


def from_mapping(kind: type[T], mapping: Mapping[str, Any]) -> T:
    """Settings from what ``as_mapping`` made; names that are left out keep their defaults.

    Raises:
        F2VError: a name that the settings do not have, or a value of another type.
    """
    return override(kind(), mapping)


def override(settings: T, mapping: Mapping[str, Any], path: str = "") -> T:
    """A copy of the settings in which the mapping's values stand.

    Args:
        settings: a frozen dataclass.
        mapping: names to values, nested as the settings are.
        path: where in the tree this is, for messages.

    Raises:
        F2VError: a name that the settings do not have, or a value of another type.
    """
    known = {field.name for field in fields(settings)}  # type: ignore[arg-type]
    hints = get_type_hints(type(settings))
    values: dict[str, Any] = {}
    for name, value in mapping.items():
        here = f"{path}{name}"
        if name not in known:
            raise F2VError(f"there is no setting '{here}'", suggest(str(name), known))
        now = getattr(settings, name)
        if is_dataclass(now):
            if not isinstance(value, Mapping):
                raise F2VError(f"'{here}' is a group of settings, got {value!r}", f"set one of them: {here}.NAME=VALUE")
            values[name] = override(now, value, f"{here}.")
        else:
            values[name] = _converted(value, hints[name], here)
    return replace(settings, **values)  # type: ignore[type-var]


def with_overrides(settings: T, texts: Iterable[str]) -> T:
    """A copy of the settings after ``a.b=value`` texts; values are read as YAML.

    Raises:
        F2VError: another form, an unknown name, or a value of another type.
    """
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name):
            raise F2VError(f"--set {text!r} is not NAME=VALUE", "for example --set main.steps=2000")
        try:
            nested: Any = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise F2VError(f"--set {text!r}: the value cannot be read: {error}", "quote texts with ' '") from error
        for part in reversed(name.strip().split(".")):
            nested = {part: nested}
        settings = override(settings, nested)
    return settings


def with_yaml(settings: T, path: Path) -> T:
    """A copy of the settings after those of a YAML file.

    Raises:
        F2VError: no such file, no YAML, or values that do not fit.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise F2VError(f"the settings '{path}' cannot be read: {error}", "give a YAML file of settings") from error
    if not isinstance(content, dict):
        raise F2VError(f"'{path}' holds a {type(content).__name__}, not settings", "write NAME: VALUE lines")
    return override(settings, content)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def _converted(value: Any, hint: Any, name: str) -> Any:
    """The value as the hint wants it: a tuple of a list, a float of an int, one of the words of a Literal."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        if value is None and type(None) in arguments:
            return None
        return _converted(value, next(one for one in arguments if one is not type(None)), name)
    if origin is Literal:
        if value not in arguments:
            raise F2VError(f"'{name}' cannot be {value!r}", suggest(str(value), [str(one) for one in arguments]))
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise F2VError(f"'{name}' is a list, got {value!r}", f"for example --set {name}=[1,2,3]")
        return tuple(_converted(one, arguments[0], name) for one in value)
    value = _as_float(value) if hint is float else value
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise F2VError(f"'{name}' is of type {hint.__name__}, got {value!r}", f"give a value of type {hint.__name__}")
    return value


def _as_float(value: Any) -> Any:
    """Whole numbers, and what YAML reads as a text though it is a number, 1e-4; anything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value)
    return value
