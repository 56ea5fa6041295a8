"""Are colours from fits of several bands at once better than from fits of each?

    python benchmarks/bands.py [--count 400]
    python benchmarks/bands.py --field FOLDER

The first on mocks drawn by GalSim, with one structure in all bands and with gradients of size and index, in bins of
magnitude; writes the section "Several bands" of RESULTS.md and docs/figures/bands.png. The second on the galaxies of a
GAMA field in g, r and i, of which the folder holds the images. There the truth is not known: colours are compared with
those of an aperture, which no model touches, and fits are repeated after noise as large as the images' own was added.
"""

import argparse
import dataclasses
import datetime
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import bands_field
import bands_mocks
import matplotlib
import numpy as np
import tables
import torch
from about import commit, processor

import isolux
from isolux import Batch, FlatSky, Free, Scene, Sersic

HERE = Path(__file__).resolve().parent
WAVELENGTHS = bands_mocks.WAVELENGTHS
AT_ONCE = 100
EDGES = (16.5, 18.0, 19.0, 19.75, 20.5)
FIELD_EDGES = (16.0, 18.0, 19.0, 20.0, 20.5)
OUTLYING = 0.3
SCENE = Scene(galaxy=Sersic(sersic_index=Free(lower=0.3, upper=8.0)), sky=FlatSky())
Bands = dict[str, Batch]
Colours = tuple[np.ndarray, np.ndarray]
"""g - r and its error, each (galaxy,)."""
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"


def apart(batches: Bands) -> Colours:
    """Each band by itself."""
    fits = {band: isolux.fit(batches[band], SCENE) for band in batches}
    g, r = (fits[band]["galaxy.magnitude"] for band in "gr")
    errors = torch.hypot(*(fits[band].error("galaxy.magnitude") for band in "gr"))
    return (g - r).numpy(), errors.numpy()


def together(degree: int) -> Callable[[Bands], Colours]:
    """All bands at once; sizes and indices polynomials of a degree."""

    def work(batches: Bands) -> Colours:
        degrees = {"effective_radius": degree, "sersic_index": degree}
        result = isolux.fit_bands(batches, SCENE, wavelengths=WAVELENGTHS, degrees=degrees, reference="r")
        colour, error = result.colour("g", "r")
        return colour.numpy(), error.numpy()

    return work


def shape_from_r(batches: Bands) -> Colours:
    """r by itself, g with its shape."""
    shapes = isolux.fit(batches["r"], SCENE)
    forced = isolux.forced(batches["g"], SCENE, shapes)
    errors = torch.hypot(forced.error("galaxy.magnitude"), shapes.error("galaxy.magnitude"))
    return (forced["galaxy.magnitude"] - shapes["galaxy.magnitude"]).numpy(), errors.numpy()


WAYS: dict[str, Callable[[Bands], Colours]] = {
    "each band by itself": apart,
    "**all bands, one structure**": together(0),
    "**all bands, r_e and n linear in wavelength**": together(1),
    "g with the shape of r": shape_from_r,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=400, help="mock galaxies of each kind")
    parser.add_argument("--field", type=Path, help="folder with gama-profound-[gri].fits.gz")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--figure", type=Path, default=HERE.parent / "docs" / "figures" / "bands.png")
    options = parser.parse_args()
    torch.set_num_threads(1)
    about = f"{datetime.date.today()}, Isolux at commit {commit()}, one thread of {processor()}."
    if options.field:
        text = f"`python benchmarks/bands.py --field FOLDER`, {about}\n\n{field(options.field)}"
        tables.put(options.results, "bands, field", text)
        print(text)
        return
    parts = [
        "## Several bands",
        f"`python benchmarks/bands.py --count {options.count}`, {about}",
        "Errors of g - r: median ± half the central 68 %; in brackets the half width in units of the errors that are "
        f"given, which should be 1, and the share off by more than {OUTLYING}.",
    ]
    shown = []
    for gradients in (False, True):
        text, offsets = mocks(options.count, gradients)
        parts.append(text)
        shown.append(offsets)
        print(text, flush=True)
    figure(shown, options.figure)
    tables.put(options.results, "bands", "\n\n".join(parts))


