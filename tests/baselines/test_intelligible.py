from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional

from baselines.intelligible.config import PRESETS, IntelligibleConfig, VoiceConfig
from baselines.intelligible.model import Intelligible
from baselines.intelligible.spec import SPEC
from baselines.intelligible.train import IntelligibleExperiment
from baselines.intelligible.vocoder import MultiInputVocoder, to_waveform
from f2v_bench.errors import F2VError
from f2v_bench.modeling import checkpoint as module
from f2v_bench.modeling import synthesizer as synthesis
from f2v_bench.modeling.batch import Batch
from f2v_bench.modeling.checkpoint import strip_shared
from f2v_bench.modeling.model_card import write_card
from f2v_bench.modeling.shared_config import UnitConfig
from f2v_bench.modeling.spec import OWN_VOCODER
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
    refuse,
    train_options,
    trained,
)

COUNT = 10
TINIEST = ConformerConfig(width=16, blocks=1, heads=2, hidden=32, kernel=5)
SMALL = IntelligibleConfig(
    lips=LipEncoderConfig(width=16, layers=1), conformer=replace(TINIEST, blocks=2), units=UnitConfig(count=COUNT)
)


def batch_of(lengths: list[int], beyond: int = 0) -> Batch:
    """Build a batch of noise; beyond each clip's end stands anything but zeros."""
    longest, count = max(lengths) + beyond, len(lengths)
    return {
        "features": torch.randn(count, longest, *SMALL.lips.outputs),
        "mask": valid_mask(torch.tensor(lengths), longest),
        "speaker": functional.normalize(torch.rand(count, 256), dim=1),
        "mel": -5 + 2 * torch.randn(count, 4 * longest, 80),
        "units": torch.randint(COUNT, (count, 2 * longest)),
    }


