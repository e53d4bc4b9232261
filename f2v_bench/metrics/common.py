"""Shared parts of metrics: silence, pairing with the reference, settings, signatures."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind, suggest
from f2v_bench.media import RESAMPLER
from f2v_bench.metrics.base import Column, MetricOptions, Sample, Scores, per_clip

if TYPE_CHECKING:
    from numpy.typing import NDArray

SILENCE_DBFS = -60.0  # a clip whose loudest frame is below is silent; 16-bit rounding noise lies at -101
SILENCE_FRAME = 320  # samples, 20 ms
MAX_MISMATCH_S = 0.1  # output and reference share the clock of the video: a larger difference means another clip


def peak_level(samples: NDArray[np.float32]) -> float:
    """Return the RMS of the loudest 20 ms in dB of full scale, mean removed; -inf for zeros.

    Args:
        samples: waveform at 16 kHz, float32 ``(n,)``.
    """
    centered = samples.astype(np.float64) - samples.mean(dtype=np.float64)
    frames = np.pad(centered, (0, -len(centered) % SILENCE_FRAME)).reshape(-1, SILENCE_FRAME)
    power = float(np.square(frames).mean(axis=1).max())
    return 10 * float(np.log10(power)) if power > 0 else float("-inf")


def require_sound(samples: NDArray[np.float32], name: str) -> None:
    """Raise ClipFailure ``silent`` where ``samples`` never exceed -60 dBFS: no metric is defined for silence."""
    level = peak_level(samples)
    if level < SILENCE_DBFS:
        raise ClipFailure(
            FailureKind.SILENT, f"the {name}'s loudest 20 ms have {level:.1f} dBFS RMS, below {SILENCE_DBFS:g}"
        )


def require_same_duration(audio_s: float, reference_s: float) -> None:
    """Raise ClipFailure ``duration_mismatch`` where the two durations differ by more than 100 ms."""
    if abs(audio_s - reference_s) > MAX_MISMATCH_S + 1e-9:
        raise ClipFailure(
            FailureKind.DURATION_MISMATCH,
            f"the audio lasts {audio_s:.3f} s, the reference {reference_s:.3f} s, "
            f"more than {MAX_MISMATCH_S * 1000:g} ms apart",
        )


def require_reference(sample: Sample) -> Waveform:
    """Return the real speech.

    Raises:
        ClipFailure: ``no_audio`` where there is none.
    """
    if sample.reference is None:
        raise ClipFailure(FailureKind.NO_AUDIO, f"clip '{sample.clip_id}' has no reference audio")
    return sample.reference


def aligned_pair(sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return audio and reference, cut to the shorter and both above the silence threshold, float32 ``(n,)``.

    Raises:
        ClipFailure: ``duration_mismatch``, ``silent``, or ``no_audio`` where there is no reference.
    """
    waveform = require_reference(sample)
    require_same_duration(sample.audio.duration_s, waveform.duration_s)
    length = min(len(sample.audio.samples), len(waveform.samples))
    audio, reference = sample.audio.samples[:length], waveform.samples[:length]
    require_sound(audio, "audio")
    require_sound(reference, "reference")
    return audio, reference


def error_column(name: str, label: str, unit: str, definition: str, *, headline: bool = True) -> Column:
    """Return a column of an error: lower is better, from 0 to infinity."""
    return Column(
        name,
        label,
        unit,
        higher_is_better=False,
        lower=0,
        upper=float("inf"),
        headline=headline,
        definition=definition,
    )


def score_valid(
    batch: Sequence[Sample],
    check: Callable[[Sample], None],
    score: Callable[[Sequence[Sample]], Sequence[Scores | ClipFailure]],
) -> list[Scores | ClipFailure]:
    """Score all samples that pass a check in one call; a failed clip takes its place in the list.

    Args:
        batch: samples to score.
        check: function that raises ClipFailure for a sample that cannot be scored.
        score: function that scores the valid samples, in order; not called without any.
    """

    def checked(sample: Sample) -> Scores:
        check(sample)
        return Scores({})

    outcomes = per_clip(batch, checked)
    valid = [sample for sample, outcome in zip(batch, outcomes, strict=True) if isinstance(outcome, Scores)]
    scored = iter(score(valid) if valid else [])
    return [next(scored) if isinstance(outcome, Scores) else outcome for outcome in outcomes]


def parse_settings(
    options: MetricOptions,
    metric: str,
    allowed: Mapping[str, Sequence[str]],
    renamed: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the settings of a metric, each with its first allowed value as default.

    Args:
        options: options of the metric.
        metric: name of the metric, for messages.
        allowed: setting name to values; an empty sequence allows any value and defaults to an empty string.
        renamed: earlier setting name to present one.

    Raises:
        F2VError: an unknown setting or value.
    """
    settings = {(renamed or {}).get(key, key): value for key, value in options.settings.items()}
    for key, value in settings.items():
        if key not in allowed:
            raise F2VError(f"the metric '{metric}' has no setting '{key}'", suggest(key, allowed))
        if allowed[key] and value not in allowed[key]:
            raise F2VError(
                f"'{value}' is no value of {metric}'s setting '{key}'", suggest(value, filter(None, allowed[key]))
            )
    return {key: settings.get(key, values[0] if values else "") for key, values in allowed.items()}


def signature(*pairs: str, packages: Sequence[str] = (), aggregate: str) -> str:
    """Return ``key:value`` pairs joined by ``|``, followed by package versions, resampler, silence and aggregate."""
    shared = (f"resample:{RESAMPLER}", f"silence:{SILENCE_DBFS:g}dBFS", f"aggregate:{aggregate}")
    return "|".join((*pairs, *(f"{name}:{version(name)}" for name in packages), *shared))


def usable_threads() -> int:
    """Return the threads for one model: ``$OMP_NUM_THREADS``, as set for pool workers, else the available cores."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    if stated.isdecimal() and int(stated) > 0:
        return int(stated)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
