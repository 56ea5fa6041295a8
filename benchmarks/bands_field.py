"""Galaxies of a real field in three bands: detected in one, cut from all, each band with a PSF from its own stars."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import isolux
from isolux.field.cutouts import Cutout, Sheet, cut
from isolux.field.detect import Detections, detect
from isolux.field.image import FieldImage
from isolux.field.stars import psf_from_stars, star_likeness
from isolux.io.field_image import read_field

BANDS = "gri"
SCALE = 0.339
FAINTEST, BRIGHTEST = 20.5, 16.0
STAR = 0.2
LARGEST = 128
KRON = 2.5
APERTURE = 8.0
"""Radius in pixels of the aperture whose colours need no model."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Stamps of one side, by band; ``magnitude`` (galaxy,) is that of detection in r."""

    batches: dict[str, isolux.Batch]
    magnitude: np.ndarray


def groups(folder: Path) -> Iterator[Group]:
    """The field's galaxies, in groups of one stamp size."""
    fields = {band: _read(folder / f"gama-profound-{band}.fits.gz") for band in BANDS}
    found = {band: detect(field) for band, field in fields.items()}
    home = found["r"]
    sheets = {}
    for band, field in fields.items():
        sky, psf = found[band].background, psf_from_stars(field, found[band])
        sheets[band] = Sheet.of(field, sky.level, sky.rms, home.segmentation, psf, len(home.x))
    magnitude = fields["r"].zero_point - 2.5 * np.log10(np.maximum(home.flux, 1e-300))
    chosen = _chosen(home, magnitude)
    need = 1.25 * KRON * home.kron_radius + 10
    cutouts = {k: cut([k], home.x, home.y, need, LARGEST) for k in chosen}
    for side in sorted({cutout.side for cutout in cutouts.values()}):
        some: list[tuple[int, Cutout]] = [(k, c) for k, c in cutouts.items() if c.side == side]
        names = [str(k) for k, _ in some]
        batches = {b: s.batch([c for _, c in some], names, [None] * len(home.x)) for b, s in sheets.items()}
        yield Group(batches, magnitude[[k for k, _ in some]])


def _read(path: Path) -> FieldImage:
    return dataclasses.replace(read_field(path), pixel_scale=SCALE)


def _chosen(found: Detections, magnitude: np.ndarray) -> list[int]:
    """Galaxies that lie wholly in the field."""
    galaxy = star_likeness(found, found.fwhm) < STAR
    good = galaxy & ~found.edge & ~found.saturated & (magnitude < FAINTEST) & (magnitude > BRIGHTEST)
    return [int(k) for k in np.flatnonzero(good)]


def aperture_colours(group: Group, first: str, second: str) -> np.ndarray:
    """Colours (galaxy,) of the pixels near the stamp's centre; NaN where any is masked or the light is not positive."""
    light = {}
    for band in (first, second):
        batch = group.batches[band]
        y, x = np.indices(batch.shape) - (np.array(batch.shape) - 1)[:, None, None] / 2
        near = np.hypot(x, y) < APERTURE
        flux = batch.image.numpy()[:, near].sum(1)
        whole = ~batch.mask.numpy()[:, near].any(1) & (flux > 0)
        light[band] = np.where(
            whole, batch.zero_point.numpy() - 2.5 * np.log10(np.where(whole, flux, 1.0)), np.nan
        )
    return light[first] - light[second]
