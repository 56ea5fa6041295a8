"""Isolux's columns in those of surveys: known answers by hand, GalSim, moments of drawn images, and the way back."""

import galsim
import numpy as np
import pytest

import isolux
from isolux.errors import InputError
from isolux.io.column_profiles import PROFILES, convert, light_of, place_of
from isolux.io.column_profiles.shapes import (
    covariance_ellipse,
    from_covariance_ellipse,
    from_lensing,
    sky_errors,
)
from isolux.io.rows import rows_from
from isolux.simulate import draw
from isolux.status import Flag, Status
from survey.made_run import make_run

E = np.log(10) / 2.5


def stamps(component="sersic", count=1, **columns):
    """Rows of a catalogue of stamps with one Sérsic galaxy; ``columns`` replace or add some, None leaves one out."""
    name = component
    rows = {
        "id": np.array([f"g{k}" for k in range(count)]),
        "ra": (np.full(count, 150.0), "deg"),
        "dec": (np.full(count, 60.0), "deg"),
        f"{name}_x": np.full(count, 20.0),
        f"{name}_x_err": np.full(count, 0.1),
        f"{name}_y": np.full(count, 21.0),
        f"{name}_y_err": np.full(count, 0.1),
        f"{name}_magnitude": np.full(count, 20.0),
        f"{name}_magnitude_err": np.full(count, 0.01),
        f"{name}_effective_radius": np.full(count, 2.0),
        f"{name}_effective_radius_err": np.full(count, 0.02),
        f"{name}_sersic_index": np.full(count, 1.5),
        f"{name}_sersic_index_err": np.full(count, 0.1),
        f"{name}_axis_ratio": np.full(count, 0.5),
        f"{name}_axis_ratio_err": np.full(count, 0.01),
        f"{name}_position_angle": np.full(count, 10.0),
        f"{name}_position_angle_err": np.full(count, 1.0),
        f"{name}_pa_sky": np.full(count, 30.0),
        "chi2": np.full(count, 990.0),
        "reduced_chi2": np.full(count, 1.1),
        "steps": np.full(count, 7),
        "pixel_scale": np.full(count, 0.2),
        "status": np.full(count, 0, np.int32),
        "flags": np.full(count, 0, np.int32),
    }
    rows |= {key.replace("__", f"{name}_"): value for key, value in columns.items()}
    return rows_from({key: value for key, value in rows.items() if value is not None})


def field(count=2, **columns):
    """Rows of a field's catalogue."""
    rows = {
        "id": np.array([f"f_{k}" for k in range(count)]),
        "ra": np.full(count, 10.0),
        "dec": np.full(count, -5.0),
        "x": np.full(count, 100.0),
        "x_err": np.full(count, 0.1),
        "y": np.full(count, 200.0),
        "y_err": np.full(count, 0.1),
        "model": np.array(["sersic", "point"])[np.arange(count) % 2],
        "magnitude": np.full(count, 22.5),
        "magnitude_err": np.full(count, 0.1),
        "effective_radius": np.array([1.0, 0.0])[np.arange(count) % 2],
        "effective_radius_err": np.array([0.1, np.nan])[np.arange(count) % 2],
        "sersic_index": np.array([2.0, np.nan])[np.arange(count) % 2],
        "sersic_index_err": np.array([0.2, np.nan])[np.arange(count) % 2],
        "axis_ratio": np.array([0.5, np.nan])[np.arange(count) % 2],
        "axis_ratio_err": np.array([0.01, np.nan])[np.arange(count) % 2],
        "position_angle": np.array([0.0, np.nan])[np.arange(count) % 2],
        "position_angle_err": np.array([1.0, np.nan])[np.arange(count) % 2],
        "pa_sky": np.array([0.0, np.nan])[np.arange(count) % 2],
        "reduced_chi2": np.full(count, 1.0),
        "status": np.full(count, 0, np.int32),
        "flags": np.full(count, 0, np.int32),
    }
    return rows_from(rows | columns)


