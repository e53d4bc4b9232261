"""WavLM-large with an ECAPA-TDNN, fine-tuned for speaker verification: the encoder of "SIM" in speech synthesis.

Microsoft's UniSpeech publishes the recipe and ``wavlm_large_finetune.pth``; seed-tts-eval made it the field's standard.
The ECAPA-TDNN is that of Desplanques et al. (Interspeech 2020) on a learned mean of WavLM's layers. Names and shapes
are the published ones. Padding has no effect: means, variances and attention are over a clip's own frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.errors import F2VError
from f2v_bench.nn.checkpoints.torch import load_weights, read_checkpoint
from f2v_bench.nn.encoders.wav2vec2 import LARGE, TransformerShape, frame_count
from f2v_bench.nn.encoders.wavlm import WavLM, standardize_waveforms
from f2v_bench.nn.layers.masking import length_batches, pad_sequences, valid_mask
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHANNELS = 512
POOLED = 1536
EMBEDDING = 256
BOTTLENECK = 128
SCALE = 8  # groups of a Res2 convolution
MIN_SAMPLES = 720  # two frames: one frame has no variance
BUDGET_S = {"cpu": 20, "cuda": 160}  # padded seconds per batch
_TRAINING_ONLY = "loss_calculator."


class _ConvReluNorm(nn.Module):
    def __init__(self, before: int, after: int, kernel: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(before, after, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm1d(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.bn(functional.relu(self.conv(x)))
        return out


class _Res2(nn.Module):
    """Res2Net module: a chain of convolutions, each over a group of channels plus the output of the one before."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        width = channels // SCALE
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation) for _ in range(SCALE - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(SCALE - 1))

    def forward(self, x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        *parts, last = x.chunk(SCALE, dim=1)
        outputs: list[torch.Tensor] = []
        for part, conv, norm in zip(parts, self.convs, self.bns, strict=True):
            part = part + outputs[-1] if outputs else part
            outputs.append(norm(functional.relu(conv(part * inside))))
        return torch.cat([*outputs, last], dim=1)


class _Gate(nn.Module):
    """Squeeze-excitation: channels scaled by a function of their means over the clip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, BOTTLENECK)
        self.linear2 = nn.Linear(BOTTLENECK, channels)

    def forward(self, x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        mean = (x * inside).sum(2) / inside.sum(2)
        return x * torch.sigmoid(self.linear2(functional.relu(self.linear1(mean))))[..., None]


class _Block(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.Conv1dReluBn1 = _ConvReluNorm(channels, channels)
        self.Res2Conv1dReluBn = _Res2(channels, dilation)
        self.Conv1dReluBn2 = _ConvReluNorm(channels, channels)
        self.SE_Connect = _Gate(channels)

    def forward(self, x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        inner = self.Conv1dReluBn2(self.Res2Conv1dReluBn(self.Conv1dReluBn1(x), inside))
        gated: torch.Tensor = self.SE_Connect(inner, inside)
        return gated + x


class _Pooling(nn.Module):
    """Attentive statistics pooling: weighted mean and standard deviation per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear1 = nn.Conv1d(channels, BOTTLENECK, 1)
        self.linear2 = nn.Conv1d(BOTTLENECK, channels, 1)

    def forward(self, x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        weight = self.linear2(torch.tanh(self.linear1(x))).masked_fill(~inside, -torch.inf).softmax(2)
        mean = (weight * x).sum(2)
        variance = (weight * x.square()).sum(2) - mean.square()
        return torch.cat([mean, variance.clamp(min=1e-9).sqrt()], dim=1)


class _Upstream(nn.Module):
    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.model = WavLM(shape)


class WavLMSV(nn.Module):
    """Waveforms to speaker embeddings.

    Args:
        shape: sizes of WavLM's transformer; the published weights are of the large model.
    """

    def __init__(self, shape: TransformerShape = LARGE) -> None:
        super().__init__()
        self.feature_extract = _Upstream(shape)
        self.feature_weight = nn.Parameter(torch.zeros(shape.layers + 1))
        self.layer1 = _ConvReluNorm(shape.width, CHANNELS, 5)
        self.layer2, self.layer3, self.layer4 = (_Block(CHANNELS, dilation) for dilation in (2, 3, 4))
        self.conv = nn.Conv1d(3 * CHANNELS, POOLED, 1)
        self.pooling = _Pooling(POOLED)
        self.bn = nn.BatchNorm1d(2 * POOLED)
        self.linear = nn.Linear(2 * POOLED, EMBEDDING)

    def forward(self, samples: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Embed samples ``(B, n)`` at 16 kHz, ``lengths`` at least 720, as ``(B, 256)``, not normalized."""
        x, inside = self._features(samples, lengths)
        x = self.layer1(x * inside)
        outs = [x]
        for block in (self.layer2, self.layer3, self.layer4):
            outs.append(block(outs[-1], inside))
        x = functional.relu(self.conv(torch.cat(outs[1:], dim=1)))
        out: torch.Tensor = self.linear(self.bn(self.pooling(x, inside)))
        return out

    def _features(self, samples: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the weighted mean of WavLM's layers, standardized per channel and clip, ``(B, width, T)``."""
        mean: torch.Tensor | float = 0.0
        states = self.feature_extract.model.hidden_states(standardize_waveforms(samples, lengths), lengths)
        for weight, state in zip(self.feature_weight.softmax(0), states, strict=True):
            mean = mean + weight * state
        assert isinstance(mean, torch.Tensor)
        x = mean.transpose(1, 2) + 1e-6
        frames = frame_count(lengths)
        assert isinstance(frames, torch.Tensor)
        inside = valid_mask(frames, x.shape[2])[:, None]
        count = frames[:, None, None]
        x = x - (x * inside).sum(2, keepdim=True) / count
        variance = (x.square() * inside).sum(2, keepdim=True) / count
        return x * torch.rsqrt(variance + 1e-5), inside

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Embed clips at 16 kHz, float32 ``(n,)``, each at least 720 samples, as unit vectors ``(clips, 256)``."""
        device = self.linear.weight.device
        groups = length_batches([len(clip) for clip in clips], BUDGET_S[device.type] * SAMPLE_RATE)
        rows = torch.empty(len(clips), EMBEDDING)
        for group in groups:
            rows[group] = self(*pad_sequences([clips[at] for at in group], str(device))).cpu()
        embeddings: NDArray[np.float32] = functional.normalize(rows, dim=1).numpy()
        return embeddings


def load_wavlm_sv(path: Path, instructions: str, device: str = "cpu") -> WavLMSV:
    """Load the encoder with the weights of ``wavlm_large_finetune.pth``.

    Raises:
        F2VError: another file, or one with more than weights.
    """
    state = read_checkpoint(path, instructions).get("model")
    if not isinstance(state, dict):
        raise F2VError(
            f"'{path}' is no checkpoint of UniSpeech's speaker verification: no weights under 'model'", instructions
        )
    encoder = WavLMSV()
    weights = {name: tensor for name, tensor in state.items() if not name.startswith(_TRAINING_ONLY)}
    load_weights(encoder, weights, path, instructions)
    return encoder.to(device)
