"""HiFi-GAN's generator for the mel spectrogram of ``f2v_bench.signal.mel``, with the published parameter names.

Kong, Kim, Bae, "HiFi-GAN: generative adversarial networks for efficient and high fidelity speech synthesis" (NeurIPS
2020), generator with residual blocks of kind 1. Weight norm is torch's own: a weight is stored as norm and direction,
``weight_g`` and ``weight_v`` in published files, ``parametrizations.weight.original0`` and ``original1`` in torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from f2v_bench.nn.checkpoints.torch import load_weights, read_checkpoint
from f2v_bench.nn.vocoders.base import Vocoder
from f2v_bench.nn.vocoders.config import VocoderConfig
from f2v_bench.nn.vocoders.excitation import Excitation
from f2v_bench.signal.mel import N_MELS

SLOPE = 0.1  # slope of the leaky ReLU
LAST_SLOPE = 0.01  # slope before the last convolution, torch's default as in the published code
KERNEL = 7  # kernel size of the first and the last convolution
Norm = Callable[[nn.Module], nn.Module]
_TORCH_NAMES = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}


class ResidualBlock(nn.Module):
    """Residual block: x + conv(act(dilated(act(x)))) for each dilation.

    Args:
        channels: channels of x.
        kernel: kernel size of all convolutions, odd.
        dilations: dilations of the first convolution of each pair.
        norm: function that adds weight norm.
    """

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], norm: Norm) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Module:
            padding = kernel // 2 * dilation
            return norm(nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=padding))

        self.convs1 = nn.ModuleList(conv(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(conv(1) for _ in dilations)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, n)`` to ``(B, C, n)``."""
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            x = x + plain(functional.leaky_relu(dilated(functional.leaky_relu(x, SLOPE)), SLOPE))
        return x


class HiFiGAN(Vocoder):
    """Log mel spectrogram ``(B, T, 80)`` to samples ``(B, 160 T)``.

    Args:
        config: sizes.
        folded: plain weights in place of weight norm, for inference.
        inputs: channels of the input, the mel's first.
    """

    def __init__(self, config: VocoderConfig, folded: bool = False, inputs: int = N_MELS) -> None:
        super().__init__()
        self.inputs = inputs
        norm: Norm = _plain if folded else weight_norm
        widths = [config.channels // 2**level for level in range(len(config.upsample) + 1)]
        self.config = config
        self.context = context_frames(config)
        self.conv_pre = norm(nn.Conv1d(inputs, config.channels, KERNEL, padding=KERNEL // 2))
        self.ups = nn.ModuleList(
            norm(nn.ConvTranspose1d(before, after, kernel, factor, padding=(kernel - factor) // 2))
            for (before, after), factor, kernel in zip(
                pairwise(widths), config.upsample, config.upsample_kernels, strict=True
            )
        )
        self.resblocks = nn.ModuleList(
            ResidualBlock(width, kernel, config.dilations, norm)
            for width in widths[1:]
            for kernel in config.resblock_kernels
        )
        self.conv_post = norm(nn.Conv1d(widths[-1], 1, KERNEL, padding=KERNEL // 2))

    def forward(self, mel: torch.Tensor, excitation: Excitation | None = None) -> torch.Tensor:
        x = self.conv_pre(mel.transpose(1, 2))  # (B, C, T)
        kinds = len(self.resblocks) // len(self.ups)
        for level, up in enumerate(self.ups):
            x = up(functional.leaky_relu(x, SLOPE))  # (B, C / 2, n u) for a factor u
            blocks = self.resblocks[level * kinds : (level + 1) * kinds]
            x = torch.stack([block(x) for block in blocks]).mean(0)  # mean over receptive fields of several sizes
        samples = self.conv_post(functional.leaky_relu(x, LAST_SLOPE))  # (B, 1, 160 T)
        return torch.tanh(samples[:, 0].float())


def context_frames(config: VocoderConfig) -> int:
    """Return the receptive field in frames on either side, counted from the samples back through every layer."""
    block = max(config.resblock_kernels) // 2 * sum(dilation + 1 for dilation in config.dilations)
    reach = KERNEL // 2  # of conv_post, in samples of the current level
    for factor, kernel in zip(reversed(config.upsample), reversed(config.upsample_kernels), strict=True):
        # sample i u + j depends on inputs up to i + floor((j + padding) / u), and j is u - 1 at most
        reach = (reach + block + (kernel - factor) // 2 + factor - 1) // factor
    return reach + KERNEL // 2  # of conv_pre


def _plain(layer: nn.Module) -> nn.Module:
    return layer


def load_hifigan(path: Path, instructions: str, config: VocoderConfig | None = None, device: str = "cpu") -> HiFiGAN:
    """Load the generator with the weights of a published checkpoint, for inference.

    Args:
        path: file of ``torch.save``: the state dict, or a dictionary that contains it as ``generator``; with weight
            norm under published or torch's names, or with plain weights.
        instructions: hint for the error message, on getting the file.
        config: sizes of the generator; None for those of 16 kHz speech.
        device: device of the generator.

    Raises:
        F2VError: another file, or other sizes.
    """
    content = read_checkpoint(path, instructions)
    state = to_torch_names(content.get("generator", content)) if isinstance(content.get("generator", {}), dict) else {}
    generator = HiFiGAN(config or VocoderConfig(), folded="conv_pre.weight" in state)
    load_weights(generator, state, path, instructions)
    return generator.to(device)


def fold_weight_norm(generator: HiFiGAN) -> HiFiGAN:
    """Return a copy with plain weights in place of weight norm and the same output, for inference."""
    plain = HiFiGAN(generator.config, folded=True, inputs=generator.inputs)
    for name, parameter in plain.named_parameters():
        layer, _, part = name.rpartition(".")
        parameter.data = getattr(generator.get_submodule(layer), part).detach().clone()
    return plain.requires_grad_(False).eval()


def to_published_names(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename a state dict to the names of published checkpoints, ``weight_g`` and ``weight_v``."""
    return _rename(state, {new: published for published, new in _TORCH_NAMES.items()})


def to_torch_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """Rename a state dict with either names to those of torch's weight norm."""
    return _rename(state, _TORCH_NAMES)


def _rename(state: Mapping[str, Any], endings: Mapping[str, str]) -> dict[str, Any]:
    def rename(name: str) -> str:
        for old, new in endings.items():
            if name.endswith(f".{old}"):
                return name.removesuffix(old) + new
        return name

    return {rename(name): tensor for name, tensor in state.items()}
