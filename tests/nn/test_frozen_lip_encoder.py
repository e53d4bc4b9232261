from __future__ import annotations

from pathlib import Path

import pytest
import torch

from f2v_bench.assets import AssetMissing
from f2v_bench.errors import F2VError
from f2v_bench.nn.encoders.frozen_lip_encoder import FrozenLipEncoder
from f2v_bench.nn.encoders.lip_encoder import LipEncoder, LipEncoderConfig
from f2v_bench.nn.layers.masking import valid_mask
from tests.nn.test_lip_encoder import TINY, awake

LENGTHS = [6, 2, 5]


def frozen() -> FrozenLipEncoder:
    return FrozenLipEncoder(TINY, awake(LipEncoder(TINY)).state_dict())


def crops(batch: int, frames: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (batch, frames, 96, 96), dtype=torch.uint8, generator=generator)


def test_a_clip_in_a_batch_is_the_clip_alone_and_padding_is_zero() -> None:
    encoder, lips, mask = frozen(), crops(3, 8), valid_mask(torch.tensor(LENGTHS), 8)
    together = encoder(lips, mask)
    assert together.shape == (3, 8, *TINY.outputs)
    assert (together[~mask] == 0).all()
    for row, length in enumerate(LENGTHS):
        alone = encoder(lips[row : row + 1, :length], torch.ones(1, length, dtype=torch.bool))
        torch.testing.assert_close(together[row : row + 1, :length], alone, atol=1e-5, rtol=1e-5)


def test_it_is_frozen() -> None:
    encoder = frozen()
    assert not encoder.training
    assert not any(one.requires_grad for one in encoder.parameters())
    assert not encoder(crops(1, 3), torch.ones(1, 3, dtype=torch.bool)).requires_grad


def test_layers_are_those_of_the_encoder() -> None:
    encoder, mask = frozen(), torch.ones(1, 5, dtype=torch.bool)
    outputs = awake(LipEncoder(TINY))(encoder.preprocess(crops(1, 5)), mask)
    torch.testing.assert_close(encoder(crops(1, 5), mask), torch.stack(outputs, 2).detach(), atol=0, rtol=0)


def test_missing_weights_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(F2VError, match="no weights"):
        FrozenLipEncoder(TINY)
    monkeypatch.setenv("F2V_ASSETS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(AssetMissing):
        FrozenLipEncoder(LipEncoderConfig(encoder="avhubert-base"))


def test_impossible_sizes_are_reported() -> None:
    with pytest.raises(F2VError, match="kernel of 4 frames is not odd"):
        FrozenLipEncoder(LipEncoderConfig(kernel=4), {})
