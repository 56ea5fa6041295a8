import pytest
import torch

from isolux import InputError, LevenbergMarquardt, Status
from problems import Residuals, exponential_decay, powell_singular, rosenbrock, unbounded

TIGHT = LevenbergMarquardt(tolerance=1e-16, max_steps=200)


def problem(function, start, **bounds):
    lower, upper = unbounded(*start.shape)
    return Residuals(function, start.shape[1], bounds.get("lower", lower), bounds.get("upper", upper))


def starts(count, *values):
    offsets = torch.linspace(-0.3, 0.3, count, dtype=torch.float64)[:, None]
    return torch.tensor([values], dtype=torch.float64) + offsets


def test_rosenbrock_from_many_starts():
    start = starts(9, -1.2, 1.0)
    found = TIGHT.solve(problem(rosenbrock, start), start)
    assert (found.status == Status.CONVERGED).all()
    assert torch.allclose(found.theta, torch.ones(9, 2).double(), atol=1e-6)


def test_singular_jacobian_at_the_minimum():
    start = starts(3, 3.0, -1.0, 0.0, 1.0)
    found = LevenbergMarquardt(tolerance=1e-12).solve(problem(powell_singular, start), start)
    assert (found.cost < 1e-9).all()


def test_each_row_has_its_own_data_and_steps():
    start = starts(6, 1.0, 1.0, 0.0)
    start[4] = torch.tensor([3.0, 2.0, 0.5])
    found = TIGHT.solve(problem(exponential_decay, start), start)
    assert torch.allclose(found.theta, torch.tensor([3.0, 2.0, 0.5]).double().expand(6, 3), atol=1e-5)
    assert found.steps[4] < found.steps[0]


def test_minimum_beyond_a_bound_ends_on_it():
    start = starts(4, 1.0, 1.0, 0.2)
    upper = torch.full_like(start, torch.inf)
    upper[1, 1] = 1.5
    found = TIGHT.solve(problem(exponential_decay, start, upper=upper), start)
    assert found.theta[1, 1] == 1.5
    assert (found.status == Status.CONVERGED).all()
    gradient = problem(exponential_decay, start).linearise(found.theta, torch.arange(4)).gradient[1]
    assert abs(gradient[0]) < 1e-5  # the others are at their best for that bound
    assert gradient[1] > 0  # and this one is pushed against it
    assert torch.allclose(found.theta[0], torch.tensor([3.0, 2.0, 0.5]).double(), atol=1e-5)


def test_start_on_a_bound_can_leave_it():
    start = starts(1, 1.0, 1.0, 0.5)
    lower = torch.full_like(start, -torch.inf)
    lower[0, 1] = start[0, 1]
    found = TIGHT.solve(problem(exponential_decay, start, lower=lower), start)
    assert abs(found.theta[0, 1] - 2) < 1e-5


@pytest.mark.parametrize("width", [1, 2, 3, 50])
def test_width_changes_nothing(width):
    start = starts(7, -1.2, 1.0)
    one = TIGHT.solve(problem(rosenbrock, start), start)
    other = LevenbergMarquardt(tolerance=1e-16, max_steps=200, width=width).solve(
        problem(rosenbrock, start), start
    )
    assert torch.allclose(one.theta, other.theta, rtol=1e-10)
    assert torch.equal(one.steps, other.steps)


def test_row_that_is_not_finite_ends_at_once_and_alone():
    start = starts(5, -1.2, 1.0)

    def poisoned(theta, rows):
        return torch.where(rows[:, None] == 2, torch.nan, rosenbrock(theta, rows))

    clean = TIGHT.solve(problem(rosenbrock, start), start)
    found = TIGHT.solve(problem(poisoned, start), start)
    assert found.status[2] == Status.NOT_FINITE
    others = [0, 1, 3, 4]
    assert torch.equal(found.theta[others], clean.theta[others])
    assert found.steps[2] == 1


def test_step_limit_is_reported():
    start = starts(3, -1.2, 1.0)
    found = LevenbergMarquardt(tolerance=1e-16, max_steps=3).solve(problem(rosenbrock, start), start)
    assert (found.status == Status.STEP_LIMIT).all()
    assert (found.steps == 3).all()


def test_no_rows():
    start = torch.zeros(0, 2, dtype=torch.float64)
    assert len(TIGHT.solve(problem(rosenbrock, start), start).theta) == 0


@pytest.mark.parametrize("options", [{"max_steps": 0}, {"tolerance": -1.0}, {"damping": 0.0}])
def test_impossible_options(options):
    with pytest.raises(InputError, match="must be above 0"):
        LevenbergMarquardt(**options)
