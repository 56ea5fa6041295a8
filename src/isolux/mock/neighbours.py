"""How crowded the sources of a mock field are: the nearest neighbour of each."""

from __future__ import annotations

import numpy as np

from isolux.mock.surveys import Band
from isolux.mock.truth import Truth


def nearest(truth: Truth, band: Band) -> dict[str, np.ndarray]:
    """Number, distance and relative brightness of each source's nearest neighbour.

    Parameters
    ----------
    truth : dict
        Positions and magnitudes of the band.
    band : Band
        In which pixels to measure.

    Returns
    -------
    dict
        ``neighbour`` (number in the table; 0 where it is alone), ``neighbour_distance`` in arcsec (infinite),
        ``neighbour_fainter``: by how many magnitudes the neighbour is fainter (infinite).
    """
    count = len(truth["number"])
    number, distance = np.zeros(count, dtype=np.int64), np.full(count, np.inf)
    fainter = np.full(count, np.inf)
    if count > 1:
        from scipy.spatial import cKDTree

        places = np.stack([truth[f"x_{band.name}"], truth[f"y_{band.name}"]], 1)
        far, found = cKDTree(places).query(places, k=2)
        own = found[:, 0] == np.arange(count)
        other, gap = np.where(own, found[:, 1], found[:, 0]), np.where(own, far[:, 1], far[:, 0])
        number, distance = truth["number"][other], gap * band.pixel_scale
        fainter = truth[f"magnitude_{band.name}"][other] - truth[f"magnitude_{band.name}"]
    return {"neighbour": number, "neighbour_distance": distance, "neighbour_fainter": fainter}
