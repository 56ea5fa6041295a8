"""Ellipses as surveys write them, with errors of first order, and back.

Lensing ellipticity (Legacy Surveys), with the position angle φ on the sky, east of north:

    e = (1 - q) / (1 + q),   e1 = e cos 2φ,   e2 = e sin 2φ

Covariance ellipse (Rubin's MultiProFit), in pixels, of semi-axes a and b = qa and the angle φ from +y:

    Cxx = a² sin²φ + b² cos²φ,   Cyy = a² cos²φ + b² sin²φ,   Cxy = -(a² - b²) sin φ cos φ
    reff_x = √Cxx,   reff_y = √Cyy,   rho = Cxy / √(Cxx Cyy)
"""

from __future__ import annotations

import numpy as np

from isolux.field.catalogue import ellipticity
from isolux.io.column_profiles.light import Light


def lensing(light: Light) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (galaxy, 2) of e1 and e2; none of a point, NaN without a WCS."""
    found = {
        name: values
        for name, values, _, _ in ellipticity(light.axis_ratio, light.pa_sky[:, 0], light.pa_sky[:, 1])
    }
    point = light.kind == "PSF"
    pairs = [np.stack([found[name], found[f"{name}_err"]], 1) for name in ("e1", "e2")]
    return np.where(point[:, None], 0.0, pairs[0]), np.where(point[:, None], 0.0, pairs[1])


def from_lensing(e1: np.ndarray, e2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Axis ratio and position angle (galaxy,) in degrees, in (-90, 90]."""
    e = np.hypot(e1, e2)
    return (1 - e) / (1 + e), upright(np.degrees(np.arctan2(e2, e1)) / 2)


def covariance_ellipse(light: Light) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (galaxy, 2) of reff_x and reff_y in pixels and of rho."""
    a, q = light.radius[:, 0] / light.pixel_scale, light.axis_ratio[:, 0]
    point = light.kind == "PSF"
    turn = np.radians(np.where(point, 0.0, light.angle[:, 0]))
    major, minor = a**2, (a * q) ** 2
    sin, cos = np.sin(turn), np.cos(turn)
    matrix = {
        "xx": major * sin**2 + minor * cos**2,
        "yy": major * cos**2 + minor * sin**2,
        "xy": -(major - minor) * sin * cos,
    }
    spread = major - minor
    slopes = {  # by ln a, ln q and the angle
        "xx": (2 * matrix["xx"], 2 * minor * cos**2, 2 * spread * sin * cos),
        "yy": (2 * matrix["yy"], 2 * minor * sin**2, -2 * spread * sin * cos),
        "xy": (2 * matrix["xy"], 2 * minor * sin * cos, -spread * (cos**2 - sin**2)),
    }
    noise = _noise(light)
    with np.errstate(invalid="ignore", divide="ignore"):
        width, height = np.sqrt(matrix["xx"]), np.sqrt(matrix["yy"])
        rho = matrix["xy"] / (width * height)
        bent = [
            xy / (width * height) - rho / 2 * (xx / matrix["xx"] + yy / matrix["yy"])
            for xx, yy, xy in zip(slopes["xx"], slopes["yy"], slopes["xy"], strict=True)
        ]
        errors = (
            _spread([s / (2 * width) for s in slopes["xx"]], noise),
            _spread([s / (2 * height) for s in slopes["yy"]], noise),
            _spread(bent, noise),
        )
    pairs = [np.stack(pair, 1) for pair in zip((width, height, rho), errors, strict=True)]
    of_points = np.where(point[:, None], 0.0, np.nan)
    made = [np.where(point[:, None], of_points, pair) for pair in pairs]
    return made[0], made[1], made[2]


def from_covariance_ellipse(
    width: np.ndarray, height: np.ndarray, rho: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Semi-major axis in pixels, axis ratio, and angle from +y in degrees (galaxy,)."""
    xx, yy, xy = width**2, height**2, rho * width * height
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.sqrt(np.maximum(middle - half, 0) / (middle + half))
    return np.sqrt(middle + half), ratio, upright(np.degrees(np.arctan2(-2 * xy, yy - xx)) / 2)


def upright(angle: np.ndarray) -> np.ndarray:
    """Angles in degrees, in (-90, 90]."""
    return 90 - (90 - angle) % 180


def sky_errors(light: Light) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations (galaxy,) in degrees of right ascension, without cosine, and declination.

    The pixels are taken to be square and not mirrored; how they are turned follows from the position angle on the sky
    and in the image. Where that is not known the mean of both axes stands for each.
    """
    sx, sy = (light.pixel_scale * pair[:, 1] / 3600 for pair in (light.x, light.y))
    turn = np.radians(light.pa_sky[:, 0] - light.angle[:, 0])
    turn = np.where(np.isfinite(turn), turn, np.pi / 4)
    east = np.hypot(np.cos(turn) * sx, np.sin(turn) * sy)
    north = np.hypot(np.sin(turn) * sx, np.cos(turn) * sy)
    known = np.isfinite(light.ra) & np.isfinite(light.dec)
    return east / np.cos(np.radians(light.dec)), np.where(known, north, np.nan)


def inverse_variance(pair: np.ndarray) -> np.ndarray:
    """One over the variance (galaxy,) of a pair; 0 where there is no error or it was held."""
    error = pair[:, 1]
    known = np.isfinite(error) & (error > 0)
    return np.where(known, 1 / np.where(known, error, 1.0) ** 2, 0.0)


def from_inverse_variance(ivar: np.ndarray) -> np.ndarray:
    """Standard deviations (galaxy,); NaN where the inverse variance is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(ivar > 0, 1 / np.sqrt(ivar), np.nan)


def _noise(light: Light) -> np.ndarray:
    """Covariance (galaxy, 3, 3) of ln a, ln q and the angle in radians."""
    with np.errstate(invalid="ignore", divide="ignore"):
        a, q = (pair[:, 1] / pair[:, 0] for pair in (light.radius, light.axis_ratio))
    matrix = np.zeros((len(light), 3, 3))
    matrix[:, 0, 0], matrix[:, 1, 1] = a**2, q**2
    matrix[:, 2, 2] = np.radians(light.angle[:, 1]) ** 2
    matrix[:, 0, 1] = matrix[:, 1, 0] = light.shared
    return matrix


def _spread(slopes: list[np.ndarray], noise: np.ndarray) -> np.ndarray:
    """Standard deviation (galaxy,) of what has these slopes."""
    along = np.stack(slopes, 1)
    return np.sqrt(np.maximum(np.einsum("gi,gij,gj->g", along, noise, along), 0))
