from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.metrics import mcd as mcd_module
from f2v_bench.metrics import mcep
from f2v_bench.metrics.base import MetricOptions, MetricUnavailable, Scores
from f2v_bench.metrics.mcd import MCD, PRESETS, espnet_mel_cepstrum, mcd, mel_cepstrum

RATE = 16_000


def preset(name: str) -> MCD:
    return MCD(MetricOptions(settings={"preset": name}))


def value(metric: MCD, one) -> float:
    [outcome] = metric.score([one])
    assert isinstance(outcome, Scores), outcome
    [found] = outcome.values.values()
    return found


def test_equals_pyworld_and_pysptk(speech) -> None:
    """The default is ``wav2world``'s envelope through ``sp2mc``, c1 to c24, frame by frame."""
    world, sptk = mcep.import_quietly("pyworld"), pytest.importorskip("pysptk")
    noisy, clean = speech("p287_001_noisy"), speech("p287_001_clean")
    envelopes = [world.wav2world(one.astype(np.float64), RATE)[1] for one in (noisy, clean)]
    theirs = [sptk.sp2mc(envelope, 24, 0.42) for envelope in envelopes]
    np.testing.assert_allclose(mel_cepstrum(noisy), theirs[0], atol=1e-10)
    squares = np.sum((theirs[0] - theirs[1])[:, 1:] ** 2, axis=1)
    assert mcd(noisy, clean) == pytest.approx(np.mean(10 / np.log(10) * np.sqrt(2 * squares)), abs=1e-9)


@pytest.mark.parametrize(("order", "alpha"), [(24, 0.42), (39, 0.466), (0, 0.42), (1, 0.3), (5, 0.0)])
def test_warping_equals_sptks_freqt(order: int, alpha: float) -> None:
    sptk = pytest.importorskip("pysptk")
    cepstra = np.random.default_rng(0).standard_normal((3, 256))
    np.testing.assert_allclose(cepstra @ mcep.warping(256, order, alpha), sptk.freqt(cepstra, order, alpha), atol=1e-10)


def test_without_warping_the_cepstrum_stays() -> None:
    np.testing.assert_array_equal(mcep.warping(8, 3, 0.0), np.eye(8, 4))


def test_distortion_of_a_small_example() -> None:
    mel = np.array([[5.0, 1.0, 0.0], [5.0, 0.0, 0.0]])
    reference = np.array([[1.0, 0.0, 0.0], [5.0, 0.0, 2.0]])
    factor = 10 * np.sqrt(2) / np.log(10)
    assert mcep.distortion(mel, reference, c0=False) == pytest.approx(factor * (1 + 2) / 2)
    assert mcep.distortion(mel, reference, c0=True) == pytest.approx(factor * (np.sqrt(17) + 2) / 2)
    for bad in (reference[:1], np.zeros((0, 3))):
        with pytest.raises(ValueError, match="equal shapes with frames"):
            mcep.distortion(bad, reference, c0=True)


@pytest.mark.parametrize("name", PRESETS)
def test_identical_audio_is_perfect(name: str, speechlike, sample) -> None:
    audio = speechlike(1.0)
    assert value(preset(name), sample(audio, audio.copy())) == 0


def test_level_does_not_count_but_content_does(speechlike, sample) -> None:
    audio = speechlike(1.0)
    assert value(preset("f2v"), sample(audio * np.float32(0.25), audio)) < 0.01
    assert value(preset("versa"), sample(audio * np.float32(0.25), audio)) > 1  # c0 is in
    assert value(preset("f2v"), sample(speechlike(1.0, pitch=250.0), audio)) > 3


