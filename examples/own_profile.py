"""Profiles of your own, each one class: a bar, and the tilted sky of appendix D of Chen et al. (2024).

A radial profile says how bright it is at elliptical radius r; Isolux adds the centre, the ellipse, the total
magnitude, the derivatives, the PSF and the batch. An image profile says how bright it is at (x, y). The names
that `brightness` takes are the parameters that the class declares.

python examples/own_profile.py OUT

On the command line the same classes serve by file and name:

isolux fit --image ... --model galaxy:sersic --profile bar=own_profile.py:SoftBar --out run/
"""

import sys
from pathlib import Path

import numpy as np
import torch

import isolux
from isolux import Batch, ImageProfile, Parameter, RadialProfile, Scene, Sersic, Tied
from isolux.simulate import draw, moffat_psf
from isolux.testing import check_profile


class SoftBar(RadialProfile):
    """A bar that is flat inside and fades beyond its length: exp(-(r / length)^4)."""

    parameters = (
        Parameter(
            "length",
            "pixel",
            "semi-major axis where it has faded to 1/e",
            lower=0.5,
            upper=500,
            log=True,
            step=0.05,
            guess="radius",
        ),
    )

    def brightness(self, r: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        """Brightness at elliptical radius r, one in the centre."""
        return torch.exp(-((r / length) ** 4))


class NewSky(ImageProfile):
    """A sky that changes across the stamp: I_0 + k_x (x - x_0) + k_y (y - y_0)."""

    parameters = (
        Parameter("sky_0", "flux/pixel2", "sky at the centre of the stamp", default=0.0),
        Parameter("grad_x", "flux/pixel3", "change of the sky a column", default=0.0, step=0.01),
        Parameter("grad_y", "flux/pixel3", "change of the sky a row", default=0.0, step=0.01),
    )
    convolved = False
    from_centre = True

    def brightness(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        sky_0: torch.Tensor,
        grad_x: torch.Tensor,
        grad_y: torch.Tensor,
    ) -> torch.Tensor:
        """Flux of the pixel at (x, y), counted from the centre of the stamp."""
        return sky_0 + grad_x * x + grad_y * y


CENTRE = {"x": Tied("disc.x"), "y": Tied("disc.y")}
TRUTH = Scene(
    disc=Sersic(
        x=47.2,
        y=47.9,
        magnitude=16.0,
        effective_radius=16.0,
        sersic_index=1.0,
        axis_ratio=0.8,
        position_angle=20.0,
    ),
    bar=SoftBar(**CENTRE, magnitude=17.8, length=9.0, axis_ratio=0.3, position_angle=-45.0),
    sky=NewSky(sky_0=0.5, grad_x=0.004, grad_y=-0.002),
)
MODEL = Scene(
    disc=Sersic(sersic_index=1.0),
    bar=SoftBar(**CENTRE, length=6.0, axis_ratio=0.4, position_angle=-30.0),
    sky=NewSky(),
)


def main(folder: Path) -> None:
    """Draw a barred galaxy on a tilted sky, fit it, write its catalogue into the folder."""
    check_profile(SoftBar())  # bounds, derivatives and flux are what the library takes them for
    psf = moffat_psf(3.3)
    clean = draw(TRUTH, (96, 96), psf=psf, zero_point=22.5)[0].numpy()
    sigma = np.full_like(clean, 0.03)
    image = clean + sigma * np.random.default_rng(1).standard_normal(clean.shape)
    batch = Batch.from_arrays(image, sigma=sigma, psf=psf, id=["barred"], zero_point=22.5, pixel_scale=0.396)
    result = isolux.fit(batch, MODEL)
    print(result.describe(0))
    for name in (
        "bar.magnitude",
        "bar.length",
        "bar.position_angle",
        "sky.sky_0",
        "sky.grad_x",
        "sky.grad_y",
    ):
        true = float(TRUTH.values()[0, TRUTH.columns.index(name)])
        print(f"{name:20} {float(result[name]):9.4f} +- {float(result.error(name)):.4f}   true {true:9.4f}")
    result.table().write(folder / "own_profile.fits", overwrite=True)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    main(out)
