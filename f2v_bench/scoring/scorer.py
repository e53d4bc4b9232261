"""Scoring of batches: inputs of a metric in, score rows out.

Waveforms are decoded and resampled once and cached. A clip that a metric cannot score gives rows with a named failure
kind. Any other error inside a metric is caught per clip, with its traceback.
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

CACHE_BYTES = 64 * 2**20  # decoded waveforms in the memory of one process
Detail = dict[str, str | float | int | bool]


@dataclass(frozen=True, slots=True)
class ScoringItem:
    """One clip of one system to score; small, so that it can be sent to a worker process.

    Attributes:
        system: label of the system.
        clip: clip with transcript, real speech and video.
        audio: file with the waveform of the system.
        audio_hash: hash of that waveform.
        duration_s: duration of that waveform in seconds, for batches of similar length.
    """

    system: str
    clip: Clip
    audio: Path
    audio_hash: str
    duration_s: float

    def inputs(self, metric: Metric) -> str:
        """Return the hashes of all inputs that the value of the metric depends on."""
        parts = [self.audio_hash[:16]]
        if Need.TEXT in metric.needs:
            parts.append(hashlib.sha256((self.clip.text or "").encode()).hexdigest()[:16])
        if Need.REFERENCE in metric.needs:
            parts += [_content_hash(path)[:16] for path in dict.fromkeys((self.clip.audio, self.clip.video))]
        elif Need.VIDEO in metric.needs:
            parts.append(_content_hash(self.clip.video)[:16])
        return ":".join(parts)


def _content_hash(path: Path | None) -> str:
    """Return the content hash of a file, which is read again only after a change."""
    if path is None or not path.is_file():
        return "missing"
    stat = path.stat()
    return _content_hash_of_version(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _content_hash_of_version(path: Path, _size: int, _mtime_ns: int) -> str:
    return file_sha256(path)


class WaveformCache:
    """Waveforms by key and sample rate; the least recently used is dropped first.

    Args:
        max_bytes: memory limit in bytes; the latest waveform is kept in any case.
    """

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._waveforms: OrderedDict[tuple[str, int], Waveform] = OrderedDict()

    def get(self, key: str, sample_rate: int, load: Callable[[], Waveform]) -> Waveform:
        """Return the waveform of ``key`` at ``sample_rate``, from the cache or from ``load``."""
        entry = (key, sample_rate)
        if entry not in self._waveforms:
            wave = load()
            if wave.sample_rate != sample_rate:
                wave = Waveform(resample(wave.samples, wave.sample_rate, sample_rate), sample_rate)
            self._waveforms[entry] = wave
            self._bytes += wave.samples.nbytes
            while self._bytes > self._max_bytes and len(self._waveforms) > 1:
                self._bytes -= self._waveforms.popitem(last=False)[1].samples.nbytes
        self._waveforms.move_to_end(entry)
        return self._waveforms[entry]


class Scorer:
    """Scorer of batches, one metric at a time.

    Args:
        on_error: callback with ``(metric, clip, traceback)`` for an unexpected error of a metric.
    """

    def __init__(self, on_error: Callable[[str, str, str], None]) -> None:
        self._on_error = on_error
        self._cache = WaveformCache()

    def score(self, metric: Metric, signature: str, batch: Sequence[ScoringItem]) -> list[ScoreRow]:
        """Return the rows of every column of the metric for every item, in order."""
        outcomes: list[Scores | ClipFailure | None] = [None] * len(batch)
        ready: list[tuple[int, Sample]] = []
        for index, item in enumerate(batch):
            try:
                ready.append((index, self._sample(metric, item)))
            except ClipFailure as failure:
                outcomes[index] = failure
        for (index, _), outcome in zip(ready, self._outcomes(metric, [s for _, s in ready]), strict=True):
            outcomes[index] = outcome
        return [
            row
            for item, outcome in zip(batch, outcomes, strict=True)
            if outcome is not None
            for row in make_rows(metric, signature, item, outcome)
        ]

    def _sample(self, metric: Metric, item: ScoringItem) -> Sample:
        rate, clip = metric.sample_rate, item.clip
        audio = self._cache.get(item.audio_hash, rate, lambda: read_audio(item.audio))
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
        except F2VError:  # an error of all clips, with its remedy: ends the run
            raise
        except Exception as error:  # a plugin may raise anything, which must not end the run
            if len(samples) > 1:  # out of memory: halve the batch; otherwise find the failing clip
                half = len(samples) // 2 if is_out_of_memory(error) else 1
                parts = [samples[first : first + half] for first in range(0, len(samples), half)]
            else:
                self._on_error(metric.name, samples[0].clip_id, traceback.format_exc())
                return [ClipFailure(FailureKind.INTERNAL_ERROR, f"{type(error).__name__}: {error}")]
        # outside the handler, where the memory of the failed batch is released
        return [outcome for part in parts for outcome in self._outcomes(metric, part)]


def is_out_of_memory(error: Exception) -> bool:
    """Return True for an out-of-memory error of the device or the host."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def make_rows(metric: Metric, signature: str, item: ScoringItem, outcome: Scores | ClipFailure) -> Iterable[ScoreRow]:
    """Yield a row per column of the metric; numbers that are not finite become failures."""
    inputs = item.inputs(metric)
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
            system=item.system,
            clip=item.clip.id,
            metric=metric.name,
            column=column.name,
            value=value,
            weight=weight,
            status=str(status),
            detail=json.dumps(detail, ensure_ascii=False, sort_keys=True) if detail else "",
            signature=signature,
            inputs=inputs,
        )
