"""The same truth drawn by GalSim, pixel for pixel, to test what Isolux draws and to make fields that it did not draw.

Nothing of :mod:`isolux.renderer` is used: profiles, convolutions and interpolation are GalSim's, and what breaks the
parametric model is written down a second time. Shared are the truth, the images of the PSF, and where sources are
cut off (:func:`isolux.mock.extent.stamp_sides`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from isolux.errors import MissingExtra
from isolux.mock.components import disc_fluxes
from isolux.mock.extent import stamp_sides
from isolux.mock.features import BAR_INDEX
from isolux.mock.mock_field import MockField
from isolux.mock.population import REFERENCE
from isolux.mock.relief import clump_places
from isolux.mock.surveys import Band
from isolux.mock.truth import of_band
from isolux.psf_model import PsfModel

FINEST, SAMPLES = 8, 30
"""Samples a pixel of discs with arms and dust at most, and samples a scale length that suffice."""
LARGE = 512
"""Sides of stamps from which on GalSim's own, looser limit on folded light holds: transforms would be too large."""
LARGEST = 16384
"""Largest transforms that GalSim may make."""


def twin_image(
    mock: MockField, band: str, rows: Any = None, progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Noiseless sources of a mock field, drawn by GalSim.

    Parameters
    ----------
    mock : MockField
        The field.
    band : str
        Which of its bands.
    rows : sequence of int, optional
        Only these sources.
    progress : callable, optional
        Called with the number of sources drawn and of all.

    Returns
    -------
    numpy.ndarray
        (y, x), float64, in image units: to be compared with ``mock.noiseless[band]``, or given to
        ``mock.observed``, which adds the sky and the noise of the mock field.

    Raises
    ------
    MissingExtra
        If GalSim is not installed.
    """
    try:
        import galsim
    except ImportError:
        raise MissingExtra("galsim", "check") from None
    like, psf = mock.band(band), mock.psf[band]
    truth = of_band(mock.truth, band)
    shape = mock.bands[band].shape
    field = galsim.ImageD(np.zeros(shape), xmin=0, ymin=0)
    sides = stamp_sides(truth, like, psf, mock.options.edge * mock.sigma[band])
    chosen = range(len(sides)) if rows is None else rows
    alike = None if psf.degree else _star(galsim, psf, *psf.offset)
    for done, row in enumerate(chosen):
        own = {name: values[row] for name, values in truth.items()}
        side = int(min(sides[row], 2 * max(shape)))
        bounds = _bounds(galsim, own["x"], own["y"], side) & field.bounds
        if bounds.isDefined():
            star = alike or _star(galsim, psf, own["x"], own["y"])
            source = galsim.Convolve(_light(galsim, own, like, side), star, gsparams=_params(galsim, side))
            stamp = field[bounds]
            source.drawImage(
                stamp,
                center=galsim.PositionD(own["x"], own["y"]),
                scale=1.0,
                method="no_pixel",
                add_to_image=True,
            )
        if progress:
            progress(done + 1, len(chosen))
    return np.asarray(field.array)


def _params(galsim: Any, side: int) -> Any:
    """Limits well below what is compared, where that can be."""
    folding = 1e-3 if side < LARGE else 5e-3
    return galsim.GSParams(maximum_fft_size=LARGEST, folding_threshold=folding, kvalue_accuracy=1e-6)


def _bounds(galsim: Any, x: float, y: float, side: int) -> Any:
    left, low = round(float(x)) - side // 2, round(float(y)) - side // 2
    return galsim.BoundsI(left, left + side - 1, low, low + side - 1)


def _star(galsim: Any, psf: PsfModel, x: float, y: float) -> Any:
    """The PSF at a position, the pixel in it."""
    image = galsim.ImageD(psf.at(x, y)[0])
    return galsim.InterpolatedImage(
        image,
        scale=1 / psf.oversampling,
        x_interpolant=galsim.Lanczos(15),
        flux=1.0,
        gsparams=galsim.GSParams(maximum_fft_size=LARGEST, kvalue_accuracy=1e-6),
    )


def _light(galsim: Any, own: Mapping[str, Any], band: Band, side: int) -> Any:
    """A source before the PSF, in pixels."""
    scale = band.pixel_scale
    params = _params(galsim, side)

    def sersic(index: float, radius: float, ratio: float, angle: float, flux: float) -> Any:
        round_one = galsim.Sersic(
            n=index, half_light_radius=radius * math.sqrt(ratio) / scale, flux=flux, gsparams=params
        )
        return round_one.shear(q=ratio, beta=(90 + angle) * galsim.degrees)

    if own["kind"] == "star":
        return galsim.DeltaFunction(flux=float(band.flux(own["magnitude"])))
    if own["kind"] == "sersic":
        shape = (own["sersic_index"], own["effective_radius"], own["axis_ratio"], own["position_angle"])
        return sersic(*shape, float(band.flux(own["magnitude"])))
    bulge = sersic(
        own["bulge_sersic_index"],
        own["bulge_effective_radius"],
        own["bulge_axis_ratio"],
        own["bulge_position_angle"],
        float(band.flux(own["bulge_magnitude"])),
    )
    fluxes = {name: float(flux) for name, flux in disc_fluxes(own, band).items()}
    if own["realistic"]:
        return bulge + _realistic(galsim, own, band, fluxes, side, sersic)
    disc = galsim.Exponential(
        scale_radius=own["disc_scale_radius"] * math.sqrt(own["disc_axis_ratio"]) / scale,
        flux=fluxes["plain"],
        gsparams=params,
    )
    return bulge + disc.shear(
        q=own["disc_axis_ratio"], beta=(90 + own["disc_position_angle"]) * galsim.degrees
    )


def _realistic(
    galsim: Any,
    own: Mapping[str, Any],
    band: Band,
    fluxes: Mapping[str, float],
    side: int,
    sersic: Callable[..., Any],
) -> Any:
    """A disc with arms and dust, its clumps, and its bar."""
    length = own["disc_scale_radius"] / band.pixel_scale
    parts = [_disc(galsim, own, band, fluxes["plain"], length, side)]
    if fluxes["bar"] > 0:
        bar = (own["bar_radius"] * own["disc_scale_radius"], own["bar_ratio"], own["bar_angle"])
        parts.append(sersic(BAR_INDEX, *bar, fluxes["bar"]))
    one = {name: np.atleast_1d(value)[None] for name, value in own.items() if name.startswith("clump_")}
    one |= {name: np.atleast_1d(own[name]) for name in ("x", "y", "disc_position_angle")}
    x, y = clump_places(one, np.array([[length]]))
    for k in np.flatnonzero(own["clump_weight"] > 0):
        clump = galsim.Gaussian(
            sigma=own["clump_size"] * length, flux=fluxes["clumps"] * own["clump_weight"][k]
        )
        parts.append(clump.shift(x[0, k] - own["x"], y[0, k] - own["y"]))
    return galsim.Sum(parts)


def _disc(galsim: Any, own: Mapping[str, Any], band: Band, flux: float, length: float, side: int) -> Any:
    """The light of a disc with arms and dust, sampled finely."""
    fine = min(FINEST, math.ceil(SAMPLES / length))
    half = fine * (side // 2)
    dy, dx = np.mgrid[-half : half + 1, -half : half + 1] / fine
    angle, q = math.radians(own["disc_position_angle"]), own["disc_axis_ratio"]
    u = (dy * math.cos(angle) - dx * math.sin(angle)) / length
    z = (-dx * math.cos(angle) - dy * math.sin(angle)) / length
    t = np.maximum(np.hypot(u, z / q), 1e-6)
    g = (2 * t) ** 2 / (1 + (2 * t) ** 2)
    arms = 0.0
    if own["arm_strength"] > 0:
        turn = np.arctan2(z / q, u) - np.log(t) / math.tan(math.radians(own["arm_pitch"]))
        arms = own["arm_strength"] * g * np.cos(own["arm_number"] * turn - math.radians(own["arm_phase"]))
    depth = own["dust_depth"] * REFERENCE / band.wavelength
    lane = np.exp(-((z - own["dust_offset"]) ** 2) / (2 * max(own["dust_width"], 1e-3) ** 2))
    light = np.exp(-t) * (1 + arms) * np.exp(-depth * g * lane) * flux / (2 * math.pi * length**2 * q)
    return galsim.InterpolatedImage(
        galsim.ImageD(light),
        scale=1 / fine,
        normalization="sb",
        x_interpolant="linear",
        gsparams=_params(galsim, side),
    )
