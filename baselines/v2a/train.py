"""Training: the shared stages, an audio autoencoder, then lips and a voice to speech by its decoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from baselines.v2a.adversarial import AdversarialModule
from baselines.v2a.config import MelConfig, V2AConfig, WaveConfig
from baselines.v2a.model import V2A, Autoencoder, EncoderDecoder
from baselines.v2a.spec import MEL_SPEC, WAVE_SPEC
from f2v_bench.modeling.batch import Example
from f2v_bench.modeling.checkpoint import save_checkpoint
from f2v_bench.training.audio_checkpoint import AUDIO_FRONTEND, PretrainedDecoder
from f2v_bench.training.audio_pretraining import AudioPretrainedExperiment
from f2v_bench.training.data.dataset import mean_std
from f2v_bench.training.module import ModelModule

DECODER = "decoder."
MUST_AGREE = ("conformer", "speaker", "sample_rate")  # that no shape of a weight gives away


def load_pretrained(pretrained: PretrainedDecoder, model: V2A) -> None:
    """Let a model begin with a decoder that has heard speech, and go on hearing as it did.

    Raises:
        F2VError: weights of another size.
    """
    pretrained.load_pretrained(model.decoder, DECODER)
    if model.audio_frontend is not None:
        pretrained.load_pretrained(model.audio_frontend, AUDIO_FRONTEND)


class V2AExperiment(AudioPretrainedExperiment):
    """What both systems share: what becomes of the decoder that has heard speech."""

    sizes = MUST_AGREE
    config: V2AConfig

    @property
    def uses_pretraining(self) -> bool:
        return self.config.transfer.mode != "scratch"

    def module(self, model: EncoderDecoder, standard: tuple[float, float], **named: Any) -> ModelModule:
        """What trains either model; ``named`` as ``ModelModule`` takes it."""
        return ModelModule(model, self.config, {"mel": standard}, self.options.seed, **named)

    def autoencoder(self) -> ModelModule:
        standard = mean_std(self.sample_audio_features()["mel"])
        return self.module(Autoencoder(self.config, standard), standard, stage=self.config.audio_stage)

    def train_main(self) -> None:
        config, clips = self.config, self.clips
        held, how = self.validation_clips(config.main_stage), self.config.transfer.mode
        pretrained = self.pretrained()
        standard = pretrained.statistics["mel"] if pretrained else self._standard()
        looks = self.lip_feature_sets(held) if config.frontend.kind == "frozen" else None
        sounds = self.sounds if how == "joint" else None

        def item(at: int, rng: np.random.Generator) -> Example:
            seen = {"features": looks.drawn(at, rng)} if looks else {"lips": clips[at].lips}
            drawn = self.audio_example(clips, at, seen)
            return replace(drawn, whole={**drawn.whole, **sounds.sample_padded(rng)}) if sounds else drawn

        def whole(at: int) -> Example:
            return self.audio_example(held, at, {"features": looks.plain(at)} if looks else {"lips": held[at].lips})

        self.reset_seed()
        model = V2A(config, standard, hears=sounds is not None)
        if pretrained is not None:
            load_pretrained(pretrained, model)
        lr_factors = {DECODER: config.transfer.lr_scale} if how == "low-lr" else {}
        self.fit_model(self.module(model, standard, lr_factors=lr_factors), item, whole, held)

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

    def _standard(self) -> tuple[float, float]:
        return mean_std(np.concatenate([one.mel for one in self.sample_clips()]))


class V2AMelExperiment(V2AExperiment):
    """``f2v-bench train --model v2a-mel``."""

    spec = MEL_SPEC
    name = MEL_SPEC.name
    stages = ("lips", "vocoder", "audio", "main")
    config: MelConfig


class V2AWaveExperiment(V2AExperiment):
    """``f2v-bench train --model v2a-wave``."""

    spec = WAVE_SPEC
    name = WAVE_SPEC.name
    stages = ("lips", "audio", "main")
    config: WaveConfig

    @property
    def rate(self) -> int:
        return self.config.sample_rate

    def module(self, model: EncoderDecoder, standard: tuple[float, float], **named: Any) -> ModelModule:
        return AdversarialModule(model, self.config, {"mel": standard}, self.options.seed, **named)
