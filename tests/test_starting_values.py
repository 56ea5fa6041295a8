"""Starting values measured in images: known answers, odd images, company, and what they are worth to the solver."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import isolux
from isolux import Scene, Sersic, Tied
from isolux.apertures import axis_ratio_of, index_of, lookup, node_of, radius_of, tables
from isolux.profiles import Exponential, FlatSky, Gaussian, Moffat, PointSource
from isolux.simulate import moffat_psf
from isolux.source import measure_source, sky_level
from isolux.start import starting_values
from stubs import mock_batch

galsim = pytest.importorskip("galsim", reason="GalSim, the independent check, is in the extra 'check'")

ONE = Scene(galaxy=Sersic(), sky=FlatSky())
NOISE = 0.03


def drawn(truth, size=64, psf=None, oversampling=1, noise=NOISE, sky=0.0, dtype=torch.float32, **others):
    """A batch of Sérsic galaxies with the given parameters (arrays), other light and noise."""
    count = len(truth["x"])
    psf = moffat_psf(3.0, 31) if psf is None else psf
    blank = isolux.Batch.from_arrays(
        np.zeros((count, size, size)),
        sigma=np.ones((count, size, size)),
        psf=psf,
        psf_oversampling=oversampling,
        zero_point=22.5,
        dtype=torch.float64,
    )
    image = 0.0
    for parameters in (truth, *others.get("more", ())):
        scene = Scene(galaxy=Sersic(**parameters))
        image = image + scene.images(blank, scene.values(count)).numpy()
    rng = np.random.default_rng(7)
    return isolux.Batch.from_arrays(
        others.get("sign", 1.0) * (image + noise * rng.standard_normal(image.shape)) + sky,
        sigma=np.full_like(image, max(noise, 1e-6)),
        mask=others.get("mask"),
        psf=psf,
        psf_oversampling=oversampling,
        zero_point=22.5,
        dtype=dtype,
    )


def population(count=24, size=64, radius=(2, 8), index=(0.5, 5), ratio=(0.25, 0.95), magnitude=17.0, off=1.0):
    rng = np.random.default_rng(3)
    middle = (size - 1) / 2
    return {
        "x": middle + rng.uniform(-off, off, count),
        "y": middle + rng.uniform(-off, off, count),
        "magnitude": np.full(count, float(magnitude)),
        "effective_radius": np.exp(rng.uniform(*np.log(radius), count)),
        "sersic_index": np.exp(rng.uniform(*np.log(index), count)),
        "axis_ratio": rng.uniform(*ratio, count),
        "position_angle": rng.uniform(-90, 90, count),
    }


def differences(batch, truth):
    """Found less true: pixels, magnitudes, decimal logarithms of radius and index, degrees."""
    values, _ = starting_values(ONE, batch)
    found = {name.split(".")[1]: values[:, k].numpy() for k, name in enumerate(ONE.columns)}
    result = {name: found[name] - truth[name] for name in ("magnitude", "axis_ratio")}
    result["off"] = np.hypot(found["x"] - truth["x"], found["y"] - truth["y"])
    for name in ("effective_radius", "sersic_index"):
        result[name] = np.log10(found[name] / truth[name])
    turned = found["position_angle"] - truth["position_angle"]
    result["position_angle"] = np.abs((turned + 90) % 180 - 90)
    return result


def spread(numbers):
    """Half the width of the central 68 %."""
    return float(np.diff(np.percentile(numbers, [16, 84]))[0] / 2)


def test_table_of_apertures_agrees_with_galsim():
    """GalSim's image of an elliptical galaxy, summed under Gaussians; tolerances are what its steps leave."""
    n, q, re = 2.0, 0.55, 20.0
    round_one = galsim.Sersic(
        n=float(index_of(node_of(torch.tensor(n)))), half_light_radius=re * math.sqrt(q)
    )
    image = round_one.shear(q=q, beta=0 * galsim.degrees).drawImage(nx=801, ny=801, scale=1.0).array
    offset = np.arange(801) - 400
    square = offset[None] ** 2 + offset[:, None] ** 2
    width = torch.tensor([[8.0, 20.0, 50.0]], dtype=torch.float64)
    radius = torch.tensor([[round(8 * math.log2(re))]])
    stretch = re / float(radius_of(radius))
    node = node_of(torch.tensor([[n]]))
    seen = lookup(torch.log2(width / stretch), torch.tensor([q]).double(), node, radius)[0, 0, 0]
    for s, share in zip(width[0].tolist(), seen.tolist(), strict=True):
        bell = image * np.exp(-0.5 * square / s**2)
        assert share == pytest.approx(bell.sum(), abs=6e-3)
        elongation = (bell * (offset[None] ** 2 - offset[:, None] ** 2)).sum() / bell.sum() / s**2
        one = (torch.tensor([number]).double() for number in (elongation, s, n, re))
        assert axis_ratio_of(*one).item() == pytest.approx(q, abs=0.03)


