from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.metrics import rmse_f0
from f2v_bench.metrics.base import MetricOptions, Scores
from f2v_bench.metrics.rmse_f0 import RMSEF0, f0_errors
from f2v_bench.signal.f0 import f0_contour


def contour(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_errors_of_a_small_example() -> None:
    errors = f0_errors(contour(110, 0, 200, 250, 0, 99), contour(100, 100, 0, 200, 0))
    assert (errors.frames, errors.voicing) == (5, 2)  # frame 5 is cut; frames 1 and 2 disagree
    assert errors.pitch is not None
    assert errors.pitch.frames == 2
    assert errors.pitch.rmse_hz == pytest.approx(np.sqrt((10**2 + 50**2) / 2))
    cents = [1200 * np.log2(1.1), 1200 * np.log2(1.25)]
    assert errors.pitch.rmse_cents == pytest.approx(np.sqrt(np.mean(np.square(cents))))
    assert errors.pitch.median_hz == pytest.approx(30)
    assert errors.pitch.gross == 1  # 25 % is gross, 10 % is not


def test_twenty_per_cent_is_not_yet_gross() -> None:
    errors = f0_errors(contour(120, 80, 121), contour(100, 100, 100))
    assert errors.pitch is not None
    assert errors.pitch.gross == 1


def test_without_a_covoiced_frame_there_is_no_pitch_error() -> None:
    errors = f0_errors(contour(100, 0), contour(0, 100))
    assert (errors.pitch, errors.voicing, errors.frames) == (None, 2, 2)
    assert f0_errors(contour(0, 0), contour(0, 0)) == rmse_f0.F0Errors(None, 0, 2)
    with pytest.raises(ValueError, match="at least one frame"):
        f0_errors(contour(), contour(100))


def test_identical_audio_is_perfect(speechlike, sample) -> None:
    audio = speechlike(1.0)
    [scores] = RMSEF0(MetricOptions()).score([sample(audio, audio)])
    assert isinstance(scores, Scores)
    covoiced = scores.values["covoiced"]
    assert scores.values == {
        **dict.fromkeys(("rmse_f0", "rmse_f0_pooled", "f0_median", "f0_cents", "gpe", "vde", "ffe"), 0.0),
        "covoiced": covoiced,
    }
    assert 0.2 < covoiced <= 1
    assert scores.weights == {"rmse_f0_pooled": scores.detail["covoiced_frames"]}


def test_a_raised_voice_shows_in_hz_and_cents(speechlike, sample) -> None:
    metric = RMSEF0(MetricOptions())
    low, high = speechlike(1.0, pitch=120.0), speechlike(1.0, pitch=120.0 * 2 ** (3 / 12))
    [scores] = metric.score([sample(high, low)])
    assert isinstance(scores, Scores)
    assert scores.values["f0_cents"] == pytest.approx(300, abs=15)
    assert scores.values["rmse_f0"] == pytest.approx(120 * (2 ** (3 / 12) - 1), rel=0.1)
    assert scores.values["gpe"] < 0.05  # three semitones are 19 %
    [swapped] = metric.score([sample(low, high)])
    assert isinstance(swapped, Scores)
    assert swapped.values["rmse_f0"] == scores.values["rmse_f0"]
    assert swapped.values["vde"] == scores.values["vde"]


def test_gain_does_not_matter(speechlike, sample) -> None:
    metric = RMSEF0(MetricOptions())
    audio, reference = speechlike(1.0, pitch=150.0, seed=1), speechlike(1.0)
    [full] = metric.score([sample(audio, reference)])
    [quarter] = metric.score([sample(audio * np.float32(0.25), reference)])
    assert full == quarter


def test_an_octave_error_moves_the_mean_and_not_the_median() -> None:
    real = np.full(100, 120.0)
    ours = real + 3
    ours[:20] = 240
    pitch = f0_errors(ours, real).pitch
    assert pitch is not None
    assert pitch.median_hz == pytest.approx(3)
    assert pitch.rmse_hz > 50


def test_whispering_has_voicing_errors_but_no_pitch_errors(speechlike, sample) -> None:
    whisper = (np.random.default_rng(1).standard_normal(16_000) * 0.05).astype(np.float32)
    whisper_f0, _ = f0_contour(whisper, 16_000)
    assert not whisper_f0.any()
    [scores] = RMSEF0(MetricOptions()).score([sample(whisper, speechlike(1.0))])
    assert isinstance(scores, Scores)
    pitch = ("rmse_f0", "rmse_f0_pooled", "f0_median", "f0_cents", "gpe")
    assert scores.undefined == dict.fromkeys(pitch, FailureKind.NO_VOICED_OVERLAP)
    assert scores.values["covoiced"] == 0
    assert scores.values["vde"] == scores.values["ffe"] > 0.2


def test_silence_and_other_durations_are_failures(speechlike, sample) -> None:
    audio = speechlike(1.0)
    cases = {
        FailureKind.SILENT: [sample(audio * 0, audio), sample(audio, audio * 0)],
        FailureKind.DURATION_MISMATCH: [sample(audio, speechlike(1.2))],
    }
    for kind, batch in cases.items():
        for outcome in RMSEF0(MetricOptions()).score(batch):
            assert isinstance(outcome, ClipFailure)
            assert outcome.kind is kind


def test_a_reference_is_analyzed_once(speechlike, sample, monkeypatch: pytest.MonkeyPatch) -> None:
    analyzed: list[int] = []

    def counting(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
        analyzed.append(len(samples))
        return f0_contour(samples, sample_rate)

    monkeypatch.setattr(rmse_f0, "f0_contour", counting)
    metric = RMSEF0(MetricOptions())
    reference = speechlike(0.5)
    metric.score([sample(speechlike(0.5, seed=seed), reference.copy()) for seed in (1, 2)])
    metric.score([sample(reference, reference)])
    assert len(analyzed) == 3


def test_the_memory_is_bounded(speechlike, sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rmse_f0, "CONTOUR_CACHE_SIZE", 2)
    metric = RMSEF0(MetricOptions())
    batch = [sample(speechlike(0.4, seed=seed), speechlike(0.4)) for seed in range(1, 5)]
    first = metric.score(batch)
    assert len(metric._contours) == 2
    assert metric.score(batch) == first


def test_a_batch_equals_one_by_one_in_any_order(speechlike, sample) -> None:
    batch = [sample(speechlike(0.5, pitch=100 + 40 * i, seed=i), speechlike(0.5)) for i in range(3)]
    together = RMSEF0(MetricOptions()).score(batch)
    assert [RMSEF0(MetricOptions()).score([one])[0] for one in batch] == together
    assert RMSEF0(MetricOptions()).score(batch[::-1])[::-1] == together


def test_there_are_no_settings() -> None:
    with pytest.raises(F2VError, match="no setting 'hop'"):
        RMSEF0(MetricOptions(settings={"hop": "80"}))


@pytest.mark.slow
def test_golden_values_on_jfk(jfk_pair, sample) -> None:
    """The pYIN row of the protocols' table: 2.28 Hz, 17.4 cents, VDE 0.137, 475 of 1101 frames."""
    [scores] = RMSEF0(MetricOptions()).score([sample(*jfk_pair)])
    assert isinstance(scores, Scores)
    assert scores.values["rmse_f0"] == pytest.approx(2.28, abs=0.005)
    assert scores.values["f0_cents"] == pytest.approx(17.4, abs=0.05)
    assert scores.values["vde"] == pytest.approx(0.137, abs=0.0005)
    assert (scores.detail["covoiced_frames"], scores.detail["frames"]) == (475, 1101)


def test_versas_noise_has_no_covoiced_frame(versa_pair, sample) -> None:
    [scores] = RMSEF0(MetricOptions()).score([sample(*versa_pair)])
    assert isinstance(scores, Scores)
    assert scores.undefined["rmse_f0"] is FailureKind.NO_VOICED_OVERLAP
