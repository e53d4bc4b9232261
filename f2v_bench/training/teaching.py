"""What the lip encoder is taught with."""

from __future__ import annotations

from dataclasses import dataclass, field

from f2v_bench.training.augment import AugmentConfig


@dataclass(frozen=True, slots=True)
class LipTrainingConfig:
    """What the lip encoder is taught with.

    Attributes:
        augment: how pictures are changed.
        hidden: share of frames hidden.
        span: frames hidden in a row.
        hidden_weight: of the hidden frames' loss beside the visible ones'.
        phones: weight of the phonemes' loss beside the units'; 0 learns without transcripts.
        smoothing: of the labels.
    """

    augment: AugmentConfig = field(default_factory=AugmentConfig)
    hidden: float = 0.25
    span: int = 6
    hidden_weight: float = 0.5
    phones: float = 1.0
    smoothing: float = 0.1
