"""Stamps cut from a field: how large, what is masked, how noisy each pixel is, which PSF.

What is not to be fitted in a stamp is either subtracted or masked. Before anything has been fitted, the pixels of
other sources are masked, as far as they were detected and a little farther, but never pixels that belong to the
source itself. Once every source has a model, the others' are subtracted; only pixels where a small error of theirs
would matter stay masked.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage

from isolux.batch import Batch
from isolux.field.background import measure_background
from isolux.field.image import FieldImage
from isolux.psf_model import PsfModel
from isolux.stamp import Stamp

SIDES = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Sides of stamps in pixels: few, so that many sources share one, and fast to transform."""
GROWN = 3
"""Pixels by which the footprints of other sources are grown where they are masked."""
WRONG = 0.05
"""How wrong a neighbour's model may be, as part of its light: pixels where that is more than the noise are masked."""
FAINT, BRIGHT, SKY_BOX = 0.2, 3.0, 128
"""Where models are brighter than so many times the sky's noise, what they leave tells nothing of the sky; that where
the first leaves too little; sides of the mesh."""
LEAST_SKY = 0.25
"""Part of the mesh that must be mostly sky."""
RADII = (6, 8, 11, 16, 23, 32, 45, 64, 91, 128)
"""Radii in pixels at which PSFs are cut."""
LOST = 0.5
"""Light of the PSF that may be cut off, in errors of the source's flux."""
SMOOTH = 1.5
"""Width in pixels of the Gaussian that the image is smoothed with to say how much light, and so noise, is where."""


