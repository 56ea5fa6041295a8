"""The figure of docs/isophotes.md: a barred spiral with its isophotes, and three codes against the truth.

    python benchmarks/isophotes_figure.py --folder work/ [--autoprof PYTHON] [--out docs/figures/isophotes.png]

The folder is that of isophotes.py: what is in it is not done again.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from isophotes_codes import Profile, Stamp
from isophotes_mocks import SCALE, ZERO_POINT, Mock, mocks
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from isolux.report.style import BLACK, BLUE, ORANGE, VERMILLION, house_style
from isophotes import CODES, SEED, magnitudes, measured

SHOWN = 4
"""Number of the mock that is drawn: a barred spiral."""
COLOURS = dict(zip(CODES, (ORANGE, BLUE, VERMILLION), strict=True))
BINS = np.arange(18.0, 28.6, 0.5)
FEWEST = 20
"""Galaxies in a bin."""


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("isophotes-work"))
    parser.add_argument("--autoprof", help="python of an environment that has AutoProf")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("docs/figures/isophotes.png"))
    options = parser.parse_args()
    made = mocks(options.count, SEED, options.folder / "mocks")
    stamps = [
        Stamp(f"mock-{SEED}-{k:03d}", m.image, m.sigma, m.mask, SCALE, ZERO_POINT, float(m.psf_fwhm))
        for k, m in enumerate(made)
    ]
    found = measured(stamps, options.folder, options.autoprof)
    with house_style():
        figure = Figure(figsize=(9.2, 3.1), dpi=130, layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1.25, 1.5))
        draw_galaxy(left, made[SHOWN], found["isolux"][SHOWN])
        draw_profiles(middle, made[SHOWN], {code: profiles[SHOWN] for code, profiles in found.items()})
        draw_deviations(right, made, found)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(options.out, dpi=130)
    print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


def draw_galaxy(axes: Axes, mock: Mock, profile: Profile) -> None:
    """The image, and isophotes 15 % apart."""
    sky = float(np.median(mock.sigma))
    axes.imshow(np.arcsinh(mock.image / (2 * sky)), origin="lower", cmap="magma", interpolation="nearest")
    wanted = 4 * 1.45 ** np.arange(12)
    for a in wanted[wanted < profile.sma[-1]]:
        k = int(np.abs(profile.sma - a).argmin())
        size = 2 * profile.sma[k], 2 * profile.sma[k] * (1 - profile.ellipticity[k])
        style = {"fc": "none", "ec": "white", "lw": 0.7}
        axes.add_patch(
            Ellipse((profile.x, profile.y), size[1], size[0], angle=profile.position_angle[k], **style)
        )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title("mock barred spiral", fontsize=8)


def draw_profiles(axes: Axes, mock: Mock, profiles: dict[str, Profile]) -> None:
    """Brightness over radius, each code's and the truth."""
    for code, profile in profiles.items():
        good = profile.intensity > 0
        line = {"color": COLOURS[code], "lw": 0, "marker": "o", "ms": 2.2, "mew": 0}
        level = profile.intensity[good]
        axes.plot(profile.sma[good] * SCALE, magnitudes(level), label=code, **line)
        if code == CODES[0]:
            error = profile.error[good]
            low, high = magnitudes(level - error), magnitudes(level + error)
            style = {"color": COLOURS[code], "alpha": 0.25, "lw": 0}
            axes.fill_between(profile.sma[good] * SCALE, low, high, **style)
    axes.plot(mock.sma * SCALE, magnitudes(mock.brightness), color=BLACK, lw=0.9, label="truth")
    axes.set_ylim(29.2, float(magnitudes(mock.brightness).min()) - 0.5)
    axes.set_xlim(-0.5, 1.05 * float(profiles[CODES[0]].sma[-1]) * SCALE)
    axes.set_xlabel("semi-major axis [arcsec]")
    axes.set_ylabel(r"$\mu$ [mag arcsec$^{-2}$]")
    axes.legend(fontsize=7, markerscale=1.6)


def draw_deviations(axes: Axes, made: list[Mock], found: dict[str, list[Profile]]) -> None:
    """Median and 68 % of the deviations over the true brightness."""
    middle = 0.5 * (BINS[1:] + BINS[:-1])
    for code, profiles in found.items():
        pairs = [deviations(m, p) for m, p in zip(made, profiles, strict=True) if len(p.sma)]
        truth, off = (np.concatenate(part) for part in zip(*pairs, strict=True))
        number = np.digitize(truth, BINS) - 1
        rows = [np.percentile(off[number == k], (15.865, 50, 84.135)) if (number == k).sum() > FEWEST else [np.nan] * 3
                for k in range(len(middle))]  # fmt: skip
        low, central, high = np.array(rows).T
        axes.fill_between(middle, low, high, color=COLOURS[code], alpha=0.18, lw=0)
        axes.plot(middle, central, color=COLOURS[code], lw=1.4, label=code)
    axes.axhline(0, color=BLACK, lw=0.6)
    axes.set_ylim(0.62, -0.62)
    axes.set_xlim(middle[0], middle[-1])
    axes.set_xlabel(r"true $\mu$ [mag arcsec$^{-2}$]")
    axes.set_ylabel("found − true [mag]")
    axes.set_title(f"{len(made)} mocks: median and 68 %", fontsize=8)
    axes.legend(fontsize=7, loc="lower left")


def deviations(mock: Mock, profile: Profile) -> tuple[np.ndarray, np.ndarray]:
    """True brightness at the truth's radii, and what a profile differs from it there."""
    good = np.isfinite(profile.intensity)
    sma, level = profile.sma[good], magnitudes(profile.intensity[good])
    chosen = (mock.sma >= 0.8) & (mock.sma <= sma[-1]) & (mock.sma >= sma[0])
    radius, truth = mock.sma[chosen], magnitudes(mock.brightness[chosen])
    return truth, np.interp(np.log(radius), np.log(np.maximum(sma, 0.2)), level) - truth


if __name__ == "__main__":
    main()
