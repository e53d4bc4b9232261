"""The two kinds of error a user meets: a command that cannot go on, and a clip that cannot."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import Any


class F2VError(Exception):
    """A command cannot go on: bad usage, a missing corpus, an unwritable folder.

    Args:
        what: what is wrong, with the value seen.
        do: what the user can do about it.
    """

    def __init__(self, what: str, do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.do = do

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what, self.do)  # processes hand errors on by pickling them

    def __str__(self) -> str:
        return f"{self.what}\n  -> {self.do}" if self.do else self.what


class FailureKind(StrEnum):
    """Why one clip has no waveform or no value. The names are part of the run folder's format."""

    FILE_MISSING = "file_missing"
    UNREADABLE_VIDEO = "unreadable_video"
    NO_VIDEO = "no_video"
    NO_FACE = "no_face"
    FACE_LOST = "face_lost"
    UNREADABLE_AUDIO = "unreadable_audio"
    NO_AUDIO = "no_audio"
    EMPTY_AUDIO = "empty_audio"
    NOT_FINITE = "not_finite"
    SILENT = "silent"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    DURATION_MISMATCH = "duration_mismatch"
    NO_VOICED_OVERLAP = "no_voiced_overlap"
    NO_UTTERANCE = "no_utterance"
    TEXT_MISSING = "text_missing"
    ASSET_MISSING = "asset_missing"
    NO_OTHER_CLIP = "no_other_clip"
    SYNTHESIS_FAILED = "synthesis_failed"
    PROCESS_FAILED = "process_failed"
    TIMEOUT = "timeout"
    INTERNAL_ERROR = "internal_error"

    @property
    def retryable(self) -> bool:
        """Whether the surroundings, not the clip, may be the cause, so that a resumed run tries again."""
        return self in _RETRYABLE


_RETRYABLE = frozenset(
    {
        FailureKind.FILE_MISSING,
        FailureKind.ASSET_MISSING,
        FailureKind.SYNTHESIS_FAILED,
        FailureKind.PROCESS_FAILED,
        FailureKind.TIMEOUT,
        FailureKind.INTERNAL_ERROR,
    }
)


class ClipFailure(Exception):
    """One clip cannot be decoded, synthesized or scored; the run goes on with the others.

    Args:
        kind: the named kind that the run folder stores as the clip's status.
        detail: one line for a person: the file or value seen.
    """

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail

    def __reduce__(self) -> tuple[type[ClipFailure], tuple[FailureKind, str]]:
        return type(self), (self.kind, self.detail)  # exceptions with two arguments do not pickle by themselves


def suggest(word: str, known: Iterable[str]) -> str:
    """Say what exists, and the nearest name first, for an unknown ``word``."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{hint}Known: {', '.join(names) or 'none'}."
