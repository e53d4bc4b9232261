from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from f2v_bench import assets
from f2v_bench.assets import find_asset
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.metrics.base import MetricOptions, MetricUnavailable, Sample, Scores
from f2v_bench.metrics.secs import SECS, load_encoder, secs
from f2v_bench.nn.encoders.ecapa import ECAPA
from f2v_bench.nn.encoders.wavlm_sv import WavLMSV
from tests.nn.published import randomized
from tests.nn.test_wavlm_sv import SMALL


@pytest.fixture(scope="module")
def metric() -> SECS:
    if find_asset("ge2e") is None:
        pytest.skip("resemblyzer's weights are not installed")
    return SECS(MetricOptions())


def scored(metric: SECS, batch: list[Sample]) -> list[float]:
    outcomes = metric.score(batch)
    assert all(isinstance(outcome, Scores) for outcome in outcomes)
    return [outcome.values["secs"] for outcome in outcomes]


def test_a_clip_and_itself_are_one_speaker(metric: SECS, sample, speechlike) -> None:
    clip = speechlike(2.0)
    assert scored(metric, [sample(clip, clip), sample(clip, clip.copy())]) == pytest.approx([1, 1], abs=1e-12)


def test_a_batch_equals_one_by_one_in_any_order(metric: SECS, sample, speechlike) -> None:
    clips = [speechlike(1.0 + i, pitch=90 + 50 * i, seed=i) for i in range(4)]
    batch = [sample(one, other) for one, other in zip(clips, clips[1:] + clips[:1], strict=True)]
    together = scored(SECS(MetricOptions()), batch)
    assert scored(SECS(MetricOptions()), batch[::-1])[::-1] == pytest.approx(together, abs=1e-6)
    assert [scored(SECS(MetricOptions()), [one])[0] for one in batch] == pytest.approx(together, abs=1e-6)
    assert [scored(metric, [one])[0] for one in batch] == pytest.approx(together, abs=1e-6)  # with what it remembers
    encoder = load_encoder("ge2e")
    assert secs(clips[0], clips[1], encoder) == pytest.approx(together[0], abs=1e-6)
    assert together[0] < 0.95


def test_equal_audio_is_embedded_once(sample, speechlike, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    class Counting:
        def embed(self, clips: list[np.ndarray]) -> np.ndarray:
            counted.append(len(clips))
            return np.eye(4, dtype=np.float32)[: len(clips)]

    monkeypatch.setattr("f2v_bench.metrics.secs.load_encoder", lambda *_: Counting())
    metric = SECS(MetricOptions())
    one, two = speechlike(1.0), speechlike(1.0, pitch=200)
    assert scored(metric, [sample(one, one), sample(two, one)]) == [1, 0]
    assert scored(metric, [sample(one, two)]) == [0]
    assert counted == [2]


@pytest.mark.slow
def test_speakers_of_real_speech_are_separated(metric: SECS, speech, sample) -> None:
    """Two clips of one speaker are closer than clips of two, for every pair of three speakers."""
    voices = [("LJ001-0001", "LJ001-0002"), ("p287_001_clean", "p287_004_clean"), ("2412-153948-0000", "jfk")]
    same = scored(metric, [sample(speech(one), speech(other)) for one, other in voices[:2]])
    other = scored(metric, [sample(speech(a), speech(b)) for a, b in (("LJ001-0001", "p287_001_clean"), voices[2])])
    assert min(same) > max(other) + 0.1
    noisy = scored(metric, [sample(speech("p287_001_noisy"), speech("p287_001_clean"))])[0]
    assert max(other) < noisy < 1


def test_failures_leave_the_other_clips_alone(metric: SECS, sample, speechlike) -> None:
    good = speechlike(1.0)
    batch = [
        sample(np.zeros(16_000, np.float32), good),
        sample(good, np.zeros(16_000, np.float32)),
        sample(good),
        sample(good[4000:4399], good),
        sample(np.tile(good, 61), good),
        sample(good, good[:9000]),
    ]
    *failed, fine = metric.score(batch)
    kinds = [one.kind for one in failed if isinstance(one, ClipFailure)]
    silent = FailureKind.SILENT
    assert kinds == [silent, silent, FailureKind.NO_AUDIO, FailureKind.TOO_SHORT, FailureKind.TOO_LONG]
    assert isinstance(fine, Scores)
    assert 0.5 < fine.values["secs"] < 1


def test_audio_beyond_the_networks_range_fails_alone(metric: SECS, sample, speechlike) -> None:
    good = speechlike(1.0)
    [audio, fine, reference] = metric.score([sample(good * 1e30, good), sample(good, good), sample(good, good * 1e30)])
    for failed, name in ((audio, "audio"), (reference, "reference")):
        assert isinstance(failed, ClipFailure)
        assert failed.kind is FailureKind.NOT_FINITE
        assert failed.detail.startswith(f"the {name}, with a peak of 3.")
    assert isinstance(fine, Scores)
    assert fine.values["secs"] == pytest.approx(1)
    assert scored(metric, [sample(good * 1e4, good)])[0] < 1  # too loud for a file, but a number


def test_the_signature_names_encoder_and_differences(metric: SECS) -> None:
    assert "encoder:ge2e-39373b86598f|" in metric.signature
    assert "|vad:none|reference:same-clip|" in metric.signature
    with pytest.raises(F2VError, match="Known: ecapa, ge2e, wavlm-sv"):
        SECS(MetricOptions(settings={"encoder": "titanet"}))


def test_without_their_weights_encoders_are_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "_candidates", lambda _: iter(()))
    with pytest.raises(MetricUnavailable, match=r"'ge2e'.*f2v-bench assets pull ge2e"):
        SECS(MetricOptions())
    with pytest.raises(MetricUnavailable, match=r"wavlm_large_finetune\.pth.*seed-tts-eval"):
        SECS(MetricOptions(settings={"encoder": "wavlm-sv"}))
    with pytest.raises(MetricUnavailable, match=r"'ecapa-voxceleb'.*f2v-bench assets pull ecapa-voxceleb"):
        SECS(MetricOptions(settings={"encoder": "ecapa"}))


