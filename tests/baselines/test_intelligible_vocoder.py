"""The vocoder that takes mel, units and voice, and its training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from baselines.intelligible.config import PRESETS, IntelligibleConfig, VoiceConfig
from baselines.intelligible.model import IntelligibleOutput
from baselines.intelligible.vocoder import MultiInputVocoder, concat_inputs, to_waveform
from baselines.intelligible.vocoder_training import MultiInputVocoderModule, VocoderInit, blur_mel, degrade_mel
from f2v_bench.modeling.batch import Batch
from f2v_bench.modeling.shared_config import StageConfig, UnitConfig
from f2v_bench.nn.vocoders.build import build_vocoder, vocode
from f2v_bench.nn.vocoders.config import VocoderConfig
from f2v_bench.nn.vocoders.discriminators import Discriminators
from f2v_bench.training.optim import build_optimizer
from tests.nn.published import randomized

COUNT = 10
ISTFT = VocoderConfig(
    generator="istft", width=16, blocks=2, hidden=32, n_fft=320, adversarial_from=3, discriminator_width=1 / 16,
    periods=(2, 3), scales=1, segment=1600,
)  # fmt: skip
HIFIGAN = replace(ISTFT, generator="hifigan", channels=32, resblock_kernels=(3,), dilations=(1,))
SMALL = IntelligibleConfig(
    units=UnitConfig(count=COUNT),
    vocoder=ISTFT,
    voice=VoiceConfig(width=8),
    voice_stage=StageConfig(steps=4, warmup=1, precision="32-true"),
)
BOTH = pytest.mark.parametrize("generator", [ISTFT, HIFIGAN], ids=["istft", "hifigan"])


def said_of(frames: int, seed: int = 0) -> torch.Tensor:
    """Build a possible output of the first stage, ``(1, T, 80 + 10 + 256)``."""
    rng = torch.Generator().manual_seed(seed)
    units = torch.rand(1, (frames + 1) // 2, COUNT, generator=rng).repeat_interleave(2, 1)[:, :frames]
    speaker = functional.normalize(torch.rand(1, 256, generator=rng), dim=1)
    return concat_inputs(-4 + 2 * torch.randn(1, frames, 80, generator=rng), units, speaker)


def built(generator: VocoderConfig) -> MultiInputVocoder:
    """Build a vocoder with random weights."""
    torch.manual_seed(0)
    network = randomized(MultiInputVocoder(replace(SMALL, vocoder=generator)))
    assert isinstance(network, MultiInputVocoder)
    return network


def count_of(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_paper_s_sizes() -> None:
    """336 channels into HiFi-GAN: 256 more than its mel's go through the first convolution, of kernel 7."""
    with torch.device("meta"):
        network, plain = MultiInputVocoder(PRESETS["paper"]), build_vocoder(PRESETS["paper"].vocoder)
    assert network.generator.inputs == 336
    told = 200 * 128 + (128 * 128 * 4 + 128) + (128 * 128 + 128) + (256 * 128 + 128)
    assert count_of(network) == count_of(plain) + 256 * 512 * 7 + told


@BOTH
@torch.inference_mode()
def test_a_batch_gives_what_each_clip_gives_alone(generator: VocoderConfig) -> None:
    network = built(generator)
    both, f0 = torch.cat([said_of(13, 0), said_of(13, 1)]), torch.full((2, 13), 120.0)
    together = network(both, network.excitation(both, f0))
    assert together.shape == (2, 13 * 160)
    for at in range(2):
        one = slice(at, at + 1)
        alone = network(both[one], network.excitation(both[one], f0[one]))
        torch.testing.assert_close(alone, together[one], atol=1e-5, rtol=0)


@BOTH
@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_chunks_equal_the_whole(generator: VocoderConfig, chunk: int) -> None:
    """Also where a chunk begins within a unit."""
    network, said = built(generator), said_of(91)[0].numpy()
    whole = vocode(network, said)
    assert float(np.abs(whole).max()) > 1e-3
    np.testing.assert_allclose(vocode(network, said, chunk=chunk), whole, atol=1e-5)
    with pytest.raises(ValueError, match=r"is \(T, 346\), got"):
        vocode(network, said[:, :80])


@BOTH
@torch.inference_mode()
def test_units_and_speaker_act_at_their_place(generator: VocoderConfig) -> None:
    """The unit of frames 40 and 41 changes what is near them; the voice changes everything."""
    network, said = built(generator), said_of(120)
    f0 = torch.full((1, 120), 120.0)
    source = network.excitation(said, f0)
    plain = network(said, source)
    other = said.clone()
    other[:, 40:42, 80:90] = other[:, 40:42, 80:90].roll(1, 2)
    changed = ((network(other, source) - plain).abs() > 1e-6)[0].view(-1, 160).any(1).nonzero()[:, 0]
    assert 40 - network.context <= int(changed.min()) <= 40
    assert 41 <= int(changed.max()) <= 41 + network.context
    voiced = said.clone()
    voiced[..., 90:] = voiced[..., 90:].roll(1, 2)
    assert bool(((network(voiced, source) - plain).abs() > 1e-6)[0].view(-1, 160).any(1).all())


@torch.inference_mode()
def test_the_likeliest_unit_is_embedded() -> None:
    network, said = built(ISTFT), said_of(20)
    sure = said.clone()
    sure[..., 80:90] = functional.one_hot(said[..., 80:90].argmax(2), COUNT)
    torch.testing.assert_close(network(sure), network(said), atol=0, rtol=0)


