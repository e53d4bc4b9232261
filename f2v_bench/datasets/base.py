"""Base class of datasets: a name, a list id, and clips."""

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
    """Return the SHA-256 of the sorted clip ids, one a line with a final newline: the identity of a test list."""
    return hashlib.sha256("".join(f"{clip_id}\n" for clip_id in sorted(ids)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """Options of a dataset from the command line.

    Attributes:
        root: folder (or manifest CSV) of the corpus; None is ``$F2V_DATA/<name>``.
        split: name of the split.
        list_file: file of clip ids that replaces the list of the split.
    """

    root: Path | None = None
    split: str = "test"
    list_file: Path | None = None


class Dataset(ABC):
    """Corpus at a root, restricted to one split or list.

    The constructor finds the root and raises F2VError if it is missing; ``clips`` reads the list.
    """

    name: ClassVar[str]
    #: description of the corpus, one line
    summary: ClassVar[str]
    #: license and distributor of the corpus
    license: ClassVar[str]
    #: steps to obtain the corpus
    instructions: ClassVar[str]

    def __init__(self, options: DatasetOptions) -> None:
        self.options = options
        self.split = options.split

    @property
    @abstractmethod
    def list_id(self) -> str:
        """Id of the list: ``lrs3/test``, ``grid/s1/test``; the id of an unknown list ends in its count and hash."""

    @abstractmethod
    def clips(self) -> Sequence[Clip]:
        """Return the clips of the split, sorted by unique id.

        Raises:
            F2VError: the list has an unknown split or an invalid file or path.
        """

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks on the list for the reader of a result, such as ignored files; available after ``clips``."""
        return ()

    @property
    def grammar(self) -> str | None:
        """JSGF grammar of the sentences, or None for open vocabulary."""
        return None

    @classmethod
    def find_root(cls, options: DatasetOptions) -> Path:
        """Return the root from the options or ``$F2V_DATA/<name>``.

        Raises:
            F2VError: neither is set, or the folder does not exist; the message names the source of the corpus.
        """
        data = os.environ.get("F2V_DATA")
        root = options.root or (Path(data) / cls.name if data else None)
        if root is None:
            raise F2VError(f"the corpus '{cls.name}' has no root", cls.root_help())
        if not root.exists():
            raise F2VError(f"no corpus '{cls.name}' at '{root}'", cls.root_help())
        return root

    @classmethod
    def root_help(cls) -> str:
        return (
            f"{cls.instructions} (license: {cls.license}). Then pass its folder as --data-root FOLDER, "
            f"or set F2V_DATA so that $F2V_DATA/{cls.name} is the folder"
        )


def sort_unique(clips: Iterable[Clip], source: str) -> list[Clip]:
    """Return the clips sorted by id.

    Raises:
        F2VError: duplicate id; the message has the id and ``source``.
    """
    ordered = sorted(clips, key=lambda clip: clip.id)
    duplicates = [clip_id for clip_id, count in Counter(clip.id for clip in ordered).items() if count > 1]
    if duplicates:
        raise F2VError(
            f"{source} has {len(duplicates)} duplicate clip ids, first '{duplicates[0]}'",
            "give every clip a unique id, or remove the duplicate rows",
        )
    return ordered


def resolve_inside(root: Path, relative: str, source: str) -> Path:
    """Return ``root / relative``; refuse paths outside the root.

    Raises:
        F2VError: absolute path, or one that leaves the root by ``..`` or a link.
    """
    path = root / relative
    if not path.resolve().is_relative_to(root.resolve()):
        raise F2VError(
            f"{source} has the path '{relative}' outside its root '{root}'",
            "paths in a manifest are relative to the manifest's folder",
        )
    return path
