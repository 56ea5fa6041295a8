"""How exact the references are themselves."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from exact import special, truth
from exact.cases import Case, families
from exact.psfs import Psf
from exact.store import kept

TIGHTENED, BRUTE = 8, 4
"""One in so many galaxies of each family is drawn again, with tighter parameters, and by brute force."""


def accuracy(options: argparse.Namespace) -> tuple[dict[str, float], dict[str, float]]:
    """By case: how far GalSim moves with tighter parameters, and how far brute force is from GalSim."""
    folder = options.work / "references"
    some = [case for cases in families().values() for case in cases[::TIGHTENED]]
    moved = {case.words: read(folder, "moved", case, truth.moved) for case in some}
    apart = {case.words: read(folder, "apart", case, brute_apart) for case in every_other(families())}
    return moved, apart


def read(folder: Path, kind: str, case: Case, measure: Callable[[Case], float]) -> float:
    what = (case.galaxy, case.psf, case.size)
    return float(kept(folder, kind, what, lambda: {"value": np.array(measure(case))})["value"])


def every_other(found: dict[str, list[Case]]) -> Sequence[Case]:
    """Sérsic galaxies on stamps that brute force draws in seconds."""
    cases = [case for cases in found.values() for case in cases]
    quick = [c for c in cases if c.size <= 64 and c.galaxy.kind == "sersic" and c.galaxy.q > 0.08]
    return [c for c in quick if is_simple(c.psf)][::BRUTE]


def is_simple(psf: Psf) -> bool:
    """Whether brute force knows the response in closed form."""
    return all(part.q == 1 and not part.moffat for part in psf.parts)


def brute_apart(case: Case) -> float:
    """Largest difference of brute force from GalSim, over the maximum."""
    drawn, true = special.brute_sersic(case), truth.truth(case)
    return float(np.abs(drawn - true).max() / true.max())
