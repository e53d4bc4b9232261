"""From face crops to 24 kHz: SVTS in its published form, with a public Parallel WaveGAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines.svts.native_24khz import SAMPLES_PER_FRAME_24K, VOCODER, frames_at_20_fps
from f2v_bench.assets import get_asset
from f2v_bench.modeling.synthesizer import Synthesizer
from f2v_bench.nn.vocoders.parallel_wavegan import vocode
from f2v_bench.nn.vocoders.parallel_wavegan_checkpoint import load_parallel_wavegan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from baselines.svts.spec import Weights
    from f2v_bench.face.crops import FaceCrops


class Native24kHzSynthesizer(Synthesizer):
    """Crops at 25 fps in, 24 kHz out; in between 20 video frames a second.

    Args:
        weights: of the form ``pwg``.
        settings: of the sampling.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        archive: of the vocoder.

    Raises:
        F2VError: the archive holds another vocoder, or cannot be read.
    """

    def __init__(self, weights: Weights, settings: Mapping[str, Any], device: str, archive: Path) -> None:
        super().__init__(weights, settings, device)
        self.generator = load_parallel_wavegan(archive, get_asset(VOCODER).instructions).to(self.device)

    def vocode(self, said: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        return vocode(self.generator, said, rng)

    def synthesize(
        self,
        crops: Sequence[FaceCrops],
        rngs: Sequence[np.random.Generator],
        voices: Sequence[NDArray[np.float32]] | None = None,
    ) -> list[NDArray[np.float32]]:
        """Samples ``(960 T,)`` at 24 kHz of each clip; arguments as ``Synthesizer.speak``."""
        made = super().synthesize([to_20_fps(one) for one in crops], rngs, voices)
        return [samples[: SAMPLES_PER_FRAME_24K * len(one.lips)] for samples, one in zip(made, crops, strict=True)]


def to_20_fps(crops: FaceCrops) -> FaceCrops:
    """Crops of a clip at 20 fps."""
    at = frames_at_20_fps(len(crops.lips))
    return replace(
        crops,
        lips=crops.lips[at],
        face=crops.face[at],
        boxes=crops.boxes[at],
        points=crops.points[at],
        visible=crops.visible[at],
    )
