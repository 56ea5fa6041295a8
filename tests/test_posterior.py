"""Posterior samples: against the covariance, against emcee, against priors alone; each galaxy by itself."""

import numpy as np
import pytest
import torch

import isolux
from isolux import Batch, Fixed, Flag, FlatSky, Free, Gaussian, InputError, Sampler, Scene, Sersic, Status
from isolux.io.runfile import read_run_file
from isolux.noise import correlated_noise
from isolux.priors import GaussianPrior, LogNormalPrior, UniformPrior
from isolux.profiles import PixelGrid
from isolux.simulate import draw
from stubs import drizzled, gaussian_psf, mock_batch

MODEL = Scene(galaxy=Sersic(), sky=FlatSky())
SIMPLE = Scene(
    galaxy=Gaussian(x=Fixed(8.0), y=Fixed(7.5), axis_ratio=Fixed(0.7), position_angle=Fixed(20.0)),
    sky=FlatSky(),
)


def simple(noise, seed=0, galaxies=2):
    """Gaussian galaxies of three free parameters: magnitude, width and sky."""
    truth = Gaussian(x=8.0, y=7.5, magnitude=20.0, fwhm=4.0, axis_ratio=0.7, position_angle=20.0)
    psf = gaussian_psf(9)
    clean = draw(Scene(galaxy=truth), (17, 17), psf=psf, zero_point=25.0)[0].numpy()
    white = np.random.default_rng(seed).standard_normal((galaxies, 17, 17))
    image = clean + noise * white
    return Batch.from_arrays(
        image, sigma=np.full_like(image, noise), psf=psf, zero_point=25.0, dtype=torch.float64
    )


def free_columns(result):
    return [k for k, kind in enumerate(result.kinds) if kind == "free"]


def test_widths_are_those_of_the_covariance_where_chi2_is_quadratic():
    batch, _ = mock_batch(count=2, size=24, noise=0.003)
    scene = Scene(galaxy=Sersic(), sky=FlatSky())
    curvature = isolux.fit(batch, scene)
    result = isolux.fit(batch, scene, errors="posterior", seed=1)
    free = free_columns(result)
    assert result.samples.shape == (2, 500, len(result.columns))
    assert torch.equal(result.values, curvature.values)
    # 400 effective samples: 0.035 of a width, 0.05 of a mean; three of them
    assert ((result.errors / curvature.errors)[:, free] - 1).abs().max() < 0.12
    shift = (result.samples.mean(1) - result.values)[:, free] / curvature.errors[:, free]
    assert shift.abs().max() < 0.25
    assert (result.rhat[:, free] <= 1.03).all()
    assert (result.effective_samples[:, free] >= 400).all()
    assert not any(Flag.NOT_MIXED in flags for flags in result.flags)


def test_quantiles_are_those_of_emcee():
    """Stretch moves on a likelihood and a prior that are written down once more here; the width is hardly resolved."""
    emcee = pytest.importorskip("emcee", reason="emcee, the independent sampler, is in the extra 'dev'")
    batch, walkers = simple(noise=1.0, galaxies=1), 12
    ours = isolux.fit(batch, SIMPLE, errors="posterior", sampler=Sampler(draws=1000, effective=600))
    copies = Batch.from_arrays(
        batch.image.expand(walkers, -1, -1),
        sigma=batch.sigma.expand(walkers, -1, -1),
        psf=batch.psf[0],
        zero_point=25.0,
        dtype=torch.float64,
    )
    columns = [
        ours.columns.index(c)
        for c in ours.columns
        if c.name in ("galaxy.magnitude", "galaxy.fwhm", "sky.level")
    ]

    def log_probability(points):
        """Flat in magnitude, ln(fwhm) and sky between the bounds that the profile declares."""
        values = ours.values.repeat(len(points), 1)
        values[:, columns] = torch.as_tensor(np.stack([points[:, 0], np.exp(points[:, 1]), points[:, 2]], 1))
        model = SIMPLE.images(copies.select(range(len(points))), values)
        chi2 = ((batch.image - model) ** 2).sum((1, 2)).numpy()
        inside = (
            (np.exp(points[:, 1]) > 0.05) & (np.exp(points[:, 1]) < 5000) & (np.abs(points[:, 0] - 15) < 65)
        )
        return np.where(inside, -chi2 / 2, -np.inf)

    rng = np.random.default_rng(1)
    start = ours.samples[0][rng.choice(1000, walkers)][:, columns].numpy()
    start[:, 1] = np.log(start[:, 1])
    sampler = emcee.EnsembleSampler(walkers, 3, log_probability, vectorize=True)
    sampler.random_state = np.random.RandomState(1).get_state()
    sampler.run_mcmc(start, 900)
    theirs = sampler.get_chain(discard=150, flat=True)
    independent = len(theirs) / sampler.get_autocorr_time(tol=0).max()
    mine = ours.samples[0][:, columns].numpy()
    mine[:, 1] = np.log(mine[:, 1])
    for level in (0.16, 0.5, 0.84):
        # in standard normal deviates: the error of a quantile is some 1.5 / sqrt(N); three of them
        share = (theirs < np.quantile(mine, level, axis=0)).mean(0)
        error = np.sqrt(level * (1 - level) * (1 / independent + 1 / 600))
        assert (np.abs(share - level) < 3 * error).all(), (level, share)


