"""Vocoder of Intelligible's second stage, from mel, speech units and a speaker embedding.

    unit    = linear(GELU(conv-transpose(embedding(arg max of the probabilities))))    50 to 100 Hz, 128 channels
    voice   = linear(speaker), the same at every frame                                128 channels
    samples = generator([mel; unit; voice])                                           336 channels in the paper

The paper's generator is HiFi-GAN. Any generator of ``nn.vocoders`` can be used; one with an excitation predicts F0 from
the mel alone.
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
    """Vocoder from inputs ``(B, T, 80 + U + 256)`` in the order of ``concat_inputs`` to samples ``(B, 160 T)``.

    Args:
        config: settings of the model.

    Raises:
        F2VError: sizes that do not make 160 samples of a frame.
    """

    step = MEL_FRAMES_PER_VIDEO_FRAME // UNITS_PER_VIDEO_FRAME

    def __init__(self, config: IntelligibleConfig) -> None:
        super().__init__()
        width, self.units = config.voice.width, config.units.count
        self.inputs = N_MELS + self.units + config.speaker
        self.generator = build_vocoder(config.vocoder, N_MELS + 2 * width)
        self.context = self.generator.context + self.step  # the transposed convolution spans two units
        self.embed = nn.Embedding(self.units, width)
        self.upsample = nn.ConvTranspose1d(width, width, 4, self.step, padding=1)
        self.dropout = nn.Dropout(config.voice.dropout)
        self.project = nn.Linear(width, width)
        self.speaker = nn.Linear(config.speaker, width)

    def excitation(self, mel: torch.Tensor, f0: torch.Tensor | None = None) -> Excitation | None:
        return self.generator.excitation(mel[..., :N_MELS], f0)

    def losses(self, mel: torch.Tensor, f0: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.generator.losses(mel[..., :N_MELS], f0)

    def forward(self, mel: torch.Tensor, excitation: Excitation | None = None) -> torch.Tensor:
        mel_bins, units, speaker = mel.tensor_split([N_MELS, N_MELS + self.units], dim=2)
        unit = self.embed(units[:, :: self.step].argmax(2)).transpose(1, 2)  # (B, C, T / 2)
        unit = functional.gelu(self.upsample(unit))[..., : mel.shape[1]].transpose(1, 2)  # (B, T, C)
        condition = torch.cat([self.project(self.dropout(unit)), self.speaker(speaker)], dim=2)
        samples: torch.Tensor = self.generator(torch.cat([mel_bins, condition.to(mel_bins.dtype)], dim=2), excitation)
        return samples

    def init_from(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Initialize from the state dict of a vocoder of mels alone; weights of the other inputs start at 0."""
        widened = {}
        for name, tensor in self.generator.state_dict().items():
            given = weights[name]
            missing = tensor.shape[1] - given.shape[1] if tensor.ndim > 1 else 0  # channels of the input layer
            widened[name] = functional.pad(given, (0, 0, 0, missing)) if missing else given
        self.generator.load_state_dict(widened)


def concat_inputs(mel: torch.Tensor, units: torch.Tensor, speaker: torch.Tensor) -> torch.Tensor:
    """Concatenate log mels, units and speaker embeddings to ``(B, T, 80 + U + 256)``.

    Args:
        mel: log mels, ``(B, T, 80)``, natural log.
        units: unit probabilities or one-hot vectors, ``(B, T, U)``; both rows of a unit are the same.
        speaker: speaker embeddings, ``(B, 256)``.
    """
    speaker = speaker[:, None].expand(-1, mel.shape[1], -1)
    return torch.cat([mel, units.to(mel.dtype), speaker.to(mel.dtype)], dim=2)


def to_waveform(output: IntelligibleOutput, vocoder: Vocoder | None, rng: np.random.Generator) -> NDArray[np.float32]:
    """Convert one clip's output to samples ``(640 T,)``, by Griffin-Lim of the mel where there is no vocoder."""
    if vocoder is None:
        return vocode_mel(output.mel.numpy(), None, None, rng)
    inputs = torch.cat([output.mel, output.units.to(output.mel.dtype), output.speaker.to(output.mel.dtype)], dim=1)
    return vocode(vocoder, inputs.numpy()).clip(-1, 1)
