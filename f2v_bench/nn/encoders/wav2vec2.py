"""wav2vec 2.0: convolutions over samples and a transformer over frames, without effects of padding.

Baevski et al., "wav2vec 2.0: a framework for self-supervised learning of speech representations" (NeurIPS 2020). The
names and shapes of the parameters are those of fairseq's checkpoints. Plain zero padding changes the output of a clip
in a batch. Here every operation over several frames takes the lengths of the clips, so that a clip has the same output
in any batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.layers.masking import valid_mask

CONVOLUTIONS = ((10, 5), *((3, 2),) * 4, *((2, 2),) * 2)  # kernel and stride: one frame per 320 samples
CHANNELS = 512
MIN_SAMPLES = 400  # one frame


@dataclass(frozen=True, slots=True)
class TransformerShape:
    """Sizes of a transformer and the position of its layer norms.

    Attributes:
        layers: number of layers.
        width: channels.
        heads: attention heads.
        hidden: channels inside the feed-forward module.
        norm_first: layer norm before each module (the large models) or after the residual sum (the base models).
        position_kernel: kernel size of the convolution that embeds positions, frames.
        position_groups: groups of that convolution.
    """

    layers: int
    width: int
    heads: int
    hidden: int
    norm_first: bool
    position_kernel: int = 128
    position_groups: int = 16


BASE = TransformerShape(layers=12, width=768, heads=12, hidden=3072, norm_first=False)
LARGE = TransformerShape(layers=24, width=1024, heads=16, hidden=4096, norm_first=True)


def frame_count(samples: torch.Tensor | int) -> torch.Tensor | int:
    """Return the number of frames after the convolutions, for a number of samples or a tensor of numbers."""
    for kernel, stride in CONVOLUTIONS:
        samples = (samples - kernel) // stride + 1
    return samples


class MaskedGroupNorm(nn.Module):
    """Group norm of each channel over the real frames of its clip."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Normalize ``(B, C, T)`` with clips of ``lengths`` frames; padded frames have no meaning."""
        inside = valid_mask(lengths, x.shape[2])[:, None]
        count = lengths[:, None, None]
        x = x - (x * inside).sum(2, keepdim=True) / count
        variance = (x.square() * inside).sum(2, keepdim=True) / count
        return x * (torch.rsqrt(variance + self.eps) * self.weight[:, None]) + self.bias[:, None]


class _ChannelNorm(nn.Module):
    """Layer norm over the channels of ``(B, C, T)``, under its name in fairseq."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.add_module("1", nn.LayerNorm(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        norm: torch.Tensor = self.get_submodule("1")(x.transpose(1, 2)).transpose(1, 2)
        return norm


class ConvFeatures(nn.Module):
    """Samples to frames: seven convolutions with GELU.

    Args:
        norm: ``group`` normalizes over time after the first (base models), ``layer`` over channels after each.
    """

    def __init__(self, norm: Literal["group", "layer"]) -> None:
        super().__init__()
        widths = (1, *[CHANNELS] * len(CONVOLUTIONS))
        self.conv_layers = nn.ModuleList()
        for index, ((before, after), (kernel, stride)) in enumerate(zip(pairwise(widths), CONVOLUTIONS, strict=True)):
            # fairseq's numbers: 1 is a dropout and 3 the GELU, both without parameters
            parts: dict[str, nn.Module] = {"0": nn.Conv1d(before, after, kernel, stride, bias=False)}
            if norm == "layer":
                parts["2"] = _ChannelNorm(after)
            elif index == 0:
                parts["2"] = MaskedGroupNorm(after)
            self.conv_layers.append(nn.ModuleDict(parts))

    def forward(self, samples: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Map samples ``(B, n)``, the first ``lengths`` of which are real, to ``(B, T, 512)``."""
        x = samples[:, None]
        for layer, (kernel, stride) in zip(self.conv_layers, CONVOLUTIONS, strict=True):
            assert isinstance(layer, nn.ModuleDict)
            x = layer["0"](x)
            lengths = (lengths - kernel) // stride + 1
            norm = layer["2"] if len(layer) > 1 else None
            if isinstance(norm, MaskedGroupNorm):
                x = norm(x, lengths)
            elif norm is not None:
                x = norm(x)
            x = functional.gelu(x)
        return x.transpose(1, 2)


