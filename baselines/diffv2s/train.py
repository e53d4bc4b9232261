"""Training DiffV2S: the shared stages, then prompts and denoiser together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from baselines.diffv2s.config import DiffV2SConfig
from baselines.diffv2s.model import DiffV2S
from baselines.diffv2s.spec import SPEC
from f2v_bench.errors import F2VError
from f2v_bench.modeling.batch import Example
from f2v_bench.modeling.inputs import IDENTITY_FRAMES
from f2v_bench.signal.mel import FLOOR
from f2v_bench.training.data.dataset import ClipDataset
from f2v_bench.training.data.features import ClipFeatures
from f2v_bench.training.module import ModelModule
from f2v_bench.training.staged_experiment import StagedExperiment

if TYPE_CHECKING:
    from numpy.typing import NDArray


class DiffV2SExperiment(StagedExperiment):
    """``f2v-bench train --model diffv2s``."""

    spec = SPEC
    name = SPEC.name
    config: DiffV2SConfig

    def check(self) -> None:
        if self.config.diffusion.guidance and len({clip.speaker for clip in self.options.clips}) == 1:
            raise F2VError(
                "all training clips are of one speaker, so that nothing teaches voices apart and the speaker guidance "
                "leads astray",
                "--set diffusion.guidance=0, or train on several speakers",
            )

    def train_main(self) -> None:
        config, clips = self.config, self.clips
        held = self.validation_clips(config.main_stage)
        looks = self.lip_feature_sets(held)
        mel = range_of(self.sample_clips(), config.diffusion.quantile)
        people, people_held = numbers(clips), numbers(held)

        def item(at: int, rng: np.random.Generator) -> Example:
            chosen = rng.choice(IDENTITY_FRAMES, min(config.voice.face_frames, IDENTITY_FRAMES), replace=False)
            return diffv2s_example(clips[at], looks.drawn(at, rng), people[at], clips[at].identity[chosen])

        def whole(at: int) -> Example:
            return diffv2s_example(held[at], looks.plain(at), people_held[at], held[at].identity)

        self.reset_seed()
        module = ModelModule(DiffV2S(config, mel), config, {"mel": mel}, self.options.seed)
        self.fit_model(module, item, whole, held)


def diffv2s_example(
    targets: ClipFeatures, features: NDArray[np.float32], person: int, identity: NDArray[np.uint8]
) -> Example:
    """What DiffV2S is taught with: lip features and faces, the clip's mel, GE2E's embedding of it, and who speaks."""
    return Example(
        targets.frames,
        {"features": features, "mel": targets.mel},
        {"speaker": targets.speaker, "person": np.array(person), "identity": identity},
    )


def numbers(clips: ClipDataset) -> list[int]:
    """A number for each clip that clips of the same speaker share."""
    known: dict[str, int] = {}
    return [known.setdefault(clip.speaker, len(known)) for clip in clips.prepared.clips]


def range_of(clips: Sequence[ClipFeatures], quantile: float) -> tuple[float, float]:
    """Middle and half of the range of log mels, from the floor to a quantile of all values."""
    floor = float(np.log(FLOOR))
    top = float(np.quantile(np.concatenate([one.mel for one in clips]), quantile))
    return (top + floor) / 2, max((top - floor) / 2, 1e-3)
