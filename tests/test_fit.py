"""Fits: what comes out, in every precision and unit, and what is said when something is wrong."""

import dataclasses

import numpy as np
import pytest
import torch

import isolux
from isolux import (
    Batch,
    Exponential,
    FirstOrder,
    Fixed,
    Flag,
    FlatSky,
    Free,
    InputError,
    LevenbergMarquardt,
    PixelGrid,
    PointSource,
    Scene,
    Sersic,
    Status,
    Tied,
)
from stubs import gaussian_psf, mock_batch


def single():
    return Scene(galaxy=Sersic(), sky=FlatSky())


@pytest.fixture(scope="module")
def mock():
    return mock_batch(count=4, sky=0.02)


def refit(batch, **changes):
    """The same stamps in a new batch with something changed."""
    parts = {
        "sigma": batch.sigma,
        "mask": batch.mask,
        "psf": batch.psf[0],
        "zero_point": 22.5,
        "pixel_scale": 0.4,
    }
    image = changes.pop("image", batch.image)
    return Batch.from_arrays(image, **(parts | changes))


def test_float32_agrees_with_float64():
    """To 1 % of an error: float32 images carry some 1e-6 of the peak."""
    results = [
        isolux.fit(mock_batch(count=4, sky=0.02, dtype=dtype)[0], single())
        for dtype in (torch.float32, torch.float64)
    ]
    assert ((results[0].values - results[1].values).abs() <= 0.01 * results[1].errors.clamp_min(1e-9)).all()
    assert torch.allclose(results[0].errors, results[1].errors, rtol=1e-2)
    assert torch.allclose(results[0].chi2, results[1].chi2, rtol=1e-5)


def test_fit_is_a_minimum(mock):
    """Chi-square rises by about one when a parameter moves by an error and the others follow."""
    batch, _ = mock
    best = isolux.fit(batch, single(), solver=LevenbergMarquardt(tolerance=1e-4))
    column = [c.name for c in best.columns].index("galaxy.sersic_index")
    for sign in (-1, 1):
        held = best.values[:, column] + sign * best.errors[:, column]
        scene = Scene(galaxy=Sersic(sersic_index=Fixed(held)), sky=FlatSky())
        rise = isolux.fit(batch, scene, solver=LevenbergMarquardt(tolerance=1e-4)).chi2 - best.chi2
        assert ((rise > 0.7) & (rise < 1.4)).all()


@pytest.mark.parametrize(("unit", "shift"), [(1e-12, 30.0), (1e6, -15.0), (1e-19, 47.5)])
def test_unit_of_the_image_does_not_matter(mock, unit, shift):
    """Maggies of 1e-12, counts of 1e6 and erg/s/cm2/A of 1e-19 give the same galaxy."""
    batch, _ = mock
    plain = isolux.fit(batch, single())
    scaled = refit(
        batch, image=batch.image.double() * unit, sigma=batch.sigma.double() * unit, zero_point=22.5 - shift
    )
    other = isolux.fit(scaled, single())
    assert other.status == plain.status
    for name in ("galaxy.effective_radius", "galaxy.sersic_index", "galaxy.x"):
        assert torch.allclose(other[name], plain[name], atol=0, rtol=1e-3)
        assert torch.allclose(other.error(name), plain.error(name), rtol=0.02)
    magnitude = 22.5 - shift + 2.5 * np.log10(1.0) - 2.5 * np.log10(unit) - 22.5
    assert torch.allclose(other["galaxy.magnitude"], plain["galaxy.magnitude"] + magnitude, atol=2e-3)
    assert torch.allclose(other["sky.level"] / unit, plain["sky.level"], atol=2e-4)


def test_flux_and_intensity_say_the_same_as_magnitude(mock):
    batch, _ = mock
    results = {}
    for name in ("magnitude", "flux", "intensity"):
        results[name] = isolux.fit(batch, Scene(galaxy=Sersic(**{name: None}), sky=FlatSky()))
        assert results[name].converged.all()
    for other in ("flux", "intensity"):
        assert torch.allclose(results[other].chi2, results["magnitude"].chi2, atol=0.05)
        gap = (results[other]["galaxy.magnitude"] - results["magnitude"]["galaxy.magnitude"]).abs()
        assert (gap < 0.05 * results["magnitude"].error("galaxy.magnitude")).all()
        ratio = results[other].error("galaxy.magnitude") / results["magnitude"].error("galaxy.magnitude")
        assert ((ratio - 1).abs() < 0.02).all()


