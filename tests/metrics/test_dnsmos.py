from __future__ import annotations

import numpy as np
import pytest

from f2v_bench import assets
from f2v_bench.assets import require_asset
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.metrics.base import MetricOptions, MetricUnavailable, Scores
from f2v_bench.metrics.dnsmos import (
    DNSMOS,
    PERSONALIZED,
    REGULAR,
    SEGMENT,
    Networks,
    dnsmos,
    load_networks,
    log_mel,
    segment_starts,
)

TOLERANCE = 5e-4  # of the protocols' golden values


@pytest.fixture(scope="module")
def networks() -> Networks:
    return load_networks(require_asset("dnsmos-p835"), require_asset("dnsmos-p808"))


@pytest.fixture(scope="module")
def personalized() -> Networks:
    return load_networks(require_asset("dnsmos-p835-personalised"), require_asset("dnsmos-p808"), personalized=True)


def theirs(samples: np.ndarray, model: str = "dnsmos") -> dict[str, float]:
    """Return the values of the package under our column names."""
    from speechmos import dnsmos as package

    found = package.run(samples, sr=16_000, model_type=model)
    return {f"dnsmos_{name}": float(found[f"{name}_mos"]) for name in ("ovrl", "sig", "bak", "p808")}


def values(ovrl: float, sig: float, bak: float, p808: float) -> dict[str, float]:
    return {"dnsmos_ovrl": ovrl, "dnsmos_sig": sig, "dnsmos_bak": bak, "dnsmos_p808": p808}


def file_free() -> np.ndarray:
    """Return the tone of the protocols that needs no file."""
    t = np.arange(64_000) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * (220 * t + 20 * np.sin(6 * np.pi * t))) * (0.5 + 0.5 * np.sin(4 * np.pi * t))
    return tone.astype(np.float32)


def test_golden_value_without_a_file(sample) -> None:
    [scores] = DNSMOS(MetricOptions()).score([sample(file_free())])
    assert isinstance(scores, Scores)
    assert scores.values == pytest.approx(values(2.18031, 2.56884, 3.65969, 2.30736), abs=TOLERANCE)


def test_golden_values_on_jfk(networks: Networks, jfk_pair) -> None:
    noisy, clean = jfk_pair
    assert dnsmos(clean, networks) == pytest.approx(values(2.71415, 3.47514, 2.99738, 3.09891), abs=TOLERANCE)
    assert dnsmos(noisy, networks) == pytest.approx(values(1.94170, 3.39322, 1.74056, 2.35654), abs=TOLERANCE)


@pytest.mark.slow
def test_golden_values_on_versas_files(networks: Networks, versa_pair) -> None:
    generated, reference = versa_pair
    assert dnsmos(reference, networks) == pytest.approx(values(1.45349, 2.61777, 1.57624, 2.16893), abs=TOLERANCE)
    assert dnsmos(generated, networks) == pytest.approx(values(1.45261, 2.60843, 1.58448, 2.09430), abs=TOLERANCE)


@pytest.mark.slow
def test_golden_values_of_the_personalized_network(personalized: Networks, speech) -> None:
    golden = {
        "jfk": (3.26602, 4.34336, 2.87324),
        "versa_test1": (1.39789, 2.99318, 1.30892),
        "versa_test2": (1.44157, 2.50834, 1.35345),
    }
    for name, (ovrl, sig, bak) in golden.items():
        found = dnsmos(speech(name), personalized)
        assert found == pytest.approx(values(ovrl, sig, bak, found["dnsmos_p808"]), abs=TOLERANCE)


def test_equals_the_package_on_a_real_clip(networks: Networks, grid_test) -> None:
    samples = np.clip(grid_test[0].audio.samples, -1, 1)
    assert dnsmos(samples, networks) == pytest.approx(theirs(samples), abs=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["LJ001-0001", "LJ001-0002", "2412-153948-0000", "103-1240-0000", "p287_001_noisy", "p287_002_clean"]
)
def test_equals_the_package_on_real_speech(networks: Networks, speech, name: str) -> None:
    assert dnsmos(speech(name), networks) == pytest.approx(theirs(speech(name)), abs=TOLERANCE)


@pytest.mark.slow
def test_equals_the_package_on_grid_and_personalized(networks: Networks, personalized: Networks, grid_test) -> None:
    for one in grid_test[1:6]:
        samples = np.clip(one.audio.samples, -1, 1)
        assert dnsmos(samples, networks) == pytest.approx(theirs(samples), abs=TOLERANCE)
    expected = theirs(samples, "dnsmos_personalized")
    assert dnsmos(samples, personalized) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.slow
def test_a_long_clip_drops_the_segments_that_the_package_drops(networks: Networks, speech) -> None:
    long = np.concatenate([speech("LJ001-0001"), speech("jfk")])  # 20.7 s: segments 7 to 11 are lost
    reference, every = dnsmos(long, networks), dnsmos(long, networks, all_segments=True)
    assert reference == pytest.approx(theirs(long), abs=TOLERANCE)
    assert abs(every["dnsmos_ovrl"] - reference["dnsmos_ovrl"]) > 0.01


def test_features_equal_librosas_melspectrogram() -> None:
    import librosa

    tone = file_free()
    power = librosa.feature.melspectrogram(y=tone, sr=16_000, n_fft=321, hop_length=160, n_mels=120)
    expected = (librosa.power_to_db(power, ref=np.max) + 40) / 40
    np.testing.assert_allclose(log_mel(tone), expected.T, atol=1e-5)
    assert log_mel(np.zeros(SEGMENT - 160, np.float32)).shape == (900, 120)


