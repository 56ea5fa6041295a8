import dataclasses

import pytest
import torch

from isolux import FirstOrder, LevenbergMarquardt
from isolux.testing import check_solver

SOLVERS = [
    LevenbergMarquardt(tolerance=1e-9),
    LevenbergMarquardt(tolerance=1e-9, width=2),
    FirstOrder("Adam", learning_rate=0.05, tolerance=1e-8),
]


@pytest.mark.parametrize("solver", SOLVERS, ids=["lm", "lm-narrow", "adam"])
def test_shipped_solvers_conform(solver):
    check_solver(solver)


@dataclasses.dataclass
class Spoilt:
    """A solver with something done to its solution."""

    spoil: object

    def solve(self, problem, theta):
        return self.spoil(LevenbergMarquardt(tolerance=1e-9).solve(problem, theta))


def shift(solution):
    return dataclasses.replace(solution, theta=solution.theta + 0.1)


def mix(solution):
    return dataclasses.replace(
        solution, theta=solution.theta - 1e-9 * torch.nan_to_num(solution.theta).mean(0)
    )


def forget(solution):
    return dataclasses.replace(solution, status=torch.full_like(solution.status, 1))


@pytest.mark.parametrize(
    ("spoil", "text"), [(shift, "missed"), (mix, "changed the others"), (forget, "must say so")]
)
def test_faulty_solvers_are_found(spoil, text):
    with pytest.raises(AssertionError, match=text):
        check_solver(Spoilt(spoil))