def test_stamps_that_are_not_square():
    batch, _ = mock_batch(count=2)
    cut = refit(batch, image=batch.image[:, 6:, :], sigma=batch.sigma[:, 6:, :], mask=batch.mask[:, 6:, :])
    whole, part = isolux.fit(batch, single()), isolux.fit(cut, single())
    assert part.converged.all()
    assert ((part["galaxy.y"] + 6 - whole["galaxy.y"]).abs() < 0.5 * whole.error("galaxy.y")).all()


def test_different_sizes_in_one_batch():
    small, _ = mock_batch(count=1, size=40, seed=3)
    large, _ = mock_batch(count=1, size=56, seed=4)
    images = [small.image[0], large.image[0]]
    together = Batch.from_arrays(
        images, sigma=[small.sigma[0], large.sigma[0]], psf=gaussian_psf(), zero_point=22.5, pixel_scale=0.4
    )
    result = isolux.fit(together, single())
    alone = isolux.fit(small, single())
    assert Flag.PADDED in result.flags[0]
    assert Flag.PADDED not in result.flags[1]
    assert (result.n_pixels == torch.tensor([1600, 3136])).all()
    assert ((result.values[0] - alone.values[0]).abs() < 0.02 * alone.errors[0].clamp_min(1e-9)).all()


def test_masked_pixels_are_not_looked_at(mock):
    batch, _ = mock
    mask = torch.zeros_like(batch.mask)
    mask[:, 5:12, 30:40] = True
    image = batch.image.clone()
    image[mask] = 1e6
    image[0, 6, 31] = torch.nan
    one, two = (isolux.fit(refit(batch, image=i, mask=mask), single()) for i in (image, batch.image))
    assert torch.equal(one.values, two.values)
    assert (one.n_pixels == 48 * 48 - 70).all()


def test_bulge_and_disc_share_a_centre(mock):
    batch, _ = mock
    bulge = Sersic(x=Tied("disc.x"), y=Tied("disc.y"), sersic_index=Fixed(4.0))
    result = isolux.fit(batch, Scene(disc=Exponential(), bulge=bulge, sky=FlatSky()))
    assert torch.equal(result["bulge.x"], result["disc.x"])
    assert torch.equal(result.error("bulge.x"), result.error("disc.x"))
    assert torch.allclose(result["disc.fraction"] + result["bulge.fraction"], torch.ones(4).double())
    assert (result.error("bulge.fraction")[result.converged] > 0).any()
    names = [c.name for c in result.derived]
    assert {"total.magnitude", "bulge.circularised_radius", "bulge.mean_surface_brightness"} <= set(names)


def test_derived_errors_follow_from_the_covariance(mock):
    """Circularised radius r sqrt(q): the textbook formula with its correlation."""
    result = isolux.fit(mock[0], single())
    names = [c.name for c in result.columns]
    r, q = names.index("galaxy.effective_radius"), names.index("galaxy.axis_ratio")
    radius, ratio, covariance = result.values[:, r], result.values[:, q], result.covariance
    slope = torch.stack([ratio.sqrt(), radius / (2 * ratio.sqrt())], 1)
    block = covariance[:, [r, q]][:, :, [r, q]]
    expected = torch.sqrt((slope[:, None] @ block @ slope[..., None])[:, 0, 0])
    assert torch.allclose(result.error("galaxy.circularised_radius"), expected, rtol=1e-9)
    factor = result.reduced_chi2.sqrt()
    scaled = isolux.fit(mock[0], single(), scale_errors=True)
    assert torch.allclose(scaled.errors[:, r], result.errors[:, r] * factor, rtol=1e-9)


def test_likelihood_and_criteria(mock):
    """Equation 17 of Chen et al. (2024) at its definition."""
    result = isolux.fit(mock[0], single())
    k, chi2 = float(result.dof[0]), float(result.chi2[0])
    assert k == 48 * 48 - 8
    import math

    expected = -k / 2 * math.log(2) - math.lgamma(k / 2) + (k / 2 - 1) * math.log(chi2) - chi2 / 2
    assert float(result.log_likelihood[0]) == pytest.approx(expected)
    assert float(result.aic[0]) == pytest.approx(chi2 + 16)
    assert float(result.bic[0]) == pytest.approx(chi2 + 8 * math.log(48 * 48))


