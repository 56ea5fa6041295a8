"""Functions whose last bit does not depend on where in a tensor a number stands.

On a CPU vector code does so many numbers at a time, and what is left at the end by other code, whose results may differ
in the last bit: a galaxy at the end of its batch would come out differently from one at its beginning. Filled up to
whole vectors, there is no rest.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from isolux.types import Tensor

WHOLE = 2048
"""A multiple of all vectors' lengths, also when several threads share the work."""


def steady(function: Callable[..., Tensor], *values: Tensor) -> Tensor:
    """An elementwise function of tensors of one shape."""
    count = values[0].numel()
    missing = -count % WHOLE
    if values[0].device.type != "cpu" or not missing:
        return function(*(t.contiguous() for t in values))
    filled = (torch.cat([t.reshape(-1), t.new_ones(missing)]) for t in values)
    return function(*filled)[:count].view(values[0].shape)
