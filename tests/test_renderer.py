"""Model images: what they are made of, and their derivatives."""

from math import erf

import numpy as np
import pytest
import torch

import isolux
from isolux import (
    Batch,
    Exponential,
    Ferrer,
    Fixed,
    FlatSky,
    Gaussian,
    InputError,
    King,
    Moffat,
    PlaneSky,
    PointSource,
    Scene,
    Sersic,
    Tied,
)
from isolux.likelihood import ChiSquare
from isolux.parameter_map import build_map
from isolux.renderer import Renderer
from stubs import gaussian_psf


def blank(size=(40, 44), count=1, psf=None, dtype=torch.float64, **options):
    """An empty batch with a PSF, to draw on."""
    pixels = np.zeros((count, *size))
    psf = gaussian_psf() if psf is None else psf
    return Batch.from_arrays(pixels, sigma=pixels + 1, psf=psf, zero_point=22.5, dtype=dtype, **options)


def draw(scene, batch):
    return scene.images(batch, scene.values(len(batch)))


def slopes_and_differences(scene, batch, step=1e-4):
    """Derivative images with respect to theta by the solver's way and by central differences."""
    values = scene.values(len(batch))
    parameters = build_map(scene.parameters, values, torch.ones(len(batch)))
    renderer = Renderer.of(scene.components, batch)
    rows = torch.arange(len(batch))
    theta = parameters.to_theta(parameters.values)
    expanded = parameters.expand(theta, rows)
    slots, one = parameters.slots, torch.ones_like(batch.image)
    maps = renderer.design(expanded, rows, slots, len(parameters.slot_columns), one).combined()
    turn = parameters.slot_jacobian(theta, expanded, rows)
    ours = torch.einsum("gsyx,gsf->gfyx", maps[:, 1:], turn)
    for k in range(parameters.n_free):
        ends = []
        for sign in (1, -1):
            moved = theta.clone()
            moved[:, k] += sign * step
            ends.append(renderer.model(parameters.expand(moved, rows), rows))
        name = parameters.names[parameters.free[k]]
        yield name, ours[:, k], (ends[0] - ends[1]) / (2 * step)


PLACE = {"x": 21.3, "y": 19.6, "magnitude": 17.0, "axis_ratio": 0.6, "position_angle": 25.0}
COMPONENTS = {
    "sersic": Sersic(**PLACE, effective_radius=4.0, sersic_index=2.5),
    "boxy": Sersic(**PLACE, effective_radius=4.0, sersic_index=1.5, boxiness=isolux.Free(0.4)),
    "exponential": Exponential(**PLACE, scale_radius=3.0),
    "gaussian": Gaussian(**PLACE, fwhm=5.0),
    "moffat": Moffat(**PLACE, fwhm=5.0, beta=2.5),
    "ferrer": Ferrer(**PLACE, outer_radius=9.0),
    "king": King(**PLACE, core_radius=2.0, truncation_radius=12.0),
    "flux": Sersic(**{k: v for k, v in PLACE.items() if k != "magnitude"}, flux=50.0, effective_radius=4.0),
    "intensity": Sersic(
        **{k: v for k, v in PLACE.items() if k != "magnitude"}, intensity=0.5, effective_radius=4.0
    ),
}


@pytest.mark.parametrize("profile", COMPONENTS.values(), ids=COMPONENTS.keys())
def test_derivatives_of_a_component(profile):
    """2e-3: the light of an edge or a cusp that the grid does not carry moves in steps in the differences."""
    for name, ours, difference in slopes_and_differences(Scene(galaxy=profile), blank()):
        error = (ours - difference).abs().max() / difference.abs().max()
        assert error < 2e-3, f"{name}: {error:.1e}"


