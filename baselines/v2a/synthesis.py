"""From face crops to samples without a vocoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.modeling.synthesizer import Synthesizer

if TYPE_CHECKING:
    from numpy.typing import NDArray


class WaveSynthesizer(Synthesizer):
    """Of a model that says samples."""

    def vocode(self, said: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Samples ``(F T,)``, F a video frame, of what was said of a clip, ``(4 T, F / 4)``."""
        return said.reshape(-1).clip(-1, 1)
