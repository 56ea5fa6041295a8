"""Fields as the input of a survey: overlapping images of one simulated sky, and every kind of image that is none."""

import dataclasses
import json
import pickle

import numpy as np
import pyarrow
import pytest
import torch
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

import isolux
from isolux import mock
from isolux.errors import InputError
from isolux.field.options import FieldOptions
from isolux.io.field_image import read_field
from isolux.io.field_listing import unique_names
from isolux.io.portraits import read_portraits, write_portraits
from isolux.io.rows import numbers_of, text_of
from isolux.io.tables import from_arrow
from isolux.io.write_field import write_field
from isolux.mock.frame import frame_of
from isolux.mock.presets import survey_named
from isolux.status import Flag
from isolux.survey.field_columns import example
from isolux.survey.field_pictures import safe_name, sample
from isolux.survey.field_sky import Footprint, from_text, neighbours, primary, to_text
from isolux.survey.field_truth import matches
from isolux.survey.fields import FieldsInput, field_options, fields_input

QUICK = FieldOptions(models=("sersic",), shapes=False)
SIDE, STEP = 160, 110
"""Pixels of a field, and from the middle of one to that of the next: neighbours share a strip of 50."""
NOBODY = frozenset()


def overlapping(folder, galaxies=25):
    """Write four fields, two by two, of one piece of sky."""
    torch.set_num_threads(1)
    band = survey_named("legacy").chosen(["r"])[0]
    whole = {"galaxies": galaxies, "stars": 0, "bright": 17.5, "faint": 20.0, "arrangement": "grid"}
    every = mock.field("legacy", seed=3, bands=["r"], size=SIDE + STEP, morphology="sersic", **whole)
    frame = frame_of(band, band, (SIDE + STEP,) * 2, 150.1, 2.2, 0.0)
    made = {}
    for k in range(4):
        offset = band.pixel_scale * STEP * (np.array([k % 2, k // 2]) - 0.5)
        ra, dec = (float(v[0]) for v in frame.sky(*offset[:, None]))
        wcs = frame_of(band, band, (SIDE, SIDE), ra, dec, 0.0).wcs
        x, y = wcs.all_world2pix(every.truth["ra"], every.truth["dec"], 0)
        truth = every.truth | {"x_r": x, "y_r": y}
        made[k] = mock.field("legacy", seed=10 + k, bands=["r"], truth=truth, size=SIDE, ra=ra, dec=dec)
        write_field(made[k], folder / f"tile{k}")
    return every, made


SOURCE = {
    "fields": "tile*/legacy_r.fits",
    "psf": "tile*/legacy_r.psf",
    "weight": "tile*/legacy_r_weight.fits",
    "truth": "tile*/legacy_truth.fits",
}


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sky")
    every, made = overlapping(folder)
    return folder, every, made


@pytest.fixture(scope="module")
def source(sky):
    return fields_input(SOURCE, sky[0], QUICK, maps=str(sky[0] / "maps"), portraits=3)


@pytest.fixture(scope="module")
def parts(source):
    return list(source.plan(1000, 1 << 26))


@pytest.fixture(scope="module")
def measured(source, parts):
    names = [text_of(part.listing, "id")[0] for part in parts]
    return {name: source.measure(part, frozenset(names)) for name, part in zip(names, parts, strict=True)}


@pytest.fixture
def field(tmp_path):
    """Return a folder with one small field."""
    made = mock.field("legacy", seed=1, bands=["r"], size=96, galaxies=3, stars=0, bright=18, faint=20)
    write_field(made, tmp_path)
    return tmp_path


def planned(folder, options=QUICK, **table):
    source = fields_input(table, folder, options)
    return source, list(source.plan(1000, 1 << 26))


def test_a_part_is_a_field_with_all_that_belongs_to_it(sky, source, parts):
    assert [len(part) for part in parts] == [1] * 4
    assert [part.pixels for part in parts] == [SIDE**2] * 4
    assert sorted(text_of(part.listing, "id")[0] for part in parts) == [f"tile{k}_legacy_r" for k in range(4)]
    names = {path.rpartition("/")[2] for path in source.files(parts[0])}
    assert names == {"legacy_r.fits", "legacy_r.psf", "legacy_r_weight.fits", "legacy_truth.fits"}
    assert not source.divisible
    assert "tile" in parts[0].place
    assert "ra 150" in parts[0].place
    again = list(source.plan(1, 1))
    assert [a.listing == b.listing for a, b in zip(again, parts, strict=True)] == [True] * 4
    assert len(from_text(text_of(parts[0].listing, "around")[0])) == 4
    assert len(pickle.dumps(source)) < 5000
    assert json.loads(json.dumps(source.describe()))["field"]["models"] == ["sersic"]


def test_rows_are_those_of_measure_field(sky, measured, tmp_path):
    own = sky[0] / "tile2"
    options = dataclasses.replace(QUICK, workers=1)
    run = isolux.measure_field(
        own / "legacy_r.fits",
        psf=own / "legacy_r.psf",
        weight=own / "legacy_r_weight.fits",
        options=options,
        out=tmp_path,
    )
    rows = measured["tile2_legacy_r"].rows
    assert text_of(rows, "id") == [f"tile2_legacy_r_{k}" for k in run.table["id"]]
    assert set(text_of(rows, "field")) == {"tile2_legacy_r"}
    for name in ("ra", "x", "magnitude", "magnitude_err", "sersic_sersic_index", "chi2_sersic", "flags"):
        plain = getattr(run.table[name], "value", run.table[name])
        assert np.array_equal(numbers_of(rows, name), plain, equal_nan=True), name
    assert from_arrow(rows)["effective_radius"].unit == run.table["effective_radius"].unit
    assert "zero point 22.5 from MAGZERO" in measured["tile2_legacy_r"].remarks
    assert measured["tile2_legacy_r"].seconds > 0


def test_every_source_has_one_primary_row(sky, measured):
    _, every, made = sky
    counts = np.zeros(len(every.truth["ra"]), int)
    seen = np.zeros(len(counts), int)
    for found in measured.values():
        rows = from_arrow(found.rows)
        true = rows[np.isfinite(rows["truth_ra"])]
        which = np.argmin(np.abs(every.truth["ra"] - true["truth_ra"].value[:, None]), axis=1)
        seen[which] += 1
        counts[which] += np.asarray(true["primary"])
    assert (seen > 1).sum() > 5  # strips of 50 pixels, two of each field
    # Two measurements of a source near the line between two fields could fall on its two sides: none is so near here.
    assert counts.max() == 1
    # A source that its own field does not find has no primary row; sources here are bright and apart.
    inside = np.max([field.truth["inside_r"] for field in made.values()], axis=0) > 0.95
    assert inside.sum() > 20
    assert (counts[inside] == 1).all()


def test_the_truth_is_that_of_the_source(measured):
    rows = from_arrow(pyarrow.concat_tables([found.rows for found in measured.values()]))
    matched = np.isfinite(rows["truth_magnitude"])
    assert matched.mean() > 0.9
    whole = rows[matched & (rows["flags"] & int(Flag.EDGE) == 0) & (rows["snr"] > 50)]
    assert len(whole) > 10
    for name in ("magnitude", "effective_radius", "axis_ratio"):
        off = (whole[name] - whole[f"truth_{name}"]) / whole[f"{name}_err"]
        assert np.median(np.abs(off)) < 1.5, name
    assert set(rows["truth_kind"][matched]) == {"sersic"}
    assert set(rows["truth_kind"][~matched]) <= {""}


def test_all_parts_have_the_same_columns_whatever_is_in_them(sky, measured, tmp_path):
    schema = measured["tile0_legacy_r"].rows.schema
    assert all(found.rows.schema.equals(schema, check_metadata=True) for found in measured.values())
    with fits.open(sky[0] / "tile0" / "legacy_r.fits") as hdus:
        noise = np.random.default_rng(1).normal(0, float(hdus[0].header["SKYSIGMA"]), hdus[0].data.shape)
        fits.PrimaryHDU(noise.astype(np.float32), hdus[0].header).writeto(tmp_path / "empty_r.fits")
    table = {"fields": "empty_r.fits", "psf": str(sky[0] / "tile0" / "legacy_r.psf")}
    source, parts = planned(tmp_path, **table, truth=str(sky[0] / "tile0" / "legacy_truth.fits"))
    empty = source.measure(parts[0], NOBODY)
    assert len(empty.rows) == 0
    assert empty.rows.schema.equals(schema, check_metadata=True)


def test_models_that_no_source_has_keep_their_columns(field):
    options = FieldOptions(models=("point", "sersic", "bulge+disc"), shapes=True, composite_signal=1e9)
    source, parts = planned(field, options, fields="legacy_r.fits", psf="legacy_r.psf")
    rows = source.measure(parts[0], NOBODY).rows
    assert np.isnan(numbers_of(rows, "bulge_effective_radius")).all()
    assert (numbers_of(rows, "flags_bulge_disc") == -1).all()
    assert rows.schema.field("bulge_effective_radius").metadata[b"unit"] == b"arcsec"


def test_the_example_has_every_column_that_a_field_can_have():
    table = example(FieldOptions(), ("r", "g"), True, {"effective_radius": 1})
    for model in ("point", "exponential", "sersic", "bulge_disc", "sersic_point"):
        assert {f"bic_{model}", f"prior_{model}", f"flags_{model}", f"sky_level_{model}"} <= set(
            table.colnames
        )
    for name in ("sersic_effective_radius", "host_effective_radius", "disc_scale_radius"):
        assert {f"{name}_joint", f"{name}_r", f"{name}_g"} <= set(table.colnames)
    assert "ra" not in example(FieldOptions(models=("point",)), sky=False).colnames


def test_maps_and_portraits(sky, source, measured, tmp_path):
    for k in range(4):
        name = f"tile{k}_legacy_r"
        image = read_field(
            sky[0] / f"tile{k}" / "legacy_r.fits", weight=sky[0] / f"tile{k}/legacy_r_weight.fits"
        )
        left = fits.getdata(sky[0] / "maps" / name / "residual.fits")
        model = fits.getdata(sky[0] / "maps" / name / "model.fits")
        assert left.shape == model.shape == image.shape
        assert 0.9 < np.std(left[~image.mask] / image.sigma[~image.mask]) < 1.3
        shown = measured[name].portraits
        assert len({one.id for one in shown}) == 3
        for one in shown:
            pulls = ((one.image - one.model) / one.sigma)[~one.mask]
            assert 0.7 < pulls.std() < 1.5
            row = text_of(measured[name].rows, "id").index(one.id)
            y, x = round(one.y), round(one.x)
            near = one.model[y - 3 : y + 4, x - 3 : x + 4]
            assert near.max() == one.model[y - 1 : y + 2, x - 1 : x + 2].max() > np.median(one.model)
            assert one.axis_ratio == numbers_of(measured[name].rows, "axis_ratio")[row]
    rows = measured["tile0_legacy_r"].rows
    picked = sample(rows, 3)
    light = numbers_of(rows, "magnitude")
    assert set(picked[:2]) == set(np.argsort(light)[:2].tolist())
    assert sample(rows, 1000).__len__() == len(rows)
    write_portraits(tmp_path / "0" / "part-0.parquet", measured["tile0_legacy_r"].portraits)
    assert [one.id for one in read_portraits(tmp_path)] == [
        one.id for one in measured["tile0_legacy_r"].portraits
    ]


HOSTILE = [
    "../../out",
    "/etc/x",
    "a/b",
    "..",
    ".",
    "",
    "quote'\"`$(x)",
    "naïve Ω",
    "x" * 300,
    "a\nb",
    "a\\b",
    ".hid",
]


def test_names_never_lead_out_of_the_folder_of_maps(field):
    folders = [safe_name(name) for name in HOSTILE]
    assert len(set(folders)) == len(HOSTILE)
    for folder in folders:
        assert folder
        assert len(folder) < 100
        assert not folder.startswith(".")
        assert not set(folder) & set("/\\'\"`$ \n")
    assert safe_name("tile-1_r.v2+x") == "tile-1_r.v2+x"
    Table({"image": ["legacy_r.fits"], "field": ["../../o'ut/\"x"]}).write(field / "list.ecsv")
    source = fields_input({"fields": "list.ecsv"}, field, QUICK, maps=str(field / "run" / "maps"))
    (part,) = source.plan(1, 1)
    before = {path for path in field.rglob("*") if path.is_file()}
    found = source.measure(part, NOBODY)
    rows = found.rows
    assert len(found.portraits) == 0
    new = {path for path in field.rglob("*") if path.is_file()} - before
    assert len(new) == 2
    assert all((field / "run" / "maps") in path.resolve().parents for path in new)
    assert text_of(rows, "field")[0] == "../../o'ut/\"x"


def test_fields_that_cannot_be_read_fail_with_a_sentence_and_take_no_other_with_them(sky, tmp_path):
    good = sky[0] / "tile0" / "legacy_r.fits"
    (tmp_path / "cut.fits").write_bytes(good.read_bytes()[:20000])
    (tmp_path / "text.fits").write_text("no image")
    Table({"image": [str(good), "cut.fits", "text.fits", "none.fits", ""], "id": list("abcde")}).write(
        tmp_path / "list.csv"
    )
    source, parts = planned(tmp_path, fields="list.csv")
    by_name = {text_of(part.listing, "id")[0]: part for part in parts}
    assert next(iter(by_name)) == "a"  # those that cannot be read come last
    for name, words in {"b": "cut.fits", "c": "text.fits", "d": "none.fits", "e": "no image for it"}.items():
        with pytest.raises(InputError, match=words):
            source.measure(by_name[name], NOBODY)
        with pytest.raises(InputError, match="it died"):
            source.lost(by_name[name], "it died")
    assert len(source.files(by_name["d"])) == 0
    assert len(source.files(by_name["b"])) == 1
    with pytest.raises(InputError, match=r"no field can be read.*none.fits"):
        planned(tmp_path, fields=["none.fits", "text.fits"])


def test_a_field_without_its_weight_is_named(sky, tmp_path):
    for k in (0, 1):
        for kind in ("", "_weight") if k == 0 else ("",):
            (tmp_path / f"f{k}{kind}.fits").write_bytes(
                (sky[0] / f"tile{k}/legacy_r{kind}.fits").read_bytes()
            )
    source, parts = planned(tmp_path, fields="f*.fits", weight="f*_weight.fits")
    assert [text_of(part.listing, "id")[0] for part in parts] == ["f0", "f1"]
    with pytest.raises(InputError, match="field f1: no file for it among weight"):
        source.measure(parts[1], NOBODY)
    with pytest.raises(InputError, match="weight is a list of 1"):
        planned(tmp_path, fields=["f0.fits", "f1.fits"], weight=["f0_weight.fits"])


def copy_with(path, target, **cards):
    with fits.open(path) as hdus:
        header = hdus[0].header
        for key, value in cards.items():
            if value is None:
                header.remove(key)
            else:
                header[key] = value
        fits.PrimaryHDU(hdus[0].data, header).writeto(target)


def test_fields_of_different_kinds_are_refused_by_name(field):
    copy_with(field / "legacy_r.fits", field / "bare.fits", CTYPE1=None, CTYPE2=None)
    copy_with(field / "legacy_r.fits", field / "green.fits", FILTER="g", BAND="g")
    copy_with(field / "legacy_r.fits", field / "nameless.fits", FILTER=None, BAND=None)
    with pytest.raises(InputError, match=r"WCS cannot share.*without: bare") as caught:
        planned(field, fields=["legacy_r.fits", "bare.fits"])
    assert "with: legacy_r" in str(caught.value)
    with pytest.raises(InputError, match=r"different bands.*g: green.*r: legacy_r|r: legacy_r.*g: green"):
        planned(field, fields=["legacy_r.fits", "green.fits"])
    assert len(planned(field, fields=["legacy_r.fits", "nameless.fits"])[1]) == 2
    assert len(planned(field, fields=["legacy_r.fits", "green.fits"], band="any")[1]) == 2
    with pytest.raises(InputError, match="different bands"):
        planned(field, fields=["legacy_r.fits", "green.fits"], also=[["green.fits", "legacy_r.fits"]])
    with pytest.raises(InputError, match=r"not known, or not different.*band = "):
        planned(field, fields="legacy_r.fits", also=["nameless.fits"])
    with pytest.raises(InputError, match="names of the first band"):
        planned(field, fields="legacy_r.fits", also=["nameless.fits"], band=["r"])


def test_a_field_with_other_columns_than_planned_is_named(field):
    source, parts = planned(field, fields="legacy_r.fits")
    listing = parts[0].listing
    place = listing.column_names.index("shared")
    other = pyarrow.array([json.dumps({"bands": [], "sky": False, "truth": False})])
    changed = dataclasses.replace(parts[0], listing=listing.set_column(place, "shared", other))
    with pytest.raises(InputError, match=r"field legacy_r: columns that no other field has.*'ra'"):
        source.measure(changed, NOBODY)


def test_without_a_wcs_every_source_is_primary(field):
    copy_with(field / "legacy_r.fits", field / "bare.fits", CTYPE1=None, CTYPE2=None)
    source, parts = planned(field, fields="bare.fits")
    rows = source.measure(parts[0], NOBODY).rows
    assert "ra" not in rows.column_names
    assert numbers_of(rows, "primary").all()
    assert parts[0].place == "bare"


def test_a_table_says_what_belongs_to_each_field(field):
    table = {"image": ["legacy_r.fits", "legacy_r.fits"], "weight": ["legacy_r_weight.fits", ""]}
    table |= {
        "psf": ["legacy_r.psf"] * 2,
        "zero_point": [25.0, np.nan],
        "field": ["one", "two"],
        "W": ["", ""],
    }
    Table(table).write(field / "list.csv")
    source, parts = planned(field, fields="list.csv")
    rows = [from_arrow(source.measure(part, NOBODY).rows) for part in parts]
    assert rows[0]["zero_point"][0].value == 25.0
    assert rows[1]["zero_point"][0].value == 22.5
    np.testing.assert_allclose((rows[0]["magnitude"][0] - rows[1]["magnitude"][0]).value, 2.5, atol=0.1)
    assert rows[0].colnames == rows[1].colnames
    # Two exposures of one place: the first by name has the primary rows.
    assert rows[0]["primary"].all()
    assert not rows[1]["primary"].any()
    without = planned(field, fields="list.csv", weight="W")[1]
    assert all("weight" not in json.loads(text_of(part.listing, "planes")[0]) for part in without)
    with pytest.raises(InputError, match="no column of the table of fields, and no file"):
        planned(field, fields="list.csv", mask="missing")
    Table({"image": ["legacy_r.fits"] * 2, "field": ["one", "one"]}).write(field / "twice.csv")
    with pytest.raises(InputError, match=r"more than one field.*one"):
        planned(field, fields="twice.csv")
    Table({"x": [1.0]}).write(field / "wrong.csv")
    with pytest.raises(InputError, match="no column image"):
        planned(field, fields="wrong.csv")
    Table(table).write(field / "list.fits")
    assert [text_of(p.listing, "id")[0] for p in planned(field, fields="list.fits")[1]] == ["one", "two"]


def test_a_folder_is_its_images_with_what_is_named_after_them(field):
    _, parts = planned(field, fields=".")
    (part,) = parts
    assert text_of(part.listing, "id") == ["legacy_r"]
    planes = json.loads(text_of(part.listing, "planes")[0])
    assert {kind: path.rpartition("/")[2] for kind, path in planes.items()} == {
        "weight": "legacy_r_weight.fits",
        "psf": "legacy_r.psf",
    }
    (field / "nothing").mkdir()
    with pytest.raises(InputError, match="no fields in it"):
        planned(field, fields="nothing")
    with pytest.raises(InputError, match="no file matches"):
        planned(field, fields="nothing/*.fits")
    with pytest.raises(InputError, match="no fields"):
        planned(field, fields="")


def test_names_of_files_are_made_unique():
    paths = ["a/x/image.fits", "b/x/image.fits", "b/y/image.fits", "c/one.fits.fz", "c/one.fits[2]"]
    assert unique_names(paths) == ["a_x_image", "b_x_image", "y_image", "one", "one_2"]
    assert len(set(unique_names(["a.fits", "a.fits", "a-2.fits"]))) == 3


def test_several_bands_have_the_same_columns_in_every_field(tmp_path):
    for k, galaxies in enumerate((3, 0)):
        made = mock.field(
            "legacy",
            seed=k,
            bands=["r", "g"],
            size=96,
            galaxies=galaxies,
            stars=0,
            bright=18,
            faint=20,
            ra=10 + k,
        )
        write_field(made, tmp_path / f"{k}")
    options = FieldOptions(models=("point", "sersic"), shapes=False)
    table = {"fields": "*/legacy_r.fits", "also": ["*/legacy_g.fits"], "truth": "*/legacy_truth.fits"}
    source, parts = planned(tmp_path, options, **table, psf="*/legacy_r.psf", degrees={"effective_radius": 1})
    found = [source.measure(part, NOBODY).rows for part in parts]
    assert sorted(len(rows) for rows in found)[0] == 0
    assert found[0].schema.equals(found[1].schema, check_metadata=True)
    rows = from_arrow(max(found, key=len))
    assert {"magnitude_g", "colour_r_g", "sersic_effective_radius_r", "truth_magnitude_g"} <= set(
        rows.colnames
    )
    whole = rows[rows["snr"] > 100]
    assert (np.abs((whole["magnitude_g"] - whole["truth_magnitude_g"]).value) < 0.2).all()


def test_positions_that_are_on_other_fields_are_left_out(field):
    with fits.open(field / "legacy_r.fits") as hdus:
        wcs = WCS(hdus[0].header)
    truth = Table.read(field / "legacy_truth.fits")
    ra, dec = wcs.all_pix2world([*truth["x_r"], 5000.0], [*truth["y_r"], 0.0], 0)
    Table({"name": ["p", "q", "r", "far"], "ra": ra, "dec": dec}).write(field / "wanted.csv")
    source, parts = planned(field, fields="legacy_r.fits", psf="legacy_r.psf", positions="wanted.csv")
    found = source.measure(parts[0], NOBODY)
    assert text_of(found.rows, "id") == ["legacy_r_p", "legacy_r_q", "legacy_r_r"]
    assert found.remarks[-1] == "1 of 4 positions are not on the image"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"fields": "*.fits", "wieght": "x"}, "'wieght'; did you mean 'weight'"),
        ({"fields": "*.fits", "psf_oversampling": 0}, "psf_oversampling"),
        ({"fields": "*.fits", "hold": True}, "give also"),
        ({"fields": "legacy_r.fits", "weight_type": "wrong"}, "weight_type"),
        ({"fields": "legacy_r.fits", "weight": 3.0}, "weight"),
    ],
)
def test_run_files_that_cannot_be_used(field, table, words):
    with pytest.raises(InputError, match=words):
        planned(field, **table)


