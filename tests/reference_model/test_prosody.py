"""Prosody stage: expression without the clip mean, contour losses, and padding that changes nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from f2v_bench.nn.layers.masking import valid_mask
from reference_model.config import ProsodyConfig
from reference_model.prosody import (
    ContourEmbedding,
    Contours,
    ExpressionEncoder,
    ProsodyPredictor,
    contour_losses,
    subtract_mean,
)
from tests.nn.test_transformer import awake, seeded

SMALL = ProsodyConfig(channels=(4, 4, 8), width=6, blocks=2, kernel=3)
WIDTH = 8


def faces(clips: int, frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(256, (clips, frames, 56, 56), dtype=torch.uint8, generator=seeded(seed))


@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=3), beyond=st.integers(0, 3))
@settings(max_examples=15)
@torch.no_grad()
def test_expression_carries_no_clip_mean_and_no_padding(lengths: list[int], beyond: int) -> None:
    encoder, longest = awake(ExpressionEncoder(SMALL)), max(lengths) + beyond
    face, mask = faces(len(lengths), longest), valid_mask(torch.tensor(lengths), longest)
    found = encoder(face, mask)
    assert found.shape == (len(lengths), longest, SMALL.width)
    assert (found[~mask] == 0).all()
    assert found.sum(1).abs().max() < 1e-4
    for clip, length in enumerate(lengths):
        of = slice(clip, clip + 1)
        torch.testing.assert_close(
            found[of, :length], encoder(face[of, :length], mask[of, :length]), atol=1e-5, rtol=1e-5
        )


@torch.no_grad()
def test_a_still_face_gives_zeros_and_a_moving_one_does_not() -> None:
    """Zeros up to the rounding of a mean, which is far below the features of a moving face."""
    encoder = awake(ExpressionEncoder(SMALL))
    still = faces(1, 1).expand(1, 40, 56, 56)
    mask = torch.ones(1, 40, dtype=torch.bool)
    assert encoder(still, mask).abs().max() < 1e-6
    assert encoder(faces(1, 40), mask).abs().mean() > 0.05


@torch.no_grad()
def test_a_constant_offset_does_not_matter() -> None:
    x, mask = torch.randn(2, 9, 4, generator=seeded()), valid_mask(torch.tensor([9, 5]), 9)
    constant = 3 * torch.randn(2, 1, 4, generator=seeded(1))
    torch.testing.assert_close(subtract_mean(x + constant, mask), subtract_mean(x, mask), atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_mean_is_subtracted_in_full_precision() -> None:
    x, mask = (100 + torch.randn(1, 300, 4, generator=seeded())).bfloat16(), torch.ones(1, 300, dtype=torch.bool)
    assert subtract_mean(x, mask).mean(1).abs().max() < 1e-4


@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=3), beyond=st.integers(0, 5))
@settings(max_examples=15)
@torch.no_grad()
def test_padding_changes_no_contour_and_no_embedding(lengths: list[int], beyond: int) -> None:
    prosody, embedding = awake(ProsodyPredictor(SMALL, WIDTH, 16)), awake(ContourEmbedding(SMALL, WIDTH))
    longest, rng = max(lengths) + beyond, seeded()
    voiced, expression = (torch.randn(len(lengths), longest, c, generator=rng) for c in (WIDTH, SMALL.width))
    mask = valid_mask(torch.tensor(lengths), longest)
    found = prosody(voiced, expression, mask)
    embedded = embedding(found, mask)
    for clip, length in enumerate(lengths):
        of, to = slice(clip, clip + 1), slice(0, length)
        once = prosody(voiced[of, to], expression[of, to], mask[of, to])
        for together, apart in zip(found, once, strict=True):
            torch.testing.assert_close(together[of, to], apart, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(embedded[of, to], embedding(once, mask[of, to]), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", Contours._fields)
def test_every_contour_counts(name: str) -> None:
    embedding, mask = awake(ContourEmbedding(SMALL, WIDTH)), torch.ones(1, 8, dtype=torch.bool)
    flat = Contours(*(torch.zeros(1, 8) for _ in range(3)))
    moved = flat._replace(**{name: torch.ones(1, 8)})
    assert (embedding(moved, mask) - embedding(flat, mask)).abs().mean() > 0.05


def test_pitch_is_scored_where_voiced_and_nothing_beyond_the_end() -> None:
    mask = valid_mask(torch.tensor([3]), 5)
    target = Contours(
        torch.tensor([[1.0, 2.0, 0.0, 9.0, 9.0]]), torch.tensor([[1.0, 1.0, 0.0, 1.0, 1.0]]), torch.zeros(1, 5)
    )
    found = Contours(
        torch.tensor([[1.5, 2.0, 7.0, 0.0, 0.0]]),
        torch.tensor([[0.0, 0.0, 0.0, 50.0, -50.0]]),
        torch.tensor([[1.0, 2.0, 3.0, 99.0, 99.0]]),
    )
    losses = contour_losses(found, target, mask)
    torch.testing.assert_close(losses["pitch"], torch.tensor(0.25))  # 0.5 and 0 over two voiced frames
    torch.testing.assert_close(losses["voicing"], torch.tensor(2.0).log())
    torch.testing.assert_close(losses["energy"], torch.tensor(2.0))


def test_perfect_contours_cost_nothing_and_an_unvoiced_batch_is_no_error() -> None:
    mask = torch.ones(1, 4, dtype=torch.bool)
    target = Contours(torch.zeros(1, 4), torch.zeros(1, 4), torch.ones(1, 4))
    found = target._replace(voicing=torch.full((1, 4), -40.0), pitch=torch.ones(1, 4))
    assert all(float(loss) < 1e-9 for loss in contour_losses(found, target, mask).values())
