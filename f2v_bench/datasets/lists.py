"""Which clips a number speaks of: clip lists, read from files and recognised by count and SHA-256."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from f2v_bench.clip import Clip
from f2v_bench.datasets.base import Dataset, DatasetOptions, list_sha256, unique_sorted
from f2v_bench.errors import F2VError


@dataclass(frozen=True, slots=True)
class KnownList:
    """A list that papers share.

    Attributes:
        list_id: its name.
        clips: how many lines it has.
        sha256: ``contract.list_sha256`` of its lines; None where we have seen no copy to compute it from: then the
            corpus's own file of that split is recognised by its count.
    """

    list_id: str
    clips: int
    sha256: str | None


KNOWN_LISTS: tuple[KnownList, ...] = (
    KnownList("lrs3/test", 1321, "ef317116cc4b93040ab47ed8ffc66f6a99daf1bc0c5d61220c235cbfe4a99bd4"),
    # SVTS and its successors
    KnownList("lrs3/unseen", 1308, "62478f99f2cc9ccfc75dd184d0d207fb95e45a702184a4c1688c423371cdac4c"),
    # AlignDiT; of the lines <talk>_<reference>_<target> as they stand
    KnownList("lrs3/cross", 517, "fa1f2de681c1acad06d2c7cd4c47405618b3ea8a99bf68b1df2180d98f8822a8"),
    KnownList("lrs2/train", 45839, None),
    KnownList("lrs2/val", 1082, None),
    KnownList("lrs2/test", 1243, None),
    # the split of 850, 50 and 50 clips of speaker 1 that this project's experiments use
    KnownList("grid/s1/test", 50, "4c0798ee2cffe12f293fce482d8698fffb95f56371f502c03da1cf6a1a10fc6a"),
)


def list_name(scope: str, lines: Sequence[str], *, own: bool) -> str:
    """The id of a list: its published name, or ``<scope>~<count>clips-<first 8 digits of the hash>``.

    Args:
        scope: ``<dataset>/<split>``, where the lines come from.
        lines: the list's clip ids, or its lines where the published hash is of lines.
        own: whether the list is the corpus's own file of that split, not one that a user named.
    """
    sha256 = list_sha256(lines)
    corpus = scope.partition("/")[0]
    for known in KNOWN_LISTS:
        if known.clips == len(lines) and known.list_id.partition("/")[0] == corpus:
            same_place = own and known.list_id == scope
            if known.sha256 == sha256 or (known.sha256 is None and same_place):
                return known.list_id
    return f"{scope}~{len(lines)}clips-{sha256[:8]}"


def read_list(path: Path) -> list[str]:
    """The lines of a list file, blank ones left out; of an AV-HuBERT ``.tsv``, the first column below the root line.

    Raises:
        F2VError: no such file, not text, or no line in it.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise F2VError(f"the list file '{path}' cannot be read: {error}", "give a text file, one clip id a line") from (
            error
        )
    if path.suffix.lower() == ".tsv":
        lines = [line.split("\t")[0] for line in lines[1:]]
    lines = [line for line in lines if line]
    if not lines:
        raise F2VError(f"the list file '{path}' names no clip", "write one clip id a line")
    return lines


def spellings(line: str) -> Iterator[str]:
    """What a line of a list may mean: the line or its first word (``<id> NF``), as it is or without a suffix."""
    for text in dict.fromkeys((line, line.split(maxsplit=1)[0])):
        yield text
        stem, dot, suffix = text.rpartition(".")
        if dot and stem and suffix.isalnum():
            yield stem


def find_listed(path: Path, lines: Iterable[str], find: Callable[[str], Clip | None]) -> list[Clip]:
    """The clips that the lines of a user's list name.

    Args:
        path: the list file, for messages.
        lines: from ``read_list``.
        find: the clip of one spelling of an id, or None.

    Raises:
        F2VError: ids that the corpus does not hold; says how many, and the first.
    """
    clips: list[Clip] = []
    unknown: list[str] = []
    total = 0
    for line in lines:
        total += 1
        clip = next((found for text in spellings(line) if (found := find(text)) is not None), None)
        if clip is None:
            unknown.append(line)
        else:
            clips.append(clip)
    if unknown:
        raise F2VError(
            f"the list '{path}' names {total} clips, of which {len(unknown)} are not at the root, first '{unknown[0]}'",
            "check that the root is complete and of the same corpus, or take these lines out of the list",
        )
    return clips


class ListedDataset(Dataset):
    """A dataset whose clips are read once, named by their list, with remarks on what was odd."""

    def __init__(self, options: DatasetOptions) -> None:
        super().__init__(options)
        self._remarks: list[str] = []

    @abstractmethod
    def _read(self) -> Iterable[Clip]:
        """Read the clips in any order, and add what is odd to ``_remarks``."""

    @abstractmethod
    def _list_name(self) -> str:
        """The id of the list of ``clips()``."""

    @cached_property
    def _clips(self) -> list[Clip]:
        clips = unique_sorted(self._read(), str(self.options.list_file or self.options.root or self.name))
        if not clips:
            raise F2VError(f"no clip of '{self.name}' is in split '{self.split}'", self.root_help())
        silent = [clip.id for clip in clips if clip.text is None]
        if silent:
            self._remarks.append(f"{len(silent)} of {len(clips)} clips have no transcript, first '{silent[0]}'")
        return clips

    def clips(self) -> Sequence[Clip]:
        return self._clips

    @property
    def list_id(self) -> str:
        return self._list_name()

    @property
    def complete(self) -> bool:
        """Whether the list is one that papers share, whole; otherwise ``list_id`` ends in its count and hash."""
        return "~" not in self.list_id

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know about the clips: files ignored, transcripts missing, a list cut short."""
        self.clips()
        return tuple(self._remarks)
