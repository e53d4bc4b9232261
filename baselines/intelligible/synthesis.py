"""From lips to units, mel and sound with Intelligible's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baselines.intelligible.vocoder import to_waveform
from f2v_bench.modeling.synthesizer import Synthesizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class IntelligibleSynthesizer(Synthesizer):
    """Its vocoder takes all that the first stage says."""

    def vocode(self, said: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        return to_waveform(said, self.vocoder, rng)
