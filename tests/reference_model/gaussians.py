"""Normal data, for which OT-CFM has a closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Gaussian:
    """x_1 ~ N(m, d^2), every value by itself, and x_0 ~ N(0, 1).

    Then x_t = (1 - (1 - s) t) x_0 + t x_1 is normal with mean t m and variance (1 - (1 - s) t)^2 + t^2 d^2, and the
    best field is the conditional expectation of u = x_1 - (1 - s) x_0, linear in x_t.
    """

    mean: float
    deviation: float
    sigma_min: float = 1e-4

    def variance(self, t: torch.Tensor) -> torch.Tensor:
        """Of x_t."""
        return (1 - (1 - self.sigma_min) * t) ** 2 + t**2 * self.deviation**2

    def velocity(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """E[u | x_t = x] = m + cov(u, x_t) / var(x_t) (x - t m)."""
        shrink = 1 - self.sigma_min
        covariance = t * self.deviation**2 - shrink * (1 - shrink * t)
        return self.mean + covariance / self.variance(t) * (x - t * self.mean)

    def flow(self, x0: torch.Tensor) -> torch.Tensor:
        """x(1) = m + sqrt(var(x_1)) x(0), the solution of dx/dt = velocity(x, t)."""
        return self.mean + (self.sigma_min**2 + self.deviation**2) ** 0.5 * x0
