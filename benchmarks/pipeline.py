"""From FITS files to a catalogue, beside the fit alone, on one core and on several: `python benchmarks/pipeline.py`.

The galaxies are those of run.py, each with files for image, sigma, mask and PSF; larger samples link to them again
and again. Each run is a process of its own, pinned to one core; with several workers to as many cores.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import sets
import tables
import torch
from about import commit, processor
from astropy.io import fits

import isolux
from isolux.io.listing import list_stamps
from isolux.task import cpu_threads

HERE = Path(__file__).resolve().parent
KINDS = {"image": "image", "sigma": "sigma", "psf": "psf_eff"}
DRAWN = 200
SCENE = isolux.Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky())
TEXT = """
## From files to catalogue

{date}, Isolux at commit {commit}, {processor}, PyTorch {torch}.
`python benchmarks/pipeline.py`: {size} x {size} pixels, one Sérsic component and sky, float32, measured starting
values, covariance; image, sigma, mask and PSF of each galaxy in a FITS file. Times of several workers count from the
first batch that is done to the last, without the {start:.1f} s that it takes them to start.
"""


def main() -> None:
    options = parse()
    if options.work is not None:
        return print(json.dumps(one_run(Path(options.work), options.blocks, options.workers)))
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder), options.count)
        ways = [(None, False, 1), ("files", False, 1), ("files", True, 1)]
        ways += [("files", blocks, options.workers) for blocks in (False, True)]
        rows = [
            in_process(folder if way else f"{folder}:fit", blocks, workers) for way, blocks, workers in ways
        ]
    text = TEXT.format(
        date=datetime.date.today(),
        commit=commit(),
        processor=processor(),
        torch=torch.__version__,
        size=sets.SIZE,
        start=rows[3]["start"] - rows[1]["start"],
    )
    text += "\n" + table(rows, options.workers)
    print(text)
    tables.put(options.results, "pipeline", text)
    return None


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=2000, help="galaxies of a run")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--blocks", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    return parser.parse_args()


def make_files(folder: Path, count: int) -> None:
    """Draw the galaxies and write their files, with links to them for the rest."""
    sets.make(folder / "set.npz", "single", DRAWN, seed=1)
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 64.0, "CRPIX2": 64.0})
    header.update({"CRVAL1": 150.0, "CRVAL2": 2.0, "CD1_1": -1.1e-4, "CD2_2": 1.1e-4})
    (folder / "made").mkdir()
    (folder / "stamps").mkdir()
    with np.load(folder / "set.npz") as drawn:
        arrays = {kind: drawn[name][:DRAWN].astype("f4") for kind, name in KINDS.items()}
    arrays["mask"] = np.zeros_like(arrays["image"], dtype="u1")
    for kind, images in arrays.items():
        for k in range(count):
            made = folder / "made" / f"{k % DRAWN}_{kind}.fits"
            if k < DRAWN:
                fits.writeto(made, images[k], header if kind == "image" else None)
            (folder / "stamps" / f"{k:06d}_{kind}.fits").symlink_to(made)


def in_process(work: str, blocks: bool, workers: int) -> dict[str, float]:
    """One run in a process of its own, on so many cores."""
    words = ["--work", work, "--workers", str(workers), *(["--blocks"] if blocks else [])]
    cores = sorted(os.sched_getaffinity(0))[:workers]
    ran = subprocess.run(
        [sys.executable, __file__, *words],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    found = json.loads(ran.stdout.splitlines()[-1])
    print(found, flush=True)
    return found


def one_run(work: Path, blocks: bool, workers: int) -> dict[str, float]:
    """Galaxies, seconds by the clock and of the processor (workers included)."""
    folder, _, only_fit = str(work).partition(":")
    kinds = {kind: f"{folder}/stamps/*_{kind}.fits" for kind in (*KINDS, "mask")}
    source = isolux.StampSource(**kinds, zero_point=sets.ZERO_POINT)
    warm_up(source)
    if only_fit:
        return the_fit_alone(source)
    ends: list[tuple[float, int]] = []
    run = isolux.RunOptions(
        folder=f"{folder}/run", overwrite=True, blocks=blocks, workers=workers, device="cpu"
    )
    begin, cpu = time.perf_counter(), processor_seconds()
    isolux.measure(source, SCENE, run, progress=lambda state: ends.append((time.perf_counter(), state.done)))
    whole = time.perf_counter() - begin
    (first, before), (last, done) = ends[0], ends[-1]
    return {
        "galaxies": done,
        "seconds": whole if workers == 1 else (last - first) * done / (done - before),
        "whole": whole,
        "start": first - begin,
        "cpu": processor_seconds() - cpu,
    }


def warm_up(source: isolux.StampSource) -> None:
    """A first fit and a first file: PyTorch compiles and libraries are imported when they are first used."""
    batch = next(isolux.iter_batches(source, 8, files=list_stamps(source)[:8], ahead=0))
    with tempfile.TemporaryDirectory() as folder:
        isolux.write_catalogue(isolux.fit(batch, SCENE), f"{folder}/a.fits")


def the_fit_alone(source: isolux.StampSource) -> dict[str, float]:
    """The same batches when they are in memory."""
    done, seconds, cpu = 0, 0.0, 0.0
    with cpu_threads(1):
        for batch in isolux.iter_batches(source, 128, ahead=0):
            begin, used = time.perf_counter(), processor_seconds()
            isolux.fit(batch, SCENE)
            seconds += time.perf_counter() - begin
            cpu += processor_seconds() - used
            done += len(batch)
    return {"galaxies": done, "seconds": seconds, "whole": seconds, "start": 0.0, "cpu": cpu}


def processor_seconds() -> float:
    """Of this process and of those that it has started and that have ended."""
    return sum(os.times()[:4])


def table(rows: list[dict[str, float]], workers: int) -> str:
    """Rates and processor times, beside those of the fit alone and of one worker."""
    names = ["fit alone", "files to catalogue", "with image blocks"]
    names += [f"files to catalogue, {workers} workers", f"with image blocks, {workers} workers"]
    header = ["", "galaxies", "galaxies a second", "over the fit alone", "over one worker", "CPU ms a galaxy"]
    header += ["CPU of the fit over CPU of all"]
    lines = []
    rates = [row["galaxies"] / row["seconds"] for row in rows]
    for k, (name, row, rate) in enumerate(zip(names, rows, rates, strict=True)):
        one = "-" if k < 3 else f"{rate / rates[k - 2]:.2f}"
        cpu = 1e3 * row["cpu"] / row["galaxies"]
        share = (rows[0]["cpu"] / rows[0]["galaxies"]) / (row["cpu"] / row["galaxies"])
        cells = [f"{rate:.0f}", f"{rate / rates[0]:.2f}", one, f"{cpu:.2f}", f"{share:.2f}"]
        lines.append([name, str(int(row["galaxies"])), *cells])
    return tables.markdown(header, lines)


if __name__ == "__main__":
    main()
