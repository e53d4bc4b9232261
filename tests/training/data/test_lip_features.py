from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from f2v_bench.nn.encoders.frozen_lip_encoder import FrozenLipEncoder
from f2v_bench.nn.encoders.lip_encoder import LipEncoder
from f2v_bench.nn.layers.augment import AugmentConfig
from f2v_bench.training.data import lip_features as module
from f2v_bench.training.data.lip_features import LipFeatures
from f2v_bench.training.data.prepare import Prepared
from tests.nn.test_lip_encoder import awake
from tests.training.toys import ENCODER, toy_prepared

FRAMES = [4, 7, 5, 3, 6]


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    monkeypatch.setattr(module, "_BATCH", 2)
    return toy_prepared(tmp_path, FRAMES)


def computed(prepared: Prepared, folder: Path, variants: int = 2) -> LipFeatures:
    encoder = FrozenLipEncoder(ENCODER, awake(LipEncoder(ENCODER)).state_dict())
    features = LipFeatures(encoder, prepared, variants=variants, augment=AugmentConfig(), folder=folder)
    features.make()
    return features


def contents(features: LipFeatures) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in features.folder.iterdir()}


def test_variants_differ_from_the_clean_features(prepared: Prepared, tmp_path: Path) -> None:
    features = computed(prepared, tmp_path / "f")
    assert len(contents(features)) == 15
    encoder = features.encoder
    for at, frames in enumerate(FRAMES):
        clean = features.load(at, 0)
        assert clean.dtype == np.float16
        assert clean.shape == (frames, *ENCODER.outputs)
        lips = torch.from_numpy(prepared.load(at).lips)[None]
        alone = encoder(lips, torch.ones(1, frames, dtype=torch.bool))[0].numpy()
        np.testing.assert_allclose(clean, alone, rtol=2e-3, atol=2e-3)
        variants = [features.load(at, variant) for variant in (1, 2)]
        assert all(one.shape == clean.shape for one in variants)
        assert not np.array_equal(variants[0], variants[1])
        assert not np.array_equal(variants[0], clean)
    assert not encoder.training
    assert not any(one.training for one in encoder.modules())


def test_existing_features_are_not_computed_again(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(computed(prepared, tmp_path / "f"))
    monkeypatch.setattr(LipFeatures, "_encode", lambda *_: pytest.fail("computed again"))
    reports: list[tuple[int, int]] = []
    features = computed(prepared, tmp_path / "f")
    features.make(lambda done, count: reports.append((done, count)))
    assert reports == [(15, 15)]
    assert contents(features) == before


@pytest.mark.parametrize("missing", [[0, 7, 14], [3], list(range(5, 15))])
def test_interrupted_work_gives_equal_features(prepared: Prepared, tmp_path: Path, missing: list[int]) -> None:
    """Missing files do not change the random numbers of the others."""
    features = computed(prepared, tmp_path / "f")
    before = contents(features)
    for at in missing:
        features._file(at % 5, at // 5).unlink()
    reports: list[tuple[int, int]] = []
    features.make(lambda done, count: reports.append((done, count)))
    assert contents(features) == before
    assert reports[-1] == (15, 15)
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)


def test_the_global_random_state_is_unchanged(prepared: Prepared, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    computed(prepared, tmp_path / "f")
    torch.manual_seed(5)
    features = LipFeatures(
        FrozenLipEncoder(ENCODER, awake(LipEncoder(ENCODER)).state_dict()),
        prepared,
        variants=1,
        augment=AugmentConfig(),
        folder=tmp_path / "g",
    )
    torch.manual_seed(5)
    features.make()
    assert torch.equal(torch.rand(3), expected)


def test_another_encoder_or_augmentation_uses_another_folder(prepared: Prepared, tmp_path: Path) -> None:
    state = awake(LipEncoder(ENCODER)).state_dict()
    other = {name: one + 1 for name, one in state.items()}
    folders = {
        LipFeatures(FrozenLipEncoder(ENCODER, weights), prepared, variants=1, augment=augment, folder=tmp_path).folder
        for weights in (state, other)
        for augment in (AugmentConfig(), AugmentConfig(shift=1))
    }
    assert len(folders) == 4
