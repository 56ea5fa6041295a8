"""Non-parametric shapes beside statmorph: the same galaxies, masks, ellipses and noise, galaxy by galaxy, in one run.

    ISOLUX_REAL_DATA=/the/folder python benchmarks/shapes.py --mocks 100 --write

statmorph (Rodriguez-Gomez et al. 2019) goes first; its centroid and ellipse are what Isolux begins with, its sky noise
what Isolux is told. Without ISOLUX_REAL_DATA there are only mocks. --galaxies prints every galaxy, --write puts the
section "Non-parametric shapes" into RESULTS.md.
"""

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sep
import statmorph
import torch
from about import commit, processor
from real_samples import SAMPLES
from tables import half_width, markdown, middle, put

from isolux.io.listing import list_stamps
from isolux.io.stamps import load_stamps
from isolux.nonparametric import Shapes, measure_shapes
from isolux.simulate import Observation, mock_stamps

HERE = Path(__file__).resolve().parent
PAIRS = {
    "petrosian_radius_circular": "rpetro_circ",
    "petrosian_radius": "rpetro_ellip",
    "petrosian_flux_circular": "flux_circ",
    "petrosian_flux": "flux_ellip",
    "half_light_radius": "rhalf_ellip",
    "r20": "r20",
    "r50": "r50",
    "r80": "r80",
    "signal_to_noise": "sn_per_pixel",
    "concentration": "concentration",
    "asymmetry": "asymmetry",
    "rms_asymmetry": "rms_asymmetry2",
    "outer_asymmetry": "outer_asymmetry",
    "shape_asymmetry": "shape_asymmetry",
    "smoothness": "smoothness",
    "gini": "gini",
    "m20": "m20",
}
"""Columns of Isolux and of statmorph; the first nine are compared by their ratio."""
RELATIVE = tuple(PAIRS)[:9]
OTHERS = (
    *("xc_centroid", "yc_centroid", "xc_asymmetry", "yc_asymmetry"),
    *("elongation_asymmetry", "orientation_asymmetry", "sky_sigma", "flag"),
)
LOW_SIGNAL = 2.5
FEW = 10
"""Galaxies in a batch below which most of Isolux's time is that of calls."""
READ_GAIN = 4.725
"""Electrons a unit of the images that come without a map of sigma."""


@dataclass
class Galaxy:
    """One stamp, what both codes are told of it, and what they found."""

    name: str
    image: np.ndarray
    mask: np.ndarray
    gain: float
    segment: np.ndarray
    theirs: dict[str, float] = field(default_factory=dict)
    their_seconds: float = np.nan
    ours: dict[str, float] = field(default_factory=dict)
    our_seconds: float = np.nan
    flags: str = ""


def prepared(
    name: str, image: np.ndarray, mask: np.ndarray, gain: float | None, sigma: np.ndarray | None
) -> Galaxy:
    """A stamp less its sky, with the pixels of the source nearest to its centre; the gain from sigma if not given."""
    image, mask = image.astype(np.float64), mask.astype(bool)
    sky = image[~mask]
    for _ in range(5):
        sky = sky[np.abs(sky - np.median(sky)) < 3 * np.std(sky)]
    level, noise = np.median(sky), np.std(sky)
    image = np.where(mask, 0.0, image - level)
    found, labels = sep.extract(
        image / noise, 1.5, mask=mask, minarea=8, deblend_cont=1.0, segmentation_map=True
    )
    across, down = (np.array(image.shape[::-1]) - 1) / 2
    segment = labels == 1 + np.argmin(np.hypot(found["x"] - across, found["y"] - down) - found["a"])
    if gain is None:
        assert sigma is not None
        bright = segment & ~mask & (image > 5 * noise)
        gain = float(np.median(image[bright] / np.maximum(sigma[bright] ** 2 - noise**2, 1e-3 * noise**2)))
    return Galaxy(name, image, mask, gain, segment)


