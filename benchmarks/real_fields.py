"""Real survey images measured with no option but the file's name: `python benchmarks/real_fields.py --data FOLDER`.

Draws image, models and residual of each (docs/figures/field.png is the GAMA field) and prints what was found. The
residual map is the test: where galaxies are smooth it should be noise.
"""

import argparse
import dataclasses
import os
import time
from collections import Counter
from pathlib import Path

import numpy as np

import isolux
from isolux.field.catalogue import catalogue
from isolux.field.image import FieldImage
from isolux.field.survey import measure_sources
from isolux.report.field import field_figure

DOCS = Path(__file__).resolve().parent.parent / "docs" / "figures"
FIELDS = {
    "sep-image": ("sep-image.fits.gz", None),
    "viking": ("mystery_VIKING_Z.fits.gz", None),
    "field": ("gama-profound-r.fits.gz", (900, 1700, 900, 1700)),
}
"""File, and rows and columns of the part that is measured."""


def part(field: FieldImage, box: tuple[int, int, int, int]) -> FieldImage:
    """A rectangle of a field."""
    rows, columns = slice(box[0], box[1]), slice(box[2], box[3])
    planes = {name: getattr(field, name)[rows, columns].copy() for name in ("data", "mask", "saturated")}
    sigma = None if field.sigma is None else field.sigma[rows, columns].copy()
    wcs = None if field.wcs is None else field.wcs[rows, columns]
    return dataclasses.replace(field, **planes, sigma=sigma, wcs=wcs)


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("ISOLUX_REAL_DATA"), help="real data")
    parser.add_argument("--only", nargs="+", choices=FIELDS, default=list(FIELDS))
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for figures")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for name in options.only:
        file, box = FIELDS[name]
        field = isolux.read_field(Path(options.data) / "fields" / file)
        field = field if box is None else part(field, box)
        began = time.perf_counter()
        found = measure_sources(field, options=isolux.FieldOptions(workers=options.workers))
        table = catalogue(found)
        table.meta["pixel_scale"] = field.pixel_scale
        noise = np.where(field.mask, np.nan, found.residual / found.sheet.sky_sigma)
        seen = found.detections.segmentation > 0
        kinds = dict(Counter(table["model"].tolist()))
        print(f"{name}: {len(table)} sources in {time.perf_counter() - began:.0f} s, {kinds}")
        print(f"  median reduced chi2 {np.nanmedian(table['reduced_chi2']):.3f}")
        inside = np.abs(noise[seen])
        print(
            f"  residual in sources {np.nanpercentile(inside, 68):.2f} sigma (68 %), {(inside > 5).mean():.2%} beyond 5"
        )
        figure = field_figure(
            found.sheet.image,
            found.model,
            found.sheet.sky_sigma,
            field.mask,
            table,
            f"{file}: {len(table)} sources",
        )
        figure.savefig(options.out / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main()
