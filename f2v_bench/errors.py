"""Errors of commands, which end them, and of single clips, which do not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any


class F2VError(Exception):
    """Error that ends a command: bad usage, a missing corpus, an unwritable folder.

    Args:
        what: description of the error, with the value that was found.
        do: remedy for the user.
    """

    def __init__(self, what: str, do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.do = do

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what, self.do)  # errors are pickled between processes

    def __str__(self) -> str:
        return f"{self.what}\n  -> {self.do}" if self.do else self.what


@contextmanager
def user_error(do: str) -> Iterator[None]:
    """Raise an F2VError in place of a ValueError, for code that user settings parametrize.

    Args:
        do: remedy for the user.
    """
    try:
        yield
    except ValueError as error:
        raise F2VError(str(error), do) from error


class FailureKind(StrEnum):
    """Reason why one clip has no waveform or no value. The names are part of the run folder's format."""

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
    def is_retryable(self) -> bool:
        """True where the environment, not the clip, may be the cause: a resumed run tries the clip again."""
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
    """Failure of one clip to be decoded, synthesized or scored; the run continues with the other clips.

    Args:
        kind: named kind, stored in the run folder as the clip's status.
        detail: one line with the file or value that was found.
    """

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail

    def __reduce__(self) -> tuple[type[ClipFailure], tuple[FailureKind, str]]:
        return type(self), (self.kind, self.detail)  # exceptions with two arguments do not pickle by default


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown ``word``: the nearest known name, then all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{hint}Known: {', '.join(names) or 'none'}."
