from __future__ import annotations

from collections.abc import Sequence

import jiwer
import numpy as np
import pytest

from f2v_bench.clip import Waveform
from f2v_bench.datasets import grid_sentences
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.metrics import f0_presets, mcep
from f2v_bench.metrics import wer as wer_module
from f2v_bench.metrics.asr.base import Hypothesis, Recognizer
from f2v_bench.metrics.base import Aggregate, MetricOptions, MetricUnavailable, Scores
from f2v_bench.metrics.mcd import MCD
from f2v_bench.metrics.rmse_f0 import RMSEF0
from f2v_bench.metrics.text import normalize_f5_tts, normalize_seed_tts
from f2v_bench.metrics.wer import WER, choose_recognizer

F0_PRESETS = ("espnet-logf0-dtw", "versa", "amphion")
WER_PRESETS = ("seed-tts-eval", "f5-tts", "open-asr")


def f0(name: str) -> RMSEF0:
    return RMSEF0(MetricOptions(settings={"preset": name}))


def the_scores(outcome: Scores | ClipFailure) -> Scores:
    assert isinstance(outcome, Scores), outcome
    return outcome


# --- F0 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["espnet-logf0-dtw", "versa"])
def test_identical_audio_is_perfect(name: str, speechlike, sample) -> None:
    audio = speechlike(1.0)
    scores = the_scores(f0(name).score([sample(audio, audio.copy())])[0])
    rmse, *corr = (scores.values[column.name] for column in f0(name).columns)
    assert rmse == 0
    assert corr == pytest.approx([1.0] * len(corr))


@pytest.mark.slow
def test_espnet_equals_the_scripts_arithmetic(speech, sample) -> None:
    world, sptk = mcep.import_quietly("pyworld"), pytest.importorskip("pysptk")
    noisy, clean = speech("p287_001_noisy"), speech("p287_001_clean")
    contours, mels = [], []
    for one in (noisy, clean):
        pcm = np.round(one.astype(np.float64) * 32768)
        contour, times = world.harvest(pcm, 16_000, f0_floor=40, f0_ceil=800, frame_period=16.0)
        contours.append(contour)
        mels.append(sptk.sp2mc(world.cheaptrick(pcm, contour, times, 16_000, fft_size=1024), 23, 0.42))
    ours, real = mcep.dtw_path(*mels)
    left, right = contours[0][ours], contours[1][real]
    both = (left != 0) & (right != 0)
    expected = np.sqrt(np.mean((np.log(left[both]) - np.log(right[both])) ** 2))
    [outcome] = f0("espnet-logf0-dtw").score([sample(noisy, clean)])
    assert the_scores(outcome).values == pytest.approx({"log_f0_rmse_espnet": expected}, rel=1e-9)


def test_a_raised_voice_is_a_constant_in_ln_hz(speechlike, sample) -> None:
    one = sample(speechlike(1.0, pitch=150.0), speechlike(1.2, pitch=120.0))  # warping takes other durations
    scores = the_scores(f0("espnet-logf0-dtw").score([one])[0])
    assert scores.values["log_f0_rmse_espnet"] == pytest.approx(np.log(150 / 120), abs=0.06)


def test_versa_counts_unvoiced_frames_as_zero_hertz() -> None:
    ours, real = ({"f0": np.array(values, float)} for values in ([100, 0, 200, 0], [100, 100, 0, 0, 50]))
    with pytest.raises(ClipFailure, match="duration_mismatch"):
        f0_presets.versa_f0(ours, real)
    real = {"f0": real["f0"][:4]}
    scores = f0_presets.versa_f0(ours, real)
    assert scores.values["f0_rmse_versa"] == pytest.approx(np.sqrt((100**2 + 200**2) / 4))
    assert scores.values["f0_corr_versa"] == pytest.approx(np.corrcoef(ours["f0"], real["f0"])[0, 1])
    assert scores.detail["covoiced_frames"] == 1


def test_versas_correlation_is_undefined_without_a_voice() -> None:
    scores = f0_presets.versa_f0({"f0": np.zeros(4)}, {"f0": np.array([0, 100.0, 0, 0])})
    assert scores.undefined == {"f0_corr_versa": FailureKind.NO_VOICED_OVERLAP}
    assert scores.values == {"f0_rmse_versa": 50.0}


def test_whispering_has_no_log_f0() -> None:
    quiet = {"f0": np.zeros(8), "mel": np.zeros((8, 3))}
    with pytest.raises(ClipFailure) as failure:
        f0_presets.espnet_log_f0_rmse(quiet, quiet)
    assert failure.value.kind is FailureKind.NO_VOICED_OVERLAP


