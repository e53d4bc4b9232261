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
from tests.nn.test_lips import awake
from tests.training.toys import ENCODER, toy_prepared

FRAMES = [4, 7, 5, 3, 6]


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    monkeypatch.setattr(module, "_BATCH", 2)
    return toy_prepared(tmp_path, FRAMES)


def made(prepared: Prepared, folder: Path, variants: int = 2) -> LipFeatures:
    frozen = FrozenLipEncoder(ENCODER, awake(LipEncoder(ENCODER)).state_dict())
    features = LipFeatures(frozen, prepared, variants=variants, augment=AugmentConfig(), folder=folder)
    features.make()
    return features


def contents(features: LipFeatures) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in features.folder.iterdir()}


def test_the_clip_itself_and_its_variants(prepared: Prepared, tmp_path: Path) -> None:
    features = made(prepared, tmp_path / "f")
    assert len(contents(features)) == 15
    layers = features.frozen
    for at, frames in enumerate(FRAMES):
        clean = features.load(at, 0)
        assert clean.dtype == np.float16
        assert clean.shape == (frames, *ENCODER.outputs)
        lips = torch.from_numpy(prepared.load(at).lips)[None]
        alone = layers(lips, torch.ones(1, frames, dtype=torch.bool))[0].numpy()
        np.testing.assert_allclose(clean, alone, rtol=2e-3, atol=2e-3)
        changed = [features.load(at, variant) for variant in (1, 2)]
        assert all(one.shape == clean.shape for one in changed)
        assert not np.array_equal(changed[0], changed[1])
        assert not np.array_equal(changed[0], clean)
    assert not layers.training
    assert not any(one.training for one in layers.modules())


def test_what_is_there_is_not_computed_again(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(made(prepared, tmp_path / "f"))
    monkeypatch.setattr(LipFeatures, "_batch", lambda *_: pytest.fail("computed again"))
    told: list[tuple[int, int]] = []
    features = made(prepared, tmp_path / "f")
    features.make(lambda done, count: told.append((done, count)))
    assert told == [(15, 15)]
    assert contents(features) == before


@pytest.mark.parametrize("missing", [[0, 7, 14], [3], list(range(5, 15))])
def test_interrupted_work_ends_the_same(prepared: Prepared, tmp_path: Path, missing: list[int]) -> None:
    """Whichever entries were not written yet, what is drawn for the others stays."""
    features = made(prepared, tmp_path / "f")
    before = contents(features)
    for at in missing:
        features._file(at % 5, at // 5).unlink()
    told: list[tuple[int, int]] = []
    features.make(lambda done, count: told.append((done, count)))
    assert contents(features) == before
    assert told[-1] == (15, 15)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_rest_of_the_program_draws_as_before(prepared: Prepared, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    made(prepared, tmp_path / "f")
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


def test_another_encoder_or_augmentation_has_a_folder_of_its_own(prepared: Prepared, tmp_path: Path) -> None:
    state = awake(LipEncoder(ENCODER)).state_dict()
    other = {name: one + 1 for name, one in state.items()}
    folders = {
        LipFeatures(FrozenLipEncoder(ENCODER, weights), prepared, variants=1, augment=augment, folder=tmp_path).folder
        for weights in (state, other)
        for augment in (AugmentConfig(), AugmentConfig(shift=1))
    }
    assert len(folders) == 4
