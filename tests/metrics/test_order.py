"""Properties of every registered metric: known orders, perfect values, batches, permutations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from f2v_bench.clip import Waveform
from f2v_bench.datasets import grid_sentences
from f2v_bench.errors import ClipFailure
from f2v_bench.metrics.base import Metric, MetricOptions, MetricUnavailable, Need, Sample, Scores
from f2v_bench.metrics.energy_rmse import EnergyRMSE
from f2v_bench.metrics.mcd import MCD
from f2v_bench.metrics.mel_distance import MelDistance
from f2v_bench.metrics.signal_checks import SignalChecks
from f2v_bench.metrics.stoi import STOI
from f2v_bench.registry import METRICS

OURS: dict[str, Callable[[], type[Metric]]] = {
    "energy_rmse": lambda: EnergyRMSE,
    "health": lambda: SignalChecks,
    "mcd": lambda: MCD,
    "mel_distance": lambda: MelDistance,
}
NAMES = sorted({*METRICS.names(), *OURS})
EXPENSIVE = frozenset({"dnsmos", "lse", "rmse_f0", "utmos"})
TOLERANCE = 1e-5  # batched networks; everything else is exact
PERFECT = {
    "rmse_f0": 0.0,
    "rmse_f0_pooled": 0.0,
    "f0_median": 0.0,
    "f0_cents": 0.0,
    "gpe": 0.0,
    "vde": 0.0,
    "ffe": 0.0,
    "stoi": 1.0,
    "estoi": 1.0,
    "mcd": 0.0,
    "energy_rmse": 0.0,
    "energy_rmse_centered": 0.0,
    "mel_l1": 0.0,
    "mel_l1_centered": 0.0,
    "health_clipping": 0.0,
    "health_duration": 0.0,
    "health_offset": 0.0,
    "health_correlation": 1.0,
    "health_loudness": 0.0,
    "pesq_wb": 4.64,
    "pesq_nb": 4.55,
    "secs": 1.0,
}
SLOWER = [pytest.param(name, marks=pytest.mark.slow if name in EXPENSIVE else ()) for name in NAMES]


def metric_called(name: str) -> Metric:
    """Return the metric with its defaults; skip metrics that are unavailable here."""
    found = METRICS.load(name) if name in METRICS.names() else OURS[name]()
    try:
        metric: Metric = found(MetricOptions(grammar=grid_sentences.JSGF))
    except MetricUnavailable as missing:
        pytest.skip(str(missing))
    if Need.VIDEO in metric.needs:
        pytest.skip(f"{name} compares with the video, which these samples lack")
    return metric


def plain(outcomes: Sequence[Scores | ClipFailure]) -> list[dict[str, float] | str]:
    """Values or kind of failure, comparable with pytest.approx."""
    return [dict(one.values) if isinstance(one, Scores) else one.kind.value for one in outcomes]


def assert_alike(left: Sequence[Scores | ClipFailure], right: Sequence[Scores | ClipFailure]) -> None:
    for ours, theirs in zip(plain(left), plain(right), strict=True):
        assert ours == (theirs if isinstance(theirs, str) else pytest.approx(theirs, abs=TOLERANCE))


@pytest.fixture(scope="module")
def batch(speechlike) -> list[Sample]:
    """Clips of several lengths, one of them silent and one mistimed."""
    lengths, pitches = (1.6, 0.8, 1.2, 1.0, 1.0), (120.0, 180.0, 240.0, 150.0, 150.0)
    samples = []
    for number, (seconds, pitch) in enumerate(zip(lengths, pitches, strict=True)):
        audio, real = speechlike(seconds, pitch=pitch, seed=number), speechlike(seconds, seed=100 + number)
        if number == 3:
            audio = audio * np.float32(0)
        if number == 4:
            audio = audio[:8000]
        text = "bin blue at f two now"
        samples.append(Sample(f"s/{number}", Waveform(audio, 16_000), Waveform(real, 16_000), text))
    return samples


@pytest.mark.parametrize("name", SLOWER)
def test_a_batch_equals_one_by_one_in_any_order(name: str, batch) -> None:
    together = metric_called(name).score(batch)
    assert any(isinstance(outcome, Scores) for outcome in together)
    assert_alike([metric_called(name).score([one])[0] for one in batch], together)
    order = [3, 0, 4, 2, 1]
    shuffled = metric_called(name).score([batch[at] for at in order])
    assert_alike([shuffled[order.index(at)] for at in range(len(batch))], together)


@pytest.mark.parametrize("name", SLOWER)
def test_values_lie_in_the_declared_range(name: str, batch) -> None:
    metric = metric_called(name)
    columns = {column.name: column for column in metric.columns}
    for outcome in metric.score(batch):
        if isinstance(outcome, Scores):
            assert {*outcome.values, *outcome.undefined} == set(columns)
            for column, value in outcome.values.items():
                assert columns[column].lower <= value <= columns[column].upper, column


@pytest.mark.parametrize("name", SLOWER)
def test_an_identical_pair_is_perfect(name: str, speech, sample) -> None:
    audio = speech("LJ001-0002")
    metric = metric_called(name)
    if Need.REFERENCE not in metric.needs:
        pytest.skip(f"{name} compares with no audio")
    [outcome] = metric.score([sample(audio, audio.copy())])
    assert isinstance(outcome, Scores)
    known = {column: value for column, value in outcome.values.items() if column in PERFECT}
    assert known, f"add the value of {name} for identical audio to PERFECT in tests/metrics/test_order.py"
    for column, value in known.items():
        assert value == pytest.approx(PERFECT[column], abs=0.01 if "pesq" in column else 1e-4), column


@pytest.mark.slow
def test_real_grid_speech_has_a_low_wer_and_another_clips_a_high_one(grid_test) -> None:
    metric = metric_called("wer")
    right = metric.score(grid_test[:10])
    wrong = metric.score(
        [
            Sample(one.clip_id, one.audio, None, other.text)
            for one, other in zip(grid_test, grid_test[10:20], strict=False)
        ]
    )

    def rate(outcomes: Sequence[Scores | ClipFailure]) -> float:
        return float(np.mean([outcome.values["wer"] for outcome in outcomes if isinstance(outcome, Scores)]))

    assert rate(right) < 0.25 < 0.5 < rate(wrong)


def test_a_transcript_equal_to_the_hypothesis_is_perfect(grid_test) -> None:
    metric = metric_called("wer")
    [first] = metric.score(grid_test[:1])
    assert isinstance(first, Scores)
    hypothesis = str(first.detail["hypothesis"])
    [outcome] = metric.score([Sample("again", grid_test[0].audio, None, hypothesis)])
    assert isinstance(outcome, Scores)
    assert set(outcome.values.values()) == {0.0}


def mixed(speech, number: int, share: float) -> np.ndarray:
    """VoiceBank's clean speech with that share of its noise."""
    clean, noisy = speech(f"p287_00{number}_clean"), speech(f"p287_00{number}_noisy")
    return (clean + np.float32(share) * (noisy - clean)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("stoi", ("stoi", "estoi")),
        ("pesq", ("pesq_wb", "pesq_nb")),
        ("mcd", ("mcd",)),
        ("energy_rmse", ("energy_rmse", "energy_rmse_centered")),
        ("mel_distance", ("mel_l1", "mel_l1_centered")),
        pytest.param("rmse_f0", ("vde", "ffe"), marks=pytest.mark.slow),
        pytest.param("dnsmos", ("dnsmos_ovrl", "dnsmos_bak", "dnsmos_p808"), marks=pytest.mark.slow),
    ],
)
def test_less_noise_is_better(name: str, columns: tuple[str, ...], speech, sample) -> None:
    """On each VoiceBank pair, clean beats 30 % of the noise, which beats all of it; in F0 and DNSMOS on their mean."""
    metric = metric_called(name)
    directions = {column.name: column.higher_is_better for column in metric.columns}
    numbers = (1, 2, 4) if name in ("rmse_f0", "dnsmos") else range(1, 7)
    rows = []
    for number in numbers:
        clean = mixed(speech, number, 0)
        outcomes = metric.score([sample(mixed(speech, number, share), clean) for share in (0, 0.3, 1)])
        rows.append([[one.values[column] for one in outcomes] for column in columns])  # type: ignore[union-attr]
    table = np.array(rows)  # (pairs, columns, shares)
    if name in ("rmse_f0", "dnsmos"):
        table = table.mean(axis=0, keepdims=True)
    for at, column in enumerate(columns):
        steps = np.diff(table[:, at], axis=1)
        assert np.all(steps < 0 if directions[column] else steps > 0), (column, table[:, at])


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gain=st.floats(0.05, 1.0), seed=st.integers(0, 5))
def test_gain_moves_level_alone(gain: float, seed: int, speechlike, sample) -> None:
    """STOI, MCD and centered energy do not depend on gain; the energy RMSE equals the gain."""
    audio = speechlike(0.8, seed=seed)
    quiet = sample((audio * np.float32(gain)).astype(np.float32), audio)
    values: dict[str, float] = {}
    for metric in (STOI(MetricOptions()), MCD(MetricOptions()), EnergyRMSE(MetricOptions())):
        [outcome] = metric.score([quiet])
        assert isinstance(outcome, Scores)
        values |= outcome.values
    assert values["stoi"] == pytest.approx(1, abs=1e-3)
    assert values["mcd"] == pytest.approx(0, abs=0.05)
    assert values["energy_rmse_centered"] == pytest.approx(0, abs=0.05)
    assert values["energy_rmse"] == pytest.approx(-20 * np.log10(gain), abs=0.05)