def converted(rows, profile, **options):
    """The columns of a profile as arrays by name."""
    made = convert(light_of(rows, **{"band": "r", **options}), profile)
    return {name: np.asarray(made[name].to_pylist()) for name in made.column_names}


def test_tractor_columns_by_hand():
    """q = 1/2 is e = 1/3; at 30 degrees e1 = 1/3 cos 60 = 1/6 and e2 = 1/3 sin 60; magnitude 20 is 10 nanomaggies."""
    made = converted(stamps(), "legacy")
    assert made["shape_e1"][0] == pytest.approx(1 / 6)
    assert made["shape_e2"][0] == pytest.approx(np.sqrt(3) / 6)
    in_e, in_angle = 2 * 0.01 / 1.5**2, 2 / 3 * np.radians(1.0)  # of q, and of the angle times 2 e
    assert made["shape_e1_ivar"][0] == pytest.approx(1 / ((in_e / 2) ** 2 + (in_angle * np.sqrt(3) / 2) ** 2))
    assert made["shape_e2_ivar"][0] == pytest.approx(1 / ((in_e * np.sqrt(3) / 2) ** 2 + (in_angle / 2) ** 2))
    assert made["flux_r"][0] == pytest.approx(10.0)
    assert made["flux_ivar_r"][0] == pytest.approx((10.0 * E * 0.01) ** -2)
    assert made["shape_r"][0] == 2.0
    assert made["shape_r_ivar"][0] == pytest.approx(2500.0)
    assert made["sersic"][0] == 1.5
    assert made["sersic_ivar"][0] == pytest.approx(100.0)
    # 0.1 pixels of 0.2 arcsec; at a declination of 60 degrees, twice that in right ascension
    assert made["dec_ivar"][0] == pytest.approx((0.02 / 3600) ** -2)
    assert made["ra_ivar"][0] == pytest.approx((0.04 / 3600) ** -2)
    assert (made["bx"][0], made["by"][0]) == (20.0, 21.0)
    assert made["type"][0] == "SER"
    assert made["rchisq_r"][0] == pytest.approx(1.1)
    assert made["id"][0] == "g0"


def test_the_same_flux_in_every_unit():
    """AB 22.5 is a nanomaggy, 3631 nJy, 3.631 µJy."""
    rows = stamps(__magnitude=np.array([22.5]))
    assert converted(rows, "legacy")["flux_r"][0] == pytest.approx(1.0)
    assert converted(rows, "rubin")["r_sersicFlux"][0] == pytest.approx(10**3.56)
    assert converted(rows, "euclid")["FLUX_R_SERSIC"][0] == pytest.approx(10**0.56)
    assert pytest.approx(3631, rel=1e-4) == 10**3.56
    assert converted(rows, "rubin")["r_sersicFluxErr"][0] == pytest.approx(10**3.56 * E * 0.01)
    assert converted(rows, "euclid")["FLUXERR_R_SERSIC"][0] == pytest.approx(10**0.56 * E * 0.01)


def test_rubin_ellipse_by_hand():
    """Along y the half-light ellipse is (b, a); at 45 degrees Cxx = Cyy = (a² + b²)/2 and Cxy = -(a² - b²)/2."""
    up = converted(stamps(__position_angle=np.array([0.0])), "rubin")
    assert [up[f"sersic_{n}"][0] for n in ("reff_x", "reff_y", "rho")] == pytest.approx(
        [5.0, 10.0, 0.0], abs=1e-12
    )
    assert up["sersic_reff_yErr"][0] == pytest.approx(0.1)  # 0.02 arcsec
    left = converted(stamps(__position_angle=np.array([45.0])), "rubin")
    found = [left[f"sersic_{n}"][0] for n in ("reff_x", "reff_y", "rho")]
    assert found == pytest.approx([np.sqrt(62.5), np.sqrt(62.5), -0.6])


