"""A PSF in pixels, varying over the field, from the images of stars.

As in PSFEx (Bertin 2011) the PSF is a table of samples for each monomial of a polynomial in position, found by linear
least squares from all pixels of all stars at once. Instead of a ridge of one strength, the samples' departure from a
Moffat profile has a normal prior whose width is measured in rings, a monomial at a time, by expectation maximisation:

    tau^2 = mean over the ring of (departure^2 + its posterior variance)

so that structure that stars show is kept, and wings that drown in noise follow the profile. The prior's departures are
smooth on a fraction of the PSF's width, since no PSF has detail much finer than it is wide; the departure is tau times
white noise filtered by a Gaussian. The normal equations are solved by conjugate gradients for that white noise. Fluxes
and centres of the stars are fitted in turn, and so is the part of the light in a pixel that nothing explains, as which
real stars differ from each other (detectors, resampling).
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy import ndimage

from isolux.field.star_stamps import StarStamps, interpolation, onto_pixels, onto_samples
from isolux.psf_model import monomials

ROUNDS = 5
"""Rounds of the PSF, its prior, and the stars' fluxes and centres."""
STEPS = 60
"""Steps of conjugate gradients at most."""
CLIP = 5.0
"""Pixels further off than so many standard deviations are left out: cosmic rays, faint neighbours."""
WORST = 4.0
"""Stars whose chi^2 is so many robust standard deviations above the median are left out."""
WIDTH_START, WIDTH_LEAST = (0.5, 0.1), 0.002
"""Widths of the prior in units of the Moffat profile: at first (of the first term and the others), and at least."""
SMOOTH = 0.2
"""Standard deviation of the prior's filter over the full width at half maximum of the PSF."""
UNEXPLAINED = np.geomspace(0.003, 0.2, 15)
"""Parts of the light in a pixel that may differ from the model."""
STEP = 0.02
"""Pixels by which stars are shifted to see how they change."""


@dataclasses.dataclass(frozen=True, eq=False)
class PixelPsf:
    """What came out.

    Attributes
    ----------
    basis : numpy.ndarray
        (term, v, u): samples for each monomial; the sum of the first is one.
    used : numpy.ndarray
        (star,) of bool: stars that were not left out.
    residual : float
        Median over the stars of the rms difference in their middle, in units of their peaks.
    """

    basis: np.ndarray
    used: np.ndarray
    residual: float


class _Stars:
    """The stars on pixels, with what places samples onto them."""

    def __init__(self, stars: StarStamps, powers: np.ndarray, samples: int, oversampling: int) -> None:
        self.stars, self.powers, self.samples, self.oversampling = stars, powers, samples, oversampling
        self.side = stars.pixels.shape[1]
        self.x, self.y = stars.x.copy(), stars.y.copy()
        self.flux = np.ones(len(stars))
        self.good = stars.good.copy()
        self.used = np.ones(len(stars), bool)
        self.unexplained = float(UNEXPLAINED[3])
        self.place()

    def place(self) -> None:
        self.rows = interpolation(self.y, self.side, self.samples, self.oversampling)
        self.columns = interpolation(self.x, self.side, self.samples, self.oversampling)

    def draw(self, basis: np.ndarray) -> np.ndarray:
        """Stars (star, y, x) of flux one."""
        return onto_pixels(self.rows, np.tensordot(self.powers, basis, axes=1), self.columns)

    def collect(self, pixels: np.ndarray) -> np.ndarray:
        """The transpose of ``draw``: (term, v, u)."""
        return np.tensordot(self.powers.T, onto_samples(self.rows, pixels, self.columns), axes=1)

    def variance(self, model: np.ndarray, unexplained: float) -> np.ndarray:
        """Variances (star, y, x) of the pixels: of the sky, of the stars' own light, and what nothing explains."""
        light = np.maximum(model, 0)
        return self.stars.sigma**2 + self.stars.photons[:, None, None] * light + (unexplained * light) ** 2

    def weights(self, model: np.ndarray) -> np.ndarray:
        """Inverse variances (star, y, x) of the pixels, 0 where they are not used."""
        variance = self.variance(model, self.unexplained)
        return np.where(self.good & self.used[:, None, None], 1 / variance, 0)