@dataclasses.dataclass(frozen=True)
class Cutout:
    """A square stamp.

    Attributes
    ----------
    members : tuple of int
        Numbers of the sources that are fitted in it.
    left, bottom : int
        Column and row of its first pixel in the field; may be negative.
    side : int
        Rows and columns.
    """

    members: tuple[int, ...]
    left: int
    bottom: int
    side: int

    def box(self, shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The part of the field that is in it, and where that lies in the stamp, as slices (rows, columns)."""
        field, stamp = [], []
        for first, length in zip((self.bottom, self.left), shape, strict=True):
            low, high = max(first, 0), min(first + self.side, length)
            high = max(high, low)
            field.append(slice(low, high))
            stamp.append(slice(low - first, high - first))
        return (field[0], field[1]), (stamp[0], stamp[1])


def cut(members: Sequence[int], x: np.ndarray, y: np.ndarray, need: np.ndarray, largest: int) -> Cutout:
    """The stamp that reaches ``need`` pixels to all sides of each member, if that is not more than ``largest``."""
    chosen = list(members)
    west, east = (x[chosen] - need[chosen]).min(), (x[chosen] + need[chosen]).max()
    south, north = (y[chosen] - need[chosen]).min(), (y[chosen] + need[chosen]).max()
    side = side_for(max(east - west, north - south) + 1, largest)
    left = math.floor((west + east + 1) / 2 - side / 2 + 0.5)
    bottom = math.floor((south + north + 1) / 2 - side / 2 + 0.5)
    return Cutout(tuple(chosen), left, bottom, side)


def side_for(length: float, largest: int) -> int:
    """The smallest side that holds a length, ``largest`` at most."""
    allowed = [side for side in SIDES if side <= largest] or [SIDES[0]]
    return next((side for side in allowed if side >= length), allowed[-1])


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """The model image of one source, where its cutout is.

    Attributes
    ----------
    left, bottom : int
        Column and row of its first pixel in the field.
    image : numpy.ndarray
        (y, x), float32: convolved, without sky.
    """

    left: int
    bottom: int
    image: np.ndarray

    def add_to(self, target: np.ndarray, left: int = 0, bottom: int = 0, times: float = 1.0) -> None:
        """Add it to an image whose first pixel is at a column and row of the field."""
        rows, columns = self.image.shape
        x, y = self.left - left, self.bottom - bottom
        x0, x1 = max(x, 0), min(x + columns, target.shape[1])
        y0, y1 = max(y, 0), min(y + rows, target.shape[0])
        if x0 < x1 and y0 < y1:
            target[y0:y1, x0:x1] += times * self.image[y0 - y : y1 - y, x0 - x : x1 - x]


@dataclasses.dataclass(frozen=True, eq=False)
class Sheet:
    """All that stamps are cut from.

    Attributes
    ----------
    field : FieldImage
        The image as it came; only what describes it is used.
    image, background : numpy.ndarray
        (y, x), float32: without the background; and that.
    sky_sigma : numpy.ndarray
        (y, x), float32: noise without the sources' own.
    segmentation, grown : numpy.ndarray
        (y, x), int32: number + 1 of the source that a pixel belongs to, 0 for none; and the same with grown footprints.
    light : numpy.ndarray
        (y, x), float32: what is known of the sources' light: the smoothed image or, later, the models of all.
    psf : PsfModel or None
        Of the field.
    modelled : numpy.ndarray
        (label,) of bool: whose light is in ``light`` as a model that can be subtracted; none at first. There may be
        more labels than sources: what was detected but is not to be measured.
    """

    field: FieldImage
    image: np.ndarray
    background: np.ndarray
    sky_sigma: np.ndarray
    segmentation: np.ndarray
    grown: np.ndarray
    light: np.ndarray
    psf: PsfModel | None
    modelled: np.ndarray

    @classmethod
    def of(
        cls,
        field: FieldImage,
        background: np.ndarray,
        sky_sigma: np.ndarray,
        segmentation: np.ndarray,
        psf: PsfModel | None,
        count: int,
    ) -> Sheet:
        """The sheet before anything has been fitted."""
        image = np.where(field.mask, np.float32(0), field.data - background)
        smooth = ndimage.gaussian_filter(image, SMOOTH)
        modelled = np.zeros(max(count, int(segmentation.max(initial=0))), bool)
        return cls(
            field, image, background, sky_sigma, segmentation, grow(segmentation), smooth, psf, modelled
        )

    def with_models(self, drawn: Sequence[Drawn | None]) -> Sheet:
        """The same once sources have models (None for those that have none)."""
        light = np.zeros_like(self.image)
        for model in drawn:
            if model is not None:
                model.add_to(light)
        modelled = np.zeros_like(self.modelled)
        modelled[: len(drawn)] = [model is not None for model in drawn]
        return dataclasses.replace(self, light=light, modelled=modelled)

    def light_of_others(self, groups: Sequence[Sequence[int]], drawn: Sequence[Drawn | None]) -> np.ndarray:
        """The models (source,) of sources outside its own group in each source's footprint."""
        labels, count = self.segmentation.ravel(), len(self.modelled) + 1
        total = np.bincount(labels, self.light.ravel(), minlength=count)[1:]
        for group in groups:
            for k in group:
                model = drawn[k]
                if model is not None:
                    self._take_from(total, model, group)
        return total[: len(drawn)]

    def _take_from(self, total: np.ndarray, model: Drawn, group: Sequence[int]) -> None:
        """Take a model out of the light in the footprints of a group."""
        cutout = Cutout((), model.left, model.bottom, model.image.shape[0])
        inside, place = cutout.box(self.image.shape)
        labels, light = self.segmentation[inside], model.image[place]
        for k in group:
            total[k] -= float(light[labels == k + 1].sum())

    def with_sky(self) -> Sheet:
        """The same with the background measured anew on what the models leave.

        The sky under and around large galaxies is then no longer taken for theirs, nor their wings for sky.
        """
        left = dataclasses.replace(self.field, data=self.field.data - self.light)
        for limit in (FAINT, BRIGHT):
            sources = self.light > limit * self.sky_sigma
            if enough_sky(sources | self.field.mask):
                level = measure_background(left, sources, box=SKY_BOX).level
                break
        else:
            free = ~sources & ~self.field.mask
            level = self.background
            if free.any():
                level = level + np.float32(np.median((left.data - level)[free]))
        image = np.where(self.field.mask, np.float32(0), self.field.data - level)
        return dataclasses.replace(self, image=image, background=level)

    def batch(
        self,
        cutouts: Sequence[Cutout],
        ids: Sequence[str],
        drawn: Sequence[Drawn | None],
        dtype: torch.dtype = torch.float32,
        radius: int | None = None,
    ) -> Batch:
        """The stamps of cutouts of one side; the members' own models in ``drawn`` are left in the image.

        The PSF is cut at a radius in pixels, if one is given (:func:`psf_radius`); the zero point then makes up for the
        light that is cut off.
        """
        stamps, psf, whole = [], None, 1.0
        if self.psf is not None:
            middle = [(c.left + (c.side - 1) / 2, c.bottom + (c.side - 1) / 2) for c in cutouts]
            x, y = np.array(middle).T
            psf = trimmed(self.psf, radius).at(x, y)
            whole = 1 - (0 if radius is None else lost_light(self.psf, radius))
        for k, (cutout, name) in enumerate(zip(cutouts, ids, strict=True)):
            stamps.append(self._stamp(cutout, name, drawn, None if psf is None else psf[k], whole))
        return Batch.from_stamps(
            stamps,
            psf_oversampling=1 if self.psf is None else self.psf.oversampling,
            psf_includes_pixel=True if self.psf is None else self.psf.includes_pixel,
            dtype=dtype,
        )

    def _stamp(
        self, cutout: Cutout, name: str, drawn: Sequence[Drawn | None], psf: np.ndarray | None, whole: float
    ) -> Stamp:
        inside, place = cutout.box(self.image.shape)
        square = (cutout.side, cutout.side)
        image, light = np.zeros(square, np.float32), np.zeros(square, np.float32)
        sigma, bad = np.ones(square, np.float32), np.ones(square, bool)
        image[place], light[place] = self.image[inside], np.maximum(self.light[inside], 0)
        sigma[place], bad[place] = self.sigma_with(inside, light[place]), self.field.mask[inside]
        own = np.zeros(square, np.float32)
        if self.modelled.any():
            for k in cutout.members:
                model = drawn[k]
                if model is not None:
                    model.add_to(own, cutout.left, cutout.bottom)
            others = light - own
            image -= others
            bad |= WRONG * others > sigma
        bad[place] |= self._foreign(inside, cutout.members)
        return Stamp(
            name,
            image=image,
            sigma=sigma,
            mask=bad,
            psf=psf,
            gain=self.field.gain,
            zero_point=self.field.zero_point + 2.5 * math.log10(whole),
            pixel_scale=self.field.pixel_scale,
            source=f"source {name}",
        )

    def sigma_with(self, inside: tuple[slice, slice], light: np.ndarray) -> np.ndarray:
        """Noise of the pixels, with that of the sources' own light where it is known."""
        sigma = self.sky_sigma[inside]
        field = self.field
        if (field.sigma is not None and field.sigma_includes_sources) or not field.gain > 0:
            return sigma
        return np.sqrt(sigma**2 + light / np.float32(field.gain))

    def _foreign(self, inside: tuple[slice, slice], members: Sequence[int]) -> np.ndarray:
        """Pixels of sources that are neither fitted here nor subtracted."""
        labels, grown = self.segmentation[inside], self.grown[inside]
        own = np.isin(labels, [k + 1 for k in members])
        known = np.concatenate([[True], self.modelled])
        known[[k + 1 for k in members]] = True
        return ~known[grown] & ~own

    def hides_others(self, cutout: Cutout) -> bool:
        """Whether pixels of a source without a model are masked in a stamp."""
        inside, _ = cutout.box(self.image.shape)
        return bool(self._foreign(inside, cutout.members).any())

    def middle_of(self, cutout: Cutout) -> tuple[int, int]:
        """Row and column of the field nearest to a cutout's middle."""
        tall, wide = self.image.shape
        row, column = cutout.bottom + cutout.side // 2, cutout.left + cutout.side // 2
        return min(max(row, 0), tall - 1), min(max(column, 0), wide - 1)

    def labels(self, cutout: Cutout, k: int) -> np.ndarray:
        """Where (y, x) of bool the pixels of a source are in a stamp."""
        inside, place = cutout.box(self.image.shape)
        own = np.zeros((cutout.side, cutout.side), bool)
        own[place] = self.segmentation[inside] == k + 1
        return own

    def masked_share(self, cutout: Cutout, k: int, batch_mask: np.ndarray) -> float:
        """Share of a source's own footprint that is masked in its stamp."""
        inside, place = cutout.box(self.image.shape)
        own = self.segmentation[inside] == k + 1
        return float(batch_mask[place][own].mean()) if own.any() else 0.0


def enough_sky(bad: np.ndarray) -> bool:
    """Whether enough boxes of the sky's mesh are at least half sky."""
    boxes = [
        bad[row : row + SKY_BOX, column : column + SKY_BOX].mean() < 0.5
        for row in range(0, bad.shape[0], SKY_BOX)
        for column in range(0, bad.shape[1], SKY_BOX)
    ]
    return float(np.mean(boxes)) >= LEAST_SKY


def psf_radius(psf: PsfModel | None, signal: float) -> int:
    """Radius in pixels, one of a few, beyond which the PSF holds too little light to matter at a signal-to-noise.

    Transforms take the time of the stamp and the PSF together, and most sources are faint.
    """
    if psf is None:
        return 0
    return next((r for r in RADII if lost_light(psf, r) < LOST / max(signal, 1.0)), RADII[-1])


@lru_cache(maxsize=64)
def lost_light(psf: PsfModel, radius: int) -> float:
    """Part of the light of the PSF in the middle of the field outside a square of so many pixels to each side."""
    whole = psf.at(*psf.offset)[0]
    return float(1 - _middle(whole[None], radius * psf.oversampling)[0].sum())


@lru_cache(maxsize=16)
def trimmed(psf: PsfModel, radius: int | None) -> PsfModel:
    """The PSF without what lies farther out than so many pixels; where it is smaller, itself."""
    if radius is None or radius * psf.oversampling >= max(psf.size) // 2:
        return psf
    return dataclasses.replace(psf, basis=_middle(psf.basis, radius * psf.oversampling))


def _middle(images: np.ndarray, samples: int) -> np.ndarray:
    """The middle of images (image, v, u), so many samples to each side."""
    places = []
    for length in images.shape[1:]:
        half = min(samples, length // 2)
        places.append(slice(length // 2 - half, length // 2 + half + 1))
    return images[:, places[0], places[1]]


def grow(segmentation: np.ndarray, pixels: int = GROWN) -> np.ndarray:
    """Footprints grown by some pixels into those that belong to nobody."""
    grown = segmentation
    for _ in range(pixels):
        grown = np.where(grown == 0, ndimage.maximum_filter(grown, 3), grown)
    return grown
