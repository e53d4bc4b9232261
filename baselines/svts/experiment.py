"""Training SVTS: the shared stages, then lips and voice to mel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from baselines.svts.config import SVTSConfig, preset
from baselines.svts.model import SVTS
from baselines.svts.weights import Weights
from f2v_bench.training.clips import spread_of
from f2v_bench.training.contract import TrainOptions
from f2v_bench.training.experiment import StagedTrainee
from f2v_bench.training.loader import Item
from f2v_bench.training.module import ModelTraining
from f2v_bench.training.targets import Targets

if TYPE_CHECKING:
    from numpy.typing import NDArray


class SVTSTrainee(StagedTrainee):
    """``f2v-bench train --model svts``."""

    name = "svts"
    weights = Weights
    config: SVTSConfig

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options, preset(options.preset))

    @property
    def needs_lips(self) -> bool:
        return super().needs_lips and self.config.front.kind == "frozen"

    def train_main(self) -> None:
        config, clips = self.config, self.clips
        held = self.held(config.main_stage)
        looks = self.looks(held) if config.front.kind == "frozen" else None
        mel = spread_of(np.concatenate([one.mel for one in self.some_clips()]))

        def item(at: int, rng: np.random.Generator) -> Item:
            return svts_item(clips[at], looks.drawn(at, rng) if looks else None)

        def whole(at: int) -> Item:
            return svts_item(held[at], looks.plain(at) if looks else None)

        self.begin()
        module = ModelTraining(SVTS(config, mel), config, {"mel": mel}, self.options.seed)
        self.fit_main(module, item, whole, held)


def svts_item(targets: Targets, features: NDArray[np.float32] | None) -> Item:
    """What SVTS is taught with: the clip's mel and its own voice, and features of its lips or their pictures."""
    seen = {"lips": targets.lips} if features is None else {"features": features}
    return Item(targets.frames, {**seen, "mel": targets.mel}, {"speaker": targets.speaker})
