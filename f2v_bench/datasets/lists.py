"""Clip lists: reading from files, and identification by count and SHA-256."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from f2v_bench.clip import Clip
from f2v_bench.datasets.base import Dataset, DatasetOptions, list_sha256, sort_unique
from f2v_bench.errors import F2VError


@dataclass(frozen=True, slots=True)
class KnownList:
    """Published test list.

    Attributes:
        list_id: name of the list.
        clips: number of lines.
        sha256: ``list_sha256`` of the lines; None for a list without a public copy: then the corpus's own file of that
            split is identified by its count.
    """

    list_id: str
    clips: int
    sha256: str | None


KNOWN_LISTS: tuple[KnownList, ...] = (
    KnownList("lrs3/test", 1321, "ef317116cc4b93040ab47ed8ffc66f6a99daf1bc0c5d61220c235cbfe4a99bd4"),
    # SVTS and its successors
    KnownList("lrs3/unseen", 1308, "62478f99f2cc9ccfc75dd184d0d207fb95e45a702184a4c1688c423371cdac4c"),
    # AlignDiT; hash of the original lines <talk>_<reference>_<target>
    KnownList("lrs3/cross", 517, "fa1f2de681c1acad06d2c7cd4c47405618b3ea8a99bf68b1df2180d98f8822a8"),
    KnownList("lrs2/train", 45839, None),
    KnownList("lrs2/val", 1082, None),
    KnownList("lrs2/test", 1243, None),
    # 850, 50 and 50 clips of speaker 1: the split of this project's experiments
    KnownList("grid/s1/test", 50, "4c0798ee2cffe12f293fce482d8698fffb95f56371f502c03da1cf6a1a10fc6a"),
)


def list_name(scope: str, lines: Sequence[str], *, own: bool) -> str:
    """Return the id of a list: its published name, or ``<scope>~<count>clips-<first 8 digits of the hash>``.

    Args:
        scope: source of the lines, ``<dataset>/<split>``.
        lines: clip ids of the list, or its original lines where the published hash is that of lines.
        own: True for the corpus's own file of that split, False for a list of the user.
    """
    sha256 = list_sha256(lines)
    corpus = scope.partition("/")[0]
    for known in KNOWN_LISTS:
        if known.clips == len(lines) and known.list_id.partition("/")[0] == corpus:
            is_own_list = own and known.list_id == scope
            if known.sha256 == sha256 or (known.sha256 is None and is_own_list):
                return known.list_id
    return f"{scope}~{len(lines)}clips-{sha256[:8]}"


def read_list(path: Path) -> list[str]:
    """Read the non-blank lines of a list file; of an AV-HuBERT ``.tsv``, the first column below the root line.

    Raises:
        F2VError: missing file, not text, or empty.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise F2VError(
            f"the list file '{path}' cannot be read: {error}", "pass a text file with one clip id a line"
        ) from (error)
    if path.suffix.lower() == ".tsv":
        lines = [line.split("\t")[0] for line in lines[1:]]
    lines = [line for line in lines if line]
    if not lines:
        raise F2VError(f"the list file '{path}' has no clip ids", "write one clip id a line")
    return lines


def id_candidates(line: str) -> Iterator[str]:
    """Yield possible ids of a line: the line or its first word (``<id> NF``), with and without suffix."""
    for text in dict.fromkeys((line, line.split(maxsplit=1)[0])):
        yield text
        stem, dot, suffix = text.rpartition(".")
        if dot and stem and suffix.isalnum():
            yield stem


def select_listed(path: Path, lines: Iterable[str], find: Callable[[str], Clip | None]) -> list[Clip]:
    """Return the clips of a user's list.

    Args:
        path: list file, for messages.
        lines: lines from ``read_list``.
        find: function from a possible id to its clip or None.

    Raises:
        F2VError: ids that are not in the corpus; the message has their number and the first one.
    """
    clips: list[Clip] = []
    unknown: list[str] = []
    total = 0
    for line in lines:
        total += 1
        clip = next((found for text in id_candidates(line) if (found := find(text)) is not None), None)
        if clip is None:
            unknown.append(line)
        else:
            clips.append(clip)
    if unknown:
        raise F2VError(
            f"{len(unknown)} of {total} clips of the list '{path}' are not at the root, first '{unknown[0]}'",
            "check that the root is complete and of the same corpus, or remove these lines from the list",
        )
    return clips


class ListedDataset(Dataset):
    """Dataset whose clips are read once and identified by their list, with remarks on irregularities."""

    def __init__(self, options: DatasetOptions) -> None:
        super().__init__(options)
        self._remarks: list[str] = []

    @abstractmethod
    def _read(self) -> Iterable[Clip]:
        """Read the clips in any order, and add irregularities to ``_remarks``."""

    @abstractmethod
    def _list_name(self) -> str:
        """Return the id of the list of ``clips()``."""

    @cached_property
    def _clips(self) -> list[Clip]:
        clips = sort_unique(self._read(), str(self.options.list_file or self.options.root or self.name))
        if not clips:
            raise F2VError(f"no clip of '{self.name}' is in split '{self.split}'", self.root_help())
        untranscribed = [clip.id for clip in clips if clip.text is None]
        if untranscribed:
            self._remarks.append(
                f"{len(untranscribed)} of {len(clips)} clips have no transcript, first '{untranscribed[0]}'"
            )
        return clips

    def clips(self) -> Sequence[Clip]:
        return self._clips

    @property
    def list_id(self) -> str:
        return self._list_name()

    @property
    def is_published(self) -> bool:
        """True for a complete published list; otherwise ``list_id`` ends in its count and hash."""
        return "~" not in self.list_id

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks on the clips: ignored files, missing transcripts, an incomplete list."""
        self.clips()
        return tuple(self._remarks)
