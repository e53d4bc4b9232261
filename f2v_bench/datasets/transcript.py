"""Transcripts in text files beside the clips."""

from __future__ import annotations

import re
from pathlib import Path

_NOISE = re.compile(r"\{[^{}]*\}")  # {NS} noise, {LG} laughter
_FIELD = "Text:"


def read_transcript(path: Path, *, plain: bool) -> str | None:
    """Read the transcript of one clip, with single spaces and without noise tags in braces.

    Args:
        path: file in the format of LRS2 and LRS3 (``Text:  WORDS``, ``Conf: N``, word times), or plain text.
        plain: True to accept a file without a ``Text:`` line as plain text.

    Returns:
        None for a missing or empty file, or bytes that are not UTF-8: the dataset counts clips without text, and only
        metrics that need text fail on them.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    text = next((line[len(_FIELD) :] for line in lines if line.startswith(_FIELD)), None)
    words = text if text is not None else " ".join(lines) if plain else ""
    return " ".join(_NOISE.sub(" ", words).split()) or None
