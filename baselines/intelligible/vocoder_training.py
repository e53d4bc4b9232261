"""Training of the vocoder from mel, units and speaker embedding: real ones, with degraded mels.

Mels that a network predicts are smooth and have errors. Blurred and noisy mels train the vocoder to rely on the units
(the variant of the official code called augmentation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch.nn import functional

from baselines.intelligible.config import IntelligibleConfig, VoiceConfig
from baselines.intelligible.vocoder import MultiInputVocoder, concat_inputs
from f2v_bench.modeling.batch import Batch
from f2v_bench.training.vocoder import VocoderModule


class VocoderInit(NamedTuple):
    """Initial weights of a training.

    Attributes:
        vocoder: state dict of a vocoder of mels alone.
        discriminators: state dict of its discriminators; empty for a vocoder without them.
    """

    vocoder: Mapping[str, torch.Tensor]
    discriminators: Mapping[str, torch.Tensor]


class MultiInputVocoderModule(VocoderModule):
    """``VocoderModule`` with ``units`` ``(B, S / 160)``, at the mel's rate, and ``speaker`` ``(B, 256)`` in a batch.

    Args:
        config: settings of the model.
        seed: seed of everything drawn in a step.
        shared: weights of the shared vocoder to start from, with discriminators from the first step; None starts from
            random weights.
    """

    def __init__(self, config: IntelligibleConfig, seed: int = 0, shared: VocoderInit | None = None) -> None:
        network, losses = MultiInputVocoder(config), config.vocoder
        if shared is not None:
            network.init_from(shared.vocoder)
            losses = replace(losses, adversarial_from=min(0, losses.adversarial_from))
        super().__init__(losses, config.voice_stage, seed, network)
        if shared is not None and self.discriminators is not None:
            self.discriminators.load_state_dict(shared.discriminators)
        self.voice, self.units = config.voice, config.units.count

    def vocoder_inputs(self, batch: Batch) -> torch.Tensor:
        mel = degrade_mel(batch["mel"], self.voice) if self.training else batch["mel"]
        return concat_inputs(mel, functional.one_hot(batch["units"], self.units), batch["speaker"])


def degrade_mel(mel: torch.Tensor, config: VoiceConfig) -> torch.Tensor:
    """Blur each of the log mels ``(B, T, 80)`` by a Gaussian of its own width, and add noise."""
    smallest, largest = config.sigma
    sigma = smallest + (largest - smallest) * torch.rand(len(mel), device=mel.device)
    return blur_mel(mel, sigma, config.blur) + config.noise * torch.randn_like(mel)


def blur_mel(mel: torch.Tensor, sigma: torch.Tensor, size: int) -> torch.Tensor:
    """Convolve mels with a Gaussian over frames and bins, reflected at the edges.

    Args:
        mel: log mels, ``(B, T, 80)``.
        sigma: deviation of the Gaussian in frames and bins, ``(B,)``.
        size: size of the kernel, odd; half of it is less than T.
    """
    reach = size // 2
    offsets = torch.arange(-reach, reach + 1, device=mel.device) / sigma[:, None]  # (B, size)
    kernel = (-0.5 * offsets.square()).softmax(1)
    x = functional.pad(mel[None], (reach, reach, reach, reach), "reflect")  # (1, B, T + 2 r, 80 + 2 r)
    over_frames = functional.conv2d(x, kernel[:, None, :, None], groups=len(mel))
    return functional.conv2d(over_frames, kernel[:, None, None, :], groups=len(mel))[0]
