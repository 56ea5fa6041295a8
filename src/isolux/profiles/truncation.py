"""A power that ends: w^a as w falls to zero at the edge of a truncated profile.

For a < 1 the slope of w^a grows without limit towards the edge, and the derivative of a model's pixel would
depend on how close to the edge it happens to lie. Below :data:`EDGE` the power is therefore replaced by the
straight line to zero, EDGE^(a - 1) w. For a >= 1/2 this changes the brightness by less than 0.001 of the
central one, over a strip far thinner than a pixel, and the flux by less than 1e-6.
"""

import torch

from isolux.types import Points, Tensor

EDGE = 1e-5
"""Where the straight line begins."""


def power_to_zero(w: Points, a: Tensor) -> Points:
    """w^a for w from 0 to 1, with a straight end; zero at zero."""
    above = w.clamp_min(EDGE)
    return torch.exp(a * torch.log(above)) * (w / above)


def power_slopes(w: Points, a: Tensor) -> tuple[Points, Points, Points]:
    """The power p, dp/dw and dp/da."""
    above = w.clamp_min(EDGE)
    logarithm = torch.log(above)
    level = torch.exp(a * logarithm)
    p = level * (w / above)
    by_w = level / above * torch.where(w > EDGE, a, torch.ones_like(a))
    return p, by_w, p * logarithm
