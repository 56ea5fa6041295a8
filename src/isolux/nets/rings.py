"""What :class:`isolux.nets.profile.PolarNet` says of a batch, on rings in the image's own pixels and units.

Images larger than :data:`isolux.nets.frame.LARGEST` are binned before they are read, in which the inner rings lose
what the binning blurs: in drawn galaxies of 512 pixels a tenth of a magnitude at the centre. So they are read twice:
binned, and as a window of the image's own pixels about the centre that this has found. The inner rings are those of
the window, the outer ones those of the binned image, and between the two one goes over into the other.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.batch import Batch
from isolux.nets.frame import LARGEST, Frame, psf_area
from isolux.nets.polar import ring_radii
from isolux.nets.profile import PolarNet, Reading
from isolux.source import sky_level
from isolux.types import PerGalaxy, Points, Tensor

HANDOVER = (32.0, 64.0)
"""Semi-major axes in pixels between which rings of the window go over into those of the binned image."""
CENTRAL = 0.25
"""Pixels beyond the last ring to which a profile reaches: one of the first ring alone has one radius."""


@dataclasses.dataclass(frozen=True, eq=False)
class Rings:
    """A reading in pixels and units of the images.

    Attributes
    ----------
    radii : Tensor
        (ring,): semi-major axes in pixels.
    brightness, growth : Tensor
        (galaxy, ring, 3): 16th, 50th and 84th percentile of ln(image units a pixel) and of ln(flux inside).
    shape : Tensor
        (galaxy, ring, 2): e cos 2 PA, e sin 2 PA.
    shape_log_error : Tensor
        (galaxy, ring).
    there : Tensor
        (galaxy, ring): logit of that the ring belongs to the profile.
    x, y : Tensor
        (galaxy,): centre in pixels.
    """

    radii: Tensor
    brightness: Tensor
    growth: Tensor
    shape: Tensor
    shape_log_error: Points
    there: Points
    x: PerGalaxy
    y: PerGalaxy

    @property
    def length(self) -> Tensor:
        """Rings (galaxy,) of the profile; zero where there is no galaxy."""
        return (self.there > 0).long().cumprod(1).sum(1)

    @property
    def end(self) -> PerGalaxy:
        """Semi-major axis in pixels to which the profile reaches; negative where there is no galaxy."""
        length = self.length
        return torch.where(length > 0, self.radii[(length - 1).clamp_min(0)] + CENTRAL, -1.0)

    def at(self, sma: Points) -> Rings:
        """The same at other semi-major axes (galaxy, radius), of which there is no common ``radii``."""
        names = ("brightness", "growth", "shape")
        found = {name: at(self.radii, getattr(self, name), sma) for name in names}
        for name in ("shape_log_error", "there"):
            found[name] = at(self.radii, getattr(self, name)[..., None], sma)[..., 0]
        return dataclasses.replace(self, radii=sma, **found)


def read_rings(batch: Batch, network: PolarNet, frame: Frame) -> Rings:
    """The last pass's reading of all galaxies of a batch, of which the frame is."""
    times = frame.binning
    middle = torch.full_like(frame.x, 0.5 * (times - 1))
    whole = _in_image(network(frame)[-1], frame, middle, middle)
    if times == 1:
        return whole
    near, left, low = _window(batch, frame, whole)
    return _merged(whole, _in_image(network(near)[-1], near, left, low))


def _in_image(said: Reading, frame: Frame, left: PerGalaxy, low: PerGalaxy) -> Rings:
    """In image pixels, where the frame's first pixel has its centre at (left, low)."""
    times, unit = frame.binning, torch.log(frame.unit.double())[:, None, None]
    # A binned pixel is the mean of its pixels: the brightness is a pixel's, the flux that of times^2 of them.
    return Rings(
        ring_radii(said.x.device).double() * times,
        said.brightness.double() + unit,
        said.growth.double() + unit + 2 * math.log(times),
        said.shape.double(),
        said.shape_log_error.double(),
        said.there.double(),
        said.x.double() * times + left,
        said.y.double() * times + low,
    )


def _window(batch: Batch, frame: Frame, whole: Rings) -> tuple[Frame, PerGalaxy, PerGalaxy]:
    """The image's own pixels about a centre, above the binned image's sky; columns and rows they begin at."""
    tall, wide = (min(n, LARGEST) for n in batch.shape)
    low, left = (
        (place.round().long() - own // 2).clamp(0, side - own)
        for place, own, side in ((whole.y, tall, batch.shape[0]), (whole.x, wide, batch.shape[1]))
    )
    rows = low[:, None] + torch.arange(tall, device=low.device)
    columns = left[:, None] + torch.arange(wide, device=low.device)
    galaxy = torch.arange(len(batch), device=low.device)[:, None, None]
    image, bad = (t[galaxy, rows[:, :, None], columns[:, None]] for t in (batch.image, batch.mask))
    unit = torch.maximum(sky_level(batch)[1], frame.unit)
    light = ((image.double() - frame.sky[:, None, None]) / unit[:, None, None]).float()
    good = (~bad).float()
    light = torch.nan_to_num(light, posinf=0.0, neginf=0.0) * good
    x, y = ((place - first).float() for place, first in ((whole.x, left), (whole.y, low)))
    return Frame(light, good, x, y, _mean_shape(whole), psf_area(batch), unit, frame.sky), left, low


def _mean_shape(whole: Rings) -> Tensor:
    """Shape (galaxy, 2): the mean over the profile, of which the inner rings are as round as the PSF."""
    weight = (whole.there > 0).cumprod(1) * whole.radii + 1e-6
    return ((whole.shape * weight[..., None]).sum(1) / weight.sum(1, keepdim=True)).float()


def _merged(whole: Rings, near: Rings) -> Rings:
    """Inner rings of the one and outer rings of the other; of the first one alone where the second finds nothing."""
    inner, outer = near.radii, whole.radii
    radii = torch.cat([inner[inner < HANDOVER[0]], outer[outer >= HANDOVER[0]]])
    start, stop = (math.log(a) for a in HANDOVER)
    share = ((stop - torch.log(radii.clamp_min(1e-3))) / (stop - start)).clamp(0, 1)
    found = (near.length > 0) | (whole.length == 0)
    share = share * found[:, None]
    grid = radii.expand(len(whole.x), -1)
    one, two = near.at(grid), whole.at(grid)
    mixed = {
        f.name: torch.lerp(b, a, share if a.ndim == 2 else share[..., None])
        for f in dataclasses.fields(Rings)
        if f.name not in ("radii", "x", "y")
        for a, b in ((getattr(one, f.name), getattr(two, f.name)),)
    }
    x, y = (torch.where(found, a, b) for a, b in ((near.x, whole.x), (near.y, whole.y)))
    return Rings(radii=radii, x=x, y=y, **mixed)


def at(rings: Tensor, values: Tensor, sma: Points) -> Tensor:
    """Values (galaxy, ring, ...) at semi-major axes (galaxy, radius), linear in ln(a + a_1 / 2)."""
    own, wanted = (torch.log(a + 0.5 * rings[1]) for a in (rings, sma))
    place = torch.searchsorted(own, wanted.contiguous()).clamp(1, len(rings) - 1)
    share = ((wanted - own[place - 1]) / (own[place] - own[place - 1])).clamp(0, 1)[..., None]
    index = place[..., None].expand(-1, -1, values.shape[2])
    return values.gather(1, index - 1) * (1 - share) + values.gather(1, index) * share
