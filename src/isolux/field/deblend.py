"""Sources that touch, told apart in an image that is filtered less than the one in which sources are found.

The filter that finds faint sources best is as wide as the PSF, and blurs pairs that are two or three widths apart into
one. So the image is searched again with a filter half as wide: a footprint in which that finds several sources is
divided among them, each pixel going to the source whose sharper footprint is nearest.
"""

from __future__ import annotations

import numpy as np
import sep
from scipy import ndimage

from isolux.field.extract import Extracted, room

STANDS_OUT = 2.0
"""Standard deviations of the lightly filtered image by which a peak must rise above the saddle to a higher one: with
2.4 a twentieth of true pairs at one effective radius is lost, with 1 twice as many galaxies are torn apart."""
CLEAR = 1.5
"""How many times the threshold a peak in the sharper image has at least."""


def divided(found: Extracted, sharp: Extracted, image: np.ndarray, contrast: float) -> Extracted:
    """Sources of ``found``, those with several of ``sharp`` in their footprint divided.

    Parameters
    ----------
    found, sharp : Extracted
        Sources in the image as filtered to find them, and as filtered less.
    image : numpy.ndarray
        (y, x): above the sky.
    contrast : float
        Least part of a footprint's flux that makes a peak a source of its own.
    """
    if not len(found) or not len(sharp):
        return found
    column = np.clip(np.rint(sharp.table["x"]).astype(int), 0, image.shape[1] - 1)
    row = np.clip(np.rint(sharp.table["y"]).astype(int), 0, image.shape[0] - 1)
    owner = found.segmentation[row, column].astype(np.int64)
    whole = np.r_[np.inf, found.table["flux"]][owner]
    worth = (sharp.table["cpeak"] > CLEAR * sharp.table["thresh"]) & (sharp.table["flux"] > contrast * whole)
    owner[~worth] = 0
    members = np.bincount(owner, minlength=len(found) + 1)
    members[0] = 0
    several = np.flatnonzero(members > 1)
    if not len(several):
        return found
    labels = found.segmentation.copy()
    flags = np.zeros(len(found) + int(members[several].sum()) + 1, np.int16)
    flags[1 : len(found) + 1] = found.table["flag"]
    new = len(found)
    boxes = ndimage.find_objects(found.segmentation)
    for label in several:
        box = boxes[label - 1]
        inside = found.segmentation[box] == label
        pieces = np.flatnonzero(owner == label) + 1
        seeds = np.where(inside & np.isin(sharp.segmentation[box], pieces), sharp.segmentation[box], 0)
        where = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
        nearest = seeds[tuple(where)]
        for k, piece in enumerate(np.unique(seeds[seeds > 0])):
            number = label if k == 0 else new + 1
            new += k > 0
            labels[box][inside & (nearest == piece)] = number
            flags[number] = found.table["flag"][label - 1] | sep.OBJ_MERGED
    return measured(image, labels, flags, found.remarks)


def rejoined(found: Extracted, image: np.ndarray, smooth: np.ndarray, sigma: np.ndarray) -> Extracted:
    """Sources that are but noise on a larger one made part of it again.

    Two that touch are one unless the lower peak rises above the saddle between them, the highest place on their
    border, by ``STANDS_OUT`` standard deviations. The plateau of a bright galaxy has many peaks of noise.

    Parameters
    ----------
    found : Extracted
        The sources.
    image : numpy.ndarray
        (y, x): above the sky.
    smooth, sigma : numpy.ndarray
        (y, x): the image lightly filtered, and its standard deviation there, photons included.
    """
    labels = found.segmentation
    pairs, saddles = borders(labels, smooth)
    if not len(pairs):
        return found
    peak = ndimage.maximum(smooth, labels, np.arange(len(found) + 1))
    at = ndimage.maximum_position(smooth, labels, np.arange(1, len(found) + 1))
    spread = np.r_[0.0, sigma[tuple(np.array(at).T)]]
    root = np.arange(len(found) + 1)

    def owner(k: int) -> int:
        while root[k] != k:
            k = int(root[k])
        return k

    for (one, two), saddle in zip(pairs.tolist(), saddles.tolist(), strict=True):
        high, low = sorted((owner(one), owner(two)), key=lambda k: -peak[k])
        if high != low and peak[low] - saddle < STANDS_OUT * spread[low]:
            root[low] = high
    final = np.array([owner(k) for k in range(len(root))])
    if (final == np.arange(len(root))).all():
        return found
    flags = np.zeros(len(root), np.int16)
    flags[1:] = found.table["flag"]
    return measured(image, final[labels].astype(np.int32), flags, found.remarks)


def borders(labels: np.ndarray, smooth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (pair, 2) of labels that touch, and the saddle between them; the highest first."""
    pieces = []
    for one, two in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        a, b = labels[one], labels[two]
        there = (a != b) & (a > 0) & (b > 0)
        low = np.minimum(smooth[one][there], smooth[two][there])
        pieces.append(np.stack([np.minimum(a, b)[there], np.maximum(a, b)[there], low], 1))
    touching = np.concatenate(pieces)
    order = np.lexsort((-touching[:, 2], touching[:, 1], touching[:, 0]))
    touching = touching[order]
    first = (
        np.r_[True, (np.diff(touching[:, :2], axis=0) != 0).any(1)] if len(touching) else np.zeros(0, bool)
    )
    kept = touching[first]
    kept = kept[np.argsort(-kept[:, 2], kind="stable")]
    return kept[:, :2].astype(np.int64), kept[:, 2]


def measured(image: np.ndarray, labels: np.ndarray, flags: np.ndarray, remarks: tuple[str, ...]) -> Extracted:
    """Sep's table for a segmentation (y, x); labels that have no pixel are left out, the others numbered anew."""
    there = np.flatnonzero(np.bincount(labels.ravel(), minlength=len(flags))[1:]) + 1
    compact = np.zeros(len(flags), np.int32)
    compact[there] = np.arange(1, len(there) + 1)
    labels = compact[labels]
    with room(int(np.count_nonzero(labels)) + 1000):
        table, _ = sep.extract(image, 1.0, segmentation_map=labels)
    table["flag"] |= flags[there]
    return Extracted(table, labels, remarks)
