"""What starting values are worth to the fit: learned ones, those of moments, and a truth that was thrown off.

    python benchmarks/starts.py WEIGHTS.safetensors... [--count 150] [--sets drawn] [--seed 7] [--json FILE]

Galaxies are fitted with a free sky, without errors, by Levenberg-Marquardt as it comes: one Sérsic profile, or a Sérsic
bulge with an exponential disc about one centre. Sets: `drawn` as in the training, from another seed, neighbours masked;
`shifted`, the same from two surveys that the weights have not seen, in stamps of 192 pixels; `GalSim`, the galaxies of
sets.py. A start is the truth (`truth`), or the truth thrown off as in sets.py (`thrown off`): radii by 0.15 dex, axis
ratios by 0.1, angles by 15 degrees, magnitudes by 0.2, centres by half a pixel, single indices 2. A missed minimum has
chi-square above the best of all starts by more than 1 + 1e-3. CPU times hold starting values and fit.
"""

import argparse
import dataclasses
import json
import math
import time
import warnings
from pathlib import Path

import numpy as np
import sets
import torch
from about import commit, processor

import isolux
from isolux import Exponential, FlatSky, Scene, Sersic, Tied
from isolux.io.weights import read_weights
from isolux.nets.profile_data import LOTS, mixed
from isolux.nets.profile_draw import TRUTH, Universe, draw_lot
from isolux.nets.start_use import learned_starts, start_network
from isolux.profiles.exponential import HALF_LIGHT
from isolux.start import Starts

ONE = Scene(galaxy=Sersic(), sky=FlatSky())
TWO = Scene(bulge=Sersic(), disc=Exponential(x=Tied("bulge.x"), y=Tied("bulge.y")), sky=FlatSky())
MATTERS = 0.3
"""Others' light over the noise of a pixel that is masked."""
Table = dict[str, np.ndarray]


@dataclasses.dataclass
class Set:
    """Galaxies, the scene that they are fitted with, and starts by name."""

    name: str
    batch: isolux.Batch
    scene: Scene
    starts: dict[str, Table]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path, nargs="+", help="of isolux train starts, one or several")
    parser.add_argument("--sets", default="drawn,shifted,galsim", help="which of them, with commas")
    parser.add_argument("--count", type=int, default=150, help="galaxies of each kind and set")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    networks = {}
    for path in options.weights:
        tensors, card = read_weights(path)
        name = "learned" if len(options.weights) == 1 else f"learned ({path.stem})"
        networks[name] = (start_network(tensors, card), card)
    rows = []
    for one in all_sets(options.sets.split(","), options.count, options.seed):
        rows += compare(one, networks)
    heads = list(rows[0])
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(str(row[name]) for name in heads) + " |")
    print(f"commit {commit()}, {processor()}, {time.strftime('%Y-%m-%d')}")
    if options.json:
        about = {"commit": commit(), "machine": processor(), "date": time.strftime("%Y-%m-%d")}
        options.json.write_text(json.dumps({**about, "count": options.count, "rows": rows}, indent=1) + "\n")


def all_sets(names: list[str], count: int, seed: int):
    """The sets, one after the other."""
    if "drawn" in names:
        yield from drawn("drawn", Universe(size=128, seed=1000 + seed), count)
    if "shifted" in names:
        yield from drawn("shifted", Universe(("lsst", "hst"), 192, 2000 + seed), count)
    if "galsim" in names:
        yield from by_galsim(count, seed)


def drawn(name: str, universe: Universe, count: int):
    """Sets of the training's kind."""
    lots = [draw_lot((universe, k)) for k in range(LOTS + 2)]
    parts, wanted = [], 8 * count
    for k in range(0, wanted, 64):
        parts.append(mixed(lots, universe, k, 64))
    for kind, scene in ((0, ONE), (1, TWO), (2, ONE), (2, TWO)):
        batches, truths = [], []
        for part in parts:
            good = (part.truth[:, 0] == kind) & (part.batch.psf.flatten(1).amax(1) < 0.99)
            rows = torch.nonzero(good)[:, 0].tolist()
            batch = part.batch.select(rows)
            bad = batch.mask | (part.others[rows] > MATTERS)
            batches.append(dataclasses.replace(batch, mask=bad, image=torch.where(bad, 0.0, batch.image)))
            place = torch.stack([part.labels.x, part.labels.y], 1)
            truths.append(torch.cat([part.truth, place], 1)[rows])
        batch, truth = joined(batches).select(list(range(count))), torch.cat(truths)[:count].double()
        label = f"{name}, {['Sérsic', 'bulge and disc', 'realistic'][kind]}"
        starts = {"truth": table_of(truth, batch, scene)} if kind < 2 else {}
        yield Set(
            label,
            batch,
            scene,
            starts | {n + " thrown off": thrown(t, universe.seed) for n, t in starts.items()},
        )


def joined(batches: list[isolux.Batch]) -> isolux.Batch:
    """One batch of many."""
    fields = {f.name: [getattr(b, f.name) for b in batches] for f in dataclasses.fields(isolux.Batch)}
    made = {}
    for name, values in fields.items():
        first = values[0]
        if isinstance(first, torch.Tensor):
            made[name] = torch.cat(values)
        elif isinstance(first, tuple):
            made[name] = tuple(one for value in values for one in value)
        else:
            made[name] = first
    return isolux.Batch(**made)