def mocks(count: int, size: int) -> list[Galaxy]:
    """Single Sérsic galaxies like those of a shallow survey, the smaller stamps with the larger pixels."""
    observation = Observation(
        size=size, pixel_scale=0.396 * 128 / size, psf_fwhm=(2.2, 2.4) if size < 100 else (1.2, 1.4)
    )
    batch, _ = mock_stamps(count, seed=3, observation=observation)
    return [
        prepared(batch.id[k], batch.image[k].numpy(), batch.mask[k].numpy(), observation.gain, None)
        for k in range(count)
    ]


def real(data: Path, work: Path) -> list[Galaxy]:
    """All galaxies of the samples of real images."""
    galaxies = []
    for sample, source in SAMPLES.items():
        for stamp in load_stamps(list_stamps(source(data, work / sample))):
            gain = READ_GAIN if stamp.sigma is None else None
            galaxies.append(prepared(f"{sample} {stamp.id}", stamp.image, stamp.mask, gain, stamp.sigma))
    return galaxies


def run_statmorph(galaxy: Galaxy) -> None:
    """What statmorph makes of it, and its processor time; its own Sérsic fit is stopped at once."""
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = statmorph.SourceMorphology(
            galaxy.image,
            galaxy.segment.astype(int),
            1,
            mask=galaxy.mask,
            gain=galaxy.gain,
            cutout_extent=100.0,
            n_sigma_outlier=0,
            sersic_fitting_args={"maxiter": 1},
        )
    galaxy.their_seconds = time.process_time() - began
    galaxy.theirs = {name: float(getattr(found, name)) for name in (*PAIRS.values(), *OTHERS)}


def run_isolux(galaxies: Sequence[Galaxy]) -> None:
    """What Isolux makes of stamps of one size, and its processor time a galaxy."""
    their = {name: np.array([galaxy.theirs[name] for galaxy in galaxies]) for name in OTHERS}

    def measure() -> Shapes:
        return measure_shapes(
            np.stack([galaxy.image for galaxy in galaxies]),
            np.stack([galaxy.mask for galaxy in galaxies]),
            their["sky_sigma"],
            their["xc_centroid"],
            their["yc_centroid"],
            1 / their["elongation_asymmetry"],
            np.degrees(their["orientation_asymmetry"]) - 90,
            gain=[galaxy.gain for galaxy in galaxies],
            segmentation=np.stack([galaxy.segment for galaxy in galaxies]),
        )

    measure()
    began = time.process_time()
    shapes = measure()
    seconds = (time.process_time() - began) / len(galaxies)
    for k, galaxy in enumerate(galaxies):
        galaxy.ours = {name: float(shapes[name][k]) for name in (*PAIRS, "x", "y")}
        galaxy.flags = "; ".join(shapes.flags[k].messages)
        galaxy.our_seconds = seconds


def run_both(galaxies: list[Galaxy]) -> None:
    for galaxy in galaxies:
        run_statmorph(galaxy)
    for shape in sorted({galaxy.image.shape for galaxy in galaxies}):
        run_isolux([galaxy for galaxy in galaxies if galaxy.image.shape == shape])


def difference(name: str, galaxy: Galaxy) -> float:
    """Isolux less statmorph, over statmorph's value for sizes and fluxes; NaN where statmorph calls its own bad."""
    ours, theirs = galaxy.ours[name], galaxy.theirs[PAIRS[name]]
    if theirs == -99.0 or galaxy.theirs["flag"] >= 2:
        return np.nan
    return (ours - theirs) / theirs if name in RELATIVE else ours - theirs


def table(groups: dict[str, list[Galaxy]]) -> str:
    """Median and half-width of the differences for groups of galaxies, and the worst."""
    lines = []
    for name in PAIRS:
        line = [f"`{name}`", "relative" if name in RELATIVE else "difference"]
        for galaxies in groups.values():
            d = np.array([difference(name, galaxy) for galaxy in galaxies])
            line.append(f"{middle(d):+.4f} ± {half_width(d):.4f} ({np.nanmax(np.abs(d)):.3f})")
        lines.append(line)
    return markdown(["quantity", "", *groups], lines)


