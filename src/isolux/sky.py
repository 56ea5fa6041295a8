"""Pixels on the sky: ICRS positions and position angles through a WCS."""

from __future__ import annotations

from typing import Any

import numpy as np

STEP = 0.5
"""Pixels to either side of a place over which a direction is followed."""


def on_sky(
    wcs: Any, x: np.ndarray, y: np.ndarray, angle: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right ascension and declination (source,) in degrees of pixels, and directions there, east of north.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Of two celestial axes.
    x, y : numpy.ndarray
        (source,): pixels from 0.
    angle : numpy.ndarray
        (source,): degrees from +y, counter-clockwise; where it is NaN the direction is.

    Returns
    -------
    ra, dec, pa : numpy.ndarray
        (source,): degrees, ICRS; pa in (-90, 90].
    """
    turn = np.radians(np.asarray(angle, float))
    middle = np.stack([x, y], -1).astype(float)
    step = STEP * np.nan_to_num(np.stack([-np.sin(turn), np.cos(turn)], -1))
    points = np.concatenate([middle, middle - step, middle + step])
    here, back, ahead = np.split(icrs(wcs, points), 3) if len(middle) else (np.zeros((0, 2)),) * 3
    east = (ahead[:, 0] - back[:, 0] + 180) % 360 - 180
    north = ahead[:, 1] - back[:, 1]
    pa = np.degrees(np.arctan2(east * np.cos(np.radians(here[:, 1])), north))
    return here[:, 0], here[:, 1], np.where(np.isfinite(turn), 90 - (90 - pa) % 180, np.nan)


def icrs(wcs: Any, points: np.ndarray) -> np.ndarray:
    """Right ascension and declination (point, 2) in degrees of pixel positions (point, 2)."""
    world = wcs.all_pix2world(points, 0)[:, [wcs.wcs.lng, wcs.wcs.lat]]
    modern = wcs.wcs.radesys in ("", "ICRS") or (wcs.wcs.radesys == "FK5" and wcs.wcs.equinox in (0, 2000))
    if wcs.wcs.lngtyp.strip() == "RA" and modern:
        return world
    from astropy.coordinates import SkyCoord
    from astropy.wcs.utils import wcs_to_celestial_frame

    sky = SkyCoord(world[:, 0], world[:, 1], unit="deg", frame=wcs_to_celestial_frame(wcs)).icrs
    return np.stack([sky.ra.deg, sky.dec.deg], 1)
