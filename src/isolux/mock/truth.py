"""The truth of a mock field: a table of arrays (source,), galaxies first, then stars.

What is the same in all bands has a plain name; what differs ends in ``_<band>``. Sizes are in arcsec, semi-major;
angles in degrees counter-clockwise from the image's +y; positions in 0-based pixels of the band. See
docs/mock-fields.md for every column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from isolux.errors import InputError
from isolux.mock import population as sky
from isolux.mock.dice import Dice
from isolux.mock.features import Features, draw_features, passed
from isolux.mock.frame import Frame
from isolux.mock.light import enclosed
from isolux.mock.options import FieldOptions
from isolux.mock.population import Galaxies
from isolux.mock.surveys import Band
from isolux.profiles.exponential import HALF_LIGHT

Truth = dict[str, np.ndarray]
"""Arrays (source,) by column."""
BRIGHTEST_GALAXY, BRIGHTEST_STAR = 14.0, 13.0
OVERFULL = 3.0
"""Magnitudes by which stars may be brighter than those that fill a pixel."""
BULGE_INDEX = 4.0
BEYOND = 1.5
"""Magnitudes beyond the limits that are drawn before colours decide."""
SPREAD = 0.6
"""Part of a cell of the grid within which its source is."""


def make_truth(bands: Sequence[Band], frames: Sequence[Frame], options: FieldOptions, dice: Dice) -> Truth:
    """Everything on a piece of sky, as it is before the telescope.

    Parameters
    ----------
    bands, frames : sequence
        The bands and where their pixels are; the first decides on limits.
    options : FieldOptions
        What is wanted.
    dice : Dice
        Of random numbers.
    """
    first, frame = bands[0], frames[0]
    sides = np.array(frame.shape[::-1]) * frame.pixel_scale
    arcmin2 = float(np.prod(sides)) / 3600
    galaxies = _galaxies(first, arcmin2, options, dice)
    slopes, magnitudes = _stars(first, arcmin2, options, dice)
    features = draw_features(
        galaxies, options.morphology == "realistic", first.pixel_scale, dice.of("features")
    )
    count = len(galaxies) + len(magnitudes)
    right, up, partner = _places(sides, galaxies, len(magnitudes), options, dice)
    truth: Truth = {
        "number": np.arange(1, count + 1),
        "kind": np.array(
            [("sersic", "bulge+disc")[int(d)] for d in galaxies.double] + ["star"] * len(magnitudes),
            dtype="U10",
        ),
    }
    truth["ra"], truth["dec"] = frame.sky(right, up)
    truth |= _shared(galaxies, features, len(magnitudes))
    truth["partner"] = partner
    for band, where in zip(bands, frames, strict=True):
        truth[f"x_{band.name}"], truth[f"y_{band.name}"] = where.pixels(right, up)
        curvature = sky.STAR_COLOUR[1]
        light = {"star": magnitudes + sky.shift(band.wavelength, slopes, curvature)}
        truth |= {
            f"{name}_{band.name}": values for name, values in _light(galaxies, features, band, light).items()
        }
    return truth


def of_band(truth: Mapping[str, np.ndarray], name: str) -> Truth:
    """The columns of one band under plain names, with those that all share.

    Raises
    ------
    InputError
        If the truth has no such band.
    """
    if f"magnitude_{name}" not in truth:
        raise InputError(f"the truth has no band {name!r}")
    own = {c.removesuffix(f"_{name}"): v for c, v in truth.items() if c.endswith(f"_{name}")}
    return {**truth, **own}


def _galaxies(first: Band, arcmin2: float, options: FieldOptions, dice: Dice) -> Galaxies:
    """Galaxies whose magnitudes in the first band are within the limits."""
    faint = first.depth if options.faint is None else options.faint
    bright = min(BRIGHTEST_GALAXY, faint - 1) if options.bright is None else options.bright
    if not bright < faint:
        raise InputError("bright and faint limit", (bright, faint), "bright < faint")
    rng = dice.of("galaxies")
    low, high = bright - BEYOND, faint + BEYOND
    mean = sky.galaxy_density(low, high) * arcmin2
    number = int(rng.poisson(mean)) if options.galaxies is None else options.galaxies
    lots: list[Galaxies] = []
    found = 0
    while True:
        lot = sky.draw_galaxies(max(number, 64), low, high, options.morphology, rng)
        seen = lot.total_magnitude(first.wavelength)
        if options.galaxies is None:
            lot, seen = lot.select(np.arange(number)), seen[:number]
        lots.append(lot.select(np.flatnonzero((seen > bright) & (seen < faint))))
        found += len(lots[-1])
        if options.galaxies is None or found >= number:
            return Galaxies.join(lots).select(np.arange(found if options.galaxies is None else number))


def _stars(first: Band, arcmin2: float, options: FieldOptions, dice: Dice) -> tuple[np.ndarray, np.ndarray]:
    """Colours of stars and their magnitudes at the reference wavelength."""
    rng = dice.of("stars")
    faint = first.depth if options.faint is None else options.faint
    bright = min(max(BRIGHTEST_STAR, first.saturation - OVERFULL), faint - 1)
    mean = sky.star_density(bright, faint) * arcmin2
    number = int(rng.poisson(mean)) if options.stars is None else options.stars
    slope, curvature, scatter = sky.STAR_COLOUR
    slopes = np.clip(rng.normal(slope, scatter, number), 0.0, 12.0)
    seen = sky.star_magnitudes(number, bright, faint, rng)
    return slopes, seen - sky.shift(first.wavelength, slopes, curvature)


def _places(
    sides: np.ndarray, galaxies: Galaxies, stars: int, options: FieldOptions, dice: Dice
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets from the field's middle in arcsec, and the number of each source's partner, 0 where it has none."""
    rng = dice.of("places")
    total = len(galaxies) + stars
    partner = np.zeros(total, dtype=np.int64)
    if options.arrangement == "random":
        return (*(rng.uniform(-0.5, 0.5, (2, total)) * sides[:, None]), partner)
    if options.arrangement == "grid":
        return (*_cells(sides, total, rng), partner)
    if len(galaxies) % 2:
        raise InputError("galaxies of a field of pairs", len(galaxies), "an even number: say how many")
    right, up = _cells(sides, len(galaxies) // 2 + stars, rng)
    pairs = len(galaxies) // 2
    size = half_light_radius(galaxies, sky.REFERENCE).reshape(pairs, 2).max(1)
    angle = rng.uniform(0, 2 * np.pi, pairs)
    dx, dy = 0.5 * options.separation * size * np.cos(angle), 0.5 * options.separation * size * np.sin(angle)
    placed = [np.stack([c[:pairs] - d, c[:pairs] + d], 1).ravel() for c, d in ((right, dx), (up, dy))]
    number = np.arange(1, len(galaxies) + 1)
    partner[: len(galaxies)] = number + np.where(number % 2, 1, -1)
    return np.append(placed[0], right[pairs:]), np.append(placed[1], up[pairs:]), partner


def _cells(sides: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Places of one source a cell of a grid over the field."""
    if count == 0:
        return np.zeros(0), np.zeros(0)
    across = max(1, int(np.ceil(np.sqrt(count * sides[0] / sides[1]))))
    down = int(np.ceil(count / across))
    cell = rng.permutation(across * down)[:count]
    inside = rng.uniform(-0.5 * SPREAD, 0.5 * SPREAD, (2, count)) + 0.5
    right = ((cell % across + inside[0]) / across - 0.5) * sides[0]
    return right, ((cell // across + inside[1]) / down - 0.5) * sides[1]


def _shared(galaxies: Galaxies, features: Features, stars: int) -> Truth:
    """Columns that do not depend on the band; NaN where a source has no such part, features zero."""
    single, double = ~galaxies.double, galaxies.double
    bulge = double & (galaxies.bulge_share > 0)
    columns = {
        "sersic_index": np.where(single, galaxies.index, np.nan),
        "axis_ratio": np.where(single, galaxies.ratio, np.nan),
        "position_angle": np.where(single, galaxies.angle, np.nan),
        "bulge_effective_radius": np.where(bulge, galaxies.bulge_radius, np.nan),
        "bulge_sersic_index": np.where(bulge, BULGE_INDEX, np.nan),
        "bulge_axis_ratio": np.where(bulge, galaxies.bulge_ratio, np.nan),
        "bulge_position_angle": np.where(bulge, galaxies.bulge_angle, np.nan),
        "disc_scale_radius": np.where(double, galaxies.disc_scale, np.nan),
        "disc_axis_ratio": np.where(double, galaxies.disc_ratio, np.nan),
        "disc_position_angle": np.where(double, galaxies.angle, np.nan),
    }
    padded = {name: np.append(values, np.full(stars, np.nan)) for name, values in columns.items()}
    for name, values in features.columns().items():
        empty = np.zeros((stars, *values.shape[1:]), dtype=values.dtype)
        padded[name] = np.concatenate([values, empty])
    return padded


def _light(galaxies: Galaxies, features: Features, band: Band, stars: Mapping[str, np.ndarray]) -> Truth:
    """Magnitudes and sizes in a band."""
    bulge, rest = galaxies.component_magnitudes(band.wavelength)
    through = passed(features.columns(), galaxies.disc_ratio, band.wavelength)
    plain = 1 - features.bar_share - features.clump_share
    rest = rest - 2.5 * np.log10(1 - plain * (1 - through))
    total = -2.5 * np.log10(10 ** (-0.4 * bulge) + 10 ** (-0.4 * rest))
    extra = len(stars["star"])
    double, none = galaxies.double, np.full(extra, np.nan)
    columns = {
        "effective_radius": np.where(double, np.nan, galaxies.radius_at(band.wavelength)),
        "bulge_magnitude": np.where(double, bulge, np.nan),
        "disc_magnitude": np.where(double, rest, np.nan),
        "half_light_radius": half_light_radius(galaxies, band.wavelength),
    }
    out = {name: np.append(values, none) for name, values in columns.items()}
    out["magnitude"] = np.append(total, stars["star"])
    out["dust_passes"] = np.append(through, np.ones(extra))
    return out


def half_light_radius(galaxies: Galaxies, wavelength: float) -> np.ndarray:
    """Semi-major half-light radii (galaxy,) in arcsec of whole galaxies, without their features.

    Those of a bulge with a disc are half-light radii of the sum of circularised profiles, over the root of the axis
    ratio, weighted by light.
    """
    bulge, disc = galaxies.component_magnitudes(wavelength)
    share = 1 / (1 + 10 ** (0.4 * (bulge - disc)))
    q = share * galaxies.bulge_ratio + (1 - share) * galaxies.disc_ratio
    round_bulge = galaxies.bulge_radius * np.sqrt(galaxies.bulge_ratio)
    round_disc = galaxies.disc_scale * HALF_LIGHT * np.sqrt(galaxies.disc_ratio)
    low, high = np.minimum(round_bulge, round_disc), np.maximum(round_bulge, round_disc)
    for _ in range(40):
        middle = np.sqrt(low * high)
        inside = share * enclosed(middle / round_bulge, BULGE_INDEX)
        inside = inside + (1 - share) * enclosed(middle / round_disc, 1.0)
        low, high = np.where(inside < 0.5, middle, low), np.where(inside < 0.5, high, middle)
    return np.where(galaxies.double, middle / np.sqrt(q), galaxies.radius_at(wavelength))
