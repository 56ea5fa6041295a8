"""A field from image to catalogue."""

import dataclasses

import numpy as np
import pytest
from astropy.table import Table
from astropy.wcs import WCS

from isolux import Batch
from isolux.errors import InputError
from isolux.field.catalogue import catalogue, sky_angles
from isolux.field.image import FieldImage
from isolux.field.options import FieldOptions
from isolux.field.survey import measure_sources
from isolux.psf_model import PsfModel
from isolux.status import Flag

from .conftest import GAIN, NOISE, PSF, SCALE, ZERO_POINT

ONE = FieldOptions(workers=1)
QUICK = FieldOptions(workers=1, models=("point", "sersic"), shapes=False)


def truth_of(sky, name):
    return {
        short: s.start
        for short, (_, s) in sky.components[name].settings.items()
        if getattr(s, "start", None) is not None
    }


def row_of(table, sky, name):
    truth = truth_of(sky, name)
    distance = np.hypot(table["x"].value - truth["x"], table["y"].value - truth["y"])
    assert distance.min() < 1
    return table[int(distance.argmin())], truth


@pytest.fixture(scope="module")
def table(measured):
    return catalogue(measured)


def test_every_source_has_one_row(table, sky):
    assert len(table) == len(sky.components)
    for name in sky.components:
        row_of(table, sky, name)
    assert len(set(table["id"])) == len(table)


def test_the_right_model_is_chosen(table, sky):
    kinds = {name: str(row_of(table, sky, name)[0]["model"]) for name in sky.components}
    assert kinds["star"] == kinds["faint"] == "point"
    assert kinds["disc"] == kinds["two"] == "exponential"
    assert kinds["big"] == "sersic"


@pytest.mark.parametrize("name", ["big", "one", "two", "disc"])
def test_galaxies_are_what_they_were_drawn_as(table, sky, name):
    row, truth = row_of(table, sky, name)
    assert row["status"] == 0
    # 4.5 of the errors: the chance that any of these numbers fails for a good code is below 1e-4
    numbers = {"x": 1, "y": 1, "magnitude": 1, "axis_ratio": 1, "position_angle": 1}
    for column in numbers:
        pull = (float(getattr(row[column], "value", row[column])) - truth[column]) / float(
            getattr(row[f"{column}_err"], "value", row[f"{column}_err"])
        )
        assert abs(pull) < 4.5, column
    radius = truth.get("effective_radius", 1.6783 * truth.get("scale_radius", 0)) * SCALE
    assert abs(row["effective_radius"].value - radius) < 4.5 * row["effective_radius_err"].value
    assert row["effective_radius"].unit == "arcsec"


def test_a_pair_is_fitted_together_and_flagged_as_one(table, sky):
    (one, _), (two, _) = (row_of(table, sky, name) for name in ("one", "two"))
    assert one["group"] == two["group"]
    assert one["group_size"] == two["group_size"] == 2
    assert row_of(table, sky, "star")[0]["group_size"] == 1


def test_what_is_left_is_noise(measured, sky):
    noise = np.sqrt(NOISE**2 + sky.image / GAIN)
    left = measured.residual / noise
    assert abs(left.std() - 1) < 0.03
    assert np.abs(left).max() < 6
    labels = measured.detections.segmentation
    assert (
        abs(left[labels > 0].std() - 1) < 0.1
    )  # 1,500 pixels: 0.02 of statistics, and models are not perfect


def test_flux_magnitude_and_ellipticity_agree(table):
    flux, magnitude = np.asarray(table["flux"]), table["magnitude"].value
    np.testing.assert_allclose(ZERO_POINT - 2.5 * np.log10(flux), magnitude)
    e = np.hypot(table["e1"], table["e2"])
    q = np.asarray(table["axis_ratio"])
    good = np.isfinite(q)
    np.testing.assert_allclose(e[good], ((1 - q) / (1 + q))[good])
    assert "ra" not in table.colnames


def test_every_model_has_its_columns_and_evidence(table):
    for name in ("bic_point", "bic_exponential", "bic_sersic", "bic_bulge_disc", "bic_sersic_point"):
        assert name in table.colnames
    for row in table:
        evidence = {n: row[f"bic_{n.replace('+', '_')}"] for n in ONE.models}
        fitted = {n: v for n, v in evidence.items() if np.isfinite(v)}
        assert str(row["model"]) in fitted
    for column in table.colnames:
        assert table[column].info.description, column


def test_columns_of_the_best_model_are_not_those_of_another(table):
    composite = np.isin(table["model"], ["bulge+disc", "sersic+point"])
    assert np.isnan(table["bulge_fraction"][~composite]).all()
    assert np.isfinite(table["bulge_fraction_bulge_disc"]).any()
    assert np.isfinite(table["prior_sersic"]).all()
    assert "prior" not in table.colnames


def test_shapes_without_a_model_are_there(table, sky):
    row, truth = row_of(table, sky, "big")
    assert (
        abs(row["petrosian_magnitude"].value - truth["magnitude"]) < 0.15
    )  # Graham & Driver 2005: 0.06 at n = 2.5
    assert 2.7 < row["concentration"] < 4.5
    assert abs(row["asymmetry"]) < 0.1


def with_wcs(field, turn=25.0):
    wcs = WCS(naxis=2)
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [150, 2], [130, 110]
    wcs.wcs.cd = SCALE / 3600 * np.array([[-cos, sin], [sin, cos]])
    return dataclasses.replace(field, wcs=wcs)


