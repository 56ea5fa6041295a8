"""Calls that cannot be meant are refused by name; single galaxies' faults are their own."""

import dataclasses

import numpy as np
import pytest
import torch

import isolux
from isolux import FlatSky, Free, InputError, PlaneSky, Scene, Sersic, Status, Tied
from isolux.simulate import draw
from stubs import gaussian_psf

SIZE = 32
PSF = gaussian_psf(15, 2.5)
COLOUR = {"g": 0.7, "r": 0.0, "i": -0.3}


def galaxy(count=2, **more):
    rng = np.random.default_rng(1)
    middle = (SIZE - 1) / 2
    shape = {
        "x": middle + rng.uniform(-1, 1, count),
        "y": middle + rng.uniform(-1, 1, count),
        "effective_radius": rng.uniform(3, 4, count),
        "sersic_index": rng.uniform(1, 2, count),
        "axis_ratio": rng.uniform(0.5, 0.8, count),
        "position_angle": rng.uniform(-60, 60, count),
    }
    return {**shape, **more}


def bands(names="gri", count=2, points=None, **model):
    """The same pixels in all bands, without any WCS."""
    rng = np.random.default_rng(2)
    found = {}
    for name in names:
        scene = Scene(galaxy=Sersic(magnitude=17.0 + COLOUR[name], **galaxy(count, **model)))
        zero_point = (points or {}).get(name, 22.5)
        image = draw(scene, (SIZE, SIZE), psf=PSF, zero_point=zero_point, galaxies=count)[0].numpy()
        sigma = np.full_like(image, 0.02 * 10 ** (0.4 * (zero_point - 22.5)))
        found[name] = isolux.Batch.from_arrays(
            image + sigma * rng.standard_normal(image.shape),
            sigma=sigma,
            psf=PSF,
            zero_point=zero_point,
            pixel_scale=0.3,
        )
    return found


def scene():
    return Scene(galaxy=Sersic(), sky=FlatSky())