def test_tables_are_those_of_the_definition():
    """In a wide aperture all light is seen, in a narrow one the share that lies near the centre."""
    table = tables(torch.device("cpu"))
    assert (table.share[:, :, -1] > 0.99).all()
    assert (table.share.diff(dim=2) >= 0).all()
    assert (table.elongation[-1].abs() < 1e-3).all()
    assert (table.elongation.diff(dim=0) <= 1e-6).all()


def test_bright_galaxies_are_measured_to_a_few_per_cent():
    """Tolerances: about twice what is found; the bias of the index is the Moffat PSF taken as a Gaussian."""
    truth = population()
    off = differences(drawn(truth), truth)
    assert off["off"].max() < 0.3
    assert abs(np.median(off["magnitude"])) < 0.05
    assert spread(off["magnitude"]) < 0.08
    assert abs(np.median(off["effective_radius"])) < 0.03
    assert spread(off["effective_radius"]) < 0.06
    assert abs(np.median(off["sersic_index"])) < 0.08
    assert spread(off["sersic_index"]) < 0.12
    assert abs(np.median(off["axis_ratio"])) < 0.02
    assert spread(off["axis_ratio"]) < 0.04
    assert np.median(off["position_angle"]) < 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sky_is_measured_on_any_pedestal(dtype):
    truth = population()
    level, noise = sky_level(drawn(truth, sky=100.0, dtype=dtype))
    assert (level - 100).abs().max() < 0.2 * NOISE
    assert (noise / NOISE - 1).abs().max() < 0.2


CASES = {
    "off centre": ({"off": 14.0}, {}, 4.0),
    "on a pedestal": ({}, {"sky": 100.0}, 4.5),
    "nearly edge-on": ({"ratio": (0.08, 0.2)}, {}, 5.0),
    "nearly round": ({"ratio": (0.95, 1.0)}, {}, 5.0),
    "16 pixels": ({"size": 16, "radius": (1, 3)}, {"size": 16, "psf": moffat_psf(3.0, 15)}, 6.0),
    "overfilling 16 pixels": ({"size": 16, "radius": (3, 8)}, {"size": 16, "psf": moffat_psf(3.0, 15)}, 12.0),
    "overfilling": ({"radius": (16, 50), "ratio": (0.5, 0.95), "magnitude": 15.5}, {}, 10.0),
    "smaller than the PSF": ({"radius": (0.4, 1.2)}, {}, 8.0),
    "in a large stamp": ({"size": 160, "radius": (1, 3), "count": 8}, {"size": 160}, 5.0),
    "fine PSF": ({"radius": (1, 5)}, {"psf": moffat_psf(7.0, 51), "oversampling": 5}, 4.5),
}


@pytest.mark.parametrize(("kind", "image", "steps"), CASES.values(), ids=CASES.keys())
def test_own_starting_values_lead_where_the_truth_leads(kind, image, steps):
    """The bounds on the mean number of steps are about 1.5 times what is found."""
    truth = population(**({"count": 12} | kind))
    batch = drawn(truth, **image)
    own = isolux.fit(batch, ONE, errors="none")
    start = {f"galaxy.{name}": column for name, column in truth.items()}
    from_truth = isolux.fit(batch, ONE, start=start, errors="none")
    assert (own.chi2 < from_truth.chi2 + 1).all()
    assert own.steps.double().mean() <= steps


def test_masked_neighbour_is_not_measured():
    truth = population()
    beside = {**truth, "x": truth["x"] + 18, "magnitude": truth["magnitude"] - 2, "effective_radius": 2.0}
    beside = {name: np.broadcast_to(column, truth["x"].shape).copy() for name, column in beside.items()}
    y, x = np.mgrid[:64, :64]
    mask = np.hypot(x - beside["x"][:, None, None], y - beside["y"][:, None, None]) < 12
    off = differences(drawn(truth, more=[beside], mask=mask), truth)
    assert off["off"].max() < 1
    assert abs(np.median(off["magnitude"])) < 0.4
    assert abs(np.median(off["effective_radius"])) < 0.2


def test_brighter_neighbour_at_the_edge_does_not_take_the_centre():
    truth = population(radius=(2, 3))
    beside = {**truth, "x": truth["x"] + 26, "magnitude": truth["magnitude"] - 1}
    off = differences(drawn(truth, more=[beside]), truth)
    assert off["off"].max() < 1


