"""The main stage: content, timbre, prosody, prior and flow trained together on frozen lip features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from f2v_bench.training.ema import evaluating
from f2v_bench.training.loader import Batch, Item
from f2v_bench.training.module import StageModule, draw_as
from f2v_bench.training.settings import as_mapping
from f2v_bench.training.targets import MELS, Targets
from reference_model.config import ReferenceConfig
from reference_model.model import ReferenceModel, Standard
from reference_model.speech import Speech, speech_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.training.clips import Units

VALIDATION_SEED = 1234


class MainTraining(StageModule):
    """The reference model under AdamW with an average of its weights."""

    def __init__(self, config: ReferenceConfig, standard: Standard, seed: int = 0) -> None:
        super().__init__(ReferenceModel(config, standard), config.main_stage, seed)
        self.save_hyperparameters({"config": as_mapping(config), "standard": asdict(standard), "seed": seed})

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        draw_as(batch, self.seed, self.global_rank)
        parts = _model(self.network).losses(batch)
        self.log_dict({f"train/{name}": value for name, value in parts.items() if name != "loss"})
        self.log("train/loss", parts["loss"], prog_bar=True)
        return parts["loss"]

    def speak(self, batch: Batch, at: int) -> Speech:
        """What the average says of a batch of one clip."""
        model = _model(self.ema.average)
        batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
        noise = torch.randn(batch["mel"].shape, generator=torch.Generator().manual_seed(VALIDATION_SEED + at))
        with evaluating(model):
            spoken = model.synthesize(batch, noise.to(self.device))
        return speech_of(spoken, 0, spoken.mel.shape[1])

    def validation_step(self, batch: Batch, index: int) -> None:
        model = _model(self.ema.average)
        with evaluating(model), torch.random.fork_rng(devices=[]):
            torch.manual_seed(VALIDATION_SEED + index)
            parts = model.losses(batch)
            mel = model.synthesize(batch, torch.randn_like(batch["mel"])).mel
        mask = batch["mask"].repeat_interleave(MELS, 1)[..., None]
        parts["mel"] = ((mel - batch["mel"]).abs() * mask).sum() / (mask.sum() * mel.shape[-1])
        count = len(batch["mel"])
        self.log_dict({f"val/{name}": value for name, value in parts.items()}, batch_size=count)


def _model(network: nn.Module) -> ReferenceModel:
    assert isinstance(network, ReferenceModel)
    return network


def standard_of(clips: Sequence[Targets]) -> Standard:
    """Means and deviations over the training clips."""

    def both(values: NDArray[np.float32]) -> tuple[float, float]:
        return float(values.mean()), float(values.std())

    f0 = np.concatenate([clip.f0[clip.f0 > 0] for clip in clips])
    return Standard(
        mel=both(np.concatenate([clip.mel for clip in clips])),
        pitch=both(np.log(f0)),
        energy=both(np.concatenate([clip.energy for clip in clips])),
    )


class Person(NamedTuple):
    """A speaker of the corpus.

    Attributes:
        number: among the speakers.
        place: mean and deviation of log F0 in the corpus's deviations, float32 ``(2,)``.
    """

    number: int
    place: NDArray[np.float32]


def people(clips: Iterable[tuple[str, Targets]], standard: Standard) -> dict[str, Person]:
    """Where each speaker's pitch lies and how far it moves.

    Args:
        clips: each with the name of its speaker, one at a time.
        standard: of the corpus.

    Returns:
        By name; a speaker never voiced is average.
    """
    mean, deviation = standard.pitch
    heard: dict[str, list[NDArray[Any]]] = {}
    for speaker, clip in clips:
        heard.setdefault(speaker, []).append((np.log(clip.f0[clip.f0 > 0]) - mean) / deviation)
    found: dict[str, Person] = {}
    for number, (speaker, parts) in enumerate(heard.items()):
        pitch = np.concatenate(parts)
        place = [float(pitch.mean()), max(float(pitch.std()), 0.05)] if len(pitch) > 1 else [0.0, 1.0]
        found[speaker] = Person(number, np.array(place, np.float32))
    return found


def main_item(
    targets: Targets,
    features: NDArray[np.float16],
    units: Units,
    person: Person,
    identity: NDArray[Any],
) -> Item:
    """What the main stage sees of a clip.

    Args:
        targets: of the clip.
        features: of its lips, ``(T, L, D)``.
        units: what labels its sound.
        person: who speaks.
        identity: faces ``(K, 112, 112, 3)``, or ArcFace's vector ``(512,)``.
    """
    return Item(
        targets.frames,
        {
            "features": features.astype(np.float32),
            "face": targets.face,
            "units": units(targets),
            "mel": targets.mel,
            "f0": targets.f0,
            "energy": targets.energy,
        },
        {
            "identity": identity,
            "speaker": targets.speaker,
            "pitch_place": person.place,
            "person": np.array(person.number),
        },
    )
