"""How chi-square falls: Levenberg-Marquardt and Adam on the same dozen mock galaxies.

Isolux draws single Sérsic galaxies and fits them with a free sky, from its own starting values and from poor
ones: every unknown thrown off by a normal number times ten typical changes (half in a radius, 0.2 in a
magnitude or an axis ratio, 20 degrees). A wrapper around the problem notes each chi-square that a solver asks
for. Draws the figure of docs/how-the-solver-works.md and prints its table; takes about two minutes.

    python benchmarks/convergence.py [--count 12] [--seed 5]
"""

import argparse
import time
from collections import defaultdict
from pathlib import Path

import matplotlib
import numpy as np
import torch

import isolux
from isolux.likelihood import ChiSquare
from isolux.parameter_map import build_map
from isolux.renderer import Renderer
from isolux.simulate import Observation, mock_stamps
from isolux.solve import FirstOrder, LevenbergMarquardt, Linearised, Problem
from isolux.start import starting_values

RUNS = {
    "Levenberg-Marquardt": (LevenbergMarquardt(), 0.0),
    "the same, poor starts": (LevenbergMarquardt(), 10.0),
    "Adam, learning rate 0.3": (FirstOrder("Adam", learning_rate=0.3), 0.0),
}
"""Solver, and by how many typical changes its starting values are thrown off."""
COLOURS, GREY = ("#0072B2", "#009E73", "#D55E00"), "#BBBBBB"


class Watched:
    """A problem that notes every chi-square: the solvers know no difference."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.seen: dict[int, list[float]] = defaultdict(list)

    @property
    def n_free(self) -> int:
        return self.problem.n_free

    @property
    def scale(self) -> torch.Tensor:
        return self.problem.scale

    @property
    def places(self) -> int:
        return self.problem.places

    def bounds(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.problem.bounds()

    def cost(self, theta: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return self._note(self.problem.cost(theta, rows), rows)

    def linearise(self, theta: torch.Tensor, rows: torch.Tensor) -> Linearised:
        found = self.problem.linearise(theta, rows)
        self._note(found.cost, rows)
        return found

    def _note(self, costs: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        once = dict(zip(rows.tolist(), costs.tolist(), strict=True))
        for row, cost in once.items():
            self.seen[row].append(cost)
        return costs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=5)
    figures = Path(__file__).parents[1] / "docs" / "figures"
    parser.add_argument("--out", type=Path, default=figures / "convergence.png")
    options = parser.parse_args()
    torch.set_num_threads(1)
    problem, theta = problem_of(options.count, options.seed)
    noise = torch.randn(theta.shape, generator=torch.Generator().manual_seed(options.seed), dtype=theta.dtype)
    lower, upper = problem.bounds()
    runs = {}
    for name, (solver, off) in RUNS.items():
        start = torch.clamp(theta + off * noise * problem.scale, lower, upper)
        watched, clock = Watched(problem), time.process_time()
        runs[name] = solver.solve(watched, start), watched.seen, time.process_time() - clock
    lowest = torch.stack([solution.cost for solution, *_ in runs.values()]).amin(0)
    print(f"torch {torch.__version__}, one thread\n")
    print(
        "| | evaluations, median (most) | converged | chi-square above the lowest, median (most) | seconds |"
    )
    print("|---|---:|---:|---:|---:|")
    for name, (solution, _, seconds) in runs.items():
        converged = int((solution.status == isolux.Status.CONVERGED).sum())
        above = solution.cost - lowest
        print(
            f"| {name} | {solution.steps.median()} ({solution.steps.max()}) | {converged} of {len(theta)} "
            f"| {above.median():.1g} ({above.max():.1g}) | {seconds:.2g} |"
        )
    draw({name: seen for name, (_, seen, _) in runs.items()}, lowest, options.out)
    print(f"\n{options.out}")


def problem_of(count: int, seed: int) -> tuple[ChiSquare, torch.Tensor]:
    """The problem of a batch of mocks, and where its solvers start."""
    batch, _ = mock_stamps(count, seed=seed, observation=Observation(size=96))
    scene = isolux.Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky())
    values, _ = starting_values(scene, batch)
    noise = batch.sigma.flatten(1).median(1).values.double()
    parameters = build_map(scene.parameters, values, noise)
    problem = ChiSquare.of(Renderer.of(scene.components, batch), parameters, batch)
    return problem, parameters.to_theta(values)


def draw(runs: dict[str, dict[int, list[float]]], lowest: torch.Tensor, path: Path) -> None:
    """Chi-square above its lowest value against evaluations, a line a galaxy, a panel a solver."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(runs), figsize=(4 * len(runs), 3.4), sharey=True, layout="constrained")
    for axis, colour, (name, seen) in zip(axes, COLOURS, runs.items(), strict=True):
        few = max(map(len, seen.values())) < 100
        for row, costs in seen.items():
            above = np.array(costs) - float(lowest[row])
            best = np.minimum.accumulate(above)
            number = np.arange(1, len(above) + 1)
            axis.plot(number, np.maximum(best, 1e-3), "-", color=colour, alpha=0.6, linewidth=1)
        axis.set(yscale="log", xscale="linear" if few else "log")
        axis.axhline(0.01, color=GREY, linewidth=1, linestyle=":")
        axis.set(title=name, xlabel="evaluations of the model")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set(ylabel="chi-square above its lowest value", ylim=(1e-3, 1e7))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
