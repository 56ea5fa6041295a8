"""A mock field: what is on a piece of sky, as some survey sees it in some bands, with the truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from isolux.errors import InputError, unknown_name
from isolux.field.image import FieldImage
from isolux.mock.detector import BAD_COLUMN, SATURATED, expose
from isolux.mock.drawing import draw_sources
from isolux.mock.frame import frame_of
from isolux.mock.neighbours import nearest
from isolux.mock.options import FieldOptions
from isolux.mock.presets import survey_named
from isolux.mock.psfs import psf_model
from isolux.mock.surveys import Band, Survey
from isolux.mock.truth import Dice, Truth, make_truth, of_band
from isolux.psf_model import PsfModel

Progress = Callable[[str, int, int], None]
"""Is told the band, how many of its sources are drawn, and of how many."""


@dataclasses.dataclass(frozen=True, eq=False)
class MockField:
    """A field with its truth.

    Attributes
    ----------
    survey : Survey
        Whose it is like.
    options : FieldOptions
        What was asked for.
    seed : int
        Of all random numbers.
    bands : dict
        :class:`isolux.field.image.FieldImage` by band.
    truth : dict
        Arrays (source,) by column: :mod:`isolux.mock.truth`.
    psf : dict
        :class:`isolux.psf_model.PsfModel` by band.
    noiseless : dict
        (y, x), float32, by band: the sources alone, before sky, noise and saturation.
    background : dict
        (y, x), float32, by band: what of the sky is left in the image.
    defects : dict
        (y, x), uint8, by band: bits of :mod:`isolux.mock.detector`.
    sigma, gain, full : dict
        By band: the sky's noise a pixel, electrons per image unit, and image units at which a pixel is full.
    """

    survey: Survey
    options: FieldOptions
    seed: int
    bands: dict[str, FieldImage]
    truth: Truth
    psf: dict[str, PsfModel]
    noiseless: dict[str, np.ndarray]
    background: dict[str, np.ndarray]
    defects: dict[str, np.ndarray]
    sigma: dict[str, float]
    gain: dict[str, float]
    full: dict[str, float]

    def band(self, name: str) -> Band:
        """The survey's band of this name."""
        return self.survey.chosen([name])[0]

    def observed(self, name: str, light: np.ndarray) -> MockField:
        """The same field with the light of one band drawn by somebody else: same sky, noise and defects.

        Parameters
        ----------
        name : str
            The band.
        light : numpy.ndarray
            (y, x): noiseless sources, as ``noiseless`` has them.
        """
        if name not in self.bands:
            raise unknown_name("band of the mock field", name, self.bands)
        if np.shape(light) != self.bands[name].shape:
            raise InputError(f"shape of the light in {name}", np.shape(light), f"{self.bands[name].shape}")
        made = _exposed(self.band(name), np.asarray(light), self.options, Dice(self.seed), self)
        return dataclasses.replace(
            self,
            bands={**self.bands, name: made[0]},
            background={**self.background, name: made[1]},
            defects={**self.defects, name: made[2]},
            noiseless={**self.noiseless, name: np.asarray(light, dtype=np.float32)},
        )


