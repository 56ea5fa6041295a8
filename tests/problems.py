"""Least-squares problems with known answers, for the solvers."""

import dataclasses

import torch

from isolux.solve.problem import Linearised


@dataclasses.dataclass
class Residuals:
    """Rows of one problem given by its residual function theta (row, free) -> (row, residual)."""

    function: object
    n_free: int
    lower: torch.Tensor
    upper: torch.Tensor

    @property
    def scale(self):
        return torch.ones(self.n_free, dtype=torch.float64)

    @property
    def lot(self):
        return 1

    @property
    def places(self):
        return 4

    def bounds(self):
        return self.lower, self.upper

    def cost(self, theta, rows):
        return (self.function(theta, rows) ** 2).sum(1)

    def linearise(self, theta, rows):
        residual = self.function(theta, rows)
        columns = []
        for k in range(self.n_free):
            direction = torch.zeros_like(theta)
            direction[:, k] = 1
            columns.append(torch.func.jvp(lambda t: self.function(t, rows), (theta,), (direction,))[1])
        jacobian = -torch.stack(columns, 2)
        return Linearised(
            (residual**2).sum(1),
            (jacobian.transpose(1, 2) @ residual[..., None])[..., 0],
            jacobian.transpose(1, 2) @ jacobian,
        )


def unbounded(count, free):
    return torch.full((count, free), -torch.inf).double(), torch.full((count, free), torch.inf).double()


def rosenbrock(theta, rows):
    """Minimum 0 at (1, 1), at the end of a curved valley."""
    return torch.stack([10 * (theta[:, 1] - theta[:, 0] ** 2), 1 - theta[:, 0]], 1)


def powell_singular(theta, rows):
    """Minimum 0 at the origin, where the Jacobian is singular."""
    a, b, c, d = theta.unbind(1)
    return torch.stack([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2], 1)


def exponential_decay(theta, rows):
    """y = 3 exp(-2 t) + 0.5 with no noise; each row has its own sampling."""
    t = torch.linspace(0, 2, 20, dtype=theta.dtype)[None] * (1 + 0.1 * rows[:, None])
    truth = 3 * torch.exp(-2 * t) + 0.5
    return truth - (theta[:, :1] * torch.exp(-theta[:, 1:2] * t) + theta[:, 2:])