def solve_pixels(
    stars: StarStamps,
    start: np.ndarray,
    degree: int,
    position: tuple[np.ndarray, np.ndarray],
    oversampling: int,
    fwhm: float,
) -> PixelPsf:
    """The PSF from stars.

    Parameters
    ----------
    stars : StarStamps
        The stars.
    start : numpy.ndarray
        (v, u): a smooth profile of sum one that departures are measured from.
    degree : int
        Of the polynomial.
    position : (numpy.ndarray, numpy.ndarray)
        (star,): where the stars are, scaled to about -1 to 1.
    oversampling : int
        Samples a pixel.
    fwhm : float
        Full width at half maximum in pixels.
    """
    powers = monomials(*position, degree)
    on = _Stars(stars, powers, start.shape[0], oversampling)
    # Fluxes so far are per pixel; samples are as dense as they are fine.
    profile = start * oversampling**2
    basis = np.zeros((powers.shape[1], *start.shape))
    basis[0] = profile
    rings = _rings(start.shape, oversampling)
    tau = np.stack([WIDTH_START[min(k, 1)] * profile for k in range(len(basis))])
    filtered = _Filter(SMOOTH * fwhm * oversampling)
    _fit_stars(on, basis, fluxes_only=True)
    for turn in range(ROUNDS):
        model = on.flux[:, None, None] * on.draw(basis)
        if turn:
            _explain(on, model)
        weight = on.weights(model)
        if turn:
            off = np.abs(on.stars.pixels - model) * np.sqrt(weight)
            on.good &= off < CLIP * max(1.0, float(np.median(_spread(off, weight))))
            weight = on.weights(model)
        departure, variance = _solve(on, profile, tau, weight, filtered)
        basis = departure.copy()
        basis[0] += profile
        tau = _widths(departure, variance, rings, profile)
        _fit_stars(on, basis)
        basis = _centred(on, basis, oversampling)
        _leave_out(on, basis)
    return _finished(on, basis)


class _Filter:
    """A Gaussian filter that leaves white noise with a variance of one."""

    def __init__(self, width: float) -> None:
        self.width = width
        reach = math.ceil(4 * width)
        point = np.zeros((2 * reach + 3,) * 2)
        point[reach + 1, reach + 1] = 1
        response = ndimage.gaussian_filter(point, width, mode="constant", truncate=4)
        self.factor = 1 / math.sqrt((response**2).sum())
        twice = ndimage.gaussian_filter(response, width, mode="constant", truncate=4)
        # Samples that speak for one: the sum of the squares of its correlation with its neighbours.
        self.together = float(((twice / twice.max()) ** 2).sum())

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.factor * ndimage.gaussian_filter(
            images, (0, self.width, self.width), mode="constant", truncate=4
        )


def _solve(
    on: _Stars, profile: np.ndarray, tau: np.ndarray, weight: np.ndarray, filtered: _Filter
) -> tuple[np.ndarray, np.ndarray]:
    """Departures (term, v, u) from the profile, and about their posterior variance."""
    flux = on.flux[:, None, None]
    fixed = np.zeros_like(tau)
    fixed[0] = profile

    def normal(z: np.ndarray) -> np.ndarray:
        return z + filtered(tau * on.collect(flux * weight * (flux * on.draw(tau * filtered(z)))))

    residual = filtered(tau * on.collect(flux * weight * (on.stars.pixels - flux * on.draw(fixed))))
    squared = np.tensordot(
        (on.powers**2).T, onto_samples(on.rows**2, flux**2 * weight, on.columns**2), axes=1
    )
    scale = 1 + tau**2 * squared * filtered.together
    z = np.zeros_like(tau)
    direction = residual / scale
    old = float((residual * direction).sum())
    first = old
    for _ in range(STEPS):
        if not old > 1e-10 * first:
            break
        image = normal(direction)
        step = old / float((direction * image).sum())
        z += step * direction
        residual = residual - step * image
        better = residual / scale
        new = float((residual * better).sum())
        direction, old = better + (new / old) * direction, new
    return tau * filtered(z), tau**2 / scale


