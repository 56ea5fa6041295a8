"""Real galaxies for the benchmark of isophotes, and how far the codes are apart on them, since nobody knows the truth.

What the environment variable ISOLUX_REAL_DATA names: the stamps of `real_samples.py`, the large galaxies of its folders
`isophotes` and `imfit` that come without noise or calibration, and the hundred faint galaxies of COSMOS.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import isophotes_codes as codes
import numpy as np
from astropy.io import fits
from real_samples import SAMPLES

from isolux.io.listing import list_stamps
from isolux.io.stamps import load_stamps
from isolux.isophotes.noise import sky_scatter
from isolux.stamp import check

PSF = 3.5
"""FWHM in pixels that AutoProf is told: near that of all samples but COSMOS'."""
ODD = 0.1
"""Magnitudes from both others beyond which a code is the odd one out, where these are half as far apart or less."""
SURE = 5.0
"""Signal-to-noise of Isolux's profile to which codes are compared."""
COSMOS_SCALE, COSMOS_ZERO = 0.03, 25.937


def data() -> Path:
    """The folder of the images."""
    folder = os.environ.get("ISOLUX_REAL_DATA")
    if not folder:
        sys.exit("give ISOLUX_REAL_DATA, the folder of the images")
    return Path(folder)


def galaxies() -> list[codes.Stamp]:
    """All but COSMOS', in units of their noise: AutoProf finds no sky in fluxes of 1e-11."""
    stamps = []
    with tempfile.TemporaryDirectory() as work:
        for name, sample in SAMPLES.items():
            for stamp in load_stamps(list_stamps(sample(data(), Path(work) / name))):
                good = check(stamp)
                zero = stamp.zero_point if np.isfinite(stamp.zero_point) else 25.0
                label = f"{name}-{stamp.id}"
                stamps.append(_stamp(label, good.image, good.sigma, good.mask, stamp.pixel_scale, zero))
    return stamps + list(_large())


def _stamp(name: str, image: np.ndarray, sigma: np.ndarray, mask: np.ndarray, scale: float, zero: float):
    unit = float(np.median(sigma[~mask]))
    return codes.Stamp(
        name, image / unit, sigma / unit, mask, scale, zero - 2.5 * np.log10(unit), min(PSF, 0.1 / scale + 3)
    )