PRIORS = (
    GaussianPrior("galaxy.x", 8.0, 0.5),
    UniformPrior("galaxy.effective_radius", 2.0, 6.0),
    GaussianPrior("galaxy.sersic_index", 2.0, 0.5),
    LogNormalPrior("sky.level", 3.0, 0.2),
)


def test_without_data_the_posterior_is_the_prior():
    """Every Jacobian counts here: logits of bounds, logarithms, and priors on what is fitted as a logarithm."""
    blank = np.zeros((3, 9, 9))
    batch = Batch.from_arrays(blank, sigma=np.full_like(blank, 1e9), psf=gaussian_psf(5), zero_point=20.0)
    scene = Scene(
        galaxy=Sersic(
            magnitude=Free(19.0, lower=18, upper=20), x=8.0, y=Fixed(4.0), position_angle=Fixed(10.0)
        ),
        sky=FlatSky(level=3.0),
    )
    start = {
        "galaxy.effective_radius": [4.0] * 3,
        "galaxy.axis_ratio": [0.5] * 3,
        "galaxy.position_angle": [10.0] * 3,
    }
    result = isolux.fit(
        batch,
        scene,
        errors="posterior",
        priors=PRIORS,
        start=start,
        sampler=Sampler(effective=150, rhat=1.06),
    )
    names = [column.name for column in result.columns]
    x = {name: result.samples[..., names.index(name)].flatten().numpy() for name in names}
    n = x["galaxy.sersic_index"]
    normal = torch.special.ndtr
    ranks = {
        "galaxy.x": normal(torch.as_tensor((x["galaxy.x"] - 8) / 0.5)).numpy(),
        "galaxy.magnitude": (x["galaxy.magnitude"] - 18) / 2,
        "galaxy.effective_radius": (x["galaxy.effective_radius"] - 2) / 4,
        "galaxy.sersic_index": normal(torch.as_tensor((n - 2) / 0.5)).numpy(),
        "galaxy.axis_ratio": (x["galaxy.axis_ratio"] - 0.05) / 0.95,
        "sky.level": normal(torch.as_tensor(np.log10(x["sky.level"] / 3.0) / 0.2)).numpy(),
    }
    for name, rank in ranks.items():
        # three galaxies of 150 effective samples: 0.024 of a share; four of them
        shares = [(rank < level).mean() for level in (0.1, 0.5, 0.9)]
        assert shares == pytest.approx([0.1, 0.5, 0.9], abs=0.095), name


def test_a_flat_prior_without_a_word_is_flat_in_the_logarithm_of_a_size():
    blank = np.zeros((2, 9, 9))
    batch = Batch.from_arrays(blank, sigma=np.full_like(blank, 1e9), psf=gaussian_psf(5), zero_point=20.0)
    size = Free(2.0, lower=0.5, upper=8.0)
    scene = Scene(
        galaxy=Gaussian(
            x=Fixed(4),
            y=Fixed(4),
            magnitude=Fixed(19),
            fwhm=size,
            axis_ratio=Fixed(1.0),
            position_angle=Fixed(0),
        )
    )
    result = isolux.fit(batch, scene, errors="posterior")
    shares = [(result.samples[..., 3] < edge).double().mean().item() for edge in (1.0, 2.0, 4.0)]
    assert shares == pytest.approx([0.25, 0.5, 0.75], abs=0.06)


def test_widths_under_correlated_noise_are_those_of_the_corrected_covariance():
    batch = simple(noise=0.05, galaxies=2)
    noise = correlated_noise(torch.as_tensor(drizzled()), (17, 17), 2, torch.Generator().manual_seed(1))
    clean = batch.image - 0.05 * torch.as_tensor(np.random.default_rng(0).standard_normal((2, 17, 17)))
    batch = Batch.from_arrays(
        clean + 0.05 * noise,
        sigma=batch.sigma,
        psf=batch.psf[0],
        zero_point=25.0,
        noise_correlation=drizzled(),
        dtype=torch.float64,
    )
    curvature = isolux.fit(batch, SIMPLE)
    result = isolux.fit(batch, SIMPLE, errors="posterior")
    free = free_columns(result)
    assert ((result.errors / curvature.errors)[:, free] - 1).abs().max() < 0.12
    # A prior has its weight beside the data: that of a quadratic likelihood with the corrected covariance.
    width = 0.5 * curvature.errors[0, free[0]].item()
    prior = GaussianPrior("galaxy.magnitude", curvature.values[0, free[0]].item() + 4 * width, width)
    informed = isolux.fit(batch, SIMPLE, errors="posterior", priors=[prior])
    precision = torch.linalg.inv(curvature.covariance[0][free][:, free])
    precision[0, 0] += width**-2
    expected = torch.linalg.inv(precision)
    shift = expected[:, 0] * 4 / width
    assert ((informed.errors[0, free] / expected.diagonal().sqrt()) - 1).abs().max() < 0.12
    found = informed.samples[0].mean(0)[free] - curvature.values[0, free]
    assert ((found - shift) / expected.diagonal().sqrt()).abs().max() < 0.3


