"""Isophotes against photutils and AutoProf, on mocks with a known truth and on real galaxies.

    python benchmarks/isophotes.py --autoprof /path/to/its/python --folder work/ [--count 200] [--real]

AutoProf needs an environment of its own (`pip install autoprof==1.3`); without --autoprof it is left out. What is in
the folder is not done again: the run can be ended and resumed. Prints a table for benchmarks/RESULTS.md. With --real it
runs on the images that ISOLUX_REAL_DATA names (isophotes_real.py), whose truth nobody knows.
"""

import argparse
import dataclasses
import datetime
import os
import pickle
import sys
import tempfile
from pathlib import Path

import isophotes_codes as codes
import numpy as np
from about import commit, processor
from isophotes_mocks import SCALE, ZERO_POINT, Mock, mocks

SEED, BRIGHT = 1, 26.5
CODES = ("isolux", "photutils", "AutoProf")
FAILED = 0.2
"""A profile has failed if it is not there, or its median |deviation| above 24.5 mag/arcsec^2 is larger than this."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--autoprof", help="python of an environment that has AutoProf")
    parser.add_argument("--folder", type=Path, default=Path("isophotes-work"), help="for what has been done")
    parser.add_argument("--count", type=int, default=200, help="mocks")
    parser.add_argument("--done", action="store_true", help="only mocks that all codes have done already")
    parser.add_argument("--real", action="store_true", help="real galaxies instead")
    parser.add_argument("--rates", type=int, help="only rates: so many mocks by the slow codes, nothing kept")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if options.real:
        real(options.folder, options.autoprof)
        return
    made = mocks(options.count, SEED, options.folder / "mocks")
    stamps = [
        codes.Stamp(f"mock-{SEED}-{k:03d}", m.image, m.sigma, m.mask, SCALE, ZERO_POINT, float(m.psf_fwhm))
        for k, m in enumerate(made)
    ]
    if options.done:
        there = [is_done(s, options.folder, bool(options.autoprof)) for s in stamps]
        made, stamps = ([x for x, good in zip(some, there, strict=True) if good] for some in (made, stamps))
    if options.rates:
        rates(stamps, options.rates, options.autoprof)
        return
    found = measured(stamps, options.folder, options.autoprof)
    print_head("isophotes.py")
    print(f"{len(made)} mocks.\n")
    print_mocks(made, found)


def is_done(stamp: codes.Stamp, folder: Path, autoprof: bool) -> bool:
    """Whether the slow codes have done a stamp."""
    paths = [folder / "photutils" / f"{stamp.name}.pickle"]
    paths += [folder / "autoprof" / f"{stamp.name}.result.json"] if autoprof else []
    return all(path.exists() for path in paths)


def measured(stamps: list, folder: Path, autoprof: str | None) -> dict[str, list]:
    """Profiles by code, each stamp's in a file of its own for the slow codes."""
    sizes = {s.image.shape for s in stamps}
    fast: dict[str, codes.Profile] = {}
    for size in sizes:
        some = [s for s in stamps if s.image.shape == size]
        fast |= dict(zip([s.name for s in some], codes.isolux(some), strict=True))
    found = {"isolux": [fast[s.name] for s in stamps]}
    found["photutils"] = [kept(folder / "photutils" / f"{s.name}.pickle", s) for s in stamps]
    if autoprof:
        theirs = codes.autoprof(stamps, autoprof, folder / "autoprof")
        found["AutoProf"] = [theirs[s.name] for s in stamps]
    return found


