"""A further band of a field: where its sources are in it, its sky, noise and PSF, and what has been modelled in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isolux.bands import BandsResult
from isolux.bands.grids import from_wcs
from isolux.errors import InputError
from isolux.field.cutouts import Cutout, Drawn, Sheet, cut
from isolux.field.detect import Detections, DetectOptions, detect
from isolux.field.image import FieldImage
from isolux.field.stars import psf_from_stars
from isolux.field.survey import Measured
from isolux.field.wings import with_wings
from isolux.psf_model import PsfModel

REACH = 5.0
"""Pixels over which two grids are compared."""


class View:
    """A further band."""

    def __init__(
        self,
        field: FieldImage,
        x: np.ndarray,
        y: np.ndarray,
        maps: np.ndarray,
        sheet: Sheet,
        remarks: list[str],
    ) -> None:
        self.field, self.x, self.y, self.maps, self.sheet, self.remarks = field, x, y, maps, sheet, remarks
        self.drawn: list[Drawn | None] = [None] * len(x)
        self.cutouts: dict[tuple[int, ...], Cutout] = {}
        rows, columns = field.shape
        self.inside = (x > -0.5) & (x < columns - 0.5) & (y > -0.5) & (y < rows - 0.5)
        self.scale = np.sqrt(np.abs(np.linalg.det(maps[:, :, :2]))) if len(maps) else np.ones(0)

    @classmethod
    def of(cls, measured: Measured, band: str, field: FieldImage, psf: PsfModel | None) -> View:
        """Where the sources are in a band, its sky, its noise and its PSF."""
        maps = grids_between(measured.field, field, measured.detections.x, measured.detections.y, band)
        place = np.stack([measured.detections.x, measured.detections.y, np.ones(len(maps))], 1)
        x, y = np.einsum("sij,sj->si", maps, place).T if len(maps) else np.zeros((2, 0))
        own = detect(field, DetectOptions(threshold=measured.options.threshold))
        remarks = [f"{band}: {remark}" for remark in own.remarks]
        if psf is None:
            psf = with_wings(psf_from_stars(field, own))
            remarks += [f"{band}: {remark}" for remark in psf.remarks]
        found = Detections.at(field, x, y, background=own.background, segmentation=own.segmentation)
        sigma = own.background.rms if field.sigma is None else field.sigma
        sheet = Sheet.of(field, own.background.level, sigma, found.segmentation, psf, len(found))
        return cls(field, x, y, maps, sheet, remarks)

    def cutout(self, members: Sequence[int], need: np.ndarray, largest: int) -> Cutout:
        """The stamp of a group."""
        own = cut(members, np.nan_to_num(self.x), np.nan_to_num(self.y), need * self.scale, largest)
        self.cutouts[tuple(members)] = own
        return own

    def keep(
        self, groups: Sequence[tuple[int, ...]], result: BandsResult, images: Sequence[np.ndarray], band: str
    ) -> None:
        """Take in the models of some groups."""
        present = result.present[:, list(result.bands).index(band)].tolist()
        for row, group in enumerate(groups):
            own = self.cutouts[group]
            for k, source in enumerate(group):
                good = present[row] and result.bands[band].status[row].fitted
                self.drawn[source] = Drawn(own.left, own.bottom, images[k][row]) if good else None

    def subtract(self) -> None:
        """Put the models of all sources on the sheet."""
        self.sheet = self.sheet.with_models(self.drawn)


def grids_between(one: FieldImage, two: FieldImage, x: np.ndarray, y: np.ndarray, band: str) -> np.ndarray:
    """How the pixels of two images lie around some places: (source, 2, 3), x' = M (x, y) + t, M and t side by side.

    Raises
    ------
    InputError
        If nothing says so: no WCS, and images of different shapes.
    """
    if one.wcs is None or two.wcs is None:
        if one.shape != two.shape:
            raise InputError(
                f"band {band}: without a WCS in both images they must have one grid",
                two.shape,
                f"{one.shape}",
            )
        return np.broadcast_to(np.eye(2, 3), (len(x), 2, 3)).copy()
    if one.shape == two.shape and one.wcs.wcs.compare(two.wcs.wcs, tolerance=1e-12):
        return np.broadcast_to(np.eye(2, 3), (len(x), 2, 3)).copy()
    places = np.stack([x, y], 1)
    return np.array([from_wcs(one.wcs, two.wcs, place, REACH) for place in places]).reshape(-1, 2, 3)
