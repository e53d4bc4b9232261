"""From lips to units, mel and sound with Intelligible's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baselines.intelligible.vocoder import spoken
from f2v_bench.training.synthesis import Synthesizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class IntelligibleSynthesizer(Synthesizer):
    """Its vocoder takes all that the first stage says."""

    def sound(self, said: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        return spoken(said, self.vocoder, rng)
