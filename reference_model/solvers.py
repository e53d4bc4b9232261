"""Solvers of dx/dt = v(x, t) from t = 0 to t = 1.

Three with fixed steps, whose cost is known beforehand, and three that choose their steps by an estimate of the error.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torchdiffeq import odeint

from f2v_bench.errors import F2VError, suggest

Field = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # v(x, t), t a scalar tensor; the shape is that of x
Step = Callable[[Field, torch.Tensor, torch.Tensor, float], torch.Tensor]


def euler(v: Field, x: torch.Tensor, t: torch.Tensor, h: float) -> torch.Tensor:
    """Order 1, one evaluation: x + h v(x, t)."""
    return x + h * v(x, t)


def midpoint(v: Field, x: torch.Tensor, t: torch.Tensor, h: float) -> torch.Tensor:
    """Order 2, two evaluations: x + h v(x + h/2 v(x, t), t + h/2)."""
    half = x + h / 2 * v(x, t)
    return x + h * v(half, t + h / 2)


def heun(v: Field, x: torch.Tensor, t: torch.Tensor, h: float) -> torch.Tensor:
    """Order 2, two evaluations: x + h/2 (v(x, t) + v(x + h v(x, t), t + h))."""
    start = v(x, t)
    return x + h / 2 * (start + v(x + h * start, t + h))


FIXED: dict[str, Step] = {"euler": euler, "midpoint": midpoint, "heun": heun}
NFE_PER_STEP = {"euler": 1, "midpoint": 2, "heun": 2}  # evaluations of a step
ADAPTIVE = ("dopri5", "bosh3", "adaptive_heun")


def integrate(
    field: Field, x0: torch.Tensor, *, solver: str, steps: int = 10, rtol: float = 1e-4, atol: float = 1e-4
) -> tuple[torch.Tensor, int]:
    """x(1) for x(0) = ``x0``, and how often the field was evaluated.

    An adaptive solver takes ``x0`` as one state and bounds the error's root mean square over all of it. Clips that
    must not know of one another are integrated one by one, without their padding.

    Args:
        field: v(x, t).
        x0: of any shape.
        solver: ``euler``, ``midpoint``, ``heun``, or adaptive: ``dopri5``, ``bosh3``, ``adaptive_heun``.
        steps: of a fixed-step solver; an adaptive one chooses its own.
        rtol: an adaptive solver keeps the error of each step under ``atol + rtol |x|``.
        atol: see ``rtol``.

    Raises:
        F2VError: no such solver, or no step to take.
    """
    evaluations = 0

    def counted(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        nonlocal evaluations
        evaluations += 1
        return field(x, t)

    if solver in ADAPTIVE:
        ends = torch.tensor([0.0, 1.0], dtype=x0.dtype, device=x0.device)
        x1 = odeint(lambda t, x: counted(x, t), x0, ends, rtol=rtol, atol=atol, method=solver)[-1]
    elif solver in FIXED:
        x1 = _walk(FIXED[solver], counted, x0, steps)
    else:
        raise F2VError(f"no ODE solver '{solver}'", suggest(solver, (*FIXED, *ADAPTIVE)))
    return x1, evaluations


def _walk(step: Step, field: Field, x: torch.Tensor, steps: int) -> torch.Tensor:
    """Steps of equal length from t = 0 to t = 1."""
    if steps < 1:
        raise F2VError(f"an ODE cannot be solved in {steps} steps", "choose one step or more")
    for t in torch.arange(steps, dtype=x.dtype, device=x.device) / steps:
        x = step(field, x, t, 1 / steps)
    return x
