"""Base class of speech recognizers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Output of a recognizer for one clip.

    Attributes:
        text: text before normalization; empty without words.
        avg_logprob: mean log probability of the tokens, if the recognizer reports it.
        no_speech_prob: probability of no speech, if the recognizer reports it.
        compression_ratio: zlib compression ratio of the text, if the recognizer reports it; high for looping texts.
    """

    text: str
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None


class Recognizer(ABC):
    """Speech recognizer. Models are loaded on the first ``transcribe``."""

    name: str
    sample_rate: ClassVar[int] = SAMPLE_RATE
    #: longest clip in seconds, or None
    max_duration_s: ClassVar[float | None] = None

    @property
    @abstractmethod
    def signature(self) -> str:
        """All that decides the text, including the normalizer: ``key:value`` pairs joined by ``|``."""

    @abstractmethod
    def normalize(self, text: str) -> str:
        """Normalize a transcript or a hypothesis for comparison."""

    @abstractmethod
    def transcribe(self, batch: Sequence[NDArray[np.float32]]) -> list[Hypothesis]:
        """Return one hypothesis per clip, in order; a batch equals one clip at a time, in any order.

        Args:
            batch: waveforms at ``sample_rate``, float32 ``(n,)`` each, not longer than ``max_duration_s``.
        """