def test_places_and_angles_on_the_sky(sky):
    field = with_wcs(sky.field())
    found = catalogue(measure_sources(field, psf=PsfModel.constant(PSF), options=QUICK))
    row, truth = row_of(found, sky, "big")
    expected = field.wcs.pixel_to_world(truth["x"], truth["y"])
    assert abs(row["ra"].value - expected.ra.deg) * 3600 < 0.05
    assert abs(row["dec"].value - expected.dec.deg) * 3600 < 0.05
    assert (
        abs(row["pa_sky"].value - (truth["position_angle"] + 25)) < 4 * row["position_angle_err"].value + 0.1
    )
    angle = np.radians(2 * row["pa_sky"].value)
    assert np.allclose(
        [row["e1"], row["e2"]], np.hypot(row["e1"], row["e2"]) * np.array([np.cos(angle), np.sin(angle)])
    )
    np.testing.assert_allclose(
        sky_angles(field.wcs, np.array([130.0]), np.array([110.0]), np.array([0.0])), 25, atol=0.01
    )


def test_given_positions_keep_their_order_and_those_outside_are_flagged(sky):
    x = np.array([180.3, 70.0, 5000.0, 120.4, -50.0])
    y = np.array([60.4, 90.0, 10.0, 180.7, 20.0])
    found = measure_sources(sky.field(), psf=PsfModel.constant(PSF), options=QUICK, positions=(x, y))
    rows = catalogue(found)
    assert len(rows) == 5
    np.testing.assert_allclose(rows["x"].value[[0, 1, 3]], x[[0, 1, 3]], atol=0.3)
    outside = [bool(Flag.OUTSIDE & int(flags)) for flags in rows["flags"]]
    assert outside == [False, False, True, False, True]
    assert np.isnan(rows["magnitude"].value[[2, 4]]).all()


def blank(shape=(150, 150), seed=2):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("what", ["nothing", "constant", "one saturated star", "half is NaN"])
def test_odd_fields_end_well(what):
    data = blank()
    y, x = np.mgrid[:150, :150]
    star = 3e4 * np.exp(-0.5 * (np.hypot(x - 75, y - 75) / 3) ** 2)
    saturation = None
    if what == "constant":
        data = np.full_like(data, 7.0)
    elif what == "one saturated star":
        data, saturation = np.minimum(data + star, 1000).astype(np.float32), 1000.0
    elif what == "half is NaN":
        data = (data + star / 100).astype(np.float32)
        data[:, 100:] = np.nan
    field = FieldImage.from_arrays(data, saturation=saturation, zero_point=25.0)
    found = measure_sources(field, psf=PsfModel.constant(PSF), options=QUICK)
    rows = catalogue(found)
    assert len(rows) == len(found)
    if what in ("nothing", "constant"):
        assert len(rows) <= 1
    if what == "one saturated star":
        assert any(Flag.SATURATED & int(flags) for flags in rows["flags"])
    if what == "half is NaN":
        assert len(rows) >= 1
        assert np.isfinite(rows["magnitude"].value[0])
        assert (found.residual[:, 100:] == 0).all()


def test_the_same_field_gives_the_same_rows_with_any_number_of_processes(sky):
    psf = PsfModel.constant(PSF)
    one = catalogue(measure_sources(sky.field(), psf=psf, options=QUICK))
    two = catalogue(measure_sources(sky.field(), psf=psf, options=dataclasses.replace(QUICK, workers=2)))
    for name in one.colnames:
        np.testing.assert_array_equal(Table(one)[name], Table(two)[name], err_msg=name)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"models": ()}, "one or more"),
        ({"models": "sersic"}, "one or more"),
        ({"models": ("sersik",)}, "did you mean 'sersic'"),
        ({"threshold": 0}, "above 0"),
        ({"most": 0}, "1 or more"),
        ({"largest": 8}, "32 or more"),
        ({"priors": "flat"}, "population"),
        ({"errors": "bootstrap"}, "covariance"),
    ],
)
def test_options_out_of_range(wrong, words):
    with pytest.raises(InputError, match=words):
        FieldOptions(**wrong)
    with pytest.raises(InputError, match="did you mean 'threshold'"):
        FieldOptions.from_dict({"treshold": 2})


def test_sources_whose_processes_died_have_rows_that_say_so(sky):
    from isolux.field.fitting import Job
    from isolux.field.models import MODELS
    from isolux.field.shapes import ShapeJob

    image = sky.field().data[:96, :96]
    batch = Batch.from_arrays(np.stack([image, image]), sigma=np.ones((2, 96, 96)), psf=PSF, zero_point=25.0)
    start = {f"s{k}_point.{axis}": np.array([40.0 + k, 50.0]) for k in (0, 1) for axis in "xy"}
    job = Job((0, 1), (MODELS["point"], MODELS["point"]), batch, start, {"errors": "covariance"})
    answer = job.given_up("was ended by SIGKILL")
    assert len(answer.results) == len(answer.images) == 2
    for result in answer.results:
        assert [status.name for status in result.status] == ["FAILED", "FAILED"]
        assert all("was ended by SIGKILL" in message for message in result.message)
        assert result.columns[0].name == "point.x"
    numbers = {"sigma_sky": np.ones(2)}
    shapes = ShapeJob((3, 5), np.zeros((2, 2)), *[np.zeros((2, 9, 9))] * 3, numbers).given_up(
        "was ended by SIGKILL"
    )
    assert len(shapes) == 2
    assert np.isnan(shapes.values.numpy()).all()
