"""Other codes draw the same galaxies: each in an environment of its own, with both kinds of PSF."""

import argparse
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from run import ONE_THREAD, PEERS, install, pin, python_of

from exact import ours, score
from exact.cases import Case, compared
from exact.score import Outcome

CODES = Path(__file__).resolve().parents[1] / "codes"
DRAWN = PEERS | {"pysersic": ("pysersic==0.1.5",)}
"""Codes that can draw an image, and what to install for them."""


@dataclass(frozen=True)
class Row:
    """A code with its options, and the PSF that it is given."""

    title: str
    code: str
    psf: str
    options: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return "_".join([self.code, self.psf, *(o for o in self.options if not o.startswith("--"))]) + ".npz"


ROWS = tuple(
    Row(title, code, psf, options)
    for psf in ("effective", "points")
    for title, code, options in (
        ("**Isolux**", "isolux", ()),
        ("pyimfit", "pyimfit", ()),
        ("petrofit", "petrofit", ()),
        ("AstroPhot", "astrophot", ()),
        ("galmoss", "galmoss", ()),
        ("pysersic, hybrid", "pysersic", ("--renderer", "hybrid")),
        ("pysersic, pixels", "pysersic", ("--renderer", "pixel")),
    )
)
GIVEN = {"effective": "image of a star", "points": "at points, without the pixel"}


@dataclass(frozen=True)
class Answers:
    """What a code drew: its errors by set of galaxies, its images by name, versions."""

    row: Row
    errors: dict[str, list[Outcome]]
    images: dict[str, np.ndarray]
    versions: tuple[str, ...]


def compare(options: argparse.Namespace) -> list[Answers]:
    """All codes that are asked for; those that fail leave a log and are left out."""
    sets, folder = compared(), options.work / "drawn"
    folder.mkdir(parents=True, exist_ok=True)
    cases = [case for some in sets.values() for case in some]
    references = {case.name: score.reference(case, options.work / "references") for case in cases}
    path = folder / "set.npz"
    write(path, cases)
    found = []
    for row in ROWS:
        if row.code != "isolux" and row.code not in options.codes:
            continue
        images, versions = by_isolux(row, cases) if row.code == "isolux" else by_peer(row, path, options)
        if images:
            errors = {
                name: [score.compare(case, images[case.name], references[case.name]) for case in some]
                for name, some in sets.items()
            }
            found.append(Answers(row, errors, images, versions))
    return found


def write(path: Path, cases: Sequence[Case]) -> None:
    """What the drivers read."""
    psfs = {}
    for case in cases:
        psfs[f"effective-{case.name}"] = case.psf.image()
        psfs[f"points-{case.name}"] = replace(case.psf, includes_pixel=False).image()
    galaxies = [(g.x, g.y, g.radius, g.index, g.q, g.angle) for g in (case.galaxy for case in cases)]
    np.savez(path, names=[c.name for c in cases], galaxies=galaxies, sizes=[c.size for c in cases], **psfs)


def by_isolux(row: Row, cases: Sequence[Case]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Isolux's images, in its usual single precision."""
    images = {}
    for case in cases:
        psf = replace(case.psf, includes_pixel=row.psf == "effective")
        images[case.name] = ours.image(replace(case, psf=psf), torch.float32)
    return images, (f"torch {torch.__version__}",)


def by_peer(
    row: Row, path: Path, options: argparse.Namespace
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Run a code on the set, unless its answers are there and may be used again."""
    out = path.parent / row.file
    if not (options.reuse and out.exists()):
        out.unlink(missing_ok=True)
        install(row.code, options.venvs, DRAWN)
        script = CODES / f"{row.code}_draw.py"
        command = [*pin(options), python_of(options.venvs / row.code), script, "--set", path]
        command += ["--out", out, "--psf", row.psf, *row.options]
        print(f"{row.title}, {GIVEN[row.psf]}", flush=True)
        log = out.with_suffix(".log")
        with log.open("w") as stream:
            environment = os.environ | ONE_THREAD
            subprocess.run(command, stdout=stream, stderr=stream, env=environment, cwd=path.parent)
        if not out.exists():
            print(f"  failed: see {log}", flush=True)
            return {}, ()
    with np.load(out) as f:
        return {name: f[name] for name in f.files if name != "versions"}, tuple(f["versions"].tolist())
