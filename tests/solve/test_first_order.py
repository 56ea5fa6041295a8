import pytest
import torch

from isolux import FirstOrder, InputError, Status
from problems import Residuals, exponential_decay, unbounded


def solve(solver, count=3, **bounds):
    start = torch.tensor([[2.0, 1.5, 0.3]], dtype=torch.float64).repeat(count, 1)
    lower, upper = unbounded(count, 3)
    problem = Residuals(exponential_decay, 3, bounds.get("lower", lower), bounds.get("upper", upper))
    return solver.solve(problem, start)


@pytest.mark.parametrize(
    "solver",
    [
        FirstOrder("Adam", learning_rate=0.05, tolerance=1e-9),
        FirstOrder("NAdam", learning_rate=0.05, tolerance=1e-9),
        FirstOrder("RMSprop", learning_rate=0.003, iterations=4000, tolerance=1e-7),
        FirstOrder("SGD", learning_rate=0.02, iterations=4000, tolerance=1e-9, options={"momentum": 0.9}),
        FirstOrder(
            "LBFGS", iterations=60, tolerance=1e-9, patience=10, options={"line_search_fn": "strong_wolfe"}
        ),
    ],
    ids=lambda solver: solver.optimizer,
)
def test_optimisers_of_torch_find_the_minimum(solver):
    found = solve(solver)
    assert torch.allclose(found.theta, torch.tensor([3.0, 2.0, 0.5]).double().expand(3, 3), atol=0.02)
    assert (found.status == Status.CONVERGED).all()
    assert found.hessian is None


def test_early_stop_is_a_row_s_own():
    solver = FirstOrder("Adam", learning_rate=0.05, tolerance=1e-6, patience=20)
    start = torch.tensor([[2.0, 1.5, 0.3], [3.0, 2.0, 0.5]], dtype=torch.float64)
    problem = Residuals(lambda t, rows: exponential_decay(t, 0 * rows), 3, *unbounded(2, 3))
    found = solver.solve(problem, start)
    assert found.steps[1] < found.steps[0]


def test_bounds_are_kept():
    upper = torch.full((3, 3), torch.inf, dtype=torch.float64)
    upper[1, 0] = 2.5
    found = solve(FirstOrder("Adam", learning_rate=0.05, tolerance=1e-9), upper=upper)
    assert found.theta[1, 0] <= 2.5
    assert found.theta[0, 0] > 2.9


def test_misspelt_optimiser():
    with pytest.raises(InputError, match="did you mean 'Adam'"):
        FirstOrder("Adamm")
