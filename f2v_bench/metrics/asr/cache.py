"""Disk cache of hypotheses by audio and recognizer, before normalization."""

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
    """Return the signature of a recognizer without the normalizer, which is applied afterwards."""
    return "|".join(pair for pair in recognizer.signature.split("|") if not pair.startswith("normalizer:"))


class HypothesisCache:
    """Folder of hypotheses, one small file each.

    Entries are written atomically, so that any number of processes may share the folder; an entry that cannot be read
    counts as missing and is replaced.

    Args:
        folder: folder, created with the first entry; None takes ``cache_folder("hypotheses")``.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder("hypotheses")

    def transcribe(self, recognizer: Recognizer, clips: Sequence[Waveform]) -> list[Hypothesis]:
        """Return one hypothesis per clip, in order; cached clips are not transcribed again.

        Args:
            recognizer: recognizer for the other clips, each distinct waveform once.
            clips: waveforms at the sample rate of the recognizer, not longer than its ``max_duration_s``.

        Raises:
            F2VError: the folder cannot be written.
        """
        signature = transcription_key(recognizer)
        cached = {clip.sha256: self.load(clip.sha256, signature) for clip in clips}
        new = {clip.sha256: clip for clip in clips if cached[clip.sha256] is None}
        hypotheses = recognizer.transcribe([clip.samples for clip in new.values()]) if new else []
        transcribed = dict(zip(new, hypotheses, strict=True))
        for audio, hypothesis in transcribed.items():
            self.save(audio, signature, hypothesis)
        return [cached[clip.sha256] or transcribed[clip.sha256] for clip in clips]

    def load(self, audio: str, signature: str) -> Hypothesis | None:
        """Return the hypothesis of the waveform with the hash ``audio``, or None."""
        try:
            entry = json.loads(self._entry(audio, signature).read_text(encoding="utf-8"))
            return Hypothesis(**entry) if isinstance(entry["text"], str) else None
        except (OSError, ValueError, LookupError, TypeError):  # missing or damaged: transcribed again and replaced
            return None

    def save(self, audio: str, signature: str, hypothesis: Hypothesis) -> None:
        """Store a hypothesis.

        Args:
            audio: hash of the waveform.
            signature: key of the recognizer, see ``transcription_key``.
            hypothesis: hypothesis to store.

        Raises:
            F2VError: the folder cannot be written.
        """
        entry = self._entry(audio, signature)
        try:
            atomic_write(entry, json.dumps(asdict(hypothesis), ensure_ascii=False))
        except OSError as error:
            raise F2VError(
                f"cannot write a hypothesis to '{self.folder}': {error.strerror}",
                "free some space, set F2V_CACHE to a writable folder, or switch the cache off: wer's setting cache=off",
            ) from error

    def _entry(self, audio: str, signature: str) -> Path:
        recognizer = hashlib.sha256(signature.encode()).hexdigest()[:16]
        return self.folder / recognizer / audio[:2] / f"{audio}.json"
