"""Requirements of an official repository, and one error that lists all missing ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from f2v_bench.errors import F2VError


@dataclass(frozen=True, slots=True)
class MissingRequirement:
    """One missing requirement.

    Attributes:
        what: missing thing, with the path or program checked.
        do: source to get it from.
    """

    what: str
    do: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """Required file or folder.

    Attributes:
        path: absolute path.
        instructions: source to get it from.
    """

    path: Path
    instructions: str


def missing(required: Iterable[Requirement]) -> list[MissingRequirement]:
    """Return the requirements that do not exist."""
    return [
        MissingRequirement(f"'{one.path}' is missing", one.instructions) for one in required if not one.path.exists()
    ]


def refuse(name: str, absent: Sequence[MissingRequirement]) -> None:
    """Raise one error for all missing requirements.

    Raises:
        F2VError: At least one requirement is missing.
    """
    if absent:
        remedies = dict.fromkeys(one.do for one in absent)
        raise F2VError(f"'{name}' cannot run: {'; '.join(one.what for one in absent)}", "; ".join(remedies))
