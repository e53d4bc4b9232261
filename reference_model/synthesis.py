"""From face crops to mel and melody with the reference model's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.modeling.batch import Example
from f2v_bench.modeling.synthesizer import Pictures, Synthesizer
from f2v_bench.nn.encoders.pretrained import arcface

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reference_model.spec import Weights


class FacesToVoicesSynthesizer(Synthesizer):
    """Lips, expression and identity; a given voice takes the place of the face's."""

    def __init__(self, weights: Weights, settings: Mapping[str, Any], device: str) -> None:
        super().__init__(weights, settings, device)
        self.config = weights.config

    def item(self, pictures: Pictures, noise: NDArray[np.float32]) -> Example:
        plain = super().item(pictures, noise)
        identity: NDArray[Any] = pictures["identity"]
        if self.config.timbre.face == "arcface":
            identity = arcface(str(self.device)).embed(identity)
        return Example(plain.frames, {**plain.sequences, "face": pictures["face"]}, {"identity": identity})
