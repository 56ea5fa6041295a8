"""Time and memory of mock fields, and how they agree with GalSim's: `python benchmarks/mock_speed.py`.

Each field is a process of its own. Times are CPU seconds on one thread: truth, PSF, drawing, noise; GalSim draws the
sources alone, where it is asked to. Agreement is the largest difference of single sources over their peak.
"""

import argparse
import dataclasses
import datetime
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tables
import torch
from about import commit, processor

from isolux import mock
from isolux.mock.drawing import draw_sources
from isolux.mock.galsim_twin import twin_image
from isolux.mock.truth import of_band

HERE = Path(__file__).resolve().parent
FIELDS = (
    ("sdss", "mixed", 0.0, True),
    ("sdss", "mixed", 0.1, True),
    ("euclid", "mixed", 0.0, True),
    ("euclid", "realistic", 0.0, False),
    ("euclid", "realistic", 0.1, False),
    ("hst", "realistic", 0.0, False),
)
COUNT, COMPARED, COMPARED_ON = 2000, 60, 700
TEXT = """
## Mock fields

{date}, Isolux at commit {commit}, {processor}, one thread.
`python benchmarks/mock_speed.py`: fields of {size} x {size} pixels with 2,000 galaxies and 2,000 stars. CPU seconds for
everything but files; GalSim {galsim} draws the sources alone. Agreement: largest difference of a source over its peak,
among 60 galaxies and 60 stars of a smaller field, drawn one by one.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--field", type=int, help="only this one, printed as JSON")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.field is not None:
        print(json.dumps(measured(*FIELDS[options.field], options.size)))
        return
    lines = []
    for number, (survey, kind, variation, _) in enumerate(FIELDS):
        words = [sys.executable, __file__, "--field", str(number), "--size", str(options.size)]
        ran = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(ran.stdout.splitlines()[-1])
        lines.append([survey, kind, "varies" if variation else "constant", *found])
        print(*lines[-1], flush=True)
    header = ["survey", "morphology", "PSF", "with features", "CPU s", "peak, MB", "GalSim, CPU s"]
    header += ["galaxies agree to", "stars agree to"]
    import galsim

    about = {"date": datetime.date.today(), "commit": commit(), "processor": processor()}
    text = TEXT.format(**about, size=options.size, galsim=galsim.__version__)
    tables.put(options.results, "mock fields", text + "\n" + tables.markdown(header, lines))


def measured(survey: str, kind: str, variation: float, twin: bool, size: int) -> list[str]:
    """The cells of a field's row."""
    began = time.process_time()
    wanted = mock.FieldOptions(
        size=size, galaxies=COUNT, stars=COUNT, morphology=kind, psf_variation=variation
    )
    made = mock.field(survey, seed=1, options=wanted)
    ours = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    band = next(iter(made.bands))
    theirs = "-"
    if twin:
        began = time.process_time()
        twin_image(made, band)
        theirs = f"{time.process_time() - began:.1f}"
    small = dataclasses.replace(wanted, size=COMPARED_ON, galaxies=COMPARED, stars=COMPARED)
    few = mock.field(survey, seed=2, options=small)
    agree = [f"{worst(few, band, range(first, first + COMPARED)):.1e}" for first in (0, COMPARED)]
    cells = [str(int(made.truth["realistic"].sum())), f"{ours:.1f}", f"{peak:.0f}", theirs]
    return cells + agree


def worst(made: mock.MockField, band: str, rows: range) -> float:
    """Largest difference of single sources over their peak."""
    largest = 0.0
    truth = of_band(made.truth, band)
    for row in rows:
        one = {name: values[row : row + 1] for name, values in truth.items()}
        image = draw_sources(
            one,
            made.band(band),
            made.psf[band],
            made.bands[band].shape,
            sigma=made.sigma[band],
            gain=made.gain[band],
            edge=made.options.edge,
        ).image
        theirs = twin_image(made, band, [row])
        largest = max(largest, float(np.abs(image - theirs).max() / theirs.max()))
    return largest


if __name__ == "__main__":
    main()
