"""Mocks as input: a galaxy does not depend on how the survey is cut."""

import dataclasses

import numpy as np
import pytest

from isolux import Exponential, FlatSky, Scene, Sersic
from isolux.errors import InputError
from isolux.io.rows import numbers_of, text_of
from isolux.simulate import Observation
from isolux.survey.mocks import BLOCK, MocksInput

VIEW = Observation(size=32, psf_size=11)


def mocks(count=300, **options):
    scene = Scene(sersic=Sersic(), sky=FlatSky())
    return MocksInput(scene=scene, count=count, observation=VIEW, **options)


def batches(source, part):
    return [portion.batch for portion in source.portions(part)]


def test_every_galaxy_is_in_one_part_and_neighbours_are_together():
    source = mocks(1000)
    parts = list(source.plan(96, 1 << 30))
    names = [name for part in parts for name in text_of(part.listing, "id")]
    assert len(set(names)) == len(names) == 1000
    assert max(map(len, parts)) == 96
    ra, dec = source.places(np.arange(1000))
    steps = np.hypot(np.diff(ra) * np.cos(np.radians(dec[1:])), np.diff(dec))
    assert steps.max() < 1.01 * source.side  # next in number is next on the sky; 1 %: rows differ in cos(dec)


def test_a_galaxy_is_the_same_however_the_survey_is_cut():
    source = mocks()
    whole = batches(source, next(source.plan(300, 1 << 30)))
    some = batches(source, list(source.plan(70, 1 << 30))[2])
    every = {name: image for batch in whole for name, image in zip(batch.id, batch.image, strict=True)}
    found = {name: image for batch in some for name, image in zip(batch.id, batch.image, strict=True)}
    assert sorted(found) == [f"mock_{n:06d}" for n in range(140, 210)]
    assert all(bool((image == every[name]).all()) for name, image in found.items())


def test_parts_keep_to_the_limit_of_pixels():
    assert max(len(part) for part in mocks().plan(1000, 50 * VIEW.size**2)) == 50


def test_rows_find_the_truth():
    source = mocks(40)
    part = next(source.plan(40, 1 << 30))
    found = source.measure(part, frozenset({"mock_000003"}))
    rows = found.rows
    assert text_of(rows, "id") == text_of(part.listing, "id")
    pulls = (numbers_of(rows, "sersic_magnitude") - numbers_of(rows, "truth_sersic_magnitude")) / numbers_of(
        rows, "sersic_magnitude_err"
    )
    assert (
        np.median(np.abs(pulls)) < 1.5
    )  # 0.67 is expected of 40 galaxies; without their truth it is above 50
    offset = np.abs(numbers_of(rows, "dec") - numbers_of(rows, "truth_dec")) * 3600
    assert np.median(offset) < 0.1 * VIEW.pixel_scale
    assert {"ra", "truth_ra", "sersic_pa_sky", "truth_sersic_effective_radius"} <= set(rows.column_names)
    assert "seconds" not in rows.column_names
    portrait = found.portraits[0]
    left = (portrait.image - portrait.model) / portrait.sigma
    assert portrait.id == "mock_000003"
    assert abs(left.std() - 1) < 0.1  # 1024 pixels: 0.02 a standard deviation


def test_the_truth_goes_by_the_names_of_the_fitted_components():
    def columns(**components):
        source = dataclasses.replace(mocks(3), scene=Scene(**components))
        part = next(source.plan(3, 1 << 30))
        return {name for name in source.carried(part).column_names if name.startswith("truth_")}

    assert {"truth_galaxy_sersic_index", "truth_bg_level"} <= columns(galaxy=Sersic(), bg=FlatSky())
    # Two that could be meant: none is.
    assert "truth_sersic_sersic_index" in columns(one=Sersic(), two=Sersic())
    assert "truth_sersic_sersic_index" in columns(disc=Exponential())


def test_a_lost_galaxy_has_a_row_with_the_same_columns():
    source = mocks(BLOCK + 10)
    part = next(source.plan(BLOCK + 10, 1 << 30))
    row = source.lost(part.rows(BLOCK + 2, BLOCK + 3), "it ended its process")
    assert row.schema == source.measure(part.rows(0, 2), frozenset()).rows.schema
    assert text_of(row, "id") == [f"mock_{BLOCK + 2:06d}"]
    assert "it ended its process" in text_of(row, "message")[0]
    assert np.isfinite(numbers_of(row, "truth_sersic_magnitude")).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "number of galaxies"),
        ({"model": "spiral"}, "unknown mock model"),
        ({"density": 0.0}, "density"),
        ({"dec": 89.0}, "too near a pole"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        mocks(**{"count": 10, **options})
