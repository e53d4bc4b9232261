"""Training: the shared stages, an audio autoencoder, then lips and speaker embedding to speech with its decoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from baselines.v2a.adversarial import AdversarialModule
from baselines.v2a.config import MelConfig, V2AConfig, WaveConfig
from baselines.v2a.model import V2A, Autoencoder, EncoderDecoder
from baselines.v2a.spec import MEL_SPEC, WAVE_SPEC
from f2v_bench.errors import user_error
from f2v_bench.modeling.batch import Example
from f2v_bench.modeling.checkpoint import save_checkpoint
from f2v_bench.modeling.spec import SIZES_HINT
from f2v_bench.training.audio_checkpoint import AUDIO_FRONTEND, PretrainedDecoder
from f2v_bench.training.audio_pretraining import AudioPretrainedExperiment
from f2v_bench.training.data.dataset import mean_std
from f2v_bench.training.module import ModelModule

DECODER = "decoder."


def load_pretrained(pretrained: PretrainedDecoder, model: V2A) -> None:
    """Initialize a model with a pre-trained decoder and, for joint training, its audio frontend.

    Raises:
        F2VError: weights of another size.
    """
    pretrained.load_pretrained(model.decoder, DECODER)
    if model.audio_frontend is not None:
        pretrained.load_pretrained(model.audio_frontend, AUDIO_FRONTEND)


class V2AExperiment(AudioPretrainedExperiment):
    """Training of both systems, with the transfer of the pre-trained decoder."""

    sizes = ("conformer", "speaker", "sample_rate")
    config: V2AConfig

    @property
    def uses_pretraining(self) -> bool:
        return self.config.transfer.mode != "scratch"

    def module(self, model: EncoderDecoder, mel_stats: tuple[float, float], **kwargs: Any) -> ModelModule:
        """Build the module that trains either model; keyword arguments are those of ``ModelModule``."""
        return ModelModule(model, self.config, {"mel": mel_stats}, self.options.seed, **kwargs)

    def autoencoder(self) -> ModelModule:
        mel_stats = mean_std(self.sample_audio_features()["mel"])
        with user_error(SIZES_HINT):
            model = Autoencoder(self.config, mel_stats)
        return self.module(model, mel_stats, stage=self.config.audio_stage)

    def train_main(self) -> None:
        config, clips = self.config, self.clips
        validation, mode = self.validation_clips(config.main_stage), config.transfer.mode
        pretrained = self.pretrained()
        mel_stats = pretrained.statistics["mel"] if pretrained else self._mel_stats()
        features = self.lip_feature_sets(validation) if config.uses_lip_encoder else None
        audio = self.audio if mode == "joint" else None

        def load_train(index: int, rng: np.random.Generator) -> Example:
            visual = {"features": features.sample_variant(index, rng)} if features else {"lips": clips[index].lips}
            example = self.audio_example(clips, index, visual)
            return replace(example, whole={**example.whole, **audio.sample_padded(rng)}) if audio else example

        def load_validation(index: int) -> Example:
            visual = {"features": features.load_validation(index)} if features else {"lips": validation[index].lips}
            return self.audio_example(validation, index, visual)

        self.reset_seed()
        with user_error(SIZES_HINT):
            model = V2A(config, mel_stats, joint=audio is not None)
        if pretrained is not None:
            load_pretrained(pretrained, model)
        lr_factors = {DECODER: config.transfer.lr_scale} if mode == "low-lr" else {}
        module = self.module(model, mel_stats, lr_factors=lr_factors)
        self.fit_model(module, load_train, load_validation, validation)

    def write_weights(self, path: Path) -> None:
        model = self.trained.ema_state("main")
        save_checkpoint(
            path,
            self.spec,
            config=self.config,
            statistics=self.trained.statistics("main"),
            facts=self.facts(),
            model={name: one for name, one in model.items() if not name.startswith(AUDIO_FRONTEND)},
            lips=self.trained.ema_state("lips", "ema.average.encoder.") if self.uses_lip_encoder else None,
            vocoder=self.trained.ema_state("vocoder") if "vocoder" in self.stages else None,
        )

    def _mel_stats(self) -> tuple[float, float]:
        return mean_std(np.concatenate([clip.mel for clip in self.sample_clips()]))


class V2AMelExperiment(V2AExperiment):
    """Training of V2A-MelSpec."""

    spec = MEL_SPEC
    name = MEL_SPEC.name
    stages = ("lips", "vocoder", "audio", "main")
    config: MelConfig


class V2AWaveExperiment(V2AExperiment):
    """Training of V2A-WaveGAN."""

    spec = WAVE_SPEC
    name = WAVE_SPEC.name
    stages = ("lips", "audio", "main")
    config: WaveConfig

    @property
    def rate(self) -> int:
        return self.config.sample_rate

    def module(self, model: EncoderDecoder, mel_stats: tuple[float, float], **kwargs: Any) -> ModelModule:
        return AdversarialModule(model, self.config, {"mel": mel_stats}, self.options.seed, **kwargs)
