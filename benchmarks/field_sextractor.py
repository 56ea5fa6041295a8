"""SExtractor's model fitting, and PSFEx, on a mock field.

Both are given what Isolux is given: the noise map, the gain, the saturation level and, where it is known, the PSF (as
a PSFEx file). Detection is with SExtractor's usual settings. SPHEROID_REFF is the half-light radius along the major
axis and angles are from the x axis: `tests/benchmarks/test_field_scores.py` has a bright galaxy that GalSim drew.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits
from field_mocks import Mock

from isolux.io.write_psfex import write_psfex

COMMAND, PSFEX = "source-extractor", "psfex"
HALF_LIGHT = 1.6783469900166605
SETTINGS = {
    "CATALOG_TYPE": "FITS_LDAC",
    "PARAMETERS_NAME": "wanted.param",
    "FILTER_NAME": "kernel.conv",
    "STARNNW_NAME": "none.nnw",
    "DETECT_THRESH": 1.5,
    "ANALYSIS_THRESH": 1.5,
    "DETECT_MINAREA": 5,
    "DEBLEND_NTHRESH": 32,
    "DEBLEND_MINCONT": 0.005,
    "BACK_SIZE": 128,
    "WEIGHT_TYPE": "MAP_RMS",
    "WEIGHT_IMAGE": "noise.fits",
    "RESCALE_WEIGHTS": "N",
    "WEIGHT_GAIN": "N",
    "MEMORY_OBJSTACK": 20000,
    "MEMORY_PIXSTACK": 10000000,
    "VERBOSE_TYPE": "QUIET",
}
ALWAYS = ("NUMBER", "X_IMAGE", "Y_IMAGE", "MAG_AUTO", "FLAGS")
FOR_PSFEX = (
    *("X_IMAGE", "Y_IMAGE", "FLUX_RADIUS", "FLUX_APER(1)", "FLUXERR_APER(1)", "ELONGATION", "FLAGS"),
    *("SNR_WIN", "VIGNET(45,45)"),
)
SPHEROID = ("MAG_SPHEROID", "SPHEROID_REFF_IMAGE", "SPHEROID_ASPECT_IMAGE", "SPHEROID_THETA_IMAGE")
SPHEROID_ERRORS = (
    *("MAGERR_SPHEROID", "SPHEROID_REFFERR_IMAGE", "SPHEROID_ASPECTERR_IMAGE", "SPHEROID_THETAERR_IMAGE"),
)
MODEL = (
    "XMODEL_IMAGE",
    "YMODEL_IMAGE",
    "MAG_MODEL",
    "MAGERR_MODEL",
    "FLAGS_MODEL",
    "CHI2_MODEL",
    "SPREAD_MODEL",
)
INDEX = ("SPHEROID_SERSICN", "SPHEROID_SERSICNERR")
DISC = ("MAG_DISK", "DISK_SCALE_IMAGE", "DISK_SCALEERR_IMAGE", "DISK_ASPECT_IMAGE", "DISK_THETA_IMAGE")
WANTED = {
    "sersic": (*ALWAYS, *MODEL, *SPHEROID, *SPHEROID_ERRORS, *INDEX),
    # Without its index a spheroid is de Vaucouleurs', as in the mocks.
    "bulge+disc": (*ALWAYS, *MODEL, *SPHEROID, *SPHEROID_ERRORS, *DISC, "FLUXRATIO_SPHEROID"),
}


def commands(mock: Mock, folder: Path, model: str, psf: str) -> Iterator[list[object]]:
    """Command lines to run one after the other in ``folder``; the last one writes catalogue.fits."""
    write_inputs(mock, folder)
    if psf == "given":
        write_psfex(mock.psf, folder / "field.psf")
    else:
        (folder / "wanted.param").write_text("\n".join(FOR_PSFEX) + "\n")
        aperture = {"PHOT_APERTURES": f"{3 * mock.fwhm:.1f}"}
        yield [COMMAND, "image.fits", *words(mock, aperture | {"CATALOG_NAME": "stars.fits"})]
        yield [PSFEX, "stars.fits", *psfex_words(mock)]
        (folder / "stars.psf").replace(folder / "field.psf")
    (folder / "wanted.param").write_text("\n".join(WANTED[model]) + "\n")
    yield [COMMAND, "image.fits", *words(mock, {"CATALOG_NAME": "catalogue.fits", "PSF_NAME": "field.psf"})]


def version() -> str:
    """Version of the installed SExtractor."""
    said = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True).stdout
    return said.split("version")[-1].split("(")[0].strip()


def words(mock: Mock, more: dict[str, object]) -> list[object]:
    """Settings on a command line of SExtractor."""
    image = mock.image
    own = {
        "MAG_ZEROPOINT": image.zero_point,
        "GAIN": image.gain,
        "PIXEL_SCALE": image.pixel_scale,
        "SEEING_FWHM": f"{mock.fwhm * image.pixel_scale:.4f}",
        "SATUR_LEVEL": mock.full,
    }
    given = {**SETTINGS, **own, **more}
    return ["-c", "empty.sex", *(word for name, value in given.items() for word in (f"-{name}", value))]


def psfex_words(mock: Mock) -> list[object]:
    """Settings of PSFEx: a pixel basis, finer than the pixels where the PSF is too narrow for them."""
    given = {
        "BASIS_TYPE": "PIXEL_AUTO",
        "PSF_SAMPLING": 0.0 if mock.fwhm > 3 else 0.5,
        "PSF_SIZE": "51,51",
        "PSFVAR_DEGREES": 1,
        "SAMPLE_FWHMRANGE": f"{0.6 * mock.fwhm:.2f},{1.8 * mock.fwhm:.2f}",
        "CHECKPLOT_TYPE": "NONE",
        "CHECKPLOT_DEV": "NULL",
        "CHECKIMAGE_TYPE": "NONE",
        "WRITE_XML": "N",
        "VERBOSE_TYPE": "QUIET",
    }
    return ["-c", "empty.psfex", *(word for name, value in given.items() for word in (f"-{name}", value))]


def write_inputs(mock: Mock, folder: Path) -> None:
    """Image, noise map and small files."""
    image = mock.image
    data = np.where(image.saturated, np.float32(mock.full), image.data)
    fits.writeto(folder / "image.fits", data.astype(np.float32), overwrite=True)
    noise = np.where(image.mask & ~image.saturated, np.float32(1e30), image.sigma)
    fits.writeto(folder / "noise.fits", noise.astype(np.float32), overwrite=True)
    for name, text in (("empty.sex", ""), ("empty.psfex", ""), ("none.nnw", "")):
        (folder / name).write_text(text)
    (folder / "kernel.conv").write_text(kernel(mock.fwhm))


def kernel(fwhm: float) -> str:
    """A Gaussian filter as wide as stars, as the manual advises for faint sources."""
    half = max(1, round(0.85 * fwhm))
    square = np.arange(-half, half + 1) ** 2
    values = np.exp(-4 * np.log(2) * (square + square[:, None]) / fwhm**2)
    return "CONV NORM\n" + "\n".join(" ".join(f"{v:.6f}" for v in row) for row in values) + "\n"


def read(path: Path, mock: Mock, model: str) -> dict[str, np.ndarray]:
    """A catalogue under common names: pixels from 0, sizes in arcsec, angles from +y."""
    with fits.open(path) as f:
        raw = {name: np.asarray(f["LDAC_OBJECTS"].data[name]) for name in f["LDAC_OBJECTS"].columns.names}
    return common(raw, mock.image.pixel_scale, model)


def common(raw: dict[str, np.ndarray], pixel_scale: float, model: str) -> dict[str, np.ndarray]:
    """SExtractor's columns under common names; where it gave no fit, NaN."""
    raw = {name: v.astype(float) if v.dtype.kind == "f" else v for name, v in raw.items()}
    none = (raw["MAG_MODEL"] > 90) | (raw["XMODEL_IMAGE"] == 0)

    def fit(name: str, times: float = 1.0) -> np.ndarray:
        return np.where(none, np.nan, times * raw[name])

    columns = {
        "x": raw["X_IMAGE"] - 1,
        "y": raw["Y_IMAGE"] - 1,
        "auto": raw["MAG_AUTO"],
        "flags": raw["FLAGS"],
    }
    columns |= {"fx": fit("XMODEL_IMAGE") - 1, "fy": fit("YMODEL_IMAGE") - 1}
    columns |= {
        "magnitude": fit("MAG_MODEL"),
        "magnitude_err": fit("MAGERR_MODEL"),
        "chi2": fit("CHI2_MODEL"),
    }
    columns["spread"] = raw["SPREAD_MODEL"]
    radius, ratio = ("re", "q") if model == "sersic" else ("re_b", "q_b")
    columns[radius] = fit("SPHEROID_REFF_IMAGE", pixel_scale)
    columns[f"{radius}_err"] = fit("SPHEROID_REFFERR_IMAGE", pixel_scale)
    columns[ratio], columns[f"{ratio}_err"] = fit("SPHEROID_ASPECT_IMAGE"), fit("SPHEROID_ASPECTERR_IMAGE")
    angle = (fit("SPHEROID_THETA_IMAGE") - 90 + 90) % 180 - 90
    if model == "sersic":
        columns |= {"pa": angle, "pa_err": fit("SPHEROID_THETAERR_IMAGE")}
        columns |= {"n": fit("SPHEROID_SERSICN"), "n_err": fit("SPHEROID_SERSICNERR")}
    else:
        columns |= {
            "re_d": fit("DISK_SCALE_IMAGE", HALF_LIGHT * pixel_scale),
            "q_d": fit("DISK_ASPECT_IMAGE"),
        }
        columns |= {"bt": fit("FLUXRATIO_SPHEROID")}
    return columns
