"""Synthesizer of the reference model: face crops to mel, F0 and samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from f2v_bench.modeling.batch import Example
from f2v_bench.modeling.synthesizer import Synthesizer, VideoInputs
from f2v_bench.nn.encoders.pretrained import arcface
from reference_model.config import FacesToVoicesConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class FacesToVoicesSynthesizer(Synthesizer):
    """Synthesizer with face and identity as inputs beside the lips."""

    config: FacesToVoicesConfig

    def build_example(self, video: VideoInputs, noise: NDArray[np.float32]) -> Example:
        lips = super().build_example(video, noise)
        identity: NDArray[Any] = video["identity"]
        if self.config.timbre.face == "arcface":
            identity = arcface(str(self.device)).embed(identity)
        return Example(lips.frames, {**lips.sequences, "face": video["face"]}, {"identity": identity})