def test_wavlm_sv_from_a_published_file(tmp_path: Path, sample, speechlike, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path))
    monkeypatch.setattr("f2v_bench.nn.encoders.wavlm_sv.WavLMSV", lambda: WavLMSV(SMALL))
    torch.manual_seed(0)
    state = randomized(WavLMSV(SMALL), spread=0.2).state_dict()
    torch.save({"model": {**state, "loss_calculator.projection.weight": torch.zeros(3)}}, tmp_path / _WAVLM_FILE)
    metric = SECS(MetricOptions(settings={"encoder": "wavlm-sv"}))
    one, two = speechlike(1.0), speechlike(1.5, pitch=260, seed=3)
    same, other = scored(metric, [sample(one, one), sample(one, two)])
    assert same == pytest.approx(1, abs=1e-6)
    assert -1 <= other < 0.9999
    assert "encoder:wavlm-sv-" in metric.signature
    [short] = metric.score([sample(one[:719], two)])
    assert isinstance(short, ClipFailure)
    assert short.kind is FailureKind.TOO_SHORT


def test_ecapa_from_a_published_file(tmp_path: Path, sample, speechlike, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path))
    monkeypatch.setattr("f2v_bench.nn.encoders.ecapa.ECAPA", lambda: ECAPA(64, 96))
    torch.manual_seed(0)
    file = tmp_path / "ecapa_voxceleb.ckpt"
    torch.save(randomized(ECAPA(64, 96), spread=0.2).state_dict(), file)
    metric = SECS(MetricOptions(settings={"encoder": "ecapa"}))
    one, two = speechlike(1.0), speechlike(1.5, pitch=260, seed=3)
    batch = [sample(one, one), sample(one, two), sample(one * 1e30, two), sample(one[:639], two)]
    *fine, loud, short = metric.score(batch)
    same, other = (outcome.values["secs"] for outcome in fine)
    assert same == pytest.approx(1, abs=1e-6)
    assert -1 <= other < 0.9999
    assert secs(one, two, load_encoder("ecapa")) == other
    assert f"encoder:ecapa-{assets.file_sha256(file)[:12]}|mel:80x" in metric.signature
    assert [loud.kind, short.kind] == [FailureKind.NOT_FINITE, FailureKind.TOO_SHORT]


_WAVLM_FILE = "wavlm_large_finetune.pth"
