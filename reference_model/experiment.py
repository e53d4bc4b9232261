"""Training the reference model: the shared stages, and content, timbre, prosody and flow together."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from f2v_bench.training.clips import Clips
from f2v_bench.training.contract import TrainOptions
from f2v_bench.training.experiment import StagedTrainee
from f2v_bench.training.identity import arcface
from f2v_bench.training.loader import Item
from f2v_bench.training.module import ModelTraining
from f2v_bench.training.targets import Targets
from reference_model.config import Ablation, ReferenceConfig
from reference_model.model import ReferenceModel, Standard
from reference_model.presets import preset
from reference_model.training import Person, main_item, people, standard_of
from reference_model.weights import Weights

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ReferenceTrainee(StagedTrainee):
    """``f2v-bench train --model ours``."""

    name = "ours"
    weights = Weights
    parts = get_args(Ablation)[1:]
    config: ReferenceConfig

    def __init__(self, options: TrainOptions) -> None:
        self._identities: dict[bytes, NDArray[np.float32]] = {}
        super().__init__(options, preset(options.preset, options.ablate))

    def train_main(self) -> None:
        config, units, clips = self.config, self.units, self.clips
        held = self.held(config.main_stage)
        looks, standard = self.looks(held), standard_of(self.some_clips())
        known, known_held = self._people(clips, standard), self._people(held, standard)

        def item(at: int, rng: np.random.Generator) -> Item:
            person = known[clips.prepared.clips[at].speaker]
            return main_item(clips[at], looks.drawn(at, rng), units, person, self._who(clips[at], rng))

        def whole(at: int) -> Item:
            person = known_held[held.prepared.clips[at].speaker]
            return main_item(held[at], looks.plain(at), units, person, self._who(held[at], None))

        self.begin()
        module = ModelTraining(ReferenceModel(config, standard), config, asdict(standard), self.options.seed)
        self.fit_main(module, item, whole, held)

    def _who(self, targets: Targets, rng: np.random.Generator | None) -> NDArray[Any]:
        """Faces that show the identity, some of them where there is a generator to choose; or ArcFace's vector."""
        faces = targets.identity
        if self.config.timbre.face == "arcface":
            key = hashlib.sha256(faces.tobytes()).digest()
            if key not in self._identities:
                self._identities[key] = arcface().embed(faces)
            return self._identities[key]
        if rng is None:
            return faces
        return faces[rng.choice(len(faces), min(self.config.timbre.frames, len(faces)), replace=False)]

    def _people(self, clips: Clips, standard: Standard) -> dict[str, Person]:
        return people(((clip.speaker, clips[at]) for at, clip in enumerate(clips.prepared.clips)), standard)
