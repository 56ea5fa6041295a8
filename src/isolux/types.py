"""The glossary of tensor shapes.

Every array in Isolux carries its galaxies on the first axis. The names below say what the remaining axes
are; they are plain aliases of :class:`torch.Tensor`, there to be read in signatures.
"""

from typing import TypeAlias

import torch

Tensor: TypeAlias = torch.Tensor

PerGalaxy: TypeAlias = torch.Tensor
"""(galaxy,): one number a galaxy, such as a chi-square or a zero point."""

Images: TypeAlias = torch.Tensor
"""(galaxy, y, x): one stamp a galaxy; row ``y``, column ``x``."""

Maps: TypeAlias = torch.Tensor
"""(galaxy, map, y, x): several images a galaxy, such as a model and its derivatives."""

Points: TypeAlias = torch.Tensor
"""(galaxy, point): a quantity at scattered points, such as the elliptical radius."""

Values: TypeAlias = torch.Tensor
"""(galaxy, parameter): every parameter of the scene in its own unit."""

Theta: TypeAlias = torch.Tensor
"""(galaxy, free): what the solver moves; logarithms where a parameter is logarithmic."""

Rows: TypeAlias = torch.Tensor
"""(row,) integers: which fits of a problem are meant; one galaxy may own several rows."""
