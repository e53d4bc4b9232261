"""Training of the reference model: the shared stages, and content, timbre, prosody and flow together."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from f2v_bench.errors import F2VError, user_error
from f2v_bench.modeling.batch import Example
from f2v_bench.modeling.shared_config import SharedConfig
from f2v_bench.modeling.spec import SIZES_HINT
from f2v_bench.nn.encoders.pretrained import arcface
from f2v_bench.training.audio_pretraining import AudioPretrainedExperiment
from f2v_bench.training.data.dataset import ClipDataset
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.experiment import TrainOptions
from f2v_bench.training.module import ModelModule
from reference_model.ablations import model_class
from reference_model.audio_autoencoder import AudioAutoencoder, load_pretrained
from reference_model.config import Ablation, FacesToVoicesConfig, preset
from reference_model.mel_decoder import DataStatistics
from reference_model.model import FacesToVoices
from reference_model.spec import SPEC
from reference_model.train_data import (
    SpeakerStats,
    compute_statistics,
    feature_statistics,
    speaker_stats,
    training_example,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FacesToVoicesExperiment(AudioPretrainedExperiment):
    """Training of the reference model; the stage ``audio`` runs only with ``transfer=init``."""

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

    def initial_config(self, options: TrainOptions) -> SharedConfig:
        return preset(options.preset, options.ablate)

    def check(self) -> None:
        if self.uses_pretraining and self.config.ablate != "none":
            raise F2VError(
                f"an audio-pretrained decoder does not fit a model without {self.config.ablate}",
                "leave out --ablate, or --set transfer=init",
            )

    @property
    def uses_pretraining(self) -> bool:
        return self.config.transfer == "init"

    def autoencoder(self) -> ModelModule:
        config, statistics = self.config, feature_statistics(**self.sample_audio_features())
        with user_error(SIZES_HINT):
            model = AudioAutoencoder(config, statistics)
        return ModelModule(model, config, asdict(statistics), self.options.seed, config.audio_stage)

    def train_main(self) -> None:
        config, units, clips = self.config, self.units, self.clips
        validation = self.validation_clips(config.main_stage)
        lips, pretrained = self.lip_feature_sets(validation), self.pretrained()
        statistics = DataStatistics(**pretrained.statistics) if pretrained else compute_statistics(self.sample_clips())
        speakers, validation_speakers = (self._speakers(one, statistics) for one in (clips, validation))

        def load_train(at: int, rng: np.random.Generator) -> Example:
            speaker = speakers[clips.prepared.clips[at].speaker]
            identity = self.identity_input(clips[at], rng)
            return training_example(clips[at], lips.sample_variant(at, rng), units, speaker, identity)

        def load_validation(at: int) -> Example:
            speaker = validation_speakers[validation.prepared.clips[at].speaker]
            identity = self.identity_input(validation[at], None)
            return training_example(validation[at], lips.load_validation(at), units, speaker, identity)

        self.reset_seed()
        with user_error(SIZES_HINT):
            model = model_class(config.ablate)(config, statistics)
        if pretrained is not None:
            assert isinstance(model, FacesToVoices)  # ``check`` refuses ablations
            load_pretrained(pretrained, model)
        module = ModelModule(model, config, asdict(statistics), self.options.seed)
        self.fit_model(module, load_train, load_validation, validation)

    def identity_input(self, clip: ClipFeatures, rng: np.random.Generator | None) -> NDArray[Any]:
        """Return the identity input of a clip: faces, or their ArcFace embedding.

        Args:
            clip: features of the clip.
            rng: random generator that chooses some of the faces; None takes all of them.
        """
        faces = clip.identity
        if self.config.timbre.face == "arcface":
            key = hashlib.sha256(faces.tobytes()).digest()
            if key not in self._identities:
                self._identities[key] = arcface().embed(faces)
            return self._identities[key]
        if rng is None:
            return faces
        return faces[rng.choice(len(faces), min(self.config.timbre.frames, len(faces)), replace=False)]

    def _speakers(self, clips: ClipDataset, statistics: DataStatistics) -> dict[str, SpeakerStats]:
        return speaker_stats(((clip.speaker, clips[at]) for at, clip in enumerate(clips.prepared.clips)), statistics)
