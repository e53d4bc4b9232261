"""Velocity nets: padding changes nothing, any length works, and every input counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from f2v_bench.nn.layers.masking import valid_mask
from reference_model.config import FlowConfig
from reference_model.velocity_net import DiTBlock, DiTVelocityNet, Downsample, Stage, UNetVelocityNet, Upsample
from tests.nn.test_transformer import awake, seeded

BINS, FEATURES = 10, 6
SMALL = FlowConfig(width=16, heads=2, dropout=0.1)
CONFIGS = {
    "unet": SMALL,
    "deep unet": replace(SMALL, depth=3),
    "flat unet": replace(SMALL, depth=0, blocks=2),
    "convolutional unet": replace(SMALL, blocks=0),
    "dit": replace(SMALL, decoder="dit", depth=2),
}
Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def velocity_net(name: str, seed: int = 0) -> nn.Module:
    config = CONFIGS[name]
    return awake((UNetVelocityNet if config.decoder == "unet" else DiTVelocityNet)(config, FEATURES, BINS), seed)


def inputs(clips: int, frames: int, seed: int = 0) -> Inputs:
    """Return x, t, mu and features."""
    generator = seeded(seed)
    x, mu, features = (torch.randn(clips, frames, c, generator=generator) for c in (BINS, BINS, FEATURES))
    return x, torch.rand(clips, generator=generator), mu, features


@pytest.mark.parametrize("name", CONFIGS)
@given(
    lengths=st.lists(st.integers(1, 33), min_size=1, max_size=4),
    beyond=st.integers(0, 9),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=20)
@torch.inference_mode()
def test_padding_changes_nothing(name: str, lengths: list[int], beyond: int, seed: int) -> None:
    """Odd lengths and single frames among them; the padding holds numbers, not zeros."""
    network, longest = velocity_net(name, seed), max(lengths) + beyond
    x, t, mu, features = inputs(len(lengths), longest, seed)
    mask = valid_mask(torch.tensor(lengths), longest)
    together = network(x, t, mu, features, mask)
    assert together.shape == x.shape
    assert (together[~mask] == 0).all()
    for clip, length in enumerate(lengths):
        of = slice(clip, clip + 1)
        alone = network(x[of, :length], t[of], mu[of, :length], features[of, :length], mask[of, :length])
        assert alone.std() > 0.1  # a constant output would pass as well
        torch.testing.assert_close(together[of, :length], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
@torch.inference_mode()
def test_every_input_counts(name: str) -> None:
    network, (x, t, mu, features) = velocity_net(name), inputs(2, 9)
    mask = torch.ones(2, 9, dtype=torch.bool)
    before = network(x, t, mu, features, mask)
    for changed in (
        (x + 1, t, mu, features),
        (x, 1 - t, mu, features),
        (x, t, mu + 1, features),
        (x, t, mu, -features),
    ):
        assert ((network(*changed, mask) - before).abs().mean(2) > 1e-3).all()


@pytest.mark.parametrize("name", CONFIGS)
def test_every_parameter_learns(name: str) -> None:
    network, given = velocity_net(name), inputs(2, 9)
    network(*given, torch.ones(2, 9, dtype=torch.bool)).square().mean().backward()
    silent = [name for name, parameter in network.named_parameters() if not parameter.grad.any()]
    assert not silent


@pytest.mark.parametrize("name", CONFIGS)
def test_training_starts_at_a_velocity_of_zero(name: str) -> None:
    config = CONFIGS[name]
    network = (UNetVelocityNet if config.decoder == "unet" else DiTVelocityNet)(config, FEATURES, BINS)
    assert not network(*inputs(2, 9), torch.ones(2, 9, dtype=torch.bool)).any()


@torch.inference_mode()
def test_a_new_dit_block_is_the_identity() -> None:
    x, time = torch.randn(2, 5, 16, generator=seeded()), torch.randn(2, 16, generator=seeded(1))
    mask = torch.ones(2, 5, dtype=torch.bool)
    torch.testing.assert_close(DiTBlock(16, 2, 0.0)(x, time, mask), x)
    assert not torch.allclose(awake(DiTBlock(16, 2, 0.0))(x, time, mask), x, atol=0.1)


@pytest.mark.parametrize("frames", [1, 2, 7, 8])
def test_down_and_up_give_as_many_frames(frames: int) -> None:
    x, mask = torch.randn(2, frames, 16, generator=seeded()), valid_mask(torch.tensor([frames, 1]), frames)
    half, half_mask = Downsample(16)(x, mask)
    assert half.shape == (2, (frames + 1) // 2, 16)
    assert half_mask.sum(1).tolist() == [(frames + 1) // 2, 1]
    assert Upsample(16)(half, x).shape == x.shape


@torch.inference_mode()
def test_a_pair_of_frames_goes_down_and_comes_up_in_its_place() -> None:
    """With weights that keep each frame of a pair in channels of its own, up undoes down."""
    down, up = Downsample(4), Upsample(4)
    down.merge.weight.copy_(torch.zeros(4, 8))
    down.merge.bias.zero_()
    down.merge.weight[0, 0] = down.merge.weight[1, 4] = 1  # channel 0 of either frame
    up.split.weight.zero_()
    up.split.weight[0, 0] = up.split.weight[4, 1] = 1
    up.skip.weight.zero_()
    up.skip.bias.zero_()
    x = torch.randn(1, 7, 4, generator=seeded())
    half, _ = down(x, torch.ones(1, 7, dtype=torch.bool))
    torch.testing.assert_close(up(half, x)[..., 0], x[..., 0])


def test_depth_and_blocks_are_those_of_the_config() -> None:
    unet = UNetVelocityNet(replace(SMALL, depth=2, blocks=3), FEATURES, BINS)
    stages = [module for module in unet.modules() if isinstance(module, Stage)]
    assert [len(stage.transformers) for stage in stages] == [3] * 5  # two down, one mid, two up
    assert len(DiTVelocityNet(replace(SMALL, depth=5), FEATURES, BINS).blocks) == 5


def test_the_default_is_small() -> None:
    """A CPU can train it."""
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in UNetVelocityNet(FlowConfig(), 192).parameters())
    assert 2_000_000 < count < 3_500_000