def test_position_from_a_table_finds_its_own_source():
    truth = population(count=4, radius=(2, 4))
    beside = {**truth, "x": truth["x"] + 16}
    batch = drawn(truth, more=[beside])
    pair = Scene(one=Sersic(), two=Sersic(), sky=FlatSky())
    table = {f"{who}.{c}": place[c] for who, place in (("one", truth), ("two", beside)) for c in ("x", "y")}
    values, _ = starting_values(pair, batch, table)
    columns = dict(zip(pair.columns, values.unbind(1), strict=True))
    for who in ("one", "two"):
        assert (columns[f"{who}.magnitude"] - 17.0).abs().max() < 0.6
        assert (
            columns[f"{who}.effective_radius"] / torch.tensor(truth["effective_radius"])
        ).log2().abs().max() < 1


@pytest.mark.parametrize("what", ["negative", "empty", "constant", "zeros", "one bright pixel"])
def test_images_without_a_galaxy_give_finite_starts_within_bounds(what):
    batch = drawn(population(count=3), sign=-1.0)
    image = batch.image.clone()
    if what != "negative":
        image = torch.zeros_like(image)
    if what == "empty":
        image = NOISE * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    if what == "constant":
        image += 5.0
    if what == "one bright pixel":
        image[:, 30, 30] = 1e5
    values, _ = starting_values(ONE, dataclasses.replace(batch, image=image))
    assert torch.isfinite(values).all()
    columns = dict(zip(ONE.columns, values.unbind(1), strict=True))
    assert ((columns["galaxy.x"] - 31.5).abs() < 32).all()
    assert ((columns["galaxy.effective_radius"] > 0.05) & (columns["galaxy.effective_radius"] < 500)).all()


def test_masked_out_or_nearly_so_is_finite():
    batch = drawn(population(count=3))
    mask = torch.ones_like(batch.mask)
    mask[1, 30:34, 30:34] = False
    mask[2, :, 33:] = False
    values, _ = starting_values(ONE, dataclasses.replace(batch, mask=mask, image=batch.image * ~mask))
    assert torch.isfinite(values).all()


def test_scale_of_the_image_does_not_matter():
    """Images in maggies, 1e-9 times those in nanomaggies: the same galaxies to the precision of float32."""
    batch = drawn(population(count=5))
    small = dataclasses.replace(batch, image=batch.image * 1e-9, zero_point=batch.zero_point - 22.5)
    one, two = (starting_values(ONE, b)[0] for b in (batch, small))
    level = ONE.columns.index("sky.level")
    assert torch.allclose(one[:, :level], two[:, :level], atol=1e-3)
    assert torch.allclose(one[:, level], two[:, level] * 1e9, atol=1e-5)


def test_company_order_and_number_change_no_bit():
    batch, _ = mock_batch(count=37)
    whole, _ = starting_values(ONE, batch)
    order = np.random.default_rng(1).permutation(37).tolist()
    shuffled, _ = starting_values(ONE, batch.select(order))
    assert torch.equal(shuffled, whole[order])
    spoiled = dataclasses.replace(batch, image=batch.image.clone())
    spoiled.image[3] = torch.nan
    kept = [k for k in range(37) if k != 3]
    assert torch.equal(starting_values(ONE, spoiled)[0][kept], whole[kept])
    given = torch.full((37,), 4.0)
    given[3] = torch.nan
    fixed = Scene(galaxy=Sersic(sersic_index=given), sky=FlatSky())
    one, two = (starting_values(fixed, b, None)[0] for b in (batch, spoiled))
    assert torch.equal(one[kept], two[kept])


def test_padding_is_not_looked_at():
    """A stamp alone and padded to the size of another: the same to the widths of the Gaussians, a little over 1 %."""
    small, large = drawn(population(count=1)), drawn(population(count=1, size=96), size=96)
    sigma = [b.sigma[0].numpy() for b in (small, large)]
    images = [b.image[0].numpy() for b in (small, large)]
    both = isolux.Batch.from_arrays(images, sigma=sigma, psf=small.psf[0], zero_point=22.5)
    alone, padded = starting_values(ONE, small)[0][0], starting_values(ONE, both)[0][0]
    assert torch.allclose(alone[:7], padded[:7], rtol=0.03)


