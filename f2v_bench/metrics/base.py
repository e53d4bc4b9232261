"""What a metric is: it turns waveforms, and what it compares them with, into named values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind


class Need(StrEnum):
    """What a metric compares the audio with."""

    REFERENCE = "reference"
    TEXT = "text"
    VIDEO = "video"


class Aggregate(StrEnum):
    """How a column's clip values become one number; every value carries a weight (1 unless the metric says)."""

    MEAN = "mean"  # mean of clip values, weights ignored
    RATIO = "ratio"  # sum(weight * value) / sum(weight): corpus WER, with reference words as weights
    RMS = "rms"  # sqrt(sum(weight * value^2) / sum(weight)): RMSE pooled over frames


@dataclass(frozen=True, slots=True)
class Column:
    """One named value of a metric.

    Attributes:
        name: unique over all metrics; what tables, ``--sort`` and the run folder call it.
        label: the heading in tables.
        unit: ``Hz``, ``%``, ``MOS`` or empty.
        higher_is_better: the direction, or None where neither end is better.
        lower, upper: the range of possible values.
        aggregate: how clips become one number.
        scale: what a table multiplies by (100 for ratios shown in per cent).
        digits: decimals in tables.
        headline: shown in the default table; others on ``--all-columns``.
        definition: one sentence.
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
    """What a metric is given for one clip.

    Attributes:
        clip_id: of the clip.
        audio: the system's waveform at the metric's sample rate, finite and not empty.
        reference: the real speech at that rate, where the metric needs it.
        text: the transcript as the corpus writes it.
        video: the file with the picture.
    """

    clip_id: str
    audio: Waveform
    reference: Waveform | None = None
    text: str | None = None
    video: Path | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """What a metric says of one clip.

    Attributes:
        values: column name to value; a column that is undefined for this clip is left out and named in ``undefined``.
        weights: column name to weight, where it is not 1.
        undefined: column name to the kind of failure, for columns that have no value here.
        detail: what a person wants to see beside the number: hypothesis text, counts, flags.
    """

    values: Mapping[str, float]
    weights: Mapping[str, float] = field(default_factory=dict)
    undefined: Mapping[str, FailureKind] = field(default_factory=dict)
    detail: Mapping[str, str | float | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MetricOptions:
    """What a command line and the dataset say to a metric.

    Attributes:
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        grammar: the corpus's JSGF grammar, or None where speech is open.
        settings: the metric's own options, for example ``{"compat": "all-segments"}``.
    """

    device: str = "cpu"
    grammar: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


class Metric(ABC):
    """A pure function made into named values with a unit, a direction and a signature.

    The constructor takes MetricOptions and raises MetricUnavailable where weights or a package are missing;
    models are loaded on the first ``score``.
    """

    name: ClassVar[str]
    columns: tuple[Column, ...]
    needs: ClassVar[frozenset[Need]]
    sample_rate: ClassVar[int]
    deterministic: ClassVar[bool] = True
    #: whether it computes on ``options.device``; on a GPU it then stays in the main process, beside the pool's
    on_device: ClassVar[bool] = False
    #: how many clips one call to ``score`` should be given at most
    batch_size: int = 16

    def __init__(self, options: MetricOptions) -> None:
        self.options = options

    @property
    @abstractmethod
    def signature(self) -> str:
        """Everything that decides the number: model and revision, options, normaliser, resampler, aggregation.

        ``key:value`` pairs joined by ``|``, as sacreBLEU prints them; equal signatures, comparable numbers.
        """

    @abstractmethod
    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        """Scores, or the reason why there are none, for each sample, in order; a batch equals one by one."""


class MetricUnavailable(Exception):
    """A metric cannot be computed here: weights or a package are missing.

    Args:
        name: the metric.
        why: what is missing.
        do: what to do about it.
    """

    def __init__(self, name: str, why: str, do: str) -> None:
        super().__init__(f"{name} is unavailable: {why}. {do}")
        self.name = name
        self.why = why
        self.do = do