def _explain(on: _Stars, model: np.ndarray) -> None:
    """The part of a pixel's light that may differ from the model: that at which half of the stars have chi^2 as due."""
    middle = _middle(on.side) & on.good & on.used[:, None, None]
    count = np.maximum(middle.sum((1, 2)), 1)
    squares = np.where(middle, (on.stars.pixels - model) ** 2, 0)
    for part in UNEXPLAINED:
        chi = (squares / on.variance(model, part)).sum((1, 2)) / count
        on.unexplained = float(part)
        if np.median(chi[on.used]) <= 1:
            return


def _rings(shape: tuple[int, int], oversampling: int) -> np.ndarray:
    """Number of the ring that each sample is in: a pixel wide in the middle, wider outside."""
    v, u = np.indices(shape)
    radius = np.hypot(v - shape[0] // 2, u - shape[1] // 2) / oversampling
    edges = np.cumsum(np.r_[0.75, np.maximum(1.0, 0.15 * np.arange(1, 200))])
    return np.searchsorted(edges, radius)


def _widths(
    departure: np.ndarray, variance: np.ndarray, rings: np.ndarray, profile: np.ndarray
) -> np.ndarray:
    """Widths of the prior (term, v, u): one a ring and monomial."""
    count = np.bincount(rings.ravel())
    tau = np.empty_like(departure)
    for k, (image, spread) in enumerate(zip(departure, variance, strict=True)):
        squares = np.bincount(rings.ravel(), (image**2 + spread).ravel()) / np.maximum(count, 1)
        tau[k] = np.sqrt(squares)[rings]
    return np.maximum(tau, WIDTH_LEAST * profile)


def _fit_stars(on: _Stars, basis: np.ndarray, fluxes_only: bool = False) -> None:
    """Fluxes and centres of the stars with this PSF: one step of linear least squares."""
    model = on.draw(basis)
    weight = on.weights(on.flux[:, None, None] * model)
    shapes = [model]
    if not fluxes_only:
        images = np.tensordot(on.powers, basis, axes=1)
        for along in ("x", "y"):
            ends = []
            for sign in (1, -1):
                rows, columns = on.rows, on.columns
                shifted = interpolation(
                    getattr(on, along) + sign * STEP, on.side, on.samples, on.oversampling
                )
                rows, columns = (rows, shifted) if along == "x" else (shifted, columns)
                ends.append(onto_pixels(rows, images, columns))
            shapes.append((ends[0] - ends[1]) / (2 * STEP) * on.flux[:, None, None])
    columns_ = np.stack(shapes, axis=1)  # (star, unknown, y, x)
    left = np.einsum("skyx,slyx,syx->skl", columns_, columns_, weight, optimize=True)
    right = np.einsum("skyx,syx,syx->sk", columns_, weight, on.stars.pixels - on.flux[:, None, None] * model)
    left += 1e-12 * np.einsum("skk->s", left)[:, None, None] * np.eye(len(shapes)) + 1e-300 * np.eye(
        len(shapes)
    )
    change = np.linalg.solve(left, right[..., None])[..., 0]
    on.flux = np.maximum(on.flux + change[:, 0], 0.05)
    if not fluxes_only:
        on.x = on.x + np.clip(change[:, 1], -0.3, 0.3)
        on.y = on.y + np.clip(change[:, 2], -0.3, 0.3)
        on.place()


def _centred(on: _Stars, basis: np.ndarray, oversampling: int) -> np.ndarray:
    """The PSF with its centre in the middle, and of sum one; stars are moved and scaled to match."""
    total = basis[0].sum() / oversampling**2
    basis = basis / total
    on.flux = on.flux * total
    x, y = centroid(basis[0])
    on.x, on.y = on.x + x / oversampling, on.y + y / oversampling
    basis = np.stack([shifted(image, -x, -y) for image in basis])
    # A PSF that moves with the position cannot be told from stars that are elsewhere: it is kept in place.
    down, across = np.gradient(basis[0])
    weight, u, v = _window(basis[0])
    total = (weight * basis[0]).sum()
    for k in range(1, len(basis)):
        dx, dy = (2 * (weight * along * basis[k]).sum() / total for along in (u, v))
        basis[k] += dx * across + dy * down
        on.x = on.x + dx * on.powers[:, k] / oversampling
        on.y = on.y + dy * on.powers[:, k] / oversampling
    on.place()
    return basis


def _window(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A Gaussian (v, u) as wide as an image, and the samples' distances from its middle."""
    v, u = (np.arange(n) - n // 2 for n in image.shape)
    width = max(1.0, np.sqrt(np.count_nonzero(image > image.max() / 2) / np.pi) * 2 / 2.3548)
    u, v = np.broadcast_arrays(u[None, :], v[:, None])
    return np.exp(-(u**2 + v**2) / (2 * width**2)), u, v


def centroid(image: np.ndarray) -> tuple[float, float]:
    """Centre of an image under a Gaussian as wide as it, in samples from the middle one."""
    v, u = (np.arange(n) - n // 2 for n in image.shape)
    width = max(1.0, np.sqrt(np.count_nonzero(image > image.max() / 2) / np.pi) * 2 / 2.3548)
    x = y = 0.0
    for _ in range(50):
        weight = image * np.exp(-((u[None, :] - x) ** 2 + (v[:, None] - y) ** 2) / (2 * width**2))
        total = weight.sum()
        dx, dy = (weight * (u[None, :] - x)).sum() / total, (weight * (v[:, None] - y)).sum() / total
        # The product of two Gaussians of like width has its centre half way.
        x, y = x + 2 * dx, y + 2 * dy
        if abs(dx) + abs(dy) < 1e-7:
            break
    return float(x), float(y)


def shifted(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """An image moved by so many samples, by its Fourier series."""
    phase = np.exp(-2j * np.pi * y * np.fft.fftfreq(image.shape[0]))[:, None]
    phase = phase * np.exp(-2j * np.pi * x * np.fft.fftfreq(image.shape[1]))
    return np.fft.ifft2(np.fft.fft2(image) * phase).real


def _spread(off: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Rms of the residuals of each star in standard deviations."""
    count = np.maximum(np.count_nonzero(weight, axis=(1, 2)), 1)
    return np.sqrt((off**2).sum((1, 2)) / count)


def _leave_out(on: _Stars, basis: np.ndarray) -> None:
    """Leave out stars that look unlike the others, and take back those that no longer do."""
    model = on.flux[:, None, None] * on.draw(basis)
    on.used[:] = True
    weight = on.weights(model)
    middle = _middle(on.side)
    chi = _spread((np.abs(on.stars.pixels - model) * np.sqrt(weight) * middle), weight * middle)
    typical = np.median(chi)
    scatter = 1.4826 * np.median(np.abs(chi - typical))
    lost = np.count_nonzero(on.good & middle, axis=(1, 2)) < 0.7 * middle.sum()
    keep = (chi <= typical + WORST * max(scatter, 0.1 * typical)) & ~lost
    if np.count_nonzero(keep) >= max(3, 0.5 * len(keep)):
        on.used = keep


def _middle(side: int) -> np.ndarray:
    v, u = np.indices((side, side)) - side // 2
    return np.hypot(u, v) <= max(3.0, side / 6)


def _finished(on: _Stars, basis: np.ndarray) -> PixelPsf:
    model = on.flux[:, None, None] * on.draw(basis)
    off = np.where(on.good, on.stars.pixels - model, 0) * _middle(on.side)
    parts = np.sqrt((off**2).sum((1, 2)) / _middle(on.side).sum()) / model.max((1, 2))
    return PixelPsf(basis / basis[0].sum(), on.used.copy(), float(np.median(parts[on.used])))
