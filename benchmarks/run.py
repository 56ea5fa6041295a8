"""Isolux beside other codes on the same galaxies: `make bench`, or `python benchmarks/run.py --help`.

Each code runs in an environment of its own, as one process pinned to one core, on the same images, starting
values and PSFs. The tables go to benchmarks/RESULTS.md. All of it takes half an hour or more.
"""

import argparse
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sets
import tables
from about import commit, processor

HERE = Path(__file__).resolve().parent
PEERS = {
    "pyimfit": ("pyimfit==1.1", "numpy", "scipy"),
    # does not import with newer versions of the others
    "petrofit": (
        "petrofit==0.5.0",
        "astropy==5.3.4",
        "numpy<1.27",
        "photutils<1.11",
        "scipy<1.14",
        "matplotlib",
    ),
    "astrophot": ("astrophot==0.18.0", "astropy", "torch==2.13.0", "scipy"),
    # declares no dependencies
    "galmoss": (
        "galmoss==2.2",
        "numpy",
        "pandas",
        "astropy",
        "h5py",
        "torch==2.13.0",
        "torch-optimizer",
        "tqdm",
        "scipy",
    ),
}
COUNT = {"single": 200, "double": 100}
TITLE = {
    "single": "One Sérsic component",
    "double": "Bulge (n = 4) and disc (n = 1)",
}
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


@dataclass(frozen=True)
class Row:
    """One row of the tables: a code with its options."""

    title: str
    code: str
    options: tuple[str, ...] = ()
    first: int | None = None

    @property
    def file(self) -> str:
        return "_".join([self.code, *(o for o in self.options if not o.startswith("--"))]) + ".npz"


ROWS = (
    Row("**Isolux**", "isolux"),
    Row("Isolux, own starting values", "isolux", ("--start", "own")),
    Row("Isolux, no sky", "isolux", ("--sky", "no")),
    Row("petrofit", "petrofit"),
    Row("AstroPhot", "astrophot"),
    Row("pyimfit", "pyimfit"),
    Row("galmoss, first galaxies", "galmoss", first=6),
    Row("petrofit, point-sampled PSF", "petrofit", ("--psf", "psf")),
    Row("AstroPhot, point-sampled PSF", "astrophot", ("--psf", "psf")),
    Row("pyimfit, point-sampled PSF", "pyimfit", ("--psf", "psf")),
)
NOTES = f"""
## How to read the tables

All codes get the same images, sigma images and starting values. Isolux fits all galaxies as one batch and a
sky level too; the others fit one galaxy at a time (galmoss two) and no sky. CPU seconds count building the
model, fitting it and computing the errors; not reading the galaxies, importing the code and its first call.
Seconds differ by up to 20 % from run to run on a machine that others use too.

- PSF: what the image of a star gives, with the pixel in it. "Point-sampled PSF": without the pixel, which
  suits codes that average the model over the pixel, but which observations do not give.
- galmoss: the first galaxies only, 1000 iterations, without errors, which cost more than the fit.
- Not converged: by the code's own word.
- Catastrophic: total magnitude off by {tables.BAD_MAGNITUDE} or a radius by {tables.BAD_RADIUS} dex.
- Missed minimum: chi2 higher by {tables.MISSED:.0f} than the lowest that any code found for the galaxy.
  Each code renders its own model, so an inexact image counts too.
- Bias is the median of fitted less true, scatter half the central 68 %.
- Pulls are in units of each code's own errors, without catastrophic galaxies, and should be 0 ± 1 (-: no
  error given).
"""


