"""Give a metric what it needs, and turn what it says into rows.

Waveforms are decoded and resampled once and kept while memory lasts; a clip that a metric cannot score becomes rows
with a named failure kind, and whatever else goes wrong inside a metric is caught at the clip, with its traceback.
"""

from __future__ import annotations

import hashlib
import json
import math
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from f2v_bench.assets import file_sha256
from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.media import clip_audio, read_audio, resample
from f2v_bench.metrics.base import Metric, Need, Sample, Scores
from f2v_bench.scoring.records import OK, ScoreRow

CACHE_BYTES = 64 * 2**20  # decoded waveforms held in memory by one process
Detail = dict[str, str | float | int | bool]


@dataclass(frozen=True, slots=True)
class ScoringItem:
    """One clip of one system, ready to be scored; small, so that it can travel to a worker.

    Attributes:
        system: label of the system.
        clip: the clip, which knows its transcript, real speech and video.
        audio: file with the system's waveform.
        audio_hash: hash of that waveform.
        duration_s: of that waveform, for batches of like length.
    """

    system: str
    clip: Clip
    audio: Path
    audio_hash: str
    duration_s: float

    def inputs(self, metric: Metric) -> str:
        """Hashes of everything of this clip that the metric's value depends on."""
        parts = [self.audio_hash[:16]]
        if Need.TEXT in metric.needs:
            parts.append(hashlib.sha256((self.clip.text or "").encode()).hexdigest()[:16])
        if Need.REFERENCE in metric.needs:
            parts += [_content(path)[:16] for path in dict.fromkeys((self.clip.audio, self.clip.video))]
        elif Need.VIDEO in metric.needs:
            parts.append(_content(self.clip.video)[:16])
        return ":".join(parts)


def _content(path: Path | None) -> str:
    """Content hash of a file; read again only after it changed."""
    if path is None or not path.is_file():
        return "missing"
    stat = path.stat()
    return _content_of_version(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _content_of_version(path: Path, _size: int, _mtime_ns: int) -> str:
    return file_sha256(path)


class WaveformCache:
    """Waveforms by key and rate, the least recently used leaving first."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max = max_bytes
        self._bytes = 0
        self._held: OrderedDict[tuple[str, int], Waveform] = OrderedDict()

    def get(self, key: str, sample_rate: int, load: Callable[[], Waveform]) -> Waveform:
        """The waveform called ``key`` at ``sample_rate``, from memory or from ``load``."""
        at = (key, sample_rate)
        if at not in self._held:
            wave = load()
            if wave.sample_rate != sample_rate:
                wave = Waveform(resample(wave.samples, wave.sample_rate, sample_rate), sample_rate)
            self._held[at] = wave
            self._bytes += wave.samples.nbytes
            while self._bytes > self._max and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1].samples.nbytes
        self._held.move_to_end(at)
        return self._held[at]


class Scorer:
    """Scores batches of candidates under one metric after another.

    Args:
        on_error: told ``(metric, clip, traceback)`` when a metric breaks in a way it did not foresee.
    """

    def __init__(self, on_error: Callable[[str, str, str], None]) -> None:
        self._on_error = on_error
        self._cache = WaveformCache()

    def score(self, metric: Metric, signature: str, batch: Sequence[ScoringItem]) -> list[ScoreRow]:
        """Rows of every column of the metric for every candidate, in order."""
        outcomes: list[Scores | ClipFailure | None] = [None] * len(batch)
        ready: list[tuple[int, Sample]] = []
        for index, candidate in enumerate(batch):
            try:
                ready.append((index, self._sample(metric, candidate)))
            except ClipFailure as failure:
                outcomes[index] = failure
        for (index, _), outcome in zip(ready, self._outcomes(metric, [s for _, s in ready]), strict=True):
            outcomes[index] = outcome
        return [
            row
            for candidate, outcome in zip(batch, outcomes, strict=True)
            if outcome is not None
            for row in rows_of(metric, signature, candidate, outcome)
        ]

    def _sample(self, metric: Metric, candidate: ScoringItem) -> Sample:
        rate, clip = metric.sample_rate, candidate.clip
        audio = self._cache.get(candidate.audio_hash, rate, lambda: read_audio(candidate.audio))
        reference = None
        if Need.REFERENCE in metric.needs:
            reference = self._cache.get(f"reference:{clip.id}", rate, lambda: clip_audio(clip, rate))
        if Need.TEXT in metric.needs and not clip.text:
            raise ClipFailure(FailureKind.TEXT_MISSING, f"clip '{clip.id}' has no transcript")
        return Sample(clip.id, audio, reference, clip.text, clip.video)

    def _outcomes(self, metric: Metric, samples: list[Sample]) -> list[Scores | ClipFailure]:
        if not samples:
            return []
        try:
            outcomes = metric.score(samples)
            if len(outcomes) != len(samples):
                raise RuntimeError(f"{metric.name} returned {len(outcomes)} outcomes for {len(samples)} samples")
            return outcomes
        except F2VError:  # what ails every clip, with the remedy: it ends the run
            raise
        except Exception as error:  # a stranger's metric may raise anything, and must not end the run
            if len(samples) > 1:  # out of memory: less at once; else: find out whose fault it is
                half = len(samples) // 2 if is_out_of_memory(error) else 1
                parts = [samples[first : first + half] for first in range(0, len(samples), half)]
            else:
                self._on_error(metric.name, samples[0].clip_id, traceback.format_exc())
                return [ClipFailure(FailureKind.INTERNAL_ERROR, f"{type(error).__name__}: {error}")]
        # outside the handler, where nothing holds the failed batch's memory any more
        return [outcome for part in parts for outcome in self._outcomes(metric, part)]


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception says that memory ran out, on the device or here."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def rows_of(
    metric: Metric, signature: str, candidate: ScoringItem, outcome: Scores | ClipFailure
) -> Iterable[ScoreRow]:
    """A row for every column of the metric; what is no finite number is no value."""
    inputs = candidate.inputs(metric)
    for position, column in enumerate(metric.columns):
        value: float | None = None
        weight = 1.0
        detail: Detail = {}
        if isinstance(outcome, ClipFailure):
            status: str = outcome.kind
            detail = {"failure": outcome.detail}
        elif column.name in outcome.values and math.isfinite(outcome.values[column.name]):
            status = OK
            value = float(outcome.values[column.name])
            weight = float(outcome.weights.get(column.name, 1.0))
        else:
            status = outcome.undefined.get(column.name, FailureKind.NOT_FINITE)
        if not position and isinstance(outcome, Scores):
            detail = dict(outcome.detail)
        yield ScoreRow(
            system=candidate.system,
            clip=candidate.clip.id,
            metric=metric.name,
            column=column.name,
            value=value,
            weight=weight,
            status=str(status),
            detail=json.dumps(detail, ensure_ascii=False, sort_keys=True) if detail else "",
            signature=signature,
            inputs=inputs,
        )
