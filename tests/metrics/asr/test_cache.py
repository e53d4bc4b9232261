from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from f2v_bench.clip import Waveform
from f2v_bench.datasets import grid_sentences
from f2v_bench.errors import F2VError
from f2v_bench.metrics.asr.base import Hypothesis, Recognizer
from f2v_bench.metrics.asr.cache import HypothesisCache, transcription_key
from f2v_bench.metrics.base import MetricOptions
from f2v_bench.metrics.wer import WER
from f2v_bench.utils.paths import cache_folder


class Counting(Recognizer):
    """Transcribes the level of a clip, and counts clips."""

    name = "counting"

    def __init__(self, normalizer: str = "one", model: str = "1") -> None:
        self.clips, self._normalizer, self._model = 0, normalizer, model

    @property
    def signature(self) -> str:
        return f"asr:counting|model:{self._model}|normalizer:{self._normalizer}"

    def normalize(self, text: str) -> str:
        return text

    def transcribe(self, batch: Sequence[np.ndarray]) -> list[Hypothesis]:
        self.clips += len(batch)
        return [Hypothesis(f"löud {samples.max():.1f}", avg_logprob=-0.5) for samples in batch]


def wave(level: float) -> Waveform:
    return Waveform(np.full(100, level, np.float32), 16_000)


def test_cached_clips_are_not_transcribed_again(tmp_path: Path) -> None:
    cache, recognizer = HypothesisCache(tmp_path), Counting()
    first = cache.transcribe(recognizer, [wave(0.1), wave(0.2), wave(0.1)])
    assert [one.text for one in first] == ["löud 0.1", "löud 0.2", "löud 0.1"]
    assert recognizer.clips == 2  # equal audio once
    again = HypothesisCache(tmp_path).transcribe(recognizer, [wave(0.2), wave(0.3), wave(0.1)])
    assert recognizer.clips == 3
    assert [again[0], again[2]] == [first[1], first[0]]


def test_another_normalizer_transcribes_nothing_and_another_model_everything(tmp_path: Path) -> None:
    cache = HypothesisCache(tmp_path)
    cache.transcribe(Counting(), [wave(0.1)])
    renormalized, other = Counting(normalizer="two"), Counting(model="2")
    cache.transcribe(renormalized, [wave(0.1)])
    cache.transcribe(other, [wave(0.1)])
    assert (renormalized.clips, other.clips) == (0, 1)
    assert transcription_key(other) == "asr:counting|model:2"


def test_hypotheses_of_earlier_versions_are_found(tmp_path: Path) -> None:
    """Earlier versions spelled the key of the normalizer, which is not part of the folder's name, in another way."""
    audio, key = wave(0.1), hashlib.sha256(b"asr:counting|model:1").hexdigest()[:16]
    entry = tmp_path / key / audio.sha256[:2] / f"{audio.sha256}.json"
    entry.parent.mkdir(parents=True)
    stored = {"text": "earlier", "avg_logprob": -0.5, "no_speech_prob": None, "compression_ratio": None}
    entry.write_text(json.dumps(stored))
    recognizer = Counting()
    assert HypothesisCache(tmp_path).transcribe(recognizer, [audio]) == [Hypothesis("earlier", avg_logprob=-0.5)]
    assert recognizer.clips == 0


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"text": 3}', '{"text": "a", "what": 1}', '{"avg_logprob": 1}'])
def test_a_damaged_entry_is_transcribed_again(tmp_path: Path, damage: str) -> None:
    cache, recognizer = HypothesisCache(tmp_path), Counting()
    expected = cache.transcribe(recognizer, [wave(0.1)])
    [entry] = tmp_path.rglob("*.json")
    entry.write_text(damage)
    assert cache.transcribe(recognizer, [wave(0.1)]) == expected
    assert recognizer.clips == 2
    assert json.loads(entry.read_text())["text"] == "löud 0.1"


def test_many_may_write_at_once(tmp_path: Path) -> None:
    clips = [wave(level / 10) for level in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: HypothesisCache(tmp_path).transcribe(Counting(), clips), range(16)))
    assert all(result == results[0] for result in results)
    assert len(list(tmp_path.rglob("*.json"))) == len(clips)
    assert not list(tmp_path.rglob("*.part"))


def test_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("F2V_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("hypotheses") == tmp_path / "f2v-bench" / "hypotheses"
    monkeypatch.setenv("F2V_CACHE", str(tmp_path / "mine"))
    assert cache_folder("hypotheses") == tmp_path / "mine" / "hypotheses"


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(F2VError, match="F2V_CACHE"):
        HypothesisCache(tmp_path / "file").transcribe(Counting(), [wave(0.1)])


def test_wer_uses_it(speechlike, sample) -> None:
    options = MetricOptions(grammar=grid_sentences.JSGF, settings={"asr": "pocketsphinx"})
    batch = [sample(speechlike(0.5, seed=seed), text="bin") for seed in (1, 2)]
    outcomes, transcribed = [], []
    for _ in range(2):
        metric = WER(options)
        metric.recognizer = recognizer = Counting()
        outcomes.append(metric.score(batch))
        transcribed.append(recognizer.clips)
    assert transcribed == [2, 0]
    assert outcomes[0] == outcomes[1]
    preset = WER(MetricOptions(grammar=grid_sentences.JSGF, settings={"asr": "pocketsphinx", "preset": "f5-tts"}))
    preset.recognizer = recognizer = Counting()
    preset.score(batch)
    assert recognizer.clips == 0
