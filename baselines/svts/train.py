"""Training SVTS: the shared stages, then lips and voice to mel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from baselines.svts.config import SVTSConfig
from baselines.svts.model import SVTS
from baselines.svts.native_24khz import Mels, example_24k
from baselines.svts.spec import SPEC
from f2v_bench.errors import F2VError
from f2v_bench.media import resample
from f2v_bench.modeling.base import ModelOutput
from f2v_bench.modeling.batch import Example
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
    """What SVTS is taught with in one of its forms.

    Attributes:
        item: of a training clip.
        whole: of a clip held out.
        mel: mean and deviation of the training corpus's log mels.
    """

    item: LoadExample
    whole: Callable[[int], Example]
    mel: tuple[float, float]


class SVTSExperiment(StagedExperiment):
    """``f2v-bench train --model svts``.

    In the published form there is no vocoder to train, and validation listens through Griffin-Lim even where the
    public one is at hand: so training needs no file that a person must fetch, and its curves do not depend on one.
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
        held = self.validation_clips(config.main_stage)
        taught = self._at_20_fps(held) if self.config.is_native else self._at_25_fps(held)
        self.reset_seed()
        module = ModelModule(SVTS(config, taught.mel), config, {"mel": taught.mel}, self.options.seed)
        self.fit_model(module, taught.item, taught.whole, held)

    def vocode(self, output: ModelOutput, rng: np.random.Generator) -> NDArray[np.float32]:
        if not self.config.is_native:
            return super().vocode(output, rng)
        return resample(griffin_lim_24k(output.mel.numpy(), rng), mel_24k.SAMPLE_RATE, SAMPLE_RATE).clip(-1, 1)

    def listening(self, speak: SynthesizeClip, held: ClipDataset) -> SpeechMetricsCallback:
        # a clip's last frame of 50 ms may reach beyond its end
        return super().listening(lambda at: speak(at)[: SAMPLES_PER_VIDEO_FRAME * held[at].frames], held)

    def _at_25_fps(self, held: ClipDataset) -> TrainingInputs:
        clips = self.clips
        looks = self.lip_feature_sets(held) if self.config.frontend.kind == "frozen" else None

        def item(at: int, rng: np.random.Generator) -> Example:
            return svts_example(clips[at], looks.drawn(at, rng) if looks else None)

        def whole(at: int) -> Example:
            return svts_example(held[at], looks.plain(at) if looks else None)

        return TrainingInputs(item, whole, mean_std(np.concatenate([one.mel for one in self.sample_clips()])))

    def _at_20_fps(self, held: ClipDataset) -> TrainingInputs:
        clips = self.clips
        mels, theirs = (self._mels(what, one) for what, one in (("24 kHz mels", clips), ("mels to validate on", held)))

        def item(at: int, _: np.random.Generator) -> Example:
            return example_24k(clips[at], mels[at])

        def whole(at: int) -> Example:
            return example_24k(held[at], theirs[at])

        return TrainingInputs(item, whole, mean_std(np.concatenate([mels[at] for at in self.sample_indices()])))

    def _mels(self, what: str, clips: ClipDataset) -> Mels:
        watch = self.options.watcher
        return Mels(clips.prepared, self.options.processes, lambda done, count: watch(what, done, count))


def svts_example(targets: ClipFeatures, features: NDArray[np.float32] | None) -> Example:
    """What SVTS is taught with: the clip's mel and its own voice, and features of its lips or their pictures."""
    seen = {"lips": targets.lips} if features is None else {"features": features}
    return Example(targets.frames, {**seen, "mel": targets.mel}, {"speaker": targets.speaker})
