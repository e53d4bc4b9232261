"""DNSMOS P.835 of all segments of a clip at once, without computing what they share again.

Segments last 9.01 s and begin every second, and a clip that is shorter repeats itself inside them; the network's first
four convolutions, 98 % of its work, see but four frames to each side. So they run once over the frames that differ, and
only the four frames at each end of a segment, which see the network's padding there, are computed for it alone. The
result is the network's own, but for the order of floating-point sums: for a 3 s clip with a fifth of the work.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from f2v_bench.nn.dnsmos import FRAME, FRAMES, HOP_LENGTH, P835

TRUNK = 4  # convolutions before the first pooling; each sees one frame to either side
BLOCK = 1024  # frames computed at once: bounds the memory of long clips


def rate_segments(network: P835, samples: torch.Tensor, starts: Sequence[int]) -> torch.Tensor:
    """What ``network`` says of each segment.

    Args:
        network: on the device of ``samples``.
        samples: float32 ``(n,)`` at 16 kHz, repeated without end.
        starts: sample at which each segment begins, multiples of 160.

    Returns:
        Raw SIG, BAK and OVRL, ``(len(starts), 3)``.
    """
    first = min(starts)
    period = len(samples) // HOP_LENGTH if len(samples) % HOP_LENGTH == 0 else None
    frames = FRAMES + (max(starts) - first) // HOP_LENGTH
    if period is None or period >= frames:
        picture = _picture(network, samples, first, frames)  # every frame, segments overlapping
        own = _trunk(network, picture)  # (32, frames - 8, bands): frames 4 to frames - 4
        where = torch.arange(frames) - TRUNK
    else:
        picture = _picture(network, samples, first - TRUNK * HOP_LENGTH, period + 2 * TRUNK)  # one repeat, and context
        own = _trunk(network, picture)
        picture = picture[TRUNK : TRUNK + period]
        where = torch.arange(frames) % period
        picture = picture[torch.arange(frames) % period]
    begins = [(start - first) // HOP_LENGTH for start in starts]
    ends = torch.stack([picture[b + at : b + at + 2 * TRUNK] for b in begins for at in (0, FRAMES - 2 * TRUNK)])
    edges = _convolve(network, ends)  # (2 segments, 32, 8, bands)
    ratings = []
    for number, begin in enumerate(begins):
        middle = own[:, where[begin + TRUNK : begin + FRAMES - TRUNK].to(own.device)]
        left, right = edges[2 * number, :, :TRUNK], edges[2 * number + 1, :, TRUNK:]
        ratings.append(network.finish(torch.cat((left, middle, right), 1)[None], TRUNK - 1))
    return torch.cat(ratings)


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


def _trunk(network: P835, picture: torch.Tensor) -> torch.Tensor:
    """The trunk where it sees no edge: ``(frames, bands)`` to ``(32, frames - 8, bands)``."""
    blocks = [
        _convolve(network, picture[None, first : first + BLOCK + 2 * TRUNK])[0, :, TRUNK:-TRUNK]
        for first in range(0, len(picture) - 2 * TRUNK, BLOCK)
    ]
    return torch.cat(blocks, 1)
