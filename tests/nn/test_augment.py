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
    """Return images that resizing hardly changes: waves much longer than a pixel, without mirror symmetry."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    phase = torch.arange(batch * frames).view(batch, frames, 1, 1)
    return (128 + 60 * torch.sin(x / 14 + phase) + 50 * torch.cos(y / 11)).to(torch.uint8)


def test_without_changes_it_is_the_normalized_image_or_its_mirror_image() -> None:
    torch.manual_seed(0)
    lips = smooth_lips()
    plain = normalize(lips, ENCODER)
    changed = augment(lips, ENCODER, NONE)
    assert changed.shape == plain.shape == (8, 3, 48, 48)
    mirrored = 0
    for image, expected in zip(changed, plain, strict=True):
        flipped = (image.flip(-1) - expected).abs().max() < (image - expected).abs().max()
        mirrored += int(flipped)
        torch.testing.assert_close(image.flip(-1) if flipped else image, expected, atol=0.05, rtol=0)
    assert 0 < mirrored < 8


def test_all_frames_of_a_clip_get_the_same_transform() -> None:
    torch.manual_seed(0)
    still = smooth_lips(6, 1).expand(6, 4, 96, 96)
    changed = augment(still, ENCODER, AugmentConfig())
    assert (changed == changed[:, :1]).all()
    assert not torch.allclose(augment(still, ENCODER, AugmentConfig()), changed, atol=0.1)


def test_shifts_are_pixels_of_the_crop() -> None:
    """A bright column at the center moves by at most five pixels."""
    lips = torch.zeros(200, 1, 96, 96, dtype=torch.uint8)
    lips[..., 47:49] = 255
    torch.manual_seed(0)
    config = AugmentConfig(shift=5, scale=0, rotation=0, contrast=0, erase=0)
    shifted = augment(lips, LipEncoderConfig(field=96, size=96), config)
    offset = (shifted[:, 0, 48] * torch.arange(96)).clamp(min=0).argmax(-1).float() - 47.5
    assert 4 <= float(offset.max()) <= 5.5
    assert -5.5 <= float(offset.min()) <= -4


def test_rectangles_are_blank_and_as_frequent_as_configured() -> None:
    torch.manual_seed(0)
    lips = torch.full((400, 1, 96, 96), 255, dtype=torch.uint8)
    config = AugmentConfig(shift=0, scale=0, rotation=0, contrast=0, erase=0.25)
    blank = (augment(lips, ENCODER, config) == 0).flatten(1).float().mean(1)
    assert float((blank > 0).float().mean()) == pytest.approx(0.25, abs=0.08)
    assert float(blank.max()) < 0.2


def test_spans_cover_their_fraction_of_real_frames() -> None:
    torch.manual_seed(0)
    mask = valid_mask(torch.tensor([75, 40] * 100), 75)
    for probability, length in ((0.25, 6), (0.1, 4)):
        masked = mask_spans(mask, probability, length)
        assert not (masked & ~mask).any()
        # spans end with the clip, and overlap: 1 - (1 - probability / length)^length
        expected = 1 - (1 - probability / length) ** length
        assert float(masked[mask].float().mean()) == pytest.approx(expected, abs=0.03)
        assert 0.8 * probability < expected < probability
    assert not mask_spans(mask, 0.0, 4).any()


@pytest.mark.parametrize("draw", [-1.0, -0.3, 0.0, 0.7, 1.0])
def test_a_change_of_tempo_keeps_both_ends_of_a_clip(draw: float) -> None:
    index = tempo_warp_index(75, 0.12, draw).numpy()
    assert len(index) == round(75 * np.exp(0.12 * draw))
    assert (index[0], index[-1]) == (0, 74)
    assert set(np.diff(index)) <= ({0, 1} if draw > 0 else {1} if draw == 0 else {1, 2})
    assert tempo_warp_index(1, 0.12, draw).tolist() == [0]
