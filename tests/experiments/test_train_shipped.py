"""Report of ``experiments.train_shipped``, on a run with synthetic scores and weights."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from baselines.svts.config import SVTSConfig
from baselines.svts.model import SVTS
from baselines.svts.spec import SPEC as SVTS_SPEC
from experiments import train_shipped
from f2v_bench.metrics.base import Column
from f2v_bench.modeling import checkpoint as module
from f2v_bench.modeling.checkpoint import save_checkpoint
from f2v_bench.nn.layers.conformer import ConformerConfig
from f2v_bench.runs.folder import AudioRecord, column_names
from reference_model.spec import SPEC
from tests.reference_model.small import FACTS, SMALL, save_small, small_lips, small_vocoder
from tests.reporting.made_runs import WER, clip_ids, make_run
from tests.training.staged import GROUND

NAMES = ("wer", "dnsmos_ovrl", "rmse_f0", "f0_median", "estoi", "mcd", "secs", "mel_l1")
COLUMNS = tuple(WER if name == "wer" else Column(name, name.upper(), "", True, 0, 1, name, digits=3) for name in NAMES)
CLIPS = clip_ids(24, speakers=12)


@pytest.fixture
def weights(tmp_path: Path) -> dict[str, Path]:
    facts = replace(FACTS, stages={"main": {"steps": 1200, "seconds": 600.0}, "lips": {"steps": 9, "seconds": 9.0}})
    config = SVTSConfig(conformer=ConformerConfig(width=16, blocks=1, heads=2, hidden=32, kernel=5), **GROUND)
    save_checkpoint(
        tmp_path / "svts.safetensors", SVTS_SPEC, config=config, statistics={"mel": (-5.0, 2.0)}, facts=facts,
        model=SVTS(config).state_dict(), lips=small_lips().encoder.state_dict(), vocoder=small_vocoder().state_dict(),
    )  # fmt: skip
    return {"ours": save_small(tmp_path / "ours.safetensors", facts=facts), "svts": tmp_path / "svts.safetensors"}


def test_budget_speed_scores_and_differences(tmp_path: Path, weights: dict[str, Path]) -> None:
    scores = {
        label: {name: dict.fromkeys(CLIPS, value + 0.001 * at) for at, name in enumerate(NAMES)}
        for label, value in (("ground-truth", 0.1), ("ours", 0.2), ("svts", 0.4), ("ours-same-clip", 0.3))
    }
    run = make_run(tmp_path / "run", scores, CLIPS, columns=COLUMNS)
    records = [
        AudioRecord(label, clip, "ok", "", "", duration_s=2.0, seconds=cost * (100 if at == 0 else 1))
        for label, cost in (("ours", 0.5), ("svts", 0.25))
        for at, clip in enumerate(CLIPS)  # the first one includes loading
    ]
    run.write_table("audio", (asdict(one) for one in records), column_names(AudioRecord))
    text = train_shipped.report(run.path, weights)
    assert "trained by this project on `demo/train` (6 clips, 0.01 h)" in text
    flow = SMALL.flow
    assert f"1,200 main | 10 | none | 0.250 | {2 * flow.steps} |" in text  # guidance costs a second evaluation
    assert "| svts |" in text
    assert "1,200 main | 10 | none | 0.125 | 1 |" in text
    assert "| 40.0 [40.0, 40.0] (24/24)" in text
    assert "worse" in text
    assert text.count("svts | 40.0 | ours | 20.0 | +20.0") == 1
    assert text.count("svts | 40.0 | ours-same-clip | 30.0 | +10.0") == 1


def test_shipped_weights_share_lips_and_vocoder(
    tmp_path: Path, weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_shipped, "ROOT", tmp_path)
    base = train_shipped.packaged("shared", "demo-tiny")
    monkeypatch.setattr(module, "shared_weights", {"demo-tiny": base}.get)
    run = make_run(tmp_path / "run", {"ours": {"wer": dict.fromkeys(CLIPS, 0.1)}}, CLIPS, columns=(WER,))
    train_shipped.ship(train_shipped.CORPORA[0], weights, [run.path])
    cards = {}
    for spec in (SPEC, SVTS_SPEC):
        path = train_shipped.packaged(spec.name, "demo-tiny")
        checkpoint = spec.checkpoint(path)
        assert checkpoint.base == base
        assert checkpoint.vocoder() is not None
        cards[spec.name] = path.with_suffix(".md").read_text()
        assert checkpoint.sha256 in cards[spec.name]
        assert "lip encoder and vocoder: `demo-tiny`" in cards[spec.name]
    assert "| WER % ↓ | 10.0 [10.0, 10.0] (24/24) |" in cards[SPEC.name]
