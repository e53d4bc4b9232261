"""Training DiffV2S: the shared stages, then prompts and denoiser together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from baselines.diffv2s.config import DiffV2SConfig, preset
from baselines.diffv2s.model import DiffV2S
from baselines.diffv2s.weights import Weights
from f2v_bench.errors import F2VError
from f2v_bench.signal.mel import FLOOR
from f2v_bench.training.clips import Clips
from f2v_bench.training.contract import TrainOptions
from f2v_bench.training.experiment import StagedTrainee
from f2v_bench.training.loader import Item
from f2v_bench.training.module import ModelTraining
from f2v_bench.training.targets import IDENTITIES, Targets

if TYPE_CHECKING:
    from numpy.typing import NDArray


class DiffV2STrainee(StagedTrainee):
    """``f2v-bench train --model diffv2s``."""

    name = "diffv2s"
    weights = Weights
    config: DiffV2SConfig

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options, preset(options.preset))

    def check(self) -> None:
        if self.config.diffusion.guidance and len({clip.speaker for clip in self.options.clips}) == 1:
            raise F2VError(
                "all training clips are of one speaker, so that nothing teaches voices apart and the speaker guidance "
                "leads astray",
                "--set diffusion.guidance=0, or train on several speakers",
            )

    def train_main(self) -> None:
        config, clips = self.config, self.clips
        held = self.held(config.main_stage)
        looks = self.looks(held)
        mel = range_of(self.some_clips(), config.diffusion.quantile)
        people, people_held = numbers(clips), numbers(held)

        def item(at: int, rng: np.random.Generator) -> Item:
            chosen = rng.choice(IDENTITIES, min(config.voice.pictures, IDENTITIES), replace=False)
            return diffv2s_item(clips[at], looks.drawn(at, rng), people[at], clips[at].identity[chosen])

        def whole(at: int) -> Item:
            return diffv2s_item(held[at], looks.plain(at), people_held[at], held[at].identity)

        self.begin()
        module = ModelTraining(DiffV2S(config, mel), config, {"mel": mel}, self.options.seed)
        self.fit_main(module, item, whole, held)


def diffv2s_item(targets: Targets, features: NDArray[np.float32], person: int, identity: NDArray[np.uint8]) -> Item:
    """What DiffV2S is taught with: lip features and faces, the clip's mel, GE2E's embedding of it, and who speaks."""
    return Item(
        targets.frames,
        {"features": features, "mel": targets.mel},
        {"speaker": targets.speaker, "person": np.array(person), "identity": identity},
    )


def numbers(clips: Clips) -> list[int]:
    """A number for each clip that clips of the same speaker share."""
    known: dict[str, int] = {}
    return [known.setdefault(clip.speaker, len(known)) for clip in clips.prepared.clips]


def range_of(clips: Sequence[Targets], quantile: float) -> tuple[float, float]:
    """Middle and half of the range of log mels, from the floor to a quantile of all values."""
    floor = float(np.log(FLOOR))
    top = float(np.quantile(np.concatenate([one.mel for one in clips]), quantile))
    return (top + floor) / 2, max((top - floor) / 2, 1e-3)
