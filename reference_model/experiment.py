"""Training the reference model: the shared stages, and content, timbre, prosody and flow together."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from f2v_bench.errors import F2VError
from f2v_bench.training.clips import Clips
from f2v_bench.training.contract import TrainOptions
from f2v_bench.training.identity import arcface
from f2v_bench.training.loader import Item
from f2v_bench.training.module import ModelTraining
from f2v_bench.training.pretraining import HearingTrainee
from f2v_bench.training.targets import Targets
from reference_model.conditioned import Standard
from reference_model.config import Ablation, ReferenceConfig
from reference_model.model import ReferenceModel
from reference_model.presets import preset
from reference_model.retelling import Retelling, hand_over
from reference_model.training import Person, main_item, people, spreads, standard_of
from reference_model.weights import Weights

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ReferenceTrainee(HearingTrainee):
    """``f2v-bench train --model ours``; the stage ``audio`` only with ``transfer=init``."""

    name = "ours"
    stages = ("lips", "vocoder", "audio", "main")
    sizes = ("flow.decoder", "flow.heads")
    contours = True
    weights = Weights
    parts = get_args(Ablation)[1:]
    config: ReferenceConfig

    def __init__(self, options: TrainOptions) -> None:
        self._identities: dict[bytes, NDArray[np.float32]] = {}
        super().__init__(options, preset(options.preset, options.ablate))

    def check(self) -> None:
        if self.begins_heard and self.config.ablate != "none":
            raise F2VError(
                f"a decoder that has heard speech does not fit a model without {self.config.ablate}",
                "leave out --ablate, or --set transfer=init",
            )

    @property
    def begins_heard(self) -> bool:
        return self.config.transfer == "init"

    def autoencoder(self) -> ModelTraining:
        config, standard = self.config, spreads(**self.some_sound())
        return ModelTraining(
            Retelling(config, standard), config, asdict(standard), self.options.seed, config.audio_stage
        )

    def train_main(self) -> None:
        config, units, clips = self.config, self.units, self.clips
        held = self.held(config.main_stage)
        looks, pretrained = self.looks(held), self.pretrained()
        standard = Standard(**pretrained.standard) if pretrained else standard_of(self.some_clips())
        known, known_held = self._people(clips, standard), self._people(held, standard)

        def item(at: int, rng: np.random.Generator) -> Item:
            person = known[clips.prepared.clips[at].speaker]
            return main_item(clips[at], looks.drawn(at, rng), units, person, self._who(clips[at], rng))

        def whole(at: int) -> Item:
            person = known_held[held.prepared.clips[at].speaker]
            return main_item(held[at], looks.plain(at), units, person, self._who(held[at], None))

        self.begin()
        model = ReferenceModel(config, standard)
        if pretrained is not None:
            hand_over(pretrained, model)
        self.fit_main(ModelTraining(model, config, asdict(standard), self.options.seed), item, whole, held)

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
