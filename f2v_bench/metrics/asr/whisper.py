"""Whisper by the protocol ``wer/v1``: OpenAI's own code and weights, forced to English, without any randomness.

Radford et al., "Robust speech recognition via large-scale weak supervision" (ICML 2023). Temperature 0 without
fallback, no text of earlier clips, no timestamps. Each clip is padded to Whisper's window of 30 s, so that several
decode together without changing one another; longer clips are refused, because windows would cut through words.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from f2v_bench.assets import file_sha256
from f2v_bench.errors import F2VError
from f2v_bench.metrics.asr.base import Hypothesis, Recognizer
from f2v_bench.metrics.text import whisper_normalizer

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

#: assets, the strongest first
SIZES = (
    "whisper-large-v3",
    "whisper-large-v2",
    "whisper-medium.en",
    "whisper-small.en",
    "whisper-base.en",
    "whisper-tiny.en",
)
BEAM_SIZE = 5
CLIPS_AT_ONCE = 16


def whisper_installed() -> bool:
    """Whether the optional package openai-whisper is here (nothing is imported)."""
    return find_spec("whisper") is not None


class Whisper(Recognizer):
    """One Whisper checkpoint.

    Args:
        name: of the asset, for example ``whisper-large-v3``.
        weights: its file, in the layout that OpenAI publishes (``dims`` and ``model_state_dict``).
        device: ``cpu`` (float32), or ``cuda`` (float16).
        beam: beam search with five beams instead of greedy decoding.
        clips_at_once: clips decoded together; with beams always one, openai-whisper can do no more.
    """

    max_duration_s = 30.0

    def __init__(
        self,
        name: str,
        weights: Path,
        *,
        device: str = "cpu",
        beam: bool = False,
        clips_at_once: int = CLIPS_AT_ONCE,
    ) -> None:
        self.name = name
        self._weights = weights
        self._device = device
        self._beam = beam
        self._clips_at_once = 1 if beam else clips_at_once

    @property
    def _half(self) -> bool:
        return self._device.startswith("cuda")

    @cached_property
    def _model(self) -> Any:
        """OpenAI's module with the weights. ``whisper.load_model`` would download what it does not find."""
        import torch
        from whisper.model import ModelDimensions
        from whisper.model import Whisper as Network

        try:
            checkpoint = torch.load(self._weights, map_location="cpu", weights_only=True)
            network = Network(ModelDimensions(**checkpoint["dims"]))
            network.load_state_dict(checkpoint["model_state_dict"])
        except (OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError, UnpicklingError) as error:
            # torch's text to an UnpicklingError advises to run what the file holds
            why = "more than plain weights" if isinstance(error, UnpicklingError) else str(error).partition("\n")[0]
            raise F2VError(
                f"'{self._weights}' is no Whisper checkpoint: {type(error).__name__}: {why}",
                f"fetch it again: f2v-bench assets pull {self.name}",
            ) from error
        return network.to(self._device).eval()

    @cached_property
    def signature(self) -> str:
        return "|".join(
            (
                f"asr:{self.name}-{file_sha256(self._weights)[:12]}",
                f"openai-whisper:{version('openai-whisper')}",
                f"decode:{f'beam-{BEAM_SIZE}' if self._beam else 'greedy'}",
                "language:en",
                "temperature:0",
                "fallback:no",
                "timestamps:no",
                "previous-text:no",
                f"precision:{'fp16' if self._half else 'fp32'}",
                "normaliser:whisper-english",
            )
        )

    def normalize(self, text: str) -> str:
        return whisper_normalizer()(text)

    def transcribe(self, batch: Sequence[NDArray[np.float32]]) -> list[Hypothesis]:
        hypotheses: list[Hypothesis] = []
        for start in range(0, len(batch), self._clips_at_once):
            hypotheses += self._decode(batch[start : start + self._clips_at_once])
        return hypotheses

    def _decode(self, clips: Sequence[NDArray[np.float32]]) -> list[Hypothesis]:
        import torch
        from whisper.decoding import DecodingOptions, decode

        mels = torch.stack([self._features(samples) for samples in clips])  # (clips, mels, 3000)
        options = DecodingOptions(
            task="transcribe",
            language="en",
            temperature=0.0,
            beam_size=BEAM_SIZE if self._beam else None,
            without_timestamps=True,
            fp16=self._half,
        )
        with torch.inference_mode():
            results = decode(self._model, mels.to(self._device), options)
        return [
            Hypothesis(
                found.text, float(found.avg_logprob), float(found.no_speech_prob), float(found.compression_ratio)
            )
            for found in results
        ]

    def _features(self, samples: NDArray[np.float32]) -> torch.Tensor:
        """Log-mel ``(mels, 3000)`` of one clip: Whisper scales by the clip's own maximum, so never of a batch."""
        import torch
        from whisper.audio import log_mel_spectrogram, pad_or_trim

        padded = pad_or_trim(torch.from_numpy(samples))
        mel: torch.Tensor = log_mel_spectrogram(padded, n_mels=self._model.dims.n_mels)
        return mel
