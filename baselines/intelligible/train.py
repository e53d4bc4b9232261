"""Training of Intelligible: the shared stages, its own vocoder, then lips to units and mel."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from baselines.intelligible.config import IntelligibleConfig
from baselines.intelligible.model import MEL_FRAMES_PER_UNIT, Intelligible
from baselines.intelligible.spec import SPEC
from baselines.intelligible.vocoder_training import MultiInputVocoderModule, VocoderInit
from f2v_bench.errors import user_error
from f2v_bench.modeling.batch import Example
from f2v_bench.modeling.spec import SIZES_HINT
from f2v_bench.training.data.dataset import ClipDataset, clip_samples, mean_std, sample_segment
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.module import ModelModule
from f2v_bench.training.staged_experiment import StagedExperiment

if TYPE_CHECKING:
    from numpy.typing import NDArray


class IntelligibleExperiment(StagedExperiment):
    """Training of Intelligible."""

    spec = SPEC
    name = SPEC.name
    stages = ("lips", "vocoder", "voice", "main")
    vocoder_stage = "voice"
    config: IntelligibleConfig

    def needs(self, stage: str) -> bool:
        return super().needs(stage) and (stage != "vocoder" or self.config.voice.start == "shared-vocoder")

    def trainings(self) -> dict[str, Callable[[], None]]:
        return super().trainings() | {"voice": self.train_voice}

    def train_voice(self) -> None:
        """Train the vocoder of mel, units and speaker embedding on real ones."""
        config, clips = self.config, self.clips
        validation = self.validation_clips(config.voice_stage)
        units, validation_units = self._units(clips), self._units(validation)

        def load_train(index: int, rng: np.random.Generator) -> Example:
            segment = sample_segment(clips[index], config.vocoder.segment, rng, units(index))
            return Example(len(segment["mel"]), segment, {"speaker": clips[index].speaker})

        def load_validation(index: int) -> Example:
            clip = validation[index]
            fine = np.repeat(validation_units(index), MEL_FRAMES_PER_UNIT)
            return Example(
                clip.frames,
                {"audio": clip_samples(clip), "mel": clip.mel, "units": fine},
                {"speaker": clip.speaker},
            )

        shared = None
        if config.voice.start == "shared-vocoder":
            self.trained.require_complete("vocoder")
            shared = VocoderInit(
                self.trained.ema_state("vocoder"), self.trained.ema_state("vocoder", "discriminators.")
            )
        self.reset_seed()
        with user_error(SIZES_HINT):
            module = MultiInputVocoderModule(config, self.options.seed, shared)
        self.fit(module, self.training_data(load_train, load_validation, validation), config.voice_stage, "voice")

    def train_main(self) -> None:
        config, clips = self.config, self.clips
        validation = self.validation_clips(config.main_stage)
        features = self.lip_feature_sets(validation) if config.uses_lip_encoder else None
        mel_stats = mean_std(np.concatenate([clip.mel for clip in self.sample_clips()]))
        units, validation_units = self._units(clips), self._units(validation)

        def load_train(index: int, rng: np.random.Generator) -> Example:
            visual = features.sample_variant(index, rng) if features else None
            return training_example(clips[index], units(index), visual)

        def load_validation(index: int) -> Example:
            visual = features.load_validation(index) if features else None
            return training_example(validation[index], validation_units(index), visual)

        self.reset_seed()
        with user_error(SIZES_HINT):
            model = Intelligible(config, mel_stats)
        module = ModelModule(model, config, {"mel": mel_stats}, self.options.seed)
        self.fit_model(module, load_train, load_validation, validation)

    def _units(self, clips: ClipDataset) -> Callable[[int], NDArray[np.int64]]:
        """Return a function from a clip's index to its units, int64 ``(2 T,)``, cached because HuBERT is slow."""
        units = self.units
        return cache(lambda index: units(clips[index]))


def training_example(targets: ClipFeatures, units: NDArray[np.int64], features: NDArray[np.float32] | None) -> Example:
    """Build a training example: mel, units, the clip's own speaker embedding, and lip features or lip crops."""
    visual = {"lips": targets.lips} if features is None else {"features": features}
    return Example(targets.frames, {**visual, "mel": targets.mel, "units": units}, {"speaker": targets.speaker})
