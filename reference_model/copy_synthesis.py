"""Copy synthesis: the mel of real audio through the reference model's vocoder, the ceiling of ``faces-to-voices``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from f2v_bench.clip import Clip
from f2v_bench.errors import F2VError
from f2v_bench.systems.base import SystemOptions
from f2v_bench.systems.resynthesis import Resynthesis
from reference_model.spec import SPEC

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from f2v_bench.nn.vocoders.base import Vocoder


class CopySynthesis(Resynthesis):
    """Loss between a true mel spectrogram and its waveform, with the vocoder of ``faces-to-voices``."""

    name = "copy-synthesis"
    summary = "mel of the real audio through the vocoder of the reference model"

    def __init__(self, options: SystemOptions) -> None:
        super().__init__(options)
        self._checkpoint = SPEC.find_checkpoint(options.argument or options.weights, options.dataset)

    @cached_property
    def _vocoder(self) -> Vocoder:
        vocoder = self._checkpoint.vocoder()
        if vocoder is None:
            raise F2VError(f"'{self._checkpoint.path}' has no vocoder", "train the stage: --stage vocoder")
        return vocoder.to(self.options.device)

    def vocode(self, mel: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        from f2v_bench.modeling.synthesizer import vocode_mel

        return vocode_mel(mel, None, self._vocoder, rng)

    def fingerprint(self, clip: Clip, seed: int) -> str:
        return f"{self.name}:{self._checkpoint.sha256[:16]}"

    @property
    def provenance(self) -> str:
        return f"{self.summary}; {self._checkpoint.provenance}"
