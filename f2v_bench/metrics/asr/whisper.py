"""Whisper in the protocol ``wer/v1``: OpenAI's code and weights, forced to English, deterministic.

Radford et al., "Robust speech recognition via large-scale weak supervision" (ICML 2023). Temperature 0 without
fallback, no text of earlier clips, no timestamps. Each clip is padded to Whisper's window of 30 s, so that a batch does
not change the text of a clip; longer clips are rejected, because windows would cut words.
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

#: assets, largest first
SIZES = (
    "whisper-large-v3",
    "whisper-large-v2",
    "whisper-medium.en",
    "whisper-small.en",
    "whisper-base.en",
    "whisper-tiny.en",
)
BEAM_SIZE = 5
BATCH_SIZE = 16


def whisper_installed() -> bool:
    """Return True where the optional package openai-whisper is installed, without importing it."""
    return find_spec("whisper") is not None


class Whisper(Recognizer):
    """Recognizer with one Whisper checkpoint.

    Args:
        name: name of the asset, for example ``whisper-large-v3``.
        weights: checkpoint file in OpenAI's layout (``dims`` and ``model_state_dict``).
        device: ``cpu`` (float32), or ``cuda`` (float16).
        beam: True for beam search with five beams, False for greedy decoding.
        batch_size: clips per batch; always one with beam search, a limit of openai-whisper.
    """

    max_duration_s = 30.0

    def __init__(
        self,
        name: str,
        weights: Path,
        *,
        device: str = "cpu",
        beam: bool = False,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self.name = name
        self._weights = weights
        self._device = device
        self._beam = beam
        self._batch_size = 1 if beam else batch_size

    @property
    def _uses_fp16(self) -> bool:
        return self._device.startswith("cuda")

    @cached_property
    def _model(self) -> Any:
        """Network with the weights of the file. ``whisper.load_model`` would download missing weights."""
        import torch
        from whisper.model import ModelDimensions
        from whisper.model import Whisper as Network

        try:
            checkpoint = torch.load(self._weights, map_location="cpu", weights_only=True)
            network = Network(ModelDimensions(**checkpoint["dims"]))
            network.load_state_dict(checkpoint["model_state_dict"])
        except (OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError, UnpicklingError) as error:
            # the message of torch's UnpicklingError advises to run the code in the file
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
                f"precision:{'fp16' if self._uses_fp16 else 'fp32'}",
                "normalizer:whisper-english",
            )
        )

    def normalize(self, text: str) -> str:
        return whisper_normalizer()(text)

    def transcribe(self, batch: Sequence[NDArray[np.float32]]) -> list[Hypothesis]:
        hypotheses: list[Hypothesis] = []
        for start in range(0, len(batch), self._batch_size):
            hypotheses += self._decode(batch[start : start + self._batch_size])
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
            fp16=self._uses_fp16,
        )
        with torch.inference_mode():
            results = decode(self._model, mels.to(self._device), options)
        return [
            Hypothesis(
                result.text, float(result.avg_logprob), float(result.no_speech_prob), float(result.compression_ratio)
            )
            for result in results
        ]

    def _features(self, samples: NDArray[np.float32]) -> torch.Tensor:
        """Return the log mel ``(mels, 3000)`` of one clip: Whisper scales by its maximum, so not by that of a batch."""
        import torch
        from whisper.audio import log_mel_spectrogram, pad_or_trim

        padded = pad_or_trim(torch.from_numpy(samples))
        mel: torch.Tensor = log_mel_spectrogram(padded, n_mels=self._model.dims.n_mels)
        return mel
