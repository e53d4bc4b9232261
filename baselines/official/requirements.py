"""What must be at hand before an official repository runs, and one error for all of it that is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from f2v_bench.errors import F2VError


@dataclass(frozen=True, slots=True)
class MissingRequirement:
    """Something that is missing.

    Attributes:
        what: with the place that was looked at.
        do: where to get it.
    """

    what: str
    do: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """A file or folder without which nothing runs.

    Attributes:
        path: absolute.
        how: where it comes from.
    """

    path: Path
    how: str


def missing(needed: Iterable[Requirement]) -> list[MissingRequirement]:
    """What is needed and not there."""
    return [MissingRequirement(f"'{one.path}' is missing", one.how) for one in needed if not one.path.exists()]


def refuse(name: str, lacks: Sequence[MissingRequirement]) -> None:
    """Say everything that is missing at once.

    Raises:
        F2VError: something is.
    """
    if lacks:
        remedies = dict.fromkeys(lack.do for lack in lacks)
        raise F2VError(f"'{name}' cannot run: {'; '.join(lack.what for lack in lacks)}", "; ".join(remedies))
