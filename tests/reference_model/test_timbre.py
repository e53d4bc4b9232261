"""Timbre stage: faces to the speaker space, and the speaker's influence on the content."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional

from reference_model.config import TimbreConfig
from reference_model.timbre import SpeakerFusion, TimbreEncoder
from tests.nn.test_transformer import awake, seeded

PEOPLE = torch.arange(16)
SMALL = TimbreConfig(channels=(4, 4, 8, 8))


def faces(clips: int, frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(256, (clips, frames, 112, 112, 3), dtype=torch.uint8, generator=seeded(seed))


@torch.no_grad()
def test_faces_become_unit_vectors_of_the_speaker_space() -> None:
    timbre = awake(TimbreEncoder(SMALL))
    speaker = timbre(faces(3, 2))
    assert speaker.shape == (3, 256)
    torch.testing.assert_close(speaker.norm(dim=1), torch.ones(3))
    assert (speaker[0] - speaker[1]).norm() > 1e-3


@torch.no_grad()
def test_the_order_of_frames_and_the_other_clips_do_not_matter() -> None:
    timbre, clips = awake(TimbreEncoder(SMALL)), faces(3, 4)
    speaker = timbre(clips)
    torch.testing.assert_close(timbre(clips.flip(1)), speaker, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(timbre(clips[1:2]), speaker[1:2], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_arcface_vectors_replace_the_small_face_encoder() -> None:
    timbre = awake(TimbreEncoder(replace(SMALL, face="arcface")))
    assert timbre.face is None
    speaker = timbre(torch.randn(2, 512, generator=seeded()))
    torch.testing.assert_close(speaker.norm(dim=1), torch.ones(2))


def test_the_loss_is_least_where_faces_and_voices_agree() -> None:
    timbre = TimbreEncoder(SMALL)
    target = functional.normalize(torch.randn(8, 256, generator=seeded()), dim=1)
    least = timbre.loss(target, target, PEOPLE[: len(target)])
    contrast = functional.cross_entropy(target @ target.T / SMALL.temperature, torch.arange(8))
    torch.testing.assert_close(least, SMALL.contrast_weight * contrast)  # the cosine's part is 0
    for seed in range(20):
        near = functional.normalize(target + 0.1 * torch.randn(8, 256, generator=seeded(seed + 1)), dim=1)
        assert timbre.loss(near, target, PEOPLE[: len(target)]) > least
    assert timbre.loss(target.roll(1, 0), target, PEOPLE[: len(target)]) > least + 0.9


def test_contrast_alone_pairs_each_face_with_its_own_voice() -> None:
    timbre = TimbreEncoder(replace(SMALL, contrast_weight=1.0))
    target = torch.eye(4, 256)
    right, wrong = (
        timbre.loss(target, target, PEOPLE[: len(target)]),
        timbre.loss(target.roll(1, 0), target, PEOPLE[: len(target)]),
    )
    torch.testing.assert_close(right, torch.log(1 + 3 * torch.exp(torch.tensor(-1 / SMALL.temperature))))
    torch.testing.assert_close(wrong - 1, 1 / SMALL.temperature + right)


def test_other_clips_of_the_same_speaker_are_no_negatives() -> None:
    """With one speaker InfoNCE has no negatives; with two, only clips of the other speaker count."""
    timbre = TimbreEncoder(replace(SMALL, contrast_weight=1.0))
    target = functional.normalize(torch.randn(4, 256, generator=seeded()), dim=1)
    near = (1 - (target.roll(1, 0) * target).sum(1)).mean()
    torch.testing.assert_close(timbre.loss(target.roll(1, 0), target, torch.zeros(4, dtype=torch.int64)), near)
    among = timbre.loss(torch.eye(3, 256), torch.eye(3, 256), torch.tensor([0, 0, 1]))
    one, both = (torch.log(1 + count * torch.exp(torch.tensor(-1 / SMALL.temperature))) for count in (1, 2))
    torch.testing.assert_close(among, (2 * one + both) / 3)


def test_descent_on_the_loss_finds_the_voices() -> None:
    timbre = TimbreEncoder(SMALL)
    target = functional.normalize(torch.rand(6, 256, generator=seeded()), dim=1)
    free = torch.randn(6, 256, generator=seeded(1)).requires_grad_()
    optimizer = torch.optim.Adam([free], lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        timbre.loss(functional.normalize(free, dim=1), target, PEOPLE[:6]).backward()
        optimizer.step()
    found = functional.normalize(free, dim=1) @ target.T
    assert found.diagonal().min() > 0.9
    assert (found.argmax(1) == torch.arange(6)).all()


def test_the_cosine_keeps_its_precision_under_autocast() -> None:
    timbre = TimbreEncoder(replace(SMALL, contrast_weight=0.0))
    target = functional.normalize(torch.rand(4, 256, generator=seeded()), dim=1)
    near = functional.normalize(target + 0.002 * torch.randn(4, 256, generator=seeded(1)), dim=1)
    exact = timbre.loss(near, target, PEOPLE[: len(target)])
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(timbre.loss(near, target, PEOPLE[: len(target)]), exact, atol=1e-6, rtol=1e-3)


@torch.no_grad()
def test_fusion_changes_content_with_the_speaker_frame_by_frame() -> None:
    fusion = awake(SpeakerFusion(8, 256))
    content, speakers = torch.randn(2, 5, 8, generator=seeded()), functional.normalize(torch.randn(2, 256), dim=1)
    voiced = fusion(content, speakers)
    assert (fusion(content, speakers.flip(0)) - voiced).abs().amax(2).min() > 1e-4
    torch.testing.assert_close(fusion(content[:, 1:3], speakers), voiced[:, 1:3], atol=1e-5, rtol=1e-5)