def test_bootstrap_errors_are_those_of_the_covariance(mock):
    """On pure noise both estimate the same; 60 replicates know a width to 9 %, hence a factor of 1.5."""
    batch = mock[0].select([0, 1])
    plain = isolux.fit(batch, single())
    result = isolux.fit(batch, single(), errors="bootstrap", replicates=60, seed=4)
    assert result.samples.shape == (2, 60, len(result.columns))
    free = [k for k, kind in enumerate(result.kinds) if kind == "free"]
    ratio = result.errors[:, free] / plain.errors[:, free]
    assert ((ratio > 0.67) & (ratio < 1.5)).all()
    assert torch.equal(result.values, plain.values)
    again = isolux.fit(batch, single(), errors="bootstrap", replicates=60, seed=4)
    assert torch.equal(again.samples, result.samples)
    other = isolux.fit(batch, single(), errors="bootstrap", replicates=60, seed=5)
    assert not torch.equal(other.samples, result.samples)


def test_parameter_at_its_bound_is_marked(mock):
    batch, _ = mock
    scene = Scene(galaxy=Sersic(axis_ratio=Free(lower=0.97, upper=1.0)), sky=FlatSky())
    result = isolux.fit(batch, scene)
    names = [c.name for c in result.columns]
    column = names.index("galaxy.axis_ratio")
    assert result.at_bound[:, column].all()
    assert torch.isnan(result.errors[:, column]).all()
    assert torch.isfinite(result.error("galaxy.x")).all()
    assert all(Flag.AT_BOUND in flags for flags in result.flags)
    assert "bound" in result.describe(0)


def test_degenerate_model_has_no_covariance_and_says_so(mock):
    """Two skies: their sum is known, neither is."""
    result = isolux.fit(mock[0], Scene(galaxy=Sersic(), sky=FlatSky(), more=FlatSky()))
    assert all(Flag.NO_COVARIANCE in flags for flags in result.flags)
    assert torch.isnan(result.error("sky.level")).all()


def test_start_outside_its_bounds_is_that_galaxy_s_fault(mock):
    batch, _ = mock
    start = {"galaxy.sersic_index": [2.0, 99.0, 2.0, np.nan]}
    result = isolux.fit(batch, single(), start=start)
    assert [s.name for s in result.status] == ["CONVERGED", "BAD_START", "CONVERGED", "BAD_START"]
    assert "galaxy.sersic_index starts at 99, allowed 0.2 to 10" in result.message[1]
    assert torch.isnan(result.values[1]).all()
    good = isolux.fit(batch.select([0, 2]), single(), start={"galaxy.sersic_index": [2.0, 2.0]})
    assert torch.allclose(result.values[[0, 2]], good.values, rtol=1e-5)


def test_too_few_pixels(mock):
    batch, _ = mock
    mask = batch.mask.clone()
    mask[1] = True
    mask[1, 20:22, 20:23] = False
    result = isolux.fit(refit(batch, mask=mask), single())
    assert result.status[1] is Status.TOO_FEW_PIXELS
    assert "6 good pixels for 8 free parameters" in result.message[1]


def test_masked_centre_is_fitted_and_flagged(mock):
    batch, _ = mock
    mask = batch.mask.clone()
    mask[2, 22:26, 22:26] = True
    result = isolux.fit(refit(batch, mask=mask), single())
    assert result.status[2] is Status.CONVERGED
    assert Flag.CENTRE_MASKED in result.flags[2]
    assert Flag.CENTRE_MASKED not in result.flags[1]


def test_all_galaxies_bad_still_gives_a_row_each():
    image = np.full((3, 16, 16), np.nan)
    batch = Batch.from_arrays(image, sigma=np.ones_like(image), psf=gaussian_psf(11))
    result = isolux.fit(batch, single())
    assert [s for s in result.status] == [Status.MASKED_OUT] * 3
    assert torch.isnan(result.values).all()
    assert len(result.table()) == 3


