"""WavLM: wav2vec 2.0's architecture whose attention knows how far apart two frames are.

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

BUCKETS = 320  # of distances, half of them for each side
MAX_DISTANCE = 800  # frames; beyond, all distances are alike


class GatedAttention(Attention):
    """Attention whose scores gain a bias of the distance, as strong as each frame asks for.

    Args:
        width, heads: as ``Attention``.
        owns_distances: the first layer holds the table of biases that all layers use.
    """

    def __init__(self, width: int, heads: int, *, owns_distances: bool) -> None:
        super().__init__(width, heads)
        self.grep_linear = nn.Linear(width // heads, 8)
        self.grep_a = nn.Parameter(torch.ones(1, heads, 1, 1))
        if owns_distances:
            self.relative_attention_bias = nn.Embedding(BUCKETS, heads)

    def biases(self, frames: int) -> torch.Tensor:
        """The bias of each pair of frames, ``(heads, frames, frames)``; of the layer that owns the table."""
        place = torch.arange(frames, device=self.grep_a.device)
        table: torch.Tensor = self.relative_attention_bias(distance_buckets(place[None] - place[:, None]))
        return table.permute(2, 0, 1)

    def gate(self, x: torch.Tensor) -> torch.Tensor:
        """How strongly each frame of ``(B, T, width)`` wants the bias, ``(B, heads, T, 1)``."""
        pairs = self.grep_linear(self.split(x))
        a, b = torch.sigmoid(pairs.view(*pairs.shape[:-1], 2, 4).sum(-1)).chunk(2, dim=-1)
        gate: torch.Tensor = a * (b * self.grep_a - 1) + 2
        return gate


def distance_buckets(distance: torch.Tensor) -> torch.Tensor:
    """The number of each distance's bucket: exact when near, logarithmic when far, later frames in the second half."""
    half = BUCKETS // 2
    near = half // 2
    size = distance.abs()
    far = near + (torch.log(size.float() / near) / math.log(MAX_DISTANCE / near) * (half - near)).long()
    return (distance > 0).long() * half + torch.where(size < near, size, far.clamp(max=half - 1))


class WavLM(nn.Module):
    """The large model; ``mask_emb`` is a remnant of pre-training."""

    def __init__(self, shape: TransformerShape = LARGE) -> None:
        super().__init__()
        self.mask_emb = nn.Parameter(torch.zeros(shape.width))
        self.feature_extractor = ConvFeatures("layer")
        self.layer_norm = nn.LayerNorm(CHANNELS)
        self.post_extract_proj = nn.Linear(CHANNELS, shape.width)
        self.encoder = Transformer(
            shape, [GatedAttention(shape.width, shape.heads, owns_distances=not i) for i in range(shape.layers)]
        )

    def states(self, samples: torch.Tensor, lengths: torch.Tensor) -> Iterator[torch.Tensor]:
        """What each layer is given, and what the last one makes of it (normalised).

        Args:
            samples: ``(B, n)`` at 16 kHz, each clip brought to mean 0 and variance 1, zeros beyond ``lengths``.
            lengths: samples that count, ``(B,)``, each at least 400.

        Yields:
            ``layers + 1`` times ``(B, T, width)``.
        """
        x = self.post_extract_proj(self.layer_norm(self.feature_extractor(samples, lengths)))
        frames = frame_count(lengths)
        assert isinstance(frames, torch.Tensor)
        inside = valid_mask(frames, x.shape[1])
        x = self.encoder.placed(x, inside)
        hidden = attention_mask(inside)
        biases: torch.Tensor | None = None
        for layer in self.encoder.layers:
            yield x
            assert isinstance(layer, TransformerLayer)
            attention = layer.self_attn
            assert isinstance(attention, GatedAttention)
            biases = attention.biases(x.shape[1]) if biases is None else biases
            seen = layer.self_attn_layer_norm(x) if layer.norm_first else x
            mask = attention.gate(seen) * biases
            if hidden is not None:
                mask = mask.masked_fill(~hidden, -torch.inf)
            x = layer(x, mask)
        yield self.encoder.layer_norm(x) if self.encoder.norm_first else x


def standardize_waveforms(samples: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Each clip of ``(B, n)`` at mean 0 and variance 1, its padding at 0."""
    rows = zip(samples, lengths.tolist(), strict=True)
    out = torch.zeros_like(samples)
    for row, (clip, length) in zip(out, rows, strict=True):
        row[:length] = functional.layer_norm(clip[:length], (length,))
    return out
