"""Transcripts that stand in text files beside the clips."""

from __future__ import annotations

import re
from pathlib import Path

_NOISE = re.compile(r"\{[^{}]*\}")  # {NS} noise, {LG} laughter
_FIELD = "Text:"


def read_transcript(path: Path, *, plain: bool) -> str | None:
    """The words of one clip, white space made single, marks of noise in braces left out.

    Args:
        path: a file as LRS2 and LRS3 publish it (``Text:  WORDS``, ``Conf: N``, word times), or plain text.
        plain: whether a file without a ``Text:`` line is a transcript from its first to its last word.

    Returns:
        None where there is no such file, no words in it, or bytes that are not UTF-8: a clip without text is counted
        by its dataset and fails in the metrics that need words, not before.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    stated = next((line[len(_FIELD) :] for line in lines if line.startswith(_FIELD)), None)
    words = stated if stated is not None else " ".join(lines) if plain else ""
    return " ".join(_NOISE.sub(" ", words).split()) or None
