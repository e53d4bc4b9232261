"""Examples of clips and their collation into batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from f2v_bench.nn.layers.masking import valid_mask

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Example:
    """Arrays of one clip.

    Attributes:
        frames: number of video frames, T.
        sequences: arrays ``(k T, ...)`` by name, k a whole number.
        whole: arrays of one shape for all clips, by name.
    """

    frames: int
    sequences: Mapping[str, np.ndarray[Any, Any]]
    whole: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)


def collate(examples: Sequence[Example]) -> Batch:
    """Collate examples: sequences are padded with zeros; ``lengths`` ``(B,)`` and ``mask`` ``(B, T)`` are added."""
    lengths = torch.tensor([example.frames for example in examples])
    longest = int(lengths.max())
    batch: Batch = {"lengths": lengths, "mask": valid_mask(lengths, longest)}
    for name, first in examples[0].sequences.items():
        rate = len(first) // examples[0].frames
        out = torch.from_numpy(np.zeros((len(examples), rate * longest, *first.shape[1:]), first.dtype))
        for row, example in zip(out, examples, strict=True):
            row[: rate * example.frames] = torch.from_numpy(example.sequences[name])
        batch[name] = out
    for name in examples[0].whole:
        batch[name] = torch.from_numpy(np.stack([example.whole[name] for example in examples]))
    return batch
