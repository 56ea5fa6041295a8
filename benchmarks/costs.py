"""What a galaxy costs against the sizes of stamp, PSF, model and sample: `python benchmarks/costs.py`.

Processor milliseconds a galaxy on one core, for starting values, fit and errors apart, the lowest of several runs;
for samples the whole way from FITS files to a catalogue. Tables go to RESULTS.md, a figure to docs/figures. The
galaxies are drawn by Isolux: this is about time alone. It takes about ten minutes on a core that nobody else uses.
"""

import argparse
import dataclasses
import datetime
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import costs_figure
import numpy as np
import tables
import torch
from about import commit, processor

import isolux
from isolux.io.listing import list_stamps
from isolux.io.write_stamps import write_stamps
from isolux.psf import make_canvas
from isolux.simulate import Observation, draw, mock_stamps, moffat_psf
from isolux.task import Task

HERE = Path(__file__).resolve().parent
STAMPS = (32, 64, 128, 256, 512, 1024)
PSFS = (11, 21, 41, 61, 81, 101)
COMPONENTS = (1, 2, 3, 4, 5)
SAMPLES = (10, 100, 1000, 10_000)
SIDE, PSF, SAMPLE_SIDE = 128, 41, 64
PIXELS = 1 << 20
"""Pixels that are fitted in one measurement, of one galaxy at least."""
FWHM, NOISE, ZERO_POINT = 3.3, 0.02, 22.5
TEXT = """
## Cost

{date}, Isolux at commit {commit}, {processor}, PyTorch {torch}.
`python benchmarks/costs.py`: processor milliseconds a galaxy on one core, float32, Sérsic components and sky, lowest
of {rounds} runs. The galaxies grow with the stamps. *Growth* is that of all three columns since the row before,
over that of n log n, n being the points of the grid (for components and samples their number): 1 is n log n.
"""


@dataclasses.dataclass(frozen=True)
class Cost:
    """One row: a size, the number that its cost should grow with, and milliseconds a galaxy by step."""

    size: int
    n: float
    galaxies: int
    steps: float
    parts: tuple[float, ...]

    @property
    def total(self) -> float:
        return sum(self.parts)


def main() -> None:
    options, version = parse(), commit()
    torch.set_num_threads(1)
    found = {
        "stamp": [of_fit(f"stamp {side}", side, side, 21, 1, options.rounds) for side in options.stamps],
        "PSF": [of_fit(f"PSF {side}", side, SIDE, side, 1, options.rounds) for side in PSFS],
        "components": [of_fit(f"components {k}", k, SIDE, PSF, k, options.rounds) for k in COMPONENTS],
        "sample": of_samples(options.samples),
    }
    about = {"date": datetime.date.today(), "commit": version, "processor": processor()}
    text = TEXT.format(torch=torch.__version__, rounds=options.rounds, **about)
    text += "\n" + "\n\n".join(table(kind, rows) for kind, rows in found.items())
    print(text)
    tables.put(options.results, "costs", text)
    costs_figure.save(found)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of which the fastest counts")
    parser.add_argument("--stamps", type=int, nargs="+", default=STAMPS, help="sides of the stamps")
    parser.add_argument("--samples", type=int, nargs="+", default=SAMPLES, help="numbers of galaxies")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    return parser.parse_args()


