"""Isolux beside GALFIT on five SDSS galaxies of PyMorph: docs/galfit.md.

    ISOLUX_REAL_DATA=/the/folder python benchmarks/galfit_pymorph.py

Prints the tables of the page and draws its figures. The same pixels, masks, noise, PSFs and components are fitted;
Isolux starts from values of its own (for the neighbour of the last galaxy, from the position in GALFIT's input).
"""

import dataclasses
import os
import re
import sys
import tempfile
from pathlib import Path

import galfit_drawing
import numpy as np
import torch
from astropy.io import fits
from galfit_drawing import NAMES
from matplotlib.figure import Figure
from real_samples import SAMPLES
from small_figures import save_small

import isolux
from isolux import Batch, FlatSky, Result, Scene, Sersic, Stamp
from isolux.io.galfit import read_galfit
from isolux.io.galfit_file import GalfitFile
from isolux.io.listing import list_stamps
from isolux.io.stamps import load_stamps

CARDS = {
    "magnitude": "MAG",
    "effective_radius": "RE",
    "sersic_index": "N",
    "axis_ratio": "AR",
    "position_angle": "PA",
}
"""Cards of GALFIT's header that have errors."""
LABELS = {
    "magnitude": "magnitude",
    "position_angle": "position angle [deg]",
    "axis_ratio": "axis ratio",
    "effective_radius": "$r_e$ [pixel]",
    "sersic_index": "Sérsic index",
}
VARIANCES = (-0.08, -0.04, 0.0, 0.04, 1 / 12, 0.12, 0.16, 0.2, 0.3, 0.4, 0.5)
"""Blur added to the PSF, in square pixels along each axis."""
EFFECTIVE, TWICE = "PSF is an image of a star", "pixel counted twice"
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8C8C8C"


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One galaxy with what GALFIT made of it."""

    stamp: Stamp
    before: GalfitFile
    after: GalfitFile
    model: np.ndarray
    header: fits.Header

    @property
    def good(self) -> np.ndarray:
        return self.stamp.mask == 0

    @property
    def chi2(self) -> float:
        """GALFIT's, on the same pixels."""
        return float(((((self.stamp.image - self.model) / self.stamp.sigma) ** 2)[self.good]).sum())

    @property
    def objects(self) -> list[dict[str, float]]:
        """GALFIT's result for the galaxy and its neighbours."""
        found = [c for c in self.after.components if c.profile == "Sersic"]
        return [{name: c.parameters[name].value for name in NAMES} for c in found]

    @property
    def sky(self) -> float:
        return next(c.parameters["level"].value for c in self.after.components if c.kind == "sky")

    def error(self, number: int, name: str) -> float:
        """GALFIT's error; NaN where its header has another object's numbers under this one's key."""
        order = [k for k, c in enumerate(self.after.components) if c.profile == "Sersic"]
        text = str(self.header.get(f"{order[number] + 1}_{CARDS.get(name, '')}", ""))
        found = re.fullmatch(r"\s*(\S+) \+/- (\S+)\s*", text)
        mine = self.objects[number][name]
        return float(found[2]) if found and abs(float(found[1]) - mine) < 1e-4 else np.nan


def load(folder: Path) -> list[Case]:
    with tempfile.TemporaryDirectory() as work:
        stamps = load_stamps(list_stamps(SAMPLES["sdss-pymorph"](folder, Path(work))))
    return [load_case(folder / "sdss-pymorph" / "galfit", stamp) for stamp in stamps]


def load_case(top: Path, stamp: Stamp) -> Case:
    name = f"r_{stamp.id}_r_stamp"
    with fits.open(top / f"O_{name}.fits.gz") as block:
        model, header = block[2].data.astype(float), block[2].header.copy()
    return Case(stamp, read_galfit(top / f"G_{name}.in"), read_galfit(top / f"G_{name}.out"), model, header)


def scene(case: Case) -> Scene:
    """One Sérsic profile for the galaxy, one at the place of each neighbour in GALFIT's input."""
    objects = [c.parameters for c in case.before.components if c.profile == "Sersic"]
    others = {f"neighbour{k}": Sersic(x=p["x"].value, y=p["y"].value) for k, p in enumerate(objects) if k > 0}
    return Scene(galaxy=Sersic(), **others, sky=FlatSky())


def fit(case: Case, includes_pixel: bool, psf: np.ndarray | None = None) -> Result:
    stamp = case.stamp if psf is None else dataclasses.replace(case.stamp, psf=psf)
    batch = Batch.from_stamps([stamp], psf_includes_pixel=includes_pixel, dtype=torch.float64)
    return isolux.fit(batch, scene(case))


