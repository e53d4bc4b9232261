"""Training of SVTS: the shared stages, then lips and speaker embedding to mel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from baselines.svts.config import SVTSConfig
from baselines.svts.model import SVTS
from baselines.svts.native_24khz import Mels24k, example_24k
from baselines.svts.spec import SPEC
from f2v_bench.errors import F2VError, user_error
from f2v_bench.media import resample
from f2v_bench.modeling.base import ModelOutput
from f2v_bench.modeling.batch import Example
from f2v_bench.modeling.spec import SIZES_HINT
from f2v_bench.signal import mel_24k
from f2v_bench.signal.griffin_lim import griffin_lim_24k
from f2v_bench.timing import SAMPLE_RATE, SAMPLES_PER_VIDEO_FRAME
from f2v_bench.training.callbacks import SpeechMetricsCallback, SynthesizeClip
from f2v_bench.training.data.dataset import ClipDataset, mean_std
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.module import ModelModule
from f2v_bench.training.staged_experiment import LoadExample, StagedExperiment

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TrainingInputs(NamedTuple):
    """Examples of one form.

    Attributes:
        load_train: loads a training example.
        load_validation: loads a validation example.
        mel_stats: mean and deviation of the training corpus's log mels.
    """

    load_train: LoadExample
    load_validation: Callable[[int], Example]
    mel_stats: tuple[float, float]


class SVTSExperiment(StagedExperiment):
    """Training of SVTS.

    The published form has no vocoder to train, and its validation uses Griffin-Lim even where the public vocoder is
    available: so training needs no file that is fetched by hand, and its curves do not depend on one.
    """

    spec = SPEC
    name = SPEC.name
    config: SVTSConfig

    def check(self) -> None:
        if self.config.is_native and self.config.frontend.kind != "resnet":
            raise F2VError(
                f"form '24khz-pwg' has 20 video frames a second, and '{self.config.frontend.kind}' lip features 25",
                "set frontend.kind=resnet, or form=16khz",
            )

    def needs(self, stage: str) -> bool:
        return super().needs(stage) and not (stage == "vocoder" and self.config.is_native)

    def train_main(self) -> None:
        config = self.config
        validation = self.validation_clips(config.main_stage)
        inputs = self._at_20_fps(validation) if config.is_native else self._at_25_fps(validation)
        self.reset_seed()
        with user_error(SIZES_HINT):
            model = SVTS(config, inputs.mel_stats)
        module = ModelModule(model, config, {"mel": inputs.mel_stats}, self.options.seed)
        self.fit_model(module, inputs.load_train, inputs.load_validation, validation)

    def vocode(self, output: ModelOutput, rng: np.random.Generator) -> NDArray[np.float32]:
        if not self.config.is_native:
            return super().vocode(output, rng)
        return resample(griffin_lim_24k(output.mel.numpy(), rng), mel_24k.SAMPLE_RATE, SAMPLE_RATE).clip(-1, 1)

    def speech_metrics(self, synthesize: SynthesizeClip, validation: ClipDataset) -> SpeechMetricsCallback:
        def trimmed(index: int) -> NDArray[np.float32]:  # a clip's last frame of 50 ms may reach beyond its end
            return synthesize(index)[: SAMPLES_PER_VIDEO_FRAME * validation[index].frames]

        return super().speech_metrics(trimmed, validation)

    def _at_25_fps(self, validation: ClipDataset) -> TrainingInputs:
        clips = self.clips
        features = self.lip_feature_sets(validation) if self.config.uses_lip_encoder else None

        def load_train(index: int, rng: np.random.Generator) -> Example:
            return svts_example(clips[index], features.sample_variant(index, rng) if features else None)

        def load_validation(index: int) -> Example:
            return svts_example(validation[index], features.load_validation(index) if features else None)

        mels = np.concatenate([clip.mel for clip in self.sample_clips()])
        return TrainingInputs(load_train, load_validation, mean_std(mels))

    def _at_20_fps(self, validation: ClipDataset) -> TrainingInputs:
        clips = self.clips
        mels, validation_mels = self._mels("24 kHz mels", clips), self._mels("validation mels", validation)

        def load_train(index: int, _: np.random.Generator) -> Example:
            return example_24k(clips[index], mels[index])

        def load_validation(index: int) -> Example:
            return example_24k(validation[index], validation_mels[index])

        sampled = np.concatenate([mels[index] for index in self.sample_indices()])
        return TrainingInputs(load_train, load_validation, mean_std(sampled))

    def _mels(self, what: str, clips: ClipDataset) -> Mels24k:
        progress = self.options.progress
        return Mels24k(clips.prepared, self.options.processes, lambda done, count: progress(what, done, count))


def svts_example(targets: ClipFeatures, features: NDArray[np.float32] | None) -> Example:
    """Build a training example: mel, the clip's own speaker embedding, and lip features or lip crops."""
    visual = {"lips": targets.lips} if features is None else {"features": features}
    return Example(targets.frames, {**visual, "mel": targets.mel}, {"speaker": targets.speaker})
