"""Golden values of the protocols: other implementations' numbers, on files that pin them.

Tests that assert each golden value (``test_x`` stands for ``tests/metrics/test_x.py``):

=====================================================  ====================================
DNSMOS on JFK, JFK with noise, VERSA's pair, the tone  ``test_dnsmos``
DNSMOS personalized on JFK and VERSA's pair            ``test_dnsmos``
DNSMOS of other gains, of silence; VERSA's dns_*       here
RMSE-F0 (pYIN row), voicing error, frames on JFK       ``test_rmse_f0``
F0 of the other rows (Harvest, DIO) on JFK             here
VERSA's f0rmse, f0corr, mcd; mcd without c0            here
STOI and ESTOI on JFK and on VERSA's pair              ``test_stoi``
STOI and ESTOI of audio that comes late                here
PESQ on JFK and on VERSA's pair                        ``test_pesq``
Whisper's normalizer                                   ``test_text`` and here
jiwer's corpus and macro rates                         ``test_text`` and here
UTMOS on VERSA's pair                                  here, where its weights are available
=====================================================  ====================================

Not asserted, because the suite has no such metric or the file is not public: SDR, SI-SNR, CI-SDR, PLCMOS, SQUIM,
DNSMOS Pro, SpeechBERTScore and its kin, RawNet3's similarity, torchmetrics' pair, the sync of ``example.avi``.
"""

from __future__ import annotations

import json

import jiwer
import numpy as np
import pytest

from f2v_bench.assets import require_asset
from f2v_bench.metrics import mcep, versa
from f2v_bench.metrics.base import MetricOptions, MetricUnavailable, Scores
from f2v_bench.metrics.dnsmos import Networks, dnsmos, load_networks
from f2v_bench.metrics.mcd import MCD, versa_mel_cepstrum
from f2v_bench.metrics.rmse_f0 import RMSEF0, f0_errors
from f2v_bench.metrics.stoi import stoi
from f2v_bench.metrics.text import whisper_normalizer
from f2v_bench.registry import METRICS

VERSA = MetricOptions(settings={"preset": "versa"})


@pytest.fixture(scope="module")
def networks() -> Networks:
    return load_networks(require_asset("dnsmos-p835"), require_asset("dnsmos-p808"))


@pytest.fixture(scope="module")
def published(shared) -> dict[str, float]:
    """Values that VERSA's own tests assert for its pair."""
    golden = json.loads((shared / "data" / "speech" / "golden.json").read_text())
    return golden["versa"]["values"]["test/test_general.py"]


def test_versas_mcd(versa_pair, sample, published) -> None:
    [scores] = MCD(VERSA).score([sample(*versa_pair)])
    assert isinstance(scores, Scores)
    assert scores.values["mcd_versa"] == pytest.approx(5.0452265, abs=1e-7)
    assert scores.values["mcd_versa"] == pytest.approx(published["mcd"], abs=1e-9)


def test_versas_mcd_without_c0(versa_pair) -> None:
    mel, reference = versa.cut_to_shorter(*(versa_mel_cepstrum(one) for one in versa_pair))
    assert mcep.distortion(mel, reference, c0=False) == pytest.approx(4.9613, abs=5e-5)


def test_versas_f0(versa_pair, sample, published) -> None:
    [scores] = RMSEF0(VERSA).score([sample(*versa_pair)])
    assert isinstance(scores, Scores)
    assert scores.values["f0_rmse_versa"] == pytest.approx(20.2810045, abs=1e-7)
    assert scores.values["f0_corr_versa"] == pytest.approx(-0.0754090, abs=1e-7)
    assert scores.values["f0_rmse_versa"] == pytest.approx(published["f0rmse"], abs=1e-9)
    assert scores.values["f0_corr_versa"] == pytest.approx(published["f0corr"], abs=1e-9)
    assert scores.detail["covoiced_frames"] == 0  # the pair checks an implementation, not pitch


