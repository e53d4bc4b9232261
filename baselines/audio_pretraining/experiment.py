"""Training: the shared stages, an audio autoencoder, then lips and a voice to speech by its decoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines.audio_pretraining.config import MEL_PRESETS, WAVE_PRESETS, MelConfig, V2AConfig, WaveConfig, preset
from baselines.audio_pretraining.model import V2A, Autoencoder, Speaker
from baselines.audio_pretraining.training import WaveTraining
from baselines.audio_pretraining.weights import MelWeights, WaveWeights
from f2v_bench.media import resample
from f2v_bench.training.clips import spread_of
from f2v_bench.training.contract import TrainOptions
from f2v_bench.training.loader import Item
from f2v_bench.training.module import ModelTraining
from f2v_bench.training.pretrained import HEARING, Pretrained
from f2v_bench.training.pretraining import HearingTrainee
from f2v_bench.training.targets import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECODER = "decoder."
MUST_AGREE = ("conformer", "speaker", "rate")  # that no shape of a weight gives away


def hand_over(pretrained: Pretrained, model: V2A) -> None:
    """Let a model begin with a decoder that has heard speech, and go on hearing as it did.

    Raises:
        F2VError: weights of another size.
    """
    pretrained.hand_over(model.decoder, DECODER)
    if model.hearing is not None:
        pretrained.hand_over(model.hearing, HEARING)


class V2ATrainee(HearingTrainee):
    """What both systems share: what becomes of the decoder that has heard speech."""

    sizes = MUST_AGREE
    config: V2AConfig

    @property
    def begins_heard(self) -> bool:
        return self.config.transfer.how != "scratch"

    @property
    def needs_lips(self) -> bool:
        return super().needs_lips and self.config.front.kind == "frozen"

    def module(self, model: Speaker, standard: tuple[float, float], **named: Any) -> ModelTraining:
        """What trains either model; ``named`` as ``ModelTraining`` takes it."""
        return ModelTraining(model, self.config, {"mel": standard}, self.options.seed, **named)

    def autoencoder(self) -> ModelTraining:
        standard = spread_of(self.some_sound()["mel"])
        return self.module(Autoencoder(self.config, standard), standard, stage=self.config.audio_stage)

    def train_main(self) -> None:
        config, clips = self.config, self.clips
        held, how = self.held(config.main_stage), self.config.transfer.how
        pretrained = self.pretrained()
        standard = pretrained.standard["mel"] if pretrained else self._standard()
        looks = self.looks(held) if config.front.kind == "frozen" else None
        sounds = self.sounds if how == "joint" else None

        def item(at: int, rng: np.random.Generator) -> Item:
            seen = {"features": looks.drawn(at, rng)} if looks else {"lips": clips[at].lips}
            drawn = self.heard_item(clips, at, seen)
            return replace(drawn, whole={**drawn.whole, **sounds.beside(rng)}) if sounds else drawn

        def whole(at: int) -> Item:
            return self.heard_item(held, at, {"features": looks.plain(at)} if looks else {"lips": held[at].lips})

        self.begin()
        model = V2A(config, standard, hears=sounds is not None)
        if pretrained is not None:
            hand_over(pretrained, model)
        shares = {DECODER: config.transfer.rate} if how == "low-lr" else {}
        self.fit_main(self.module(model, standard, shares=shares), item, whole, held)

    def write_weights(self, path: Path) -> None:
        model = self.trained.average("main")
        self.weights.save(
            path,
            config=self.config,
            standard=self.trained.checkpoint("main")["hyper_parameters"]["standard"],
            facts=self.facts(),
            model={name: one for name, one in model.items() if not name.startswith(HEARING)},
            lips=self.trained.average("lips", "ema.average.encoder.") if self.needs_lips else None,
            vocoder=self.trained.average("vocoder") if "vocoder" in self.stages else None,
        )

    def _standard(self) -> tuple[float, float]:
        return spread_of(np.concatenate([one.mel for one in self.some_clips()]))


class V2AMelTrainee(V2ATrainee):
    """``f2v-bench train --model v2a-mel``."""

    name = "v2a-mel"
    stages = ("lips", "vocoder", "audio", "main")
    weights = MelWeights
    config: MelConfig

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options, preset(options.preset, MEL_PRESETS))


class V2AWaveTrainee(V2ATrainee):
    """``f2v-bench train --model v2a-wave``."""

    name = "v2a-wave"
    stages = ("lips", "audio", "main")
    weights = WaveWeights
    config: WaveConfig

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options, preset(options.preset, WAVE_PRESETS))

    @property
    def rate(self) -> int:
        return self.config.rate

    def module(self, model: Speaker, standard: tuple[float, float], **named: Any) -> ModelTraining:
        return WaveTraining(model, self.config, {"mel": standard}, self.options.seed, **named)

    def sound(self, said: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        return resample(said.reshape(-1).clip(-1, 1), self.rate, SAMPLE_RATE)