def _large() -> Iterator[codes.Stamp]:
    """Two spirals in HSC, one of them with its mask as well, M51 and the centre of NGC 5419, with their sky's noise."""
    for name, path, scale, zero in (
        ("hsc-gal1_G", "isophotes/gal1_G.fits", 0.168, 27.0),
        ("hsc-gal2_R", "isophotes/gal2_R.fits", 0.168, 27.0),
        ("M51", "isophotes/M51.fits.gz", 1.0, 25.0),
        ("NGC5419", "imfit/n5419f555w_pc_derot_cutout.fits", 0.046, 25.0),
    ):
        with fits.open(data() / path) as file:
            image = np.asarray(next(hdu.data for hdu in file if hdu.data is not None), float)
        free = np.zeros(image.shape, bool)
        yield _stamp(name, image, np.full(image.shape, sky_scatter(image)), free, scale, zero)
        if name == "hsc-gal2_R":
            labels = fits.getdata(data() / "isophotes" / "gal2_orig_segmap_R.fits.gz")
            others = (labels != 0) & (labels != labels[labels.shape[0] // 2, labels.shape[1] // 2])
            sigma = np.full(image.shape, sky_scatter(image, others))
            yield _stamp(f"{name}, masked", image, sigma, others, scale, zero)


def cosmos() -> list[codes.Stamp]:
    """The hundred galaxies of COSMOS; their catalogue has the variance of the noise."""
    folder = data() / "cosmos-100"
    table = fits.getdata(folder / "real_galaxy_catalog_26_extension_example.fits", 1)
    stamps = []
    with fits.open(folder / "real_galaxy_images_extension.fits.gz") as images:
        for row in table:
            image = np.asarray(images[int(row["GAL_HDU"])].data, float)
            sigma = np.full(image.shape, float(row["NOISE_VARIANCE"]) ** 0.5)
            free = np.zeros(image.shape, bool)
            stamps.append(_stamp(f"cosmos-{row['IDENT']}", image, sigma, free, COSMOS_SCALE, COSMOS_ZERO))
    return stamps


def print_real(stamps: list[codes.Stamp], found: dict[str, list[codes.Profile]], each: bool = True) -> None:
    """Tables: a row a code, and a row a galaxy."""
    names = list(found)
    rows = [{code: found[code][k] for code in names} for k in range(len(stamps))]
    apart = [pairs(row, stamp) for row, stamp in zip(rows, stamps, strict=True)]
    odd = [odd_one(row, own) for row, own in zip(rows, apart, strict=True)]
    print("| code | no profile | odd one out | CPU seconds a galaxy (median) | times isolux |")
    print("|---|---|---|---|---|")
    base = np.median([p.seconds for p in found["isolux"]])
    for code in names:
        none = sum(len(p.sma) == 0 for p in found[code])
        seconds = np.median([p.seconds for p in found[code]])
        print(
            f"| {code} | {none} of {len(stamps)} | {odd.count(code)} | {seconds:.3g} | {seconds / base:.3g} |"
        )
    print()
    for one, two in _pairs(names):
        values = [own[one, two] for own in apart if np.isfinite(own[one, two])]
        print(
            f"{one} and {two}: median of the galaxies' median |difference| {np.median(values):.3f} mag, "
            f"{np.mean(np.array(values) > ODD):.0%} above {ODD} ({len(values)} galaxies)."
        )
    if each:
        _print_each(stamps, rows, apart, odd)


def _print_each(stamps: list, rows: list, apart: list, odd: list) -> None:
    names = list(rows[0])
    print("\n| galaxy | " + " | ".join(f"{code}: radii, last" for code in names) + " | "
          + " | ".join(f"{a} − {b}" for a, b in _pairs(names)) + " | odd one out |")  # fmt: skip
    print("|---|" + "---|" * (len(names) + len(_pairs(names)) + 1))
    for stamp, row, own, which in zip(stamps, rows, apart, odd, strict=True):
        cells = [
            f"{len(p.sma)}, {p.sma[-1] * stamp.pixel_scale:.1f}″" if len(p.sma) else f"none: {p.fault[:50]}"
            for p in row.values()
        ]
        cells += [f"{own[pair]:.3f}" if np.isfinite(own[pair]) else "–" for pair in _pairs(names)]
        print(f"| {stamp.name} | {' | '.join(cells)} | {which} |")


def _pairs(names: list[str]) -> list[tuple[str, str]]:
    return [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]


def pairs(row: dict[str, codes.Profile], stamp: codes.Stamp) -> dict[tuple[str, str], float]:
    """Median |difference| in magnitudes of each two codes, where Isolux's profile is sure and 0.5 to the last pixel."""
    own = row["isolux"]
    sure = own.intensity > SURE * own.error
    if sure.sum() < 3:
        return dict.fromkeys(_pairs(list(row)), np.nan)
    radius = np.geomspace(1.0, own.sma[sure].max(), 40)
    levels = {code: _level(profile, radius) for code, profile in row.items()}
    return {(a, b): _median(levels[a] - levels[b]) for a, b in _pairs(list(row))}


def _median(values: np.ndarray) -> float:
    known = np.abs(values[np.isfinite(values)])
    return float(np.median(known)) if len(known) > 3 else np.nan


def _level(profile: codes.Profile, radius: np.ndarray) -> np.ndarray:
    """Magnitudes at radii in pixels; NaN beyond the profile."""
    good = profile.intensity > 0
    if good.sum() < 3:
        return np.full(len(radius), np.nan)
    sma, level = profile.sma[good], -2.5 * np.log10(profile.intensity[good])
    return np.interp(radius, sma, level, left=np.nan, right=np.nan)


def odd_one(row: dict[str, codes.Profile], apart: dict[tuple[str, str], float]) -> str:
    """The code that is far from two others that agree, or nothing."""
    if len(row) < 3:
        return ""
    for code in row:
        own = [value for pair, value in apart.items() if code in pair]
        rest = [value for pair, value in apart.items() if code not in pair]
        if min(own) > ODD and rest[0] < 0.5 * min(own):
            return code
    return ""
