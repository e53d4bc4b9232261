"""Batches by step: what step n sees depends on the seed and n alone, so that a resumed training goes on exactly."""

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
    """One clip on its way into a batch.

    Attributes:
        frames: of video, T.
        sequences: arrays whose first axis is a whole multiple of T.
        whole: arrays of one shape for all clips.
    """

    frames: int
    sequences: Mapping[str, np.ndarray[Any, Any]]
    whole: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)


def collate(items: Sequence[Example]) -> Batch:
    """Items in one batch: sequences padded with zeros at their end, ``lengths`` and ``mask`` of the video frames."""
    lengths = torch.tensor([item.frames for item in items])
    longest = int(lengths.max())
    batch: Batch = {"lengths": lengths, "mask": valid_mask(lengths, longest)}
    for name, first in items[0].sequences.items():
        rate = len(first) // items[0].frames
        out = torch.from_numpy(np.zeros((len(items), rate * longest, *first.shape[1:]), first.dtype))
        for row, item in zip(out, items, strict=True):
            row[: rate * item.frames] = torch.from_numpy(item.sequences[name])
        batch[name] = out
    for name in items[0].whole:
        batch[name] = torch.from_numpy(np.stack([item.whole[name] for item in items]))
    return batch
