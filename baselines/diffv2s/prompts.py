"""Prompts: learned vectors that attend to a sequence and yield a speaker embedding; the sequence ignores them.

The paper lets an attention mask hide the prompts from the sequence. The same is done here by construction: the sequence
goes through the blocks alone, and the prompts go through the same blocks, where they attend to each other and to the
sequence.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from baselines.diffv2s.config import PromptEncoderConfig
from f2v_bench.nn.layers.transformer import TransformerBlock

SPEAKER_DIM = 256  # dimensions of a speaker embedding, GE2E's


class PromptedBlock(TransformerBlock):
    """Transformer block with ``forward`` for a sequence and ``update_prompts`` for the prompts on it."""

    def update_prompts(self, prompts: torch.Tensor, sequence: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the prompts after this block, ``(B, P, C)``; they do not depend on the frames' positions.

        Args:
            prompts: prompts before the block, ``(B, P, C)``.
            sequence: input of the block, ``(B, S, C)``.
            mask: bool ``(B, S)``, True where the sequence is real.
        """
        count, attention = prompts.shape[1], self.attention
        normed = self.attention_norm(torch.cat([prompts, sequence], dim=1))
        split = attention.project_in(normed).view(*normed.shape[:2], 3, attention.heads, -1)  # (B, P + S, 3, heads, D)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # (B, heads, P + S, D) each
        visible = functional.pad(mask, (count, 0), value=True)[:, None, None]  # (B, 1, 1, P + S)
        mixed = functional.scaled_dot_product_attention(query[:, :, :count], key, value, attn_mask=visible)
        prompts = prompts + self.dropout(attention.project_out(mixed.transpose(1, 2).flatten(2)))
        out: torch.Tensor = prompts + self.ffn(self.ffn_norm(prompts))
        return out


class PromptEncoder(nn.Module):
    """Transformer over a sequence, and a speaker embedding from the mean of its prompts.

    Args:
        config: sizes of the transformer.

    Raises:
        ValueError: a width that is no multiple of twice the heads.
    """

    def __init__(self, config: PromptEncoderConfig) -> None:
        super().__init__()
        width = config.width
        self.prompts = nn.Parameter(0.02 * torch.randn(config.prompts, width))
        self.blocks = nn.ModuleList(PromptedBlock(width, config.heads, config.dropout) for _ in range(config.blocks))
        self.speaker = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, SPEAKER_DIM))

    def forward(
        self, sequence: torch.Tensor, mask: torch.Tensor, context: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sequence after all blocks, ``(B, T, C)``, and speaker embeddings, unit vectors ``(B, 256)``.

        Args:
            sequence: input features, ``(B, T, C)``.
            mask: bool ``(B, T)``, True where the sequence is real.
            context: vectors that the prompts attend to at every block, ``(B, K, C)``.
        """
        prompts = self.prompts.expand(len(sequence), -1, -1)
        for block in self.blocks:
            assert isinstance(block, PromptedBlock)
            if context is None:
                prompts = block.update_prompts(prompts, sequence, mask)
            else:
                padded = functional.pad(mask, (context.shape[1], 0), value=True)
                prompts = block.update_prompts(
                    prompts, torch.cat([context.to(sequence.dtype), sequence], dim=1), padded
                )
            sequence = block(sequence, mask)
        return sequence, functional.normalize(self.speaker(prompts.mean(1)).float(), dim=1)
