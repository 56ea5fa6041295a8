"""Measure the sources of a kept field with Isolux: `isolux_field.py FOLDER OUT MODELS PSF CORES PLACES`.

Called by field.py. MODELS are names with commas between, PSF is "given" or "stars", PLACES "detected" or
"true" (positions of the truth). The catalogue goes to OUT (.npz), with the seconds of each step.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import field_mocks

from isolux.field.catalogue import catalogue
from isolux.field.options import FieldOptions
from isolux.field.survey import measure_sources


def main(folder: Path, out: Path, models: str, psf: str, cores: int, places: str) -> None:
    mock = field_mocks.load(folder)
    options = FieldOptions(models=models.split(","))
    clock = time.perf_counter()
    found = measure_sources(
        mock.image,
        psf=mock.psf if psf == "given" else None,
        options=options,
        positions=(mock.truth["x"], mock.truth["y"]) if places == "true" else None,
        cores=cores,
    )
    seconds = dict(found.seconds)
    seconds["rest"] = time.perf_counter() - clock - sum(seconds.values())
    clock = time.perf_counter()
    table = catalogue(found)
    seconds["catalogue"] = time.perf_counter() - clock
    columns = {name: np.asarray(getattr(table[name], "value", table[name])) for name in table.colnames}
    if psf != "given":
        columns["psf.basis"] = found.psf.basis
    np.savez(out, seconds=json.dumps(seconds), remarks=json.dumps(list(found.remarks)), **columns)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]), sys.argv[6])
