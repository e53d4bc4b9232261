"""``diffv2s``: lips, and the voice that the picture has, to speech by diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.modeling.system import NeuralSystem
from f2v_bench.systems.base import SpeakerReference

if TYPE_CHECKING:
    from baselines.diffv2s.spec import Weights
    from baselines.diffv2s.synthesis import DiffV2SSynthesizer


class DiffV2SSystem(NeuralSystem):
    """DiffV2S with the weights of the corpus. The voice is seen, as in the paper, or heard in real speech.

    Settings are those of the sampling.
    """

    name = "diffv2s"
    summary = "DiffV2S: lips and a voice seen in the video to mel, by diffusion with speaker guidance"
    stages = ("lips", "decoder", "vocoder")
    settings = ("steps", "guidance")
    voices = (SpeakerReference.FACE, SpeakerReference.SAME_CLIP, SpeakerReference.OTHER_CLIP)
    _weights: Weights

    @classmethod
    def checkpoint_class(cls) -> type[Weights]:
        from baselines.diffv2s.spec import Weights

        return Weights

    def sampling(self, texts: Mapping[str, str]) -> dict[str, Any]:
        return self._weights.sampling(texts)

    def synthesizer(self, sampling: Mapping[str, Any]) -> DiffV2SSynthesizer:
        from baselines.diffv2s.synthesis import DiffV2SSynthesizer

        return DiffV2SSynthesizer(self._weights, sampling, self.options.device)

    @property
    def provenance(self) -> str:
        from baselines.diffv2s.spec import said

        return f"{super().provenance}; {said(**self._sampling)}"
