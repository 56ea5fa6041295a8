"""The catalogue made from a result: names, units, marks, the sky."""

import dataclasses

import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_skycoord

from isolux.result import Quantity, Result
from isolux.status import Flag, Status


def make(columns, rows, wcs=(), kinds=None, at_bound=(), **changes):
    """Return a result with these columns ((name, unit), ...) and values; (row, column) pairs at a bound."""
    values = torch.tensor(rows, dtype=torch.float64)
    n = len(values)
    stuck = torch.zeros(values.shape, dtype=torch.bool)
    for pair in at_bound:
        stuck[pair] = True
    given = Result(
        id=tuple(f"g{k}" for k in range(n)),
        columns=tuple(Quantity(name, unit, f"meaning of {name}") for name, unit in columns),
        kinds=kinds or ("free",) * len(columns),
        values=values,
        errors=0.1 * values,
        covariance=None,
        at_bound=stuck,
        derived=(),
        derived_values=values[:, :0],
        derived_errors=values[:, :0],
        chi2=torch.full((n,), 90.0, dtype=torch.float64),
        n_pixels=torch.full((n,), 100),
        n_free=torch.full((n,), 10),
        status=(Status.CONVERGED,) * n,
        flags=(Flag(0),) * n,
        message=("",) * n,
        steps=torch.ones(n, dtype=torch.int64),
        seconds=torch.ones(n, dtype=torch.float64),
        zero_point=torch.full((n,), 25.0, dtype=torch.float64),
        pixel_scale=torch.full((n,), 0.2, dtype=torch.float64),
        wcs=wcs or (None,) * n,
    )
    return dataclasses.replace(given, **changes)


PLACE = [("disc.x", "pixel"), ("disc.y", "pixel"), ("disc.position_angle", "deg")]


def tangent(rotation=0.0, flip=-1.0, kinds=("RA---TAN", "DEC--TAN"), centre=(150.0, 60.0)):
    wcs = WCS(naxis=2)
    c, s = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = kinds, centre, (1, 1)
    wcs.wcs.cd = 5e-5 * np.array([[flip * c, s], [flip * -s, c]])
    wcs.wcs.set()
    return wcs


def test_sizes_are_in_arcsec_and_positions_in_pixels():
    columns = [*PLACE, ("disc.effective_radius", "pixel"), ("disc.magnitude", "mag"), ("disc.axis_ratio", "")]
    table = make(columns, [[10.0, 20.0, 30.0, 5.0, 18.0, 0.5]]).table()
    assert table["disc_x"][0] == 10 * u.pix
    assert table["disc_effective_radius"][0] == 1.0 * u.arcsec
    assert table["disc_effective_radius_err"][0].to_value("arcsec") == pytest.approx(0.1)
    assert table["disc_magnitude"].unit == u.mag
    assert table["disc_position_angle"].unit == u.deg
    assert table["disc_axis_ratio"].unit is None
    assert table["disc_x"].info.description == "meaning of disc.x"
    assert "ra" not in table.colnames


def test_marks_tell_how_each_parameter_was_treated():
    columns = [("a.x", "pixel"), ("a.y", "pixel"), ("a.magnitude", "mag")]
    table = make(columns, [[1.0, 2.0, 3.0]] * 2, kinds=("free", "fixed", "tied"), at_bound=[(1, 0)]).table()
    assert list(table["a_x_mark"]) == ["free", "at bound"]
    assert list(table["a_y_mark"]) == ["fixed", "fixed"]
    assert list(table["a_magnitude_mark"]) == ["tied", "tied"]


def test_vector_parameters_are_one_column():
    columns = [(f"halo.values[{k}]", "flux/pixel2") for k in range(12)]
    table = make(columns, [list(range(12))] * 2, at_bound=[(0, 11)]).table()
    np.testing.assert_array_equal(table["halo_values"][1], np.arange(12.0))
    assert table["halo_values_err"].shape == (2, 12)
    assert list(table["halo_values_mark"]) == ["at bound", "free"]
    assert "per pixel" in table["halo_values"].info.description