def test_index_that_is_given_decides_the_radius():
    """A de Vaucouleurs galaxy that is fitted as such starts near its radius; an exponential at 0.596 of it."""
    truth = population(index=(4, 4.001), radius=(5, 8))
    batch = drawn(truth, noise=1e-3)
    radii = {}
    for n in (1.0, 4.0):
        scene = Scene(galaxy=Sersic(sersic_index=isolux.Fixed(n)), sky=FlatSky())
        values, _ = starting_values(scene, batch)
        radii[n] = values[:, scene.columns.index("galaxy.effective_radius")].numpy()
    assert abs(np.median(np.log10(radii[4.0] / truth["effective_radius"]))) < 0.07
    exponential = Scene(galaxy=Exponential(), sky=FlatSky())
    values, _ = starting_values(exponential, batch)
    scale = values[:, exponential.columns.index("galaxy.scale_radius")].numpy()
    assert np.allclose(scale, 0.596 * radii[1.0])


def two_components(count=10):
    disc = population(count, radius=(6, 8), index=(1, 1.001), ratio=(0.5, 0.9), magnitude=16.5)
    bulge = {**disc, "effective_radius": 0.3 * disc["effective_radius"], "sersic_index": np.full(count, 4.0)}
    return bulge, disc, drawn(disc, more=[bulge], noise=0.01)


def test_bulge_and_disc_are_told_apart():
    """Sizes to 0.3 dex and shares of the light to 0.25: within reach of the solver in a few steps."""
    bulge, disc, batch = two_components()
    centre = {"x": Tied("disc.x"), "y": Tied("disc.y")}
    scene = Scene(disc=Exponential(), bulge=Sersic(sersic_index=isolux.Fixed(4.0), **centre), sky=FlatSky())
    values, _ = starting_values(scene, batch)
    columns = dict(zip(scene.columns, values.numpy().T, strict=True))
    for name, found, true in (
        ("bulge", columns["bulge.effective_radius"], bulge["effective_radius"]),
        ("disc", columns["disc.scale_radius"] / 0.596, disc["effective_radius"]),
    ):
        assert np.abs(np.log10(found / true)).max() < 0.3, name
    bulge_flux, disc_flux = (10 ** (-0.4 * columns[f"{part}.magnitude"]) for part in ("bulge", "disc"))
    assert np.abs(bulge_flux / (bulge_flux + disc_flux) - 0.5).max() < 0.25
    result = isolux.fit(batch, scene, errors="none")
    assert result.converged.all()
    assert result.steps.double().mean() < 8


def test_names_and_order_say_which_component_is_the_inner_one():
    _, _, batch = two_components(2)
    for names, inner in ((("bulge", "disc"), "bulge"), (("disc", "bar"), "bar"), (("a", "b"), "a")):
        scene = Scene(**{name: Sersic() for name in names})
        values, _ = starting_values(scene, batch)
        radius = {n: values[:, scene.columns.index(f"{n}.effective_radius")] for n in names}
        other = next(name for name in names if name != inner)
        assert (radius[inner] < radius[other]).all()


def test_point_source_in_a_disc_takes_part_of_the_light():
    _, _, batch = two_components(3)
    scene = Scene(agn=PointSource(), disc=Exponential())
    values, _ = starting_values(scene, batch)
    columns = dict(zip(scene.columns, values.unbind(1), strict=True))
    point, disc = (10 ** (-0.4 * columns[f"{part}.magnitude"]) for part in ("agn", "disc"))
    assert ((point / disc > 0.04) & (point / disc < 1)).all()


def test_three_components_and_other_profiles_start_somewhere_sensible():
    _, _, batch = two_components(3)
    scene = Scene(bulge=Sersic(), bar=Gaussian(), disc=Moffat(), sky=FlatSky())
    values, estimated = starting_values(scene, batch)
    assert torch.isfinite(values).all()
    assert estimated[scene.columns.index("bar.fwhm")]
    total = sum(
        10 ** (-0.4 * values[:, scene.columns.index(f"{n}.magnitude")]) for n in ("bulge", "bar", "disc")
    )
    assert (-2.5 * torch.log10(total) - 15.75).abs().max() < 0.5


def test_intensity_is_that_of_the_flux():
    batch = drawn(population(count=3))
    by_flux, by_intensity = Scene(g=Sersic(flux=isolux.Free())), Scene(g=Sersic(intensity=isolux.Free()))
    one, two = (s.images(batch, starting_values(s, batch)[0]) for s in (by_flux, by_intensity))
    assert torch.allclose(one, two, rtol=1e-3, atol=1e-5)


def test_source_of_no_psf():
    batch = drawn(population(count=3))
    source = measure_source(dataclasses.replace(batch, psf=None))
    assert torch.isfinite(source.axis_ratio).all()