def test_rubin_ellipse_is_that_of_the_light():
    """Second moments of a drawn Gaussian are in proportion to the half-light ellipse; it ends at the stamp: 1 %."""
    shape = dict(fwhm=16.0, axis_ratio=0.4, position_angle=30.0)
    image = draw(isolux.Scene(g=isolux.Gaussian(x=60, y=60, flux=1.0, **shape)), (121, 121))[0][0].numpy()
    y, x = np.mgrid[:121, :121] - 60.0
    xx, yy, xy = ((image * what).sum() for what in (x * x, y * y, x * y))
    rows = stamps(__position_angle=np.array([30.0]), __axis_ratio=np.array([0.4]))
    made = converted(rows, "rubin")
    assert made["sersic_rho"][0] == pytest.approx(xy / np.sqrt(xx * yy), rel=0.01)
    assert made["sersic_reff_x"][0] / made["sersic_reff_y"][0] == pytest.approx(np.sqrt(xx / yy), rel=0.01)


@pytest.mark.parametrize(("ratio", "angle"), [(0.5, 30.0), (0.2, -70.0), (0.9, 85.0)])
def test_ellipticity_is_galsims_reduced_shear(ratio, angle):
    """With north up and east to the left, an angle from north is one from +x less 90 degrees: g = -(e1, e2)."""
    shear = galsim.Shear(q=ratio, beta=(angle + 90) * galsim.degrees)
    made = converted(stamps(__axis_ratio=np.array([ratio]), __pa_sky=np.array([angle])), "legacy")
    assert (made["shape_e1"][0], made["shape_e2"][0]) == pytest.approx((-shear.g1, -shear.g2))
    q, pa = from_lensing(made["shape_e1"], made["shape_e2"])
    assert (q[0], pa[0]) == pytest.approx((ratio, angle))


@pytest.mark.parametrize("profile", PROFILES)
def test_there_and_back(profile, rng):
    count = 200
    given = {
        "magnitude": rng.uniform(15, 25, count),
        "effective_radius": rng.uniform(0.1, 9, count),
        "sersic_index": rng.uniform(0.3, 8, count),
        "axis_ratio": rng.uniform(0.05, 0.99, count),
        "position_angle": rng.uniform(-89, 90, count),
        "pa_sky": rng.uniform(-89, 90, count),
    }
    rows = stamps(count=count, **{f"__{name}": values for name, values in given.items()})
    made = converted(rows, profile)
    options = {"pixel_scale": 0.2} if profile == "rubin" else {}
    found = PROFILES[profile].back(made, ["r"], **options)
    given["magnitude_r"] = given.pop("magnitude")
    for name in found.keys() & given.keys():
        assert found[name] == pytest.approx(given[name], rel=1e-9, abs=1e-7), (
            name
        )  # of a nearly round one, the angle
    assert found["magnitude_r_err"] == pytest.approx(np.full(count, 0.01))
    assert found["sersic_index_err"] == pytest.approx(np.full(count, 0.1))
    assert len(found.keys() & given.keys()) == 5
    assert found["ra"] == pytest.approx(np.full(count, 150.0))


def test_errors_are_the_scatter_of_the_values(rng):
    """Draws of radius, axis ratio and angle, radius and ratio correlated as the circularised radius' error says."""
    count, cor = 40_000, -0.6
    r_err, q_err, pa_err = 0.01, 0.02, 0.8
    a, b = rng.standard_normal((2, count))
    log_r, log_q = r_err * a, q_err * (cor * a + np.sqrt(1 - cor**2) * b)
    circular = np.sqrt(r_err**2 + q_err**2 / 4 + cor * r_err * q_err)
    middle = dict(
        __effective_radius_err=np.array([2.0 * r_err]),
        __axis_ratio_err=np.array([0.5 * q_err]),
        __position_angle_err=np.array([pa_err]),
        __circularised_radius=np.array([2.0 * np.sqrt(0.5)]),
        __circularised_radius_err=np.array([2.0 * np.sqrt(0.5) * circular]),
    )
    turn = pa_err * rng.standard_normal(count)
    drawn = stamps(
        count=count,
        __effective_radius=2.0 * np.exp(log_r),
        __axis_ratio=0.5 * np.exp(log_q),
        __position_angle=10 + turn,
        __pa_sky=30 + turn,
    )
    one, many = stamps(**middle), drawn
    for profile, names in (("rubin", ("reff_x", "reff_y", "rho")), ("legacy", ("shape_e1", "shape_e2"))):
        said, seen = converted(one, profile), converted(many, profile)
        for name in names:
            error = said[f"sersic_{name}Err"][0] if profile == "rubin" else said[f"{name}_ivar"][0] ** -0.5
            scatter = seen[f"sersic_{name}" if profile == "rubin" else name].std()
            assert error == pytest.approx(scatter, rel=0.02), (
                name
            )  # of 40,000 draws: 0.4 %, and the second order