def main() -> None:
    options = parse()
    rows = [row for row in ROWS if row.code in options.codes]
    for code in PEERS:
        if code in options.codes:
            install(code, options.venvs)
    tables.put(options.results, "notes", NOTES)
    for kind in (kind for kind in options.kinds if kind in COUNT):
        folder = options.work.resolve() / f"{kind}-{options.count or COUNT[kind]}-seed{options.seed}"
        path = folder / "set.npz"
        if not path.exists():
            sets.make(path, kind, options.count or COUNT[kind], options.seed + list(COUNT).index(kind))
        for row in rows:
            if not (options.reuse and row.code in PEERS and (folder / row.file).exists()):
                fit(row, path, options)
        text = section(kind, path, options)
        print(text)
        tables.put(options.results, kind, text)
    if "memory" in options.kinds and "isolux" in options.codes:
        subprocess.run(
            [*pin(options), sys.executable, HERE / "memory.py", "--results", options.results], check=True
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    codes, environments = ("isolux", *PEERS), os.environ.get("ISOLUX_PEERS_VENVS", HERE / ".venvs")
    parser.add_argument("--codes", nargs="+", choices=codes, default=codes, help="those to run")
    parser.add_argument("--kinds", nargs="+", choices=(*COUNT, "memory"), default=(*COUNT, "memory"))
    parser.add_argument("--count", type=int, help="galaxies a set (200 single, 100 double)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--reuse", action="store_true", help="keep what the other codes found in an earlier run"
    )
    parser.add_argument("--venvs", type=Path, default=Path(environments), help="their environments")
    parser.add_argument(
        "--work", type=Path, default=HERE / "results" / "local", help="sets, answers and logs"
    )
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument(
        "--core", type=int, default=(os.cpu_count() or 1) - 1, help="number of the core to use"
    )
    return parser.parse_args()


def install(code: str, folder: Path, packages: Mapping[str, Sequence[str]] = PEERS) -> None:
    """Make the environment of a code, unless it is there."""
    home = folder / code
    if python_of(home).exists():
        return
    print(f"Installing {code} into {home}", flush=True)
    venv.create(home, with_pip=True)
    environment = {
        k: v for k, v in os.environ.items() if k != "PIP_CONSTRAINT"
    }  # Isolux's pins are not theirs
    try:
        subprocess.run(
            [python_of(home), "-m", "pip", "install", "-q", *packages[code]], check=True, env=environment
        )
    except subprocess.CalledProcessError:
        shutil.rmtree(home)
        raise


def python_of(home: Path) -> Path:
    return home.absolute() / "bin" / "python"


def fit(row: Row, path: Path, options: argparse.Namespace) -> None:
    """Run a code on a set; what it prints goes to a log beside its answers."""
    python = Path(sys.executable) if row.code == "isolux" else python_of(options.venvs / row.code)
    out = path.parent / row.file
    out.unlink(missing_ok=True)
    command = [
        *pin(options),
        python,
        HERE / "codes" / f"{row.code}_fit.py",
        "--set",
        path,
        "--out",
        out,
        *row.options,
    ]
    command += ["--note", commit()]
    command += ["--first", str(row.first)] if row.first else []
    print(f"{path.parent.name}: {row.title}", flush=True)
    log = out.with_suffix(".log")
    with log.open("w") as stream:
        environment = os.environ | ONE_THREAD
        ended = subprocess.run(command, stdout=stream, stderr=stream, env=environment, cwd=path.parent)
    if ended.returncode:
        print(f"  failed: see {log}", flush=True)


def pin(options: argparse.Namespace) -> list[str]:
    """What to put before a command to keep it on one core."""
    return ["taskset", "-c", str(options.core)] if shutil.which("taskset") else []


def section(kind: str, path: Path, options: argparse.Namespace) -> str:
    """A section of RESULTS.md: what was run where, and the tables of all answers that are there."""
    rows = [
        tables.Answers.load(path.parent / r.file, r.title) for r in ROWS if (path.parent / r.file).exists()
    ]
    with np.load(path) as f:
        truth, seed = f["truth"][:-1], int(f["seed"])
    if not rows:
        raise SystemExit(f"no code left an answer: see the logs in {path.parent}")
    words = [f"--seed {options.seed}"] + ["--reuse"] * options.reuse
    if tuple(options.codes) != ("isolux", *PEERS):
        words += ["--codes", *options.codes]
    dates, loops = sorted(row.date for row in rows), [seconds for row in rows for seconds in row.loop]
    versions = sorted({v for row in rows for v in row.versions[1:2]}) + sorted(
        {row.versions[0] for row in rows}
    )
    about = [
        f"- Set: {len(truth)} galaxies by GalSim, {sets.SIZE} x {sets.SIZE} pixels, seed {seed}",
        f"- Command: `python benchmarks/run.py {' '.join(words)}`",
        f"- Isolux: commit {', '.join(dict.fromkeys(row.note for row in rows if 'Isolux' in row.title))}",
        f"- Run: {dates[0]} to {dates[-1]}",
        f"- Machine: one core (pinned) of {processor()}; a fixed Python loop beside each code took "
        f"{min(loops):.2f} to {max(loops):.2f} s",
        f"- Versions: {', '.join(versions)}",
    ]
    parts = [f"## {TITLE[kind]}", "\n".join(about), tables.speed(kind, rows, truth)]
    parts += [
        "Bias ± scatter:",
        tables.accuracy(kind, rows, truth),
        "Pulls:",
        tables.pull_table(kind, rows, truth),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
