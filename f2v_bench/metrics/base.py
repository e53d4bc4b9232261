"""Base classes of metrics: waveforms, and the data they are compared with, in; named values out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from f2v_bench.metrics.arrays import AudioInput, Lengths


class Need(StrEnum):
    """Input that a metric compares the audio with."""

    REFERENCE = "reference"
    TEXT = "text"
    VIDEO = "video"


class Aggregate(StrEnum):
    """Reduction of a column's clip values to one number; the weight of a value is 1 unless the metric sets it."""

    MEAN = "mean"  # mean of clip values, weights ignored
    RATIO = "ratio"  # sum(weight * value) / sum(weight): corpus WER, with reference words as weights
    RMS = "rms"  # sqrt(sum(weight * value^2) / sum(weight)): RMSE pooled over frames


@dataclass(frozen=True, slots=True)
class Column:
    """One named value of a metric.

    Attributes:
        name: identifier, unique over all metrics, in tables, ``--sort`` and the run folder.
        label: heading in tables.
        unit: ``Hz``, ``%``, ``MOS`` or empty.
        higher_is_better: direction, or None where neither end is better.
        lower, upper: range of possible values.
        aggregate: reduction of clip values to one number.
        scale: factor of displayed values (100 for ratios shown in percent).
        digits: decimals in tables.
        headline: True for the columns of the default table; ``--all-columns`` shows the others too.
        definition: description in one sentence.
    """

    name: str
    label: str
    unit: str
    higher_is_better: bool | None
    lower: float
    upper: float
    definition: str
    aggregate: Aggregate = Aggregate.MEAN
    scale: float = 1.0
    digits: int = 2
    headline: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """Input of a metric for one clip.

    Attributes:
        clip_id: clip id.
        audio: waveform of the system at the metric's sample rate, finite and not empty.
        reference: real speech at the same rate, where the metric needs it.
        text: transcript as the corpus writes it.
        video: video file.
    """

    clip_id: str
    audio: Waveform
    reference: Waveform | None = None
    text: str | None = None
    video: Path | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """Result of a metric for one clip.

    Attributes:
        values: column name to value, without columns that are undefined for this clip.
        weights: column name to weight, where it is not 1.
        undefined: column name to failure kind, for columns without a value.
        detail: additional information for readers: hypothesis text, counts, flags.
    """

    values: Mapping[str, float]
    weights: Mapping[str, float] = field(default_factory=dict)
    undefined: Mapping[str, FailureKind] = field(default_factory=dict)
    detail: Mapping[str, str | float | int | bool] = field(default_factory=dict)

    def value(self, column: str) -> float:
        """Return the value of a column, NaN where it is undefined or not finite."""
        value = self.values.get(column, math.nan)
        return value if math.isfinite(value) else math.nan


class BatchScores(dict[str, "NDArray[np.float64]"]):
    """Values of a batch: column name to float64 ``(B,)``, NaN where a clip has no value.

    Attributes:
        failures: clip index to the failure of a clip that cannot be scored.
        undefined: clip index to column name to failure kind, for scored clips without a value in some column.
    """

    def __init__(self, columns: Sequence[Column], outcomes: Sequence[Scores | ClipFailure]) -> None:
        import numpy as np

        scores = [Scores({}) if isinstance(outcome, ClipFailure) else outcome for outcome in outcomes]
        super().__init__({column.name: np.array([one.value(column.name) for one in scores]) for column in columns})
        self.failures = {at: outcome for at, outcome in enumerate(outcomes) if isinstance(outcome, ClipFailure)}
        self.undefined = {at: dict(one.undefined) for at, one in enumerate(scores) if one.undefined}


@dataclass(frozen=True, slots=True)
class MetricOptions:
    """Options of a metric from the command line and the dataset.

    Attributes:
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        grammar: JSGF grammar of the corpus, or None for open speech.
        settings: options of this metric, for example ``{"compat": "all-segments"}``.
    """

    device: str = "cpu"
    grammar: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


