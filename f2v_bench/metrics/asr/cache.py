"""Hypotheses on disk by audio and recogniser: normalising them in another way costs no recognition."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from f2v_bench.errors import F2VError
from f2v_bench.metrics.asr.base import Hypothesis, Recognizer
from f2v_bench.utils.paths import atomic_write, cache_folder

if TYPE_CHECKING:
    from f2v_bench.clip import Waveform


def transcription_key(recognizer: Recognizer) -> str:
    """What decides a recogniser's text: its signature without the normaliser, which is applied afterwards."""
    return "|".join(pair for pair in recognizer.signature.split("|") if not pair.startswith("normaliser:"))


class HypothesisCache:
    """A folder of hypotheses, one small file each.

    Entries appear whole or not at all, so that any number of processes may share the folder; one that cannot be read
    counts as absent and is replaced.

    Args:
        folder: made when the first entry is written; None is ``cache_folder("hypotheses")``.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder("hypotheses")

    def transcribe(self, recognizer: Recognizer, clips: Sequence[Waveform]) -> list[Hypothesis]:
        """One hypothesis a clip, in order; what the folder has is not recognised again.

        Args:
            recogniser: what hears the others, each different waveform once.
            clips: at the recogniser's sample rate, not longer than it hears.

        Raises:
            F2VError: the folder cannot be written.
        """
        signature = transcription_key(recognizer)
        known = {clip.sha256: self.load(clip.sha256, signature) for clip in clips}
        new = {clip.sha256: clip for clip in clips if known[clip.sha256] is None}
        heard = recognizer.transcribe([clip.samples for clip in new.values()]) if new else []
        fresh = dict(zip(new, heard, strict=True))
        for audio, hypothesis in fresh.items():
            self.save(audio, signature, hypothesis)
        return [known[clip.sha256] or fresh[clip.sha256] for clip in clips]

    def load(self, audio: str, signature: str) -> Hypothesis | None:
        """What was heard in the waveform with the hash ``audio``, or None."""
        try:
            entry = json.loads(self._entry(audio, signature).read_text(encoding="utf-8"))
            return Hypothesis(**entry) if isinstance(entry["text"], str) else None
        except (OSError, ValueError, LookupError, TypeError):  # absent, or damaged: it is heard again and replaced
            return None

    def save(self, audio: str, signature: str, hypothesis: Hypothesis) -> None:
        """Keep what was heard.

        Raises:
            F2VError: the folder cannot be written.
        """
        entry = self._entry(audio, signature)
        try:
            atomic_write(entry, json.dumps(asdict(hypothesis), ensure_ascii=False))
        except OSError as error:
            raise F2VError(
                f"a hypothesis cannot be kept in '{self.folder}': {error.strerror}",
                "free some space, set F2V_CACHE to a folder that can be written, or switch it off: wer's cache=off",
            ) from error

    def _entry(self, audio: str, signature: str) -> Path:
        recognizer = hashlib.sha256(signature.encode()).hexdigest()[:16]
        return self.folder / recognizer / audio[:2] / f"{audio}.json"