def of_fit(title: str, size: int, side: int, psf: int, components: int, rounds: int) -> Cost:
    """Cost of starting values, fit and errors in memory."""
    count = max(1, min(32, PIXELS // side**2))
    batch, scene = drawn(count, side, psf, components)
    runs = [parts_of_fit(batch, scene) for _ in range(rounds)]
    parts = np.min([run[0] for run in runs], axis=0)
    points = np.prod(make_canvas(batch.psf, *batch.shape, batch.image).size)
    n = components if title.startswith("components") else float(points)
    cost = Cost(size, n, count, runs[0][1], tuple(1e3 * part / count for part in parts))
    print(
        f"{title}: {', '.join(f'{part:.3g}' for part in cost.parts)} ms, {cost.steps:.1f} steps", flush=True
    )
    return cost


def parts_of_fit(batch: isolux.Batch, scene: isolux.Scene) -> tuple[list[float], float]:
    """Processor seconds of starting values, fit, and errors with all that follows, and the steps it took."""
    home, taken = sys.modules["isolux.fit"], Counter()
    with ExitStack() as stack:
        for name, part in {"starting_values": "start", "_assemble": "errors"}.items():
            timed = clocked(getattr(home, name), part, taken)
            stack.enter_context(mock.patch.object(home, name, timed))
        begin = time.process_time()
        result = isolux.fit(batch, scene)
        whole = time.process_time() - begin
    rest = whole - taken.total()
    return [taken["start"], rest, taken["errors"]], float(result.steps.double().mean())


def clocked(function: Callable[..., Any], name: str, taken: Counter[str]) -> Callable[..., Any]:
    """The function, adding its processor seconds to those of a name."""

    def run(*words: Any, **keywords: Any) -> Any:
        begin = time.process_time()
        try:
            return function(*words, **keywords)
        finally:
            taken[name] += time.process_time() - begin

    return run


def drawn(count: int, side: int, psf: int, components: int) -> tuple[isolux.Batch, isolux.Scene]:
    """Galaxies of some components side by side, with noise, and the scene to fit them with."""
    rng, middle = np.random.default_rng(side + psf + components), (side - 1) / 2
    truth, model = {}, {}
    for k in range(components):
        turn, apart = 2 * np.pi * k / components, 0.0 if components == 1 else 0.22 * side
        x = middle + apart * np.cos(turn) + rng.uniform(-1, 1, count)
        y = middle + apart * np.sin(turn) + rng.uniform(-1, 1, count)
        truth[f"g{k}"] = isolux.Sersic(
            x=x,
            y=y,
            magnitude=rng.uniform(16, 17, count) - 2.5 * np.log10(side / 128),
            effective_radius=side / 14 * rng.uniform(0.7, 1.3, count) / np.sqrt(components),
            sersic_index=10 ** rng.uniform(-0.2, 0.6, count),
            axis_ratio=rng.uniform(0.4, 0.9, count),
            position_angle=rng.uniform(-90, 90, count),
        )
        model[f"g{k}"] = isolux.Sersic() if components == 1 else isolux.Sersic(x=x.mean(), y=y.mean())
    kernel = moffat_psf(FWHM, size=psf)
    image, _ = draw(isolux.Scene(**truth), (side, side), psf=kernel, zero_point=ZERO_POINT, galaxies=count)
    clean = image.numpy()
    batch = isolux.Batch.from_arrays(
        clean + NOISE * rng.standard_normal(clean.shape),
        sigma=np.full_like(clean, NOISE),
        psf=[kernel] * count,
        zero_point=ZERO_POINT,
    )
    return batch, isolux.Scene(**model, sky=isolux.FlatSky())


def seconds(run: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    clock = time.process_time()
    run()
    return time.process_time() - clock


def of_samples(counts: Sequence[int]) -> list[Cost]:
    """Cost of samples from files to catalogue: listing and planning, reading and fitting, joining the catalogue."""
    found = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            found.append(of_sample(Path(folder), count))
        parts = ", ".join(f"{part:.3g}" for part in found[-1].parts)
        print(f"sample of {count}: {parts} ms", flush=True)
    return found


def of_sample(folder: Path, count: int) -> Cost:
    """Cost of one sample of links to the files of a hundred galaxies."""
    view = Observation(size=SAMPLE_SIDE, psf_size=21)
    some = min(count, 100)
    batch, _ = mock_stamps(some, seed=1, observation=view)
    write_stamps(batch, folder / "made")
    (folder / "stamps").mkdir()
    for k in range(count):
        for kind in ("image", "sigma", "psf"):
            link = folder / "stamps" / f"{k:06d}_{kind}.fits"
            link.symlink_to(folder / "made" / f"{batch.id[k % some]}_{kind}.fits")
    kinds = {kind: f"{folder}/stamps/*_{kind}.fits" for kind in ("image", "sigma", "psf")}
    source = isolux.StampSource(**kinds, zero_point=view.zero_point, pixel_scale=view.pixel_scale)
    scene = isolux.Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky())
    run = isolux.RunOptions(folder=folder / "run", blocks=False, device="cpu", workers=1)
    planning = seconds(lambda: Task(source, scene, run).plan(list_stamps(source)))
    ends = []
    begin = time.process_time()
    isolux.measure(source, scene, run, progress=lambda state: ends.append(time.process_time()))
    end = time.process_time()
    parts = planning, ends[-1] - begin - planning, end - ends[-1]
    return Cost(count, count, count, np.nan, tuple(1e3 * part / count for part in parts))


def table(kind: str, rows: Sequence[Cost]) -> str:
    """One table, with how the cost grows."""
    names = ("listing and planning", "reading, fitting, writing", "joining the catalogue")
    parts = names if kind == "sample" else ("start", "fit", "errors")
    unit = {"stamp": ", pixels a side", "PSF": ", pixels a side", "sample": ", galaxies"}.get(kind, "")
    header = [f"{kind}{unit}", "steps", *(f"{part}, ms" for part in parts), "all, ms", "growth"]
    lines = []
    for row, last in zip(rows, [None, *rows], strict=False):
        steps = "-" if np.isnan(row.steps) else f"{row.steps:.1f}"
        shown = [f"{part:.3g}" for part in (*row.parts, row.total)]
        lines.append(
            [str(row.size), steps, *shown, "-" if last is None else f"{growth(kind, last, row):.2f}"]
        )
    return tables.markdown(header, lines)


def growth(kind: str, first: Cost, second: Cost) -> float:
    """How a cost grows between two rows, over n log n; over the number alone of components and galaxies.

    The cost of a sample is that of all its galaxies.
    """
    costs = [row.total * (row.size if kind == "sample" else 1) for row in (first, second)]
    ideal = [row.n if kind == "components" else row.n * np.log(row.n) for row in (first, second)]
    return float(costs[1] / costs[0] / (ideal[1] / ideal[0]))


if __name__ == "__main__":
    main()