def test_options_of_fields_from_a_run_file():
    options = field_options({"models": ["sersic"], "priors": ["sersic.sersic_index=gaussian:1:0.2"]})
    assert options.models == ("sersic",)
    assert options.priors[0].on == "sersic.sersic_index"
    with pytest.raises(InputError, match="did you mean 'threshold'"):
        field_options({"treshold": 3})
    with pytest.raises(InputError, match=r"workers belongs to \[cluster\]"):
        field_options({"workers": 3})
    with pytest.raises(InputError, match="portraits"):
        FieldsInput(source=None, portraits=-1)


def test_priors_of_ones_own_are_tried_at_planning(field):
    options = field_options(
        {"models": ["sersic"], "shapes": False, "priors": ["sersic.axis_ratio=gaussian:wide:0.2"]}
    )
    with pytest.raises(InputError, match="wide"):
        planned(field, options, fields="legacy_r.fits")


def tangent(ra, dec, scale=0.3, turn=30.0, sip=False):
    wcs = WCS(naxis=2)
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [ra, dec], [500, 300]
    wcs.wcs.cd = scale / 3600 * np.array([[-cos, sin], [sin, cos]])
    header = wcs.to_header()
    if sip:
        header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
        header["A_ORDER"], header["B_ORDER"], header["A_2_0"], header["B_0_2"] = 2, 2, 2e-5, -1e-5
    return header


