from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jiwer
import numpy as np
import pytest

from f2v_bench import assets
from f2v_bench.datasets import grid_sentences
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.metrics import wer as wer_module
from f2v_bench.metrics.asr.base import Hypothesis, Recognizer
from f2v_bench.metrics.asr.pocketsphinx import Pocketsphinx
from f2v_bench.metrics.asr.whisper import Whisper
from f2v_bench.metrics.base import MetricOptions, MetricUnavailable, Sample, Scores
from f2v_bench.metrics.text import normalize_basic
from f2v_bench.metrics.wer import WER, choose_recognizer

GRID = MetricOptions(grammar=grid_sentences.JSGF)


class FixedRecognizer(Recognizer):
    """Recognizer with given hypotheses, in turn; it records the lengths of its clips."""

    name = "fixed"
    max_duration_s = 30.0

    def __init__(self, *hypotheses: Hypothesis) -> None:
        self.left = list(hypotheses)
        self.lengths: list[int] = []

    @property
    def signature(self) -> str:
        return "asr:fixed"

    def normalize(self, text: str) -> str:
        return normalize_basic(text)

    def transcribe(self, batch: Sequence[np.ndarray]) -> list[Hypothesis]:
        self.lengths += [len(samples) for samples in batch]
        return [self.left.pop(0) for _ in batch]


def metric_with_hypotheses(*hypotheses: Hypothesis | str) -> WER:
    metric = WER(MetricOptions(grammar=grid_sentences.JSGF, settings={"asr": "pocketsphinx", "cache": "off"}))
    metric.recognizer = FixedRecognizer(*(h if isinstance(h, Hypothesis) else Hypothesis(h) for h in hypotheses))
    return metric


