"""Isolux beside imfit on IC 3478: the four fits whose results imfit's tutorial prints.

    ISOLUX_REAL_DATA=/the/folder python benchmarks/imfit_ic3478.py

Prints the table of docs/real-galaxies.md. Positions count from 1, as imfit's do. The noise is imfit's: from the data,
without the floor at the sky's own noise that Isolux has.
"""

import dataclasses
import os
import sys
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits

import isolux
from isolux import Batch, Exponential, Result, Scene, Sersic

SKY, GAIN, READ_NOISE = 130.14, 4.725, 4.3


@dataclasses.dataclass(frozen=True)
class Published:
    """A fit of the tutorial (github.com/perwin/imfit, docs/imfit_tutorial.md, version 1.8): value and error."""

    name: str
    masked: bool
    convolved: bool
    aic: float
    values: dict[str, tuple[float, float]]


PUBLISHED = (
    Published(
        "exponential",
        False,
        False,
        136482.40,
        {
            "x": (128.8540, 0.0239),
            "y": (129.1028, 0.0293),
            "position_angle": (19.7266, 0.2172),
            "axis_ratio": (1 - 0.23152, 0.00155),
            "intensity": (316.313, 0.6196),
            "scale_radius": (20.522, 0.0347),
        },
    ),
    Published(
        "exponential, mask",
        True,
        False,
        124602.44,
        {
            "x": (128.8793, 0.0237),
            "y": (129.0589, 0.0289),
            "position_angle": (18.7492, 0.2309),
            "axis_ratio": (1 - 0.220646, 0.00159),
            "intensity": (321.631, 0.6342),
            "scale_radius": (20.0684, 0.0346),
        },
    ),
    Published(
        "Sérsic, mask",
        True,
        False,
        66946.39,
        {
            "x": (128.9321, 0.0130),
            "y": (129.0983, 0.0155),
            "position_angle": (19.0449, 0.2476),
            "axis_ratio": (1 - 0.221656, 0.00172),
            "intensity": (22.1351, 0.1636),
            "effective_radius": (56.2217, 0.2566),
            "sersic_index": (2.3108, 0.00819),
        },
    ),
    Published(
        "Sérsic, mask, PSF",
        True,
        True,
        68137.91,
        {
            "x": (128.9174, 0.0147),
            "y": (129.0800, 0.0176),
            "position_angle": (19.0576, 0.2472),
            "axis_ratio": (1 - 0.227617, 0.00176),
            "intensity": (19.9097, 0.1695),
            "effective_radius": (59.5241, 0.3095),
            "sersic_index": (2.48051, 0.00984),
        },
    ),
)


def fit(folder: Path, published: Published, includes_pixel: bool = False) -> Result:
    """The same fit by Isolux; imfit averages models over pixels, and then convolves them."""

    def pixels(name: str) -> np.ndarray:
        return fits.getdata(folder / "imfit" / name).astype(float)

    image = pixels("ic3478rss_256.fits")
    batch = Batch.from_arrays(
        image,
        variance=(image + SKY) / GAIN + (READ_NOISE / GAIN) ** 2,
        mask=pixels("ic3478rss_256_mask.fits.gz") if published.masked else None,
        psf=pixels("psf_moffat_51.fits") if published.convolved else None,
        psf_includes_pixel=includes_pixel,
        dtype=torch.float64,
    )
    profile = Sersic if "sersic_index" in published.values else Exponential
    return isolux.fit(batch, Scene(galaxy=profile(intensity=20.0)))


def found(result: Result, name: str) -> tuple[float, float]:
    """Value and error of a parameter, positions from 1."""
    value, error = result[f"galaxy.{name}"], result.error(f"galaxy.{name}")
    return float(value[0]) + (name in ("x", "y")), float(error[0])


def main() -> None:
    folder = os.environ.get("ISOLUX_REAL_DATA")
    if not folder:
        sys.exit("ISOLUX_REAL_DATA names the folder of the images")
    print("| fit | parameter | imfit | Isolux | difference / error |\n|---|---|---|---|---|")
    for published in PUBLISHED:
        result = fit(Path(folder), published)
        for name, (value, error) in published.values.items():
            own, own_error = found(result, name)
            cells = (
                f"{value:.4f} ± {error:.4f}",
                f"{own:.4f} ± {own_error:.4f}",
                f"{(own - value) / error:+.2f}",
            )
            print(f"| {published.name} | {name} | {' | '.join(cells)} |")
        print(f"| {published.name} | AIC | {published.aic:.1f} | {float(result.aic[0]):.1f} | |")
        if published.convolved:
            once = fit(Path(folder), published, includes_pixel=True)
            print(f"| the PSF taken for an image of a star | AIC | | {float(once.aic[0]):.1f} | |")


if __name__ == "__main__":
    main()
