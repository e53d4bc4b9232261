from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import yaml

from f2v_bench.config import as_mapping, from_mapping, override, with_overrides, with_yaml
from f2v_bench.errors import F2VError
from f2v_bench.modeling.shared_config import StageConfig


@dataclass(frozen=True)
class Inner:
    steps: int = 10
    rate: float = 1e-3
    sizes: tuple[int, ...] = (1, 2)
    kind: Literal["left", "right"] = "left"


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    stage: StageConfig = field(default_factory=StageConfig)
    name: str | None = None
    fast: bool = False


@dataclass(frozen=True, slots=True)
class Renamed:
    RENAMED: ClassVar[Mapping[str, str]] = {"form": "mode", "teaching": "training"}
    RENAMED_VALUES: ClassVar[Mapping[str, Mapping[object, object]]] = {"mode": {"nothing": "scratch"}}

    mode: Literal["scratch", "shared"] = "shared"
    training: Inner = field(default_factory=Inner)


@pytest.mark.parametrize(
    "mapping",
    [
        {"form": "nothing", "teaching": {"steps": 3}},
        {"mode": "nothing", "training": {"steps": 3}},
        {"mode": "scratch", "training": {"steps": 3}},
    ],
)
def test_earlier_names_and_values_are_read(tmp_path: Path, mapping: dict[str, Any]) -> None:
    expected = Renamed("scratch", Inner(steps=3))
    assert override(Renamed(), mapping) == from_mapping(Renamed, mapping) == expected
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(mapping))
    assert with_yaml(Renamed(), file) == expected
    texts = [f"{name}={value}" for name, value in mapping.items() if isinstance(value, str)]
    group = next(name for name, value in mapping.items() if isinstance(value, dict))
    assert with_overrides(Renamed(), [*texts, f"{group}.steps=3"]) == expected
    assert as_mapping(expected) == as_mapping(from_mapping(Renamed, as_mapping(expected)))
    assert set(as_mapping(expected)) == {"mode", "training"}


@dataclass(frozen=True, slots=True)
class Derived(Renamed):
    RENAMED: ClassVar[Mapping[str, str]] = {"times": "count"}

    count: int = 1


def test_earlier_names_of_a_base_class_are_read() -> None:
    mapping = {"form": "nothing", "teaching": {"steps": 3}, "times": 4}
    assert override(Derived(), mapping) == Derived("scratch", Inner(steps=3), 4)


def test_earlier_and_present_name_together_are_refused() -> None:
    with pytest.raises(F2VError, match="'form' is the earlier name of 'mode', and both are set"):
        override(Renamed(), {"mode": "shared", "form": "nothing"})
    with pytest.raises(F2VError, match="'form' cannot be 'something'"):
        override(Renamed(), {"form": "something"})


def test_settings_come_back_from_a_file(tmp_path: Path) -> None:
    outer = Outer(Inner(3, 0.5, (4, 5, 6), "right"), StageConfig(steps=7), "a", True)
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(as_mapping(outer)))
    assert with_yaml(Outer(), file) == outer
    assert from_mapping(Outer, as_mapping(outer)) == outer
    assert from_mapping(Outer, {}) == Outer()
    assert as_mapping(outer)["inner"]["sizes"] == [4, 5, 6]


def test_values_of_texts_are_read_by_type() -> None:
    made = with_overrides(
        Outer(), ["inner.steps=5", "inner.rate=1e-4", "inner.sizes=[3]", "inner.kind=right", "name=x", "fast=true"]
    )
    assert made == Outer(Inner(5, 1e-4, (3,), "right"), name="x", fast=True)
    assert isinstance(with_overrides(Outer(), ["inner.rate=2"]).inner.rate, float)
    assert with_overrides(made, ["name=null"]).name is None
    assert with_overrides(Outer(), ["inner={steps: 4, rate: 2}"]).inner == Inner(4, 2.0)
    assert with_overrides(Outer(), ["inner.steps=1", "inner.steps=2"]).inner.steps == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inner.stepz=5", "there is no setting 'inner.stepz'"),
        ("innner.steps=5", "there is no setting 'innner'"),
        ("inner.steps=1.5", "'inner.steps' is of type int, got 1.5"),
        ("inner.steps=true", "'inner.steps' is of type int, got True"),
        ("inner.steps=", "'inner.steps' is of type int, got None"),
        ("inner.rate=fast", "'inner.rate' is of type float, got 'fast'"),
        ("inner.rate=true", "'inner.rate' is of type float, got True"),
        ("inner.kind=up", "'inner.kind' cannot be 'up'"),
        ("inner.sizes=3", "'inner.sizes' is a list, got 3"),
        ("inner.sizes=[a]", "'inner.sizes' is of type int, got 'a'"),
        ("inner=3", "'inner' is a group of settings, got 3"),
        ("fast=1", "'fast' is of type bool, got 1"),
        ("name=[", "the value cannot be read"),
        ("name.first=x", "'name' is of type str"),
        ("inner.steps", "is not NAME=VALUE"),
        ("=3", "is not NAME=VALUE"),
    ],
)
def test_values_that_do_not_fit_are_refused(text: str, message: str) -> None:
    with pytest.raises(F2VError) as error:
        with_overrides(Outer(), [text])
    assert message in error.value.what
    assert error.value.do


def test_unknown_names_come_with_the_nearest_known_one() -> None:
    with pytest.raises(F2VError, match="did you mean 'steps'"):
        override(Outer(), {"inner": {"stepps": 3}})
    with pytest.raises(F2VError, match="did you mean 'right'"):
        with_overrides(Outer(), ["inner.kind=rihgt"])
    with pytest.raises(F2VError, match="no setting '3'"):
        override(Outer(), {3: 4})  # type: ignore[dict-item]


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [", "just words"])
def test_files_that_are_no_settings(tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(content)
    with pytest.raises(F2VError):
        with_yaml(Outer(), file)


def test_files_that_are_empty_or_missing(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").touch()
    assert with_yaml(Outer(), tmp_path / "empty.yaml") == Outer()
    with pytest.raises(F2VError, match="cannot be read"):
        with_yaml(Outer(), tmp_path / "none.yaml")
