"""Base class of the trained models: losses of a batch, and synthesis of speech features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, Self, TypeVar

import torch
from torch import nn

from f2v_bench.modeling.batch import Batch

#: named tuple of tensors ``(B, 4 T, ...)``; None stands for a field that the model does not predict
OutputT = TypeVar("OutputT", bound=tuple[Any, ...])

#: mean and standard deviation of a feature over the training corpus, by the feature's name
Statistics = Mapping[str, tuple[float, float]]


class ModelOutput(NamedTuple):
    """Predicted speech features of a batch, or of one clip without the batch axis.

    Attributes:
        mel: log mel spectrogram, ``(B, 4 T, 80)``, natural log.
        log_f0: log F0 in Hz, ``(B, 4 T)``; None for a model without F0.
        voicing: probability of voicing, ``(B, 4 T)``; None for a model without F0.
    """

    mel: torch.Tensor
    log_f0: torch.Tensor | None = None
    voicing: torch.Tensor | None = None


class Model(nn.Module, ABC, Generic[OutputT]):
    """Network from video inputs or frozen lip features to speech features; T is the number of video frames.

    A batch holds what the model's training puts into its ``Example``, and at synthesis these keys:

    | key | content | where |
    |---|---|---|
    | ``mask`` | bool ``(B, T)``, True at real frames | always |
    | ``lengths`` | int64 ``(B,)``, video frames of each clip | always |
    | ``lips`` | uint8 ``(B, T, 96, 96)``, gray lip crops | synthesis; training from pictures |
    | ``features`` | ``(B, T, L, D)``, layers of the frozen lip encoder, for ``WeightedLayerSum`` | always, if used |
    | ``voice`` | unit vectors ``(B, 256)``, speaker embedding from real speech | synthesis with real speech |
    | ``speaker`` | unit vectors ``(B, 256)``, speaker embedding of the clip | training |
    | ``mel`` | ``(B, 4 T, 80)``, natural log | training |
    | ``f0``, ``energy`` | ``(B, 4 T)``, Hz with 0 where unvoiced, and log energy | training, if the example has them |
    """

    @classmethod
    def from_statistics(cls, config: Any, statistics: Statistics) -> Self:
        """Build the model with the means and deviations of its training corpus.

        Args:
            config: settings of the model.
            statistics: mean and deviation by name, ``mel`` among them.
        """
        build: Any = cls
        model: Self = build(config, statistics["mel"])
        return model

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Compute every loss by name, and their weighted sum as ``loss``.

        Args:
            batch: training examples of the model, with ``mask`` ``(B, T)``.
        """

    @abstractmethod
    def synthesize(self, batch: Batch, noise: torch.Tensor, **settings: Any) -> OutputT:
        """Predict speech features ``(B, 4 T, ...)``; those of overlapping windows can be cross-faded.

        Args:
            batch: video inputs of the model, with ``mask`` ``(B, T)``.
            noise: standard normal samples ``(B, 4 T, 80)``, for generative models.
            settings: sampling settings.
        """

    def to_mel(self, output: OutputT, mask: torch.Tensor) -> torch.Tensor:
        """Return natural-log mels ``(B, 4 T, 80)`` of an output, for the comparison with real ones.

        Args:
            output: return value of ``synthesize``.
            mask: bool ``(B, T)``, True where a video frame is real.
        """
        fields: Any = output
        mel: torch.Tensor = fields.mel
        return mel


def map_fields(function: Callable[[torch.Tensor], torch.Tensor], output: OutputT) -> OutputT:
    """Apply a function to every field of an output that is not None."""
    build: Any = type(output)
    mapped: OutputT = build(*(None if field is None else function(field) for field in output))
    return mapped
