"""A mock field: what is on a piece of sky, as some survey sees it in some bands, with the truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from isolux.errors import InputError, unknown_name
from isolux.field.image import FieldImage
from isolux.mock.detector import SATURATED
from isolux.mock.drawing import Drawn, draw_sources
from isolux.mock.frame import frame_of
from isolux.mock.neighbours import nearest
from isolux.mock.options import FieldOptions
from isolux.mock.presets import survey_named
from isolux.mock.surveys import Band, Survey
from isolux.mock.truth import Dice, Truth, make_truth, of_band
from isolux.mock.view import View, correlation_of, view_of
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
        view = View(
            self.band(name),
            self.bands[name].shape,
            self.bands[name].wcs,
            self.psf[name],
            self.sigma[name],
            self.gain[name],
            self.full[name],
            correlation_of(self.band(name), self.options),
        )
        made = view.observed(np.asarray(light), self.options, Dice(self.seed))
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
    like, dice = survey_named(survey), Dice(seed)
    chosen = like.chosen(bands)
    frames = [
        frame_of(band, chosen[0], wanted.shape, wanted.ra, wanted.dec, wanted.rotation) for band in chosen
    ]
    table: Truth = dict(truth) if truth is not None else make_truth(chosen, frames, wanted, dice)
    views = [view_of(band, frame, wanted, dice) for band, frame in zip(chosen, frames, strict=True)]
    seen = {}
    for view in views:
        drawn = _drawn(view, table, wanted, device, progress)
        seen[view.name] = (drawn.image, *view.observed(drawn.image, wanted, dice))
        full = seen[view.name][3] & SATURATED > 0
        found = {"snr": drawn.snr, "inside": drawn.inside, "saturated": _touched(table, view.name, full)}
        table |= {f"{column}_{view.name}": values for column, values in found.items()}
    table |= nearest(table, chosen[0])
    return MockField(
        like,
        wanted,
        seed,
        truth=table,
        noiseless={name: made[0] for name, made in seen.items()},
        bands={name: made[1] for name, made in seen.items()},
        background={name: made[2] for name, made in seen.items()},
        defects={name: made[3] for name, made in seen.items()},
        psf={view.name: view.psf for view in views},
        sigma={view.name: view.sigma for view in views},
        gain={view.name: view.gain for view in views},
        full={view.name: view.full for view in views},
    )


def _drawn(
    view: View,
    table: Truth,
    options: FieldOptions,
    device: torch.device | str,
    progress: Progress | None,
) -> Drawn:
    """The sources of a band."""
    told = None if progress is None else lambda done, of: progress(view.name, done, of)
    return draw_sources(
        of_band(table, view.name),
        view.band,
        view.psf,
        view.shape,
        sigma=view.sigma,
        gain=view.gain,
        edge=options.edge,
        correlation=view.correlation,
        device=device,
        progress=told,
    )


def _options(options: FieldOptions | None, settings: Mapping[str, Any]) -> FieldOptions:
    known = {f.name for f in dataclasses.fields(FieldOptions)}
    for name in settings:
        if name not in known:
            raise unknown_name("setting of a mock field", name, known)
    if options is not None and settings:
        return dataclasses.replace(options, **settings)
    return options or FieldOptions(**settings)


def _touched(table: Truth, name: str, pixels: np.ndarray) -> np.ndarray:
    """Whether a saturated pixel is at each source's position."""
    rows, columns = (
        np.clip(np.round(table[f"{axis}_{name}"]).astype(int), 0, n - 1)
        for axis, n in zip("yx", pixels.shape, strict=True)
    )
    return np.asarray(pixels[rows, columns])