def test_statistics_and_sentences():
    nan = torch.nan
    made = make(
        [("a.x", "pixel")],
        [[1.0], [nan]],
        chi2=torch.tensor([90.0, nan], dtype=torch.float64),
        status=(Status.STALLED, Status.BAD_PSF),
        flags=(Flag.NO_PSF | Flag.AT_BOUND, Flag(0)),
        message=("", "x.fits: the PSF sums to 0"),
    )
    table = made.table()
    assert len(table) == 2
    assert np.isnan(table["a_x"][1])
    assert table["reduced_chi2"][0] == 1.0
    assert table["aic"][0] == 110.0
    assert table["bic"][0] == pytest.approx(90 + 10 * np.log(100))
    assert list(table["status"]) == [2, 7]
    assert list(table["message"]) == [Status.STALLED.message, "x.fits: the PSF sums to 0"]
    assert table["flags"][0] == int(Flag.NO_PSF | Flag.AT_BOUND)
    assert list(table["flags_text"]) == ["; ".join((Flag.NO_PSF | Flag.AT_BOUND).messages), ""]


def test_derived_quantities_have_errors():
    value = torch.tensor([[4.0, 0.3]], dtype=torch.float64)
    derived = (Quantity("disc.circularised_radius", "pixel", "r"), Quantity("disc.fraction", "", "f"))
    table = make(
        PLACE, [[1.0, 2.0, 3.0]], derived=derived, derived_values=value, derived_errors=value / 2
    ).table()
    assert table["disc_circularised_radius"][0].to_value("arcsec") == pytest.approx(0.8)
    assert table["disc_fraction_err"][0] == 0.15


@pytest.mark.parametrize("rotation", [0.0, 25.0, -100.0])
@pytest.mark.parametrize("flip", [-1.0, 1.0])
def test_position_and_angle_on_the_sky_agree_with_astropy(rotation, flip):
    wcs = tangent(rotation, flip)
    table = make(PLACE, [[12.0, 30.0, 40.0]] * 2, wcs=(wcs, None)).table()
    here = pixel_to_skycoord(12.0, 30.0, wcs)
    theta = np.radians(40.0)
    there = pixel_to_skycoord(12.0 - 5 * np.sin(theta), 30.0 + 5 * np.cos(theta), wcs)
    assert SkyCoord(table["ra"][0], table["dec"][0]).separation(here).arcsec < 1e-6
    difference = (here.position_angle(there) - table["disc_pa_sky"][0]).to_value("deg") % 180
    assert min(difference, 180 - difference) < 1e-3
    assert -90 < table["disc_pa_sky"][0].value <= 90
    assert np.isnan(table["ra"][1])


def test_north_up_east_left_has_the_angle_of_the_image():
    table = make(PLACE, [[1.0, 1.0, 40.0]], wcs=(tangent(),)).table()
    assert table["disc_pa_sky"][0].value == pytest.approx(40.0, abs=1e-3)


def test_other_frames_become_icrs():
    wcs = tangent(kinds=("GLON-TAN", "GLAT-TAN"), centre=(30.0, 40.0))
    table = make(PLACE, [[0.0, 0.0, 0.0]], wcs=(wcs,)).table()
    expected = SkyCoord(30 * u.deg, 40 * u.deg, frame="galactic").icrs
    assert SkyCoord(table["ra"][0], table["dec"][0]).separation(expected).arcsec < 1e-6
    north = SkyCoord(30 * u.deg, 40.001 * u.deg, frame="galactic").icrs
    pa = expected.position_angle(north).to_value("deg")
    assert (table["disc_pa_sky"][0].value - pa + 90) % 180 - 90 == pytest.approx(0.0, abs=1e-3)


def test_failed_galaxies_have_nan_on_the_sky():
    table = make(PLACE, [[torch.nan] * 3, [1.0, 2.0, 3.0]], wcs=(tangent(), tangent())).table()
    assert np.isnan(table["ra"][0])
    assert np.isfinite(table["disc_pa_sky"][1])


def test_astropy_writes_the_table(tmp_path):
    made = make([*PLACE, ("disc.v[0]", ""), ("disc.v[1]", "")], [[1.0, 2.0, 3.0, 4.0, 5.0]], wcs=(tangent(),))
    for ending in ("fits", "ecsv"):
        made.table().write(tmp_path / f"table.{ending}")
        assert type(made.table()).read(tmp_path / f"table.{ending}")["ra"].unit == u.deg


def test_rows_can_be_chosen():
    made = make(PLACE, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], wcs=(tangent(), None))
    chosen = made.select([1, 0])
    assert chosen.id == ("g1", "g0")
    assert chosen["disc.x"].tolist() == [4.0, 1.0]
    assert chosen.wcs == (None, made.wcs[0])
    assert chosen.columns == made.columns
    assert len(made.select([])) == 0
