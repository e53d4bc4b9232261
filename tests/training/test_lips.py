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
from tests.nn.test_lips import awake
from tests.training.toys import ENCODER, UNIT_COUNT, toy_item, toy_targets

if TYPE_CHECKING:
    from f2v_bench.training.data.features import ClipFeatures


def module(**changes: float) -> LipEncoderModule:
    torch.manual_seed(0)
    config = replace(LipEncoderTrainingConfig(), **changes)  # type: ignore[arg-type]
    return LipEncoderModule(ENCODER, UnitConfig(count=UNIT_COUNT), config, StageConfig())


def units_of(targets: ClipFeatures) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Units that tell their own place."""
    return np.arange(2 * targets.frames)


UNITS_OF = cast("UnitLabeler", units_of)


@torch.inference_mode()
def test_two_labels_a_video_frame_whatever_the_batch() -> None:
    network = awake(LipNetwork(ENCODER, UNIT_COUNT))
    batch = collate([toy_item(at) for at in range(3)])
    seen = normalize(batch["lips"], ENCODER)
    together = network(seen, batch["mask"])
    assert [one.shape for one in together] == [(3, 12, UNIT_COUNT), (3, 12, len(PHONES))]
    for row, frames in enumerate(batch["lengths"].tolist()):
        alone = network(seen[row : row + 1, :frames], batch["mask"][row : row + 1, :frames])
        for ours, theirs in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[row, : UNITS_PER_VIDEO_FRAME * frames], theirs[0], atol=1e-5, rtol=1e-5)


def test_a_step_draws_as_its_number_says(monkeypatch: pytest.MonkeyPatch) -> None:
    training = module()
    monkeypatch.setattr(training, "log", lambda *_, **__: None)
    batch = collate([toy_item(at) for at in range(3)])
    losses = [training.training_step(batch | {"step": torch.tensor(step)}, 0).item() for step in (4, 5, 4)]
    assert losses[0] == losses[2] != losses[1]


def test_without_transcripts_units_alone_teach(monkeypatch: pytest.MonkeyPatch) -> None:
    training = module()
    logged: dict[str, float] = {}
    monkeypatch.setattr(training, "log", lambda name, value, **_: logged.update({name: float(value)}))
    monkeypatch.setattr(training, "log_dict", lambda values, **_: logged.update(values))
    batch = collate([toy_item(at) for at in range(3)]) | {"step": torch.tensor(0)}
    batch["phones"] = torch.full_like(batch["phones"], IGNORE_INDEX)
    loss = training.training_step(batch, 0)
    assert logged["train/phones_seen"] == logged["train/phones_hidden"] == 0
    assert logged["train/loss"] == pytest.approx(
        logged["train/units_seen"] + 0.5 * logged["train/units_hidden"], rel=1e-5
    )
    loss.backward()  # type: ignore[no-untyped-call]
    training.validation_step(batch, 0)
    assert "val/units" in logged
    assert "val/phones" not in logged


def test_the_loss_weighs_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    training = module(hidden=0.5, hidden_weight=0.25, phones=3.0)
    parts: dict[str, float] = {}
    monkeypatch.setattr(training, "log", lambda name, value, **_: parts.update({name: float(value)}))
    training.training_step(collate([toy_item(at) for at in range(5)]) | {"step": torch.tensor(1)}, 0)
    assert all(parts[f"train/{name}_{where}"] > 0 for name in ("units", "phones") for where in ("seen", "hidden"))
    expected = sum(
        weight * (parts[f"train/{name}_seen"] + 0.25 * parts[f"train/{name}_hidden"])
        for name, weight in (("units", 1), ("phones", 3))
    )
    assert parts["train/loss"] == pytest.approx(expected, rel=1e-5)


def test_validation_measures_the_average_on_real_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    training = module()
    logged: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(training, "log_dict", lambda values, **_: logged.update(values))
    with torch.no_grad():
        for parameter in training.network.parameters():
            parameter.zero_()  # the trained weights are not looked at
    batch = collate([toy_item(at) for at in range(3)])
    units, _ = training.ema.average(normalize(batch["lips"], ENCODER), batch["mask"])
    pairs = [
        (units[row, : 2 * n].argmax(-1), batch["units"][row, : 2 * n])
        for row, n in enumerate(batch["lengths"].tolist())
    ]
    right = torch.cat([guess == label for guess, label in pairs]).float().mean()
    assert float(logged.get("val/units", right)) == pytest.approx(float(right))
    training.validation_step(batch, 0)
    assert float(logged["val/units"]) == pytest.approx(float(right))


def test_it_learns_a_batch_by_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    training = module(smoothing=0.0, hidden=0.0).train()
    monkeypatch.setattr(training, "log", lambda *_, **__: None)
    batch = collate([toy_item(at) for at in range(2)]) | {"step": torch.tensor(0)}
    best = torch.optim.Adam(training.network.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        loss = training.training_step(batch, 0)
        best.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        best.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_names_in_checkpoints_stay() -> None:
    names = set(module().state_dict())
    for name in ("network.encoder.front_end.stem.weight", "network.encoder.hidden", "network.units.weight"):
        assert {name, name.replace("network.", "ema.average.")} <= names
    assert "ema.updates" in names


def test_a_clip_is_shown_whole_or_at_another_tempo() -> None:
    targets = toy_targets(40)
    plain = lip_example(targets, UNITS_OF, 0.5, None)
    assert plain.frames == 40
    np.testing.assert_array_equal(plain.sequences["lips"], targets.lips)
    lengths = set()
    for seed in range(8):
        item = lip_example(targets, UNITS_OF, 0.3, np.random.default_rng(seed))
        lengths.add(item.frames)
        places = item.sequences["units"]
        assert len(places) == len(item.sequences["phones"]) == 2 * item.frames
        frames = places[::2] // 2  # labels and pictures run alike
        np.testing.assert_array_equal(places[1::2], places[::2] + 1)
        np.testing.assert_array_equal(item.sequences["lips"], targets.lips[frames])
        np.testing.assert_array_equal(item.sequences["phones"], targets.phones[places])
        assert all(now <= after for now, after in pairwise(frames))
    assert len(lengths) > 3
    assert min(lengths) < 40 < max(lengths)
