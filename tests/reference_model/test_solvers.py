"""ODE solvers: order of convergence, evaluations, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reference_model.solvers import ADAPTIVE, FIXED, Field, integrate
from tests.reference_model.gaussians import Gaussian

DATA = Gaussian(mean=1.5, deviation=0.4)
X0 = torch.linspace(-2, 2, 9, dtype=torch.float64)


def measured_order(solver: str, field: Field, x0: torch.Tensor, exact: torch.Tensor) -> float:
    """Return the slope of the log error over the log step size."""
    steps = np.array([64, 128, 256, 512])
    errors = [(integrate(field, x0, solver=solver, steps=int(n))[0] - exact).abs().max() for n in steps]
    return float(np.polyfit(np.log(1 / steps), np.log(errors), 1)[0])


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
def test_order_of_convergence(solver: str, order: int) -> None:
    """On dx/dt = x^2 cos(t), which is nonlinear in x and has the solution 1/x = 1/x_0 - sin(t)."""
    x0 = torch.linspace(-1, 0.6, 9, dtype=torch.float64)
    exact = x0 / (1 - x0 * np.sin(1))
    assert measured_order(solver, lambda x, t: x.square() * t.cos(), x0, exact) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 3), ("heun", 2)])
def test_order_of_convergence_on_normal_data(solver: str, order: int) -> None:
    """The variance of x_t is a square polynomial of t; then the midpoint rule's error of second order cancels."""
    assert measured_order(solver, DATA.velocity, X0, DATA.flow(X0)) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("solver", FIXED)
def test_a_constant_field_is_a_straight_line(solver: str) -> None:
    """Any number of steps gets it right, one as well."""
    for steps in (1, 3):
        x1, _ = integrate(lambda x, t: torch.full_like(x, 2.0), X0, solver=solver, steps=steps)
        torch.testing.assert_close(x1, X0 + 2)


def test_each_step_is_as_written() -> None:
    """dx/dt = x + t from x = 1 in one step, by hand, with the times of evaluation of the method."""
    one = torch.ones(1, dtype=torch.float64)
    for solver, end, times in [("euler", 2.0, [0.0]), ("midpoint", 3.0, [0.0, 0.5]), ("heun", 3.0, [0.0, 1.0])]:
        evaluated: list[float] = []

        def field(x: torch.Tensor, t: torch.Tensor, evaluated: list[float] = evaluated) -> torch.Tensor:
            evaluated.append(t.item())
            return x + t

        assert integrate(field, one, solver=solver, steps=1)[0].item() == pytest.approx(end)
        assert evaluated == times


@pytest.mark.parametrize(("solver", "each"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
@pytest.mark.parametrize("steps", [1, 7])
def test_evaluations_are_counted(solver: str, each: int, steps: int) -> None:
    calls = 0

    def field(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return x

    _, evaluations = integrate(field, X0, solver=solver, steps=steps)
    assert evaluations == calls == each * steps


@pytest.mark.parametrize("solver", ADAPTIVE)
def test_adaptive_solvers_match_the_flow_and_a_fine_euler(solver: str) -> None:
    x1, evaluations = integrate(DATA.velocity, X0, solver=solver, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(x1, DATA.flow(X0), atol=2e-4, rtol=0)
    fine, _ = integrate(DATA.velocity, X0, solver="euler", steps=4000)
    torch.testing.assert_close(x1, fine, atol=2e-3, rtol=0)
    _, fewer = integrate(DATA.velocity, X0, solver=solver, rtol=1e-2, atol=1e-2)
    assert 0 < fewer < evaluations


def test_single_precision_and_any_shape() -> None:
    x0 = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    for solver in (*FIXED, *ADAPTIVE):
        x1, _ = integrate(DATA.velocity, x0, solver=solver, steps=200)
        assert x1.dtype == torch.float32
        torch.testing.assert_close(x1, DATA.flow(x0), atol=2e-2, rtol=0)


def test_unknown_solvers_and_zero_steps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown ODE solver 'eular'.*did you mean 'euler'"):
        integrate(DATA.velocity, X0, solver="eular", steps=4)
    with pytest.raises(ValueError, match="at least 1 step, got 0"):
        integrate(DATA.velocity, X0, solver="heun", steps=0)