def test_position_errors_on_the_sky(tmp_path):
    """Errors of a centre through the WCS of a camera that is turned by 25 degrees."""
    run = make_run(tmp_path, galaxies=2, parts=1)
    light = light_of(next(run.rows()), band="r")
    light.x[:, 1], light.y[:, 1] = 0.3, 0.1
    turn, scale = np.radians(25.0), 0.6 / 3600
    east, north = sky_errors(light)
    cos, sin = np.cos(turn), np.sin(turn)
    assert north == pytest.approx(scale * np.hypot(0.3 * sin, 0.1 * cos), rel=1e-4)
    flat = scale * np.hypot(0.3 * cos, 0.1 * sin)
    assert east == pytest.approx(flat / np.cos(np.radians(light.dec)), rel=1e-4)


def test_types_say_which_model_it_was():
    def kind(**columns):
        return converted(stamps(**columns), "legacy")["type"][0]

    fixed = np.array(["fixed"])
    assert kind(__sersic_index_mark=fixed, __sersic_index=np.array([4.0])) == "DEV"
    assert kind(__sersic_index_mark=fixed, __sersic_index=np.array([1.0])) == "EXP"
    assert kind(__sersic_index_mark=fixed, __sersic_index=np.array([2.0])) == "SER"
    assert kind(__sersic_index=np.array([1.0])) == "SER"
    disc = dict(__effective_radius=None, __sersic_index=None, __scale_radius=np.array([1.0]))
    assert kind(**disc) == "EXP"
    assert kind(**disc, __axis_ratio_mark=fixed, __axis_ratio=np.array([1.0])) == "REX"
    assert kind(chi2=np.array([np.nan])) == ""


def test_an_exponential_has_its_half_light_radius():
    rows = stamps(__effective_radius=None, __sersic_index=None, __scale_radius=np.array([1.0]))
    made = converted(rows, "legacy")
    assert made["shape_r"][0] == pytest.approx(1.67835, abs=1e-5)
    assert (made["sersic"][0], made["sersic_ivar"][0]) == (1.0, 0.0)


def test_a_point_has_no_size():
    shape = ("effective_radius", "sersic_index", "axis_ratio", "position_angle", "pa_sky")
    made = converted(stamps("star", **{f"__{name}": None for name in shape}), "legacy")
    assert made["type"][0] == "PSF"
    assert [made[name][0] for name in ("shape_r", "shape_e1", "shape_e2", "shape_e1_ivar")] == [0.0] * 4
    made = converted(stamps("star", **{f"__{name}": None for name in shape}), "rubin")
    assert made["sersic_reff_x"][0] == 0.0


def test_bounds_and_sky_are_in_fitbits():
    rows = stamps(
        __sersic_index_mark=np.array(["at bound"]),
        __effective_radius_mark=np.array(["at bound"]),
        sky_level_mark=np.array(["free"]),
    )
    assert converted(rows, "legacy")["fitbits"][0] == 2 + 4 + 8
    assert converted(stamps(), "legacy")["fitbits"][0] == 0


