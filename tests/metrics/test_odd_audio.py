"""No file, however broken or odd, crashes or hangs a metric: it gets a finite value or a named failure."""

from __future__ import annotations

import faulthandler
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.media import read_audio
from f2v_bench.metrics.base import Metric, MetricOptions, Sample, Scores
from f2v_bench.metrics.mcd import MCD
from f2v_bench.metrics.rmse_f0 import RMSEF0
from tests.metrics.odd_audio import RATE, SECONDS, write_files
from tests.metrics.test_order import NAMES, metric_called

LIMIT_S = 60.0  # for one file and one metric, on a busy machine
FILES = 200
DEAR = frozenset({"dnsmos", "rmse_f0"})  # cost a second for ten of sound, or more
CHEAP = frozenset({"energy_rmse", "health", "mcd", "mel_distance", "pesq", "stoi"})


@contextmanager
def no_hang(what: str) -> Iterator[None]:
    """Fail slow calls; a call that never returns, in C code too, ends the run with its traceback."""
    faulthandler.dump_traceback_later(5 * LIMIT_S, exit=True)
    start = time.monotonic()
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert time.monotonic() - start < LIMIT_S, what


@pytest.fixture(scope="module")
def voice(speechlike) -> np.ndarray:
    return speechlike(SECONDS)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, voice) -> dict[str, Waveform | ClipFailure]:
    """Every file as the suite reads it, or why it cannot."""
    paths = write_files(tmp_path_factory.mktemp("odd"), voice, FILES)
    assert len({path.name for path in paths}) == FILES
    read: dict[str, Waveform | ClipFailure] = {}
    for path in paths:
        with no_hang(path.name):
            try:
                read[path.name] = read_audio(path, RATE)
            except ClipFailure as failure:
                read[path.name] = failure
    return read


def judge(metric: Metric, odd: dict[str, Waveform | ClipFailure], reference: np.ndarray) -> Counter[str]:
    """Score what could be read and count the outcomes; anything but finite values and named failures is an error."""
    counts: Counter[str] = Counter()
    hashes: set[str] = set()
    wrong: list[str] = []
    for name, audio in odd.items():
        if isinstance(audio, ClipFailure) or audio.sha256 in hashes:
            continue
        hashes.add(audio.sha256)
        sample = Sample(name, audio, Waveform(reference, RATE), "bin blue at f two now")
        with no_hang(f"{name} under {metric.name}"):
            try:
                [outcome] = metric.score([sample])
            except Exception as error:  # the point of the test: name every file that breaks a metric, not the first
                wrong.append(f"{name}: {type(error).__name__}: {error}")
                continue
        if isinstance(outcome, ClipFailure):
            counts[outcome.kind] += 1
            continue
        counts["ok"] += 1
        wrong += _faults(name, metric, outcome)
    assert not wrong, "\n".join(wrong)
    return counts


def _faults(name: str, metric: Metric, scores: Scores) -> list[str]:
    faults = []
    for column in metric.columns:
        value = scores.values.get(column.name)
        if value is None and not isinstance(scores.undefined.get(column.name), FailureKind):
            faults.append(f"{name}: {column.name} has neither value nor failure")
        if value is not None and not (math.isfinite(value) and column.lower <= value <= column.upper):
            faults.append(f"{name}: {column.name} is {value}")
    return faults


def test_every_file_is_audio_or_a_named_failure(odd) -> None:
    kinds = Counter(audio.kind if isinstance(audio, ClipFailure) else "ok" for audio in odd.values())
    assert sum(kinds.values()) == FILES
    assert kinds["ok"] > 80
    assert {FailureKind.UNREADABLE_AUDIO, FailureKind.NOT_FINITE, FailureKind.EMPTY_AUDIO} <= set(kinds)
    for name, audio in odd.items():
        if isinstance(audio, Waveform):
            assert audio.sample_rate == RATE
            assert np.isfinite(audio.samples).all(), name
            assert len(audio.samples), name
    for name in ("content-nan-one.wav", "content-inf-negative.wav", "content-nan-all.wav"):
        assert isinstance(odd[name], ClipFailure)
        assert odd[name].kind is FailureKind.NOT_FINITE


@pytest.mark.parametrize("name", ["channels-6.wav", "channels-6.flac", "subtype-PCM_24.wav", "subtype-DOUBLE.wav"])
def test_odd_encodings_of_the_voice_are_the_voice(odd, voice, name: str) -> None:
    assert isinstance(odd[name], Waveform)
    np.testing.assert_allclose(odd[name].samples, voice, atol=1e-4)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in CHEAP else pytest.mark.slow) for n in NAMES])
def test_every_metric_survives(name: str, odd, voice) -> None:
    counts = judge(metric_called(name), odd, voice)
    assert counts["ok"] >= 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "preset"), [(MCD, "espnet"), (MCD, "versa"), (RMSEF0, "espnet-logf0-dtw"), (RMSEF0, "versa")]
)
def test_every_preset_survives(metric: type[Metric], preset: str, odd, voice) -> None:
    assert judge(metric(MetricOptions(settings={"preset": preset})), odd, voice)["ok"] >= 20


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_minutes(name: str, voice, tmp_path: Path) -> None:
    import soundfile

    long = np.tile(voice, 180 if name in DEAR else 600)
    soundfile.write(tmp_path / "long.wav", long, RATE, subtype="FLOAT")
    metric = metric_called(name)
    start = time.monotonic()
    read = read_audio(tmp_path / "long.wav", RATE)
    noisy = (long + 0.01 * np.random.default_rng(0).standard_normal(len(long))).astype(np.float32)
    [outcome] = metric.score([Sample("long", read, Waveform(noisy, RATE), "bin blue at f two now")])
    assert time.monotonic() - start < 20 * LIMIT_S
    if isinstance(outcome, Scores):
        assert not _faults("long.wav", metric, outcome)
    else:
        assert outcome.kind is FailureKind.TOO_LONG
