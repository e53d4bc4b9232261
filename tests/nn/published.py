"""Names and shapes of published weights, as the reference folder lists them."""

from __future__ import annotations

from pathlib import Path

import torch

Shapes = dict[str, tuple[int, ...]]


def published_shapes(shared: Path, name: str) -> Shapes:
    """Tensor name to shape of ``notes/state_dicts/NAME.txt``."""
    lines = (shared / "notes" / "state_dicts" / f"{name}.txt").read_text().splitlines()
    rows = [line.split(" ") for line in lines if line and not line.startswith("#")]
    return {row[0]: tuple(int(n) for n in row[1].split("x") if n) if len(row) > 1 else () for row in rows}


def shapes_of(module: torch.nn.Module) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def randomized(module: torch.nn.Module, seed: int = 0, spread: float = 0.5) -> torch.nn.Module:
    """Every tensor moved off its initial value, so that no scale of 1 or offset of 0 hides a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            scale = parameter.std() if parameter.ndim > 1 and parameter.numel() > 1 else torch.tensor(1.0)
            parameter.add_(spread * noise * (scale if bool(scale > 0) else 0.02))
        for name, buffer in module.named_buffers():
            if name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
            elif name.endswith("running_mean"):
                buffer.copy_(0.1 * torch.randn(buffer.shape, generator=generator))
    return module.eval()


def filled(module: torch.nn.Module) -> torch.nn.Module:
    """Weights that a formula of their names makes, the same for any implementation with the published names."""
    state = module.state_dict()
    for place, name in enumerate(sorted(state)):
        tensor = state[name]
        if not tensor.is_floating_point():
            continue
        wave = torch.sin(0.37 * torch.arange(tensor.numel(), dtype=torch.float64) + place).view(tensor.shape)
        if tensor.ndim > 1:
            values = wave * (2 / tensor[0].numel()) ** 0.5
        elif name.endswith(("weight", "running_var")):
            values = 1 + 0.3 * wave
        else:
            values = 0.1 * wave
        tensor.copy_(values)
    return module.eval()


def chirp(samples: int) -> torch.Tensor:
    """Return a rising tone, the same everywhere, float32 ``(samples,)``."""
    t = torch.arange(samples, dtype=torch.float64) / 16_000
    return (0.2 * torch.sin(2 * torch.pi * (200 + 700 * t) * t)).float()
