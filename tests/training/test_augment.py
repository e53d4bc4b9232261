from __future__ import annotations

import numpy as np
import pytest
import torch

from f2v_bench.nn.encoders.lip_encoder import LipEncoderConfig, normalize
from f2v_bench.nn.layers.augment import AugmentConfig, augment, mask_spans, tempo_warp_index
from f2v_bench.nn.layers.masking import valid_mask

ENCODER = LipEncoderConfig(field=68, size=48)
NONE = AugmentConfig(shift=0, scale=0, rotation=0, contrast=0, erase=0, tempo=0)


def smooth_lips(batch: int = 8, frames: int = 3) -> torch.Tensor:
    """Pictures that resizing leaves alone: waves much longer than a pixel, unlike their mirror images."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    moving = torch.arange(batch * frames).view(batch, frames, 1, 1)
    return (128 + 60 * torch.sin(x / 14 + moving) + 50 * torch.cos(y / 11)).to(torch.uint8)


def test_without_changes_it_is_what_the_encoder_sees_or_its_mirror_image() -> None:
    torch.manual_seed(0)
    lips = smooth_lips()
    plain = normalize(lips, ENCODER)
    changed = augment(lips, ENCODER, NONE)
    assert changed.shape == plain.shape == (8, 3, 48, 48)
    mirrored = 0
    for ours, theirs in zip(changed, plain, strict=True):
        flipped = (ours.flip(-1) - theirs).abs().max() < (ours - theirs).abs().max()
        mirrored += int(flipped)
        torch.testing.assert_close(ours.flip(-1) if flipped else ours, theirs, atol=0.05, rtol=0)
    assert 0 < mirrored < 8


def test_a_clips_frames_change_alike() -> None:
    torch.manual_seed(0)
    still = smooth_lips(6, 1).expand(6, 4, 96, 96)
    changed = augment(still, ENCODER, AugmentConfig())
    assert (changed == changed[:, :1]).all()
    assert not torch.allclose(augment(still, ENCODER, AugmentConfig()), changed, atol=0.1)


def test_shifts_are_pixels_of_the_crop() -> None:
    """One bright column at the centre lands within five pixels of it."""
    lips = torch.zeros(200, 1, 96, 96, dtype=torch.uint8)
    lips[..., 47:49] = 255
    torch.manual_seed(0)
    config = AugmentConfig(shift=5, scale=0, rotation=0, contrast=0, erase=0)
    seen = augment(lips, LipEncoderConfig(field=96, size=96), config)
    place = (seen[:, 0, 48] * torch.arange(96)).clamp(min=0).argmax(-1).float() - 47.5
    assert 4 <= float(place.max()) <= 5.5
    assert -5.5 <= float(place.min()) <= -4


def test_rectangles_are_blank_and_as_frequent_as_said() -> None:
    torch.manual_seed(0)
    lips = torch.full((400, 1, 96, 96), 255, dtype=torch.uint8)
    config = AugmentConfig(shift=0, scale=0, rotation=0, contrast=0, erase=0.25)
    blank = (augment(lips, ENCODER, config) == 0).flatten(1).float().mean(1)
    assert float((blank > 0).float().mean()) == pytest.approx(0.25, abs=0.08)
    assert float(blank.max()) < 0.2


def test_spans_hide_their_share_of_real_frames() -> None:
    torch.manual_seed(0)
    mask = valid_mask(torch.tensor([75, 40] * 100), 75)
    for share, length in ((0.25, 6), (0.1, 4)):
        hidden = mask_spans(mask, share, length)
        assert not (hidden & ~mask).any()
        # a span is cut short by the end of the clip, and lies over others: 1 - (1 - share / length)^length
        expected = 1 - (1 - share / length) ** length
        assert float(hidden[mask].float().mean()) == pytest.approx(expected, abs=0.03)
        assert 0.8 * share < expected < share
    assert not mask_spans(mask, 0.0, 4).any()


@pytest.mark.parametrize("draw", [-1.0, -0.3, 0.0, 0.7, 1.0])
def test_tempo_plays_all_of_a_clip(draw: float) -> None:
    index = tempo_warp_index(75, 0.12, draw).numpy()
    assert len(index) == round(75 * np.exp(0.12 * draw))
    assert (index[0], index[-1]) == (0, 74)
    assert set(np.diff(index)) <= ({0, 1} if draw > 0 else {1} if draw == 0 else {1, 2})
    assert tempo_warp_index(1, 0.12, draw).tolist() == [0]
