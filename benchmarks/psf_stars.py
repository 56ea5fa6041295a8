"""PSFs measured from the stars of a field, beside photutils and PSFEx: `python benchmarks/psf_stars.py`.

Fields of galaxies and stars as three surveys see them, with a PSF that is constant or varies by a tenth over the field.
Errors are the largest difference from the true PSF of the image's own pixels, over its peak, at nine places of the
field; and what the PSF in the middle does to a Sersic galaxy (n = 2, half-light radius half the PSF's width) that the
true PSF has blurred, without noise. PSFEx is left out where its command (Debian: psfex) is not there.
"""

import argparse
import datetime
import shutil
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import field_mocks
import field_sextractor
import numpy as np
import tables
from about import commit, processor
from astropy.nddata import NDData
from astropy.table import Table
from photutils.psf import EPSFBuilder, extract_stars

import isolux
from isolux import mock
from isolux.field.detect import detect
from isolux.field.stars import psf_from_stars, select_stars
from isolux.io.psfex import read_psf
from isolux.psf_model import PsfModel

HERE = Path(__file__).resolve().parent
SIDE, HALF = 900, 12
FIELDS = [(survey, variation) for survey in ("sdss", "lsst", "euclid") for variation in (0.0, 0.1)]
TEXT = """
## PSFs from stars

{date}, Isolux at commit {commit}, {processor}.
`python benchmarks/psf_stars.py`: fields of {side} x {side} pixels; errors of the PSF are shares of its peak, the median
and the worst of nine places; those of a galaxy (n = 2, half-light radius half of the PSF's width) are of the fit alone.
"""
HEAD = ("field", "PSF", "FWHM, pixels", "stars", "code", "error, median", "worst", "r_e", "n", "CPU s")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for survey, variation in FIELDS:
        rows += field_rows(survey, variation)
        print(rows[-1])
    about = {"date": datetime.date.today(), "commit": commit(), "processor": processor(), "side": SIDE}
    text = TEXT.format(**about) + "\n" + tables.markdown(HEAD, rows)
    print(text)
    tables.put(options.results, "PSFs from stars", text)


def field_rows(survey: str, variation: float) -> list[tuple[str, ...]]:
    """The codes on one field."""
    made = mock.field(
        survey, seed=7, size=SIDE, psf_variation=variation, galaxies=300, stars=150, bright=17.0
    )
    band = next(iter(made.bands))
    field, true = made.bands[band], made.psf[band]
    found = detect(field)
    chosen = select_stars(field, found)
    rows = []
    for name in ("Isolux", "photutils", "PSFEx"):
        clock = time.process_time()
        psf = measured(name, field, found, chosen, made, band)
        if psf is None:
            continue
        took = time.process_time() - clock
        off = errors(psf, true)
        radius, index = galaxy(psf, true)
        kind = f"varies by {variation:.0%}" if variation else "constant"
        cpu = "-" if name == "PSFEx" else f"{took:.1f}"
        numbers = (f"{np.median(off):.2%}", f"{off.max():.2%}", f"{radius:+.1%}", f"{index:+.2f}", cpu)
        rows.append((survey, kind, f"{true.fwhm:.2f}", f"{len(chosen)}", name, *numbers))
    return rows


def measured(name, field, found, chosen, made, band):
    """The PSF by one code; None where it cannot be had."""
    if name == "Isolux":
        return psf_from_stars(field, found)
    if name == "photutils":
        samples = max(1, round(3 / found.fwhm + 0.5))
        stars = extract_stars(
            NDData(field.data - found.background.level),
            Table({"x": found.x[chosen], "y": found.y[chosen]}),
            size=31,
        )
        built = EPSFBuilder(oversampling=samples, maxiters=8, progress_bar=False)(stars)
        image = np.array((built[0] if isinstance(built, tuple) else built.epsf).data, float)
        odd = tuple(slice(0, length - (length % 2 == 0)) for length in image.shape)
        return PsfModel.constant(image[odd], oversampling=samples)
    if shutil.which(field_sextractor.PSFEX) is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        field_mocks.save(folder / "field.npz", made.survey.name, made, band, "Isolux")
        kept = field_mocks.load(folder)
        field_sextractor.write_inputs(kept, folder)
        for command in field_sextractor.commands(kept, folder, "sersic", "stars"):
            subprocess.run([str(word) for word in command], cwd=folder, check=True, capture_output=True)
            if command[0] == field_sextractor.PSFEX:
                return read_psf(next(folder.glob("*.psf")))
    return None


def errors(psf: PsfModel, true: PsfModel) -> np.ndarray:
    """Largest differences at nine places of the field, over the peak, on the image's own pixels."""
    off = []
    for x in (0.1, 0.5, 0.9):
        for y in (0.1, 0.5, 0.9):
            ours, theirs = (pixels(p, x * SIDE, y * SIDE) for p in (psf, true))
            off.append(np.abs(ours - theirs).max() / theirs.max())
    return np.array(off)


def pixels(psf: PsfModel, x: float, y: float) -> np.ndarray:
    """The PSF on the image's pixels out to ``HALF`` of them, of sum one there."""
    image = psf.at(x, y)[0] * psf.oversampling**2
    if not psf.includes_pixel:
        raise ValueError("the PSF must hold the pixel")
    middle, step = image.shape[0] // 2, psf.oversampling
    reach = min(HALF, middle // step)
    own = image[middle % step :: step, middle % step :: step]
    centre = own.shape[0] // 2
    cut = own[centre - reach : centre + reach + 1, centre - reach : centre + reach + 1]
    full = np.zeros((2 * HALF + 1, 2 * HALF + 1))
    full[HALF - reach : HALF + reach + 1, HALF - reach : HALF + reach + 1] = cut
    return full / full.sum()


def galaxy(psf: PsfModel, true: PsfModel) -> tuple[float, float]:
    """Relative error of the half-light radius, and error of the index, of a galaxy fitted with the PSF."""
    side = 81
    scene = isolux.Scene(galaxy=isolux.Sersic())
    truth = {"x": 40.2, "y": 39.7, "flux": 5000.0, "effective_radius": true.fwhm / 2, "sersic_index": 2.0}
    shape = {"axis_ratio": 0.7, "position_angle": 30.0}
    drawn = isolux.Scene(galaxy=isolux.Sersic(**truth, **shape))
    blank = np.zeros((1, side, side))
    images = [
        isolux.Batch.from_arrays(
            blank, sigma=np.ones_like(blank), psf=p.at(SIDE / 2, SIDE / 2)[0], psf_oversampling=p.oversampling
        )
        for p in (true, psf)
    ]
    light = drawn.images(images[0], drawn.values(1)).numpy()
    batch = isolux.Batch.from_arrays(
        light,
        sigma=np.ones_like(blank),
        psf=psf.at(SIDE / 2, SIDE / 2)[0],
        psf_oversampling=psf.oversampling,
        zero_point=25.0,
    )
    found = isolux.fit(batch, scene)
    radius, index = (float(found[f"galaxy.{name}"][0]) for name in ("effective_radius", "sersic_index"))
    return radius / truth["effective_radius"] - 1, index - truth["sersic_index"]


if __name__ == "__main__":
    main()
