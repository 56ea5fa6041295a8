"""Are posterior samples right, and what do they cost?

    python benchmarks/posterior.py [--count 600] [--jobs 2] [--steps 20000] [--only easy]

Three questions, the answers to which go into the section "Posterior samples" of RESULTS.md:

- Calibration: galaxies whose truth is drawn from the prior, at signal-to-noise 10 to 20. The rank of the truth among
  the samples must then be uniform (Talts, Betancourt, Simpson, Vehtari & Gelman 2018, arXiv:1804.06788), and credible
  intervals must cover as often as they say. Draws docs/figures/calibration.png.
- Easy galaxies (signal-to-noise 300): widths over those of the covariance.
- A hard one (signal-to-noise 15, half-light radius well below the PSF's): quantiles beside emcee's, and effective
  samples an evaluation of both. Draws docs/figures/posterior.png.
"""

import argparse
import datetime
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import emcee
import matplotlib
import numpy as np
import tables
import torch
from about import commit, processor
from coverage_report import HEADS

import isolux
from isolux import Flag, FlatSky, Free, GaussianPrior, LogNormalPrior, Sampler, Scene, Sersic, UniformPrior
from isolux.simulate import draw, moffat_psf
from isolux.solve.convergence import effective_samples

HERE = Path(__file__).resolve().parent
SIZE, ZERO_POINT, SIGMA = 32, 25.0, 1.0
PSF = moffat_psf(3.0, 3.5, 25)
MIDDLE = (SIZE - 1) / 2
RANKS, BINS = 99, 20
AT_ONCE = 20
PRIORS = (
    GaussianPrior("galaxy.x", MIDDLE, 0.5),
    GaussianPrior("galaxy.y", MIDDLE, 0.5),
    UniformPrior("galaxy.magnitude", 19.3, 20.3),
    LogNormalPrior("galaxy.effective_radius", 4.0, 0.15),
    UniformPrior("galaxy.axis_ratio", 0.2, 1.0),
    GaussianPrior("sky.level", 0.0, 0.2),
)
SCENE = Scene(galaxy=Sersic(sersic_index=Free(lower=0.5, upper=6.0)), sky=FlatSky())
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#BBBBBB"
Rows = dict[str, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=600, help="galaxies of the calibration")
    parser.add_argument("--steps", type=int, default=20_000, help="of emcee")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument(
        "--only", nargs="+", choices=("calibration", "easy", "hard"), help="nothing is written"
    )
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--figure", type=Path, default=HERE.parent / "docs" / "figures" / "calibration.png")
    options = parser.parse_args()
    torch.set_num_threads(1)
    command = f"python benchmarks/posterior.py --count {options.count} --steps {options.steps}"
    parts = [
        "## Posterior samples",
        f"`{command}`, {datetime.date.today()}, Isolux at commit {commit()}, emcee {emcee.__version__}, {processor()}.",
    ]
    wanted = options.only or ("calibration", "easy", "hard")
    if "calibration" in wanted:
        found = calibrated(options.count, options.jobs)
        parts.append(calibration_text(found))
        draw_ranks(found, options.figure)
        print(parts[-1], flush=True)
    if "easy" in wanted:
        parts.append(easy_text())
        print(parts[-1], flush=True)
    if "hard" in wanted:
        parts.append(hard_text(options.steps, options.figure.with_name("posterior.png")))
        print(parts[-1], flush=True)
    if not options.only:
        tables.put(options.results, "posterior", "\n\n".join(parts))


def observed(truth: Rows, seed: int, sigma: float = SIGMA) -> tuple[isolux.Batch, np.ndarray]:
    """Stamps with noise of the galaxies of a truth by full name, and their signal-to-noise (galaxy,)."""
    count = len(truth["galaxy.x"])
    galaxy = Sersic(**{name.partition(".")[2]: v for name, v in truth.items() if name.startswith("galaxy")})
    psf = PSF
    light = draw(Scene(galaxy=galaxy), (SIZE, SIZE), psf=psf, zero_point=ZERO_POINT, galaxies=count)[
        0
    ].numpy()
    noise = sigma * np.random.default_rng([5, seed]).standard_normal(light.shape)
    image = light + truth["sky.level"][:, None, None] + noise
    batch = isolux.Batch.from_arrays(
        image,
        sigma=np.full_like(image, sigma),
        psf=psf,
        zero_point=ZERO_POINT,
        id=[f"{seed}-{k}" for k in range(count)],
    )
    return batch, np.sqrt((light**2).sum((1, 2))) / sigma


