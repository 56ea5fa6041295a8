"""What is known of trained weights: their card, which goes with them, and is held against what they are used on."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch

from isolux.batch import Batch
from isolux.errors import InputError, unknown_name

NETWORKS = ("polar", "pix2prof")
SAME = 0.02
"""Relative difference of pixel scales that are the same."""


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

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise unknown_name("network", self.network, NETWORKS)

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
        return cls(**filled)

    def refuse(self, batch: Batch, band: str | None = None) -> None:
        """Compare with what it is to be used on.

        Raises
        ------
        InputError
            For another pixel scale, zero point or band than it has seen, where that makes a difference.
        """
        if self.bands and band is not None and band not in self.bands:
            raise InputError(f"band for the weights of {self.network}", band, ", ".join(self.bands))
        usable = batch.usable
        if not bool(usable.any()):
            return
        scale = batch.pixel_scale[usable]
        if self.pixel_scale:
            low, high = min(self.pixel_scale) * (1 - SAME), max(self.pixel_scale) * (1 + SAME)
            bad = scale[~((scale >= low) & (scale <= high))]
            if len(bad):
                allowed = " to ".join(f"{s:g}" for s in sorted(set(self.pixel_scale)))
                raise InputError(f"pixel scale for the weights of {self.network}", float(bad[0]), allowed)
        if self.zero_point is not None:
            off = (batch.zero_point[usable] - self.zero_point).abs()
            if float(torch.nan_to_num(off, nan=math.inf).max()) > 0.01:
                wrong = float(batch.zero_point[usable][off.argmax()])
                raise InputError(f"zero point for the weights of {self.network}", wrong, self.zero_point)
