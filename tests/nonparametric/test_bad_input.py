"""What is wrong with one galaxy is its flag and NaN; the others do not notice."""

import dataclasses

import numpy as np
import pytest
import torch

from isolux.errors import InputError
from isolux.nonparametric import COLUMNS, ShapeFlag, Shapes, measure_shapes
from isolux.nonparametric.flags import SHAPE_MESSAGES
from isolux.nonparametric.shapes import NAMES, WITH_ERRORS

SIDE, COUNT, NOISE = 40, 12, 0.5


def galaxies(rng) -> dict:
    """Return noisy discs of several sizes and shapes as arguments."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    x, y = rng.uniform(18, 21, (2, COUNT))
    q, angle, size = rng.uniform(0.3, 1, COUNT), rng.uniform(-90, 90, COUNT), rng.uniform(1.5, 4, COUNT)
    sin, cos = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    dx, dy = (columns - x[:, None, None]), (rows - y[:, None, None])
    major = -dx * sin[:, None, None] + dy * cos[:, None, None]
    minor = dx * cos[:, None, None] + dy * sin[:, None, None]
    image = 60 * np.exp(-np.hypot(major, minor / q[:, None, None]) / size[:, None, None])
    image += rng.normal(0, NOISE, image.shape)
    mask = rng.uniform(size=image.shape) < 0.01
    return {
        "image": image,
        "mask": mask,
        "sigma_sky": np.full(COUNT, NOISE),
        "x": x,
        "y": y,
        "axis_ratio": q,
        "position_angle": angle,
    }


def rows_of(arguments: dict, rows) -> dict:
    return {name: values[rows] for name, values in arguments.items()}


def spoil(arguments: dict, k: int, how: str) -> None:
    image, mask = arguments["image"], arguments["mask"]
    match how:
        case "nan":
            image[k] = np.nan
        case "infinite":
            image[k] = np.inf
        case "masked":
            mask[k] = True
        case "dark":
            image[k] = 0
        case "negative":
            image[k] = -np.abs(image[k])
        case "noise":
            image[k] = np.random.default_rng(5).normal(0, NOISE, image[k].shape)
        case "no noise":
            arguments["sigma_sky"][k] = 0
        case "nan noise":
            arguments["sigma_sky"][k] = np.nan
        case "far":
            arguments["x"][k] = SIDE + 3
        case "nan centre":
            arguments["y"][k] = np.nan
        case "flat":
            arguments["axis_ratio"][k] = 0
        case "fat":
            arguments["axis_ratio"][k] = 1.5
        case "nan angle":
            arguments["position_angle"][k] = np.nan


BAD = {
    "nan": ShapeFlag.INVALID,
    "infinite": ShapeFlag.INVALID,
    "masked": ShapeFlag.INVALID,
    "dark": ShapeFlag.NO_LIGHT,
    "negative": ShapeFlag.NO_LIGHT,
    "noise": ShapeFlag.NO_LIGHT,
    "no noise": ShapeFlag.INVALID,
    "nan noise": ShapeFlag.INVALID,
    "far": ShapeFlag.INVALID,
    "nan centre": ShapeFlag.INVALID,
    "flat": ShapeFlag.INVALID,
    "fat": ShapeFlag.INVALID,
    "nan angle": ShapeFlag.INVALID,
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_galaxy_is_flagged_and_touches_no_other(rng, how):
    arguments = galaxies(rng)
    clean = measure_shapes(**arguments)
    spoil(arguments, 4, how)
    found = measure_shapes(**arguments)
    assert found.flags[4] == BAD[how]
    assert bool(torch.isnan(found.values[4]).all())
    assert bool(torch.isnan(found.errors[4]).all())
    others = [k for k in range(COUNT) if k != 4]
    assert torch.equal(found.values[others].nan_to_num(-9), clean.values[others].nan_to_num(-9))
    assert torch.equal(found.errors[others].nan_to_num(-9), clean.errors[others].nan_to_num(-9))
    assert [found.flags[k] for k in others] == [clean.flags[k] for k in others]


def test_the_order_of_galaxies_does_not_matter(rng):
    arguments = galaxies(rng)
    order = np.array([7, 0, 11, 3, 4, 1, 2, 10, 9, 8, 5, 6])
    clean, turned = measure_shapes(**arguments), measure_shapes(**rows_of(arguments, order))
    assert torch.equal(turned.values.nan_to_num(-9), clean.values[order].nan_to_num(-9))
    assert torch.equal(turned.errors.nan_to_num(-9), clean.errors[order].nan_to_num(-9))


def test_alone_and_in_company_results_agree(rng):
    arguments = galaxies(rng)
    clean = measure_shapes(**arguments)
    for k in range(COUNT):
        alone = measure_shapes(**rows_of(arguments, [k]))
        # Sums are in single precision, and may be split otherwise.
        torch.testing.assert_close(alone.values[0], clean.values[k], rtol=1e-4, atol=1e-4, equal_nan=True)
        assert alone.flags[0] == clean.flags[k]


def test_every_galaxy_is_measured(rng):
    found = measure_shapes(**galaxies(rng))
    # Smoothness needs squares of two pixels, a Petrosian radius of eight.
    known = [k for k, name in enumerate(NAMES) if name != "smoothness"]
    assert bool(torch.isfinite(found.values[:, known]).all())
    errors = [NAMES.index(name) for name in WITH_ERRORS]
    assert bool((found.errors[:, errors] > 0).all())


def test_units_of_the_image_do_not_matter(rng):
    arguments = galaxies(rng)
    clean = measure_shapes(**arguments)
    arguments["image"], arguments["sigma_sky"] = arguments["image"] * 1e-11, arguments["sigma_sky"] * 1e-11
    found = measure_shapes(**arguments, zero_point=-27.5)
    for name in ("asymmetry", "gini", "m20", "r50", "kron_radius", "kron_magnitude"):
        torch.testing.assert_close(found[name], clean[name], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found["kron_flux"], clean["kron_flux"] * 1e-11, rtol=1e-6, atol=0)


def test_an_aperture_beyond_the_stamp_is_flagged():
    rows, columns = np.mgrid[:SIDE, :SIDE] - 20.0
    wide, small = (np.exp(-np.hypot(rows, columns) / size) for size in (6.0, 2.0))
    found = measure_shapes(np.stack([wide, small]), None, 1e-4, 20.0, 20.0, 1.0, 0.0)
    assert ShapeFlag.EDGE in found.flags[0]
    assert ShapeFlag.EDGE not in found.flags[1]
    limited = measure_shapes(small[None], None, 1e-4, 20.0, 20.0, 1.0, 0.0, max_radius=6.0)
    assert ShapeFlag.EDGE in limited.flags[0]
    assert float(limited["kron_flux"][0]) < float(found["kron_flux"][1])


def test_no_petrosian_radius_in_the_stamp():
    rows, columns = np.mgrid[:SIDE, :SIDE] - 20.0
    flat = np.exp(-np.hypot(rows, columns) / 60)
    found = measure_shapes(flat[None], None, 1e-3, 20.0, 20.0, 1.0, 0.0)
    assert ShapeFlag.NO_PETROSIAN in found.flags[0]
    for name in ("petrosian_radius", "petrosian_flux", "r50", "concentration", "asymmetry", "gini", "m20"):
        assert np.isnan(float(found[name][0])), name
        assert np.isnan(float(found.error(name)[0])), name
    assert np.isfinite(float(found["kron_flux"][0]))


def test_masks_at_the_centre_and_of_much_are_flagged(rng):
    arguments = rows_of(galaxies(rng), slice(0, 3))
    arguments["mask"][:] = False
    arguments["mask"][0, 18:22, 18:22] = True
    arguments["mask"][1, :, :21] = True
    found = measure_shapes(**arguments)
    assert ShapeFlag.CENTRE_MASKED in found.flags[0]
    assert ShapeFlag.TOO_MASKED in found.flags[1]
    assert not found.flags[2] & (ShapeFlag.CENTRE_MASKED | ShapeFlag.TOO_MASKED)


def test_faint_and_small_galaxies_are_flagged(rng):
    arguments = rows_of(galaxies(rng), slice(0, 2))
    arguments["sigma_sky"][0] = 40 * NOISE
    arguments["image"][0] += rng.normal(0, 40 * NOISE, (SIDE, SIDE))
    found = measure_shapes(**arguments, psf_fwhm=np.array([1.0, 9.0]))
    assert found.flags[0] & (ShapeFlag.LOW_SIGNAL | ShapeFlag.NO_LIGHT)
    assert ShapeFlag.SMALL in found.flags[1]


def test_a_brighter_neighbour_does_not_take_the_segment():
    rows, columns = np.mgrid[:61, :61]
    image = 10 * np.exp(-np.hypot(rows - 30, columns - 22) / 2.0)
    with_neighbour = image + 40 * np.exp(-np.hypot(rows - 30, columns - 54) / 1.0)
    one, two = (measure_shapes(i[None], None, 1e-2, 22.0, 30.0, 1.0, 0.0) for i in (image, with_neighbour))
    assert float(two["gini"][0]) == pytest.approx(float(one["gini"][0]), abs=0.02)
    assert abs(float(two["x"][0]) - 22) < 0.1


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"image": np.zeros((40, 40))}, "shape of the images"),
        ({"image": np.zeros((3, 5, 5))}, "12 or more"),
        ({"mask": np.zeros((3, 40, 40))}, "shape of the mask"),
        ({"sigma_sky": np.ones(5)}, "shape of sigma_sky"),
        ({"x": np.ones((12, 1))}, "shape of x"),
        ({"segmentation": np.zeros((12, 4, 4))}, "shape of the segmentation"),
    ],
)
def test_shapes_that_do_not_fit_are_errors(rng, changed, word):
    with pytest.raises(InputError, match=word):
        measure_shapes(**(galaxies(rng) | changed))


def test_no_galaxy_is_an_empty_table():
    empty = measure_shapes(np.zeros((0, 30, 30)), None, 1.0, 15, 15, 1.0, 0.0)
    assert len(empty) == 0
    assert len(empty.table()) == 0


def test_rows_are_chosen_and_joined(rng):
    found = measure_shapes(**galaxies(rng))
    joined = Shapes.concatenate([found.select([0, 1, 2]), found.select(range(3, COUNT))])
    for field in dataclasses.fields(Shapes):
        one, two = getattr(joined, field.name), getattr(found, field.name)
        same = (
            torch.equal(one.nan_to_num(-9), two.nan_to_num(-9))
            if isinstance(one, torch.Tensor)
            else one == two
        )
        assert same, field.name
    with pytest.raises(KeyError):
        found["nothing"]


def test_every_flag_has_a_sentence_and_every_column_a_meaning():
    assert set(SHAPE_MESSAGES) == set(ShapeFlag)
    assert ShapeFlag(4 + 64).messages == [
        SHAPE_MESSAGES[ShapeFlag.EDGE],
        SHAPE_MESSAGES[ShapeFlag.LOW_SIGNAL],
    ]
    assert all(column.meaning for column in COLUMNS)
    assert len(set(NAMES)) == len(NAMES)
