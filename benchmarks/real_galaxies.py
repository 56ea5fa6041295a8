"""Fit every real galaxy twice, from starting values of Isolux's own: one Sérsic profile, and bulge with disc.

    ISOLUX_REAL_DATA=/the/folder python benchmarks/real_galaxies.py --out real/

Prints a line a fit, and writes a catalogue and a figure a galaxy to real/<sample>/<model>/. With --docs it
draws the figures of docs/real-galaxies.md instead.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from real_samples import SAMPLES
from small_figures import save_small

from isolux import Batch, Exponential, FlatSky, Free, Result, Scene, Sersic, Tied
from isolux.measure import measure
from isolux.options import RunOptions
from isolux.report import galaxy_figure, save_galaxy_figures

SCENES = {
    "sersic": Scene(galaxy=Sersic(), sky=FlatSky()),
    "bulge+disc": Scene(
        bulge=Sersic(sersic_index=Free(4.0)),
        disc=Exponential(x=Tied("bulge.x"), y=Tied("bulge.y")),
        sky=FlatSky(),
    ),
}
DOCS = {
    ("sdss-pymorph", "00000009"): {"sersic": "real-sdss-9"},
    ("sdss-galmoss", "J092800.99+014011.9"): {"bulge+disc": "real-j0928-bulge-disc"},
    ("gama-kids", "G266033"): {"sersic": "real-g266033-sersic", "bulge+disc": "real-g266033-bulge-disc"},
}
"""Galaxy -> model -> figure of the documentation."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for catalogues and figures")
    parser.add_argument("--docs", action="store_true", help="draw the figures of the documentation")
    parser.add_argument("samples", nargs="*", choices=[[], *SAMPLES], help="only these samples")
    options = parser.parse_args()
    folder = os.environ.get("ISOLUX_REAL_DATA")
    if not folder or (options.out is None and not options.docs):
        sys.exit("give --out or --docs, and ISOLUX_REAL_DATA, the folder of the images")
    with tempfile.TemporaryDirectory() as work:
        for name in options.samples or SAMPLES:
            out = options.out or Path(work) / "out"
            fit_sample(name, Path(folder), out / name, Path(work) / name, draw_all=options.out is not None)


def fit_sample(name: str, data: Path, out: Path, work: Path, draw_all: bool) -> None:
    source = SAMPLES[name](data, work)
    for model, scene in SCENES.items():

        def show(batch: Batch, result: Result, model: str = model, scene: Scene = scene) -> None:
            print(f"{name:15}{line(result, 0)}", flush=True)
            if draw_all:
                save_galaxy_figures(batch, scene, result, out / model / "figures")
            elif figure := DOCS.get((name, batch.id[0]), {}).get(model):
                save_small(galaxy_figure(batch, scene, result, 0), figure)

        options = RunOptions(folder=out / model, batch_size=1, device="cpu", blocks=False, overwrite=True)
        measure(source, scene, options, after=show)


def line(result: Result, k: int) -> str:
    """One fit as one line: sizes in arcsec."""
    parts = [f"{result.id[k]:20} chi2/dof {float(result.reduced_chi2[k]):6.3f}"]
    scale = float(result.pixel_scale[k])
    for c, column in enumerate(result.columns):
        component, _, short = column.name.partition(".")
        unit = scale if column.unit == "pixel" and short not in ("x", "y") else 1.0
        if result.kinds[c] == "free" and short not in ("x", "y"):
            value, error = float(result.values[k, c]) * unit, float(result.errors[k, c]) * unit
            parts.append(f"{component[0]}.{short[:3]} {value:.4g}±{error:.2g}")
    return "  ".join([*parts, f"{int(result.steps[k])} steps", result.describe(k)])


if __name__ == "__main__":
    main()
