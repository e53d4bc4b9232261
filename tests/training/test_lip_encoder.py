from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import torch

from f2v_bench.modeling.batch import collate
from f2v_bench.modeling.shared_config import LipEncoderTrainingConfig, StageConfig, UnitConfig
from f2v_bench.nn.encoders.lip_encoder import normalize
from f2v_bench.nn.losses.units import IGNORE_INDEX
from f2v_bench.timing import UNITS_PER_VIDEO_FRAME
from f2v_bench.training.data.alignment import PHONES
from f2v_bench.training.lip_encoder import LipEncoderModule, LipNetwork, lip_example
from tests.nn.test_lip_encoder import awake
from tests.training.toys import ENCODER, UNIT_COUNT, toy_example, toy_features

if TYPE_CHECKING:
    from f2v_bench.training.data.dataset import UnitLabeler
    from f2v_bench.training.data.features import ClipFeatures


def module(**changes: float) -> LipEncoderModule:
    torch.manual_seed(0)
    config = replace(LipEncoderTrainingConfig(), **changes)  # type: ignore[arg-type]
    return LipEncoderModule(ENCODER, UnitConfig(count=UNIT_COUNT), config, StageConfig())


def unit_indices(features: ClipFeatures) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Label every unit with its index."""
    return np.arange(2 * features.frames)


LABELER = cast("UnitLabeler", unit_indices)


@torch.inference_mode()
def test_two_labels_per_video_frame_whatever_the_batch() -> None:
    network = awake(LipNetwork(ENCODER, UNIT_COUNT))
    batch = collate([toy_example(at) for at in range(3)])
    lips = normalize(batch["lips"], ENCODER)
    together = network(lips, batch["mask"])
    assert [one.shape for one in together] == [(3, 12, UNIT_COUNT), (3, 12, len(PHONES))]
    for row, frames in enumerate(batch["lengths"].tolist()):
        alone = network(lips[row : row + 1, :frames], batch["mask"][row : row + 1, :frames])
        for ours, theirs in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[row, : UNITS_PER_VIDEO_FRAME * frames], theirs[0], atol=1e-5, rtol=1e-5)


def test_the_step_seeds_the_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    training = module()
    monkeypatch.setattr(training, "log", lambda *_, **__: None)
    batch = collate([toy_example(at) for at in range(3)])
    losses = [training.training_step(batch | {"step": torch.tensor(step)}, 0).item() for step in (4, 5, 4)]
    assert losses[0] == losses[2] != losses[1]


def test_without_transcripts_the_loss_is_that_of_units(monkeypatch: pytest.MonkeyPatch) -> None:
    training = module()
    logged: dict[str, float] = {}
    monkeypatch.setattr(training, "log", lambda name, value, **_: logged.update({name: float(value)}))
    monkeypatch.setattr(training, "log_dict", lambda values, **_: logged.update(values))
    batch = collate([toy_example(at) for at in range(3)]) | {"step": torch.tensor(0)}
    batch["phones"] = torch.full_like(batch["phones"], IGNORE_INDEX)
    loss = training.training_step(batch, 0)
    assert logged["train/phones_visible"] == logged["train/phones_masked"] == 0
    assert logged["train/loss"] == pytest.approx(
        logged["train/units_visible"] + 0.5 * logged["train/units_masked"], rel=1e-5
    )
    loss.backward()  # type: ignore[no-untyped-call]
    training.validation_step(batch, 0)
    assert "val/units" in logged
    assert "val/phones" not in logged


def test_the_loss_is_a_weighted_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    training = module(mask_prob=0.5, masked_weight=0.25, phoneme_weight=3.0)
    parts: dict[str, float] = {}
    monkeypatch.setattr(training, "log", lambda name, value, **_: parts.update({name: float(value)}))
    training.training_step(collate([toy_example(at) for at in range(5)]) | {"step": torch.tensor(1)}, 0)
    assert all(parts[f"train/{name}_{where}"] > 0 for name in ("units", "phones") for where in ("visible", "masked"))
    expected = sum(
        weight * (parts[f"train/{name}_visible"] + 0.25 * parts[f"train/{name}_masked"])
        for name, weight in (("units", 1), ("phones", 3))
    )
    assert parts["train/loss"] == pytest.approx(expected, rel=1e-5)


def test_validation_uses_the_average_and_real_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    training = module()
    logged: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(training, "log_dict", lambda values, **_: logged.update(values))
    with torch.no_grad():
        for parameter in training.network.parameters():
            parameter.zero_()  # validation does not use the trained weights
    batch = collate([toy_example(at) for at in range(3)])
    units, _ = training.ema.average(normalize(batch["lips"], ENCODER), batch["mask"])
    pairs = [
        (units[row, : 2 * n].argmax(-1), batch["units"][row, : 2 * n])
        for row, n in enumerate(batch["lengths"].tolist())
    ]
    right = torch.cat([guess == label for guess, label in pairs]).float().mean()
    assert float(logged.get("val/units", right)) == pytest.approx(float(right))
    training.validation_step(batch, 0)
    assert float(logged["val/units"]) == pytest.approx(float(right))


def test_it_overfits_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    training = module(label_smoothing=0.0, mask_prob=0.0).train()
    monkeypatch.setattr(training, "log", lambda *_, **__: None)
    batch = collate([toy_example(at) for at in range(2)]) | {"step": torch.tensor(0)}
    optimizer = torch.optim.Adam(training.network.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        loss = training.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_names_in_checkpoints_are_fixed() -> None:
    names = set(module().state_dict())
    for name in ("network.encoder.front_end.stem.weight", "network.encoder.mask_embedding", "network.units.weight"):
        assert {name, name.replace("network.", "ema.average.")} <= names
    assert "ema.updates" in names


def test_an_example_is_the_clip_or_has_another_tempo() -> None:
    features = toy_features(40)
    plain = lip_example(features, LABELER, 0.5, None)
    assert plain.frames == 40
    np.testing.assert_array_equal(plain.sequences["lips"], features.lips)
    lengths = set()
    for seed in range(8):
        item = lip_example(features, LABELER, 0.3, np.random.default_rng(seed))
        lengths.add(item.frames)
        labels = item.sequences["units"]
        assert len(labels) == len(item.sequences["phones"]) == 2 * item.frames
        frames = labels[::2] // 2  # labels follow the frames
        np.testing.assert_array_equal(labels[1::2], labels[::2] + 1)
        np.testing.assert_array_equal(item.sequences["lips"], features.lips[frames])
        np.testing.assert_array_equal(item.sequences["phones"], features.phones[labels])
        assert all(now <= after for now, after in pairwise(frames))
    assert len(lengths) > 3
    assert min(lengths) < 40 < max(lengths)
