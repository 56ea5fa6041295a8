"""What the network of :mod:`isolux.nets.starts` is taught with: labels, three losses, and how it is scored.

The labels of one Sérsic profile are the truth where the galaxy is one, and else those of a fit of one to the galaxy
without noise; bulges with discs have the truth. The losses are

    gaussian    the likelihood of the label, ln s + (m - t)^2 / 2 s^2, for the said m and its error s
    mse         (m - t)^2 in typical errors; s learns beside it, without a say in m
    mse+chi2    the same, and ln(1 + D / 8) with D = sum (model - galaxy)^2 / sigma^2 through the renderer, where the
                galaxy is the one without noise: by how much chi-square is too large, on average over noise

The last is the sum that galmoss's authors called physics-informed; the logarithm keeps bright galaxies, whose
chi-square is off by millions, from being all that counts. A sky is fitted beside the galaxy, so that D is taken
without the residuals' mean.
"""

from __future__ import annotations

import dataclasses
import math
import warnings

import numpy as np
import torch
from torch import nn

from isolux.batch import Batch
from isolux.errors import FitWarning, unknown_name
from isolux.fit import fit
from isolux.nets.profile_data import LOTS, TIMES, Lots, Mixed, mixed
from isolux.nets.profile_draw import TRUTH, Lot, Universe, draw_lot
from isolux.nets.starts import NUMBERS, PLACE, SPREADS, TYPICAL, Said, Seen, StartNet
from isolux.profiles import Exponential, FlatSky, Sersic
from isolux.profiles.exponential import HALF_LIGHT
from isolux.renderer import Renderer
from isolux.scene import Scene
from isolux.solve import LevenbergMarquardt
from isolux.types import Tensor

