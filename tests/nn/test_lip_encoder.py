from __future__ import annotations

from typing import TypeVar

import pytest
import torch
from torch import nn

from f2v_bench.config import from_mapping
from f2v_bench.nn.encoders.lip_encoder import STACK, LipEncoder, LipEncoderConfig, normalize
from f2v_bench.nn.encoders.visual_frontend import VisualFrontendConfig
from f2v_bench.nn.layers.masking import valid_mask
from f2v_bench.nn.layers.pixels import standardize_pixels

TINY = LipEncoderConfig(size=32, channels=(4, 6, 8), width=16, layers=2, heads=2, kernel=3)
LENGTHS = [9, 4, 1, 7]

M = TypeVar("M", bound=nn.Module)


def awake(module: M) -> M:
    """Draw random weights and batch-norm statistics, and switch to evaluation mode."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.2, generator=generator)
        for name, buffer in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 1.5, generator=generator)
    return module.eval()


def images(batch: int, frames: int, size: int = 32) -> torch.Tensor:
    return torch.randn(batch, frames, size, size, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_a_clip_in_a_batch_is_the_clip_alone() -> None:
    """All layer outputs, with and without masked frames, do not depend on padding."""
    encoder = awake(LipEncoder(TINY))
    lips, mask = 3 * images(4, 11), valid_mask(torch.tensor(LENGTHS), 11)
    masked = torch.zeros(4, 11, dtype=torch.bool)
    masked[:, 1:3] = True
    for which in (None, masked & mask):
        together = encoder(lips, mask, which)
        assert len(together) == TINY.layers + 1
        for row, length in enumerate(LENGTHS):
            here = None if which is None else which[row : row + 1, :length]
            alone = encoder(lips[row : row + 1, :length], torch.ones(1, length, dtype=torch.bool), here)
            for ours, theirs in zip(together, alone, strict=True):
                torch.testing.assert_close(ours[row : row + 1, :length], theirs, atol=1e-5, rtol=1e-5)


def test_padding_has_no_effect_on_batch_norms() -> None:
    """In training too: the statistics of a padded batch are those of its real frames."""
    mask = valid_mask(torch.tensor([5, 2]), 5)
    encoders = [LipEncoder(TINY) for _ in range(2)]
    encoders[1].load_state_dict(encoders[0].state_dict())
    lips = images(2, 5)
    encoders[0].train()(lips, mask)
    encoders[1].train()(torch.where(mask[..., None, None], lips, 100.0), mask)
    for one, other in zip(encoders[0].buffers(), encoders[1].buffers(), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


@torch.inference_mode()
def test_masked_frames_have_no_effect() -> None:
    """A frame outside the stacks of all visible frames reaches no layer; the output there is the mask embedding.

    The two masked frames on each side of a span are also in the stacks of their visible neighbors.
    """
    encoder = awake(LipEncoder(TINY))
    lips, mask = images(1, 16), torch.ones(1, 16, dtype=torch.bool)
    masked = torch.zeros(1, 16, dtype=torch.bool)
    masked[:, 4:12] = True
    edge = STACK // 2
    other = lips.clone()
    other[:, 4 + edge : 12 - edge] = 50.0
    before, after = encoder(lips, mask, masked), encoder(other, mask, masked)
    for ours, theirs in zip(before, after, strict=True):
        torch.testing.assert_close(ours, theirs, atol=0, rtol=0)
    assert (before[0][0, 4:12] == encoder.mask_embedding).all()
    assert not torch.allclose(encoder(other, mask)[-1], encoder(lips, mask)[-1], atol=1e-2)


def test_masked_frames_get_no_gradient() -> None:
    encoder = awake(LipEncoder(TINY))
    lips = images(1, 12).requires_grad_(True)
    masked = torch.zeros(1, 12, dtype=torch.bool)
    masked[:, 3:9] = True
    encoder(lips, torch.ones(1, 12, dtype=torch.bool), masked)[-1].square().sum().backward()
    assert lips.grad is not None
    assert (lips.grad[:, 5:7] == 0).all()
    assert (lips.grad[:, [0, 11]] != 0).any()


def test_every_weight_is_used() -> None:
    encoder = awake(LipEncoder(TINY)).train()
    masked = torch.zeros(2, 6, dtype=torch.bool)
    masked[:, 2] = True
    outputs = encoder(images(2, 6), valid_mask(torch.tensor([6, 4]), 6), masked)
    torch.stack(outputs).square().sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name


def test_normalize_crops_the_center() -> None:
    crops = torch.zeros(1, 2, 96, 96, dtype=torch.uint8)
    crops[..., 14:82, 14:82] = 255
    pixels = normalize(crops, LipEncoderConfig(field=68, size=48))
    assert pixels.shape == (1, 2, 48, 48)
    torch.testing.assert_close(pixels, standardize_pixels(torch.full((1, 2, 48, 48), 255.0)))
    assert float(normalize(crops, LipEncoderConfig(field=96, size=48)).min()) == pytest.approx(-0.421 / 0.165)


@pytest.mark.parametrize(
    ("config", "outputs"),
    [
        (TINY, (3, 16)),
        (LipEncoderConfig(encoder="avhubert-base"), (13, 768)),
        (LipEncoderConfig(encoder="avhubert-large"), (25, 1024)),
    ],
)
def test_the_settings_give_the_outputs(config: LipEncoderConfig, outputs: tuple[int, int]) -> None:
    assert config.outputs == outputs


def test_earlier_settings_are_read() -> None:
    assert from_mapping(LipEncoderConfig, {"encoder": "stand-in", "width": 16}) == LipEncoderConfig(width=16)
    earlier = from_mapping(VisualFrontendConfig, {"kind": "resnet", "hidden": 0.4, "span": 3})
    assert earlier == VisualFrontendConfig("resnet", mask_prob=0.4, mask_length=3)
