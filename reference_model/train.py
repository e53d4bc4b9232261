"""Training the reference model: the shared stages, and content, timbre, prosody and flow together."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from f2v_bench.errors import F2VError
from f2v_bench.modeling.batch import Example
from f2v_bench.nn.encoders.pretrained import arcface
from f2v_bench.training.audio_pretraining import AudioPretrainedExperiment
from f2v_bench.training.data.dataset import ClipDataset
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.experiment import TrainOptions
from f2v_bench.training.module import ModelModule
from reference_model.audio_autoencoder import AudioAutoencoder, load_pretrained
from reference_model.config import Ablation, FacesToVoicesConfig
from reference_model.mel_decoder import DataStatistics
from reference_model.model import FacesToVoices
from reference_model.presets import preset
from reference_model.spec import SPEC
from reference_model.train_data import SpeakerStats, compute_statistics, speaker_stats, statistics_of, training_example

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FacesToVoicesExperiment(AudioPretrainedExperiment):
    """``f2v-bench train --model ours``; the stage ``audio`` only with ``transfer=init``."""

    spec = SPEC
    name = SPEC.name
    stages = ("lips", "vocoder", "audio", "main")
    sizes = ("flow.decoder", "flow.heads")
    contours = True
    parts = get_args(Ablation)[1:]
    config: FacesToVoicesConfig

    def __init__(self, options: TrainOptions) -> None:
        self._identities: dict[bytes, NDArray[np.float32]] = {}
        super().__init__(options)

    def initial_config(self, options: TrainOptions) -> FacesToVoicesConfig:
        return preset(options.preset, options.ablate)

    def check(self) -> None:
        if self.uses_pretraining and self.config.ablate != "none":
            raise F2VError(
                f"a decoder that has heard speech does not fit a model without {self.config.ablate}",
                "leave out --ablate, or --set transfer=init",
            )

    @property
    def uses_pretraining(self) -> bool:
        return self.config.transfer == "init"

    def autoencoder(self) -> ModelModule:
        config, standard = self.config, statistics_of(**self.sample_audio_features())
        return ModelModule(
            AudioAutoencoder(config, standard), config, asdict(standard), self.options.seed, config.audio_stage
        )

    def train_main(self) -> None:
        config, units, clips = self.config, self.units, self.clips
        held = self.validation_clips(config.main_stage)
        looks, pretrained = self.lip_feature_sets(held), self.pretrained()
        standard = DataStatistics(**pretrained.standard) if pretrained else compute_statistics(self.sample_clips())
        known, known_held = self._people(clips, standard), self._people(held, standard)

        def item(at: int, rng: np.random.Generator) -> Example:
            person = known[clips.prepared.clips[at].speaker]
            return training_example(clips[at], looks.drawn(at, rng), units, person, self._who(clips[at], rng))

        def whole(at: int) -> Example:
            person = known_held[held.prepared.clips[at].speaker]
            return training_example(held[at], looks.plain(at), units, person, self._who(held[at], None))

        self.reset_seed()
        model = FacesToVoices(config, standard)
        if pretrained is not None:
            load_pretrained(pretrained, model)
        self.fit_model(ModelModule(model, config, asdict(standard), self.options.seed), item, whole, held)

    def _who(self, targets: ClipFeatures, rng: np.random.Generator | None) -> NDArray[Any]:
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

    def _people(self, clips: ClipDataset, standard: DataStatistics) -> dict[str, SpeakerStats]:
        return speaker_stats(((clip.speaker, clips[at]) for at, clip in enumerate(clips.prepared.clips)), standard)
