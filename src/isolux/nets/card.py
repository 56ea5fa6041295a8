"""What is known of trained weights: their card, which goes with them, and is held against what they are used on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from isolux.batch import Batch
from isolux.errors import InputError, unknown_name
from isolux.types import PerGalaxy

NETWORKS = ("polar", "pix2prof", "masks", "starts")
SAME = 0.02
"""Relative difference of pixel scales that are the same."""
MARGIN = 1.25
"""Factor by which a galaxy may lie outside a range of the training before it is remarked on."""
RANGES = {
    "psf_fwhm": "PSF's FWHM in pixels",
    "radius": "half-light radius in pixels",
    "brightness": "mean brightness over noise",
    "noise": "noise of a pixel",
}
"""Ranges that a card may have: FWHM of the Gaussian whose area, 1 / sum P^2, the PSF has; half-light radius along the
major axis; mean brightness inside it over the noise of a pixel; that noise, in the units of the weights."""


@dataclasses.dataclass(frozen=True)
class Card:
    """A model card.

    Attributes
    ----------
    network : {"polar", "pix2prof"}
        Which network.
    config : dict
        What it is built with.
    data : dict
        What it was trained on: presets, size, seed, labels, or a table.
    training : dict
        Steps, rate, seed, seconds, hardware, versions, date, commit.
    scores : dict
        On its validation set.
    pixel_scale : tuple of float
        Arcsec: least and most that it has seen; none where it makes no difference.
    zero_point : float, optional
        Of the images it has seen, where it reads image units.
    bands : tuple of str
        That it has seen; none where it makes no difference.
    widths : tuple of float
        Factors of the brightness's and the growth's 68 % interval below and above the median, from validation.
    limits : tuple of str
        What it is not to be trusted with.
    ranges : dict of str to (low, high)
        Least and most that it has seen, of what :data:`RANGES` names.
    """

    network: str
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    data: dict[str, Any] = dataclasses.field(default_factory=dict)
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    pixel_scale: tuple[float, ...] = ()
    zero_point: float | None = None
    bands: tuple[str, ...] = ()
    widths: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    limits: tuple[str, ...] = ()
    ranges: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise unknown_name("network", self.network, NETWORKS)
        for name, pair in self.ranges.items():
            if name not in RANGES:
                raise unknown_name("range of a model card", name, RANGES)
            if len(pair) != 2 or not pair[0] <= pair[1]:
                raise InputError(f"range {name} of a model card", pair, "low <= high")

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return dataclasses.asdict(self)

    @classmethod
    def of_dict(cls, found: dict[str, Any]) -> Card:
        """From a file.

        Raises
        ------
        InputError
            For entries that a card does not have.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        for name in found:
            if name not in known:
                raise unknown_name("entry of a model card", name, known)
        if "network" not in found:
            raise InputError("a model card without the name of its network")
        tuples = ("pixel_scale", "bands", "widths", "limits")
        filled: dict[str, Any] = {k: tuple(v) if k in tuples else v for k, v in found.items()}
        filled["ranges"] = {k: tuple(v) for k, v in found.get("ranges", {}).items()}
        return cls(**filled)

    def refuse(self, batch: Batch) -> None:
        """Compare with what it is to be used on.

        Raises
        ------
        InputError
            If weights that read one survey's units are given stamps of unknown units: zero point 0 and pixel scale 1,
            which stand for neither having been said.
        """
        if self.zero_point is None or not self.pixel_scale:
            return
        unknown = batch.usable & (batch.zero_point == 0) & (batch.pixel_scale == 1)
        if bool(unknown.any()):
            first = batch.id[int(unknown.long().argmax())]
            raise InputError(
                f"{self.network} reads images of zero point {self.zero_point:g} and {self._scales()} arcsec a pixel, "
                f"and converts others: galaxy {first} has neither, give its zero point and pixel scale"
            )

    def remark(self, band: str | None) -> str:
        """What is to be said of using it on a band; empty where nothing is."""
        if band is None or not self.bands or band in self.bands:
            return ""
        return f"the weights of {self.network} were trained on {', '.join(self.bands)}, not on {band}"

    def outside(self, found: Mapping[str, PerGalaxy]) -> list[list[str]]:
        """Sentences a galaxy on what is beyond the ranges that training has seen.

        Parameters
        ----------
        found : mapping of str to Tensor
            (galaxy,): of what :data:`RANGES` names; NaN where it is not known.
        """
        count = max((len(values) for values in found.values()), default=0)
        said: list[list[str]] = [[] for _ in range(count)]
        for name, values in found.items():
            if name not in self.ranges:
                continue
            low, high = self.ranges[name]
            for own, value in zip(said, values.tolist(), strict=True):
                if value < low / MARGIN or value > high * MARGIN:
                    own.append(f"{RANGES[name]} {value:.3g}, in training {low:.3g} to {high:.3g}")
        return said

    def _scales(self) -> str:
        return " to ".join(f"{s:g}" for s in sorted({min(self.pixel_scale), max(self.pixel_scale)}))
