"""Typed settings: a tree of frozen dataclasses, filled from YAML and ``a.b=c`` texts; unknown names are refused.

A settings class may list names and values of earlier versions, beside those of its base classes; they are still read:

    RENAMED: ClassVar[Mapping[str, str]] = {"old_key": "new_key"}
    RENAMED_VALUES: ClassVar[Mapping[str, Mapping[object, object]]] = {"new_key": {"old value": "new value"}}
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from f2v_bench.errors import F2VError, suggest

T = TypeVar("T")


def as_mapping(settings: Any) -> dict[str, Any]:
    """Convert settings to plain dictionaries, lists and values, as checkpoints and YAML hold them."""
    return {name: _plain(value) for name, value in asdict(settings).items()}


def from_mapping(kind: type[T], mapping: Mapping[str, Any]) -> T:
    """Build settings from the output of ``as_mapping``; names that are left out keep their defaults.

    Raises:
        F2VError: a name that the settings do not have, or a value of another type.
    """
    return override(kind(), mapping)


def override(settings: T, mapping: Mapping[str, Any], path: str = "") -> T:
    """Return a copy of the settings with the values of a mapping.

    Names and values of earlier versions (``RENAMED``, ``RENAMED_VALUES`` of the settings' class) are accepted.

    Args:
        settings: frozen dataclass.
        mapping: values by name, nested as the settings are.
        path: prefix of the names in messages, ``"a.b."``.

    Raises:
        F2VError: a name that the settings do not have, a name given twice, or a value of another type.
    """
    known = {field.name for field in fields(settings)}  # type: ignore[arg-type]
    hints = get_type_hints(type(settings))
    values: dict[str, Any] = {}
    for given, value in mapping.items():
        name = _current_name(settings, given)
        key = f"{path}{given}"
        if name not in known:
            raise F2VError(f"there is no setting '{key}'", suggest(str(given), known))
        if name in values:
            raise F2VError(f"'{key}' is the earlier name of '{path}{name}', and both are set", f"keep '{path}{name}'")
        current = getattr(settings, name)
        if is_dataclass(current):
            if not isinstance(value, Mapping):
                raise F2VError(f"'{key}' is a group of settings, got {value!r}", f"set one of them: {key}.NAME=VALUE")
            values[name] = override(current, value, f"{key}.")
        else:
            values[name] = _convert(_current_value(settings, name, value), hints[name], key)
    return replace(settings, **values)  # type: ignore[type-var]


def with_overrides(settings: T, texts: Iterable[str]) -> T:
    """Return a copy of the settings after ``a.b=value`` texts; values are read as YAML.

    Raises:
        F2VError: another form, an unknown name, or a value of another type.
    """
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name):
            raise F2VError(f"--set {text!r} is not NAME=VALUE", "for example --set main_stage.steps=2000")
        try:
            nested: Any = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise F2VError(f"--set {text!r}: the value cannot be read: {error}", "quote texts with ' '") from error
        for part in reversed(name.strip().split(".")):
            nested = {part: nested}
        settings = override(settings, nested)
    return settings


def with_yaml(settings: T, path: Path) -> T:
    """Return a copy of the settings after those of a YAML file.

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


def _current_name(settings: Any, name: str) -> str:
    for kind in type(settings).__mro__:
        if name in (renamed := vars(kind).get("RENAMED", {})):
            return str(renamed[name])
    return name


def _current_value(settings: Any, name: str, value: Any) -> Any:
    if isinstance(value, Hashable):
        for kind in type(settings).__mro__:
            value = vars(kind).get("RENAMED_VALUES", {}).get(name, {}).get(value, value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, tuple | list) else value


def _convert(value: Any, hint: Any, name: str) -> Any:
    """Convert a value to its type hint: a list to a tuple, an int to a float; words of a Literal are checked."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        if value is None and type(None) in arguments:
            return None
        return _convert(value, next(one for one in arguments if one is not type(None)), name)
    if origin is Literal:
        if value not in arguments:
            raise F2VError(f"'{name}' cannot be {value!r}", suggest(str(value), [str(one) for one in arguments]))
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise F2VError(f"'{name}' is a list, got {value!r}", f"for example --set {name}=[1,2,3]")
        return tuple(_convert(entry, arguments[0], name) for entry in value)
    value = _to_float(value) if hint is float else value
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise F2VError(f"'{name}' is of type {hint.__name__}, got {value!r}", f"give a value of type {hint.__name__}")
    return value


def _to_float(value: Any) -> Any:
    """Convert whole numbers, and numbers that YAML reads as texts (``1e-4``); return anything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value)
    return value