def values(result: Result) -> list[dict[str, tuple[float, float]]]:
    """Value and error of each parameter of each object."""
    objects = [q.name.partition(".")[0] for q in result.columns if q.name.endswith(".magnitude")]
    return [
        {name: (float(result[f"{o}.{name}"][0]), float(result.error(f"{o}.{name}")[0])) for name in NAMES}
        for o in objects
    ]


def main() -> None:
    folder = os.environ.get("ISOLUX_REAL_DATA")
    if not folder:
        sys.exit("ISOLUX_REAL_DATA names the folder of the images")
    cases = load(Path(folder))
    results = {EFFECTIVE: [fit(c, True) for c in cases], TWICE: [fit(c, False) for c in cases]}
    print_parameters(cases, results)
    print_chi2(cases, results)
    draw_parameters(cases, results)
    draw_blur(cases)
    draw_models(cases)


def print_parameters(cases: list[Case], results: dict[str, list[Result]]) -> None:
    print("| galaxy | fit | magnitude | r_e [pixel] | n | q | PA [deg] |\n|---|---|---|---|---|---|---|")
    shown = ("magnitude", "effective_radius", "sersic_index", "axis_ratio", "position_angle")
    places = dict(zip(shown, (3, 2, 3, 4, 2), strict=True))
    for k, case in enumerate(cases):
        for number, own in enumerate(case.objects):
            rows = {"GALFIT": {name: (own[name], case.error(number, name)) for name in shown}}
            rows |= {f"Isolux, {kind}": values(found[k])[number] for kind, found in results.items()}
            for title, row in rows.items():
                cells = [number_text(*row[name], places[name]) for name in shown]
                print(f"| {case.stamp.id[-2:]}{' neighbour' * number} | {title} | {' | '.join(cells)} |")


def number_text(value: float, error: float, places: int) -> str:
    text = f"{value:.{places}f}".replace("-", "−")
    return text if np.isnan(error) else f"{text} ± {error:.{places}f}"


def print_chi2(cases: list[Case], results: dict[str, list[Result]]) -> None:
    print(
        "\n| galaxy | GALFIT | "
        + " | ".join(f"Isolux, {kind}" for kind in results)
        + " | drawn as GALFIT draws |"
    )
    print("|---|---|---|---|---|")
    moves = []
    for k, case in enumerate(cases):
        stamp = case.stamp
        args = (stamp.image, stamp.sigma, case.good, stamp.psf, stamp.zero_point)
        _, best, objects, _ = galfit_drawing.minimise(case.objects, case.sky, *args)
        chi2 = [*(float(found[k].chi2[0]) for found in results.values()), best]
        print(
            f"| {stamp.id[-2:]} | {case.chi2:.1f} | {' | '.join(signed(value - case.chi2) for value in chi2)} |"
        )
        for moved, start, own in zip(objects, case.objects, values(results[TWICE][k]), strict=True):
            moves += [abs(moved[name] - start[name]) / own[name][1] for name in NAMES]
    print(f"Drawn as GALFIT draws, parameters move from GALFIT's by {max(moves):.2f} errors at most.")
    for kind, found in results.items():
        rows = zip(
            [own for c in cases for own in c.objects], [row for r in found for row in values(r)], strict=True
        )
        far = max((abs(row[name][0] - own[name]) / row[name][1], name) for own, row in rows for name in NAMES)
        print(f"{kind}: {far[0]:.2f} errors from GALFIT at most ({far[1]}).")


def signed(number: float) -> str:
    text = f"{number:+.1f}".replace("-", "−")
    return "0.0" if text[1:] == "0.0" else text


