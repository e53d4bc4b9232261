"""How one stage of a training runs, and the optimiser and learning rate that follow from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import torch

if TYPE_CHECKING:
    from f2v_bench.nn.lips import LipEncoderConfig
    from f2v_bench.nn.vocoder import VocoderConfig
    from f2v_bench.training.teaching import LipTrainingConfig
    from f2v_bench.training.units import UnitConfig


@dataclass(frozen=True, slots=True)
class StageConfig:
    """Steps, batch and optimiser of one stage.

    Attributes:
        steps: of the optimiser.
        batch: clips a step and device.
        learning_rate: its peak.
        floor: share of the peak at the last step; between them half a cosine.
        warmup: steps from 0 to the peak.
        betas: of AdamW.
        weight_decay: of AdamW, on matrices alone.
        clip: largest norm of the gradient.
        ema: decay of the average of the weights, which validation and synthesis use.
        precision: ``bf16-mixed`` or ``32-true``, as Lightning calls them.
        validate_every: steps between two validations.
        validate_clips: clips of the validation split that are looked at.
    """

    steps: int = 10_000
    batch: int = 16
    learning_rate: float = 1e-3
    floor: float = 0.01
    warmup: int = 200
    betas: tuple[float, ...] = (0.9, 0.98)
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.999
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed"
    validate_every: int = 1000
    validate_clips: int = 50


class StagedConfig(Protocol):
    """What the settings of every model trained in three stages have."""

    @property
    def preset(self) -> str: ...
    @property
    def lips(self) -> LipEncoderConfig: ...
    @property
    def units(self) -> UnitConfig: ...
    @property
    def vocoder(self) -> VocoderConfig: ...
    @property
    def teaching(self) -> LipTrainingConfig: ...
    @property
    def lips_stage(self) -> StageConfig: ...
    @property
    def vocoder_stage(self) -> StageConfig: ...
    @property
    def main_stage(self) -> StageConfig: ...


def optimiser(
    named: Iterable[tuple[str, torch.nn.Parameter]], stage: StageConfig, shares: Mapping[str, float] | None = None
) -> torch.optim.AdamW:
    """AdamW; biases, norms and single vectors are not decayed.

    Args:
        named: weights; those that want no gradient are left out.
        stage: rate, betas and decay.
        shares: of the learning rate, by the beginning of weights' names; 1 for all others.
    """
    parts: dict[float, list[torch.nn.Parameter]] = {1.0: []}
    for name, parameter in named:
        if parameter.requires_grad:
            share = next((one for start, one in (shares or {}).items() if name.startswith(start)), 1.0)
            parts.setdefault(share, []).append(parameter)
    groups = [
        {"params": [one for one in part if (one.ndim > 1) == matrix], "weight_decay": decay, "lr": rate}
        for rate, part in ((share * stage.learning_rate, part) for share, part in parts.items())
        for matrix, decay in ((True, stage.weight_decay), (False, 0.0))
    ]
    return torch.optim.AdamW(groups, lr=stage.learning_rate, betas=(stage.betas[0], stage.betas[1]))


def rate_at(step: int, stage: StageConfig) -> float:
    """The learning rate's share of its peak: a straight rise, then half a cosine down to the floor."""
    if step < stage.warmup:
        return (step + 1) / stage.warmup
    through = min(1.0, (step - stage.warmup) / max(1, stage.steps - stage.warmup))
    return stage.floor + (1 - stage.floor) * 0.5 * (1 + math.cos(math.pi * through))
