"""Stage 1, content: lip features to speech units, by Masked ConvBlocks that predict a frame from its neighbors.

The paper: AV-HuBERT features, a predictor of Masked ConvBlocks, cross entropy on quantized speech units together with
its masked form. Two readings of the mask are built:

* ``center``: the kernel hides the frame that it predicts. A masked stream m shares the weights of the ordinary stream
  h. Its convolutions skip the center tap and read only features of single frames, never each other's output. So m(t)
  does not depend on frame t at any depth.
* ``span``: random spans of the input are replaced by a learned vector, and predicted where they are hidden.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.encoders.frozen_lip_encoder import WeightedLayerSum
from f2v_bench.nn.layers.augment import mask_spans
from f2v_bench.nn.losses.units import cross_entropy, split_label_pairs
from f2v_bench.timing import UNITS_PER_VIDEO_FRAME
from reference_model.config import ContentConfig


class MaskedConvBlock(nn.Module):
    """Residual block h + s * mlp(norm(conv(h))), with a variant without the center tap for the masked stream.

    Args:
        width: channels.
        kernel: video frames, odd.
        dropout: share of the hidden channels dropped.

    Raises:
        ValueError: the kernel is even, so it has no center to hide.
    """

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"a masked kernel needs an odd number of frames, got {kernel}")
        self.kernel = kernel
        self.weight = nn.Parameter(torch.randn(width, 1, kernel) / kernel**0.5)
        self.bias = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )
        self.scale = nn.Parameter(torch.full((width,), 0.1))
        center_mask = torch.ones(kernel)
        center_mask[kernel // 2] = 0
        self.register_buffer("center_mask", center_mask, persistent=False)
        self.center_mask: torch.Tensor

    def forward(self, h: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Advance the ordinary stream ``(B, T, C)``: every frame and its neighbors."""
        return self._residual(h, self._convolve(h, mask, self.weight))

    def forward_masked(self, m: torch.Tensor, unary: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Advance the masked stream ``m`` ``(B, T, C)`` by the ``unary`` features of its neighbors."""
        conv_out = self._convolve(unary, mask, self.weight * self.center_mask)  # (B, T, C), without frame t
        return self._residual(m, conv_out + m)

    def forward_unary(self, x: torch.Tensor) -> torch.Tensor:
        """Advance the features of single frames ``(B, T, C)``, without neighbors."""
        return self._residual(x, x)

    def _residual(self, x: torch.Tensor, conv_out: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = x + self.scale * self.mlp(self.norm(conv_out))
        return out

    def _convolve(self, x: torch.Tensor, mask: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        masked = (x * mask[..., None]).transpose(1, 2)  # (B, C, T), zero beyond the end of the clip
        conv_out = functional.conv1d(masked, weight, self.bias, padding=self.kernel // 2, groups=x.shape[-1])
        return conv_out.transpose(1, 2)


class ContentEncoder(nn.Module):
    """Encoder from lip features to content features and unit logits.

    Args:
        config: settings of the stage.
        lips: layers and channels of the lip features.
        units: number of speech units.
    """

    def __init__(self, config: ContentConfig, lips: tuple[int, int], units: int) -> None:
        super().__init__()
        self.config = config
        self.lips = WeightedLayerSum(*lips, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            MaskedConvBlock(config.width, config.kernel, config.dropout) for _ in range(config.blocks)
        )
        self.mask_embedding = nn.Parameter(0.02 * torch.randn(config.width))  # input of the masked stream
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, UNITS_PER_VIDEO_FRAME * units)

    def forward(self, features: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode lip features.

        Args:
            features: lip features, ``(B, T, L, D)``.
            mask: bool ``(B, T)``, True at real frames.

        Returns:
            Content features ``(B, T, C)`` and unit logits ``(B, 2 T, units)``.
        """
        h = self.forward_blocks(self.dropout(self.lips(features)), mask)
        return h, split_label_pairs(self.head(h))

    def loss(
        self, features: torch.Tensor, mask: torch.Tensor, units: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Encode lip features and compute CE(full) and CE(masked).

        Args:
            features: lip features, ``(B, T, L, D)``.
            mask: bool ``(B, T)``, True at real frames.
            units: target units, int64 ``(B, 2 T)``.

        Returns:
            Content features ``(B, T, C)`` and the losses ``units`` and ``units_masked``.
        """
        config = self.config
        x = self.dropout(self.lips(features))
        h = self.forward_blocks(x, mask)
        full = cross_entropy(split_label_pairs(self.head(h)), units, mask, config.label_smoothing)
        if config.mask == "span":
            hidden = mask_spans(mask, config.mask_prob, config.mask_length)  # (B, T)
            masked_x = torch.where(hidden[..., None], self.mask_embedding.to(x.dtype), x)
            logits = split_label_pairs(self.head(self.forward_blocks(masked_x, mask)))
            masked = cross_entropy(logits, units, hidden, config.label_smoothing)
        else:
            masked = cross_entropy(self.masked_logits(x, mask), units, mask, config.label_smoothing)
        return h, {"units": full, "units_masked": masked}

    def masked_logits(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Predict the units of each frame from the other frames alone.

        Args:
            x: projected lip features, ``(B, T, C)``.
            mask: bool ``(B, T)``, True at real frames.

        Returns:
            Unit logits ``(B, 2 T, units)``.
        """
        m, unary = self.mask_embedding.to(x.dtype).expand_as(x), x
        for block in self.blocks:
            assert isinstance(block, MaskedConvBlock)
            m, unary = block.forward_masked(m, unary, mask), block.forward_unary(unary)
        return split_label_pairs(self.head(self.norm(m)))

    def forward_blocks(self, h: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Run the blocks and the final norm on ``(B, T, C)`` with ``mask`` ``(B, T)``."""
        for block in self.blocks:
            h = block(h, mask)
        out: torch.Tensor = self.norm(h)
        return out