def mocks(count: int, gradients: bool) -> tuple[str, dict[str, np.ndarray]]:
    """The table of mocks, and errors of the colours by way, with the magnitudes under "r"."""
    offsets: dict[str, list[np.ndarray]] = {way: [] for way in (*WAYS, "r")}
    errors: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    seconds = dict.fromkeys(WAYS, 0.0)
    for seed in range(count // AT_ONCE):
        sample = bands_mocks.drawn(bands_mocks.truths(AT_ONCE, gradients, 2 * seed), 2 * seed + 1)
        offsets["r"].append(sample.truth["r"])
        for way, work in WAYS.items():
            clock = time.process_time()
            colour, error = work(sample.batches)
            seconds[way] += (time.process_time() - clock) / count
            offsets[way].append(colour - (sample.truth["g"] - sample.truth["r"]))
            errors[way].append(error)
    found = {way: np.concatenate(parts) for way, parts in offsets.items()}
    lines = []
    for way in WAYS:
        given = np.concatenate(errors[way])
        cells = [_cell(found[way][k], given[k]) for k in _bins(found["r"], EDGES)]
        lines.append([way, *cells, f"{seconds[way]:.3f}"])
    what = "sizes and indices that change with wavelength" if gradients else "one structure in all bands"
    text = (
        f"{count} mocks by GalSim with {what}, {bands_mocks.SIZE} x {bands_mocks.SIZE} pixels of 0.396 arcsec,"
        " depth and PSF of SDSS:"
    )
    header = ["g - r from", *_heads(EDGES), "CPU s a galaxy"]
    return f"{text}\n\n{tables.markdown(header, lines)}", found


def _bins(magnitude: np.ndarray, edges: tuple[float, ...]) -> list[np.ndarray]:
    return [(magnitude >= low) & (magnitude < high) for low, high in itertools.pairwise(edges)]


def _heads(edges: tuple[float, ...]) -> list[str]:
    return [f"r {low:g} to {high:g}" for low, high in itertools.pairwise(edges)]


def _cell(off: np.ndarray, error: np.ndarray) -> str:
    with np.errstate(invalid="ignore", divide="ignore"):
        pull = tables.half_width(off / error)
        wild = 100 * np.mean(~(np.abs(off) <= OUTLYING))
    return f"{tables.middle(off):+.3f} ± {tables.half_width(off):.3f} ({pull:.2f}, {wild:.0f} %)"


def field(folder: Path) -> str:
    """The tables of the real field."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*WAYS, "r", "aperture")}
    moved: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    for seed, group in enumerate(bands_field.groups(folder)):
        found["r"].append(group.magnitude)
        found["aperture"].append(bands_field.aperture_colours(group, "g", "r"))
        noisier = _noisier(group.batches, seed)
        for way, work in WAYS.items():
            colour, _ = work(group.batches)
            found[way].append(colour)
            moved[way].append(work(noisier)[0] - colour)
    joined = {name: np.concatenate(parts) for name, parts in found.items()}
    places = _bins(joined["r"], FIELD_EDGES)
    counts = ", ".join(str(int(place.sum())) for place in places)
    tests = {
        "after more noise": {way: np.concatenate(moved[way]) for way in WAYS},
        "less the aperture's": {way: joined[way] - joined["aperture"] for way in WAYS},
        "as it is": {way: joined[way] for way in WAYS},
    }
    lines = [
        [f"{what}: {way}", *(_spread(sample[way][k]) for k in places)]
        for what, sample in tests.items()
        for way in WAYS
    ]
    text = (
        f"{len(joined['r'])} galaxies of a GAMA field (KiDS images, 0.339 arcsec a pixel; {counts} in the bins),"
        " detected in r, one PSF a band from its stars. Half the central 68 % of: the change of g - r when noise as"
        " large as the images' own is added; g - r less that of an aperture of"
        f" {bands_field.APERTURE:g} pixels; g - r itself. In brackets the share that"
        f" is more than {OUTLYING} from the median."
    )
    return f"{text}\n\n{tables.markdown(['half width of g - r', *_heads(FIELD_EDGES)], lines)}"


def _spread(sample: np.ndarray) -> str:
    wild = 100 * np.mean(np.abs(sample - tables.middle(sample)) > OUTLYING)
    return f"{tables.half_width(sample):.3f} ({wild:.0f} %)"


def _noisier(batches: Bands, seed: int) -> Bands:
    """The same images with their own noise once more, and sigma to match."""
    rng = np.random.default_rng([9, seed])
    found = {}
    for band, batch in batches.items():
        noise = batch.sigma * torch.as_tensor(rng.standard_normal(batch.image.shape)).to(batch.sigma)
        image = torch.where(batch.mask, batch.image, batch.image + noise)
        found[band] = dataclasses.replace(batch, image=image, sigma=batch.sigma * 2**0.5)
    return found


def figure(shown: list[dict[str, np.ndarray]], path: Path) -> None:
    """Errors of colours against magnitude, for the two kinds of mocks."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, panels = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    titles = ("one structure in all bands", "sizes and indices change with wavelength")
    ways = list(WAYS)
    for axes, title, offsets, best in zip(panels, titles, shown, (ways[1], ways[2]), strict=True):
        for way, colour in ((ways[0], ORANGE), (best, BLUE)):
            axes.plot(
                offsets["r"],
                offsets[way],
                ".",
                color=colour,
                ms=4,
                label=way.strip("*").replace("r_e", "$r_e$"),
            )
        axes.axhline(0, color=GREY, lw=0.8, zorder=0)
        axes.set(title=title, xlabel="r", ylim=(-1.0, 1.0))
        axes.legend(loc="lower left", frameon=False, fontsize=9)
    panels[0].set_ylabel("g − r, fitted less true")
    fig.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