def test_blank_image_does_not_hang():
    rng = np.random.default_rng(1)
    image = rng.normal(0, 1, (2, 32, 32))
    image[1] = 0.0
    batch = Batch.from_arrays(image, sigma=np.ones_like(image), psf=gaussian_psf(11))
    result = isolux.fit(batch, single())
    assert all(status in (Status.CONVERGED, Status.STEP_LIMIT, Status.STALLED) for status in result.status)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"errors": "covar"}, "covariance, bootstrap, posterior, none"),
        ({"starts": 0}, "starts >= 1"),
        ({"start": {"galaxy.sersic_indx": [1, 1, 1, 1]}}, "did you mean 'galaxy.sersic_index'"),
    ],
)
def test_misuse_is_explained(mock, options, text):
    with pytest.raises(InputError, match=text):
        isolux.fit(mock[0], single(), **options)


def test_model_with_nothing_to_fit(mock):
    numbers = {"x": 24, "y": 24, "magnitude": 17, "effective_radius": 4, "sersic_index": 1}
    fixed = {
        name: Fixed(value) for name, value in {**numbers, "axis_ratio": 0.5, "position_angle": 0}.items()
    }
    with pytest.raises(InputError, match="nothing to fit"):
        isolux.fit(mock[0], Scene(galaxy=Sersic(**fixed)))


def test_several_starts_find_the_better_minimum(mock):
    batch, truth = mock
    astray = {
        "galaxy.x": truth["x"] + 9.0,
        "galaxy.y": truth["y"] - 9.0,
        "galaxy.magnitude": np.full(4, 21.0),
    }
    one = isolux.fit(batch, single(), start=astray, solver=LevenbergMarquardt(max_steps=12))
    many = isolux.fit(
        batch, single(), start=astray, starts=6, seed=2, solver=LevenbergMarquardt(max_steps=12)
    )
    assert (many.chi2 <= one.chi2 + 1e-6).all()
    assert (many.steps > one.steps).all()


def test_neighbour_and_star_are_fitted_together():
    """A second galaxy and a star at given places start from the light there."""
    size, psf = 64, gaussian_psf()
    blank = np.zeros((1, size, size))
    empty = Batch.from_arrays(blank, sigma=blank + 1, psf=psf, zero_point=22.5)
    shape = {
        "magnitude": 17.0,
        "effective_radius": 5.0,
        "sersic_index": 1.5,
        "axis_ratio": 0.6,
        "position_angle": 20.0,
    }
    truth = Scene(
        main=Sersic(x=31.0, y=32.0, **shape),
        other=Sersic(x=50.0, y=45.0, **{**shape, "magnitude": 18.0, "effective_radius": 3.0}),
        star=PointSource(x=15.0, y=12.0, magnitude=18.5),
    )
    clean = truth.images(empty, truth.values(1)).numpy()
    sigma = np.full_like(clean, 0.02)
    data = clean + sigma * np.random.default_rng(3).standard_normal(clean.shape)
    batch = Batch.from_arrays(data, sigma=sigma, psf=psf, zero_point=22.5)
    model = Scene(
        main=Sersic(), other=Sersic(x=49.0, y=46.0), star=PointSource(x=15.5, y=11.5), sky=FlatSky()
    )
    result = isolux.fit(batch, model)
    assert result.status[0] is Status.CONVERGED
    assert abs(float(result["other.magnitude"]) - 18.0) < 5 * float(result.error("other.magnitude"))
    assert abs(float(result["star.x"]) - 15.0) < 5 * float(result.error("star.x"))
    assert 0.9 < float(result.reduced_chi2) < 1.1


def test_free_form_profile_of_a_thousand_parameters():
    """Over 1000 free pixels through the first-order solver; no matrix of all pairs is formed."""
    rng = np.random.default_rng(2)
    size, psf = 40, gaussian_psf(15)
    blank = np.zeros((1, size, size))
    empty = Batch.from_arrays(blank, sigma=blank + 1, psf=psf, zero_point=22.5)
    galaxy = Scene(
        g=Sersic(
            x=20, y=19, magnitude=17, effective_radius=5, sersic_index=1, axis_ratio=0.6, position_angle=30
        )
    )
    clean = galaxy.images(empty, galaxy.values(1)).numpy()
    data = clean + 0.02 * rng.standard_normal(clean.shape)
    batch = Batch.from_arrays(data, sigma=np.full_like(data, 0.02), psf=psf, zero_point=22.5)
    scene = Scene(light=PixelGrid(shape=(36, 36)), sky=FlatSky(level=Fixed(0.0)))
    solver = FirstOrder(
        "LBFGS", learning_rate=1.0, iterations=30, tolerance=5.0, options={"line_search_fn": "strong_wolfe"}
    )
    result = isolux.fit(batch, scene, solver=solver)
    assert int(result.n_free[0]) == 36 * 36
    assert float(result.chi2) < 1.2 * size**2
    assert result.covariance is None
    assert Flag.NOT_LINEARISED in result.flags[0]
    assert Flag.NO_COVARIANCE not in result.flags[0]
    with pytest.raises(InputError, match="use FirstOrder"):
        isolux.fit(batch, scene)


