"""What a recogniser is: it turns speech into text, and says how sure it was."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a recogniser heard.

    Attributes:
        text: as the recogniser writes it; empty where it heard no words.
        avg_logprob: mean log-probability of the tokens, where the recogniser states it.
        no_speech_prob: that nobody speaks, likewise.
        compression_ratio: of the text under zlib, likewise; looping texts compress well.
    """

    text: str
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None


class Recognizer(ABC):
    """Speech in, text out. Models are loaded on the first ``transcribe``."""

    name: str
    sample_rate: ClassVar[int] = 16_000
    #: longest clip in seconds, or None
    max_duration_s: ClassVar[float | None] = None

    @property
    @abstractmethod
    def signature(self) -> str:
        """Everything that decides the text, the normaliser included: ``key:value`` pairs joined by ``|``."""

    @abstractmethod
    def normalize(self, text: str) -> str:
        """The text as this protocol compares it, applied to reference and hypothesis alike."""

    @abstractmethod
    def transcribe(self, batch: Sequence[NDArray[np.float32]]) -> list[Hypothesis]:
        """One hypothesis for each clip, in order; a batch gives what one by one gives, in any order.

        Args:
            batch: float32 ``(n,)`` each, at ``sample_rate``, not longer than ``max_duration_s``.
        """