@pytest.mark.parametrize("sip", [False, True])
@pytest.mark.parametrize("place", [(150.0, 2.0), (0.0, -45.0), (359.99, 89.99), (200.0, -89.9)])
def test_outlines_hold_what_the_image_holds(tmp_path, place, sip, rng):
    from isolux.io.field_glance import glance

    fits.PrimaryHDU(np.zeros((600, 1000), np.float32), tangent(*place, sip=sip)).writeto(tmp_path / "f.fits")
    seen = glance(str(tmp_path / "f.fits"), {})
    footprint = Footprint.of("f", seen.centre, seen.outline)
    assert seen.shape == (600, 1000)
    wcs = WCS(tangent(*place, sip=sip))
    x, y = rng.uniform(-300, 1300, 4000), rng.uniform(-300, 900, 4000)
    inside = (x > -0.5) & (x < 999.5) & (y > -0.5) & (y < 599.5)
    # With a distortion the eighths of an edge are straight where the image's are not.
    near = np.minimum(np.abs(np.abs(x - 499.5) - 500), np.abs(np.abs(y - 299.5) - 300)) < (
        0.2 if sip else 1e-3
    )
    held = footprint.holds(wcs.all_pix2world(np.stack([x, y], 1), 0))
    assert (held == inside)[~near].all()
    away = np.array([[place[0] + 180, -place[1]], [place[0], place[1] - np.sign(place[1]) * 85]])
    assert not footprint.holds(away).any()