def speed(sets: dict[str, list[Galaxy]]) -> str:
    """Processor time a galaxy by the size of stamps; those of which there are few together."""
    lines, few = [], []
    for kind, galaxies in sets.items():
        for shape in sorted({galaxy.image.shape for galaxy in galaxies}):
            some = [galaxy for galaxy in galaxies if galaxy.image.shape == shape]
            if len(some) < FEW:
                few += some
            else:
                lines.append(times(f"{kind}, {shape[0]} x {shape[1]}", str(len(some)), some))
    if few:
        sides = [f"{side[0]} x {side[1]}" for side in sorted(galaxy.image.shape for galaxy in few)]
        lines.append(times(f"{len(few)} others, {sides[0]} to {sides[-1]}", "1 to 3", few))
    return markdown(["stamps", "in a batch", "Isolux, ms a galaxy", "statmorph, ms", "ratio"], lines)


def times(title: str, batch: str, galaxies: list[Galaxy]) -> list[str]:
    ours, theirs = (
        float(np.median([getattr(galaxy, f"{whose}_seconds") for galaxy in galaxies]))
        for whose in ("our", "their")
    )
    return [title, batch, f"{1e3 * ours:.1f}", f"{1e3 * theirs:.0f}", f"{theirs / ours:.0f}"]


def section(sets: dict[str, list[Galaxy]], command: str) -> str:
    groups = {}
    for kind, galaxies in sets.items():
        bright = [galaxy for galaxy in galaxies if galaxy.theirs["sn_per_pixel"] >= LOW_SIGNAL]
        faint = [galaxy for galaxy in galaxies if galaxy.theirs["sn_per_pixel"] < LOW_SIGNAL]
        groups |= {
            f"{kind}, {name}, {len(some)}": some
            for name, some in (("S/N ≥ 2.5", bright), ("below", faint))
            if len(some) > 2
        }
    return f"""## Non-parametric shapes

`{command}`, {datetime.now(UTC):%Y-%m-%d}, commit {commit()}, statmorph {statmorph.__version__}, {processor()}, one
thread, processor times. Both codes have the same pixels, mask, segment, gain and sky noise, and Isolux begins with
statmorph's centroid and ellipse. Cells: median ± half the central 68 % (largest) of Isolux less statmorph, without
galaxies that statmorph flags as bad. Why they differ: [Non-parametric shapes](../docs/non-parametric.md#and-statmorph).

{table(groups)}

statmorph's time is without its Sérsic fit, which was stopped at its first step. The machine's load was
{os.getloadavg()[1]:.0f} on {os.cpu_count()} cores, which lengthens the times of both.

{speed(sets)}
"""


def show(galaxies: list[Galaxy]) -> None:
    for galaxy in galaxies:
        print(galaxy.name, galaxy.image.shape, f"masked {galaxy.mask.mean():.2f}, statmorph's flag", end=" ")
        print(f"{galaxy.theirs['flag']:.0f}; {galaxy.flags}")
        for name, theirs in PAIRS.items():
            print(f"    {name:26} {galaxy.ours[name]:12.5g} {galaxy.theirs[theirs]:12.5g}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mocks", type=int, default=100, help="number of mock galaxies")
    parser.add_argument("--galaxies", action="store_true", help="print every galaxy")
    parser.add_argument("--write", action="store_true", help="put the section into RESULTS.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    sets = {"mock": mocks(options.mocks, 128) + mocks(options.mocks, 64)}
    if folder := os.environ.get("ISOLUX_REAL_DATA"):
        with tempfile.TemporaryDirectory() as work:
            sets["real"] = real(Path(folder), Path(work))
    for galaxies in sets.values():
        run_both(galaxies)
        if options.galaxies:
            show(galaxies)
    text = section(sets, f"python benchmarks/shapes.py --mocks {options.mocks}")
    print(text)
    if options.write:
        put(HERE / "RESULTS.md", "shapes", text)


if __name__ == "__main__":
    main()