LOSSES = ("gaussian", "mse", "mse+chi2")
VALIDATION = 1_000_000_007
"""Added to the seed for the validation set, which has lots of its own."""
TOLD = 0.35
"""Share of galaxies whose index is told."""
FREE, CHI2 = 8.0, 0.2
"""Unknowns of a fit, which make chi-square lower by as much in any case; weight of the logarithm."""
DRAWN = 16
"""Galaxies of a batch that are drawn for chi-square."""
MOST = 6.0
"""Typical errors beyond which a miss counts linearly: a neighbour was taken for the galaxy."""
ENOUGH = LevenbergMarquardt(max_steps=40, tolerance=1.0)
"""How exactly noise-free galaxies are fitted."""
ONE, BOTH = Scene(galaxy=Sersic()), Scene(bulge=Sersic(), disc=Exponential())
NAMES = {
    "ln_radius": "ln_radius", "ln_index": "ln_index", "e1": "e1", "e2": "e2", "ln_both": "ln_flux",
    "logit_share": "bulge_share", "ln_bulge_radius": "ln_bulge_radius", "ln_bulge_index": "ln_bulge_index",
    "bulge_e1": "bulge_e1", "bulge_e2": "bulge_e2", "ln_disc_radius": "ln_disc_radius", "disc_e1": "disc_e1",
    "disc_e2": "disc_e2",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """A training batch.

    Attributes
    ----------
    seen : Seen
        What the network is shown.
    wanted : Tensor
        (galaxy, :data:`isolux.nets.starts.NUMBERS`): labels in its units; NaN where there is none.
    batch : Batch
        The stamps.
    own : Tensor
        (galaxy, y, x): the galaxies without noise.
    """

    seen: Seen
    wanted: Tensor
    batch: Batch
    own: Tensor


class StartLesson:
    """Teaches :class:`isolux.nets.starts.StartNet` with stamps that are drawn on the way.

    Parameters
    ----------
    universe, lots : Universe, Lots
        What is drawn.
    loss : {"gaussian", "mse", "mse+chi2"}
        See the module.
    count, validation : int
        Galaxies a step, and of the fixed set that the network is scored on.
    seed : int
        Of the weights.
    """

    def __init__(
        self,
        universe: Universe,
        lots: Lots,
        *,
        loss: str = "gaussian",
        count: int = 64,
        validation: int = 512,
        seed: int = 0,
    ) -> None:
        if loss not in LOSSES:
            raise unknown_name("loss", loss, LOSSES)
        torch.manual_seed(seed)
        self.model: nn.Module = StartNet()
        self.universe, self.lots, self.count, self.kind = universe, lots, count, loss
        self.labelled: dict[int, Lot] = {}
        other = dataclasses.replace(universe, seed=universe.seed + VALIDATION)
        own = [with_fits(draw_lot((other, k))) for k in range(LOTS)] if validation else []
        sizes = [min(64, validation - k) for k in range(0, validation, 64)]
        self.fixed = [example(mixed(own, other, k, size), other.seed + k) for k, size in enumerate(sizes)]

    def batch(self, step: int) -> Example:
        """Stamps number ``step``."""
        first = step // TIMES
        for number, lot in enumerate(self.lots.of(step), first):
            if number not in self.labelled:
                self.labelled[number] = with_fits(lot)
        self.labelled = {number: lot for number, lot in self.labelled.items() if number >= first}
        lots = [self.labelled[number] for number in range(first, first + LOTS)]
        return example(mixed(lots, self.universe, step, self.count), self.universe.seed + step)

    def loss(self, model: nn.Module, batch: Example) -> Tensor:
        """Mean over galaxies and numbers."""
        said = model(batch.seen)
        found = label_loss(said, batch.wanted, self.kind)
        return found + CHI2 * chi2_loss(said, batch) if self.kind == "mse+chi2" else found

    def scores(self, model: nn.Module) -> dict[str, float]:
        """Mean |miss| in typical errors (``score``), the same over moments', and the share inside the errors."""
        miss, before, inside = [], [], []
        for one in self.fixed:
            said = model(one.seen)
            known = torch.isfinite(one.wanted)
            apart, start = ((m - one.wanted).abs() / typical(m) for m in (said.mean, one.seen.base))
            miss.append(_column_means(apart.clamp_max(MOST), known))
            before.append(_column_means(start.clamp_max(MOST), known))
            inside.append(((said.mean - one.wanted).abs() < said.spread)[known].double())
        after, first = torch.stack(miss).nanmean(0), torch.stack(before).nanmean(0)
        return {
            "score": float(after.mean()),
            "over_moments": float(torch.log(after / first).mean().exp()),
            "one_over_moments": float(torch.log(after / first)[:7].mean().exp()),
            "inside": float(torch.cat(inside).mean()),
        }


def typical(like: Tensor) -> Tensor:
    """Typical errors (:data:`isolux.nets.starts.NUMBERS`,)."""
    return torch.tensor(TYPICAL, dtype=like.dtype, device=like.device)


def _column_means(values: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, values, 0.0).sum(0) / known.sum(0)


def with_fits(lot: Lot) -> Lot:
    """A lot whose truth has the best single Sérsic profile of every galaxy, and its flux as a further last column."""
    truth = torch.cat([lot.truth, lot.truth[:, 1:2]], 1)
    others = torch.nonzero(lot.truth[:, 0] != 0)[:, 0]
    if not len(others):
        return dataclasses.replace(lot, truth=truth)
    layer = lot.layer[others]
    sigma = torch.sqrt(1 + lot.grain * layer)
    with warnings.catch_warnings():
        # Undersampled PSFs: training stamps have them at the image's pixels, too.
        warnings.simplefilter("ignore", FitWarning)
        batch = Batch.from_arrays(layer.numpy(), sigma=sigma.numpy(), psf=lot.psf.numpy(), zero_point=0.0)
    start = {"galaxy.x": lot.labels.x[others], "galaxy.y": lot.labels.y[others]}
    scene = Scene(galaxy=Sersic(), sky=FlatSky())
    found = fit(batch, scene, start=start, solver=ENOUGH, errors="none")
    e = 1 - found["galaxy.axis_ratio"]
    angle = torch.deg2rad(2 * found["galaxy.position_angle"])
    numbers = {
        "ln_radius": torch.log(found["galaxy.effective_radius"]),
        "ln_index": torch.log(found["galaxy.sersic_index"]), "e1": e * torch.cos(angle), "e2": e * torch.sin(angle),
    }  # fmt: skip
    for name, values in numbers.items():
        truth[others, TRUTH.index(name)] = values.to(truth)
    truth[others, -1] = (-0.4 * math.log(10) * found["galaxy.magnitude"]).to(truth)
    return dataclasses.replace(lot, truth=truth)


def example(made: Mixed, seed: int) -> Example:
    """What the network is shown of stamps, and the labels in its units. Indices of some galaxies are told."""
    truth, wanted = made.truth.double(), torch.full((len(made.truth), len(NUMBERS)), torch.nan).double()
    wanted[:, 0], wanted[:, 1], wanted[:, 2] = made.labels.x, made.labels.y, truth[:, -1]
    for name, column in NAMES.items():
        wanted[:, PLACE[name]] = truth[:, TRUTH.index(column)]
    double = torch.isfinite(truth[:, TRUTH.index("bulge_share")])
    wanted[:, PLACE["ln_both"]] = torch.where(double, wanted[:, PLACE["ln_both"]], torch.nan)
    wanted[:, PLACE["logit_share"]] = torch.logit(wanted[:, PLACE["logit_share"]])
    rng = np.random.default_rng([seed, 79])
    told = torch.from_numpy(rng.uniform(size=(len(truth), 2)) < TOLD)
    given = wanted[:, [PLACE["ln_index"], PLACE["ln_bulge_index"]]]
    seen = Seen.of(made.batch, torch.where(told, given, torch.nan))
    noise = torch.log(seen.source.noise)
    for name in ("ln_flux", "ln_both"):
        wanted[:, PLACE[name]] -= noise
    good = made.present & torch.isfinite(seen.frame.width)
    wanted = torch.where(good[:, None] & torch.isfinite(seen.base), wanted, torch.nan)
    return Example(seen, wanted, made.batch, made.own)


def label_loss(said: Said, wanted: Tensor, kind: str) -> Tensor:
    """Of what is said against labels."""
    known = torch.isfinite(wanted)
    unit = typical(wanted)
    apart = torch.where(known, (said.mean - wanted) / unit, 0.0)
    spread = torch.where(known, said.spread / unit, 1.0)
    own = _square(apart if kind == "gaussian" else apart.detach())
    loss = torch.log(spread) + own / spread**2
    if kind != "gaussian":
        loss = loss + _square(apart)
    return loss.sum() / known.sum().clamp_min(1)


def _square(apart: Tensor) -> Tensor:
    """Half the square, and what is linear where it is large."""
    near = apart.clamp(-MOST, MOST)
    return 0.5 * near**2 + MOST * (apart.abs() - near.abs())


def chi2_loss(said: Said, given: Example) -> Tensor:
    """ln(1 + D / 8) of both models on some of the galaxies."""
    rows = torch.nonzero(torch.isfinite(given.wanted[:, 0]))[:DRAWN, 0]
    if not len(rows):
        return said.mean.sum() * 0
    batch = given.batch.select(rows.tolist())
    unit = torch.log(given.seen.source.noise[rows])
    mean = said.mean[rows]
    own, good = given.own[rows], (~batch.mask).float()
    double = torch.isfinite(given.wanted[rows, PLACE["ln_both"]])
    total = mean.sum() * 0
    for scene, values, some in ((ONE, _one(mean, unit), double == double), (BOTH, _both(mean, unit), double)):
        there = torch.nonzero(some)[:, 0]
        if not len(there):
            continue
        zero = dataclasses.replace(batch, zero_point=torch.zeros_like(batch.zero_point))
        model = Renderer.of(scene.components, zero).model(values[there], there)
        apart = (model - own[there]) * good[there]
        square = apart.square().sum((1, 2)) - apart.sum((1, 2)) ** 2 / good[there].sum((1, 2)).clamp_min(1)
        total = total + torch.log1p(square.clamp_min(0) / FREE).mean()
    return total


def _one(mean: Tensor, unit: Tensor) -> Tensor:
    """Values of :data:`ONE`."""
    m = dict(zip(NUMBERS, mean.unbind(1), strict=True))
    columns = {
        "galaxy.x": m["x"], "galaxy.y": m["y"], "galaxy.magnitude": _magnitude(m["ln_flux"] + unit),
        **_sersic("galaxy", m["ln_radius"], m["ln_index"], m["e1"], m["e2"]),
    }  # fmt: skip
    return _stacked(columns, ONE)


def _both(mean: Tensor, unit: Tensor) -> Tensor:
    """Values of :data:`BOTH`."""
    m = dict(zip(NUMBERS, mean.unbind(1), strict=True))
    flux, share = m["ln_both"] + unit, m["logit_share"]
    columns = {f"{part}.{axis}": m[axis] for part in ("bulge", "disc") for axis in ("x", "y")}
    columns |= {
        "bulge.magnitude": _magnitude(flux + nn.functional.logsigmoid(share)),
        "disc.magnitude": _magnitude(flux + nn.functional.logsigmoid(-share)),
        **_sersic("bulge", m["ln_bulge_radius"], m["ln_bulge_index"], m["bulge_e1"], m["bulge_e2"]),
        **_sersic("disc", m["ln_disc_radius"], m["ln_index"], m["disc_e1"], m["disc_e2"]),
    }  # fmt: skip
    columns["disc.scale_radius"] = columns["disc.effective_radius"] / HALF_LIGHT
    return _stacked(columns, BOTH)


def _sersic(part: str, radius: Tensor, index: Tensor, e1: Tensor, e2: Tensor) -> dict[str, Tensor]:
    e = torch.hypot(e1, e2 + 1e-6)
    return {
        f"{part}.effective_radius": torch.exp(radius.clamp(-3, 6)),
        f"{part}.sersic_index": torch.exp(index.clamp(math.log(0.3), math.log(8))),
        f"{part}.axis_ratio": 1 - e,
        f"{part}.position_angle": torch.rad2deg(0.5 * torch.atan2(e2 + 1e-6, e1)),
    }


def _stacked(columns: dict[str, Tensor], scene: Scene) -> Tensor:
    """Values of a scene; what is not among the columns is zero, as boxiness is."""
    zero = torch.zeros_like(next(iter(columns.values())))
    return torch.stack([columns.get(name, zero) for name in scene.columns], 1)


def _magnitude(ln_flux: Tensor) -> Tensor:
    return -2.5 / math.log(10) * ln_flux


def stretches(model: StartNet, examples: list[Example]) -> tuple[float, ...]:
    """Factors of the errors so that 68 % of held-out labels are within them (split conformal prediction)."""
    from isolux.nets.calibrate import factor

    ratios: list[list[Tensor]] = [[] for _ in SPREADS]
    with torch.inference_mode():
        for one in examples:
            said = model(one.seen)
            ratio = (said.mean - one.wanted).abs() / said.spread
            for k, name in enumerate(SPREADS):
                pair = [name, *({"x": "y"}.get(name, name[:-1] + "2" if name.endswith("e1") else name),)]
                for column in {PLACE[n] for n in pair}:
                    own = ratio[:, column]
                    ratios[k].append(own[torch.isfinite(own) & (own > 0)])
    return tuple(was * factor(torch.cat(own)) for was, own in zip(model.stretch, ratios, strict=True))
