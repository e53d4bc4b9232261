from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from f2v_bench.clip import Clip, Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.metrics.base import Column, Metric, MetricOptions, Need, Sample, Scores
from f2v_bench.scoring.records import OK, ScoreRow
from f2v_bench.scoring.scorer import Scorer, ScoringItem, WaveformCache
from tests.clips import RATE, tone

Make = Callable[..., ScoringItem]


def column(name: str) -> Column:
    return Column(name, name, "", True, 0, 1, "a test")


class Toy(Metric):
    """Peak of the audio; the text selects an error, a failure or an undefined column."""

    name = "toy"
    columns = (column("peak"), column("other"))
    needs = frozenset({Need.REFERENCE, Need.TEXT})
    sample_rate = RATE
    signature = "toy:1"

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        return [self._one(sample) for sample in batch]

    def _one(self, sample: Sample) -> Scores | ClipFailure:
        assert sample.reference is not None
        assert sample.audio.sample_rate == RATE
        if sample.text == "no weights":
            raise F2VError("the checkpoint is broken", "pull it again")
        if sample.text == "break":
            raise ZeroDivisionError("boom")
        if sample.text == "fail":
            return ClipFailure(FailureKind.SILENT, "nothing there")
        values = {"peak": float(sample.audio.samples.max()), "other": float("nan")}
        if sample.text == "undefined":
            return Scores({"peak": 1.0}, undefined={"other": FailureKind.NO_VOICED_OVERLAP})
        return Scores(values, {"peak": 3.0}, detail={"text": "hé"})


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    soundfile.write(path, tone(0.2, rate=8000), 8000, subtype="FLOAT")
    return path


@pytest.fixture
def item(sound: Path) -> Make:
    def make(text: str | None = "fine", clip: str = "a", *, mute: bool = False) -> ScoringItem:
        record = Clip(clip, "s", sound, None if mute else sound, text, "test")
        return ScoringItem("sys", record, sound, clip * 20, 0.2)

    return make


def score(*batch: ScoringItem) -> tuple[list[ScoreRow], list[str]]:
    errors: list[str] = []
    rows = Scorer(lambda metric, clip, trace: errors.append(f"{metric} {clip} {trace}")).score(
        Toy(MetricOptions()), "toy:1", batch
    )
    return rows, errors


def test_rows_carry_value_weight_detail_and_signature(item: Make) -> None:
    (peak, other), errors = score(item())
    assert peak.status == OK
    assert peak.value == pytest.approx(0.3, abs=0.01)
    assert peak.weight == 3.0
    assert json.loads(peak.detail) == {"text": "hé"}
    assert peak.signature == "toy:1"
    assert (other.status, other.value) == ("not_finite", None)  # NaN is never a value
    assert not errors


def test_an_undefined_column_keeps_its_kind(item: Make) -> None:
    (peak, other), _ = score(item("undefined"))
    assert peak.status == OK
    assert other.status == "no_voiced_overlap"


def test_a_failed_clip_fails_in_every_column(item: Make) -> None:
    rows, _ = score(item("fail"))
    assert [row.status for row in rows] == ["silent", "silent"]
    assert json.loads(rows[0].detail) == {"failure": "nothing there"}


def test_a_broken_metric_fails_only_its_clip_and_reports_a_traceback(item: Make) -> None:
    rows, errors = score(item(clip="a"), item("break", clip="b"), item(clip="c"))
    assert [row.status for row in rows[::2]] == [OK, "internal_error", OK]
    assert len(errors) == 1
    assert "toy b" in errors[0]
    assert "ZeroDivisionError: boom" in errors[0]


def test_an_error_of_all_clips_ends_the_run(item: Make) -> None:
    with pytest.raises(F2VError, match="the checkpoint is broken"):
        score(item(), item("no weights"))


def test_missing_text_and_reference_are_named(item: Make) -> None:
    rows, _ = score(item(None), item(clip="b", mute=True), item())
    assert [row.status for row in rows[::2]] == ["text_missing", "no_audio", OK]


def test_inputs_follow_audio_text_and_reference(item: Make) -> None:
    metric = Toy(MetricOptions())
    assert item().inputs(metric) == item().inputs(metric)
    assert item("x").inputs(metric) != item("y").inputs(metric)
    assert item(clip="a").inputs(metric) != item(clip="b").inputs(metric)


def test_out_of_memory_halves_the_batch(item: Make) -> None:
    sizes: list[int] = []

    class Hungry(Toy):
        def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
            sizes.append(len(batch))
            if len(batch) > 2:
                raise MemoryError
            return super().score(batch)

    rows = Scorer(print).score(Hungry(MetricOptions()), "toy:1", [item(clip=name) for name in "abcdefgh"])
    assert sizes == [8, 4, 2, 2, 4, 2, 2]
    assert [row.clip for row in rows[::2]] == list("abcdefgh")
    assert {row.status for row in rows[::2]} == {OK}


def test_a_waveform_is_loaded_once_while_memory_lasts() -> None:
    loads: list[str] = []

    def loader(name: str) -> Callable[[], Waveform]:
        def load() -> Waveform:
            loads.append(name)
            return Waveform(np.zeros(1000, np.float32), RATE)

        return load

    cache = WaveformCache(max_bytes=9000)
    for name in ("a", "b", "a", "b"):
        cache.get(name, RATE, loader(name))
    assert loads == ["a", "b"]
    cache.get("c", RATE, loader("c"))
    cache.get("b", RATE, loader("b"))
    cache.get("a", RATE, loader("a"))
    assert loads == ["a", "b", "c", "a"]
    assert cache.get("c", 8000, loader("c")).sample_rate == 8000