def table_of(truth: torch.Tensor, batch: isolux.Batch, scene: Scene) -> Table:
    """The truth as a table of starting values."""
    t = dict(zip((*TRUTH, "x", "y"), truth.T, strict=True))

    def magnitude(flux):
        return batch.zero_point - 2.5 / math.log(10) * flux

    def shape(part, e1, e2):
        return {
            f"{part}.axis_ratio": 1 - torch.hypot(e1, e2),
            f"{part}.position_angle": torch.rad2deg(torch.atan2(e2, e1) / 2),
        }

    if scene is ONE:
        found = {
            "galaxy.magnitude": magnitude(t["ln_flux"]), "galaxy.effective_radius": t["ln_radius"].exp(),
            "galaxy.sersic_index": t["ln_index"].exp(), **shape("galaxy", t["e1"], t["e2"]),
        }  # fmt: skip
    else:
        share = t["bulge_share"]
        found = {
            "bulge.magnitude": magnitude(t["ln_flux"] + share.log()),
            "disc.magnitude": magnitude(t["ln_flux"] + (1 - share).log()),
            "bulge.effective_radius": t["ln_bulge_radius"].exp(), "bulge.sersic_index": t["ln_bulge_index"].exp(),
            "disc.scale_radius": t["ln_disc_radius"].exp() / HALF_LIGHT,
            **shape("bulge", t["bulge_e1"], t["bulge_e2"]), **shape("disc", t["disc_e1"], t["disc_e2"]),
        }  # fmt: skip
    first = next(iter(scene.components))
    found |= {f"{first}.{axis}": t[axis] for axis in ("x", "y")}
    return {name: values.numpy() for name, values in found.items()}


def thrown(table: Table, seed: int) -> Table:
    """Thrown off as the starting values of sets.py are."""
    rng = np.random.default_rng(seed)
    moved = {}
    for name, values in table.items():
        short, noise = name.split(".")[1], rng.standard_normal(len(values))
        if short in ("x", "y"):
            moved[name] = values + 0.5 * noise
        elif short == "magnitude":
            moved[name] = values + np.clip(0.2 * noise, -0.5, 0.5)
        elif short == "axis_ratio":
            moved[name] = np.clip(values + 0.1 * noise, 0.15, 0.95)
        elif short == "position_angle":
            moved[name] = values + 15 * noise
        elif short == "sersic_index":
            moved[name] = np.full_like(values, 2.0 if name.startswith("galaxy") else 2.5)
        else:
            moved[name] = values * 10 ** (0.15 * noise)
    return moved


def by_galsim(count: int, seed: int):
    """Sets of sets.py."""
    for kind, scene, label in (("single", ONE, "Sérsic"), ("double", TWO, "bulge (n = 4) and disc")):
        rng = np.random.default_rng([seed, 5])
        rows = [sets.draw(kind, rng) for _ in range(count)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", isolux.errors.FitWarning)
            batch = isolux.Batch.from_arrays(
                np.array([r["image"] for r in rows]), sigma=np.array([r["sigma"] for r in rows]),
                psf=np.array([r["psf_eff"] for r in rows]), zero_point=sets.ZERO_POINT, pixel_scale=sets.PIXEL_SCALE,
            )  # fmt: skip
        names = (
            "galaxy.x", "galaxy.y", "galaxy.magnitude", "galaxy.effective_radius", "galaxy.sersic_index",
            "galaxy.axis_ratio", "galaxy.position_angle",
        ) if kind == "single" else (
            "bulge.x", "bulge.y", "bulge.magnitude", "bulge.effective_radius", "bulge.axis_ratio",
            "bulge.position_angle", "disc.magnitude", "disc.scale_radius", "disc.axis_ratio", "disc.position_angle",
        )  # fmt: skip
        stored = sets.as_stored(np.array([r["truth"] for r in rows]), sets.NAMES[kind])
        table = dict(zip(names, stored.T, strict=True))
        if kind == "double":
            table["disc.scale_radius"] = table["disc.scale_radius"] / HALF_LIGHT
            table["bulge.sersic_index"] = np.full(count, 4.0)
        table = {n: np.clip(v, None, 7.9) if n.endswith("index") else v for n, v in table.items()}
        yield Set(f"GalSim, {label}", batch, scene, {"truth": table, "truth thrown off": thrown(table, seed)})


def compare(one: Set, networks: dict) -> list[dict]:
    """A row a start."""
    makers = {
        "moments": lambda: Starts.by_moments(one.scene, one.batch),
        **{
            name: (lambda own=own: learned_starts(one.batch, one.scene, *own))
            for name, own in networks.items()
        },
        **{name: (lambda t=t: Starts.by_moments(one.scene, one.batch, t)) for name, t in one.starts.items()},
    }
    fits, rows = {}, []
    for name, make in makers.items():
        clock = time.process_time()
        start = make()
        before = time.process_time()
        fits[name] = (start, isolux.fit(one.batch, one.scene, start=start, errors="none"))
        after = time.process_time()
        fits[name] += ((before - clock) / len(one.batch), (after - clock) / len(one.batch))
    best = torch.stack([torch.nan_to_num(f[1].chi2, nan=torch.inf) for f in fits.values()]).amin(0)
    for name, (start, found, own, both) in fits.items():
        steps = found.steps.double()
        used = "" if start.learned is None else f"{100 * float(start.learned.double().mean()):.0f} %"
        rows.append({
            "galaxies": f"{one.name} ({len(one.batch)})",
            "model": "one" if one.scene is ONE else "two", "start": name, "steps": f"{float(steps.mean()):.2f}",
            "median": f"{float(steps.median()):.0f}", "90 %": f"{float(steps.quantile(0.9)):.0f}",
            "not converged": int((~found.converged).sum()),
            "missed": int((torch.nan_to_num(found.chi2, nan=torch.inf) > best + 1.001).sum()),
            "start ms": f"{1e3 * own:.1f}", "all ms": f"{1e3 * both:.1f}", "network used": used,
        })  # fmt: skip
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