def test_a_galaxy_gets_the_same_samples_in_any_company():
    batch, _ = mock_batch(count=4, size=24, noise=0.02)
    sampler = Sampler(draws=50, effective=50, rhat=1.2)
    options = {"errors": "posterior", "sampler": sampler, "seed": 3}
    start = isolux.fit(batch, MODEL)
    table = {column.name: start.values[:, k] for k, column in enumerate(start.columns)}
    whole = isolux.fit(batch, MODEL, start=table, **options)
    image = batch.image.clone()
    image[1] = torch.nan
    spoilt = Batch.from_arrays(image, sigma=batch.sigma, psf=batch.psf[0], zero_point=22.5, pixel_scale=0.4)
    broken = isolux.fit(spoilt, MODEL, start=table, **options)
    assert broken.status[1] is Status.MASKED_OUT
    assert torch.isnan(broken.samples[1]).all()
    assert torch.equal(whole.samples[[0, 2, 3]], broken.samples[[0, 2, 3]])
    back = [3, 1, 0, 2]
    turned = isolux.fit(batch.select(back), MODEL, start={k: v[back] for k, v in table.items()}, **options)
    assert torch.equal(whole.samples[back], turned.samples)
    other = isolux.fit(batch, MODEL, start=table, **{**options, "seed": 4})
    assert not torch.equal(whole.samples[0], other.samples[0])


def test_a_parameter_at_its_bound_has_an_error_here():
    batch, _ = mock_batch(count=2, size=24, noise=0.02)
    scene = Scene(galaxy=Sersic(sersic_index=Free(0.3, lower=0.2, upper=0.35)), sky=FlatSky())
    result = isolux.fit(batch, scene, errors="posterior", sampler=Sampler(evaluations=1024))
    assert all(Flag.AT_BOUND in flags and Flag.NO_COVARIANCE not in flags for flags in result.flags)
    n = result.samples[..., [column.name for column in result.columns].index("galaxy.sersic_index")]
    assert ((n > 0.2) & (n < 0.35)).all()
    assert (result.error("galaxy.sersic_index") > 0).all()


def test_too_few_evaluations_are_told():
    result = isolux.fit(simple(noise=2.0), SIMPLE, errors="posterior", sampler=Sampler(evaluations=256))
    assert all(Flag.NOT_MIXED in flags for flags in result.flags)
    assert torch.isfinite(result.samples).all()


def test_catalogue_has_percentiles_and_what_they_are_worth():
    batch, _ = mock_batch(count=2, size=24, noise=0.02)
    scene = Scene(galaxy=Sersic(position_angle=Free(89.0)), sky=FlatSky(level=Fixed(0.0)))
    result = isolux.fit(batch, scene, errors="posterior", sampler=Sampler(draws=100, effective=50, rhat=1.2))
    table = result.table()
    names = [column.name for column in result.columns]
    radius = result.samples[..., names.index("galaxy.effective_radius")].numpy()
    assert np.allclose(table["galaxy_effective_radius_p50"].value, 0.4 * np.median(radius, 1))
    assert table["galaxy_effective_radius_p50"].unit == "arcsec"
    assert (table["galaxy_magnitude_p16"] < table["galaxy_magnitude_p84"]).all()
    assert "sky_level_p50" not in table.colnames
    assert (table["rhat"] < 1.2).all()
    assert (table["effective_samples"] > 50).all()
    angle = names.index("galaxy.position_angle")
    assert ((result.samples[..., angle] - result.values[:, None, angle]).abs() <= 90).all()
    both = isolux.Result.concatenate([result, result.select([1])])
    assert both.rhat.shape == (3, len(names))
    assert len(both.table()) == 3


def test_misuse_is_explained():
    batch = simple(noise=1.0)
    with pytest.raises(InputError, match="scale_errors"):
        isolux.fit(batch, SIMPLE, errors="posterior", scale_errors=True)
    grid = Scene(free=PixelGrid((3, 3)))
    with pytest.raises(InputError, match="posterior samples: free parameters"):
        isolux.fit(batch, grid, errors="posterior", solver=isolux.FirstOrder(iterations=2))


def test_run_file_has_a_sampler(tmp_path):
    text = "[input]\nimage = 'a.fits'\n[model.galaxy]\nprofile = 'sersic'\n[fit]\nerrors = 'posterior'\n"
    (tmp_path / "run.toml").write_text(text + "sampler = { draws = 40, rhat = 1.1 }\n")
    options = read_run_file(tmp_path / "run.toml").options
    assert options.sampler == Sampler(draws=40, rhat=1.1)
    assert options.fit_arguments["errors"] == "posterior"
    (tmp_path / "run.toml").write_text(text + "sampler = { draw = 40 }\n")
    with pytest.raises(InputError, match="did you mean 'draws'"):
        read_run_file(tmp_path / "run.toml")
