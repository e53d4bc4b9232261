"""From face crops to mel and melody with the reference model's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.training.identity import arcface
from f2v_bench.training.loader import Item
from f2v_bench.training.synthesis import Pictures, Synthesizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reference_model.weights import Weights


class OursSynthesizer(Synthesizer):
    """Lips, expression and identity; a given voice takes the place of the face's."""

    def __init__(self, weights: Weights, settings: Mapping[str, Any], device: str) -> None:
        super().__init__(weights, settings, device)
        self.config = weights.config

    def item(self, pictures: Pictures, noise: NDArray[np.float32]) -> Item:
        plain = super().item(pictures, noise)
        identity: NDArray[Any] = pictures["identity"]
        if self.config.timbre.face == "arcface":
            identity = arcface(str(self.device)).embed(identity)
        return Item(plain.frames, {**plain.sequences, "face": pictures["face"]}, {"identity": identity})