def alone(batch: Batch, clip: int) -> Batch:
    """Return one clip of a batch, without its padding."""
    real, longest = int(batch["mask"][clip].sum()), batch["mask"].shape[1]
    pieces = {name: one[clip : clip + 1] for name, one in batch.items() if name != "speaker"}
    cut = {name: one[:, : one.shape[1] // longest * real] for name, one in pieces.items()}
    return cut | {"speaker": batch["speaker"][clip : clip + 1]}


def test_the_paper_s_size() -> None:
    """Counted by hand from the layers that the official code has, and the Conformer that SVTS shares."""
    width, hidden = 512, 2048
    norm, square = 2 * width, width * width + width
    feed_forward = width * hidden + hidden + hidden * width + width
    attention = 4 * square + width * width + 2 * width
    convolution = 2 * square + 31 * width + width + norm + square
    block = 2 * feed_forward + attention + convolution + 5 * norm
    mel = (768 * width * 3 + width) + 2 * (width * width * 3 + width) + (width * 160 + 160)
    heads = mel + width * 200 + 200
    lips = 25 + 1024 * 512 + 512
    with torch.device("meta"):
        networks = {name: Intelligible(PRESETS[name]) for name in ("paper", "scratch")}
    counts = {name: sum(one.numel() for one in network.parameters()) for name, network in networks.items()}
    assert counts["paper"] == lips + square + 12 * block + heads == 79_610_753
    resnet = networks["scratch"].frontend.resnet
    assert resnet is not None
    assert counts["scratch"] == counts["paper"] - lips + sum(one.numel() for one in resnet.parameters())


def test_an_unknown_size_gets_a_suggestion() -> None:
    with pytest.raises(F2VError, match="no preset 'papre'") as error:
        SPEC.preset("papre")
    assert "paper" in error.value.do
    assert set(PRESETS) == {"tiny", "paper", "scratch"}


@given(lengths=st.lists(st.integers(1, 8), min_size=2, max_size=3), beyond=st.integers(0, 3))
@settings(max_examples=8)
@torch.no_grad()
def test_padding_changes_nothing(lengths: list[int], beyond: int) -> None:
    torch.manual_seed(0)
    network = randomized(Intelligible(SMALL, (-5.0, 2.0))).eval()
    batch = batch_of(lengths, beyond)
    mel, logits = network(batch, batch["speaker"])
    for at, length in enumerate(lengths):
        one = alone(batch, at)
        own_mel, own_logits = network(one, one["speaker"])
        assert own_mel.shape == (1, 4 * length, 80)
        assert own_logits.shape == (1, 2 * length, COUNT)
        torch.testing.assert_close(mel[at : at + 1, : 4 * length], own_mel, atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(logits[at : at + 1, : 2 * length], own_logits, atol=1e-4, rtol=1e-5)


@torch.no_grad()
def test_the_loss_is_its_formula() -> None:
    """CE of labels smoothed by 0.1, plus ten times L1 and spectral convergence; of real frames."""
    torch.manual_seed(0)
    network = randomized(Intelligible(SMALL, (-5.0, 2.0))).eval()
    assert isinstance(network, Intelligible)
    batch = batch_of([3, 5])
    found = network.losses(batch)
    mel, logits = network(batch, batch["speaker"])
    real = [(mel[0, :12], batch["mel"][0, :12]), (mel[1], batch["mel"][1])]
    l1 = torch.cat([(made - target).flatten() for made, target in real]).abs().mean()
    convergence = torch.stack([(made - target).norm() / target.norm() for made, target in real]).mean()
    log = torch.cat([logits[0, :6], logits[1]]).log_softmax(1)
    labels = torch.cat([batch["units"][0, :6], batch["units"][1]])
    target = 0.9 * functional.one_hot(labels, COUNT) + 0.1 / COUNT
    units = -(target * log).sum(1).mean()
    torch.testing.assert_close(found["units"], units)
    torch.testing.assert_close(found["loss"], units + 10 * (l1 + convergence))


@torch.no_grad()
def test_outputs_are_at_the_mel_rate() -> None:
    """Mel, then a distribution over units, the same for both frames of 20 ms, then the voice at every frame."""
    torch.manual_seed(0)
    network = Intelligible(SMALL, (-5.0, 2.0)).eval()
    batch = batch_of([5])
    output = network.synthesize(batch, torch.zeros(1, 20, 80))
    mel, logits = network(batch, batch["speaker"])
    assert [field.shape for field in output] == [(1, 20, 80), (1, 20, COUNT), (1, 20, 256)]
    torch.testing.assert_close(output.mel, mel)
    torch.testing.assert_close(output.units[:, ::2], logits.softmax(2))
    torch.testing.assert_close(output.units[:, 1::2], output.units[:, ::2])
    torch.testing.assert_close(output.speaker[:, 7], batch["speaker"])
    given = batch | {"voice": torch.eye(256)[:1]}
    torch.testing.assert_close(network.synthesize(given, torch.zeros(1, 20, 80)).speaker[:, 7], given["voice"])


@torch.no_grad()
def test_the_speaker_embedding_moves_the_mel_and_not_the_units() -> None:
    torch.manual_seed(0)
    network, batch = Intelligible(SMALL).eval(), batch_of([5])
    (mel, units), (other, same) = (network(batch, torch.eye(256)[at : at + 1]) for at in (0, 1))
    assert not torch.allclose(mel, other, atol=1e-3)
    torch.testing.assert_close(units, same, atol=0, rtol=0)


@pytest.mark.slow
def test_four_clips_are_overfitted() -> None:
    """Two hundred steps on noise features bring the L1 of log mels under 0.2, from about 1.7, and every unit right."""
    torch.manual_seed(0)
    larger = replace(TINIEST, width=64, blocks=2, hidden=128, dropout=0.0)
    network, batch = Intelligible(replace(SMALL, conformer=larger), (-5.0, 2.0)), batch_of([10, 8, 10, 6])
    best = torch.optim.AdamW(network.parameters(), lr=3e-3)
    first = float(network.losses(batch)["l1"].detach())
    for _ in range(200):
        best.zero_grad()
        network.losses(batch)["loss"].backward()
        best.step()
    assert first > 1.4
    with torch.no_grad():
        assert float(network.losses(batch)["l1"]) < 0.2
        _, logits = network(batch, batch["speaker"])
    inside = batch["mask"].repeat_interleave(2, 1)
    assert bool((logits.argmax(2) == batch["units"])[inside].all())


CONFIG = IntelligibleConfig(
    preset="small", conformer=TINIEST, voice=VoiceConfig(width=8), voice_stage=GROUND["main_stage"], **GROUND
)


def build_experiment(folder: Path, config: IntelligibleConfig = CONFIG, **named: Any) -> IntelligibleExperiment:
    return IntelligibleExperiment(train_options(folder, config, **named))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, noise: None) -> Path:
    """Run a training from the first stage to the last."""
    return trained(build_experiment(tmp_path_factory.mktemp("whole") / "intelligible-demo"))


def test_a_training_ends_in_a_system(whole: Path) -> None:
    file = whole / "weights.safetensors"
    weights = SPEC.checkpoint(file)
    assert weights.config == CONFIG
    assert {name: note["steps"] for name, note in weights.facts.stages.items()} == dict.fromkeys(
        ("lips", "vocoder", "voice", "main"), 4
    )
    assert isinstance(weights.vocoder(), MultiInputVocoder)
    assert "griffin-lim" not in weights.provenance
    assert "5 clips" in open_voiced_system("intelligible", file).provenance


def test_a_long_clip_is_synthesized_in_windows(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is faded is a voice still, and a distribution over units."""
    monkeypatch.setattr(synthesis, "WINDOW", 8)
    monkeypatch.setattr(synthesis, "OVERLAP", 3)
    synthesizer = Synthesizer(SPEC.checkpoint(whole / "weights.safetensors"), {}, "cpu")
    outputs: list[Any] = []
    monkeypatch.setattr(
        synthesizer,
        "vocode",
        lambda output, rng: outputs.append(output) or to_waveform(output, synthesizer.vocoder, rng),
    )
    voice = np.eye(256, dtype=np.float32)[3]
    (made,) = synthesizer.synthesize([crops_of(19)], [np.random.default_rng(0)], [voice])
    assert made.shape == (640 * 19,)
    (output,) = outputs
    np.testing.assert_allclose(output.units.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(output.speaker, np.tile(voice, (76, 1)), atol=1e-6)


def test_it_stands_on_the_shared_vocoder(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(F2VError, match=r"the stage 'vocoder' in .* has 0 of 4 steps"):
        build_experiment(tmp_path / "first").train("voice")
    training = build_experiment(tmp_path / "lent", base=whole)
    monkeypatch.setattr(training, "_train_vocoder", refuse)
    training.train("vocoder")
    assert not (tmp_path / "lent" / "vocoder").exists()


@pytest.mark.slow
def test_the_paper_s_vocoder_begins_with_nothing(whole: Path, tmp_path: Path) -> None:
    """And its front end looks for itself: neither of the shared stages is trained."""
    config = replace(CONFIG, frontend=VisualFrontendConfig("resnet"), voice=VoiceConfig(start="scratch", width=8))
    training = build_experiment(tmp_path / "paper", config)
    for stage in IntelligibleExperiment.stages:
        training.train(stage)
    file = training.export()
    assert file is not None
    assert sorted(path.name for path in (tmp_path / "paper").iterdir() if path.is_dir()) == ["main", "voice"]
    synthesizer = Synthesizer(SPEC.checkpoint(file), {}, "cpu")
    assert synthesizer.lip_encoder is None
    (made,) = synthesizer.synthesize([crops_of(3)], [np.random.default_rng(0)], [np.eye(256, dtype=np.float32)[0]])
    assert made.shape == (1920,)


def test_a_shipped_file_keeps_its_own_vocoder(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lip encoder is left to the base, whose vocoder is another one."""
    file, base = whole / "weights.safetensors", tmp_path / "common.safetensors"
    monkeypatch.setattr(module, "shared_weights", lambda name: tmp_path / f"{name}.safetensors")
    with safe_open(file, "pt") as opened:
        assert {name.split(".")[0] for name in opened.keys()} == {"lips", "voice", "model"}  # noqa: SIM118
        lips = {name: opened.get_tensor(name) for name in opened.keys() if name.startswith("lips.")}  # noqa: SIM118
    save_file(lips | {"vocoder.another": torch.zeros(1)}, base)
    strip_shared(file, base, tmp_path / "lean.safetensors", OWN_VOCODER)
    save_file({name: one + 1 for name, one in lips.items()}, tmp_path / "other.safetensors")
    with pytest.raises(F2VError, match="another lip encoder or vocoder"):
        strip_shared(file, tmp_path / "other.safetensors", tmp_path / "lean2.safetensors", OWN_VOCODER)
    full, lean = SPEC.checkpoint(file), SPEC.checkpoint(tmp_path / "lean.safetensors")
    for one, other in (
        (full.model(), lean.model()),
        (full.lip_encoder(), lean.lip_encoder()),
        (full.vocoder(), lean.vocoder()),
    ):
        assert one is not None
        assert other is not None
        assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())
    write_card(tmp_path / "card.md", lean, {})
    card = (tmp_path / "card.md").read_text()
    assert "lip encoder: `common`" in card
    assert "| voice | 4 | 2 |" in card
    assert "started from the shared vocoder" in card
