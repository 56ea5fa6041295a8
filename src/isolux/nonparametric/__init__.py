"""Sizes, magnitudes and shapes of galaxies without a model: Petrosian, Kron, growth curves, CAS, Gini and M20.

:func:`measure_shapes` is the way in; :mod:`isolux.nonparametric.measure` is its order of things.
"""

from isolux.nonparametric.flags import ShapeFlag
from isolux.nonparametric.measure import measure_shapes
from isolux.nonparametric.shapes import COLUMNS, Shapes

__all__ = ["COLUMNS", "ShapeFlag", "Shapes", "measure_shapes"]
