"""What models look at lips with: a ResNet that is trained with them, or features of the frozen encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from f2v_bench.nn.batches import spread
from f2v_bench.nn.frozen_lips import LayerSum
from f2v_bench.nn.lips import LipEncoderConfig, normalised
from f2v_bench.nn.resnet import CHANNELS, ResNet, silu
from f2v_bench.training.augment import AugmentConfig, augmented, spans
from f2v_bench.training.loader import Batch

SEEN = CHANNELS[-1]  # channels of what is seen, 512
VIEW = LipEncoderConfig(field=88, size=88)  # the part of the crop that the ResNet looks at


@dataclass(frozen=True, slots=True)
class FrontConfig:
    """What a model looks with.

    Attributes:
        kind: ``resnet``, ResNet-18 on the lips, trained with the model; or ``frozen``, the lip features that the
            reference model sees, so that models are compared and not what they look with.
        hidden: share of the frames that ``resnet`` does not see in training. SVTS hides up to 0.4 of each
            second, 0.2 in the mean.
        span: frames of a hidden span.
    """

    kind: Literal["resnet", "frozen"] = "frozen"
    hidden: float = 0.2
    span: int = 5


class Front(nn.Module):
    """Lips to 512 channels a video frame.

    Args:
        config: which.
        lips: the frozen encoder, where it is used.
        augment: how pictures are changed in training, where the ResNet looks at them.
    """

    def __init__(self, config: FrontConfig, lips: LipEncoderConfig, augment: AugmentConfig) -> None:
        super().__init__()
        self.config, self.augment = config, augment
        self.resnet = ResNet(silu) if config.kind == "resnet" else None
        self.layers = LayerSum(*lips.outputs, SEEN) if config.kind == "frozen" else None

    def forward(self, batch: Batch) -> torch.Tensor:
        """``(B, T, 512)``.

        Args:
            batch: ``mask`` ``(B, T)``, and ``features`` ``(B, T, L, D)`` of the frozen encoder or ``lips``, uint8
                ``(B, T, 96, 96)``.
        """
        mask = batch["mask"]
        if self.resnet is not None:
            return spread(self.resnet(self._pictures(batch["lips"], mask), mask), mask)
        assert self.layers is not None
        seen: torch.Tensor = self.layers(batch["features"])
        return seen

    def _pictures(self, lips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return normalised(lips, VIEW)
        hidden = spans(mask, self.config.hidden, self.config.span)
        return augmented(lips, VIEW, self.augment).masked_fill(hidden[..., None, None], 0.0)
