"""DNSMOS P.835 of all segments of many clips, without computing what they share again.

Segments last 9.01 s and begin every second, and a clip that is shorter repeats itself inside them; the network's first
four convolutions, 98 % of its work, see but four frames to each side. So they run once over the frames that differ, and
only the four frames at each end of a segment, which see the network's padding there, are computed for it alone. The
result is the network's own, but for the order of floating-point sums: for a 3 s clip with a fifth of the work. Clips
share no frame; they go through the network together so that a GPU has enough to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from f2v_bench.nn.layers.masking import length_batches
from f2v_bench.nn.mos.dnsmos import FRAME, FRAMES, HOP_LENGTH, P835

TRUNK = 4  # convolutions before the first pooling; each sees one frame to either side
BLOCK = 1024  # frames of a clip that are computed at once: bounds the memory of long clips
BLOCK_IN_CONTEXT = BLOCK + 2 * TRUNK


@dataclass(frozen=True, slots=True)
class SegmentActivations:
    """What the network hears of a clip.

    Attributes:
        picture: log power of the frames that differ, and of what the trunk sees around them, ``(rows, bands)``.
        at: where in ``picture`` each frame from the first segment's start to the last one's end is, int64.
        begins: frame at which each segment begins.
    """

    picture: torch.Tensor
    at: torch.Tensor
    begins: list[int]


def rate_segments(
    network: P835, clips: Sequence[torch.Tensor], starts: Sequence[Sequence[int]], at_once: int = BLOCK_IN_CONTEXT
) -> list[torch.Tensor]:
    """What ``network`` says of each segment of each clip.

    Args:
        network: on the device of the clips.
        clips: float32 ``(n,)`` at 16 kHz each, repeated without end.
        starts: samples at which the segments of each clip begin, multiples of 160.
        at_once: frames that go through the network together: bounds its memory, not that of the clips.

    Returns:
        Raw SIG, BAK and OVRL of each clip, ``(segments, 3)``.
    """
    heard = [_segment_activations(network, clip, begins) for clip, begins in zip(clips, starts, strict=True)]
    inner = _trunks(network, [one.picture for one in heard], at_once)
    segments = [(number, begin) for number, one in enumerate(heard) for begin in one.begins]
    edges = _edges(network, heard, segments, at_once)
    ratings = []
    few = max(1, at_once // FRAMES)
    for first in range(0, len(segments), few):
        part = segments[first : first + few]
        whole = []
        for (number, begin), (left, right) in zip(part, edges[first : first + len(part)], strict=True):
            middle = inner[number][:, heard[number].at[begin + TRUNK : begin + FRAMES - TRUNK] - TRUNK]
            whole.append(torch.cat((left[:, :TRUNK], middle, right[:, TRUNK:]), 1))
        ratings.append(network.finish(torch.stack(whole), TRUNK - 1))
    return list(torch.split(torch.cat(ratings), [len(one.begins) for one in heard]))


def _segment_activations(network: P835, samples: torch.Tensor, starts: Sequence[int]) -> SegmentActivations:
    first = min(starts)
    frames = FRAMES + (max(starts) - first) // HOP_LENGTH
    at = torch.arange(frames, device=samples.device)
    period = len(samples) // HOP_LENGTH
    if len(samples) % HOP_LENGTH == 0 and period < frames:  # one repeat, and context
        picture = _picture(network, samples, first - TRUNK * HOP_LENGTH, period + 2 * TRUNK)
        at = TRUNK + at % period
    else:  # every frame, segments overlapping
        picture = _picture(network, samples, first, frames)
    return SegmentActivations(picture, at, [(start - first) // HOP_LENGTH for start in starts])


def _picture(network: P835, samples: torch.Tensor, start: int, frames: int) -> torch.Tensor:
    """Log power ``(frames, bands)`` from ``start`` on, in the clip repeated without end."""
    length = (frames - 1) * HOP_LENGTH + FRAME
    index = torch.arange(start, start + length, device=samples.device) % len(samples)
    return network.picture(samples[index][None])[0]


def _convolve(network: P835, pictures: torch.Tensor) -> torch.Tensor:
    """The trunk on ``(B, frames, bands)``, zeros beyond its edges: ``(B, 32, frames, bands)``."""
    x = pictures[:, None]
    for conv in list(network.convs)[:TRUNK]:
        x = functional.relu_(conv(x))
    return x


def _trunks(network: P835, pictures: Sequence[torch.Tensor], at_once: int) -> list[torch.Tensor]:
    """The trunk where it sees no edge: each ``(frames, bands)`` to ``(32, frames - 8, bands)``."""
    blocks = [
        [picture[first : first + BLOCK_IN_CONTEXT] for first in range(0, len(picture) - 2 * TRUNK, BLOCK)]
        for picture in pictures
    ]
    flat = [block for some in blocks for block in some]
    found: dict[int, torch.Tensor] = {}
    for group in length_batches([len(block) for block in flat], at_once):
        seen = _convolve(network, pad_sequence([flat[at] for at in group], batch_first=True))
        found |= {at: row[:, TRUNK : len(flat[at]) - TRUNK] for at, row in zip(group, seen, strict=True)}
    inner = (found[at] for at in range(len(flat)))
    return [torch.cat([next(inner) for _ in some], 1) for some in blocks]


def _edges(
    network: P835, heard: Sequence[SegmentActivations], segments: Sequence[tuple[int, int]], at_once: int
) -> torch.Tensor:
    """The trunk on the eight frames at each end of each segment, ``(segments, 2, 32, 8, bands)``."""
    ends = torch.stack(
        [
            heard[number].picture[heard[number].at[begin + side : begin + side + 2 * TRUNK]]
            for number, begin in segments
            for side in (0, FRAMES - 2 * TRUNK)
        ]
    )
    seen = torch.cat([_convolve(network, some) for some in torch.split(ends, max(1, at_once // (2 * TRUNK)))])
    return seen.view(-1, 2, *seen.shape[1:])
