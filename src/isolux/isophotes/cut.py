"""Where a profile ends.

Pix2Prof's rule (Smith et al. 2021, section 2.3): a profile ends where the ratio of the power of signal and noise in a
window of 40 steps falls below 4. The paper takes mean and standard deviation of the brightness in the window; since a
galaxy's brightness changes within 40 steps much more than by noise, the noise is here the error of each point, and the
window's value the median of (I / error)^2, negative where I is. The window is never longer than half the semi-major
axis, so that small galaxies do not lose their profile to the sky around them.
"""

from __future__ import annotations

import torch

from isolux.isophotes.harmonics import in_order
from isolux.isophotes.options import IsophoteOptions
from isolux.types import Points, Tensor

LONGEST = 0.25
"""Half the window at most, in semi-major axes."""
LEAST_WITHIN = 0.25
"""Share of a ring that must lie on the stamp."""
GAPS = 0.5
"""Share of a window that must be measured for it to say anything."""


def profile_length(
    sma: Points,
    level: Points,
    error: Points,
    within: Points,
    faintest: Tensor | None,
    options: IsophoteOptions,
) -> tuple[Tensor, Tensor]:
    """Number of points (galaxy,) of each profile, and whether it is the stamp that ends it.

    Parameters
    ----------
    sma, level, error, within : Tensor
        (galaxy, ring): brightness NaN where nothing is measured.
    faintest : Tensor or None
        (galaxy,): brightness at which profiles end, instead of the rule.
    options : IsophoteOptions
        The rule.
    """
    if faintest is None:
        value = level * level.abs() / error**2
        least = torch.full_like(sma[:, 0], options.power)
    else:
        value, least = level, faintest
    middle = _window_median(sma, value, options.window)
    outside = within < LEAST_WITHIN
    ends = (middle < least[:, None]) | outside
    number = torch.arange(sma.shape[1], device=sma.device)
    length = torch.where(ends, number, sma.shape[1]).amin(1)
    at = length.clamp_max(sma.shape[1] - 1)[:, None]
    return length, outside.gather(1, at)[:, 0] | (length == sma.shape[1])


def _window_median(sma: Points, value: Points, window: int) -> Points:
    """Median in a window around each ring; infinite where too little of it is measured."""
    count = sma.shape[1]
    half = max(window // 2, 1)
    offsets = torch.arange(-half, half + 1, device=sma.device)
    place = torch.arange(count, device=sma.device)[:, None] + offsets
    there = (place >= 0) & (place < count)
    flat = place.clamp(0, count - 1).flatten()
    near = (sma[:, flat].view(-1, *place.shape) - sma[..., None]).abs() <= LONGEST * sma[..., None] + 1e-9
    values = value[:, flat].view(-1, *place.shape)
    near = near & there
    known = near & torch.isfinite(values)
    ordered = in_order(torch.where(known, values, torch.inf))
    number = known.sum(2, keepdim=True)
    low, high = ((number - k).clamp_min(0) // 2 for k in (1, 0))
    high = torch.minimum(high, (number - 1).clamp_min(0))
    found = 0.5 * (ordered.gather(2, low) + ordered.gather(2, high))[..., 0]
    enough = number[..., 0] > GAPS * near.sum(2)
    return torch.where(enough, found, torch.inf)