def kept(path: Path, stamp: codes.Stamp) -> codes.Profile:
    """What photutils made of a stamp, from its file where it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = codes.photutils(stamp)
        path.with_suffix(".part").write_bytes(pickle.dumps(dataclasses.asdict(made)))
        path.with_suffix(".part").rename(path)
    return codes.Profile(**pickle.loads(path.read_bytes()))


def magnitudes(flux: np.ndarray) -> np.ndarray:
    """Surface brightness of fluxes a pixel; that of a millionth where they are not positive."""
    return ZERO_POINT - 2.5 * np.log10(np.maximum(flux, 1e-6) / SCALE**2)


@dataclasses.dataclass
class Score:
    """How one profile compares with the truth, at its radii: brightness of the truth, deviations, pulls."""

    truth: np.ndarray
    deviation: np.ndarray
    pull: np.ndarray
    own: np.ndarray


def score(mock: Mock, profile: codes.Profile) -> Score:
    """Deviations from the truth and from the mock's light along the code's own ellipses, at the truth's radii.

    All codes are compared at the same radii, 8 % apart from 0.8 pixels on, straight between their own in brightness
    over the logarithm of the radius; as far as their profile goes.
    """
    good = np.isfinite(profile.intensity)
    sma, level, error = (v[good] for v in (profile.sma, profile.intensity, profile.error))
    chosen = (mock.sma >= 0.8) & (mock.sma <= sma[-1]) & (mock.sma >= sma[0])
    radius, truth = mock.sma[chosen], magnitudes(mock.brightness[chosen])
    shape = profile.ellipticity[good], profile.position_angle[good]
    along = mock.mean_along(profile.x, profile.y, sma, *shape)

    def there(values: np.ndarray) -> np.ndarray:
        return np.interp(np.log(radius), np.log(np.maximum(sma, 0.2)), values)

    flux, found = mock.brightness[chosen], there(magnitudes(level))
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = (there(level) - flux) / there(error)
    return Score(truth, found - truth, pull, there(magnitudes(level) - magnitudes(along)))


def print_head(name: str) -> None:
    words = " ".join([name, *sys.argv[1:]])
    print(
        f"`python benchmarks/{words}`, {datetime.date.today()}, commit {commit()}, {processor()}, one core.\n"
    )


def print_mocks(made: list[Mock], found: dict[str, list]) -> None:
    """Accuracy, failures, pulls and rates."""
    print("| code | kind | median abs. deviation < 26.5 | the same >= 26.5 | bias < 26.5 | own ellipses < 26.5 | "
          "pull width | failures | radii < 26.5 |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    kinds = ("all", "sersic", "bulge+disc", "barred spiral", "crowded")
    for code, profiles in found.items():
        scores = [score(m, p) if len(p.sma) else None for m, p in zip(made, profiles, strict=True)]
        for kind in kinds:
            chosen = [
                s
                for s, m in zip(scores, made, strict=True)
                if kind in ("all", str(m.kind)) or (kind == "crowded" and bool(m.crowded))
            ]
            share = sum(
                reach(m) for m in made if kind in ("all", str(m.kind)) or (kind == "crowded" and m.crowded)
            )
            print(f"| {code} | {kind} | {row(chosen, share)} |")
    print_times(found)


def print_times(found: dict[str, list]) -> None:
    """A row a code."""
    print("\n| code | CPU seconds a galaxy (median) | galaxies a second | times isolux |")
    print("|---|---|---|---|")
    times = {code: float(np.median([p.seconds for p in profiles])) for code, profiles in found.items()}
    for code, seconds in times.items():
        print(f"| {code} | {seconds:.3g} | {1 / seconds:.3g} | {seconds / times['isolux']:.3g} |")


def rates(stamps: list, count: int, autoprof: str | None) -> None:
    """All stamps by isolux in one batch, every so many by the others, in one run."""
    some = stamps[:: max(1, len(stamps) // count)][:count]
    found = {"isolux": codes.isolux(stamps), "photutils": [codes.photutils(s) for s in some]}
    if autoprof:
        with tempfile.TemporaryDirectory() as work:
            found["AutoProf"] = list(codes.autoprof(some, autoprof, Path(work)).values())
    print_head("isophotes.py")
    print(f"{len(stamps)} mocks by isolux, {len(some)} by the others.")
    print_times(found)


def reach(mock: Mock) -> int:
    """How many radii of a mock are brighter than the limit."""
    return int(((mock.sma >= 0.8) & (magnitudes(mock.brightness) < BRIGHT)).sum())


def row(scores: list, wanted: int) -> str:
    """Cells of a code's galaxies: medians over galaxies of each galaxy's median, so that none counts twice."""
    there = [s for s in scores if s is not None]

    def each(values, bright: bool):
        parts = [(getattr(s, values), s.truth) for s in there]
        chosen = [v[(t < BRIGHT) if bright else (t >= BRIGHT)] for v, t in parts]
        return [c for c in chosen if len(c)]

    def middle(values, bright):
        found = [np.median(np.abs(c)) for c in each(values, bright)]
        return f"{np.median(found):.4f}" if found else "-"

    bad = len(scores) - len(there)
    for s in there:
        core = np.abs(s.deviation[s.truth < 24.5])
        bad += int(not len(core) or np.median(core) > FAILED)
    pulls = np.concatenate(each("pull", True)) if there else np.zeros(0)
    pulls = pulls[np.isfinite(pulls)]
    low, high = np.percentile(pulls, (15.865, 84.135)) if len(pulls) else (np.nan, np.nan)
    bias = np.median([np.median(c) for c in each("deviation", True)]) if there else np.nan
    bright = sum(len(c) for c in each("deviation", True))
    return " | ".join(
        [
            middle("deviation", True),
            middle("deviation", False),
            f"{bias:+.4f}",
            middle("own", True),
            f"{(high - low) / 2:.2f}",
            f"{bad} of {len(scores)}",
            f"{bright / max(wanted, 1):.0%}",
        ]
    )


def real(folder: Path, autoprof: str | None) -> None:
    """Real galaxies: no truth, but how the codes agree with each other, and how many fail."""
    import isophotes_real as them

    print_head("isophotes.py")
    stamps = them.galaxies()
    print(f"{len(stamps)} images.\n")
    them.print_real(stamps, measured(stamps, folder / "real", autoprof))
    stamps = them.cosmos()
    print(f"\n{len(stamps)} galaxies of COSMOS.\n")
    them.print_real(stamps, measured(stamps, folder / "cosmos", None), each=False)


if __name__ == "__main__":
    main()
