"""UTMOS: mean opinion score of naturalness, predicted without a reference.

Saeki et al., "UTMOS: UTokyo-SaruLab system for VoiceMOS Challenge 2022" (Interspeech 2022), the strong learner without
phonemes. The waveform is not normalized: loudness and trailing silence affect the score. Real speech is no upper bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from f2v_bench.assets import AssetMissing, file_sha256, require_asset
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics import common
from f2v_bench.metrics.base import Column, Metric, MetricOptions, MetricUnavailable, Sample, Scores
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from f2v_bench.nn.mos.utmos import UTMOS22Strong

ASSET = "utmos22-strong"
MIN_SAMPLES = 400  # 25 ms, one frame of the network
MAX_SECONDS = 60  # trained on at most 10 s; the first layer alone takes 6.5 MB a second
BUDGET_S = {"cpu": 20, "cuda": 320}  # padded seconds in one batch of the network


def utmos(clips: Sequence[NDArray[np.float32]], network: UTMOS22Strong, device: str = "cpu") -> list[float]:
    """Return predicted mean opinion scores; the score of a clip does not depend on its batch, within 1e-5.

    Args:
        clips: waveforms at 16 kHz, float32 ``(n,)`` each, at least 400 samples.
        network: network of ``nn.mos.utmos.load_utmos``, on ``device``.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        One score per clip, in order, about 1 to 5, not clipped.

    Raises:
        ValueError: a clip below 400 samples.
    """
    from f2v_bench.nn.layers.masking import length_batches, pad_sequences
    from f2v_bench.nn.layers.precision import reference_precision

    lengths = [len(clip) for clip in clips]
    if lengths and min(lengths) < MIN_SAMPLES:
        raise ValueError(f"UTMOS needs at least {MIN_SAMPLES} samples, got {min(lengths)}")
    scores = [0.0] * len(clips)
    budget = BUDGET_S[device.partition(":")[0]] * SAMPLE_RATE
    with reference_precision():
        for group in length_batches(lengths, budget):
            predictions = network(*pad_sequences([clips[at] for at in group], device)).tolist()
            for at, score in zip(group, predictions, strict=True):
                scores[at] = score
    return scores


class UTMOS(Metric):
    """Mean opinion score of the UTMOS22 strong learner."""

    name = "utmos"
    needs = frozenset()
    sample_rate = SAMPLE_RATE
    on_device = True
    batch_size = 64
    columns = (
        Column(
            "utmos",
            "UTMOS",
            "MOS",
            higher_is_better=True,
            lower=1,
            upper=5,
            definition="UTMOS22 strong learner: predicted mean opinion score of naturalness.",
        ),
    )

    def __init__(self, options: MetricOptions | None = None) -> None:
        super().__init__(options)
        common.parse_settings(self.options, self.name, {})
        try:
            self._weights = require_asset(ASSET)
        except AssetMissing as missing:
            raise MetricUnavailable(self.name, missing.what, missing.do) from missing

    @cached_property
    def _network(self) -> UTMOS22Strong:
        from f2v_bench.nn.mos.utmos import load_utmos

        return load_utmos(self._weights, f"fetch it again: f2v-bench assets pull {ASSET}", self.options.device)

    @cached_property  # the file's hash takes a second
    def signature(self) -> str:
        return common.signature(
            "utmos:v1",
            f"model:utmos22-strong-no-phoneme-{file_sha256(self._weights)[:12]}",
            "batches:masked",
            "precision:fp32",
            "gain:none",
            f"longest:{MAX_SECONDS}s",
            aggregate="clip-mean",
        )

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        return common.score_valid(batch, _check, self._score_checked)

    def _score_checked(self, batch: Sequence[Sample]) -> list[Scores]:
        scores = utmos([sample.audio.samples for sample in batch], self._network, self.options.device)
        return [Scores({"utmos": score}) for score in scores]


def _check(sample: Sample) -> None:
    """Raise ClipFailure for a clip that cannot be scored."""
    samples = sample.audio.samples
    common.require_sound(samples, "audio")
    if len(samples) < MIN_SAMPLES:
        raise ClipFailure(FailureKind.TOO_SHORT, f"{len(samples)} samples: UTMOS needs {MIN_SAMPLES} (25 ms)")
    if sample.audio.duration_s > MAX_SECONDS:
        raise ClipFailure(
            FailureKind.TOO_LONG,
            f"{sample.audio.duration_s:.1f} s: UTMOS takes at most {MAX_SECONDS} s (trained on 10 s)",
        )
