"""Surface brightness and flux against GalSim's, before any convolution."""

import math

import numpy as np
import pytest
import torch

from isolux.profiles import Exponential, Gaussian, Moffat, Sersic

galsim = pytest.importorskip("galsim")

FLUX = 123.0
# GalSim states an accuracy of some 1e-6; it cuts off Moffat's wings where they are fainter than 1e-7.
CASES = [
    (Sersic, (6.0, n), galsim.Sersic(n=n, half_light_radius=6.0, flux=FLUX))
    for n in (0.5, 1.0, 2.2, 4.0, 6.0)
]
CASES += [
    (Exponential, (4.0,), galsim.Exponential(scale_radius=4.0, flux=FLUX)),
    (Gaussian, (7.0,), galsim.Gaussian(fwhm=7.0, flux=FLUX)),
    (Moffat, (3.0, 2.5), galsim.Moffat(beta=2.5, fwhm=3.0, flux=FLUX)),
    (Moffat, (3.0, 4.765), galsim.Moffat(beta=4.765, fwhm=3.0, flux=FLUX)),
]


@pytest.mark.parametrize(
    ("profile", "numbers", "theirs"), CASES, ids=lambda value: getattr(value, "__name__", None)
)
@pytest.mark.parametrize(("axis_ratio", "angle"), [(1.0, 0.0), (0.4, 35.0)])
def test_surface_brightness(profile, numbers, theirs, axis_ratio, angle):
    shape = {
        p.name: torch.tensor([[v]], dtype=torch.float64)
        for p, v in zip(profile.parameters, numbers, strict=True)
    }
    x = np.linspace(-15, 17, 23)
    y = 0.7 * x[::-1] + 1.3
    sin, cos = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    major, minor = y * cos - x * sin, x * cos + y * sin
    r = torch.as_tensor(np.hypot(major, minor / axis_ratio))[None]
    ours = FLUX * profile().brightness(r, **shape) / (profile().total(**shape) * axis_ratio)
    # Our radii are along the major axis; GalSim's shear keeps the area, and its angles start at +x.
    stretched = theirs.dilate(math.sqrt(axis_ratio)).shear(q=axis_ratio, beta=(90 + angle) * galsim.degrees)
    expected = [stretched.xValue(a, b) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(ours[0].numpy(), expected, rtol=2e-6, atol=1e-7 * FLUX)
