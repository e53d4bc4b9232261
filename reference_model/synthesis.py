"""From face crops to mel and melody with the reference model's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from f2v_bench.modeling.batch import Example
from f2v_bench.modeling.synthesizer import Synthesizer, VideoInputs
from f2v_bench.nn.encoders.pretrained import arcface

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reference_model.config import FacesToVoicesConfig


class FacesToVoicesSynthesizer(Synthesizer):
    """Lips, expression and identity; a given voice takes the place of the face's."""

    config: FacesToVoicesConfig

    def build_example(self, video: VideoInputs, noise: NDArray[np.float32]) -> Example:
        plain = super().build_example(video, noise)
        identity: NDArray[Any] = video["identity"]
        if self.config.timbre.face == "arcface":
            identity = arcface(str(self.device)).embed(identity)
        return Example(plain.frames, {**plain.sequences, "face": video["face"]}, {"identity": identity})
