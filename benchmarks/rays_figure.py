"""The figure of docs/likelihoods-and-priors.md: a galaxy with cosmic rays, fitted by chi-square and by Student's t.

A mock Sérsic galaxy, and cosmic rays over one pixel in a hundred that no mask has; the same image is fitted with
both losses. Prints what was found and what is true.

    python benchmarks/rays_figure.py [--seed 8]
"""

import argparse
import dataclasses

import numpy as np
import torch
from coverage_losses import struck
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure
from small_figures import save_small

import isolux
from isolux.report.style import house_style
from isolux.simulate import Observation, mock_stamps

SHARE, STRONGEST = 0.01, 500.0
NAMES = {
    "sersic.magnitude": "magnitude",
    "sersic.effective_radius": "r_e, pixels",
    "sersic.sersic_index": "n",
    "sersic.axis_ratio": "q",
    "sky.level": "sky / σ",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=8)
    seed = parser.parse_args().seed
    view = Observation(size=96, sky_sigma=(0.025, 0.025))
    batch, truth = mock_stamps(1, seed=seed, observation=view)
    rng = np.random.default_rng(seed)
    hits = struck(view.size, SHARE, rng) * np.exp(rng.uniform(np.log(5), np.log(STRONGEST), (1, 96, 96)))
    batch = dataclasses.replace(batch, image=batch.image + torch.tensor(hits).to(batch.image) * batch.sigma)
    scene = isolux.Scene(sersic=isolux.Sersic(), sky=isolux.FlatSky())
    fits = {title: isolux.fit(batch, scene, loss=loss) for title, loss in LOSSES.items()}
    clean = scene.images(batch, columns(fits["χ²"], truth))
    lines = [" " * 13 + "".join(f"{title:>18}" for title in (*fits, "truth"))]
    for name, label in NAMES.items():
        unit = 0.025 if name == "sky.level" else 1.0
        found = [f"{fit[name][0] / unit:.3f} ± {fit.error(name)[0] / unit:.3f}" for fit in fits.values()]
        lines.append(
            f"{label:13}" + "".join(f"{text:>18}" for text in (*found, f"{truth[name][0] / unit:.3f}"))
        )
    print("\n".join(lines))
    with house_style():
        save_small(drawn(batch, scene, fits, clean), "rays")


LOSSES = {"χ²": "chi2", "Student-t": "student-t"}


def columns(result: isolux.Result, truth: dict[str, np.ndarray]) -> torch.Tensor:
    """The truth as values (galaxy, parameter)."""
    found = [truth[c.name] if c.name in truth else np.zeros(1) for c in result.columns]
    return torch.tensor(np.stack(found, 1))


def drawn(
    batch: isolux.Batch, scene: isolux.Scene, fits: dict[str, isolux.Result], clean: torch.Tensor
) -> Figure:
    """Data, and for each loss the residuals and how far the model is off, in sigma."""
    figure = Figure(figsize=(7.2, 4.9), layout="constrained")
    panels = figure.subplots(2, 3)
    image = (batch.image / batch.sigma)[0].numpy()
    show(panels[0, 0], image, AsinhNorm(3.0, -3, 300), "magma", "data / σ, with cosmic rays", [0, 10, 100])
    truth = (clean / batch.sigma)[0].numpy()
    show(panels[1, 0], truth, AsinhNorm(3.0, -3, 300), "magma", "true galaxy / σ", [0, 10, 100])
    for column, (title, fit) in enumerate(fits.items(), start=1):
        model = scene.images(batch, fit.values)
        residual, off = (
            ((one - other) / batch.sigma)[0].numpy() for one, other in ((batch.image, model), (model, clean))
        )
        show(
            panels[0, column],
            residual,
            Normalize(-5, 5),
            "RdBu_r",
            f"{title}: (data − model) / σ",
            [-5, 0, 5],
        )
        show(panels[1, column], off, Normalize(-5, 5), "RdBu_r", f"{title}: (model − truth) / σ", [-5, 0, 5])
    return figure


def show(axes: Axes, pixels: np.ndarray, norm: Normalize, colours: str, title: str, ticks: list[int]) -> None:
    """One panel with its scale."""
    seen = axes.imshow(pixels, norm=norm, cmap=colours, origin="lower", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title)
    bar = axes.figure.colorbar(seen, ax=axes, shrink=0.8, ticks=ticks)
    bar.ax.set_yticklabels([str(tick).replace("-", "−") for tick in ticks])
    bar.minorticks_off()


if __name__ == "__main__":
    main()
