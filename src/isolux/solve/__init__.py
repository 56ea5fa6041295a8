"""Solvers of many small problems at once. They know rows of numbers, not galaxies."""

from isolux.solve.gradient import FirstOrder
from isolux.solve.levenberg_marquardt import LevenbergMarquardt
from isolux.solve.problem import Linearised, Problem, Solution
from isolux.solve.sampler import Density, Sampler, Samples

__all__ = [
    "Density",
    "FirstOrder",
    "LevenbergMarquardt",
    "Linearised",
    "Problem",
    "Sampler",
    "Samples",
    "Solution",
]
