"""Stage 1, content: lip features to speech units, by Masked ConvBlocks that predict a frame from its neighbours.

The paper: AV-HuBERT features, a predictor of Masked ConvBlocks, cross entropy on quantised speech units together with
its masked form. Two readings of the mask are built:

* ``center``: the block's kernel hides the frame it predicts. A stream m beside the ordinary one h shares its weights;
  its convolutions skip the centre tap and always read what a frame alone says, never each other's output, so that
  m(t) does not depend on frame t at any depth.
* ``span``: random spans of the input are replaced by a learned vector, and predicted where they are hidden.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.errors import F2VError
from f2v_bench.nn.encoders.frozen_lip_encoder import WeightedLayerSum
from f2v_bench.nn.layers.augment import mask_spans
from f2v_bench.nn.losses.units import cross_entropy, split_label_pairs
from f2v_bench.timing import UNITS_PER_VIDEO_FRAME
from reference_model.config import ContentConfig


class MaskedConvBlock(nn.Module):
    """h + s * mlp(norm(conv(h))), and the same without the centre tap for the masked stream.

    Args:
        width: channels.
        kernel: video frames, odd.
        dropout: share of the hidden channels dropped.

    Raises:
        F2VError: the kernel is even, so that it has no centre to hide.
    """

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise F2VError(f"a masked kernel of {kernel} frames has no centre", "choose an odd number")
        self.kernel = kernel
        self.weight = nn.Parameter(torch.randn(width, 1, kernel) / kernel**0.5)
        self.bias = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )
        self.scale = nn.Parameter(torch.full((width,), 0.1))
        center = torch.ones(kernel)
        center[kernel // 2] = 0
        self.register_buffer("around", center, persistent=False)
        self.around: torch.Tensor

    def forward(self, h: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The ordinary stream, ``(B, T, C)``: every frame and its neighbours."""
        return self._risen(h, self._convolved(h, mask, self.weight))

    def masked(self, m: torch.Tensor, alone: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The masked stream ``m`` ``(B, T, C)``: it hears what the neighbours say by themselves, ``alone``."""
        near = self._convolved(alone, mask, self.weight * self.around)  # (B, T, C), without frame t
        return self._risen(m, near + m)

    def alone(self, x: torch.Tensor) -> torch.Tensor:
        """What each frame ``(B, T, C)`` says by itself."""
        return self._risen(x, x)

    def _risen(self, x: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = x + self.scale * self.mlp(self.norm(near))
        return out

    def _convolved(self, x: torch.Tensor, mask: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        silent = (x * mask[..., None]).transpose(1, 2)  # (B, C, T), nothing beyond the clip's end
        near = functional.conv1d(silent, weight, self.bias, padding=self.kernel // 2, groups=x.shape[-1])
        return near.transpose(1, 2)


class ContentEncoder(nn.Module):
    """Lip features to content features and unit logits.

    Args:
        config: of the stage.
        lips: layers and channels of the lip features.
        units: how many there are.
    """

    def __init__(self, config: ContentConfig, lips: tuple[int, int], units: int) -> None:
        super().__init__()
        self.config = config
        self.lips = WeightedLayerSum(*lips, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            MaskedConvBlock(config.width, config.kernel, config.dropout) for _ in range(config.blocks)
        )
        self.mask_embedding = nn.Parameter(0.02 * torch.randn(config.width))  # what the masked stream begins with
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, UNITS_PER_VIDEO_FRAME * units)

    def forward(self, features: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Content of every frame.

        Args:
            features: of the lips, ``(B, T, L, D)``.
            mask: bool ``(B, T)``.

        Returns:
            Content ``(B, T, C)`` and unit logits ``(B, 2 T, units)``.
        """
        h = self._through(self.dropout(self.lips(features)), mask)
        return h, split_label_pairs(self.head(h))

    def loss(self, features: torch.Tensor, mask: torch.Tensor, units: torch.Tensor) -> dict[str, torch.Tensor]:
        """CE(full) and CE(masked) by name, and the content itself as ``content``."""
        config = self.config
        x = self.dropout(self.lips(features))
        h = self._through(x, mask)
        full = cross_entropy(split_label_pairs(self.head(h)), units, mask, config.smoothing)
        if config.mask == "span":
            hidden = mask_spans(mask, config.hidden, config.span)
            blind = self._through(torch.where(hidden[..., None], self.mask_embedding.to(x.dtype), x), mask)
            masked = cross_entropy(split_label_pairs(self.head(blind)), units, hidden, config.smoothing)
        else:
            masked = cross_entropy(self.masked_logits(x, mask), units, mask, config.smoothing)
        return {"content": h, "units": full, "units_masked": masked}

    def masked_logits(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Unit logits ``(B, 2 T, units)`` of each frame from the others alone; ``x`` is ``(B, T, C)``."""
        m, alone = self.mask_embedding.to(x.dtype).expand_as(x), x
        for block in self.blocks:
            assert isinstance(block, MaskedConvBlock)
            m, alone = block.masked(m, alone, mask), block.alone(alone)
        return split_label_pairs(self.head(self.norm(m)))

    def _through(self, h: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            h = block(h, mask)
        out: torch.Tensor = self.norm(h)
        return out
