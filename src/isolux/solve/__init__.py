"""Solvers of many small problems at once. They know rows of numbers, not galaxies."""

from isolux.solve.gradient import FirstOrder
from isolux.solve.levenberg_marquardt import LevenbergMarquardt
from isolux.solve.problem import Linearised, Problem, Solution

__all__ = ["FirstOrder", "LevenbergMarquardt", "Linearised", "Problem", "Solution"]