def test_versas_dnsmos_of_peak_normalized_audio(networks: Networks, versa_pair, published) -> None:
    generated, _ = versa_pair
    found = dnsmos((generated / np.abs(generated).max()).astype(np.float32), networks)
    assert found["dnsmos_ovrl"] == pytest.approx(published["dns_overall"], abs=1e-5)
    assert found["dnsmos_p808"] == pytest.approx(published["dns_p808"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gain", "ovrl", "bak"), [(0.1, 2.806, 3.69), (0.3, 2.830, 3.42), (1, 2.714, 3.00), (2, 2.695, 2.87)]
)
def test_dnsmos_depends_on_gain(networks: Networks, speech, gain: float, ovrl: float, bak: float) -> None:
    found = dnsmos(speech("jfk") * np.float32(gain), networks)
    assert found["dnsmos_ovrl"] == pytest.approx(ovrl, abs=1e-3)
    assert found["dnsmos_bak"] == pytest.approx(bak, abs=6e-3)


@pytest.mark.slow
def test_dnsmos_of_silence_is_not_the_floor(networks: Networks) -> None:
    """Silence has high ratings, so it is a failure kind instead."""
    found = dnsmos(np.zeros(48_000, np.float32), networks)
    expected = {"dnsmos_ovrl": 1.840, "dnsmos_sig": 2.514, "dnsmos_bak": 3.472, "dnsmos_p808": 2.147}
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "low", "high", "all_hz", "hz", "cents", "voicing", "covoiced"),
    [
        ("harvest", 71, 800, 71.5, 27.06, 220.8, 0.110, 1082),
        ("harvest", 50, 500, 76.1, 53.04, 699.2, 0.269, 1306),
        ("dio", 71, 800, 126.4, 68.99, 385.9, 0.127, 267),
        ("dio", 50, 500, 69.5, 6.01, 52.2, 0.162, 157),
    ],
)
def test_one_pair_has_many_rmse_f0s(
    jfk_pair, estimator: str, low: float, high: float, all_hz: float, hz: float, cents: float, voicing: float,
    covoiced: int,
) -> None:  # fmt: skip
    """The protocols' table of recipes: the definitions of ``f0_errors`` on WORLD's contours."""
    contours = [_world(one.astype(np.float64), estimator, low, high) for one in jfk_pair]
    errors = f0_errors(*contours)
    assert errors.pitch is not None
    assert errors.pitch.frames == covoiced
    assert errors.pitch.rmse_hz == pytest.approx(hz, abs=0.006)
    assert errors.pitch.rmse_cents == pytest.approx(cents, abs=0.06)
    assert errors.voicing / errors.frames == pytest.approx(voicing, abs=6e-4)
    assert np.sqrt(np.mean((contours[0] - contours[1]) ** 2)) == pytest.approx(all_hz, abs=0.06)


def _world(samples: np.ndarray, estimator: str, low: float, high: float) -> np.ndarray:
    world = mcep.import_quietly("pyworld")
    f0, times = getattr(world, estimator)(samples, 16_000, f0_floor=low, f0_ceil=high, frame_period=5.0)
    return world.stonemask(samples, f0, times, 16_000) if estimator == "dio" else f0


@pytest.mark.parametrize(("late_ms", "plain", "extended"), [(10, 0.681, 0.514), (40, 0.322, 0.163), (80, 0.106, 0.021)])
def test_stoi_falls_with_a_shift_in_time(speech, late_ms: int, plain: float, extended: float) -> None:
    audio, shift = speech("jfk"), late_ms * 16
    late, real = audio[:-shift], audio[shift:]
    assert stoi(late, real) == pytest.approx(plain, abs=6e-4)
    assert stoi(late, real, extended=True) == pytest.approx(extended, abs=6e-4)


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("a hundred percent", "a 100%"),
        ("well (laughter) yes [music]", "well yes"),
        ("Mr. St. Dr.", "mister saint doctor"),
        ("{NS} hello", "ns hello"),
        ("good night", "good night"),
        ("goodnight", "goodnight"),
    ],
)
def test_whispers_normalizer(text: str, normalized: str) -> None:
    pytest.importorskip("whisper")
    assert whisper_normalizer()(text).strip() == normalized


def test_jiwers_edge_cases() -> None:
    """For an empty reference jiwer returns a count, so it has no rate here."""
    assert jiwer.wer("", "two words") == 2
    assert jiwer.wer("two words", "") == 1


def test_utmos_on_versas_pair(versa_pair, sample) -> None:
    if "utmos" not in METRICS.names():
        pytest.skip("no metric 'utmos' is installed")
    try:
        metric = METRICS.load("utmos")(MetricOptions())
    except MetricUnavailable as missing:
        pytest.skip(str(missing))
    [scores] = metric.score([sample(versa_pair[0])])
    assert isinstance(scores, Scores)
    assert scores.values["utmos"] == pytest.approx(1.9074374, abs=1e-4)
