"""``diffv2s``: lips, and the voice that the picture has, to speech by diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from f2v_bench.systems.contract import SpeakerReference
from f2v_bench.training.system import TrainedSystem

if TYPE_CHECKING:
    from baselines.diffv2s.synthesis import DiffV2SSynthesizer
    from baselines.diffv2s.weights import Weights


class DiffV2SSystem(TrainedSystem):
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
    def weight_class(cls) -> type[Weights]:
        from baselines.diffv2s.weights import Weights

        return Weights

    def sampling(self, texts: Mapping[str, str]) -> dict[str, Any]:
        return self._weights.sampling(texts)

    def synthesizer(self, sampling: Mapping[str, Any]) -> DiffV2SSynthesizer:
        from baselines.diffv2s.synthesis import DiffV2SSynthesizer

        return DiffV2SSynthesizer(self._weights, sampling, self.options.device)

    @property
    def provenance(self) -> str:
        from baselines.diffv2s.weights import said

        return f"{super().provenance}; {said(**self._sampling)}"
