"""How long a large field takes, where the time goes, and how much memory is held."""

import argparse
from pathlib import Path

from field_mocks import kept
from field_runs import isolux, sextractor
from tables import markdown

SIDE, GALAXIES = 4096, 2000
TEXT = """
## Speed on a field

{side} x {side} pixels, Euclid-VIS-like, {galaxies} galaxies to 25 mag and {stars} stars, PSF from the field's stars.
Isolux with all its models, on {cores} cores; SExtractor (one Sérsic model, PSF from PSFEx) on one.
Isolux at commit {version}.
"""


def speed(work: Path, options: argparse.Namespace) -> str:
    """Measure a field in the usual way."""
    side = round(SIDE * options.scale)
    galaxies = round(GALAXIES * options.scale**2)
    mock = kept(
        work / "large",
        "euclid",
        seed=options.seed,
        reuse=options.reuse,
        galsim=False,
        size=side,
        galaxies=galaxies,
        faint=25.0,
        morphology="mixed",
    )
    models = ["point", "exponential", "sersic", "bulge+disc", "sersic+point"]
    reuse = options.reuse and "isolux" not in options.again
    found = isolux(mock, models, "stars", options.cores, reuse, "Isolux")
    other = sextractor(mock, "sersic", "stars", options.reuse, "SExtractor")
    lines = [
        [f.title, str(len(f)), f"{f.cost.wall:.0f}", f"{f.cost.cpu:.0f}", f"{f.cost.memory:.0f}"]
        for f in (found, other)
    ]
    header = ["code", "sources", "wall s", "CPU s", "peak memory with children, MB"]
    steps = [[name, f"{seconds:.1f}"] for name, seconds in found.seconds.items()]
    steps.append(["start, reading and writing", f"{found.cost.wall - sum(found.seconds.values()):.1f}"])
    stars = int((~mock.galaxies).sum())
    about = {"galaxies": galaxies, "stars": stars, "cores": options.cores, "version": found.cost.version}
    text = TEXT.format(side=side, **about)
    return "\n\n".join(
        [text, markdown(header, lines), "Where Isolux's time goes:", markdown(["step", "wall s"], steps)]
    )