def from_prior(count: int, seed: int) -> Rows:
    """Truth drawn from the prior."""
    rng = np.random.default_rng([4, seed])
    return {
        "galaxy.x": MIDDLE + 0.5 * rng.normal(size=count),
        "galaxy.y": MIDDLE + 0.5 * rng.normal(size=count),
        "galaxy.magnitude": rng.uniform(19.3, 20.3, count),
        "galaxy.effective_radius": 4.0 * 10 ** (0.15 * rng.normal(size=count)),
        "galaxy.sersic_index": np.exp(rng.uniform(np.log(0.5), np.log(6.0), count)),
        "galaxy.axis_ratio": rng.uniform(0.2, 1.0, count),
        "galaxy.position_angle": rng.uniform(-90, 90, count),
        "sky.level": 0.2 * rng.normal(size=count),
    }


def calibrated(count: int, jobs: int) -> Rows:
    """Ranks and pulls (galaxy,) of galaxies drawn from the prior."""
    tasks = range(-(-count // AT_ONCE))
    if jobs == 1:
        parts = [_calibrated(task) for task in tasks]
    else:
        with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
            parts = list(pool.map(_calibrated, tasks))
    return {key: np.concatenate([part[key] for part in parts])[:count] for key in parts[0]}


def _calibrated(seed: int) -> Rows:
    torch.set_num_threads(1)
    truth = from_prior(AT_ONCE, seed)
    batch, signal = observed(truth, seed)
    clock = time.process_time()
    result = isolux.fit(batch, SCENE, errors="posterior", priors=PRIORS)
    rows = {"cpu": np.full(AT_ONCE, (time.process_time() - clock) / AT_ONCE), "signal": signal}
    curvature = isolux.fit(batch, SCENE, priors=PRIORS)
    names = [column.name for column in result.columns]
    for name, true in truth.items():
        samples = result.samples[..., names.index(name)].numpy()
        off = result[name].numpy() - true
        error = curvature.error(name).numpy()
        if name.endswith("position_angle"):
            off = (off + 90) % 180 - 90
        true = result[name].numpy() - off
        thinned = samples[:, np.linspace(0, samples.shape[1] - 1, RANKS).round().astype(int)]
        rows[f"rank {name}"] = (thinned < true[:, None]).sum(1)
        rows[f"share {name}"] = (samples < true[:, None]).mean(1)
        rows[f"pull {name}"] = off / error
    rows["mixed"] = np.array([Flag.NOT_MIXED not in flags for flags in result.flags])
    rows["bound"] = np.array([Flag.AT_BOUND in flags for flags in result.flags])
    rows["effective"] = result.effective_samples.nan_to_num(np.inf).amin(1).numpy()
    return rows


def calibration_text(found: Rows) -> str:
    """Coverage of credible intervals and of those of the covariance, and how uniform ranks are."""
    count = len(found["signal"])
    low, middle, high = np.percentile(found["signal"], [5, 50, 95])
    lines = []
    for title, inside in (("credible intervals", by_samples), ("covariance", by_pulls)):
        cells = [" / ".join(f"{100 * inside(found, n, p).mean():.1f}" for p in (0.6827, 0.95)) for n in HEADS]
        lines.append([title, *cells])
    lines.append(["ranks, chi2 of 20 bins", *(f"{uniformity(found, name):.0f}" for name in HEADS)])
    text = (
        f"Calibration: {count} galaxies drawn from the prior (centre 0.5 pixel, magnitude uniform over 1, r_e"
        f" log-normal by 0.15 dex, n log-uniform 0.5 to 6, q uniform 0.2 to 1, sky), {SIZE} x {SIZE} pixels, PSF of"
        f" FWHM 3. Signal-to-noise {low:.0f} to {high:.0f} (5 to 95 %), median {middle:.0f}. Intervals of 68.27 % and"
        f" 95 % cover, in per cent (standard deviations {100 * np.sqrt(0.6827 * 0.3173 / count):.1f} and"
        f" {100 * np.sqrt(0.95 * 0.05 / count):.1f}); the covariance has none at a bound, which counts as not covered."
        f" Ranks of the truth among 99 samples, in 20 bins: chi2 should be 19 ± 6."
        f" {100 * (1 - found['mixed'].mean()):.1f} % did not mix; {np.median(found['cpu']):.1f} CPU s a galaxy."
    )
    return text + "\n\n" + tables.markdown(["", *HEADS.values()], lines)


def by_samples(found: Rows, name: str, level: float) -> np.ndarray:
    return np.abs(found[f"share {name}"] - 0.5) < level / 2


def by_pulls(found: Rows, name: str, level: float) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.abs(found[f"pull {name}"]) < {0.6827: 1.0, 0.95: 1.96}[level]


def uniformity(found: Rows, name: str) -> float:
    """Chi-square of the ranks in 20 bins."""
    counts = np.bincount(found[f"rank {name}"] * BINS // (RANKS + 1), minlength=BINS)
    expected = len(found[f"rank {name}"]) / BINS
    return float(((counts - expected) ** 2 / expected).sum())


def draw_ranks(found: Rows, path: Path) -> None:
    """Histograms of the ranks, with the band of two standard deviations."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 4, figsize=(9, 3.6), sharex=True, sharey=True, layout="constrained")
    expected = len(found["signal"]) / BINS
    band = 2 * np.sqrt(expected * (1 - 1 / BINS))
    for axis, (name, head) in zip(axes.flat, HEADS.items(), strict=True):
        axis.axhspan(expected - band, expected + band, color=GREY, alpha=0.5, linewidth=0)
        edges = np.linspace(0, 1, BINS + 1)
        axis.hist((found[f"rank {name}"] + 0.5) / (RANKS + 1), edges, color=BLUE, rwidth=0.9)
        axis.set_title(head, fontsize="medium")
        axis.spines[["top", "right"]].set_visible(False)
        axis.set(xticks=[0, 0.5, 1], xlim=(0, 1))
    figure.supxlabel("rank of the truth among the samples", fontsize="small")
    figure.supylabel("galaxies", fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def easy_text() -> str:
    """Widths over those of the covariance at signal-to-noise 300."""
    truth = from_prior(40, 1000)
    truth["galaxy.axis_ratio"] = np.clip(truth["galaxy.axis_ratio"], 0.2, 0.8)
    truth["galaxy.sersic_index"] = np.clip(truth["galaxy.sersic_index"], 0.7, 4.0)
    _, signal = observed(truth, 1000)
    truth["galaxy.magnitude"] -= 2.5 * np.log10(300 / signal)
    batch, signal = observed(truth, 1000)
    scene = Scene(galaxy=Sersic(), sky=FlatSky())
    curvature = isolux.fit(batch, scene)
    start = {column.name: curvature.values[:, k] for k, column in enumerate(curvature.columns)}
    clock = time.process_time()
    result = isolux.fit(batch, scene, start=start, errors="posterior", sampler=Sampler(effective=1000))
    cpu = (time.process_time() - clock) / len(result)
    kept = np.array([not flags & (Flag.NOT_MIXED | Flag.AT_BOUND) for flags in result.flags])
    cells = []
    for name in HEADS:
        ratio = (result.error(name) / curvature.error(name)).numpy()[kept]
        cells.append(f"{np.median(ratio):.3f} ± {tables.half_width(ratio):.3f}")
    text = (
        f"Easy galaxies: widths of the samples over those of the covariance at signal-to-noise 300, {kept.sum()}"
        f" galaxies, median and half-width of the central 68 % (0.022 from 1000 effective samples alone). Flat priors."
        f" {cpu:.1f} CPU s a galaxy."
    )
    return text + "\n\n" + tables.markdown(["", *HEADS.values()], [["width / covariance's", *cells]])


def hard_text(steps: int, figure: Path) -> str:
    """Quantiles and cost beside emcee's."""
    truth = {name: values[:1] for name, values in from_prior(1, 2000).items()}
    shape = {"effective_radius": 0.9, "sersic_index": 1.5, "axis_ratio": 0.6, "magnitude": 20.0}
    truth |= {f"galaxy.{name}": np.array([value]) for name, value in shape.items()}
    _, signal = observed(truth, 2000)
    truth["galaxy.magnitude"] -= 2.5 * np.log10(15 / signal)
    batch, signal = observed(truth, 2000)
    scene = Scene(galaxy=Sersic(sersic_index=Free(lower=0.5, upper=6.0)), sky=FlatSky())
    ours, evaluations = _ours(batch, scene)
    theirs, autocorrelation = _theirs(batch, scene, ours, steps)
    count = theirs.shape[0] * theirs.shape[1]
    names = [column.name for column in ours.columns]
    draw_hard(ours, names, theirs, truth, figure)
    lines, worst = [], 0.0
    independent = effective_samples(torch.as_tensor(theirs.transpose(1, 0, 2)[None]).double())[0].numpy()
    for k, name in enumerate(HEADS):
        mine = ours.samples[0, :, names.index(name)].numpy()
        other = theirs[..., k].ravel()
        own = ours.effective_samples[0, names.index(name)].item()
        cells = []
        for level in (0.16, 0.5, 0.84):
            share = (other < np.quantile(mine, level)).mean()
            error = np.sqrt(level * (1 - level) * (1 / own + 1 / independent[k]))
            worst = max(worst, abs(share - level) / error)
            cells.append(f"{np.quantile(mine, level):.3f} / {np.quantile(other, level):.3f}")
        lines.append([HEADS[name], *cells, f"{own:.0f} / {independent[k]:.0f}"])
    rate = ours.effective_samples.nan_to_num(np.inf).amin().item() / evaluations
    text = (
        f"A hard galaxy: signal-to-noise 15, r_e 0.9 pixel under a PSF of FWHM 3, flat priors. Quantiles and effective"
        f" samples, Isolux / emcee (stretch moves, 32 walkers, {steps} steps; autocorrelation {autocorrelation:.0f}"
        f" steps). The largest difference of 24 quantiles is {worst:.1f} Monte-Carlo standard deviations. Effective"
        f" samples an evaluation: {rate:.3f} ({evaluations} evaluations, all epochs) /"
        f" {independent.min() / count:.4f} ({count})."
    )
    return text + "\n\n" + tables.markdown(["", "16 %", "50 %", "84 %", "effective samples"], lines)


def draw_hard(ours: isolux.Result, names: list[str], theirs: np.ndarray, truth: Rows, path: Path) -> None:
    """Samples of both codes for the parameters whose posteriors bend."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = ("magnitude", "effective_radius", "sersic_index", "axis_ratio")
    figure, axes = plt.subplots(1, 4, figsize=(9, 2.5), layout="constrained")
    for axis, short in zip(axes, shown, strict=True):
        name = f"galaxy.{short}"
        mine, other = (
            ours.samples[0, :, names.index(name)].numpy(),
            theirs[..., list(HEADS).index(name)].ravel(),
        )
        scale = np.log10 if short.endswith(("radius", "index")) else np.asarray
        edges = np.linspace(*np.percentile(scale(other), [0.2, 99.8]), 41)
        axis.hist(scale(mine), edges, density=True, color=BLUE, alpha=0.45, label="Isolux")
        axis.hist(scale(other), edges, density=True, histtype="step", color=ORANGE, label="emcee")
        axis.axvline(scale(truth[name][0]), color="black", linewidth=1, linestyle="--", label="truth")
        axis.set(xlabel=f"log₁₀ {HEADS[name]}" if scale is np.log10 else HEADS[name], yticks=[])
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize="small", loc="upper left")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _ours(batch: isolux.Batch, scene: Scene) -> tuple[isolux.Result, int]:
    from isolux import posterior, uncertainty

    used = []

    def counted(*arguments: object) -> object:
        values, samples = posterior.sample_posterior(*arguments)
        used.append(int(samples.evaluations[0]))
        return values, samples

    uncertainty.sample_posterior = counted
    sampler = Sampler(draws=4000, effective=2000, rhat=1.01, evaluations=300_000)
    result = isolux.fit(batch, scene, errors="posterior", sampler=sampler)
    uncertainty.sample_posterior = posterior.sample_posterior
    return result, used[0]


def _theirs(batch: isolux.Batch, scene: Scene, ours: isolux.Result, steps: int) -> tuple[np.ndarray, float]:
    """Chains (step, walker, parameter) of emcee on likelihood and prior written down once more, and autocorrelation."""
    walkers = 32
    names = [column.name for column in ours.columns]
    columns = [names.index(name) for name in HEADS]
    log = [name.endswith(("radius", "index")) for name in HEADS]
    best = ours.values[0, names.index("galaxy.position_angle")].item()
    low = np.array([-np.inf, -np.inf, -50, np.log(0.05), np.log(0.5), 0.05, best - 90, -np.inf])
    high = np.array([np.inf, np.inf, 80, np.log(5000), np.log(6.0), 1.0, best + 90, np.inf])
    copies = isolux.Batch.from_arrays(
        batch.image.expand(walkers, -1, -1),
        sigma=batch.sigma.expand(walkers, -1, -1),
        psf=PSF,
        zero_point=ZERO_POINT,
    )
    halves = {count: copies.select(range(count)) for count in (walkers // 2, walkers)}

    def log_probability(points: np.ndarray) -> np.ndarray:
        inside = ((points > low) & (points < high)).all(1)
        safe = np.where(inside[:, None], points, start[: len(points)])
        values = ours.values.repeat(len(points), 1)
        values[:, columns] = torch.as_tensor(np.where(log, np.exp(safe), safe))
        model = scene.images(halves[len(points)], values)
        chi2 = ((batch.image - model).double() ** 2).sum((1, 2)).numpy() / SIGMA**2
        return np.where(inside, -chi2 / 2, -np.inf)

    start = ours.samples[0, :: ours.samples.shape[1] // walkers, columns][:walkers].double().numpy()
    start = np.where(log, np.log(np.where(log, start, 1.0)), start)
    sampler = emcee.EnsembleSampler(walkers, len(columns), log_probability, vectorize=True)
    sampler.run_mcmc(start, steps)
    chain = sampler.get_chain(discard=steps // 10)
    return np.where(log, np.exp(chain), chain), float(np.max(sampler.get_autocorr_time(tol=0)))


if __name__ == "__main__":
    main()
