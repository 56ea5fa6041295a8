"""Galaxies without noise for training, a lot at a time, drawn by the mock surveys' own renderer.

A lot has one survey's pixels and PSF. Its galaxies are single Sérsic profiles, bulges with discs, and discs with bars,
arms and clumps as in :mod:`isolux.mock.features`; they are spread evenly over what matters to whoever measures them,
the size in pixels, the brightness over the noise and the shape, and not as on the sky, where most are small and faint.
All is in units of the sky's noise a pixel. Each galaxy is a layer of its own, so that it can be another's neighbour.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from isolux.errors import InputError
from isolux.mock.components import components
from isolux.mock.drawing import blank_batch
from isolux.mock.features import draw_features
from isolux.mock.population import Galaxies
from isolux.mock.presets import survey_named
from isolux.mock.psfs import Moffat, Telescope, psf_model
from isolux.mock.relief import relief
from isolux.mock.surveys import Band
from isolux.nets.card import Card
from isolux.nets.frame import GAUSSIAN
from isolux.nets.profile_labels import Labels, isophotal
from isolux.profiles.exponential import HALF_LIGHT
from isolux.psf_model import PsfModel
from isolux.scene import Scene
from isolux.types import Images, Tensor

SHARES = {"sersic": 0.35, "bulge+disc": 0.25, "realistic": 0.4}
BRIGHTNESS = (0.4, 1000.0)
"""Range of the mean surface brightness inside the half-light radius, over the noise a pixel."""
SMALLEST, LARGEST = 0.5, 0.2
"""Half-light radii: over the PSF's width, and over the stamp's side."""
PSF_SIDE, PSFS = 41, 32
"""Side of PSFs in pixels; how many of them are drawn to see what range of widths there is."""
ROUGH = 5.0
"""Discs of a smaller scale length in pixels have their arms drawn on a finer grid."""
OFF = 3.0
"""Pixels that a galaxy may be off the middle."""


@dataclasses.dataclass(frozen=True)
class Universe:
    """What is drawn for training.

    Attributes
    ----------
    presets : tuple of str
        Surveys of :data:`isolux.mock.SURVEYS`.
    size : int
        Rows and columns of the stamps.
    seed : int
        The same seed gives the same galaxies.
    labels : {"true", "classical"}
        The true isophotal profile, or what :func:`isolux.isophotes.measure_isophotes` makes of the noisy stamp.
    lot : int
        Galaxies that are drawn together.
    """

    presets: tuple[str, ...] = ("sdss", "hsc", "euclid")
    size: int = 192
    seed: int = 0
    labels: str = "true"
    lot: int = 64

    def __post_init__(self) -> None:
        if not self.presets:
            raise InputError("presets", self.presets, "one survey or more")
        for name in self.presets:
            survey_named(name)
        if not 48 <= self.size <= 256:
            raise InputError("size of training stamps in pixels", self.size, "48 to 256")
        if self.labels not in ("true", "classical"):
            raise InputError("labels", self.labels, "true, classical")
        if not 2 <= self.lot <= 4096:
            raise InputError("galaxies of a lot", self.lot, "2 to 4096")


TRUTH = (
    "kind", "ln_flux", "ln_radius", "ln_index", "e1", "e2", "bulge_share", "ln_bulge_radius", "ln_bulge_index",
    "bulge_e1", "bulge_e2", "ln_disc_radius", "disc_e1", "disc_e2",
)  # fmt: skip
"""What is known of a galaxy: number of its kind in :data:`SHARES`; total flux in units of the noise; of single Sérsic
profiles half-light radius in pixels, index, and shape e cos 2 PA, e sin 2 PA with e = 1 - q; of bulges with discs the
bulge's share of the light, and radius, index and shape of each (a disc's radius is its half-light one). Else NaN."""
TURNED = (
    tuple(k for k, name in enumerate(TRUTH) if name.endswith("e1")),
    tuple(k for k, name in enumerate(TRUTH) if name.endswith("e2")),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Lot:
    """Galaxies of one survey without noise, in units of the sky's noise.

    Attributes
    ----------
    band : Band
        The survey's.
    sigma : float
        The sky's noise in its image units.
    layer : Tensor
        (galaxy, y, x).
    psf : Tensor
        (v, u), at the image's pixels.
    grain : float
        Variance that a unit of light adds.
    labels : Labels
        Of each galaxy.
    truth : Tensor
        (galaxy, :data:`TRUTH`).
    """

    band: Band
    sigma: float
    layer: Images
    psf: Tensor
    grain: float
    labels: Labels
    truth: Tensor


def draw_lot(request: tuple[Universe, int]) -> Lot:
    """A lot by its number; the same wherever it is drawn."""
    universe, number = request
    rng = np.random.default_rng([universe.seed, number, 77])
    survey = survey_named(universe.presets[number % len(universe.presets)])
    band = survey.bands[0]
    psf, kernel = _psf(band, universe.size, rng)
    sigma = band.sky_sigma(psf, 0.0)
    unit = dataclasses.replace(band, zero_point=0.0)
    own = _columns(universe, unit, 1 / math.sqrt(float(kernel.square().sum())), rng)
    layer = torch.zeros(universe.lot, universe.size, universe.size)
    for kind in SHARES:
        rows = np.flatnonzero(own["kind"] == kind)
        if kind == "realistic":
            rough = own["disc_scale_radius"][rows] < ROUGH * band.pixel_scale
            for fine, some in ((1, rows[~rough]), (3, rows[rough])):
                _drawn_into(layer, own, some, unit, psf, kind, fine)
        else:
            _drawn_into(layer, own, rows, unit, psf, kind, 1)
    x, y = (torch.as_tensor(own[name]).float() for name in ("x", "y"))
    grain = sigma / (float(band.flux(band.sky)) * band.pixel_scale**2)
    return Lot(band, sigma, layer, kernel, grain, isophotal(layer, x, y), _truth(own, band))


def _truth(own: dict[str, np.ndarray], band: Band) -> Tensor:
    """:data:`TRUTH` of galaxies."""
    kind = own["kind"]

    def of(part: str, radius: str, index: str | None) -> list[np.ndarray]:
        size = np.log(own[part + radius] / band.pixel_scale)
        e, angle = 1 - own[part + "axis_ratio"], np.radians(2 * own[part + "position_angle"])
        shown = [np.log(own[part + index])] if index else []
        return [size, *shown, e * np.cos(angle), e * np.sin(angle)]

    single = of("", "effective_radius", "sersic_index")
    bulge = of("bulge_", "effective_radius", "sersic_index")
    disc = of("disc_", "scale_radius", None)
    disc[0] = disc[0] + math.log(HALF_LIGHT)
    share = 10 ** (-0.4 * (own["bulge_magnitude"] - own["magnitude"]))
    alone, double = (np.where(kind == name, 1.0, np.nan) for name in ("sersic", "bulge+disc"))
    columns = [np.array([list(SHARES).index(k) for k in kind], float), -0.4 * math.log(10) * own["magnitude"]]
    columns += [c * alone for c in single] + [c * double for c in (share, *bulge, *disc)]
    return torch.as_tensor(np.stack(columns, 1)).float()


def training_ranges(universe: Universe, units: bool = False) -> dict[str, tuple[float, float]]:
    """Least and most of what galaxies of a universe have, for a card (:data:`isolux.nets.card.RANGES`).

    Parameters
    ----------
    universe : Universe
        What is drawn.
    units : bool
        Also the noise in image units, for weights that read these.
    """
    areas, noises = [], []
    for name in universe.presets:
        band = survey_named(name).bands[0]
        for number in range(PSFS):
            psf, kernel = _psf(band, universe.size, np.random.default_rng([universe.seed, number, 77]))
            areas.append(1 / float(kernel.square().sum()))
            noises.append(band.sky_sigma(psf, 0.0))
    widths = [GAUSSIAN * math.sqrt(area) for area in areas]
    found = {
        "psf_fwhm": (min(widths), max(widths)),
        "radius": (SMALLEST * math.sqrt(min(areas)), LARGEST * universe.size),
        "brightness": BRIGHTNESS,
    }
    return found | ({"noise": (min(noises), max(noises))} if units else {})


def with_ranges(card: Card) -> Card:
    """A card with the ranges of what it says that its weights were trained on; as it is where that is a table."""
    if "presets" not in card.data:
        return card
    known = {f.name for f in dataclasses.fields(Universe)}
    given = {name: value for name, value in card.data.items() if name in known}
    universe = Universe(**{**given, "presets": tuple(given["presets"])})
    return dataclasses.replace(card, ranges=training_ranges(universe, card.zero_point is not None))


def _psf(band: Band, size: int, rng: np.random.Generator) -> tuple[PsfModel, Tensor]:
    """A PSF about as wide as the survey's, for drawing and at the image's pixels."""
    wide = rng.uniform(0.8, 1.3)
    given: Moffat | Telescope = band.psf
    if isinstance(given, Moffat):
        own: Moffat | Telescope = Moffat(given.fwhm * wide, rng.uniform(2.5, 4.0))
    else:
        own = dataclasses.replace(given, jitter=given.jitter * wide)
    model = psf_model(own, band.pixel_scale, (size, size), band.oversampling, 0.0, rng)
    image, k = model.at(*model.offset)[0], model.oversampling
    middle = image.shape[0] // 2
    pixels = torch.as_tensor(image[middle % k :: k, middle % k :: k].copy()).float()
    side = PSF_SIDE // 2
    room = side - pixels.shape[0] // 2
    fitted = torch.nn.functional.pad(pixels, (room,) * 4)
    return model, fitted / fitted.sum()


def _columns(
    universe: Universe, band: Band, narrowest: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Columns of the truth as :func:`isolux.mock.components.components` takes them."""
    count, scale = universe.lot, band.pixel_scale
    radius = _log_uniform(rng, SMALLEST * narrowest, LARGEST * universe.size, count) * scale
    ratio, angle = rng.uniform(0.15, 1, count), rng.uniform(-90, 90, count)
    mean = _log_uniform(rng, *BRIGHTNESS, count)
    magnitude = -2.5 * np.log10(2 * math.pi * ratio * (radius / scale) ** 2 * mean)
    kind = rng.choice(list(SHARES), count, p=list(SHARES.values()))
    share = np.where(kind == "sersic", 0.0, rng.uniform(0.03, 0.6, count))
    bulge_radius = radius * _log_uniform(rng, 0.1, 0.6, count)
    galaxies = Galaxies(
        magnitude=magnitude, early=np.zeros(count, int), double=kind != "sersic", radius=radius,
        index=_log_uniform(rng, 0.5, 6, count), ratio=ratio, angle=angle, bulge_share=share,
        bulge_radius=bulge_radius, bulge_ratio=rng.uniform(0.5, 1, count),
        bulge_angle=angle + rng.normal(0, 15, count), disc_scale=radius / HALF_LIGHT, disc_ratio=ratio,
        colour=np.zeros(count), bulge_colour=np.zeros(count),
    )  # fmt: skip
    features = draw_features(galaxies, True, scale, rng).columns()
    nothing = {name: np.zeros(count) for name in ("dust_depth", "dust_offset", "dust_width")}
    middle = (universe.size - 1) / 2
    with np.errstate(divide="ignore"):
        parts = {"bulge_magnitude": magnitude - 2.5 * np.log10(share)}
    return {
        **features, **nothing, **parts,
        "kind": np.where((kind == "realistic") & ~features["realistic"], "bulge+disc", kind),
        "x": middle + rng.uniform(-OFF, OFF, count), "y": middle + rng.uniform(-OFF, OFF, count),
        "magnitude": magnitude, "disc_magnitude": magnitude - 2.5 * np.log10(1 - share),
        "effective_radius": radius, "sersic_index": galaxies.index, "axis_ratio": ratio,
        "position_angle": angle, "bulge_effective_radius": bulge_radius,
        "bulge_sersic_index": rng.uniform(1, 4.5, count), "bulge_axis_ratio": galaxies.bulge_ratio,
        "bulge_position_angle": galaxies.bulge_angle, "disc_scale_radius": galaxies.disc_scale,
        "disc_axis_ratio": ratio, "disc_position_angle": angle, "dust_passes": np.ones(count),
    }  # fmt: skip


def _drawn_into(
    layer: Images,
    own: dict[str, np.ndarray],
    rows: np.ndarray,
    band: Band,
    psf: PsfModel,
    kind: str,
    fine: int,
) -> None:
    for first in range(0, len(rows), 16):
        some = rows[first : first + 16]
        mine = {name: values[some] for name, values in own.items()}
        if kind != "realistic":
            plain = ("bar_share", "clump_share")
            mine |= {name: np.zeros(len(some)) for name in plain}
        kernel = torch.as_tensor(psf.at(*psf.offset), dtype=torch.float32)
        size = (layer.shape[1], layer.shape[2])
        scene = Scene(**components(mine, band, kind))
        light = scene.images(blank_batch(len(some), size, kernel, psf), scene.values(len(some)))
        if kind == "realistic":
            light = light + relief(mine, band, psf, kernel, size, fine)
        layer[some] = light.float().clamp_min(0)


def _log_uniform(rng: np.random.Generator, low: float, high: float, count: int) -> np.ndarray:
    return np.exp(rng.uniform(math.log(low), math.log(high), count))
