from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.svts.config import PRESETS, SVTSConfig
from baselines.svts.model import SVTS
from baselines.svts.spec import SPEC
from baselines.svts.train import SVTSExperiment
from f2v_bench.errors import F2VError
from f2v_bench.modeling.synthesizer import Synthesizer
from f2v_bench.nn.encoders.lip_encoder import LipEncoderConfig
from f2v_bench.nn.encoders.visual_frontend import VisualFrontendConfig
from f2v_bench.nn.layers.conformer import ConformerConfig
from f2v_bench.nn.layers.masking import valid_mask
from tests.nn.published import randomized
from tests.reference_model.small import crops_of
from tests.training.staged import (
    GROUND,
    open_voiced_system,
    train_options,
    trained,
)

TINIEST = ConformerConfig(width=16, blocks=1, heads=2, hidden=32, kernel=5)
SMALL = SVTSConfig(
    lips=LipEncoderConfig(width=16, layers=1),
    conformer=replace(TINIEST, blocks=2),
)


@pytest.mark.parametrize(("name", "millions"), [("s", 27.3), ("m", 43.1), ("l", 87.6)])
def test_the_sizes_are_the_paper_s(name: str, millions: float) -> None:
    with torch.device("meta"):
        network = SVTS(PRESETS[name])
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.1)


def test_an_unknown_size_gets_a_suggestion() -> None:
    with pytest.raises(F2VError, match="no preset 'xl'"):
        SPEC.preset("xl")
    assert set(PRESETS) == {"tiny", "s", "m", "l", "s-pwg", "m-pwg", "l-pwg"}


@given(lengths=st.lists(st.integers(1, 8), min_size=2, max_size=3), beyond=st.integers(0, 3))
@settings(max_examples=8)
@torch.no_grad()
def test_padding_changes_nothing(lengths: list[int], beyond: int) -> None:
    torch.manual_seed(0)
    network = randomized(SVTS(SMALL, (-5.0, 2.0))).eval()
    longest = max(lengths) + beyond
    seen = torch.randn(len(lengths), longest, *SMALL.lips.outputs)
    speaker = torch.nn.functional.normalize(torch.rand(len(lengths), 256), dim=1)
    both = network({"features": seen, "mask": valid_mask(torch.tensor(lengths), longest)}, speaker)
    for at, length in enumerate(lengths):
        one = slice(at, at + 1)
        alone = network({"features": seen[one, :length], "mask": torch.ones(1, length, dtype=torch.bool)}, speaker[one])
        assert alone.shape == (1, 4 * length, 80)
        torch.testing.assert_close(both[one, : 4 * length], alone, atol=1e-4, rtol=1e-5)


@torch.no_grad()
def test_from_pictures_as_in_the_paper() -> None:
    torch.manual_seed(0)
    network = SVTS(replace(SMALL, frontend=VisualFrontendConfig("resnet"))).eval()
    lips, mask = (
        torch.randint(256, (2, 3, 96, 96), dtype=torch.uint8),
        torch.tensor([[True, True, True], [True, False, False]]),
    )
    speaker = torch.nn.functional.normalize(torch.rand(2, 256), dim=1)
    both = network({"lips": lips, "mask": mask}, speaker)
    assert both.shape == (2, 12, 80)
    torch.testing.assert_close(
        both[1:, :4], network({"lips": lips[1:, :1], "mask": mask[1:, :1]}, speaker[1:]), atol=1e-5, rtol=1e-5
    )


def test_the_speaker_embedding_moves_the_output() -> None:
    torch.manual_seed(0)
    network = SVTS(SMALL).eval()
    seen, mask = torch.randn(1, 5, *SMALL.lips.outputs), torch.ones(1, 5, dtype=torch.bool)
    one, other = (network({"features": seen, "mask": mask}, torch.eye(256)[at : at + 1]) for at in (0, 1))
    assert not torch.allclose(one, other, atol=1e-3)


@pytest.mark.slow
def test_four_clips_are_overfitted() -> None:
    """Two hundred steps on noise features bring the L1 of log mels under 0.15, from about 1.7."""
    torch.manual_seed(0)
    larger = replace(TINIEST, width=64, blocks=2, hidden=128, dropout=0.0)
    network = SVTS(
        replace(SMALL, conformer=larger),
        (-5.0, 2.0),
    )
    lengths = torch.tensor([10, 8, 10, 6])
    mask = valid_mask(lengths, 10)
    seen, speaker = torch.randn(4, 10, *SMALL.lips.outputs), torch.nn.functional.normalize(torch.rand(4, 256), dim=1)
    batch = {"features": seen, "mask": mask, "speaker": speaker, "mel": -5 + 2 * torch.randn(4, 40, 80)}
    best = torch.optim.AdamW(network.parameters(), lr=3e-3)
    first = float(network.losses(batch)["l1"].detach())
    for _ in range(200):
        best.zero_grad()
        network.losses(batch)["loss"].backward()
        best.step()
    assert first > 1.4
    assert float(network.losses(batch)["l1"].detach()) < 0.15


CONFIG = SVTSConfig(preset="small", conformer=TINIEST, **GROUND)


def build_experiment(folder: Path, config: SVTSConfig = CONFIG, **named: Any) -> SVTSExperiment:
    return SVTSExperiment(train_options(folder, config, **named))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, noise: None) -> Path:
    """Run a training from the first stage to the last."""
    return trained(build_experiment(tmp_path_factory.mktemp("whole") / "svts-demo"))


def test_a_training_ends_in_a_system(whole: Path) -> None:
    file = whole / "weights.safetensors"
    weights = SPEC.checkpoint(file)
    assert weights.config == CONFIG
    assert weights.facts.stages["main"]["steps"] == 4
    assert "5 clips" in open_voiced_system("svts", file).provenance


@pytest.mark.slow
def test_the_paper_s_front_end_needs_no_lip_stage(whole: Path, tmp_path: Path) -> None:
    training = build_experiment(
        tmp_path / "pictures", replace(CONFIG, frontend=VisualFrontendConfig("resnet")), base=whole
    )
    training.train("lips")
    training.train("main")
    file = training.export()
    assert file is not None
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir() if path.is_dir()) == ["main"]
    synthesizer = Synthesizer(SPEC.checkpoint(file), {}, "cpu")
    assert synthesizer.lip_encoder is None
    (made,) = synthesizer.synthesize([crops_of(3)], [np.random.default_rng(0)], [np.eye(256, dtype=np.float32)[0]])
    assert made.shape == (1920,)