@pytest.fixture
def no_whisper_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Provide an empty asset folder and an empty home."""
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_values_weights_and_detail(speechlike, sample) -> None:
    metric = metric_with_hypotheses("Bin blue by F two two now.")
    [scores] = metric.score([sample(speechlike(1.0), text="BIN blue at F two now {NS}")])
    assert isinstance(scores, Scores)
    reference, hypothesis = "bin blue at f two now", "bin blue by f two two now"
    assert scores.values == {"wer": 2 / 6, "cer": jiwer.cer(reference, hypothesis)}
    assert scores.weights == {"wer": 6.0, "cer": float(len(reference))}
    assert scores.detail == {
        "recognizer": "fixed",
        "hypothesis": "Bin blue by F two two now.",
        "hypothesis_normalized": hypothesis,
        "reference_normalized": reference,
        "substitutions": 1,
        "deletions": 0,
        "insertions": 1,
        "hits": 5,
        "hallucination": False,
        "hallucination_signs": "",
    }


def test_the_weighted_mean_is_jiwers_corpus_rate(speechlike, sample) -> None:
    references = ["one two three four", "five", "six seven"]
    hypotheses = ["one two four", "five six seven eight nine", ""]
    batch = [sample(speechlike(0.5), text=text) for text in references]
    outcomes = metric_with_hypotheses(*hypotheses).score(batch)
    for column, corpus in (("wer", jiwer.wer), ("cer", jiwer.cer)):
        pairs = [(o.values[column], o.weights[column]) for o in outcomes if isinstance(o, Scores)]
        rate = sum(value * weight for value, weight in pairs) / sum(weight for _, weight in pairs)
        assert rate == pytest.approx(corpus(references, hypotheses))


def test_confidence_is_kept_and_flagged(speechlike, sample) -> None:
    metric = metric_with_hypotheses(
        Hypothesis("a a a a a", avg_logprob=-1.5, no_speech_prob=0.1, compression_ratio=3.0)
    )
    [scores] = metric.score([sample(speechlike(0.5), text="a b")])
    assert isinstance(scores, Scores)
    assert scores.detail["hallucination"] is True
    assert scores.detail["hallucination_signs"] == "compression_ratio avg_logprob repeats"
    assert (scores.detail["avg_logprob"], scores.detail["no_speech_prob"]) == (-1.5, 0.1)
    assert scores.values["wer"] == 2.0  # flagged, not removed


def test_clips_that_are_not_transcribed_have_a_failure_kind(speechlike, sample) -> None:
    audio = speechlike(1.0)
    metric = metric_with_hypotheses("bin", "lay")
    batch = [
        sample(audio, text="bin"),
        sample(audio * np.float32(1e-4), text="bin"),
        sample(audio, text=None),
        sample(audio, text="{NS} ..."),
        sample(np.tile(audio, 31), text="bin"),
        sample(audio[:9000], text="lay"),
    ]
    outcomes = metric.score(batch)
    kinds = [outcome.kind if isinstance(outcome, ClipFailure) else outcome.values["wer"] for outcome in outcomes]
    assert kinds == [
        0.0,
        FailureKind.SILENT,
        FailureKind.TEXT_MISSING,
        FailureKind.TEXT_MISSING,
        FailureKind.TOO_LONG,
        0.0,
    ]
    assert isinstance(metric.recognizer, FixedRecognizer)
    assert metric.recognizer.lengths == [16_000, 9000]


@pytest.mark.usefixtures("no_whisper_weights")
def test_real_speech_under_the_grammar(grid_test: list[Sample]) -> None:
    """10.7 % by the first experiments: 32 of 300 words, half of them letters."""
    metric = WER(GRID)
    outcomes = [outcome for outcome in metric.score(grid_test) if isinstance(outcome, Scores)]
    assert len(outcomes) == 50
    errors = sum(round(outcome.values["wer"] * outcome.weights["wer"]) for outcome in outcomes)
    assert sum(outcome.weights["wer"] for outcome in outcomes) == 300
    assert errors == pytest.approx(32, abs=3)  # other builds of pocketsphinx may round otherwise
    assert metric.score(grid_test[5:7]) == outcomes[5:7]


@pytest.mark.usefixtures("no_whisper_weights")
def test_the_choice_without_weights() -> None:
    assert isinstance(choose_recognizer(GRID), Pocketsphinx)
    with pytest.raises(MetricUnavailable, match="f2v-bench assets pull whisper-large-v3"):
        choose_recognizer(MetricOptions())
    with pytest.raises(MetricUnavailable, match="open speech"):
        choose_recognizer(MetricOptions(settings={"asr": "pocketsphinx"}))
    with pytest.raises(MetricUnavailable, match=r"whisper-tiny\.en.*assets pull whisper-tiny\.en"):
        choose_recognizer(MetricOptions(grammar=GRID.grammar, settings={"asr": "whisper-tiny.en"}))


def test_the_largest_available_whisper_is_chosen(no_whisper_weights: Path) -> None:
    pytest.importorskip("whisper")
    for size in ("tiny.en", "small.en", "base.en"):
        (no_whisper_weights / f"{size}.pt").write_bytes(size.encode())
    chosen = choose_recognizer(GRID)
    assert isinstance(chosen, Whisper)
    assert chosen.name == "whisper-small.en"
    assert "decode:greedy" in chosen.signature
    forced = choose_recognizer(MetricOptions(settings={"asr": "whisper-tiny.en", "decode": "beam5"}))
    assert forced.name == "whisper-tiny.en"
    assert "decode:beam-5" in forced.signature
    assert isinstance(
        choose_recognizer(MetricOptions(grammar=GRID.grammar, settings={"asr": "pocketsphinx"})), Pocketsphinx
    )


def test_without_the_package_the_message_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, no_whisper_weights: Path
) -> None:
    (no_whisper_weights / "tiny.en.pt").write_bytes(b"weights")
    monkeypatch.setattr(wer_module, "whisper_installed", lambda: False)
    assert isinstance(choose_recognizer(GRID), Pocketsphinx)
    for settings in ({}, {"asr": "whisper-tiny.en"}):
        with pytest.raises(MetricUnavailable, match="uv sync --extra whisper"):
            choose_recognizer(MetricOptions(settings=settings))


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(F2VError, match="did you mean 'whisper-large-v3'"):
        choose_recognizer(MetricOptions(settings={"asr": "whisper-large-v33"}))
    with pytest.raises(F2VError, match="no setting 'model'"):
        choose_recognizer(MetricOptions(settings={"model": "tiny"}))


def test_every_size_is_an_asset() -> None:
    assert set(wer_module.SIZES) <= set(assets.ASSETS)


@pytest.mark.usefixtures("no_whisper_weights")
def test_signature_names_recognizer_and_aggregation() -> None:
    signature = WER(GRID).signature
    assert signature.startswith("wer:v1|asr:pocketsphinx-")
    assert signature.endswith("|aggregate:corpus")
    keys = [pair.split(":", 1)[0] for pair in signature.split("|")]
    assert len(keys) == len(set(keys))