@pytest.fixture(scope="module")
def good():
    return bands()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"degrees": {"galaxy.radius": 1}}, "did you mean"),
        ({"degrees": {"effective_radius": 3}}, "from 0 to 2"),
        ({"degrees": {"effective_radius": -1}}, "from 0 to 2"),
        ({"degrees": {"effective_radius": 0.5}}, "whole number"),
        ({"degrees": {"effective_radius": True}}, "whole number"),
        ({"degrees": {"galaxy.boxiness": 1}}, "not free"),
        ({"degrees": {"effective_radius": 1}}, "needs wavelengths"),
        ({"wavelengths": {"g": 480, "r": 620}}, "none for band 'i'"),
        ({"wavelengths": {"g": 480, "r": 620, "i": 620}}, "same wavelength"),
        ({"wavelengths": {"g": 480, "r": 620, "i": float("nan")}}, "finite number above 0"),
        ({"wavelengths": {"g": 480, "r": 620, "i": -1}}, "finite number above 0"),
        ({"wavelengths": {"g": 480, "r": 620, "i": 760, "z": 900}}, "unknown band in wavelengths 'z'"),
        ({"reference": "z"}, "unknown reference band 'z'"),
        ({"errors": "bootstrap"}, "covariance, none"),
        ({"geometry": {"z": np.eye(3)[:2]}}, "unknown band in geometry"),
        ({"geometry": {"r": np.eye(3)}}, "its shape"),
        ({"geometry": {"r": np.full((2, 3), np.nan)}}, "not finite"),
        ({"geometry": {"r": np.zeros((2, 3))}}, "no map between pixels"),
        ({"start": {"galaxy.radius": 3.0}}, "did you mean"),
        ({"start": {"galaxy.magnitude_z": 3.0}}, "did you mean"),
        ({"start": {"galaxy.x": 15.0}}, "give both"),
        ({"start": {"galaxy.effective_radius": [3.0, 3.0, 3.0]}}, "3 values for 2 galaxies"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_options(good, options, words):
    with pytest.raises(InputError, match=words):
        isolux.fit_bands(good, scene(), **options)


def test_wrong_batches(good):
    with pytest.raises(InputError, match="two bands or more"):
        isolux.fit_bands({"g": good["g"]}, scene())
    with pytest.raises(InputError, match="not a Batch"):
        isolux.fit_bands({**good, "i": good["i"].image}, scene())
    other = dataclasses.replace(good["r"], id=("0", "7"))
    with pytest.raises(InputError, match="one band alone: 1, 7"):
        isolux.fit_bands({**good, "r": other}, scene())
    with pytest.raises(InputError, match="another order"):
        isolux.fit_bands({**good, "r": good["r"].select([1, 0])}, scene())
    for name in ("err", "a.b", "", "g r", 5):
        with pytest.raises(InputError, match="name of a band"):
            isolux.fit_bands({"g": good["g"], name: good["r"]}, scene())


def test_nothing_says_how_pixels_lie(good):
    finer = dataclasses.replace(good["r"], pixel_scale=good["r"].pixel_scale / 2)
    with pytest.raises(InputError, match="need a WCS in both, or geometry"):
        isolux.fit_bands({"g": good["g"], "r": finer}, scene())


def test_geometry_may_be_unknown_for_galaxies(good):
    affine = np.broadcast_to(np.eye(3)[:2], (2, 2, 3)).copy()
    affine[1] = np.nan
    for given in (affine, np.full((2, 2, 3), np.nan)):
        result = isolux.fit_bands(good, scene(), geometry={"r": given})
        assert result.converged.all()
        assert torch.equal(
            torch.isnan(result["galaxy.magnitude_r"]), torch.as_tensor(np.isnan(given[:, 0, 0]))
        )


def test_wrong_scenes(good):
    fixed = {name: isolux.Fixed(1.0) for name in ("x", "y", "magnitude", "effective_radius", "sersic_index")}
    fixed |= {"axis_ratio": isolux.Fixed(0.5), "position_angle": isolux.Fixed(0.0)}
    with pytest.raises(InputError, match="nothing to fit"):
        isolux.fit_bands(good, Scene(galaxy=Sersic(**fixed)))
    tilted = Scene(galaxy=Sersic(), sky=PlaneSky())
    with pytest.raises(InputError, match="its own value in each band"):
        isolux.fit_bands(good, tilted, degrees={"gradient_x": 0})
    with pytest.raises(InputError, match="scalar parameters"):
        isolux.fit_bands(good, Scene(galaxy=isolux.Spline(knots=4)))
    turned = {"r": [[0.0, -1.0, SIZE - 1.0], [1.0, 0.0, 0.0]]}
    half = Scene(galaxy=Sersic(x=Free(15.0), y=isolux.Fixed(15.0)))
    with pytest.raises(InputError, match="both are free or neither"):
        isolux.fit_bands({b: good[b] for b in "gr"}, half, geometry=turned)


def test_bad_starting_values_are_the_galaxys_own(good):
    start = {"galaxy.effective_radius": [3.0, -1.0]}
    result = isolux.fit_bands(good, scene(), start=start)
    assert result.status == (Status.CONVERGED, Status.BAD_START)
    assert "galaxy 1: galaxy.effective_radius starts at -1" in result.joint.message[1]
    result = isolux.fit_bands(good, scene(), start={"galaxy.magnitude_r": [np.nan, 17.0]})
    assert result.status == (Status.BAD_START, Status.CONVERGED)


def test_start_of_a_band_and_from_columns(good):
    held = Scene(galaxy=Sersic(magnitude=isolux.Fixed(isolux.Column("mag"))), sky=FlatSky())
    start = {"mag_g": [17.7, 17.7], "mag_r": 17.0, "mag_i": 16.7}
    result = isolux.fit_bands(good, held, start=start)
    for name in "gri":
        assert np.allclose(result[f"galaxy.magnitude_{name}"].numpy(), start[f"mag_{name}"])
    assert result.converged.all()


def test_without_wcs_the_same_pixels(good):
    result = isolux.fit_bands(good, scene())
    assert result.converged.all()
    for name in ("x", "y", "effective_radius"):
        pull = (result[f"galaxy.{name}"].numpy() - galaxy()[name]) / result.error(f"galaxy.{name}").numpy()
        assert np.abs(pull).max() < 4
    assert "ra" not in result.table().colnames


def test_fluxes_in_common_know_of_zero_points():
    """A grey galaxy, flux and sky of degree 0: one flux in the reference's unit for images of three zero points."""
    points = {"g": 22.5, "r": 25.0, "i": 20.0}
    rng = np.random.default_rng(3)
    batches = {}
    for name, point in points.items():
        unit = 10 ** (0.4 * (point - 22.5))
        model = Scene(galaxy=Sersic(flux=150.0 * unit, **galaxy()), sky=FlatSky(level=0.1 * unit))
        image = draw(model, (SIZE, SIZE), psf=PSF, zero_point=point, galaxies=2)[0].numpy()
        sigma = np.full_like(image, 0.02 * unit)
        noisy = image + sigma * rng.standard_normal(image.shape)
        batches[name] = isolux.Batch.from_arrays(
            noisy, sigma=sigma, psf=PSF, zero_point=point, pixel_scale=0.3
        )
    grey = Scene(galaxy=Sersic(flux=Free()), sky=FlatSky())
    result = isolux.fit_bands(batches, grey, degrees={"flux": 0, "sky.level": 0})
    assert result.converged.all()
    for name, value in (("galaxy.flux", 150.0), ("sky.level", 0.1)):
        assert ((result[name] - value).abs() < 4 * result.error(name)).all()
        ratio = result.bands["r"][name] / result.bands["i"][name]
        assert torch.allclose(ratio, torch.full_like(ratio, 100.0))
    assert (result.colour("g", "r")[0].abs() < 1e-9).all()
    assert (result.colour("g", "r")[1] < 1e-6).all()


def test_two_components_with_ties():
    """A red bulge in a blue disc of one centre: total colours lie between, with errors of their own."""
    rng = np.random.default_rng(4)
    light = {"g": (18.9, 17.2), "r": (17.9, 16.8)}
    place = {"x": 15.3, "y": 15.8}
    batches = {}
    for name, (inner, outer) in light.items():
        model = Scene(
            bulge=Sersic(
                magnitude=inner,
                effective_radius=1.5,
                sersic_index=2,
                axis_ratio=0.9,
                position_angle=0,
                **place,
            ),
            disc=isolux.Exponential(
                magnitude=outer, scale_radius=4.0, axis_ratio=0.6, position_angle=40, **place
            ),
        )
        image = draw(model, (SIZE, SIZE), psf=PSF, zero_point=22.5)[0].numpy()
        sigma = np.full_like(image, 0.01)
        noisy = image + sigma * rng.standard_normal(image.shape)
        batches[name] = isolux.Batch.from_arrays(noisy, sigma=sigma, psf=PSF, zero_point=22.5)
    model = Scene(
        bulge=Sersic(x=Tied("disc.x"), y=Tied("disc.y"), sersic_index=isolux.Fixed(2.0)),
        disc=isolux.Exponential(),
    )
    result = isolux.fit_bands(batches, model)
    assert result.converged.all()
    for component, k in (("bulge", 0), ("disc", 1)):
        colour, error = result.colour("g", "r", component)
        assert abs(float(colour) - (light["g"][k] - light["r"][k])) < 4 * float(error)
    total, error = result.colour("g", "r")
    expected = [
        -2.5 * np.log10(sum(10 ** (-0.4 * magnitude) for magnitude in magnitudes))
        for magnitudes in light.values()
    ]
    assert abs(float(total) - (expected[0] - expected[1])) < 4 * float(error)
    assert float(error) < float(result.colour("g", "r", "bulge")[1])
    names = result.table().colnames
    assert "bulge_x" in names
    assert "bulge_x_g" not in names
    assert "bulge_fraction_g" in names
    assert "total_colour_g_r" in names
    with pytest.raises(InputError, match="unknown component"):
        result.colour("g", "r", "bar")
    with pytest.raises(InputError, match="unknown band"):
        result.colour("g", "z")


def test_correlated_noise_widens_the_errors(good):
    kernel = np.array([[0.2, 0.5, 0.2], [0.5, 1.0, 0.5], [0.2, 0.5, 0.2]])
    one = torch.as_tensor(kernel)[None].float()
    noisy = {**good, "r": dataclasses.replace(good["r"], noise_correlation=one)}
    plain, wide = (isolux.fit_bands(batches, scene()) for batches in (good, noisy))
    assert (wide.error("galaxy.magnitude_r") > plain.error("galaxy.magnitude_r")).all()
    assert (wide.error("galaxy.effective_radius") > plain.error("galaxy.effective_radius")).all()
    all_three = {band: dataclasses.replace(batch, noise_correlation=one) for band, batch in good.items()}
    wider = isolux.fit_bands(all_three, scene())
    assert (wider.joint.errors >= wide.joint.errors).all()
    assert (wider.joint.n_effective > wider.joint.n_free).all()
    assert torch.isnan(wider.joint.log_likelihood).all()
    alone = isolux.fit(all_three["r"], scene())
    separate = isolux.fit_bands(
        {band: all_three[band] for band in "ri"},
        scene(),
        degrees=dict.fromkeys(galaxy(), 1),
        start={column.name: alone.values[:, k] for k, column in enumerate(alone.columns)},
    )
    assert torch.allclose(separate.bands["r"].errors, alone.errors, rtol=0.02, atol=1e-6)


def test_columns_and_units_of_the_table(good):
    result = isolux.fit_bands(
        good, scene(), wavelengths={"g": 480, "r": 620, "i": 760}, degrees={"effective_radius": 1, "x": 1}
    )
    table = result.table()
    units = {
        "galaxy_x_g": "pix",
        "galaxy_x_g_err": "pix",
        "galaxy_y": "pix",
        "galaxy_effective_radius_r": "arcsec",
        "galaxy_magnitude_i": "mag",
        "galaxy_colour_g_r": "mag",
        "galaxy_colour_r_i_err": "mag",
        "galaxy_circularised_radius_g": "arcsec",
        "galaxy_position_angle": "deg",
        "zero_point_i": "mag",
        "pixel_scale_g": "arcsec",
    }
    assert {name: str(table[name].unit) for name in units} == units
    assert table["galaxy_effective_radius_cheb"].shape == (2, 2)
    first = np.exp(table["galaxy_effective_radius_cheb"] @ np.array([1.0, -1.0]))
    assert np.allclose(first, table["galaxy_effective_radius_g"].value)
    for name in ("chi2_g", "n_pixels_r", "flags_i", "bands", "frame", "chi2", "status", "message"):
        assert name in table.colnames
    assert np.allclose(sum(table[f"chi2_{band}"] for band in "gri"), table["chi2"])
    assert "zero_point" not in table.colnames
    assert all(table[name].info.description for name in table.colnames)
    colour, error = result.colour("g", "r")
    assert np.array_equal(table["galaxy_colour_g_r"].value, colour.numpy())
    assert np.array_equal(table["galaxy_colour_g_r_err"].value, error.numpy())
    joint = result.joint
    names = [column.name for column in joint.columns]
    g, r = (names.index(f"galaxy.magnitude_{band}") for band in "gr")
    matrix = joint.covariance
    assert torch.allclose(error**2, matrix[:, g, g] + matrix[:, r, r] - 2 * matrix[:, g, r])


def test_ties_by_expression_and_function_are_known_for_what_they_are(good):
    """What is computed from shared parameters is shared; what is computed from light, or of degree 1, is not."""
    model = Scene(
        inner=Sersic(
            x=Tied("outer.x"),
            y=Tied("outer.y"),
            effective_radius=Tied("0.4 * outer.effective_radius"),
            magnitude=Tied(lambda values: values["outer.magnitude"] + 2.0),
            axis_ratio=Tied("outer.axis_ratio"),
            position_angle=Tied("outer.position_angle"),
            sersic_index=isolux.Fixed(1.0),
        ),
        outer=Sersic(),
    )
    result = isolux.fit_bands(good, model)
    names = [column.name for column in result.joint.columns]
    assert "inner.effective_radius" in names
    assert "inner.magnitude_g" in names
    assert torch.allclose(result["inner.effective_radius"], 0.4 * result["outer.effective_radius"])
    ratio = result.error("inner.effective_radius") / result.error("outer.effective_radius")
    assert torch.allclose(ratio, torch.full_like(ratio, 0.4))
    assert torch.allclose(result["inner.magnitude_i"], result["outer.magnitude_i"] + 2)
    waves = {"g": 480.0, "r": 620.0, "i": 760.0}
    varied = isolux.fit_bands(good, model, wavelengths=waves, degrees={"outer.effective_radius": 1})
    assert "inner.effective_radius_r" in [column.name for column in varied.joint.columns]
