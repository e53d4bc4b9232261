"""Metrics for training loops, with the interface of torchmetrics: ``update``, ``compute`` and ``reset``.

TorchMetric is a plain class and needs no torchmetrics. A Lightning module keeps it as an attribute, calls ``update``
in ``validation_step``, and logs ``compute()`` at the end of the epoch:

    self.stoi = TorchMetric(STOI())
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
from f2v_bench.metrics.aggregation import UnitSums, sum_units
from f2v_bench.metrics.arrays import to_waveforms
from f2v_bench.metrics.base import Metric, Need, Sample

if TYPE_CHECKING:
    import torch


class TorchMetric:
    """Metric over batches of tensors.

    Under ``torch.distributed`` each process updates its own clips, and ``compute`` sums over all processes.

    Args:
        metric: metric that needs no video.
        sample_rate: sample rate of the tensors in Hz; None takes the metric's.

    Attributes:
        failures: failure kind to the number of clips of this process that have no value for that reason.

    Raises:
        ValueError: the metric needs video.
    """

    def __init__(self, metric: Metric, sample_rate: int | None = None) -> None:
        if Need.VIDEO in metric.needs:
            raise ValueError(f"the metric '{metric.name}' needs the video: score a run instead")
        self.metric = metric
        self.sample_rate = metric.sample_rate if sample_rate is None else sample_rate
        self.reset()

    def reset(self) -> None:
        """Drop all clips of earlier updates."""
        self._sums = [[0.0, 0.0] for _ in self.metric.columns]  # numerator and denominator of each aggregate
        self._scored = [0 for _ in self.metric.columns]
        self._clips = 0
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
            lengths: samples of each clip without padding, ``(B,)``; None takes the full rows.
            reference: real speech, ``(B, m)``, at the same rate.
            reference_lengths: samples of each reference without padding, ``(B,)``; None takes ``lengths``.
            text: transcript of each clip, ``(B,)``.

        Raises:
            ValueError: unsuitable shapes, or an input that the metric needs is missing.
        """
        waves = self._waveforms(audio, lengths, "audio")
        references: list[Waveform] | list[None] = [None] * len(waves)
        if Need.REFERENCE in self.metric.needs:
            if reference is None:
                raise ValueError(f"the metric '{self.metric.name}' compares with real speech: pass reference")
            reference_lengths = lengths if reference_lengths is None else reference_lengths
            references = self._waveforms(reference, reference_lengths, "reference")
        if Need.TEXT in self.metric.needs and text is None:
            raise ValueError(f"the metric '{self.metric.name}' compares with the transcript: pass text")
        texts = list(text) if text is not None else [None] * len(waves)
        if not len(waves) == len(references) == len(texts):
            raise ValueError(
                f"{len(waves)} clips of audio, {len(references)} references and {len(texts)} texts do not match"
            )
        samples = []
        for at, (wave, real, transcript) in enumerate(zip(waves, references, texts, strict=True)):
            try:
                valid = real.validate("reference") if real else None
                samples.append(Sample(f"batch/{self._clips + at}", wave.validate("audio"), valid, transcript))
            except ClipFailure as failure:
                self.failures[failure.kind] += 1
        self._clips += len(waves)
        self._add(samples)

    def _waveforms(
        self, audio: torch.Tensor, lengths: Sequence[int] | torch.Tensor | None, name: str
    ) -> list[Waveform]:
        if audio.ndim != 2:
            raise ValueError(f"{name} must be (B, n), got {tuple(audio.shape)}")
        return to_waveforms(audio, self.sample_rate, self.metric.sample_rate, lengths, name)

    def _add(self, samples: Sequence[Sample]) -> None:
        for outcome in self.metric.score(samples) if samples else []:
            if isinstance(outcome, ClipFailure):
                self.failures[outcome.kind] += 1
                continue
            for at, column in enumerate(self.metric.columns):
                value = outcome.value(column.name)
                if math.isnan(value):
                    self.failures[outcome.undefined.get(column.name, FailureKind.NOT_FINITE)] += 1
                    continue
                sums = sum_units([value], [outcome.weights.get(column.name, 1.0)], [""], column.aggregate)
                self._sums[at][0] += float(sums.numerators[0])
                self._sums[at][1] += float(sums.denominators[0])
                self._scored[at] += 1

    def compute(self) -> dict[str, torch.Tensor]:
        """Return the aggregate of all clips since the last reset, over all processes.

        Returns:
            Column name to a float32 scalar, NaN where no clip has a value; and ``<column>_coverage``, the share of
            clips that have one, 0 to 1.
        """
        import numpy as np
        import torch

        state = torch.tensor(
            [[*sums, scored, self._clips] for sums, scored in zip(self._sums, self._scored, strict=True)],
            dtype=torch.float64,
        )
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            if torch.distributed.get_backend() == "nccl":
                state = state.cuda()
            torch.distributed.all_reduce(state)
        computed: dict[str, torch.Tensor] = {}
        for column, (numerator, denominator, scored, clips) in zip(self.metric.columns, state.tolist(), strict=True):
            sums = UnitSums(np.array([numerator]), np.array([denominator]), column.aggregate == "rms", "clips")
            value = float("nan") if sums.value is None else sums.value
            computed[column.name] = torch.tensor(value, dtype=torch.float32)
            computed[f"{column.name}_coverage"] = torch.tensor(scored / clips if clips else 0.0, dtype=torch.float32)
        return computed
