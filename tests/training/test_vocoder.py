from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from f2v_bench.modeling.batch import Batch, Example, collate
from f2v_bench.modeling.shared_config import StageConfig
from f2v_bench.nn.layers.log_mel import LogMel
from f2v_bench.nn.vocoders.config import VocoderConfig
from f2v_bench.nn.vocoders.excitation import pulse_train
from f2v_bench.training.optim import build_optimizer
from f2v_bench.training.trainer import silence_lightning
from f2v_bench.training.vocoder import VocoderModule, iter_clips
from tests.nn.published import chirp

TINY = VocoderConfig(
    generator="istft", width=16, blocks=2, hidden=32, spectral_weight=1.0, adversarial_from=1,
    discriminator_width=1 / 16, periods=(2, 3), scales=2, resolutions=(256,), segment=1600,
)  # fmt: skip
STAGE = StageConfig(steps=4, batch=2, warmup=1, ema=0.9, precision="32-true")


@pytest.fixture(autouse=True)
def silence() -> None:
    silence_lightning()


def batches(count: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for step in range(count):
        audio = 0.1 * torch.randn(2, TINY.segment, generator=generator)
        f0 = torch.full((2, TINY.segment // 160), 120.0)
        made.append({"audio": audio, "mel": LogMel()(audio), "f0": f0, "step": torch.tensor(step)})
    return made


def trainer(folder: Path, steps: int, precision: Any = "32-true", **options: Any) -> lightning.Trainer:
    defaults: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "num_sanity_val_steps": 0}
    return lightning.Trainer(
        accelerator="cpu", max_steps=steps, max_epochs=1, default_root_dir=folder, precision=precision,
        enable_progress_bar=False, enable_model_summary=False, **{**defaults, **options},
    )  # fmt: skip


class Batches(IterableDataset[Batch]):
    """Batches without a length, as those of the training loader."""

    def __init__(self, steps: list[Batch]) -> None:
        self.steps = steps

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.steps)


def loader(steps: list[Batch]) -> DataLoader[Batch]:
    return DataLoader(Batches(steps), batch_size=None)


def trained(folder: Path, config: VocoderConfig, steps: list[Batch], precision: str = "32-true") -> VocoderModule:
    torch.manual_seed(0)
    module = VocoderModule(config, STAGE)
    run = trainer(folder, len(steps), precision)
    run.fit(module, loader(steps))
    assert run.global_step == len(steps), "a step of both optimizers counts once"
    return module


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_resumed_training_has_equal_weights(tmp_path: Path, precision: str) -> None:
    """The checkpoint is written while the training runs, after the second batch."""
    steps = batches(4)
    whole = trained(tmp_path, TINY, steps, precision).state_dict()
    torch.manual_seed(0)
    saver = ModelCheckpoint(dirpath=tmp_path, filename="half", every_n_train_steps=2, save_top_k=1)
    first = trainer(tmp_path, 2, precision, enable_checkpointing=True, callbacks=[saver])
    first.fit(VocoderModule(TINY, STAGE), loader(steps))
    torch.manual_seed(1)
    resumed = VocoderModule(TINY, STAGE)  # other initial weights, which resuming replaces
    again = trainer(tmp_path, 4, precision)
    again.fit(resumed, loader(steps[2:]), ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    assert again.global_step == 4
    assert int(resumed.ema.updates) == 4
    for name, tensor in resumed.state_dict().items():
        torch.testing.assert_close(tensor, whole[name], atol=0, rtol=0, msg=name)


def test_discriminators_start_at_their_step(tmp_path: Path) -> None:
    """Before their step they are unchanged; after it both networks are updated."""
    torch.manual_seed(0)
    before = VocoderModule(TINY, STAGE).discriminators
    assert before is not None
    steps = batches(2)
    inactive, active = (trained(tmp_path, replace(TINY, adversarial_from=at), steps) for at in (2, 1))
    for module, moved in ((inactive, False), (active, True)):
        assert module.discriminators is not None
        pairs = zip(module.discriminators.parameters(), before.parameters(), strict=True)
        assert any(not torch.equal(now, then) for now, then in pairs) == moved
    never = trained(tmp_path, replace(TINY, adversarial_from=-1), steps)
    assert never.discriminators is None
    for name, tensor in never.generator.state_dict().items():
        torch.testing.assert_close(tensor, inactive.generator.state_dict()[name], atol=0, rtol=0)
    assert not torch.equal(
        inactive.generator.get_parameter("head.weight"), active.generator.get_parameter("head.weight")
    )


@pytest.mark.parametrize("generator", ["istft", "hifigan"])
@pytest.mark.parametrize("term", ["mel", "spectral", "adversarial", "features"])
def test_gradients_of_each_loss_reach_the_whole_generator(
    monkeypatch: pytest.MonkeyPatch, generator: Any, term: str
) -> None:
    config = replace(
        TINY, generator=generator, channels=32, resblock_kernels=(3,), dilations=(1,), adversarial_from=0,
        mel_weight=float(term == "mel"), spectral_weight=float(term == "spectral"),
        adversarial_weight=float(term == "adversarial"), feature_weight=float(term == "features"),
    )  # fmt: skip
    torch.manual_seed(0)
    module = VocoderModule(config, STAGE)
    monkeypatch.setattr(module, "log_dict", lambda *_, **__: None)
    (batch,) = batches(1)
    loss = module.generator_loss(batch["audio"], module.generator(batch["mel"]), module.discriminators)
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in module.generator.named_parameters():
        if name.startswith("pitch."):
            assert parameter.grad is None, "the F0 predictor has a loss of its own"
            continue
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        assert bool((parameter.grad != 0).any()), name
    assert module.discriminators is not None
    assert all(one.grad is None and one.requires_grad for one in module.discriminators.parameters())


@pytest.mark.parametrize(
    ("config", "factor"),
    [
        (VocoderConfig(generator="istft", width=64, blocks=2, hidden=128), 0.34),
        (VocoderConfig(channels=32, resblock_kernels=(3,), dilations=(1, 3)), 0.45),
    ],
    ids=["istft", "hifigan"],
)
def test_it_overfits_one_clip(monkeypatch: pytest.MonkeyPatch, config: VocoderConfig, factor: float) -> None:
    """Forty steps on half a second of a gliding voice bring the loss to a third (istft) or under a half (hifigan)."""
    torch.manual_seed(0)
    module = VocoderModule(replace(config, adversarial_from=-1), StageConfig(learning_rate=3e-3))
    monkeypatch.setattr(module, "log_dict", lambda *_, **__: None)
    f0 = torch.linspace(120, 180, 51)[None]
    noise = torch.randn(1, 8160, generator=torch.Generator().manual_seed(0))
    real = functional.avg_pool1d(0.1 * pulse_train(f0), 5, 1, 2) + 0.01 * noise
    mel, optimizer = module.log_mel(real), build_optimizer(module.generator.named_parameters(), module.stage)
    losses = []
    for _ in range(41):
        loss = module.generator_loss(real, module.generator(mel, module.generator.excitation(mel, f0)))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < factor * losses[0]


def test_padding_of_a_validation_batch_is_removed() -> None:
    mel, audio = np.ones((8, 80), np.float32), np.ones(1280, np.float32)
    items = [Example(2, {"mel": mel, "audio": audio}), Example(3, {"mel": np.ones((12, 80)), "audio": np.ones(1920)})]
    found = list(iter_clips(collate(items)))
    assert [(tuple(one.shape), tuple(other.shape)) for one, other in found] == [((8, 80), (1280,)), ((12, 80), (1920,))]
    assert all(bool((one == 1).all() and (other == 1).all()) for one, other in found)
    del (plain := collate(items))["mask"]
    assert [len(one) for one, _ in iter_clips(plain)] == [12, 12]


def test_validation_scores_and_logs_the_average(tmp_path: Path) -> None:
    """The distances are those of the averaged generator, whatever the padding."""
    from lightning.pytorch.loggers import TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    torch.manual_seed(0)
    module = VocoderModule(TINY, STAGE)
    with torch.no_grad():
        for parameter in module.generator.parameters():
            parameter.zero_()  # validation does not use the trained weights
    waves = [chirp(640 * frames).numpy() for frames in (5, 3)]
    mels = [LogMel()(torch.from_numpy(wave)[None])[0].numpy() for wave in waves]
    both = collate([Example(len(w) // 640, {"audio": w, "mel": m}) for w, m in zip(waves, mels, strict=True)])
    run = trainer(tmp_path, 1, logger=TensorBoardLogger(tmp_path, name="", version="tensorboard"))
    (values,) = run.validate(module, loader([both]), verbose=False)
    with torch.inference_mode():
        made = [module.ema.average(torch.from_numpy(mel)[None]) for mel in mels]
        distances = [
            float((LogMel()(one) - torch.from_numpy(mel)).abs().mean()) for one, mel in zip(made, mels, strict=True)
        ]
    assert values["val/mel"] == pytest.approx(np.mean(distances), rel=1e-4)
    assert values["val/spectral"] > 0
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    tags = events.Tags()
    assert set(tags["images"]) == {"clip0/real_below_made", "clip1/real_below_made"}
    assert set(tags["audio"]) == {f"clip{place}/{name}" for place in (0, 1) for name in ("real", "made")}


def test_checkpoints_hold_the_settings(tmp_path: Path) -> None:
    module = trained(tmp_path, TINY, batches(1))
    assert module.hparams["vocoder"]["width"] == 16
    assert module.hparams["stage"]["steps"] == 4


def test_f0_is_trained_by_its_own_loss(tmp_path: Path) -> None:
    """A step updates every weight of the F0 predictor."""
    torch.manual_seed(0)
    before = VocoderModule(TINY, STAGE).generator.state_dict()
    after = trained(tmp_path, TINY, batches(1)).generator.state_dict()
    weights = [name for name in before if name.startswith("pitch.")]
    assert weights
    assert all(not torch.equal(before[name], after[name]) for name in weights if name.endswith("weight"))