def field(
    survey: str | Survey = "sdss",
    *,
    seed: int = 0,
    bands: Any = None,
    options: FieldOptions | None = None,
    truth: Mapping[str, np.ndarray] | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    **settings: Any,
) -> MockField:
    """Simulate a field.

    Parameters
    ----------
    survey : str or Survey
        One of :data:`isolux.mock.SURVEYS` (sdss, legacy, hsc, lsst, euclid, hst), or one of your own.
    seed : int
        The same seed gives the same field, bit by bit on the same machine.
    bands : str or list of str, optional
        The survey's first band where left out. The first one decides on sizes and magnitude limits.
    options : FieldOptions, optional
        What the field holds.
    truth : mapping, optional
        Sources to draw instead of random ones: a truth made before, as it is or changed, for the same bands.
    device : torch.device or str
        Where sources are drawn.
    progress : callable, optional
        Called with the band, the number of its sources drawn so far, and of all.
    **settings
        Fields of :class:`FieldOptions` instead of ``options``: ``size=2048, galaxies=500``.

    Returns
    -------
    MockField

    Raises
    ------
    InputError
        For an unknown survey, band or setting, or a value that cannot be, with what is allowed.

    Examples
    --------
    >>> mock = field("sdss", size=64, seed=3, galaxies=2, stars=1)
    >>> mock.bands["r"].data.shape, len(mock.truth["ra"])
    ((64, 64), 3)
    """
    wanted = _options(options, settings)
    like = survey_named(survey)
    chosen = like.chosen(bands)
    dice = Dice(seed)
    frames = [
        frame_of(band, chosen[0], wanted.shape, wanted.ra, wanted.dec, wanted.rotation) for band in chosen
    ]
    table: Truth = dict(truth) if truth is not None else make_truth(chosen, frames, wanted, dice)
    parts: dict[str, dict[str, Any]] = {
        key: {} for key in ("bands", "psf", "noiseless", "background", "defects", "sigma", "gain", "full")
    }
    for band, frame in zip(chosen, frames, strict=True):
        name = band.name
        psf = psf_model(
            band.psf,
            band.pixel_scale,
            frame.shape,
            band.oversampling,
            wanted.psf_variation,
            dice.of("psf", name),
        )
        correlation = _correlation(band, wanted)
        sigma = band.sky_sigma(psf, correlation)
        gain, full = band.gain(sigma), band.full(psf)
        told = None if progress is None else lambda done, of, name=name: progress(name, done, of)
        drawn = draw_sources(
            of_band(table, name),
            band,
            psf,
            frame.shape,
            sigma=sigma,
            gain=gain,
            edge=wanted.edge,
            correlation=correlation,
            device=device,
            progress=told,
        )
        table[f"snr_{name}"], table[f"inside_{name}"] = drawn.snr, drawn.inside
        for key, value in (
            ("psf", psf),
            ("noiseless", drawn.image),
            ("sigma", sigma),
            ("gain", gain),
            ("full", full),
        ):
            parts[key][name] = value
        made = _exposed(band, drawn.image, wanted, dice, _Sky(parts["sigma"], parts["gain"], parts["full"]))
        parts["bands"][name] = dataclasses.replace(made[0], wcs=frame.wcs)
        parts["background"][name], parts["defects"][name] = made[1:]
        table[f"saturated_{name}"] = _touched(table, name, made[2] & SATURATED > 0)
    table |= nearest(table, chosen[0])
    return MockField(like, wanted, seed, truth=table, **parts)


@dataclasses.dataclass(frozen=True)
class _Sky:
    """Noise, gain and full well by band."""

    sigma: dict[str, float]
    gain: dict[str, float]
    full: dict[str, float]


def _options(options: FieldOptions | None, settings: Mapping[str, Any]) -> FieldOptions:
    known = {f.name for f in dataclasses.fields(FieldOptions)}
    for name in settings:
        if name not in known:
            raise unknown_name("setting of a mock field", name, known)
    if options is not None and settings:
        return dataclasses.replace(options, **settings)
    return options or FieldOptions(**settings)


def _correlation(band: Band, options: FieldOptions) -> float:
    return band.correlation if options.noise_correlation is None else options.noise_correlation


def _exposed(
    band: Band, light: np.ndarray, options: FieldOptions, dice: Dice, sky: _Sky | MockField
) -> tuple[FieldImage, np.ndarray, np.ndarray]:
    """A band's image, background and defects."""
    name = band.name
    made = expose(
        light,
        options,
        dice,
        band=name,
        sigma=sky.sigma[name],
        gain=sky.gain[name],
        full=sky.full[name],
        correlation=_correlation(band, options),
    )
    image = FieldImage.from_arrays(
        made.image,
        sigma=sky.sigma[name],
        mask=made.defects & BAD_COLUMN,
        saturation=sky.full[name],
        zero_point=band.zero_point,
        pixel_scale=band.pixel_scale,
        gain=sky.gain[name],
        wcs=sky.bands[name].wcs if isinstance(sky, MockField) else None,
        band=name,
        wavelength=band.wavelength,
        source=f"mock {name}",
    )
    return image, made.background, made.defects


def _touched(table: Truth, name: str, pixels: np.ndarray) -> np.ndarray:
    """Whether a saturated pixel is at each source's position."""
    rows, columns = (
        np.clip(np.round(table[f"{axis}_{name}"]).astype(int), 0, n - 1)
        for axis, n in zip("yx", pixels.shape, strict=True)
    )
    return np.asarray(pixels[rows, columns])
