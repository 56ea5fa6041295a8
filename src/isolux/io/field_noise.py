"""Weight maps as standard deviations.

What a weight map holds is not always said: inverse variance, variance, standard deviation, or a number proportional to
the inverse variance (exposure time, SWarp's weights of images that were not calibrated). Where it is not said, each
reading is held against the noise that the image has, and the one nearest to it is taken if it is within a factor of
``AGREES``; otherwise the map is taken as relative inverse variance and scaled to the noise of the image.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from isolux.errors import InputError
from isolux.field.background import measure_background
from isolux.field.image import FieldImage

KINDS = ("auto", "ivar", "variance", "sigma", "relative")
AGREES = 2.0
"""Noise that neighbouring pixels share, and sources, move what is measured by less than this."""


def sigma_from(
    weight: np.ndarray, kind: str, field: FieldImage, likely: str | None = None
) -> tuple[np.ndarray, list[str]]:
    """Standard deviations from a weight map.

    Parameters
    ----------
    weight : numpy.ndarray
        (y, x).
    kind : str
        One of ``KINDS``.
    field : FieldImage
        The image, whose noise the map is held against.
    likely : str, optional
        What the map's name says that it is.

    Returns
    -------
    sigma : numpy.ndarray
        (y, x), float32; NaN where there is no positive weight.
    remarks : list of str
        What a user should know.

    Raises
    ------
    InputError
        If the kind is unknown, or no pixel has a positive weight.
    """
    if kind not in KINDS:
        raise InputError("weight_type", kind, ", ".join(KINDS))
    with np.errstate(invalid="ignore"):
        good = np.isfinite(weight) & (weight > 0)
    usable = good & ~field.mask
    if not usable.any():
        raise InputError(f"{field.source}: no good pixel has a positive weight")
    remarks = []
    negative = int(np.count_nonzero(np.isfinite(weight) & (weight < 0)))
    if negative:
        remarks.append(f"{negative} pixels have a negative weight and are masked")
    if kind in ("ivar", "variance", "sigma"):
        return _read(weight, kind, good), remarks
    noise = measure_background(dataclasses.replace(field, mask=~usable)).rms[usable].astype(np.float64)
    if kind == "auto":
        order = [likely] if likely in KINDS else ["ivar", "sigma", "variance"]
        ratios = {name: _ratio(noise, _read(weight, name, good)[usable]) for name in order if name}
        best = min(ratios, key=lambda name: abs(np.log(ratios[name])))
        if 1 / AGREES < ratios[best] < AGREES:
            return _read(weight, best, good), remarks if likely else [
                *remarks,
                f"the weight map is taken as {best}",
            ]
        if likely:
            remarks.append(f"the image's noise is {ratios[likely]:.3g} times what the {likely} map says")
            return _read(weight, likely, good), remarks
    relative = _read(weight, "ivar", good)
    factor = np.float32(_ratio(noise, relative[usable]))
    remarks.append("the weight map is taken as relative, and scaled to the noise of the image")
    return relative * factor, remarks


def _read(weight: np.ndarray, kind: str, good: np.ndarray) -> np.ndarray:
    values = np.where(good, weight, 1).astype(np.float64)
    sigma = values if kind == "sigma" else np.sqrt(values) if kind == "variance" else 1 / np.sqrt(values)
    return np.where(good, sigma, np.nan).astype(np.float32)


def _ratio(noise: np.ndarray, sigma: np.ndarray) -> float:
    """Median ratio of the noise measured and the noise said."""
    ratio = float(np.median(noise[::7] / sigma[::7])) if noise.size > 7 else float(np.median(noise / sigma))
    return ratio if np.isfinite(ratio) and ratio > 0 else 1.0