@BOTH
@torch.inference_mode()
def test_it_begins_with_the_sound_of_the_shared_vocoder(generator: VocoderConfig) -> None:
    torch.manual_seed(0)
    plain = randomized(build_vocoder(generator))
    network = MultiInputVocoder(replace(SMALL, vocoder=generator)).eval()
    network.init_from(plain.state_dict())
    said = said_of(31)[0].numpy()
    assert float(np.abs(vocode(network, said)).max()) > 1e-3
    np.testing.assert_allclose(vocode(network, said), vocode(plain, said[:, :80]), atol=2e-6)  # type: ignore[arg-type]


def test_without_a_vocoder_griffin_lim_is_used() -> None:
    rng = np.random.default_rng(0)
    made = to_waveform(IntelligibleOutput(*said_of(8)[0].split([80, COUNT, 256], dim=1)), None, rng)
    assert made.shape == (1280,)
    assert float(np.abs(made).max()) <= 1


def test_the_blur_is_a_gaussian() -> None:
    """Against numpy's convolution of the reflected mel, every clip with its own width."""
    rng = np.random.default_rng(0)
    mel, sigmas = rng.standard_normal((2, 12, 80)), (0.3, 1.0)
    found = blur_mel(torch.from_numpy(mel), torch.tensor(sigmas, dtype=torch.float64), 9)
    for one, sigma, made in zip(mel, sigmas, found, strict=True):
        gauss = np.exp(-0.5 * (np.arange(-4, 5) / sigma) ** 2)
        gauss /= gauss.sum()
        padded = np.pad(one, 4, mode="reflect")
        over_frames = np.apply_along_axis(np.convolve, 0, padded, gauss, "valid")
        np.testing.assert_allclose(made, np.apply_along_axis(np.convolve, 1, over_frames, gauss, "valid"), atol=1e-6)


def test_training_degrades_mels() -> None:
    torch.manual_seed(0)
    flat = torch.full((64, 20, 80), -5.0)
    noise = degrade_mel(flat, VoiceConfig(noise=0.5)) + 5  # a flat mel has nothing to blur
    assert float(noise.std()) == pytest.approx(0.5, rel=0.02)
    torch.testing.assert_close(degrade_mel(flat, VoiceConfig(noise=0.0)), flat)
    sharp = torch.randn(64, 20, 80)
    torch.testing.assert_close(degrade_mel(sharp, VoiceConfig(blur=1, noise=0.0)), sharp)
    left = degrade_mel(sharp, VoiceConfig(noise=0.0)).std((1, 2))
    assert float(left.min()) < 0.35 < 0.9 < float(left.max()) <= float(sharp.std((1, 2)).max()), "from 0.1 to 1.0"


def batch_of(seed: int = 0) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    return {
        "audio": 0.1 * torch.randn(2, 1600, generator=rng),
        "mel": -4 + 2 * torch.randn(2, 10, 80, generator=rng),
        "f0": torch.full((2, 10), 120.0),
        "units": torch.randint(COUNT, (2, 5), generator=rng).repeat_interleave(2, 1),
        "speaker": functional.normalize(torch.rand(2, 256, generator=rng), dim=1),
    }


def test_a_training_is_given_true_units_and_validation_true_mels() -> None:
    module, batch = MultiInputVocoderModule(SMALL), batch_of()
    torch.manual_seed(0)
    given = module.vocoder_inputs(batch)
    assert given.shape == (2, 10, 346)
    torch.testing.assert_close(given[..., 80:90].argmax(2), batch["units"])
    torch.testing.assert_close(given[:, 3, 90:], batch["speaker"])
    assert float((given[..., :80] - batch["mel"]).std()) > 0.9
    torch.testing.assert_close(module.eval().vocoder_inputs(batch)[..., :80], batch["mel"])


def test_it_starts_from_the_shared_vocoder() -> None:
    """With its discriminators, which then take part from the first step; its average is the start too."""
    torch.manual_seed(0)
    plain, judges = build_vocoder(ISTFT), Discriminators(ISTFT)
    module = MultiInputVocoderModule(SMALL, shared=VocoderInit(plain.state_dict(), judges.state_dict()))
    assert module.config.adversarial_from == 0
    assert module.discriminators is not None
    for name, tensor in judges.state_dict().items():
        torch.testing.assert_close(module.discriminators.state_dict()[name], tensor, atol=0, rtol=0)
    for network in (module.generator, module.ema.average):
        torch.testing.assert_close(
            network.get_parameter("generator.head.weight"), plain.get_parameter("head.weight"), atol=0, rtol=0
        )
    assert MultiInputVocoderModule(SMALL).config.adversarial_from == 3
    quiet = replace(SMALL, vocoder=replace(ISTFT, adversarial_from=-1))
    assert MultiInputVocoderModule(quiet, shared=VocoderInit(plain.state_dict(), {})).discriminators is None


@BOTH
def test_every_weight_learns(monkeypatch: pytest.MonkeyPatch, generator: Any) -> None:
    """After a step, since what stands beside the mel begins at 0 and hides what made it."""
    torch.manual_seed(0)
    config, batch = replace(SMALL, vocoder=generator), batch_of()
    module = MultiInputVocoderModule(
        config, shared=VocoderInit(build_vocoder(generator).state_dict(), Discriminators(generator).state_dict())
    )
    monkeypatch.setattr(module, "log_dict", lambda *_, **__: None)
    best = build_optimizer(module.generator.named_parameters(), config.voice_stage)
    for _ in range(2):
        given = module.vocoder_inputs(batch)
        best.zero_grad()
        loss = module.generator_loss(batch["audio"], module.generator(given), module.discriminators)
        loss.backward()  # type: ignore[no-untyped-call]
        best.step()
    for name, parameter in module.generator.named_parameters():
        if not name.startswith("generator.pitch."):
            assert parameter.grad is not None, name
            assert bool((parameter.grad != 0).any()), name
