"""Training Intelligible: the shared stages, the vocoder that takes units and a voice, then lips to units and mel."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from baselines.intelligible.config import IntelligibleConfig
from baselines.intelligible.model import MEL_FRAMES_PER_UNIT, Intelligible
from baselines.intelligible.spec import SPEC
from baselines.intelligible.vocoder_training import MultiInputVocoderModule, VocoderInit
from f2v_bench.modeling.batch import Example
from f2v_bench.training.data.dataset import ClipDataset, clip_samples, mean_std, sample_segment
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.module import ModelModule
from f2v_bench.training.staged_experiment import StagedExperiment

if TYPE_CHECKING:
    from numpy.typing import NDArray


class IntelligibleExperiment(StagedExperiment):
    """``f2v-bench train --model intelligible``."""

    spec = SPEC
    name = SPEC.name
    stages = ("lips", "vocoder", "voice", "main")
    vocoder_key = "voice"
    config: IntelligibleConfig

    def needs(self, stage: str) -> bool:
        return super().needs(stage) and (stage != "vocoder" or self.config.voice.start == "shared-vocoder")

    def trainings(self) -> dict[str, Callable[[], None]]:
        return super().trainings() | {"voice": self.train_voice}

    def train_voice(self) -> None:
        """Train the vocoder that takes units and a voice, on true ones."""
        config, clips, held = self.config, self.clips, self.validation_clips(self.config.voice_stage)
        units = self._labels(clips)

        def item(at: int, rng: np.random.Generator) -> Example:
            piece = sample_segment(clips[at], config.vocoder.segment, rng, units(at))
            return Example(len(piece["mel"]), piece, {"speaker": clips[at].speaker})

        known = self._labels(held)

        def whole(at: int) -> Example:
            seen = {"audio": clip_samples(held[at]), "mel": held[at].mel}
            return Example(
                held[at].frames,
                seen | {"units": np.repeat(known(at), MEL_FRAMES_PER_UNIT)},
                {"speaker": held[at].speaker},
            )

        shared = None
        if config.voice.start == "shared-vocoder":
            self.trained.require_complete("vocoder")
            shared = VocoderInit(
                self.trained.ema_state("vocoder"), self.trained.ema_state("vocoder", "discriminators.")
            )
        self.reset_seed()
        module = MultiInputVocoderModule(config, self.options.seed, shared)
        self.fit(module, self.source(item, whole, held), config.voice_stage, "voice")

    def train_main(self) -> None:
        config, clips = self.config, self.clips
        held = self.validation_clips(config.main_stage)
        looks = self.lip_feature_sets(held) if config.frontend.kind == "frozen" else None
        mel = mean_std(np.concatenate([one.mel for one in self.sample_clips()]))
        units, known = self._labels(clips), self._labels(held)

        def item(at: int, rng: np.random.Generator) -> Example:
            return training_example(clips[at], units(at), looks.drawn(at, rng) if looks else None)

        def whole(at: int) -> Example:
            return training_example(held[at], known(at), looks.plain(at) if looks else None)

        self.reset_seed()
        module = ModelModule(Intelligible(config, mel), config, {"mel": mel}, self.options.seed)
        self.fit_model(module, item, whole, held)

    def _labels(self, clips: ClipDataset) -> Callable[[int], NDArray[np.int64]]:
        """Units of a clip by its place, int64 ``(2 T,)``, found once: HuBERT takes its time."""
        units = self.units
        return cache(lambda at: units(clips[at]))


def training_example(targets: ClipFeatures, units: NDArray[np.int64], features: NDArray[np.float32] | None) -> Example:
    """What the first stage is taught with: a clip's mel, units and voice, and features of its lips or pictures."""
    seen = {"lips": targets.lips} if features is None else {"features": features}
    return Example(targets.frames, {**seen, "mel": targets.mel, "units": units}, {"speaker": targets.speaker})
