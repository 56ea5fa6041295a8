"""Time and memory of exports: rows of a run, many times over, in each format, each in a process of its own.

    python benchmarks/export_speed.py --rows 20000,100000 --formats parquet,fits,votable,hats

Each format is compared with the first, Parquet, which is a copy of the parts in one file. Processor time, since other
programs may run on the machine. The result goes to ``results/export_speed.json``.
"""

import argparse
import datetime
import json
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow
from about import HERE, commit, processor

from isolux.io.run_folder import Receipt, RunFolder

# The coverage.py that lies here would be taken for the package of that name, which numba asks for.
sys.path.remove(str(HERE))
PART = 1000
"""Galaxies of a part."""


def make(folder: Path, rows: int) -> None:
    """Write a run of so many galaxies: the rows of sixteen fits, with names and places of their own."""
    import isolux
    from isolux.io.rows import with_sky
    from isolux.io.tables import to_arrow
    from isolux.simulate import Observation, mock_stamps

    batch, _ = mock_stamps(16, seed=1, observation=Observation(size=48, pixel_scale=0.6))
    fitted = isolux.fit(batch, isolux.Scene(sersic=isolux.Sersic(), sky=isolux.FlatSky()))
    some = with_sky(to_arrow(fitted.table()))
    rng = np.random.default_rng(0)
    run, parts = RunFolder(folder), rows // PART
    run.write_manifest({"format": 1, "name": "speed", "plan": {"parts": parts, "galaxies": rows}})
    for part in range(parts):
        made = some.take(pyarrow.array(np.arange(PART) % 16))
        fresh = {"ra": rng.uniform(149, 151, PART), "dec": rng.uniform(1, 3, PART)}
        fresh["id"] = [f"g{part * PART + k:09d}" for k in range(PART)]
        for name, values in fresh.items():
            place = made.column_names.index(name)
            made = made.set_column(place, made.schema.field(place), pyarrow.array(values))
        size, checksum = run.write_part(part, made)
        numbers = (part, PART, size, checksum, 1.0, 1.0, 1.0, 1)
        run.write_receipt(Receipt(*numbers, {}, {}, (), 1, "", ""))


def measure(folder: Path, kind: str) -> dict:
    """Export once, in this process."""
    from isolux.export import export

    before, clock = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    done = export(folder, folder / f"out_{kind}", format=kind, overwrite=True)
    seconds = time.process_time() - clock
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "rows": done.rows,
        "format": kind,
        "cpu_s": seconds,
        "before_mb": before / 1024,
        "peak_mb": after / 1024,
    }


def main() -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="20000,100000")
    parser.add_argument("--formats", default="parquet,fits,votable,hats")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(Path(options.one[0]), options.one[1])))
        return
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for rows in map(int, options.rows.split(",")):
            folder = Path(scratch) / str(rows)
            make(folder, rows)
            for kind in options.formats.split(","):
                if kind == "votable" and rows > 200_000:
                    continue
                command = [sys.executable, __file__, "--one", str(folder), kind]
                said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                found.append(json.loads(said.splitlines()[-1]))
                print(
                    "| {rows:,} | {format} | {cpu_s:.1f} s | {before_mb:.0f} MB | {peak_mb:.0f} MB |".format(
                        **found[-1]
                    )
                )
    about = {
        "command": "python benchmarks/export_speed.py " + " ".join(sys.argv[1:]),
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "hats-import": version("hats-import"),
        "results": found,
    }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "export_speed.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
