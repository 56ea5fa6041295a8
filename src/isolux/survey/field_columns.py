"""The columns of a field's catalogue before any field has been measured.

Which columns there are depends on what was found: a model that was fitted to no source has none. So that all parts of a
survey agree, their columns are those of one small galaxy in the middle of noise that every model is fitted to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from astropy.table import QTable

from isolux.field.band_book import InBands
from isolux.field.band_columns import band_columns
from isolux.field.bands import measure_bands
from isolux.field.catalogue import add, catalogue
from isolux.field.image import FieldImage
from isolux.field.options import FieldOptions
from isolux.field.survey import Measured, measure_sources
from isolux.io.wcs import tangent_wcs
from isolux.profiles import Sersic
from isolux.psf_model import PsfModel
from isolux.scene import Scene
from isolux.simulate import draw, moffat_psf

SIDE, MIDDLE, SCALE, ZERO_POINT = 48, 23.5, 0.2, 25.0
GALAXY = {
    "magnitude": 17.0,
    "effective_radius": 1.5,
    "sersic_index": 1.5,
    "axis_ratio": 0.7,
    "position_angle": 20.0,
}
"""Small enough that it might be a star, bright enough that its structure is fitted in all bands."""


def example(
    options: FieldOptions,
    bands: Sequence[str] = (),
    sky: bool = True,
    degrees: Mapping[str, int] | None = None,
) -> QTable:
    """A catalogue of one source with every column that a field can have.

    Parameters
    ----------
    options : FieldOptions
        How fields are measured.
    bands : sequence of str
        Names of the bands; none, or one, for fields in a single band.
    sky : bool
        Whether fields have a WCS.
    degrees : mapping, optional
        Of polynomials in wavelength.

    Raises
    ------
    InputError
        If the options, priors above all, do not go with the models.
    """
    names = tuple(bands) or ("",)
    images = {name: _image(name, 500.0 + 100 * k, sky) for k, name in enumerate(names)}
    psf = PsfModel.constant(moffat_psf(3.0, size=15))
    every = dataclasses.replace(options, composite_signal=1e-9, workers=1, device="cpu")
    middle = np.array([MIDDLE])
    measured = measure_sources(images[names[0]], psf=psf, options=every, positions=(middle, middle))
    table = catalogue(measured)
    if len(names) > 1:
        others = {name: images[name] for name in names[1:]}
        add(table, band_columns(_in_bands(measured, others, psf, degrees)))
    return table


def _image(band: str, wavelength: float, sky: bool) -> FieldImage:
    galaxy = Sersic(x=MIDDLE, y=MIDDLE, **GALAXY)
    light = draw(Scene(galaxy=galaxy), (SIDE, SIDE), psf=moffat_psf(3.0, size=15), zero_point=ZERO_POINT)[0][
        0
    ]
    noise = torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    return FieldImage.from_arrays(
        (light + noise).numpy(),
        sigma=1.0,
        zero_point=ZERO_POINT,
        pixel_scale=SCALE,
        wcs=tangent_wcs(150.0, 2.0, SCALE, MIDDLE, MIDDLE) if sky else None,
        band=band,
        wavelength=wavelength,
    )


def _in_bands(
    measured: Measured,
    others: Mapping[str, FieldImage],
    psf: PsfModel,
    degrees: Mapping[str, int] | None,
) -> InBands:
    """The source in all bands, with what every model adds, its structure free and held."""
    found: list[InBands] = []
    given = dict.fromkeys(others, psf)
    for model in measured.options.models:
        one = dataclasses.replace(measured, chosen=[model])
        for hold in (False, True):
            found.append(measure_bands(one, others, psf=given, degrees=degrees, hold=hold))
    structure = {name: pairs for each in found for name, pairs in each.structure.items()}
    by_band = {name: values for each in found for name, values in each.by_band.items()}
    return dataclasses.replace(found[0], structure=structure, by_band=by_band)
