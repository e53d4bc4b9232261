"""What several metrics share: what counts as silence, pairing with the reference, settings, signatures."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind, suggest
from f2v_bench.media import RESAMPLER
from f2v_bench.metrics.base import Column, MetricOptions, Sample, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

SILENCE_DBFS = -60.0  # a clip whose loudest frame stays below is silent; 16-bit rounding noise lies at -101
SILENCE_FRAME = 320  # samples, 20 ms
MAX_MISMATCH_S = 0.1  # output and reference share the video's clock; further apart they are not the same clip


def peak_level(samples: NDArray[np.float32]) -> float:
    """RMS of the loudest 20 ms of float32 ``(n,)``, mean removed, in dB relative to full scale (-inf for zeros)."""
    centred = samples.astype(np.float64) - samples.mean(dtype=np.float64)
    frames = np.pad(centred, (0, -len(centred) % SILENCE_FRAME)).reshape(-1, SILENCE_FRAME)
    power = float(np.square(frames).mean(axis=1).max())
    return 10 * float(np.log10(power)) if power > 0 else float("-inf")


def require_sound(samples: NDArray[np.float32], name: str) -> None:
    """Fail the clip with ``silent`` where ``samples`` never exceed -60 dBFS: no score is meant for that."""
    level = peak_level(samples)
    if level < SILENCE_DBFS:
        raise ClipFailure(
            FailureKind.SILENT, f"the {name}'s loudest 20 ms have {level:.1f} dBFS RMS, below {SILENCE_DBFS:g}"
        )


def require_same_duration(audio_s: float, reference_s: float) -> None:
    """Fail the clip with ``duration_mismatch`` where the two differ by more than 100 ms."""
    if abs(audio_s - reference_s) > MAX_MISMATCH_S + 1e-9:
        raise ClipFailure(
            FailureKind.DURATION_MISMATCH,
            f"the audio lasts {audio_s:.3f} s, the reference {reference_s:.3f} s, "
            f"more than {MAX_MISMATCH_S * 1000:g} ms apart",
        )


def require_reference(sample: Sample) -> Waveform:
    """The real speech, or a ClipFailure ``no_audio``."""
    if sample.reference is None:
        raise ClipFailure(FailureKind.NO_AUDIO, f"clip '{sample.clip_id}' has no reference audio")
    return sample.reference


def aligned_pair(sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Audio and reference, both sounding, cut to the shorter: two float32 ``(n,)``.

    Raises:
        ClipFailure: ``duration_mismatch``, ``silent``, or ``no_audio`` where there is no reference.
    """
    real = require_reference(sample)
    require_same_duration(sample.audio.duration_s, real.duration_s)
    length = min(len(sample.audio.samples), len(real.samples))
    audio, reference = sample.audio.samples[:length], real.samples[:length]
    require_sound(audio, "audio")
    require_sound(reference, "reference")
    return audio, reference


def error_column(name: str, label: str, unit: str, definition: str, *, headline: bool = True) -> Column:
    """A column of an error: 0 is perfect, and there is no largest."""
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


def per_clip(batch: Sequence[Sample], score: Callable[[Sample], Scores]) -> list[Scores | ClipFailure]:
    """Score each sample by itself; a failed clip takes its place in the list and leaves the others alone."""
    outcomes: list[Scores | ClipFailure] = []
    for sample in batch:
        try:
            outcomes.append(score(sample))
        except ClipFailure as failure:
            outcomes.append(failure.with_traceback(None))  # a traceback would keep the audio alive
    return outcomes


def score_valid(
    batch: Sequence[Sample],
    check: Callable[[Sample], Scores],
    score: Callable[[Sequence[Sample]], Sequence[Scores | ClipFailure]],
) -> list[Scores | ClipFailure]:
    """Score at once all samples that pass a check; a failed clip takes its place in the list as in ``per_clip``.

    Args:
        batch: the samples.
        check: raises ClipFailure for a sample that cannot have a score; what it returns is not looked at.
        score: of those that can, in order; not called where there is none.
    """
    outcomes = per_clip(batch, check)
    fit = [sample for sample, outcome in zip(batch, outcomes, strict=True) if isinstance(outcome, Scores)]
    scored = iter(score(fit) if fit else [])
    return [next(scored) if isinstance(outcome, Scores) else outcome for outcome in outcomes]


def parse_settings(options: MetricOptions, metric: str, allowed: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """A metric's settings, with the first allowed value where nothing is said.

    Args:
        options: of the metric.
        metric: its name, for messages.
        allowed: setting name to values; an empty sequence takes any value and defaults to an empty string.

    Raises:
        F2VError: an unknown setting or value.
    """
    for key, value in options.settings.items():
        if key not in allowed:
            raise F2VError(f"the metric '{metric}' has no setting '{key}'", suggest(key, allowed))
        if allowed[key] and value not in allowed[key]:
            raise F2VError(
                f"'{value}' is no value of {metric}'s setting '{key}'", suggest(value, filter(None, allowed[key]))
            )
    return {key: options.settings.get(key, values[0] if values else "") for key, values in allowed.items()}


def signature(*pairs: str, packages: Sequence[str] = (), aggregate: str) -> str:
    """``key:value`` pairs joined by ``|``; package versions, the common gates and the resampler at the end."""
    shared = (f"resample:{RESAMPLER}", f"silence:{SILENCE_DBFS:g}dBFS", f"aggregate:{aggregate}")
    return "|".join((*pairs, *(f"{name}:{version(name)}" for name in packages), *shared))


def usable_threads() -> int:
    """Threads for one model: ``$OMP_NUM_THREADS`` where a pool of workers sets it, else the cores we may use."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    if stated.isdecimal() and int(stated) > 0:
        return int(stated)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