def two(bulge_magnitude, disc_magnitude):
    """Rows of a bulge and a disc."""
    count = len(bulge_magnitude)
    disc = stamps("disc", count, __magnitude=np.array(disc_magnitude), __effective_radius=np.full(count, 3.0))
    rows = stamps("bulge", count, __magnitude=np.array(bulge_magnitude), __sersic_index=np.full(count, 4.0))
    for name in disc.column_names:
        if name.startswith("disc_"):
            rows = rows.append_column(name, disc[name])
    total = -2.5 * np.log10(
        10 ** (-0.4 * np.array(bulge_magnitude)) + 10 ** (-0.4 * np.array(disc_magnitude))
    )
    more = rows_from({"total_magnitude": total, "total_magnitude_err": np.full(count, 0.005)})
    for name in more.column_names:
        rows = rows.append_column(name, more[name])
    return rows


def test_of_two_components_the_light_is_all_and_the_shape_the_brighter_ones():
    rows = two([19.0, 21.0], [20.0, 20.0])
    made = converted(rows, "legacy")
    assert made["type"].tolist() == ["COMP", "COMP"]
    assert made["shape_r"].tolist() == [2.0, 3.0]
    assert made["flux_r"] == pytest.approx(10 ** (0.4 * 3.5) * np.array([1, 10**-0.8]) + 10.0)
    assert made["flux_ivar_r"] == pytest.approx((made["flux_r"] * E * 0.005) ** -2)
    disc = converted(rows, "legacy", component="disc")
    assert disc["shape_r"].tolist() == [3.0, 3.0]
    assert disc["flux_r"] == pytest.approx([10.0, 10.0])
    with pytest.raises(InputError, match="did you mean 'disc'"):
        light_of(rows, band="r", component="disk")


def test_several_bands_have_a_flux_each():
    rows = stamps(
        __magnitude=None,
        __magnitude_err=None,
        **{f"__magnitude_{b}": np.array([m]) for b, m in (("g", 22.5), ("r", 20.0))},
        **{f"__magnitude_{b}_err": np.array([0.1]) for b in "gr"},
        chi2_g=np.array([200.0]),
        n_pixels_g=np.array([100]),
        pixel_scale=None,
        pixel_scale_g=np.array([0.2]),
    )
    made = converted(rows, "legacy", band=None)
    assert (made["flux_g"][0], made["flux_r"][0]) == pytest.approx((1.0, 10.0))
    assert (made["rchisq_g"][0], made["rchisq_r"][0]) == pytest.approx((2.0, 1.1))
    assert "flux_g" not in converted(rows, "legacy", band="r")
    with pytest.raises(InputError, match="unknown band"):
        light_of(rows, band="z")


def test_fields_have_the_best_model_of_each_source():
    rows = field(primary=np.array([True, False]))
    made = converted(rows, "legacy", pixel_scale=0.3)
    assert made["type"].tolist() == ["SER", "PSF"]
    assert made["flux_r"] == pytest.approx([1.0, 1.0])
    assert made["shape_e1"] == pytest.approx([1 / 3, 0.0])
    assert made["brick_primary"].tolist() == [True, False]
    assert made["dec_ivar"] == pytest.approx([(0.03 / 3600) ** -2] * 2)
    assert converted(rows, "legacy")["dec_ivar"].tolist() == [
        0.0,
        0.0,
    ]  # the catalogue does not say its scale
    assert np.isnan(converted(rows, "rubin")["sersic_reff_x"][0])
    assert converted(rows, "rubin", pixel_scale=0.5)["sersic_reff_y"] == pytest.approx([2.0, 0.0])
    with pytest.raises(InputError, match="no \\(got 'disc'\\)"):
        light_of(rows, band="r", component="disc")


def test_fields_in_several_bands():
    more = {f"magnitude_{b}": np.array([20.0, 21.0]) for b in "gz"}
    more |= {f"magnitude_{b}_err": np.array([0.1, 0.1]) for b in "gz"}
    made = converted(field(**more), "rubin", band=None)
    assert {"g_sersicFlux", "z_sersicFlux"} <= made.keys()