def test_amphion_is_blind_to_key_and_to_tempo() -> None:
    """Praat's contours apart, all of it is arithmetic: voiced frames, cents about the median, warped on the contour."""
    melody = np.array([0, 100, 110, 120, 0, 0, 130, 125.0])
    scores = f0_presets.amphion_f0_rmse({"f0": np.repeat(melody, 2) * 1.5}, {"f0": melody})
    assert scores.values["f0_rmse_amphion"] == pytest.approx(0, abs=1e-9)
    assert scores.detail == {"voiced_frames": 10, "reference_voiced_frames": 5}
    wider = np.where(melody > 0, 110 * (np.maximum(melody, 1) / 110) ** 2, 0)
    assert f0_presets.amphion_f0_rmse({"f0": wider}, {"f0": melody}).values["f0_rmse_amphion"] > 10
    with pytest.raises(ClipFailure) as failure:  # Amphion returns 0 here, which is perfect
        f0_presets.amphion_f0_rmse({"f0": melody}, {"f0": np.array([100.0, 0])})
    assert failure.value.kind is FailureKind.NO_VOICED_OVERLAP


def test_without_praat_amphion_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f0_presets, "find_spec", lambda _: None)
    with pytest.raises(MetricUnavailable, match="uv pip install praat-parselmouth"):
        f0("amphion")


def test_amphion_with_praat(speechlike, sample) -> None:
    pytest.importorskip("parselmouth")
    audio = speechlike(1.0)
    scores = the_scores(f0("amphion").score([sample(audio, audio)])[0])
    assert scores.values == {"f0_rmse_amphion": 0}


def test_silence_fails_every_f0_preset(speechlike, sample) -> None:
    audio = speechlike(0.5)
    for name in ("espnet-logf0-dtw", "versa"):
        for one in (sample(audio * 0, audio), sample(audio, audio * 0)):
            [outcome] = f0(name).score([one])
            assert isinstance(outcome, ClipFailure)
            assert outcome.kind is FailureKind.SILENT


# --- WER --------------------------------------------------------------------------------------------------------------


class Fixed(Recognizer):
    """Recognizer with given hypotheses, in turn."""

    name = "fixed"

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    @property
    def signature(self) -> str:
        return "asr:fixed|normalizer:own|model:1"

    def normalize(self, text: str) -> str:
        raise AssertionError("a preset has a normalizer of its own")

    def transcribe(self, batch: Sequence[np.ndarray]) -> list[Hypothesis]:
        return [Hypothesis(self.texts.pop(0)) for _ in batch]


def wer(name: str, *texts: str) -> WER:
    metric = WER(
        MetricOptions(grammar=grid_sentences.JSGF, settings={"asr": "pocketsphinx", "preset": name, "cache": "off"})
    )
    metric.recognizer = Fixed(*texts)
    return metric


@pytest.mark.parametrize(
    ("text", "seed", "f5"),
    [
        ("It's well-known: 50%.", "it's wellknown 50", "its wellknown 50"),
        ("Don’t — stop…", "dont stop", "dont stop"),  # the typographic apostrophe is in zhon's list
        ("“Quoted”, fifty (times)", "quoted fifty times", "quoted fifty times"),
        ("  a   b    c ", "a b c", "a b c"),
        ("snake_case [x] <y> {z}", "snakecase x y z", "snakecase x y z"),
        ("'tis", "'tis", "tis"),
        ("。？！", "", ""),
    ],
)
def test_normalizers_of_the_tts_evaluations(text: str, seed: str, f5: str) -> None:
    assert (normalize_seed_tts(text), normalize_f5_tts(text)) == (seed, f5)


@pytest.mark.parametrize("name", WER_PRESETS)
def test_each_preset_has_its_own_column_and_aggregation(name: str, speechlike, sample) -> None:
    if name == "open-asr":
        pytest.importorskip("whisper")
    references = ["It's the 1st of May, twenty twenty", "COLOUR", "um yes"]
    hypotheses = ["its the first of may 2020", "color", "yes"]
    metric = wer(name, *hypotheses)
    outcomes = metric.score([sample(speechlike(0.5), text=text) for text in references])
    [column] = metric.columns
    rates = [the_scores(outcome).values[column.name] for outcome in outcomes]
    sides = [[metric.normalize(text) for text in texts] for texts in (references, hypotheses)]
    assert rates == [jiwer.wer(*pair) for pair in zip(*sides, strict=True)]
    weights = [the_scores(outcome).weights[column.name] for outcome in outcomes]
    if name == "open-asr":
        assert column.aggregate is Aggregate.RATIO
        assert np.dot(rates, weights) / sum(weights) == pytest.approx(jiwer.wer(*sides))
        assert rates[1:] == [0, 0]  # British spelling and fillers are no errors
    else:
        assert column.aggregate is Aggregate.MEAN
        assert rates[1:] == [1, 0.5]
    assert "cer" not in the_scores(outcomes[0]).values