def draw_parameters(cases: list[Case], results: dict[str, list[Result]]) -> None:
    """GALFIT against Isolux, after Figure 3 of Chen et al. (2024), with the differences in errors below."""
    figure = Figure(figsize=(12.5, 4.0), layout="constrained")
    axes = figure.subplots(2, len(LABELS), height_ratios=(3, 1.3))
    for (name, label), (above, below) in zip(LABELS.items(), axes.T, strict=True):
        theirs = np.array([own[name] for case in cases for own in case.objects])
        for (kind, found), colour, marker in zip(results.items(), (BLUE, ORANGE), "os", strict=True):
            ours = np.array([row[name] for result in found for row in values(result)])
            above.errorbar(
                theirs, ours[:, 0], ours[:, 1], fmt=marker, ms=4, color=colour, mfc="none", label=kind
            )
            below.plot(theirs, (ours[:, 0] - theirs) / ours[:, 1], marker, ms=4, color=colour, mfc="none")
        above.axline((theirs[0], theirs[0]), slope=1, color=GREY, lw=0.8, zorder=0)
        below.axhline(0, color=GREY, lw=0.8, zorder=0)
        below.set_ylim(-2.2, 2.2)
        above.set_title(label, fontsize=9)
        below.set_xlabel("GALFIT", fontsize=9)
        for panel in (above, below):
            panel.tick_params(labelsize=8)
    axes[0, 0].set_ylabel("Isolux", fontsize=9)
    axes[1, 0].set_ylabel("difference / error", fontsize=9)
    axes[0, 0].legend(fontsize=7, loc="upper left", frameon=False)
    save_small(figure, "galfit-parameters")


def draw_blur(cases: list[Case]) -> None:
    """chi2 against GALFIT's as the PSF is made broader."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for case, colour in zip(cases, (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9"), strict=True):
        gained = [float(fit(case, True, blurred(case.stamp.psf, v)).chi2[0]) - case.chi2 for v in VARIANCES]
        axes.plot(VARIANCES, gained, "o-", ms=3, lw=1, color=colour, label=case.stamp.id[-2:])
    axes.axhline(0, color=GREY, lw=0.8, zorder=0)
    for place, text in ((0.0, "image of a star"), (1 / 12, "pixel twice")):
        axes.axvline(place, color=GREY, lw=0.8, ls=":", zorder=0)
        axes.text(place, 37, f" {text}", fontsize=8, color=GREY, rotation=90, va="top", ha="right")
    axes.set_ylim(-40, 40)
    axes.set_xlabel("variance added to the PSF along each axis [pixel²]", fontsize=9)
    axes.set_ylabel("χ² − χ² of GALFIT", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.legend(title="galaxy", fontsize=8, title_fontsize=8, frameon=False)
    save_small(figure, "galfit-blur")


def blurred(psf: np.ndarray, variance: float) -> np.ndarray:
    """A PSF convolved with a Gaussian, or sharpened where the variance is negative."""
    wide = np.pad(psf / psf.sum(), 4)
    v, u = (np.fft.fftfreq(n) for n in wide.shape)
    return np.fft.ifft2(np.fft.fft2(wide) * np.exp(-2 * np.pi**2 * variance * (v[:, None] ** 2 + u**2))).real


def draw_models(cases: list[Case], half: int = 14) -> None:
    """GALFIT's model image less others at GALFIT's own parameters."""
    figure = Figure(figsize=(11.2, 6.6), layout="constrained")
    axes = figure.subplots(3, len(cases))
    for case, column in zip(cases, axes.T, strict=True):
        first = case is cases[0]
        peak = case.model.max() - case.sky
        centre = max(case.objects, key=lambda own: -own["magnitude"])
        x, y = round(centre["x"]), round(centre["y"])
        models = {
            f"Isolux, {EFFECTIVE}": at_galfits_values(case, True),
            f"Isolux, {TWICE}": at_galfits_values(case, False),
            "drawn as GALFIT draws": galfit_drawing.draw(
                case.objects, case.sky, case.stamp.psf, case.model.shape, case.stamp.zero_point
            ),
        }
        for panel, (title, model) in zip(column, models.items(), strict=True):
            part = ((case.model - model) / peak)[y - half : y + half + 1, x - half : x + half + 1]
            drawn = panel.imshow(100 * part, origin="lower", cmap="RdBu_r", vmin=-1, vmax=1)
            panel.set(xticks=[], yticks=[])
            panel.set_xlabel(f"largest {100 * abs(case.model - model).max() / peak:.2f} %", fontsize=8)
            if first:
                panel.set_ylabel(f"GALFIT −\n{title}", fontsize=8)
        column[0].set_title(case.stamp.id[-2:], fontsize=9)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.6)
    bar.set_label("difference [% of the model's peak]", fontsize=9)
    save_small(figure, "galfit-models")


def at_galfits_values(case: Case, includes_pixel: bool) -> np.ndarray:
    profiles = {f"object{k}": Sersic(**own) for k, own in enumerate(case.objects)}
    model = Scene(**profiles, sky=FlatSky(level=case.sky))
    batch = Batch.from_stamps([case.stamp], psf_includes_pixel=includes_pixel, dtype=torch.float64)
    return model.images(batch, model.values(1))[0].numpy()


if __name__ == "__main__":
    main()
