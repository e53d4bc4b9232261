"""Training Intelligible: the shared stages, the vocoder that takes units and a voice, then lips to units and mel."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from baselines.intelligible.config import IntelligibleConfig, preset
from baselines.intelligible.model import EACH, Intelligible
from baselines.intelligible.training import Begun, VoiceTraining
from baselines.intelligible.vocoder import MultiInputVocoder, spoken
from baselines.intelligible.weights import Weights
from f2v_bench.training.clips import Clips, segment_of, speech, spread_of
from f2v_bench.training.contract import TrainOptions
from f2v_bench.training.experiment import StagedTrainee
from f2v_bench.training.loader import Item
from f2v_bench.training.module import ModelTraining
from f2v_bench.training.targets import Targets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.nn.generator import Generator


class IntelligibleTrainee(StagedTrainee):
    """``f2v-bench train --model intelligible``."""

    name = "intelligible"
    stages = ("lips", "vocoder", "voice", "main")
    sounding = "voice"
    weights = Weights
    config: IntelligibleConfig

    def __init__(self, options: TrainOptions) -> None:
        super().__init__(options, preset(options.preset))

    @property
    def needs_lips(self) -> bool:
        return super().needs_lips and self.config.front.kind == "frozen"

    def needs(self, stage: str) -> bool:
        return super().needs(stage) and (stage != "vocoder" or self.config.voice.start == "vocoder")

    def trainings(self) -> dict[str, Callable[[], None]]:
        return super().trainings() | {"voice": self.train_voice}

    def generator(self) -> Generator:
        return MultiInputVocoder(self.config)

    def sound(self, said: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        return spoken(said, self.vocoder, rng)

    def train_voice(self) -> None:
        """Train the vocoder that takes units and a voice, on true ones."""
        config, clips, held = self.config, self.clips, self.held(self.config.voice_stage)
        units = self._labels(clips)

        def item(at: int, rng: np.random.Generator) -> Item:
            piece = segment_of(clips[at], config.vocoder.segment, rng, units(at))
            return Item(len(piece["mel"]), piece, {"speaker": clips[at].speaker})

        known = self._labels(held)

        def whole(at: int) -> Item:
            seen = {"audio": speech(held[at]), "mel": held[at].mel}
            return Item(held[at].frames, seen | {"units": np.repeat(known(at), EACH)}, {"speaker": held[at].speaker})

        shared = None
        if config.voice.start == "vocoder":
            self.trained.require("vocoder")
            shared = Begun(self.trained.average("vocoder"), self.trained.average("vocoder", "discriminators."))
        self.begin()
        module = VoiceTraining(config, self.options.seed, shared)
        self.fit(module, self.source(item, whole, held), config.voice_stage, "voice")

    def train_main(self) -> None:
        config, clips = self.config, self.clips
        held = self.held(config.main_stage)
        looks = self.looks(held) if config.front.kind == "frozen" else None
        mel = spread_of(np.concatenate([one.mel for one in self.some_clips()]))
        units, known = self._labels(clips), self._labels(held)

        def item(at: int, rng: np.random.Generator) -> Item:
            return main_item(clips[at], units(at), looks.drawn(at, rng) if looks else None)

        def whole(at: int) -> Item:
            return main_item(held[at], known(at), looks.plain(at) if looks else None)

        self.begin()
        module = ModelTraining(Intelligible(config, mel), config, {"mel": mel}, self.options.seed)
        self.fit_main(module, item, whole, held)

    def _labels(self, clips: Clips) -> Callable[[int], NDArray[np.int64]]:
        """Units of a clip by its place, int64 ``(2 T,)``, found once: HuBERT takes its time."""
        units = self.units
        return cache(lambda at: units(clips[at]))


def main_item(targets: Targets, units: NDArray[np.int64], features: NDArray[np.float32] | None) -> Item:
    """What the first stage is taught with: a clip's mel, units and voice, and features of its lips or pictures."""
    seen = {"lips": targets.lips} if features is None else {"features": features}
    return Item(targets.frames, {**seen, "mel": targets.mel, "units": units}, {"speaker": targets.speaker})
