"""Training of DiffV2S: the shared stages, then prompts and denoiser together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from baselines.diffv2s.config import DiffV2SConfig
from baselines.diffv2s.model import DiffV2S
from baselines.diffv2s.spec import SPEC
from f2v_bench.errors import F2VError, user_error
from f2v_bench.modeling.batch import Example
from f2v_bench.modeling.inputs import IDENTITY_FRAMES
from f2v_bench.modeling.spec import SIZES_HINT
from f2v_bench.signal.mel import FLOOR
from f2v_bench.training.data.dataset import ClipDataset
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.module import ModelModule
from f2v_bench.training.staged_experiment import StagedExperiment

if TYPE_CHECKING:
    from numpy.typing import NDArray


class DiffV2SExperiment(StagedExperiment):
    """Training of DiffV2S."""

    spec = SPEC
    name = SPEC.name
    config: DiffV2SConfig

    def check(self) -> None:
        if self.config.diffusion.guidance and len({clip.speaker for clip in self.options.clips}) == 1:
            raise F2VError(
                "all training clips are of one speaker, so that the speaker embeddings are not trained to differ and "
                "the speaker guidance has no direction",
                "--set diffusion.guidance=0, or train on several speakers",
            )

    def train_main(self) -> None:
        config, clips = self.config, self.clips
        validation = self.validation_clips(config.main_stage)
        features = self.lip_feature_sets(validation)
        mel_range = measure_mel_range(self.sample_clips(), config.diffusion.quantile)
        speakers, validation_speakers = speaker_indices(clips), speaker_indices(validation)

        def load_train(index: int, rng: np.random.Generator) -> Example:
            chosen = rng.choice(IDENTITY_FRAMES, min(config.voice.face_frames, IDENTITY_FRAMES), replace=False)
            clip = clips[index]
            return diffv2s_example(clip, features.sample_variant(index, rng), speakers[index], clip.identity[chosen])

        def load_validation(index: int) -> Example:
            clip = validation[index]
            return diffv2s_example(clip, features.load_validation(index), validation_speakers[index], clip.identity)

        self.reset_seed()
        with user_error(SIZES_HINT):
            model = DiffV2S(config, mel_range)
        module = ModelModule(model, config, {"mel": mel_range}, self.options.seed)
        self.fit_model(module, load_train, load_validation, validation)


def diffv2s_example(
    targets: ClipFeatures, features: NDArray[np.float32], speaker: int, identity: NDArray[np.uint8]
) -> Example:
    """Build a training example: lip features, faces, mel, the clip's GE2E embedding and the speaker's index."""
    return Example(
        targets.frames,
        {"features": features, "mel": targets.mel},
        {"speaker": targets.speaker, "person": np.array(speaker), "identity": identity},
    )


def speaker_indices(clips: ClipDataset) -> list[int]:
    """Return an index for each clip that clips of the same speaker share."""
    known: dict[str, int] = {}
    return [known.setdefault(clip.speaker, len(known)) for clip in clips.prepared.clips]


def measure_mel_range(clips: Sequence[ClipFeatures], quantile: float) -> tuple[float, float]:
    """Return the middle and half of the range of log mels, from the floor to a quantile of all values."""
    floor = float(np.log(FLOOR))
    top = float(np.quantile(np.concatenate([clip.mel for clip in clips]), quantile))
    return (top + floor) / 2, max((top - floor) / 2, 1e-3)