class _WeightNormConv(nn.Module):
    """Grouped convolution with weight norm per tap: direction ``weight_v`` and norm ``weight_g``."""

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.bias = nn.Parameter(torch.zeros(width))
        self.weight_g = nn.Parameter(torch.ones(1, 1, kernel))
        self.weight_v = nn.Parameter(torch.randn(width, width // groups, kernel) / (width // groups * kernel) ** 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel = self.weight_v * (self.weight_g / self.weight_v.norm(dim=(0, 1), keepdim=True))
        taps = kernel.shape[2]
        out = functional.conv1d(x, kernel, self.bias, padding=taps // 2, groups=self.groups)
        return out[..., : x.shape[2]]  # an even kernel adds one frame at the end


class Attention(nn.Module):
    """Multi-head self-attention with separate projections."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Map ``(B, T, width)``; ``mask`` is that of scaled_dot_product_attention, for ``(B, heads, T, T)``."""
        q, k, v = (self.split(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: torch.Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """Split ``(B, T, width)`` into heads: ``(B, heads, T, width / heads)``."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class TransformerLayer(nn.Module):
    """Attention and feed-forward module, each residual with a layer norm before or after it."""

    def __init__(self, shape: TransformerShape, attention: Attention | None = None) -> None:
        super().__init__()
        self.norm_first = shape.norm_first
        self.self_attn = attention or Attention(shape.width, shape.heads)
        self.self_attn_layer_norm = nn.LayerNorm(shape.width)
        self.fc1 = nn.Linear(shape.width, shape.hidden)
        self.fc2 = nn.Linear(shape.hidden, shape.width)
        self.final_layer_norm = nn.LayerNorm(shape.width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        if self.norm_first:
            x = x + self.self_attn(self.self_attn_layer_norm(x), mask)
            return x + self._feed_forward(self.final_layer_norm(x))
        x = self.self_attn_layer_norm(x + self.self_attn(x, mask))
        after: torch.Tensor = self.final_layer_norm(x + self._feed_forward(x))
        return after

    def _feed_forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class Transformer(nn.Module):
    """Transformer encoder with convolutional position embeddings.

    Args:
        shape: sizes.
        attentions: attention modules, one per layer; None uses plain ones.
    """

    def __init__(self, shape: TransformerShape, attentions: Sequence[Attention] | None = None) -> None:
        super().__init__()
        self.norm_first = shape.norm_first
        convolution = _WeightNormConv(shape.width, shape.position_kernel, shape.position_groups)
        self.pos_conv = nn.ModuleList([convolution])  # fairseq's name is pos_conv.0
        self.layers = nn.ModuleList(
            TransformerLayer(shape, attentions[index] if attentions else None) for index in range(shape.layers)
        )
        self.layer_norm = nn.LayerNorm(shape.width)

    def forward(self, x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Map ``(B, T, width)`` with bool ``inside`` ``(B, T)``, at least one real frame per clip."""
        x = self.embed_positions(x, inside)
        mask = attention_mask(inside)
        for layer in self.layers:
            x = layer(x, mask)
        if self.norm_first:
            x = self.layer_norm(x)
        return x

    def embed_positions(self, x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Add position embeddings to the frames, the input of the first layer; padded frames count as zero."""
        x = x * inside[..., None]
        x = x + functional.gelu(self.pos_conv[0](x.transpose(1, 2))).transpose(1, 2)
        if not self.norm_first:
            x = self.layer_norm(x)
        return x


def attention_mask(inside: torch.Tensor) -> torch.Tensor | None:
    """Return the mask of keys for attention, bool ``(B, 1, 1, T)``, or None without padding."""
    return None if bool(inside.all()) else inside[:, None, None]


class Wav2Vec2(nn.Module):
    """Base model inside fine-tuned models; ``mask_emb`` is left over from pre-training."""

    def __init__(self, shape: TransformerShape = BASE) -> None:
        super().__init__()
        self.mask_emb = nn.Parameter(torch.zeros(shape.width))
        self.feature_extractor = ConvFeatures("group")
        self.layer_norm = nn.LayerNorm(CHANNELS)
        self.post_extract_proj = nn.Linear(CHANNELS, shape.width)
        self.encoder = Transformer(shape)

    def forward(self, samples: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map samples ``(B, n)``, at least 400 per clip, to frames ``(B, T, width)`` and their numbers ``(B,)``."""
        x = self.post_extract_proj(self.layer_norm(self.feature_extractor(samples, lengths)))
        frames = frame_count(lengths)
        assert isinstance(frames, torch.Tensor)
        return self.encoder(x, valid_mask(frames, x.shape[1])), frames
