"""Construction and chunked inference of the vocoders.

``hifigan`` loads published checkpoints. ``istft``, a source-filter vocoder, is small enough for training on a CPU.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.nn.vocoders.config import VocoderConfig
from f2v_bench.signal.mel import HOP, N_MELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.nn.vocoders.base import Vocoder

CHUNK = 1000  # frames per forward pass, 10 s


def build_vocoder(config: VocoderConfig, inputs: int = N_MELS) -> Vocoder:
    """Build a vocoder with random weights, ``(B, T, inputs)`` to ``(B, 160 T)``.

    Args:
        config: kind and sizes.
        inputs: channels of the input: the mel's 80, and further features.

    Raises:
        ValueError: impossible sizes.
    """
    check(config)
    if config.generator == "istft":
        from f2v_bench.nn.vocoders.istft import ISTFTVocoder

        return ISTFTVocoder(config, inputs)
    from f2v_bench.nn.vocoders.hifigan import HiFiGAN

    return HiFiGAN(config, inputs=inputs)


def check(config: VocoderConfig, frame: int = HOP) -> None:
    """Check the sizes of a vocoder.

    Args:
        config: sizes.
        frame: samples of an output frame.

    Raises:
        ValueError: impossible sizes.
    """
    if config.segment < frame or config.segment % frame:
        raise ValueError(f"vocoder.segment is {config.segment} samples, not a multiple of {frame}")
    if config.adversarial_from >= 0 and not (config.periods or config.scales or config.resolutions):
        raise ValueError("vocoder.adversarial_from is not negative, but periods, scales and resolutions are all empty")
    if config.generator == "istft":
        if config.n_fft < 2 * HOP or config.n_fft % (2 * HOP):
            raise ValueError(f"vocoder.n_fft is {config.n_fft}, not an even multiple of {HOP}")
        return
    factors, kernels = config.upsample, config.upsample_kernels
    if prod(factors) != frame:
        raise ValueError(f"vocoder.upsample {factors} has the product {prod(factors)}, not {frame}")
    if len(factors) != len(kernels) or any(k < u or (k - u) % 2 for u, k in zip(factors, kernels, strict=True)):
        raise ValueError(
            f"vocoder.upsample_kernels {kernels} do not fit the factors {factors}: each kernel must be as large as its "
            "factor, or larger by an even number"
        )


def vocode(
    vocoder: Vocoder, mel: NDArray[np.float32], f0: NDArray[np.float32] | None = None, chunk: int = CHUNK
) -> NDArray[np.float32]:
    """Convert the mel spectrogram of one clip to samples, in chunks with enough context to equal the whole.

    Args:
        vocoder: vocoder in evaluation mode, on any device.
        mel: log mel spectrogram of ``f2v_bench.signal.mel``, float32 ``(T, 80)``, natural log; ``(T, inputs)`` with
            further features.
        f0: F0 in Hz, 0 where unvoiced, float32 ``(T,)``, for a source-filter vocoder; None estimates it from the mel.
        chunk: frames of a chunk.

    Returns:
        float32 ``(160 T,)`` at 16 kHz.
    """
    import torch

    if mel.ndim != 2 or mel.shape[1] != vocoder.inputs:
        raise ValueError(f"a mel spectrogram is (T, {vocoder.inputs}), got {mel.shape}")
    context = vocoder.context
    device = next(vocoder.parameters()).device
    samples = np.empty(HOP * len(mel), np.float32)
    with torch.inference_mode():
        whole = torch.from_numpy(mel)[None].to(device, torch.float32)  # (1, T, inputs)
        excitation = vocoder.excitation(whole, None if f0 is None else torch.from_numpy(f0)[None].to(device))
        for start in range(0, len(mel), chunk):
            end = min(start + chunk, len(mel))
            first, last = max(start - context, 0), min(end + context, len(mel))
            first -= first % vocoder.step
            padded = vocoder(whole[:, first:last], excitation.segment(first, last) if excitation else None)
            inner = padded[0, HOP * (start - first) : HOP * (end - first)]
            samples[HOP * start : HOP * end] = inner.float().cpu().numpy()
    return samples
