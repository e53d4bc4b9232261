"""What a dataset is: a name, a list id, and clips."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from f2v_bench.clip import Clip
from f2v_bench.errors import F2VError


def list_sha256(ids: Iterable[str]) -> str:
    """SHA-256 of the sorted clip ids, one a line, newline at the end: what tells two test lists apart."""
    return hashlib.sha256("".join(f"{clip_id}\n" for clip_id in sorted(ids)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """What a command line says about a dataset.

    Attributes:
        root: the folder (or manifest CSV) of the corpus; None looks at ``$F2V_DATA/<name>``.
        split: which part, ``test`` unless told.
        list_file: a file of clip ids that replaces the corpus's own list.
    """

    root: Path | None = None
    split: str = "test"
    list_file: Path | None = None


class Dataset(ABC):
    """A corpus, opened at a root, seen through one split or list.

    Constructing one finds the root and raises F2VError where it is missing; ``clips`` reads the list.
    """

    name: ClassVar[str]
    #: one line: what the corpus is
    summary: ClassVar[str]
    #: the licence, and who hands the corpus out
    license: ClassVar[str]
    #: what to do to get it
    instructions: ClassVar[str]

    def __init__(self, options: DatasetOptions) -> None:
        self.options = options
        self.split = options.split

    @property
    @abstractmethod
    def list_id(self) -> str:
        """Which list: ``lrs3/test``, ``grid/s1/test``; an unrecognised list ends in its count and hash."""

    @abstractmethod
    def clips(self) -> Sequence[Clip]:
        """The clips of the split, sorted by id, ids unique.

        Raises:
            F2VError: the list names a split, file or path that cannot be.
        """

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the numbers must know of the list: files ignored, transcripts missing; after ``clips``."""
        return ()

    @property
    def grammar(self) -> str | None:
        """The JSGF grammar of the corpus's sentences, or None where speech is open."""
        return None

    @classmethod
    def find_root(cls, options: DatasetOptions) -> Path:
        """The root from the options or ``$F2V_DATA/<name>``.

        Raises:
            F2VError: neither is given, or the folder does not exist; says where to get the corpus.
        """
        data = os.environ.get("F2V_DATA")
        root = options.root or (Path(data) / cls.name if data else None)
        if root is None:
            raise F2VError(f"the corpus '{cls.name}' has no root", cls.root_help())
        if not root.exists():
            raise F2VError(f"the corpus '{cls.name}' is not at '{root}'", cls.root_help())
        return root

    @classmethod
    def root_help(cls) -> str:
        return (
            f"{cls.instructions} (licence: {cls.license}). Then name its folder with --data-root FOLDER, "
            f"or set F2V_DATA so that $F2V_DATA/{cls.name} is the folder"
        )


def unique_sorted(clips: Iterable[Clip], source: str) -> list[Clip]:
    """The clips sorted by id.

    Raises:
        F2VError: an id comes twice; names it and ``source``.
    """
    ordered = sorted(clips, key=lambda clip: clip.id)
    twice = [clip_id for clip_id, count in Counter(clip.id for clip in ordered).items() if count > 1]
    if twice:
        raise F2VError(
            f"{source} holds {len(twice)} clip ids more than once, first '{twice[0]}'",
            "give every clip an id of its own, or remove the duplicate rows",
        )
    return ordered


def inside(root: Path, relative: str, source: str) -> Path:
    """``root / relative``, refused where it would leave the root.

    Raises:
        F2VError: an absolute path, or one that climbs out of the root by ``..`` or a link.
    """
    path = root / relative
    if not path.resolve().is_relative_to(root.resolve()):
        raise F2VError(
            f"{source} names '{relative}', which lies outside its root '{root}'",
            "paths in a manifest are relative to the manifest's folder",
        )
    return path
