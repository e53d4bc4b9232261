"""Names of scores in the spelling of earlier versions."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest
import soundfile

from f2v_bench.clip import Clip
from f2v_bench.metrics.base import Column, Need, PerClipMetric, Sample, Scores
from f2v_bench.scoring.cache import ScoreCache
from f2v_bench.scoring.records import ScoreRow, canonical_column, canonical_signature, earlier_signature
from f2v_bench.scoring.scorer import ScoringItem
from tests.clips import RATE, tone

# signatures of earlier versions, with the letter that changed in braces
CHANGED = [
    "wer:v1|asr:pocketsphinx-5.1.1|pcm:int16-truncated|normali{}er:basic-1|cer:with-spaces|aggregate:corpus",
    "wer:open-asr|asr:whisper-large-v3|normali{}er:whisper-english|jiwer:4.0.0|aggregate:corpus",
    "secs:v1|encoder:wavlm-sv-0123456789ab|layers:weighted-sum|gain:standardi{}ed|vad:none|aggregate:clip-mean",
    "dnsmos:v1|p835:personali{}ed-0123456789ab|p808:9246480c5856|aggregate:segment-mean/clip-mean",
]
CENTER = "rmse_f0:amphion|f0:praat-ac-50-1100Hz/hop-256/voicing-0.6|{}:median-cents|warp:exact-dtw/f0"
UNCHANGED = [
    "stoi:v1|rate:16000|align:none|mismatch:100ms-cut|pystoi:0.4.1|aggregate:clip-mean",
    "dnsmos:v1|p835:269fbebdb513|p808:9246480c5856|compat:reference|aggregate:segment-mean/clip-mean",
    "lsd:v1|normali" + "ser:none|personali" + "sed:no",  # of another package: never rewritten
]


def row(column: str = "wer", signature: str = "wer:v1", detail: str = "") -> ScoreRow:
    return ScoreRow("sys", "clip", "wer", column, 1.0, 1.0, "ok", detail, signature, "inputs")


@pytest.mark.parametrize("pattern", CHANGED)
def test_earlier_spelling_of_a_signature_compares_equal(pattern: str) -> None:
    earlier, present = pattern.format("s"), pattern.format("z")
    assert canonical_signature(earlier) == canonical_signature(present) == present
    assert earlier_signature(present) == earlier
    assert row(signature=earlier) == row(signature=present)
    assert row(signature=earlier).key == row(signature=present).key


def test_center_in_the_signature_of_amphion() -> None:
    earlier, present = CENTER.format("cent" + "re"), CENTER.format("center")
    assert canonical_signature(earlier) == canonical_signature(present) == present
    assert earlier_signature(present) == earlier


@pytest.mark.parametrize("signature", UNCHANGED)
def test_other_signatures_stay_byte_identical(signature: str) -> None:
    assert canonical_signature(signature) == earlier_signature(signature) == signature
    assert row(signature=signature).signature == signature


def test_earlier_columns_and_details_are_read() -> None:
    assert canonical_column("energy_rmse_centr" + "ed") == "energy_rmse_centered"
    assert canonical_column("mel_l1_centr" + "ed") == "mel_l1_centered"
    assert canonical_column("stoi") == "stoi"
    assert row(column="mel_l1_centr" + "ed").column == "mel_l1_centered"
    earlier = (
        '{"hypothesis": "the \\"recogni' + 'ser\\": x", "hypothesis_normali' + 'sed": "a", "recogni' + 'ser": "w"}'
    )
    read = row(detail=earlier)
    assert json.loads(read.detail) == {
        "hypothesis": 'the "recogni' + 'ser": x',  # words of the clip are not rewritten
        "hypothesis_normalized": "a",
        "recognizer": "w",
    }


class Rate(PerClipMetric):
    """Metric with the name of WER, without a recognizer."""

    name = "wer"
    columns = (Column("wer", "WER", "%", False, 0, 9, "a test"),)
    needs = frozenset({Need.TEXT})
    sample_rate = RATE
    signature = CHANGED[0].format("z")

    def score_clip(self, sample: Sample) -> Scores:
        return Scores({"wer": 0.5})


def test_scores_cached_by_an_earlier_version_are_found(tmp_path: Path) -> None:
    audio = tmp_path / "a.wav"
    soundfile.write(audio, tone(0.2), RATE, subtype="FLOAT")
    item = ScoringItem("sys", Clip("s/a", "s", audio, audio, "bin blue", "test"), audio, "f" * 64, 0.2)
    metric, earlier = Rate(), CHANGED[0].format("s")
    inputs = item.inputs(metric)
    entry = {"metric": "wer", "column": "wer", "value": 0.25, "weight": 6.0, "status": "ok"}
    entry |= {"detail": '{"recogni' + 'ser": "pocketsphinx"}', "signature": earlier, "inputs": inputs}
    with ScoreCache(tmp_path / "scores.sqlite"):
        pass
    key = hashlib.sha256(f"wer\n{earlier}\n{inputs}".encode()).hexdigest()
    with sqlite3.connect(tmp_path / "scores.sqlite") as database:
        database.execute("INSERT INTO scores VALUES (?, ?)", (key, json.dumps([entry])))
    database.close()
    with ScoreCache(tmp_path / "scores.sqlite") as cache:
        found = cache.find(metric, metric.signature, item)
        assert found is not None
        assert [(one.value, one.signature, one.detail) for one in found] == [
            (0.25, metric.signature, '{"recognizer": "pocketsphinx"}')
        ]
        cache.store(metric, [row(signature=metric.signature)])  # stored under the present spelling
    with sqlite3.connect(tmp_path / "scores.sqlite") as database:
        keys = {one for (one,) in database.execute("SELECT key FROM scores")}
    database.close()
    assert hashlib.sha256(f"wer\n{metric.signature}\ninputs".encode()).hexdigest() in keys
