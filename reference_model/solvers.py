"""ODE solvers for dx/dt = v(x, t) from t = 0 to t = 1.

Three have fixed steps, so their cost is known beforehand. Three choose their steps by an estimate of the error.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torchdiffeq import odeint

from f2v_bench.errors import suggest

Field = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # v(x, t), t a scalar tensor, v of the shape of x
Step = Callable[[Field, torch.Tensor, torch.Tensor, float], torch.Tensor]


def euler(v: Field, x: torch.Tensor, t: torch.Tensor, h: float) -> torch.Tensor:
    """Take a step of order 1, one evaluation: x + h v(x, t)."""
    return x + h * v(x, t)


def midpoint(v: Field, x: torch.Tensor, t: torch.Tensor, h: float) -> torch.Tensor:
    """Take a step of order 2, two evaluations: x + h v(x + h/2 v(x, t), t + h/2)."""
    half = x + h / 2 * v(x, t)
    return x + h * v(half, t + h / 2)


def heun(v: Field, x: torch.Tensor, t: torch.Tensor, h: float) -> torch.Tensor:
    """Take a step of order 2, two evaluations: x + h/2 (v(x, t) + v(x + h v(x, t), t + h))."""
    start = v(x, t)
    return x + h / 2 * (start + v(x + h * start, t + h))


FIXED: dict[str, Step] = {"euler": euler, "midpoint": midpoint, "heun": heun}
NFE_PER_STEP = {"euler": 1, "midpoint": 2, "heun": 2}  # function evaluations per step
ADAPTIVE = ("dopri5", "bosh3", "adaptive_heun")


def integrate(
    field: Field, x0: torch.Tensor, *, solver: str, steps: int = 10, rtol: float = 1e-4, atol: float = 1e-4
) -> tuple[torch.Tensor, int]:
    """Integrate a field from x(0) = ``x0`` to x(1), and count its evaluations.

    An adaptive solver takes ``x0`` as one state and bounds the root mean square of the error over all of it. Clips
    that must not depend on each other are integrated one by one, without their padding.

    Args:
        field: velocity field v(x, t).
        x0: initial state, any shape.
        solver: ``euler``, ``midpoint``, ``heun``, or adaptive: ``dopri5``, ``bosh3``, ``adaptive_heun``.
        steps: number of steps of a fixed-step solver; an adaptive one chooses its own.
        rtol: relative tolerance of an adaptive solver; the error of a step stays under ``atol + rtol |x|``.
        atol: absolute tolerance, see ``rtol``.

    Returns:
        x(1) and the number of evaluations.

    Raises:
        ValueError: the solver is unknown, or there are fewer than one step.
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
        x1 = _integrate_fixed(FIXED[solver], counted, x0, steps)
    else:
        raise ValueError(f"unknown ODE solver '{solver}'; {suggest(solver, (*FIXED, *ADAPTIVE))}")
    return x1, evaluations


def _integrate_fixed(step: Step, field: Field, x: torch.Tensor, steps: int) -> torch.Tensor:
    """Take steps of equal length from t = 0 to t = 1."""
    if steps < 1:
        raise ValueError(f"an ODE solver needs at least 1 step, got {steps}")
    for t in torch.arange(steps, dtype=x.dtype, device=x.device) / steps:
        x = step(field, x, t, 1 / steps)
    return x
