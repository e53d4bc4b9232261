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

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.media import resample
from f2v_bench.metrics.contract import Metric, Need, Sample, Scores
from f2v_bench.scoring.rows import OK, ScoreRow

CACHE_BYTES = 512 * 2**20  # decoded waveforms held in memory


@dataclass(frozen=True, slots=True)
class Candidate:
    """One clip of one system, ready to be scored.

    Attributes:
        system: label of the system.
        clip: clip id.
        text: transcript, or None.
        audio_hash: hash of the system's waveform.
        reference_hash: hash of the file with the real speech, asked for only by metrics that compare with it.
        load: reads the system's waveform.
        load_reference: reads the real speech; raises ClipFailure where the clip has none.
    """

    system: str
    clip: str
    text: str | None
    audio_hash: str
    reference_hash: Callable[[], str]
    load: Callable[[], Waveform]
    load_reference: Callable[[], Waveform]

    def inputs(self, metric: Metric) -> str:
        """Hashes of everything of this clip that the metric's value depends on."""
        parts = [self.audio_hash[:16]]
        if Need.TEXT in metric.needs:
            parts.append(hashlib.sha256((self.text or "").encode()).hexdigest()[:16])
        if Need.REFERENCE in metric.needs:
            parts.append(self.reference_hash()[:16])
        return ":".join(parts)


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

    def score(self, metric: Metric, signature: str, batch: Sequence[Candidate]) -> list[ScoreRow]:
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
            for row in _rows(metric, signature, candidate, outcome)
        ]

    def _sample(self, metric: Metric, candidate: Candidate) -> Sample:
        rate = metric.sample_rate
        audio = self._cache.get(candidate.audio_hash, rate, candidate.load)
        reference = None
        if Need.REFERENCE in metric.needs:
            reference = self._cache.get(f"reference:{candidate.clip}", rate, candidate.load_reference)
        if Need.TEXT in metric.needs and not candidate.text:
            raise ClipFailure(FailureKind.TEXT_MISSING, f"clip '{candidate.clip}' has no transcript")
        return Sample(candidate.clip, audio, reference, candidate.text)

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
            if len(samples) > 1:  # find out whose fault it is
                return [outcome for sample in samples for outcome in self._outcomes(metric, [sample])]
            self._on_error(metric.name, samples[0].clip_id, traceback.format_exc())
            return [ClipFailure(FailureKind.INTERNAL_ERROR, f"{type(error).__name__}: {error}")]


def _rows(metric: Metric, signature: str, candidate: Candidate, outcome: Scores | ClipFailure) -> Iterable[ScoreRow]:
    for position, column in enumerate(metric.columns):
        value: float | None = None
        weight = 1.0
        detail: dict[str, str | float | int | bool] = {}
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
            clip=candidate.clip,
            metric=metric.name,
            column=column.name,
            value=value,
            weight=weight,
            status=str(status),
            detail=json.dumps(detail, ensure_ascii=False, sort_keys=True) if detail else "",
            signature=signature,
            inputs=candidate.inputs(metric),
        )
