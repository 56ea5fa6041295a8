"""Conformance tests for profiles and solvers, for us and for users who write their own."""

from isolux.testing.profile import check_profile
from isolux.testing.solver import check_solver

__all__ = ["check_profile", "check_solver"]
