"""Any metric of the suite inside a training loop, with the three methods that torchmetrics made customary.

A plain class: torchmetrics is no dependency, and whatever calls ``update``, ``compute`` and ``reset`` can use it. A
Lightning module keeps it as an attribute, calls ``update`` in ``validation_step``, and logs ``compute()`` at the end
of the epoch:

    self.stoi = TorchMetric(STOI(MetricOptions()))
    self.stoi.update(audio, lengths, reference=reference)
    self.log_dict(self.stoi.compute())
    self.stoi.reset()
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media import resample
from f2v_bench.metrics.aggregation import Sums, unit_sums
from f2v_bench.metrics.base import Metric, Need, Sample

if TYPE_CHECKING:
    import torch


class TorchMetric:
    """A metric over batches of tensors.

    Under ``torch.distributed`` every process updates its own clips, and ``compute`` adds up all of them.

    Args:
        metric: any metric that needs no video.
        sample_rate: of the tensors that ``update`` is given; the metric's own unless told.

    Attributes:
        failures: failure kind to the count of this process's clips that have no value for that reason.

    Raises:
        ValueError: the metric needs video, which a batch of audio does not have.
    """

    def __init__(self, metric: Metric, sample_rate: int | None = None) -> None:
        if Need.VIDEO in metric.needs:
            raise ValueError(f"the metric '{metric.name}' needs the video: score a run instead")
        self.metric = metric
        self.sample_rate = metric.sample_rate if sample_rate is None else sample_rate
        self.reset()

    def reset(self) -> None:
        """Forget everything that was seen."""
        self._sums = [[0.0, 0.0] for _ in self.metric.columns]  # numerator and denominator of every aggregate
        self._scored = [0 for _ in self.metric.columns]
        self._seen = 0
        self.failures: Counter[str] = Counter()

    def update(
        self,
        audio: torch.Tensor,
        lengths: Sequence[int] | torch.Tensor | None = None,
        *,
        reference: torch.Tensor | None = None,
        reference_lengths: Sequence[int] | torch.Tensor | None = None,
        text: Sequence[str] | None = None,
    ) -> None:
        """Score a batch.

        Args:
            audio: speech, ``(B, n)``, any float type on any device, nominally in [-1, 1].
            lengths: samples of each clip, ``(B,)``; what lies beyond is padding. None takes the whole rows.
            reference: the real speech, ``(B, m)``, at the same rate.
            reference_lengths: of the reference; ``lengths`` unless told.
            text: the transcript of each clip, ``(B,)``.

        Raises:
            ValueError: shapes that do not fit, or something that the metric needs and was not given.
        """
        waves = self._waveforms(audio, lengths, "audio")
        real: list[Waveform] | list[None] = [None] * len(waves)
        if Need.REFERENCE in self.metric.needs:
            if reference is None:
                raise ValueError(f"the metric '{self.metric.name}' compares with the real speech: give reference")
            real = self._waveforms(reference, lengths if reference_lengths is None else reference_lengths, "reference")
        if Need.TEXT in self.metric.needs and text is None:
            raise ValueError(f"the metric '{self.metric.name}' compares with the transcript: give text")
        texts = list(text) if text is not None else [None] * len(waves)
        if not len(waves) == len(real) == len(texts):
            raise ValueError(f"{len(waves)} clips of audio, {len(real)} references and {len(texts)} texts do not match")
        samples = []
        for at, (wave, other, words) in enumerate(zip(waves, real, texts, strict=True)):
            try:
                checked = other.validate("reference") if other else None
                samples.append(Sample(f"batch/{self._seen + at}", wave.validate("audio"), checked, words))
            except ClipFailure as failure:
                self.failures[failure.kind] += 1
        self._seen += len(waves)
        self._add(samples)

    def _waveforms(
        self, audio: torch.Tensor, lengths: Sequence[int] | torch.Tensor | None, name: str
    ) -> list[Waveform]:
        import numpy as np

        if audio.ndim != 2:
            raise ValueError(f"{name} must be (B, n), got {tuple(audio.shape)}")
        rows = audio.detach().float().cpu().numpy()
        ends = [rows.shape[1]] * len(rows) if lengths is None else [int(length) for length in lengths]
        if len(ends) != len(rows) or not all(0 <= end <= rows.shape[1] for end in ends):
            raise ValueError(f"lengths of {name} must be {len(rows)} numbers up to {rows.shape[1]}, got {ends}")
        rate = self.metric.sample_rate
        cut = [np.ascontiguousarray(row[:end]) for row, end in zip(rows, ends, strict=True)]
        if rate != self.sample_rate:
            cut = [resample(samples, self.sample_rate, rate) if len(samples) else samples for samples in cut]
        return [Waveform(samples, rate) for samples in cut]

    def _add(self, samples: Sequence[Sample]) -> None:
        for outcome in self.metric.score(samples) if samples else []:
            if isinstance(outcome, ClipFailure):
                self.failures[outcome.kind] += 1
                continue
            for at, column in enumerate(self.metric.columns):
                value = outcome.values.get(column.name, math.nan)
                if not math.isfinite(value):
                    self.failures[outcome.undefined.get(column.name, FailureKind.NOT_FINITE)] += 1
                    continue
                one = unit_sums([value], [outcome.weights.get(column.name, 1.0)], [""], column.aggregate)
                self._sums[at][0] += float(one.tops[0])
                self._sums[at][1] += float(one.bottoms[0])
                self._scored[at] += 1

    def compute(self) -> dict[str, torch.Tensor]:
        """The aggregate of everything since the last reset, over all processes.

        Returns:
            Column name to a float32 scalar, NaN where no clip has a value; and ``<column>_coverage``, the share of
            clips that have one, 0 to 1.
        """
        import numpy as np
        import torch

        state = torch.tensor(
            [[*sums, scored, self._seen] for sums, scored in zip(self._sums, self._scored, strict=True)],
            dtype=torch.float64,
        )
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            if torch.distributed.get_backend() == "nccl":
                state = state.cuda()
            torch.distributed.all_reduce(state)
        computed: dict[str, torch.Tensor] = {}
        for column, (top, bottom, scored, seen) in zip(self.metric.columns, state.tolist(), strict=True):
            total = Sums(np.array([top]), np.array([bottom]), column.aggregate == "rms", "clips")
            value = float("nan") if total.value is None else total.value
            computed[column.name] = torch.tensor(value, dtype=torch.float32)
            computed[f"{column.name}_coverage"] = torch.tensor(scored / seen if seen else 0.0, dtype=torch.float32)
        return computed
