"""Intelligible's second stage: a vocoder that takes speech units and a speaker embedding beside the mel.

    unit   = linear(GELU(conv-transpose(embedding(arg max of the probabilities))))    50 to 100 Hz, 128 channels
    voice  = linear(speaker), the same at every frame                                 128 channels
    sound  = generator([mel; unit; voice])                                            336 channels in the paper

The paper's generator is HiFi-GAN. Any generator of the suite does; one that filters a source hears F0 in the mel alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from baselines.intelligible.config import IntelligibleConfig
from f2v_bench.modeling.synthesizer import vocode_mel
from f2v_bench.nn.vocoders.base import Vocoder
from f2v_bench.nn.vocoders.build import build_vocoder, vocode
from f2v_bench.nn.vocoders.excitation import Excitation
from f2v_bench.signal.mel import N_MELS
from f2v_bench.timing import MEL_FRAMES_PER_VIDEO_FRAME, UNITS_PER_VIDEO_FRAME

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from baselines.intelligible.model import IntelligibleOutput


class MultiInputVocoder(Vocoder):
    """What the first stage says, ``(B, T, 80 + U + 256)`` as ``concat_inputs`` lays it out, to samples ``(B, 160 T)``.

    Args:
        config: of the model.

    Raises:
        F2VError: sizes that do not make 160 samples of a frame.
    """

    step = MEL_FRAMES_PER_VIDEO_FRAME // UNITS_PER_VIDEO_FRAME

    def __init__(self, config: IntelligibleConfig) -> None:
        super().__init__()
        width, self.units = config.voice.width, config.units.count
        self.inputs = N_MELS + self.units + config.speaker
        self.generator = build_vocoder(config.vocoder, N_MELS + 2 * width)
        self.context = self.generator.context + self.step  # a unit hears its neighbours
        self.embed = nn.Embedding(self.units, width)
        self.upsample = nn.ConvTranspose1d(width, width, 4, self.step, padding=1)
        self.dropout = nn.Dropout(config.voice.dropout)
        self.project = nn.Linear(width, width)
        self.speaker = nn.Linear(config.speaker, width)

    def source(self, mel: torch.Tensor, f0: torch.Tensor | None = None) -> Excitation | None:
        return self.generator.source(mel[..., :N_MELS], f0)

    def losses(self, mel: torch.Tensor, f0: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.generator.losses(mel[..., :N_MELS], f0)

    def forward(self, mel: torch.Tensor, source: Excitation | None = None) -> torch.Tensor:
        heard, likely, speaker = mel.tensor_split([N_MELS, N_MELS + self.units], dim=2)
        unit = self.embed(likely[:, :: self.step].argmax(2)).transpose(1, 2)  # (B, C, T / 2)
        unit = functional.gelu(self.upsample(unit))[..., : mel.shape[1]].transpose(1, 2)  # (B, T, C)
        told = torch.cat([self.project(self.dropout(unit)), self.speaker(speaker)], dim=2)
        samples: torch.Tensor = self.generator(torch.cat([heard, told.to(heard.dtype)], dim=2), source)
        return samples

    def init_from(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Sound like a vocoder of mels alone, given its ``state_dict``: what stands beside the mel begins at 0."""
        widened = {}
        for name, tensor in self.generator.state_dict().items():
            known = weights[name]
            missing = tensor.shape[1] - known.shape[1] if tensor.ndim > 1 else 0  # of the layer that the inputs enter
            widened[name] = functional.pad(known, (0, 0, 0, missing)) if missing else known
        self.generator.load_state_dict(widened)


def concat_inputs(mel: torch.Tensor, units: torch.Tensor, speaker: torch.Tensor) -> torch.Tensor:
    """Log mels ``(B, T, 80)``, units ``(B, T, U)`` and the speaker ``(B, 256)`` in one tensor ``(B, T, 80 + U + 256)``.

    Units are probabilities, or 1 for the one that is and 0 for the others; both rows of a unit are the same.
    """
    voice = speaker[:, None].expand(-1, mel.shape[1], -1)
    return torch.cat([mel, units.to(mel.dtype), voice.to(mel.dtype)], dim=2)


def to_waveform(output: IntelligibleOutput, vocoder: Vocoder | None, rng: np.random.Generator) -> NDArray[np.float32]:
    """Convert one clip's output to samples ``(640 T,)``, by Griffin-Lim of the mel where there is no vocoder."""
    if vocoder is None:
        return vocode_mel(output.mel.numpy(), None, None, rng)
    inputs = torch.cat([output.mel, output.units.to(output.mel.dtype), output.speaker.to(output.mel.dtype)], dim=1)
    return vocode(vocoder, inputs.numpy()).clip(-1, 1)
