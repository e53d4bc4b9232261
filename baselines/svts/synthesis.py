"""Synthesis at 24 kHz: SVTS in its published form, with a public Parallel WaveGAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines.svts.native_24khz import SAMPLES_PER_FRAME_24K, frames_at_20_fps
from baselines.svts.spec import PARALLEL_WAVEGAN
from f2v_bench.assets import get_asset, require_asset
from f2v_bench.modeling.base import ModelOutput
from f2v_bench.modeling.synthesizer import Synthesizer
from f2v_bench.nn.vocoders.parallel_wavegan import vocode
from f2v_bench.nn.vocoders.parallel_wavegan_checkpoint import load_parallel_wavegan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.face.records import FaceCrops
    from f2v_bench.modeling.checkpoint import ModelCheckpoint


class Native24kHzSynthesizer(Synthesizer):
    """Synthesizer from crops at 25 fps to 24 kHz; the model runs at 20 video frames a second.

    Args:
        checkpoint: weights of the published form.
        settings: sampling settings.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        AssetMissing: Parallel WaveGAN is not on this machine.
        F2VError: its archive holds another vocoder, or cannot be read.
    """

    def __init__(self, checkpoint: ModelCheckpoint, settings: Mapping[str, Any], device: str) -> None:
        super().__init__(checkpoint, settings, device)
        archive, instructions = require_asset(PARALLEL_WAVEGAN), get_asset(PARALLEL_WAVEGAN).instructions
        self.generator = load_parallel_wavegan(archive, instructions).to(self.device)

    def vocode(self, output: ModelOutput, rng: np.random.Generator) -> NDArray[np.float32]:
        return vocode(self.generator, output.mel.numpy(), rng)

    def synthesize(
        self,
        crops: Sequence[FaceCrops],
        rngs: Sequence[np.random.Generator],
        voices: Sequence[NDArray[np.float32]] | None = None,
    ) -> list[NDArray[np.float32]]:
        """Synthesize samples ``(960 T,)`` at 24 kHz for each clip; arguments as for ``Synthesizer.synthesize``."""
        waveforms = super().synthesize([to_20_fps(one) for one in crops], rngs, voices)
        return [samples[: SAMPLES_PER_FRAME_24K * len(one.lips)] for samples, one in zip(waveforms, crops, strict=True)]


def build_synthesizer(checkpoint: ModelCheckpoint, settings: Mapping[str, Any], device: str) -> Synthesizer:
    """Load the synthesizer of the weights' form."""
    native: bool = getattr(checkpoint.config, "is_native", False)
    return (Native24kHzSynthesizer if native else Synthesizer)(checkpoint, settings, device)


def to_20_fps(crops: FaceCrops) -> FaceCrops:
    """Return the crops of a clip at 20 fps."""
    at = frames_at_20_fps(len(crops.lips))
    return replace(
        crops,
        lips=crops.lips[at],
        face=crops.face[at],
        boxes=crops.boxes[at],
        points=crops.points[at],
        visible=crops.visible[at],
    )