def test_espnet_equals_the_scripts_arithmetic(speech, sample) -> None:
    """Windows, SPTK's analysis and the pairing, by the loops of a plain script."""
    sptk = pytest.importorskip("pysptk")
    noisy, clean = speech("p287_001_noisy"), speech("p287_001_clean")
    window = sptk.sptk.hamming(1024)
    mels = []
    for one in (noisy, clean):
        pcm = np.round(one.astype(np.float64) * 32768)
        starts = range(0, len(pcm) - 1024 + 1, 256)
        mels.append(np.stack([sptk.mcep(pcm[s : s + 1024] * window, 23, 0.42, eps=1e-6, etype=1) for s in starts]))
    np.testing.assert_allclose(espnet_mel_cepstrum(noisy), mels[0], atol=1e-9)
    costs = np.linalg.norm(mels[0][:, None] - mels[1][None], axis=2)
    best = np.full(np.add(costs.shape, 1), np.inf)  # dynamic programming: least cost, and the steps of that path
    steps = np.zeros(best.shape, int)
    best[0, 0] = 0
    for i in range(costs.shape[0]):
        for j in range(costs.shape[1]):
            before = [(i, j), (i, j + 1), (i + 1, j)]
            cheapest = min(before, key=lambda at: best[at])
            best[i + 1, j + 1] = best[cheapest] + costs[i, j]
            steps[i + 1, j + 1] = steps[cheapest] + 1
    expected = 10 * np.sqrt(2) / np.log(10) * best[-1, -1] / steps[-1, -1]
    assert value(preset("espnet"), sample(noisy, clean)) == pytest.approx(expected, rel=1e-9)


def test_a_path_is_monotonic_and_ends_at_the_ends() -> None:
    rng = np.random.default_rng(0)
    slow = np.repeat(rng.standard_normal((20, 4)), 2, axis=0)
    fast = slow[::2]
    ours, real = mcep.dtw_path(slow, fast)
    assert (ours[0], real[0], ours[-1], real[-1]) == (0, 0, 39, 19)
    assert set(zip(np.diff(ours), np.diff(real), strict=True)) <= {(0, 1), (1, 0), (1, 1)}
    np.testing.assert_array_equal(slow[ours], fast[real])


def test_what_cannot_be_scored_has_a_name(speechlike, sample, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = speechlike(1.0)
    expected = [
        ("f2v", sample(audio * 0, audio), FailureKind.SILENT),
        ("versa", sample(audio, audio * 0), FailureKind.SILENT),
        ("f2v", sample(audio, speechlike(1.2)), FailureKind.DURATION_MISMATCH),
        ("versa", sample(audio, speechlike(1.3)), FailureKind.DURATION_MISMATCH),
        ("f2v", sample(audio), FailureKind.NO_AUDIO),
    ]
    if mcd_module.find_spec("pysptk"):
        expected.append(("espnet", sample(audio[:1023], audio), FailureKind.TOO_SHORT))
        expected.append(("espnet", sample(audio, audio), FailureKind.TOO_LONG))
    monkeypatch.setattr(mcep, "MAX_DTW_CELLS", 100)
    for name, one, kind in expected:
        [outcome] = preset(name).score([one])
        assert isinstance(outcome, ClipFailure)
        assert outcome.kind is kind


def test_the_warping_presets_take_other_durations(speechlike, sample) -> None:
    pytest.importorskip("pysptk")
    assert value(preset("espnet"), sample(speechlike(1.0), speechlike(1.3))) > 0
    assert value(preset("versa"), sample(speechlike(1.0), speechlike(1.15))) > 0  # VERSA's own tolerance


def test_without_pysptk_only_its_preset_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcd_module, "find_spec", lambda _: None)
    with pytest.raises(MetricUnavailable, match="uv pip install pysptk"):
        preset("espnet")
    assert preset("f2v").columns[0].name == "mcd"


def test_presets_have_columns_and_signatures_of_their_own() -> None:
    pytest.importorskip("pysptk")
    metrics = [preset(name) for name in PRESETS]
    assert [metric.columns[0].name for metric in metrics] == ["mcd", "mcd_espnet", "mcd_versa"]
    assert len({metric.signature for metric in metrics}) == 3
    assert "order-24/alpha-0.42|c0:out|dtw:no" in metrics[0].signature
    with pytest.raises(F2VError, match="Known: espnet, f2v, versa"):
        preset("amphion")


def test_a_reference_is_analyzed_once(speechlike, sample, monkeypatch: pytest.MonkeyPatch) -> None:
    analyzed: list[int] = []
    original = mcep.envelope

    def counting(*arguments: np.ndarray) -> np.ndarray:
        analyzed.append(len(arguments[0]))
        return original(*arguments)

    monkeypatch.setattr(mcep, "envelope", counting)
    metric, reference = preset("f2v"), speechlike(0.5)
    metric.score([sample(speechlike(0.5, seed=seed), reference.copy()) for seed in (1, 2)])
    assert len(analyzed) == 3