def test_derivatives_of_a_tied_scene():
    scene = Scene(
        disc=Exponential(**PLACE, scale_radius=4.0),
        bulge=Sersic(
            x=Tied("disc.x"),
            y=Tied("disc.y"),
            magnitude=18.0,
            effective_radius=Tied("0.5 * disc.scale_radius + 0.1"),
            sersic_index=Fixed(3.0),
            axis_ratio=Tied(lambda p: torch.sqrt(p["disc.axis_ratio"])),
            position_angle=10.0,
        ),
        star=PointSource(x=8.2, y=30.7, magnitude=18.0),
        sky=PlaneSky(level=0.1, gradient_x=1e-3, gradient_y=-2e-3),
    )
    checked = set()
    for name, ours, difference in slopes_and_differences(scene, blank()):
        assert (ours - difference).abs().max() < 2e-3 * difference.abs().max(), name
        checked.add(name)
    assert {"disc.x", "disc.scale_radius", "star.y", "sky.gradient_x", "bulge.position_angle"} <= checked
    assert not any(name.startswith("bulge.x") for name in checked)


def test_point_source_on_a_pixel_is_the_psf():
    psf = gaussian_psf(21)
    image = draw(Scene(star=PointSource(x=22, y=18, flux=7.0)), blank(psf=psf))[0].numpy()
    assert np.allclose(image[8:29, 12:33], 7 * psf, atol=1e-12)
    assert np.unravel_index(image.argmax(), image.shape) == (18, 22)


def test_point_source_is_the_limit_of_small_galaxies():
    """0.6 %: the quadrature's error for a Gaussian of a sixteenth of a pixel, far below any PSF."""
    point = draw(Scene(star=PointSource(x=20.3, y=19.8, flux=1.0)), blank())
    dot = Gaussian(x=20.3, y=19.8, flux=1.0, fwhm=0.06, axis_ratio=1.0, position_angle=0.0)
    assert (point - draw(Scene(star=dot), blank())).abs().max() < 6e-3 * point.max()


def test_components_add_up():
    scene = Scene(
        a=COMPONENTS["sersic"],
        b=PointSource(x=10, y=12, magnitude=19),
        c=FlatSky(level=0.3),
        d=COMPONENTS["king"],
    )
    batch = blank(count=2)
    values = scene.values(2)
    parts = scene.component_images(batch, values)
    assert list(parts) == ["a", "b", "c", "d"]
    assert torch.allclose(sum(parts.values()), scene.images(batch, values), atol=1e-12)
    assert torch.equal(parts["c"], torch.full_like(parts["c"], 0.3))


def test_flux_is_conserved():
    scene = Scene(g=Gaussian(x=60, y=58, flux=3.0, fwhm=6, axis_ratio=0.7, position_angle=30))
    assert abs(draw(scene, blank(size=(120, 120))).sum() - 3) < 1e-4


def test_light_outside_the_stamp_does_not_wrap_back():
    """A large steep galaxy at the stamp's edge is the cut-out of the same galaxy in a larger stamp.

    1e-5 of the maximum: the ripples of the core's limited band are cut at the canvas's edge.
    """
    shape = {
        "magnitude": 16,
        "effective_radius": 40.0,
        "sersic_index": 5.0,
        "axis_ratio": 0.8,
        "position_angle": 40,
    }
    small = draw(Scene(g=Sersic(x=3.0, y=28.0, **shape)), blank(size=(32, 32)))
    large = draw(Scene(g=Sersic(x=43.0, y=68.0, **shape)), blank(size=(112, 112)))
    assert (small[0] - large[0, 40:72, 40:72]).abs().max() < 1e-5 * small.max()


def test_oversampled_psf_agrees_with_a_plain_one():
    """A Gaussian PSF of FWHM 4 pixels is band-limited: three samples a pixel say no more than one."""
    fine = gaussian_psf(63, fwhm=12.0)
    scene = Scene(g=COMPONENTS["sersic"])
    plain = draw(scene, blank(psf=gaussian_psf(21, fwhm=4.0)))
    oversampled = draw(scene, blank(psf=fine, psf_oversampling=3))
    assert (plain - oversampled).abs().max() < 3e-4 * plain.max()


