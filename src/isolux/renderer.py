"""Model images and their derivatives: components on the canvas of a batch.

The way of the light:

    radial profiles    I(r) on the grid + its cusp by quadrature   (profiles, geometry, core)
    point sources      a phase in Fourier space
    image profiles     I(x, y) on the grid
         -> one multiplication by the PSF's transform               (psf)
         -> cut to the stamp -> + components that no PSF blurs (sky)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import torch

from isolux import core
from isolux.batch import Batch
from isolux.errors import unknown_name
from isolux.geometry import Ellipse, Offsets, chain, grid_offsets, locate, superellipse_area
from isolux.profiles.base import ImageProfile, PointProfile, Profile, RadialProfile
from isolux.psf import Canvas, make_canvas
from isolux.types import Images, Maps, Points, Rows, Tensor, Values

LN10_04 = 0.4 * math.log(10)
NEARLY_ZERO = 1e-30
"""Stands for an amplitude of zero where slopes are expressed as shares of it."""


@dataclasses.dataclass(frozen=True)
class _Part:
    """A component, and where its parameters stand among the columns."""

    profile: Profile
    columns: Mapping[str, slice]


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """A component's brightness and derivative images by parameter name, before they are put together.

    ``deposit`` holds what is still to be added to them: the total first, then the slopes in order.
    """

    total: Tensor
    slopes: dict[str, Tensor]
    deposit: core.Deposit | None = None


@dataclasses.dataclass(frozen=True)
class Design:
    """Model images and their derivatives as mixtures of maps.

    The model is sum_k mix[0, k] maps[k], its derivative for slot s is sum_k mix[1 + s, k] maps[k].

    Attributes
    ----------
    maps : Tensor
        (row, map, y, x).
    mix : Tensor
        (row, 1 + slot, map), float64.
    """

    maps: Maps
    mix: Tensor


@dataclasses.dataclass(frozen=True)
class Renderer:
    """A scene on the canvas of one batch.

    Attributes
    ----------
    parts : tuple
        The components that are drawn.
    canvas : Canvas
        Grid and PSF.
    zero_point : Tensor
        (galaxy,): AB magnitude of one image unit.
    centre : Tensor
        (galaxy, 2): x and y of the centre of each stamp, without its padding.
    """

    parts: tuple[_Part, ...]
    canvas: Canvas
    zero_point: Tensor
    centre: Tensor

    @classmethod
    def of(cls, components: Mapping[str, Profile], batch: Batch, only: str | None = None) -> Renderer:
        """The renderer of all components, or of one of them, for a batch."""
        if only is not None and only not in components:
            raise unknown_name("component", only, components)
        parts, start = [], 0
        for name, profile in components.items():
            columns = {}
            for short, (parameter, _) in profile.settings.items():
                columns[short] = slice(start, start + parameter.size)
                start += parameter.size
            if only in (None, name):
                parts.append(_Part(profile, columns))
        canvas = make_canvas(
            batch.psf,
            *batch.shape,
            batch.image,
            oversampling=batch.psf_oversampling,
            includes_pixel=batch.psf_includes_pixel,
        )
        centre = torch.tensor([batch.width, batch.height], dtype=torch.float64, device=batch.image.device).T
        return cls(tuple(parts), canvas, batch.zero_point.to(batch.image.device), (centre - 1) / 2)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the images."""
        return self.canvas.transform.real.dtype

    def model(self, values: Values, rows: Rows) -> Images:
        """Model images (row, y, x) of parameter values (row, parameter); differentiable."""
        slots = (None,) * values.shape[1]
        return self.model_and_slopes(values, rows, slots, 0)[:, 0]

    def design(self, values: Values, rows: Rows, slots: Sequence[int | None], count: int) -> Design:
        """Model and derivatives as mixtures of maps; arguments as for :meth:`model_and_slopes`."""
        maps = self.model_and_slopes(values, rows, slots, count)
        mix = torch.eye(1 + count, dtype=torch.float64, device=maps.device)
        return Design(maps, mix.expand(len(rows), -1, -1))

    def model_and_slopes(self, values: Values, rows: Rows, slots: Sequence[int | None], count: int) -> Maps:
        """Model and derivative images (row, 1 + slot, y, x).

        Parameters
        ----------
        values : Tensor
            (row, parameter).
        rows : Tensor
            (row,): the galaxy of each row.
        slots : sequence
            For each parameter the slot that its derivative is added to, or None.
        count : int
            Number of slots.
        """
        sharp: dict[int, Tensor] = {}
        cores: list[tuple[core.Deposit, list[int]]] = []
        spectra: dict[int, Tensor] = {}
        plain: dict[int, Tensor] = {}
        for part in self.parts:
            named = {name: values[:, columns] for name, columns in part.columns.items()}
            slot_of = {name: slots[columns.start] for name, columns in part.columns.items()}
            wanted = {name for name, slot in slot_of.items() if slot is not None}
            match part.profile:
                case RadialProfile() as profile:
                    drawn, target = self._radial(profile, named, wanted, rows), sharp
                case PointProfile() as profile:
                    drawn, target = self._point(profile, named, wanted, rows), spectra
                case ImageProfile() as profile:
                    drawn = self._plane(profile, named, wanted, rows)
                    target = sharp if profile.convolved else plain
            places = [0, *(1 + (slot_of[name] or 0) for name in drawn.slopes)]
            for place, image in zip(places, (drawn.total, *drawn.slopes.values()), strict=True):
                _accumulate(target, place, image)
            if drawn.deposit is not None:
                cores.append((drawn.deposit, places))
        return self._assemble(_planes(sharp, cores), spectra, plain, rows, 1 + count)

    def _assemble(
        self,
        sharp: tuple[list[int], Tensor | None],
        spectra: dict[int, Tensor],
        plain: dict[int, Tensor],
        rows: Rows,
        count: int,
    ) -> Maps:
        """Convolve what the PSF blurs, add what it does not."""
        places, planes = sharp
        if planes is not None:
            transformed = torch.fft.rfft2(planes)
            if not spectra:
                blurred, drawn = places, self.canvas.from_fourier(transformed, rows)
            for position, place in enumerate(places if spectra else []):
                _accumulate(spectra, place, transformed[:, position])
        if spectra:
            blurred = sorted(spectra)
            drawn = self.canvas.from_fourier(torch.stack([spectra[k] for k in blurred], 1), rows)
        if planes is None and not spectra:
            blurred = []
        if len(blurred) == count:
            maps = drawn
        else:
            size = (self.canvas.height, self.canvas.width)
            maps = torch.zeros(len(rows), count, *size, dtype=self.dtype, device=rows.device)
            for position, place in enumerate(blurred):
                maps[:, place] = drawn[:, position]
        for place, image in plain.items():
            maps[:, place] += image
        return maps

    def _radial(
        self, profile: RadialProfile, named: Mapping[str, Tensor], wanted: set[str], rows: Rows
    ) -> _Drawn:
        scale, scale_slopes = self._amplitude(profile, named, wanted, rows)
        low = {name: value.to(self.dtype) for name, value in named.items()}
        boxiness = low["boxiness"] if profile.has_boxiness else None
        ellipse = Ellipse(low["x"], low["y"], low["axis_ratio"], low["position_angle"], boxiness)
        shape = {parameter.name: low[parameter.name] for parameter in profile.parameters}
        nodes = core.nodes_around(ellipse, self.canvas.spacing, self.dtype)
        y_axis, x_axis = self.canvas.axes()
        on_grid = locate(ellipse, *grid_offsets(ellipse, x_axis, y_axis))
        at_nodes = locate(ellipse, nodes.major, nodes.minor)
        complement = core.window_complement(ellipse, on_grid, nodes.scale)
        brightness = _Brightness(profile, shape, ellipse, scale_slopes, wanted)
        total, slopes = brightness.at(on_grid, scale * complement, scale)
        core_total, core_slopes = brightness.at(at_nodes, scale, scale)
        light = torch.stack([core_total, *(core_slopes[name] for name in slopes)], 1)
        size = self.canvas.size
        return _Drawn(
            total.unflatten(1, size),
            {name: image.unflatten(1, size) for name, image in slopes.items()},
            core.deposit(self.canvas, ellipse, nodes, light),
        )

    def _amplitude(
        self, profile: RadialProfile, named: Mapping[str, Tensor], wanted: set[str], rows: Rows
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Factor (row, 1) that turns f(r) into surface brightness, and its derivatives."""
        amplitude = named[profile.amplitude]
        if profile.amplitude == "intensity":
            one = torch.ones_like(amplitude, dtype=self.dtype)
            scale = torch.where(amplitude == 0, NEARLY_ZERO, amplitude).to(self.dtype)
            return scale, {"intensity": one} if "intensity" in wanted else {}
        shape = [parameter.name for parameter in profile.parameters]
        factors = {name: named[name] for name in [*shape, "axis_ratio"] if name in wanted}
        if profile.has_boxiness and "boxiness" in wanted:
            factors["boxiness"] = named["boxiness"]
        logarithm, by_factor = _log_slopes(lambda v: self._log_total(profile, {**named, **v}), factors)
        total = torch.exp(logarithm)
        if profile.amplitude == "magnitude":
            flux = 10 ** (-0.4 * (amplitude - self.zero_point[rows, None]))
            by_amplitude = -LN10_04 * flux / total
        else:
            flux, by_amplitude = amplitude, 1 / total
        scale = torch.where(flux == 0, NEARLY_ZERO, flux / total)
        slopes = {name: -scale * slope for name, slope in by_factor.items()}
        if profile.amplitude in wanted:
            slopes[profile.amplitude] = by_amplitude
        return scale.to(self.dtype), {name: slope.to(self.dtype) for name, slope in slopes.items()}

    @staticmethod
    def _log_total(profile: RadialProfile, named: Mapping[str, Tensor]) -> Tensor:
        """Logarithm of the flux (row, 1) at unit intensity."""
        shape = {parameter.name: named[parameter.name] for parameter in profile.parameters}
        total = profile.total(**shape) * named["axis_ratio"]
        if profile.has_boxiness:
            total = total * superellipse_area(named["boxiness"])
        return torch.log(total)

    def _point(
        self, profile: PointProfile, named: Mapping[str, Tensor], wanted: set[str], rows: Rows
    ) -> _Drawn:
        ky, kx = self.canvas.frequencies()
        top, left = self.canvas.origin
        x, y = ((named[n] - start).to(self.dtype)[..., None] for n, start in (("x", left), ("y", top)))
        wave = torch.polar(torch.ones_like(ky * y), -ky * y) * torch.polar(torch.ones_like(kx * x), -kx * x)
        amplitude = named[profile.amplitude]
        cells = self.canvas.oversampling**2
        if profile.amplitude == "magnitude":
            amplitude = 10 ** (-0.4 * (amplitude - self.zero_point[rows, None]))
        flux = (amplitude * cells).to(self.dtype)[..., None]
        total = flux * wave
        slopes = {}
        if "x" in wanted:
            slopes["x"] = total * (-1j * kx)
        if "y" in wanted:
            slopes["y"] = total * (-1j * ky)
        if "magnitude" in wanted:
            slopes["magnitude"] = -LN10_04 * total
        if "flux" in wanted:
            slopes["flux"] = cells * wave
        return _Drawn(total, slopes)

    def _plane(
        self, profile: ImageProfile, named: Mapping[str, Tensor], wanted: set[str], rows: Rows
    ) -> _Drawn:
        low = {name: value.to(self.dtype) for name, value in named.items()}
        size = self.canvas.size if profile.convolved else (self.canvas.height, self.canvas.width)
        if profile.convolved:
            x, y = self.canvas.points()
        else:
            y_axis, x_axis = (torch.arange(n, device=rows.device, dtype=self.dtype) for n in size)
            y, x = (grid.reshape(1, -1) for grid in torch.meshgrid(y_axis, x_axis, indexing="ij"))
        x, y = x.expand(len(rows), -1), y.expand(len(rows), -1)
        if profile.from_centre:
            centre = self.centre[rows].to(self.dtype)
            x, y = x - centre[:, :1], y - centre[:, 1:]
        if not wanted:
            f = profile.brightness(x, y, **low)
            return _Drawn(f.expand_as(x).unflatten(1, size), {})
        f, slopes = profile.slopes(x, y, low, wanted)
        return _Drawn(
            f.unflatten(1, size), {name: image.unflatten(1, size) for name, image in slopes.items()}
        )


@dataclasses.dataclass(frozen=True)
class _Brightness:
    """Surface brightness of a radial profile, and its derivatives, at any points."""

    profile: RadialProfile
    shape: Mapping[str, Tensor]
    ellipse: Ellipse
    scale_slopes: Mapping[str, Tensor]
    wanted: set[str]

    def at(self, offsets: Offsets, weight: Tensor, scale: Tensor) -> tuple[Points, dict[str, Points]]:
        """Brightness times ``weight``, which is the amplitude ``scale`` times any function of position."""
        if not self.wanted:
            return weight * self.profile.brightness(offsets.radius, **self.shape), {}
        f, by_radius, by_shape = self.profile.slopes(
            offsets.radius, self.shape, self.wanted & set(self.shape)
        )
        light = weight * f
        slopes = {name: weight * image for name, image in by_shape.items()}
        by_ellipse = self.wanted & {"x", "y", "axis_ratio", "position_angle", "boxiness"}
        if by_ellipse:
            slopes |= chain(self.ellipse, offsets, weight * by_radius, by_ellipse)
        for name, slope in self.scale_slopes.items():
            share = slope / scale
            slopes[name] = torch.addcmul(slopes[name], light, share) if name in slopes else light * share
        return light, slopes


def _log_slopes(
    function: Callable[[dict[str, Tensor]], Tensor], values: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """A function of per-galaxy numbers, and its derivative for each of them, all galaxies at once."""
    if not values:
        return function({}), {}
    with torch.enable_grad():
        leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
        result = function(leaves)
        slopes = torch.autograd.grad(result.sum(), list(leaves.values()))
    return result.detach(), dict(zip(leaves, slopes, strict=True))


def _planes(
    sharp: Mapping[int, Tensor], cores: Sequence[tuple[core.Deposit, list[int]]]
) -> tuple[list[int], Tensor | None]:
    """The grid maps in order of their places, with the light of the cores added."""
    if not sharp:
        return [], None
    places = sorted(sharp)
    planes = torch.stack([sharp[place] for place in places], 1)
    flat = planes.flatten(1)
    cells = planes.shape[2] * planes.shape[3]
    for light, at in cores:
        offset = torch.tensor([places.index(place) * cells for place in at], device=flat.device)
        index = light.cell[:, None, :] + offset[None, :, None]
        flat.scatter_add_(1, index.flatten(1), light.light.flatten(1))
    return places, planes


def _accumulate(images: dict[int, Tensor], key: int, image: Tensor) -> None:
    images[key] = images[key] + image if key in images else image
