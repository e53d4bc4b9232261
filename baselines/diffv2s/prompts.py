"""Prompts: learned vectors that read a sequence, which does not notice, and say whose voice it is.

The paper lets an attention mask hide the prompts from the sequence. The same is done here by construction: the sequence
goes through the blocks alone, and the prompts go through the same blocks, listening to each other and to the sequence.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from baselines.diffv2s.config import PromptEncoderConfig
from f2v_bench.nn.layers.transformer import TransformerBlock

SPEAKER = 256  # dimensions of a speaker embedding, GE2E's


class PromptedBlock(TransformerBlock):
    """A transformer block for a sequence, ``forward``, and for the prompts that read it."""

    def read(self, prompts: torch.Tensor, sequence: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The prompts after this block, ``(B, P, C)``; where a frame stands does not matter to them.

        Args:
            prompts: ``(B, P, C)``.
            sequence: as it enters the block, ``(B, S, C)``.
            mask: bool ``(B, S)``, True where it is real.
        """
        count, attention = prompts.shape[1], self.attention
        normed = self.attention_norm(torch.cat([prompts, sequence], dim=1))
        split = attention.project_in(normed).view(*normed.shape[:2], 3, attention.heads, -1)  # (B, P + S, 3, heads, D)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # (B, heads, P + S, D) each
        heard = functional.pad(mask, (count, 0), value=True)[:, None, None]  # (B, 1, 1, P + S)
        mixed = functional.scaled_dot_product_attention(query[:, :, :count], key, value, attn_mask=heard)
        prompts = prompts + self.dropout(attention.project_out(mixed.transpose(1, 2).flatten(2)))
        out: torch.Tensor = prompts + self.ffn(self.ffn_norm(prompts))
        return out


class PromptReader(nn.Module):
    """A transformer over a sequence, and a speaker embedding from the mean of its prompts.

    Args:
        config: sizes.

    Raises:
        F2VError: the width does not split into the heads.
    """

    def __init__(self, config: PromptEncoderConfig) -> None:
        super().__init__()
        width = config.width
        self.prompts = nn.Parameter(0.02 * torch.randn(config.prompts, width))
        self.blocks = nn.ModuleList(PromptedBlock(width, config.heads, config.dropout) for _ in range(config.blocks))
        self.speaker = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, SPEAKER))

    def forward(
        self, sequence: torch.Tensor, mask: torch.Tensor, beside: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The sequence after all blocks, ``(B, T, C)``, and the speaker, unit vectors ``(B, 256)``.

        Args:
            sequence: ``(B, T, C)``.
            mask: bool ``(B, T)``.
            beside: what the prompts read beside it at every block, ``(B, K, C)``.
        """
        prompts = self.prompts.expand(len(sequence), -1, -1)
        for block in self.blocks:
            assert isinstance(block, PromptedBlock)
            if beside is None:
                prompts = block.read(prompts, sequence, mask)
            else:
                whole = functional.pad(mask, (beside.shape[1], 0), value=True)
                prompts = block.read(prompts, torch.cat([beside.to(sequence.dtype), sequence], dim=1), whole)
            sequence = block(sequence, mask)
        return sequence, functional.normalize(self.speaker(prompts.mean(1)).float(), dim=1)