def test_psf_without_the_pixel_gets_it():
    """Averaging a Gaussian over the pixel by hand gives the effective PSF that the library makes itself."""
    axis = (np.arange(31 * 11) - (31 * 11 - 1) / 2) / 11
    line = np.exp(-0.5 * (axis / (3.5 / 2.3548)) ** 2).reshape(31, 11).mean(1)
    effective = np.outer(line, line) / line.sum() ** 2
    scene = Scene(g=COMPONENTS["sersic"])
    by_hand = draw(scene, blank(psf=effective))
    by_library = draw(scene, blank(psf=gaussian_psf(31, fwhm=3.5), psf_includes_pixel=False))
    assert (by_hand - by_library).abs().max() < 4e-4 * by_hand.max()


def test_without_psf_pixels_average_the_model():
    pixels = np.zeros((1, 24, 24))
    batch = Batch.from_arrays(pixels, sigma=pixels + 1, dtype=torch.float64)
    image = draw(
        Scene(g=Gaussian(x=11.2, y=12.4, flux=1.0, fwhm=4.0, axis_ratio=1.0, position_angle=0.0)), batch
    )[0].numpy()
    scale = 4.0 / 2.354820045 * 2**0.5
    cells = [
        [0.5 * (erf((k + 0.5 - c) / scale) - erf((k - 0.5 - c) / scale)) for k in range(24)]
        for c in (12.4, 11.2)
    ]
    assert np.abs(image - np.outer(*cells)).max() < 1e-3 * image.max()


def test_padding_does_not_move_anything():
    image = np.zeros((20, 26))
    alone = Batch.from_arrays([image], sigma=[image + 1], psf=gaussian_psf(), dtype=torch.float64)
    pair = [image, np.zeros((30, 30))]
    padded = Batch.from_arrays(pair, sigma=[i + 1 for i in pair], psf=gaussian_psf(), dtype=torch.float64)
    scene = Scene(
        g=Sersic(**{**PLACE, "x": 12, "y": 9}, effective_radius=3), sky=PlaneSky(level=1.0, gradient_x=0.1)
    )
    one, two = draw(scene, alone)[0], draw(scene, padded)[0]
    assert torch.allclose(one, two[:20, :26], atol=1e-10)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Scene(), "at least one component"),
        (lambda: Scene(a=Sersic), "write Sersic"),
        (lambda: Scene(a=3), "must be a profile"),
        (lambda: Sersic(efective_radius=3), "did you mean 'effective_radius'"),
        (lambda: Sersic(magnitude=20, flux=3), "give one of"),
        (lambda: Scene(a=Sersic()).values(), "has no value"),
    ],
)
def test_misuse_is_explained(make, text):
    with pytest.raises(InputError, match=text):
        make()


@pytest.mark.parametrize("unit", [1.0, 0.03])
def test_model_is_differentiable_in_reverse(unit):
    """The first-order solver's gradient is that of the normal equations, in any unit of flux."""
    batch = blank()
    scene = Scene(g=COMPONENTS["flux"], sky=FlatSky(level=0.01))
    values = scene.values(1)
    units = torch.tensor([unit], dtype=torch.float64)
    parameters = build_map(scene.parameters, values, units)
    problem = ChiSquare.of(Renderer.of(scene.components, batch), parameters, batch)
    theta = parameters.to_theta(values).requires_grad_()
    rows = torch.tensor([0])
    cost = problem.cost(theta, rows)
    cost.sum().backward()
    linear = problem.linearise(theta.detach(), rows)
    assert torch.allclose(cost, linear.cost, rtol=1e-9)
    assert torch.allclose(cost, (scene.images(batch, values) ** 2).sum(), rtol=1e-9)
    assert torch.allclose(
        theta.grad, -2 * linear.gradient, rtol=2e-3, atol=1e-3 * linear.gradient.abs().max()
    )
