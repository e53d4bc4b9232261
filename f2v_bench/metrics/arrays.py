"""Conversion of arrays and tensors to waveforms at a metric's sample rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.clip import Waveform
from f2v_bench.media import resample

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    AudioArray = NDArray[np.floating[Any]] | torch.Tensor
    AudioInput = AudioArray | Sequence[AudioArray]
    Lengths = Sequence[int] | NDArray[np.integer[Any]] | torch.Tensor


def is_single_clip(audio: AudioInput) -> bool:
    """Return True for one clip, ``(n,)``, and False for a batch."""
    return not isinstance(audio, Sequence) and audio.ndim == 1


def to_waveforms(
    audio: AudioInput, sample_rate: int, target_rate: int, lengths: Lengths | None = None, name: str = "audio"
) -> list[Waveform]:
    """Convert one clip or a batch to waveforms, resampled where the rates differ.

    Args:
        audio: array or tensor of any device, ``(n,)`` or zero-padded ``(B, n)``, or a list of ``(n,)``; floating point,
            nominally in [-1, 1].
        sample_rate: sample rate of ``audio`` in Hz.
        target_rate: sample rate of the waveforms in Hz.
        lengths: samples of each row of ``(B, n)`` without padding; None takes the full rows.
        name: description of the audio for error messages.

    Raises:
        ValueError: unsuitable shapes, lengths or types.
    """
    if isinstance(audio, Sequence):
        if lengths is not None:
            raise ValueError(f"lengths are for a padded batch (B, n), but {name} is a list: pass lengths=None")
        rows = [_to_float32(row, name) for row in audio]
        for row in rows:
            if row.ndim != 1:
                raise ValueError(f"{name} as a list must hold arrays (n,), got {row.shape}")
    else:
        array = _to_float32(audio, name)
        if array.ndim not in (1, 2):
            raise ValueError(f"{name} must be (n,) or (B, n), got {array.shape}")
        rows = _remove_padding(array if array.ndim == 2 else array[None], lengths, name)
    if sample_rate != target_rate:
        rows = [resample(row, sample_rate, target_rate) if len(row) else row for row in rows]
    return [Waveform(row, target_rate) for row in rows]


def _to_float32(audio: AudioArray, name: str) -> NDArray[np.float32]:
    values = audio if isinstance(audio, np.ndarray) else _tensor_to_array(audio)
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(
            f"{name} must be floating point in [-1, 1], got {values.dtype}: divide 16-bit integers by 32768"
        )
    return values.astype(np.float32)


def _tensor_to_array(tensor: Any) -> NDArray[Any]:
    if not hasattr(tensor, "detach"):  # duck typing: torch is not imported for arrays
        return np.asarray(tensor)
    detached = tensor.detach()
    array: NDArray[Any] = (detached.float() if detached.is_floating_point() else detached).cpu().numpy()
    return array


def _remove_padding(rows: NDArray[np.float32], lengths: Lengths | None, name: str) -> list[NDArray[np.float32]]:
    count, width = rows.shape
    ends = [width] * count if lengths is None else [int(length) for length in lengths]
    if len(ends) != count or not all(0 <= end <= width for end in ends):
        raise ValueError(f"lengths of {name} must be {count} numbers up to {width}, got {ends}")
    return [np.ascontiguousarray(row[:end]) for row, end in zip(rows, ends, strict=True)]
