"""Archives in the layout of public Parallel WaveGANs, with random weights."""

from __future__ import annotations

import tarfile
from pathlib import Path

import h5py
import numpy as np
import torch

from tests.nn.published import Shapes

MEAN, SCALE = np.linspace(-1, -3, 80), np.linspace(0.5, 0.9, 80)  # about those of speech


def published_layout() -> Shapes:
    """Return the shapes of a 24 kHz generator of the recipe; weight norm has one norm per axis-0 slice."""
    kernels: Shapes = {
        "first_conv": (64, 1, 1),
        "upsample_net.conv_in": (80, 80, 5),
        "upsample_net.upsample.up_layers.1": (1, 1, 1, 9),
        "upsample_net.upsample.up_layers.3": (1, 1, 1, 11),
        "upsample_net.upsample.up_layers.5": (1, 1, 1, 7),
        "upsample_net.upsample.up_layers.7": (1, 1, 1, 11),
        "last_conv_layers.1": (64, 64, 1),
        "last_conv_layers.3": (1, 64, 1),
    }
    for layer in range(30):
        kernels[f"conv_layers.{layer}.conv"] = (128, 64, 3)
        kernels[f"conv_layers.{layer}.conv1x1_aux"] = (128, 80, 1)
        kernels[f"conv_layers.{layer}.conv1x1_out"] = (64, 64, 1)
        kernels[f"conv_layers.{layer}.conv1x1_skip"] = (64, 64, 1)
    shapes: Shapes = {}
    for name, shape in kernels.items():
        shapes[f"{name}.weight_v"] = shape
        shapes[f"{name}.weight_g"] = (shape[0],) + (1,) * (len(shape) - 1)
        if not name.startswith("upsample_net") and not name.endswith("aux"):
            shapes[f"{name}.bias"] = (shape[0],)
    return shapes


def random_state(shapes: Shapes, seed: int = 0) -> dict[str, torch.Tensor]:
    """Draw weights that keep the scale from layer to layer, with small biases and varied norms."""
    generator = torch.Generator().manual_seed(seed)

    def draw(name: str, shape: tuple[int, ...]) -> torch.Tensor:
        noise = torch.randn(shape, generator=generator)
        if name.endswith("weight_g"):
            return 1 + 0.2 * noise
        return 0.1 * noise if name.endswith("bias") else noise

    return {name: draw(name, shape) for name, shape in shapes.items()}


def made_archive(
    folder: Path,
    *,
    stats: str = "file",
    seed: int = 0,
    steps: tuple[int, ...] = (1_000_000,),
    zipped: bool = False,
) -> Path:
    """Write an archive in the published layout.

    Args:
        folder: where it is written.
        stats: ``file`` for ``stats.h5``, ``buffers`` inside the checkpoint, or ``none``.
        seed: of the last checkpoint's weights; earlier ones have others.
        steps: of the checkpoints.
        zipped: whether torch writes as it does from 1.6 on; the public ones are older.
    """
    root = folder / "parts"
    root.mkdir(parents=True)
    for before, step in enumerate(reversed(steps)):
        state = random_state(published_layout(), seed + before)
        if stats == "buffers":
            state |= {"mean": torch.from_numpy(MEAN).float(), "scale": torch.from_numpy(SCALE).float()}
        content = {
            "model": {"generator": state, "discriminator": {"conv_layers.0.bias": torch.zeros(64)}},
            "optimizer": {"generator": {"state": {}, "param_groups": [{"lr": 1e-4}]}},
            "steps": step,
            "epochs": 7,
        }
        torch.save(content, root / f"checkpoint-{step}steps.pkl", _use_new_zipfile_serialization=zipped)
    (root / "config.yml").write_text("sampling_rate: 24000\n")
    if stats == "file":
        with h5py.File(root / "stats.h5", "w") as file:
            file["mean"], file["scale"] = MEAN, SCALE
    path = folder / "libritts_parallel_wavegan.v1.long.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(root, "exp/train_parallel_wavegan.v1.long")
    return path