def test_segments_of_the_script() -> None:
    """Counted by the published script's own arithmetic, over lengths up to 140 s."""
    for length in (*range(1000, 400_000, 7919), 16_000 * 33, 16_000 * 140):
        total = length
        while total < SEGMENT:
            total += total
        hops = int(np.floor(total / 16_000) - 9.01) + 1
        kept = [16_000 * i for i in range(hops) if min(int((i + 9.01) * 16_000), total) - int(i * 16_000) >= SEGMENT]
        assert segment_starts(length) == kept


def test_all_segments_are_those_that_fit() -> None:
    lost = [hop for hop in range(131) if hop * 16_000 not in segment_starts(16_000 * 140)]
    assert lost == [*range(7, 24), *range(119, 123)]
    assert segment_starts(16_000 * 140, all_segments=True) == [16_000 * hop for hop in range(131)]
    assert segment_starts(SEGMENT, all_segments=True) == segment_starts(SEGMENT) == [0]
    assert segment_starts(SEGMENT + 16_000, all_segments=True) == [0, 16_000]  # the script forgets the second
    assert segment_starts(SEGMENT + 16_000) == [0]
    with pytest.raises(ValueError, match="at least one sample"):
        segment_starts(0)


class CountingSession:
    """A network that rates a segment by its mean, and counts."""

    def __init__(self, outputs: int) -> None:
        self.outputs, self.calls = outputs, 0

    def run(self, _: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.calls += 1
        return [np.full((1, self.outputs), np.abs(inputs["input_1"]).mean())]


def test_repeated_segments_are_rated_once_and_counted_each() -> None:
    samples = np.random.default_rng(0).standard_normal(32_000).astype(np.float32) * 0.1  # 2 s: 16 s, seven segments
    raw, mel = CountingSession(3), CountingSession(1)
    found = dnsmos(samples, Networks(raw, mel, ((1.0, 0.0),) * 3))
    assert (raw.calls, mel.calls) == (2, 2)
    doubled = np.tile(samples, 8)
    segments = [np.abs(doubled[i * 16_000 :][:SEGMENT]).mean() for i in range(7)]
    assert found["dnsmos_sig"] == pytest.approx(np.mean(segments), rel=1e-5)


def test_polynomials_come_before_the_mean() -> None:
    """The ceilings of the protocols for raw outputs of 5."""
    assert [np.polyval(powers, 5) for powers in REGULAR] == pytest.approx([4.01, 4.36, 3.93], abs=0.005)
    samples = np.random.default_rng(0).standard_normal(24_000).astype(np.float32)
    samples[:8000] *= 0.01
    square = dnsmos(samples, Networks(CountingSession(3), CountingSession(1), ((1.0, 0.0, 0.0),) * 3))
    plain = dnsmos(samples, Networks(CountingSession(3), CountingSession(1), ((1.0, 0.0),) * 3))
    assert square["dnsmos_sig"] > plain["dnsmos_sig"] ** 2
    assert len(PERSONALIZED) == 3


def test_samples_beyond_one_are_clipped_and_counted(sample) -> None:
    loud = file_free() * 5
    metric = DNSMOS(MetricOptions())
    [clipped, bounded] = metric.score([sample(loud), sample(np.clip(loud, -1, 1))])
    assert isinstance(clipped, Scores)
    assert isinstance(bounded, Scores)
    assert clipped.values == bounded.values
    assert clipped.detail == {"clipped_samples": int((np.abs(loud) > 1).sum())}
    assert bounded.detail == {"clipped_samples": 0}


def test_silence_is_a_failure(sample) -> None:
    [outcome] = DNSMOS(MetricOptions()).score([sample(np.zeros(48_000, np.float32))])
    assert isinstance(outcome, ClipFailure)
    assert outcome.kind is FailureKind.SILENT


@pytest.mark.slow
def test_a_batch_equals_one_by_one_in_any_order(sample, speechlike) -> None:
    batch = [sample(speechlike(5.0, pitch=100 + 40 * i, seed=i)) for i in range(3)]
    metric = DNSMOS(MetricOptions())
    together = metric.score(batch)
    assert [metric.score([one])[0] for one in batch] == together
    assert metric.score(batch[::-1])[::-1] == together


@pytest.mark.slow
def test_threads_do_not_move_the_score(monkeypatch: pytest.MonkeyPatch, speechlike) -> None:
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        networks = load_networks(require_asset("dnsmos-p835"), require_asset("dnsmos-p808"))
        found.append(dnsmos(speechlike(5.0), networks))
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_each_mode_has_its_own_signature() -> None:
    settings = [{}, {"compat": "all-segments"}, {"personalized": "true"}]
    signatures = [DNSMOS(MetricOptions(settings=one)).signature for one in settings]
    assert len(set(signatures)) == 3
    assert "p835:269fbebdb513|p808:9246480c5856|compat:reference" in signatures[0]
    assert "p835:personalized-9e3a197449ca" in signatures[2]
    earlier = DNSMOS(MetricOptions(settings={"personali" + "sed": "true"}))
    assert earlier.signature == signatures[2]
    with pytest.raises(F2VError, match="Known: all-segments, reference"):
        DNSMOS(MetricOptions(settings={"compat": "none"}))


def test_without_its_files_it_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "_candidates", lambda _: iter(()))
    with pytest.raises(MetricUnavailable, match=r"dnsmos-p835.*uv pip install speechmos"):
        DNSMOS(MetricOptions())