def test_signatures_of_presets_replace_the_normalizer() -> None:
    signatures = [wer(name).signature for name in ("seed-tts-eval", "f5-tts")]
    assert signatures[0].startswith("wer:seed-tts-eval|asr:fixed|model:1|normalizer:seed-tts-eval-en|")
    assert signatures[0].endswith("aggregate:utterance-mean")
    assert "own" not in signatures[0]
    assert signatures[0] != signatures[1]


def test_a_preset_decides_checkpoint_and_decoding(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    pytest.importorskip("whisper")
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for size in ("tiny.en", "large-v3"):
        (tmp_path / f"{size}.pt").write_bytes(size.encode())
    for name, decode in (("seed-tts-eval", "greedy"), ("f5-tts", "beam-5"), ("open-asr", "greedy")):
        chosen = choose_recognizer(MetricOptions(settings={"preset": name}))
        assert chosen.name == "whisper-large-v3"
        assert f"decode:{decode}" in chosen.signature
    (tmp_path / "large-v3.pt").unlink()
    with pytest.raises(MetricUnavailable, match="whisper-large-v3"):
        choose_recognizer(MetricOptions(grammar=grid_sentences.JSGF, settings={"preset": "f5-tts"}))
    assert choose_recognizer(MetricOptions(settings={"preset": "open-asr"})).name == "whisper-tiny.en"


def test_a_preset_has_its_decoding_and_checkpoint() -> None:
    with pytest.raises(F2VError, match="decodes with beam5, not greedy"):
        choose_recognizer(MetricOptions(settings={"preset": "f5-tts", "decode": "greedy"}))
    with pytest.raises(F2VError, match="did you mean 'f5-tts'"):
        choose_recognizer(MetricOptions(settings={"preset": "f5tts"}))


def test_without_whisper_its_normalizer_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wer_module, "whisper_installed", lambda: False)
    with pytest.raises(MetricUnavailable, match="uv sync --extra whisper"):
        wer("open-asr")


# --- all --------------------------------------------------------------------------------------------------------------


def test_no_two_presets_share_a_column_or_a_signature() -> None:
    metrics = [WER(MetricOptions(grammar=grid_sentences.JSGF, settings={"asr": "pocketsphinx"})), f0("f2v")]
    metrics += [wer(name) for name in ("seed-tts-eval", "f5-tts")] + [f0("espnet-logf0-dtw"), f0("versa")]
    metrics += [MCD(MetricOptions(settings={"preset": name})) for name in ("f2v", "versa")]
    names = [column.name for metric in metrics for column in metric.columns]
    assert len(names) == len(set(names))
    assert len({metric.signature for metric in metrics}) == len(metrics)
    for metric in metrics:
        keys = [pair.split(":", 1)[0] for pair in metric.signature.split("|")]
        assert len(keys) == len(set(keys)), metric.signature


def test_a_preset_leaves_the_default_alone() -> None:
    before = RMSEF0.columns
    f0("versa")
    assert RMSEF0.columns is before
    assert f0("f2v").columns is before


def test_the_signature_of_the_default_did_not_move() -> None:
    signature = f0("f2v").signature
    assert signature.startswith("rmse_f0:v1|f0:v1/pyin-65-500Hz/hop-160/frame-1024/sr-16000|librosa:")
    assert "|frames:co-voiced|dtw:no|mismatch:100ms-cut|gross:0.2|" in signature


def test_a_waveform_is_analyzed_once(speechlike, sample, monkeypatch: pytest.MonkeyPatch) -> None:
    analyzed: list[int] = []

    def counting(waveform: Waveform) -> f0_presets.Contours:
        analyzed.append(len(waveform.samples))
        return {"f0": np.array([100.0, 0, 120.0])}

    metric = f0("versa")
    monkeypatch.setattr(metric, "_preset", f0_presets.F0Preset((), counting, f0_presets.versa_f0, (), ()))
    reference = speechlike(0.5)
    metric.score([sample(speechlike(0.5, seed=seed), reference.copy()) for seed in (1, 2)])
    assert len(analyzed) == 3