class Metric(ABC):
    """Function from waveforms to named values with unit, direction and signature.

    The constructor raises MetricUnavailable where weights or a package are missing. Models are loaded on first use.

    Args:
        options: device, grammar and settings; None takes the defaults.
    """

    name: ClassVar[str]
    columns: tuple[Column, ...]
    needs: ClassVar[frozenset[Need]]
    sample_rate: ClassVar[int]
    deterministic: ClassVar[bool] = True
    #: True for metrics that compute on ``options.device``; on a GPU they run in the main process, beside the pool's
    on_device: ClassVar[bool] = False
    #: largest number of clips in one call of ``score``
    batch_size: int = 16

    def __init__(self, options: MetricOptions | None = None) -> None:
        self.options = options or MetricOptions()

    @property
    @abstractmethod
    def signature(self) -> str:
        """All that decides the value: model and revision, options, normalizer, resampler, aggregation.

        ``key:value`` pairs joined by ``|``, as in sacreBLEU. Values with equal signatures are comparable.
        """

    @abstractmethod
    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        """Return the scores or the failure of each sample, in order; a batch equals one sample at a time."""

    def __call__(
        self,
        audio: AudioInput,
        reference: AudioInput | None = None,
        *,
        sample_rate: int,
        text: str | Sequence[str] | None = None,
        video: str | Path | Sequence[str | Path] | None = None,
        lengths: Lengths | None = None,
    ) -> dict[str, float] | BatchScores:
        """Score arrays or tensors.

        Inputs that the metric does not need are ignored. The values of a batch are those of its clips one at a time;
        a mean over them is not the corpus value of columns with another aggregate (see ``Column.aggregate``).

        Args:
            audio: speech, ``(n,)`` for one clip; zero-padded ``(B, n)`` or a list of ``(n,)`` for a batch. Arrays or
                tensors of any device, floating point, nominally in [-1, 1].
            reference: real speech in the same form, where the metric needs it.
            sample_rate: sample rate of both in Hz; other rates than the metric's are resampled.
            text: transcript of the clip, or one per clip, where the metric needs it.
            video: video file of the clip, or one per clip, where the metric needs it.
            lengths: samples of each row of ``(B, n)`` without padding, ``(B,)``, for audio and reference.

        Returns:
            For one clip, column name to value, NaN for a column that is undefined. For a batch, ``BatchScores``:
            column name to ``(B,)``, NaN where there is no value, with the reasons in ``failures`` and ``undefined``.

        Raises:
            ClipFailure: a single clip cannot be scored.
            ValueError: unsuitable shapes, or an input that the metric needs is missing.
        """
        from f2v_bench.metrics.arrays import is_single_clip, to_waveforms

        is_single = is_single_clip(audio)
        waves = to_waveforms(audio, sample_rate, self.sample_rate, lengths, "audio")
        references: Sequence[Waveform | None] = [None] * len(waves)
        if Need.REFERENCE in self.needs:
            if reference is None:
                raise ValueError(f"the metric '{self.name}' compares with real speech: pass reference")
            reference_lengths = None if isinstance(reference, Sequence) else lengths
            references = to_waveforms(reference, sample_rate, self.sample_rate, reference_lengths, "reference")
        texts = self._per_clip_input(Need.TEXT, text, len(waves))
        videos = self._per_clip_input(Need.VIDEO, video, len(waves))
        if not len(waves) == len(references) == len(texts) == len(videos):
            raise ValueError(
                f"{len(waves)} clips of audio, {len(references)} references, {len(texts)} texts and {len(videos)} "
                "videos do not match: pass one of each per clip"
            )
        outcomes = self._score_rows(list(zip(waves, references, texts, videos, strict=True)))
        if not is_single:
            return BatchScores(self.columns, outcomes)
        if isinstance(outcomes[0], ClipFailure):
            raise outcomes[0]
        return {column.name: outcomes[0].value(column.name) for column in self.columns}

    def _per_clip_input(
        self, need: Need, given: str | Path | Sequence[str | Path] | None, count: int
    ) -> Sequence[str | Path | None]:
        if need not in self.needs:
            return [None] * count
        if given is None:
            raise ValueError(f"the metric '{self.name}' compares with the {need}: pass {need}")
        return [given] if isinstance(given, str | Path) else list(given)

    def _score_rows(
        self, rows: Sequence[tuple[Waveform, Waveform | None, str | Path | None, str | Path | None]]
    ) -> list[Scores | ClipFailure]:
        outcomes: list[Scores | ClipFailure | None] = [None] * len(rows)
        valid: dict[int, Sample] = {}
        for at, (wave, reference, text, video) in enumerate(rows):
            try:
                valid[at] = Sample(
                    f"clip-{at}",
                    wave.validate("audio"),
                    reference.validate("reference") if reference else None,
                    None if text is None else str(text),
                    None if video is None else Path(video),
                )
            except ClipFailure as failure:
                outcomes[at] = failure.with_traceback(None)
        indices = list(valid)
        for first in range(0, len(indices), self.batch_size):
            part = indices[first : first + self.batch_size]
            for at, outcome in zip(part, self.score([valid[index] for index in part]), strict=True):
                outcomes[at] = outcome
        return [outcome for outcome in outcomes if outcome is not None]


def per_clip(batch: Sequence[Sample], score: Callable[[Sample], Scores]) -> list[Scores | ClipFailure]:
    """Score one sample at a time; a failed clip takes its place in the list and does not affect the others.

    Args:
        batch: samples to score.
        score: function that returns the scores of a sample or raises ClipFailure.
    """
    outcomes: list[Scores | ClipFailure] = []
    for sample in batch:
        try:
            outcomes.append(score(sample))
        except ClipFailure as failure:
            outcomes.append(failure.with_traceback(None))  # a traceback would keep the audio alive
    return outcomes


class PerClipMetric(Metric):
    """Metric that scores one clip at a time: subclasses define ``score_clip``."""

    @abstractmethod
    def score_clip(self, sample: Sample) -> Scores:
        """Return the scores of one clip.

        Args:
            sample: audio, and the inputs that the metric needs.

        Raises:
            ClipFailure: the clip cannot be scored.
        """

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        return per_clip(batch, self.score_clip)


class MetricUnavailable(Exception):
    """Error of a metric that cannot be computed on this machine: weights or a package are missing.

    Args:
        name: name of the metric.
        why: missing weights or package.
        do: instruction to get it.
    """

    def __init__(self, name: str, why: str, do: str) -> None:
        super().__init__(f"{name} is unavailable: {why}. {do}")
        self.name = name
        self.why = why
        self.do = do