def square(name, ra, dec, half=0.1):
    near = half / np.cos(np.radians(dec))
    corners = [
        (ra - near, dec - half),
        (ra + near, dec - half),
        (ra + near, dec + half),
        (ra - near, dec + half),
    ]
    return Footprint.of(name, (ra, dec), corners)


def test_each_place_is_primary_in_exactly_one_of_the_fields_that_hold_it(rng):
    fields = [
        square("a", 359.95, 10),
        square("b", 0.08, 10),
        square("c", 0.0, 10.12),
        square("d", 0.02, 10.02, 0.05),
    ]
    near = neighbours(fields)
    assert near == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert neighbours([fields[0], square("far", 20, 10)]) == [[], []]
    assert neighbours([]) == []
    ra, dec = rng.uniform(-0.2, 0.3, 3000) % 360, rng.uniform(9.8, 10.3, 3000)
    held = np.array([f.holds(np.stack([ra, dec], 1)) for f in fields])
    chosen = np.array(
        [primary(f.field, [f, *(fields[j] for j in near[k])], ra, dec) for k, f in enumerate(fields)]
    )
    assert (chosen & held).sum(0)[held.any(0)].tolist() == [1] * int(held.any(0).sum())
    again = from_text(to_text(fields))
    assert [f.field for f in again] == ["a", "b", "c", "d"]
    assert np.array_equal(primary("b", again, ra, dec), chosen[1])
    middle = np.array([10.0])
    assert primary("d", fields, np.array([0.02]), middle + 0.02)[0]
    assert primary("a", fields, np.array([np.nan]), middle)[0]
    assert primary("a", fields[:1], np.array([50.0]), middle)[0]
    twins = [square("two", 5, 5), square("one", 5, 5)]
    assert [primary(f.field, twins, np.array([5.01]), np.array([5.02]))[0] for f in twins] == [False, True]


def test_true_sources_are_matched_once_the_nearest_first():
    x, y = np.array([0.0, 1.0, 10.0, np.nan]), np.zeros(4)
    rows, true = matches(x, y, np.array([0.8, 50.0, 11.5, np.nan]), np.zeros(4), 2.0)
    assert dict(zip(rows.tolist(), true.tolist(), strict=True)) == {1: 0, 2: 2}
    assert len(matches(x, y, x, y, 0.0)[0]) == 0
    assert len(matches(np.zeros(0), np.zeros(0), x, y, 1.0)[0]) == 0
