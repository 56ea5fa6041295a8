"""Where a profile ends.

Pix2Prof's rule (Smith et al. 2021, section 2.3): a profile ends where the ratio of the power of signal and noise in a
window of 40 steps, (mean / standard deviation)^2, falls below 4. With ``ending="scatter"`` that is what is done: the
profile ends in the middle of the last window that reaches it. Since a galaxy's brightness changes within 40 steps much
more than by noise, which ends small galaxies early, the noise is by default the error of each point, and the window's
value the median of (I / error)^2, negative where I is. The window then is never longer than half the semi-major axis,
so that small galaxies do not lose their profile to the sky around them.
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
    outside = within < LEAST_WITHIN
    if faintest is None and options.ending == "scatter":
        return _by_scatter(level, outside, options)
    if faintest is None:
        value = level * level.abs() / error**2
        least = torch.full_like(sma[:, 0], options.power)
    else:
        value, least = level, faintest
    middle = _window_median(sma, value, options.window)
    ends = (middle < least[:, None]) | outside
    number = torch.arange(sma.shape[1], device=sma.device)
    length = torch.where(ends, number, sma.shape[1]).amin(1)
    at = length.clamp_max(sma.shape[1] - 1)[:, None]
    return length, outside.gather(1, at)[:, 0] | (length == sma.shape[1])


def _by_scatter(level: Points, outside: Tensor, options: IsophoteOptions) -> tuple[Tensor, Tensor]:
    """The paper's own rule: the middle of the last window whose mean is so many standard deviations, if any is."""
    count = level.shape[1]
    number = torch.arange(count, device=level.device)
    stamp = torch.where(outside, number, count).amin(1)
    there = torch.isfinite(level) & (number < stamp[:, None])
    window = min(options.window, count)
    known, first, second = (
        _window_sums(torch.where(there, values, 0.0), window)
        for values in (torch.ones_like(level), level, level * level)
    )
    mean = first / known.clamp_min(1.0)
    variance = (second / known.clamp_min(1.0) - mean**2).clamp_min(0.0)
    good = (mean > 0) & (mean * mean >= options.power * variance) & (known > GAPS * window)
    last = torch.where(good, number[: good.shape[1]], -1).amax(1)
    whole = last + window >= stamp
    length = torch.where(last < 0, 0, torch.where(whole, stamp, last + (window + 1) // 2))
    return length, whole & (last >= 0)


def _window_sums(values: Points, window: int) -> Points:
    """Sums (galaxy, first) over so many points from each on."""
    sums = torch.nn.functional.pad(torch.cumsum(values, 1), (1, 0))
    return sums[:, window:] - sums[:, :-window]


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
