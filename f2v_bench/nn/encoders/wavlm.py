"""WavLM: the architecture of wav2vec 2.0 with a gated relative position bias in attention.

Chen et al., "WavLM: large-scale self-supervised pre-training for full stack speech processing" (JSTSP 2022). The names
and shapes of the parameters are those of Microsoft's checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.encoders.wav2vec2 import (
    CHANNELS,
    LARGE,
    Attention,
    ConvFeatures,
    Transformer,
    TransformerLayer,
    TransformerShape,
    attention_mask,
    frame_count,
)
from f2v_bench.nn.layers.masking import valid_mask

BUCKETS = 320  # buckets of distances, half of them for each direction
MAX_DISTANCE = 800  # frames; larger distances share a bucket


class GatedAttention(Attention):
    """Attention with a relative position bias that each query frame scales by a gate.

    Args:
        width: channels.
        heads: attention heads.
        owns_distances: the layer has the table of biases that all layers use; true for the first one.
    """

    def __init__(self, width: int, heads: int, *, owns_distances: bool) -> None:
        super().__init__(width, heads)
        self.grep_linear = nn.Linear(width // heads, 8)
        self.grep_a = nn.Parameter(torch.ones(1, heads, 1, 1))
        if owns_distances:
            self.relative_attention_bias = nn.Embedding(BUCKETS, heads)

    def position_bias(self, frames: int) -> torch.Tensor:
        """Return the bias of each pair of frames, ``(heads, frames, frames)``, in the layer that owns the table."""
        position = torch.arange(frames, device=self.grep_a.device)
        table: torch.Tensor = self.relative_attention_bias(distance_buckets(position[None] - position[:, None]))
        return table.permute(2, 0, 1)

    def gate(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the gate of the bias for each frame of ``(B, T, width)``: ``(B, heads, T, 1)``."""
        pairs = self.grep_linear(self.split(x))
        a, b = torch.sigmoid(pairs.view(*pairs.shape[:-1], 2, 4).sum(-1)).chunk(2, dim=-1)
        gate: torch.Tensor = a * (b * self.grep_a - 1) + 2
        return gate


def distance_buckets(distance: torch.Tensor) -> torch.Tensor:
    """Return the bucket of each distance: exact when near, logarithmic when far; later keys in the second half."""
    half = BUCKETS // 2
    near = half // 2
    size = distance.abs()
    far = near + (torch.log(size.float() / near) / math.log(MAX_DISTANCE / near) * (half - near)).long()
    return (distance > 0).long() * half + torch.where(size < near, size, far.clamp(max=half - 1))


class WavLM(nn.Module):
    """Large model; ``mask_emb`` is left over from pre-training."""

    def __init__(self, shape: TransformerShape = LARGE) -> None:
        super().__init__()
        self.mask_emb = nn.Parameter(torch.zeros(shape.width))
        self.feature_extractor = ConvFeatures("layer")
        self.layer_norm = nn.LayerNorm(CHANNELS)
        self.post_extract_proj = nn.Linear(CHANNELS, shape.width)
        self.encoder = Transformer(
            shape, [GatedAttention(shape.width, shape.heads, owns_distances=not i) for i in range(shape.layers)]
        )

    def hidden_states(self, samples: torch.Tensor, lengths: torch.Tensor) -> Iterator[torch.Tensor]:
        """Compute the input of each layer, and the output of the last one after its layer norm.

        Args:
            samples: waveforms ``(B, n)`` at 16 kHz, from ``standardize_waveforms``.
            lengths: real samples ``(B,)``, each at least 400.

        Yields:
            ``layers + 1`` times ``(B, T, width)``.
        """
        x = self.post_extract_proj(self.layer_norm(self.feature_extractor(samples, lengths)))
        frames = frame_count(lengths)
        assert isinstance(frames, torch.Tensor)
        inside = valid_mask(frames, x.shape[1])
        x = self.encoder.embed_positions(x, inside)
        keys = attention_mask(inside)
        bias: torch.Tensor | None = None
        for layer in self.encoder.layers:
            yield x
            assert isinstance(layer, TransformerLayer)
            attention = layer.self_attn
            assert isinstance(attention, GatedAttention)
            bias = attention.position_bias(x.shape[1]) if bias is None else bias
            queries = layer.self_attn_layer_norm(x) if layer.norm_first else x
            mask = attention.gate(queries) * bias
            if keys is not None:
                mask = mask.masked_fill(~keys, -torch.inf)
            x = layer(x, mask)
        yield self.encoder.layer_norm(x) if self.encoder.norm_first else x


def standardize_waveforms(samples: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Standardize each clip of ``(B, n)`` to mean 0 and variance 1; padding is 0."""
    rows = zip(samples, lengths.tolist(), strict=True)
    out = torch.zeros_like(samples)
    for row, (clip, length) in zip(out, rows, strict=True):
        row[:length] = functional.layer_norm(clip[:length], (length,))
    return out
