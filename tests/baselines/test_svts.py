from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.svts.config import PRESETS, SVTSConfig, preset
from baselines.svts.model import SVTS, mel_losses
from f2v_bench.errors import F2VError
from f2v_bench.nn.batches import valid_mask
from f2v_bench.nn.lips import LipEncoderConfig
from tests.nn.published import randomised

SMALL = SVTSConfig(lips=LipEncoderConfig(width=16, layers=1), width=16, blocks=2, heads=2, hidden=32, kernel=5)


@pytest.mark.parametrize(("name", "millions"), [("s", 27.3), ("m", 43.1), ("l", 87.6)])
def test_the_sizes_are_the_paper_s(name: str, millions: float) -> None:
    with torch.device("meta"):
        network = SVTS(preset(name))
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.1)


def test_an_unknown_size_gets_a_suggestion() -> None:
    with pytest.raises(F2VError, match="no preset 'xl'"):
        preset("xl")
    assert set(PRESETS) == {"s", "m", "l"}


@given(lengths=st.lists(st.integers(1, 8), min_size=2, max_size=3), beyond=st.integers(0, 3))
@settings(max_examples=8)
@torch.no_grad()
def test_padding_changes_nothing(lengths: list[int], beyond: int) -> None:
    torch.manual_seed(0)
    network = randomised(SVTS(SMALL, -5.0, 2.0)).eval()
    longest = max(lengths) + beyond
    seen = torch.randn(len(lengths), longest, *SMALL.lips.outputs)
    speaker = torch.nn.functional.normalize(torch.rand(len(lengths), 256), dim=1)
    both = network(seen, speaker, valid_mask(torch.tensor(lengths), longest))
    for at, length in enumerate(lengths):
        one = slice(at, at + 1)
        alone = network(seen[one, :length], speaker[one], torch.ones(1, length, dtype=torch.bool))
        assert alone.shape == (1, 4 * length, 80)
        torch.testing.assert_close(both[one, : 4 * length], alone, atol=1e-4, rtol=1e-5)


@torch.no_grad()
def test_from_pictures_as_in_the_paper() -> None:
    torch.manual_seed(0)
    network = SVTS(replace(SMALL, front="resnet")).eval()
    lips, mask = torch.randn(2, 3, 88, 88), torch.tensor([[True, True, True], [True, False, False]])
    speaker = torch.nn.functional.normalize(torch.rand(2, 256), dim=1)
    both = network(lips, speaker, mask)
    assert both.shape == (2, 12, 80)
    torch.testing.assert_close(both[1:, :4], network(lips[1:, :1], speaker[1:], mask[1:, :1]), atol=1e-5, rtol=1e-5)


def test_the_voice_is_heard() -> None:
    torch.manual_seed(0)
    network = SVTS(SMALL).eval()
    seen, mask = torch.randn(1, 5, *SMALL.lips.outputs), torch.ones(1, 5, dtype=torch.bool)
    one, other = (network(seen, torch.eye(256)[at : at + 1], mask) for at in (0, 1))
    assert not torch.allclose(one, other, atol=1e-3)


def test_losses_are_their_formulas() -> None:
    rng = np.random.default_rng(0)
    made, real = (rng.standard_normal((2, 12, 80)).astype(np.float32) for _ in range(2))
    found = mel_losses(torch.from_numpy(made), torch.from_numpy(real), valid_mask(torch.tensor([3, 1]), 3))
    pairs = [(made[0], real[0]), (made[1, :4], real[1, :4])]
    every = np.concatenate([np.abs(m - r).ravel() for m, r in pairs])
    assert float(found["l1"]) == pytest.approx(every.mean(), rel=1e-5)
    ratios = [np.linalg.norm(m - r) / np.linalg.norm(r) for m, r in pairs]
    assert float(found["convergence"]) == pytest.approx(np.mean(ratios), rel=1e-5)


def test_equal_mels_lose_nothing() -> None:
    mel = torch.randn(1, 8, 80)
    found = mel_losses(mel, mel, torch.ones(1, 2, dtype=torch.bool))
    assert float(found["l1"]) == float(found["convergence"]) == 0


def test_it_learns_four_clips_by_heart() -> None:
    """Two hundred steps on noise features bring the L1 of log mels under 0.15, from about 1.7."""
    torch.manual_seed(0)
    network = SVTS(replace(SMALL, width=64, hidden=128, dropout=0.0), -5.0, 2.0)
    lengths = torch.tensor([10, 8, 10, 6])
    mask = valid_mask(lengths, 10)
    seen, speaker = torch.randn(4, 10, *SMALL.lips.outputs), torch.nn.functional.normalize(torch.rand(4, 256), dim=1)
    mel = -5 + 2 * torch.randn(4, 40, 80)
    best = torch.optim.AdamW(network.parameters(), lr=3e-3)
    first = float(mel_losses(network(seen, speaker, mask), mel, mask)["l1"])
    for _ in range(200):
        loss = torch.stack(list(mel_losses(network(seen, speaker, mask), mel, mask).values())).sum()
        best.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        best.step()
    last = float(mel_losses(network(seen, speaker, mask), mel, mask)["l1"])
    assert first > 1.4
    assert last < 0.15
