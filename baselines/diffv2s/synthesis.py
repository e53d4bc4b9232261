"""From face crops to mel with the weights of DiffV2S, and a voice from a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from baselines.diffv2s.model import DiffV2S
from f2v_bench.signal.mel import SAMPLE_RATE, log_mel
from f2v_bench.training.loader import Item
from f2v_bench.training.synthesis import Pictures, Synthesizer
from f2v_bench.training.targets import SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray


class DiffV2SSynthesizer(Synthesizer):
    """Lips and, where the model looks at them, faces; a voice is what the audio prompts say of a recording."""

    def item(self, pictures: Pictures, noise: NDArray[np.float32]) -> Item:
        plain = super().item(pictures, noise)
        return Item(plain.frames, plain.sequences, {"identity": pictures["identity"]})

    @torch.no_grad()
    def voice(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        assert isinstance(self.model, DiffV2S)
        whole = np.pad(samples, (0, -len(samples) % SAMPLES))  # to video frames
        mel = self.model.scaled(torch.from_numpy(log_mel(whole, SAMPLE_RATE))[None].to(self.device))
        mask = torch.ones(mel.shape[:2], dtype=torch.bool, device=self.device)
        found: NDArray[np.float32] = self.model.hear(mel, mask)[0].cpu().numpy()
        return found
