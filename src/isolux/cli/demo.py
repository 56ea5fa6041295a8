"""The demo on the screen: what is simulated, the fit, how it compares with the truth, and what to try next."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
from astropy.table import QTable

from isolux.cli import console
from isolux.cli.arguments import FitArguments, ModelArguments, OutputArguments, StampArguments
from isolux.cli.build import Arguments
from isolux.cli.run import fit_and_show, show_summary
from isolux.demo import Survey, compare, make_survey
from isolux.io.catalogue import read_catalogue, write_catalogue
from isolux.report import comparison_figure, save

MODEL = "sersic+sky"
COMPARED = ("magnitude", "effective_radius", "sersic_index", "axis_ratio", "position_angle", "x")
FIGURES = 6


def run_demo(folder: Path, galaxies: int, seed: int, threads: int | None) -> None:
    """Simulate, fit, compare, draw, and say where everything is.

    Raises
    ------
    InputError
        If the folder has something else in it.
    Interrupted
        If the user stops it.
    """
    survey = make_survey(folder, galaxies, seed)
    console.note(f"Simulated {galaxies} galaxies; the stamps are in {survey.folder}.")
    names = ", ".join(f"{name} ({what})" for name, what in survey.spoiled.items())
    console.note(f"Three are spoiled on purpose, to show that the others are unharmed: {names}.")
    run = demo_arguments(folder, threads).run()
    done, tally = fit_and_show(run)
    show_summary(done, tally)
    catalogue = read_catalogue(done.catalogue)
    write_catalogue(catalogue, done.catalogue.with_suffix(".csv"))
    figure = draw_comparison(catalogue, survey.truth, folder / "comparison.png")
    show_comparison(catalogue, survey)
    show_way_on(folder, figure)


def demo_arguments(folder: Path, threads: int | None = None) -> Arguments:
    """What a user would give to ``isolux fit`` for the demo's stamps."""
    stamps = StampArguments(
        image=f"{folder}/stamps/*_image.fits",
        sigma=f"{folder}/stamps/*_sigma.fits",
        psf=f"{folder}/stamps/*_psf.fits",
        mask=f"{folder}/stamps/*_mask.fits",
        zero_point="MAGZPT",
    )
    output = OutputArguments(out=folder / "run", figures=FIGURES, overwrite=True)
    return Arguments(None, stamps, ModelArguments(model=MODEL), FitArguments(threads=threads), output)


def draw_comparison(catalogue: QTable, truth: QTable, path: Path) -> Path:
    """Write the figure of fitted against true values."""
    order = {name: k for k, name in enumerate(truth["id"])}
    rows = [order[str(name)] for name in catalogue["id"]]
    names = [f"sersic.{short}" for short in COMPARED]

    def numbers(column: str, table: QTable) -> np.ndarray:
        values = np.asarray(getattr(table[column], "value", table[column]), dtype=np.float64)
        return values[rows] if table is truth else values

    columns = {name: name.replace(".", "_") for name in names}
    fitted = {name: numbers(column, catalogue) for name, column in columns.items()}
    errors = {name: numbers(f"{column}_err", catalogue) for name, column in columns.items()}
    true = {name: numbers(column, truth) for name, column in columns.items()}
    figure = comparison_figure(
        fitted, true, names, errors=errors, units={"effective_radius": "arcsec", "x": "pixel"}
    )
    save(figure, path)
    return path


def show_comparison(catalogue: QTable, survey: Survey) -> None:
    """Print offset, scatter and pull of each parameter."""
    found = compare(catalogue, survey.truth)
    fitted = int((np.asarray(catalogue["status"]) == 0).sum())
    rows = [
        (c.parameter.replace("_", ".", 1), f"{c.offset:+.4f}", f"{c.scatter:.4f}", c.unit, f"{c.pull:.2f}")
        for c in found
    ]
    head = ["parameter", "median", "scatter", "", "scatter / error"]
    console.OUT.print()
    console.print_table(f"Fit less truth, {fitted} galaxies", rows, head=head, right=[1, 2, 4])
    chance = 1 / np.sqrt(2 * max(fitted, 1))
    console.OUT.print(
        f"Where errors are right, scatter / error is 1, give or take {chance:.2f} with so few.",
        soft_wrap=True,
    )


def show_way_on(folder: Path, figure: Path) -> None:
    """Print what else there is to look at, and commands to try."""
    rows = [
        ("truth", f"{folder / 'truth.csv'}"),
        ("fit against truth", f"{figure}"),
        ("catalogue as text", f"{folder / 'run' / 'catalogue.csv'}"),
    ]
    console.OUT.print()
    console.print_table("More in the folder", rows)
    console.OUT.print("\n[bold]Try next[/bold]")
    for text in next_commands(folder):
        console.OUT.print(f"  {text}", soft_wrap=True, markup=False)


def next_commands(folder: Path) -> list[str]:
    """Commands that work on the demo's files, as they are typed in a shell."""
    kinds = {
        kind: shlex.quote(f"{folder}/stamps/*_{kind}.fits") for kind in ("image", "sigma", "psf", "mask")
    }
    files = [f"--{kind} {pattern}" for kind, pattern in kinds.items()]
    blocks, figures, run = (shlex.quote(str(folder / part)) for part in ("run/blocks", "figures", "run2"))
    return [
        f"isolux fit {' '.join(files[:2])} \\\n"
        f"    {' '.join(files[2:])} \\\n"
        f"    --zero-point 22.5 --model sersic+sky --set sersic.boxiness=0 --figures 3 --out {run}",
        f"isolux plot {blocks} --out {figures} --format pdf",
        "isolux init",
    ]
