from __future__ import annotations

import numpy as np
import pytest
import torch

from f2v_bench.nn.layers.masking import valid_mask
from f2v_bench.nn.losses.mel import mel_losses


def test_losses_equal_their_formulas() -> None:
    rng = np.random.default_rng(0)
    predicted, real = (rng.standard_normal((2, 12, 80)).astype(np.float32) for _ in range(2))
    found = mel_losses(torch.from_numpy(predicted), torch.from_numpy(real), valid_mask(torch.tensor([3, 1]), 3))
    pairs = [(predicted[0], real[0]), (predicted[1, :4], real[1, :4])]
    every = np.concatenate([np.abs(m - r).ravel() for m, r in pairs])
    assert float(found["l1"]) == pytest.approx(every.mean(), rel=1e-5)
    ratios = [np.linalg.norm(m - r) / np.linalg.norm(r) for m, r in pairs]
    assert float(found["convergence"]) == pytest.approx(np.mean(ratios), rel=1e-5)


def test_equal_mels_have_no_loss() -> None:
    mel = torch.randn(1, 8, 80)
    found = mel_losses(mel, mel, torch.ones(1, 2, dtype=torch.bool))
    assert float(found["l1"]) == float(found["convergence"]) == 0