def test_rubins_flags_say_what_was_wrong():
    status = np.array(
        [int(s) for s in (Status.CONVERGED, Status.STEP_LIMIT, Status.MASKED_OUT, Status.FAILED)]
    )
    made = converted(stamps(count=4, status=status), "rubin")
    assert made["sersic_no_data_flag"].tolist() == [False, False, True, False]
    assert made["sersic_unknown_flag"].tolist() == [False, False, False, True]


def test_galaxies_without_a_fit_have_no_numbers():
    names = (
        "magnitude",
        "effective_radius",
        "axis_ratio",
        "position_angle",
        "pa_sky",
        "sersic_index",
        "x",
        "y",
    )
    rows = stamps(
        **{f"__{name}": np.array([np.nan]) for name in names},
        **{f"__{name}_err": np.array([np.nan]) for name in names if name != "pa_sky"},
        chi2=np.array([np.nan]),
        status=np.array([int(Status.BAD_INPUT)]),
        flags=np.array([int(Flag.NO_PSF)]),
    )
    for profile in PROFILES:
        made = converted(rows, profile)
        assert (made["status"][0], made["flags"][0]) == (int(Status.BAD_INPUT), int(Flag.NO_PSF))
        assert made["id"][0] == "g0"
    made = converted(rows, "legacy")
    assert np.isnan(made["flux_r"][0])
    assert made["flux_ivar_r"][0] == 0.0
    assert made["type"][0] == ""


def test_without_a_wcs_there_is_no_shape_on_the_sky():
    made = converted(stamps(__pa_sky=None, ra=None, dec=None), "legacy")
    assert np.isnan(made["shape_e1"][0])
    assert made["shape_e1_ivar"][0] == 0.0
    assert np.isnan(made["ra"][0])
    assert (made["ra_ivar"][0], made["dec_ivar"][0]) == (0.0, 0.0)
    assert made["shape_r"][0] == 2.0


def test_what_cannot_be_described_is_said():
    moffat = stamps(
        "halo", __effective_radius=None, __sersic_index=None, __fwhm=np.ones(1), __beta=np.ones(1)
    )
    with pytest.raises(InputError, match=r"half-light radius .*halo"):
        light_of(moffat, band="r")
    with pytest.raises(InputError, match="no component with light"):
        light_of(rows_from({"id": np.array(["a"]), "mass": np.ones(1)}), band="r")
    with pytest.raises(InputError, match="does not say its band"):
        light_of(stamps())


@pytest.mark.parametrize("model", ["sersic", "bulge+disc"])
@pytest.mark.parametrize("profile", PROFILES)
def test_catalogues_of_fits_convert(tmp_path, model, profile):
    rows = next(make_run(tmp_path, galaxies=3, parts=1, model=model, portraits=0).rows())
    made = convert(light_of(rows, band="r"), profile, first=7)
    assert made.column_names[0].lower().replace("_", "") in ("objid", "objectid")
    assert made.column(0).to_pylist() == [7, 8, 9]
    assert made["id"].to_pylist() == rows["id"].to_pylist()
    place = [np.asarray(made[name]) for name in place_of(profile)]
    assert place[0] == pytest.approx(np.asarray(rows["ra"]))
    described = [field.metadata[b"description"] for field in made.schema]
    assert all(described)
    assert convert(light_of(rows.slice(0, 0), band="r"), profile).schema == made.schema


def test_an_ellipse_comes_back_from_its_covariance():
    a, q, pa = np.array([3.0, 8.0]), np.array([0.3, 0.99]), np.array([90.0, -33.0])
    rows = stamps(count=2, __effective_radius=a * 0.2, __axis_ratio=q, __position_angle=pa)
    pairs = covariance_ellipse(light_of(rows, band="r"))
    found = from_covariance_ellipse(*(pair[:, 0] for pair in pairs))
    assert found[0] == pytest.approx(a)
    assert found[1] == pytest.approx(q)
    assert found[2] == pytest.approx(pa)
