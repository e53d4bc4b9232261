"""Standardization of gray pixels."""

from __future__ import annotations

import torch


def standardize_pixels(pixels: torch.Tensor) -> torch.Tensor:
    """Standardize gray values of 0 to 255 with the mean and standard deviation of AV-HuBERT."""
    return (pixels / 255 - 0.421) / 0.165