def test_results_are_joined_in_order(mock):
    batch, _ = mock
    parts = [isolux.fit(part, single()) for part in batch.split(3)]
    joined = isolux.Result.concatenate(parts)
    assert joined.id == batch.id
    assert joined.values.shape == (4, len(joined.columns))
    assert len(dataclasses.fields(joined)) > 10


def test_first_order_solver_agrees_with_levenberg_marquardt(mock):
    batch = mock[0].select([0])
    best = isolux.fit(batch, single())
    result = isolux.fit(
        batch, single(), solver=FirstOrder("Adam", learning_rate=0.5, iterations=1500, tolerance=1e-3)
    )
    assert float(result.chi2 - best.chi2) < 0.3
    assert torch.allclose(result.errors, best.errors, rtol=0.2)


def test_round_galaxy_reaches_its_minimum_from_any_start():
    """At axis ratio 1 the angle has no derivative at all; it must not hold the others back."""
    shape = {
        "magnitude": 16.3,
        "effective_radius": 5.0,
        "sersic_index": 1.0,
        "axis_ratio": 1.0,
        "position_angle": 0.0,
    }
    blank = np.zeros((1, 32, 32))
    empty = Batch.from_arrays(blank, sigma=blank + 1, psf=gaussian_psf(15), zero_point=22.5)
    truth = Scene(g=Sersic(x=15.2, y=15.6, **shape))
    clean = truth.images(empty, truth.values(1)).numpy()
    data = clean + 0.05 * np.random.default_rng(8).standard_normal(clean.shape)
    batch = Batch.from_arrays(data, sigma=np.full_like(data, 0.05), psf=gaussian_psf(15), zero_point=22.5)
    costs = []
    for start in (None, 0.4, 0.7, 0.9, 1.0):
        result = isolux.fit(batch, Scene(g=Sersic(axis_ratio=Free(start)), sky=FlatSky()))
        assert result.status[0] is Status.CONVERGED
        assert int(result.steps[0]) < 20
        costs.append(float(result.chi2[0]))
    assert max(costs) - min(costs) < 0.1


def test_wrong_angle_is_no_trap_at_axis_ratio_one(mock):
    """Begun across the galaxy, a fit rounds itself off, where the angle means nothing; it must come back."""
    batch, truth = mock
    best = isolux.fit(batch, single())
    across = {"galaxy.axis_ratio": np.full(4, 0.9), "galaxy.position_angle": truth["position_angle"] + 90}
    result = isolux.fit(batch, single(), start=across)
    assert result.converged.all()
    assert ((result.chi2 - best.chi2).abs() < 0.1).all()
    assert ((result.values - best.values).abs() <= 0.05 * best.errors.clamp_min(1e-9)).all()


def test_faint_and_unresolved_components_are_flagged_however_they_are_given():
    """Flux and scale radius say it as magnitude and effective radius do."""
    size, psf = 40, gaussian_psf()
    blank = np.zeros((1, size, size))
    empty = Batch.from_arrays(blank, sigma=blank + 1, psf=psf, zero_point=22.5)
    shape = {"axis_ratio": 0.8, "position_angle": 10.0}
    for flux, scale, faint, small in (
        (30.0, 4.0, False, False),
        (1.0, 3.0, True, False),
        (30.0, 0.3, False, True),
    ):
        truth = Scene(disc=Exponential(x=19.3, y=20.1, flux=flux, scale_radius=scale, **shape))
        clean = truth.images(empty, truth.values(1)).numpy()
        data = clean + 0.02 * np.random.default_rng(6).standard_normal(clean.shape)
        batch = Batch.from_arrays(data, sigma=np.full_like(data, 0.02), psf=psf, zero_point=22.5)
        result = isolux.fit(batch, Scene(disc=Exponential(flux=None), sky=FlatSky()))
        assert (Flag.LOW_SIGNAL in result.flags[0]) == faint
        assert faint or (Flag.UNRESOLVED in result.flags[0]) == small  # a faint one may go either way
