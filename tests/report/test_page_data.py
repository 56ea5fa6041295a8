"""What the page is told: counts, samples and histograms against a direct look at the same rows."""

import base64
import io
import json
import re

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest
from matplotlib import image as mpl_image

from isolux import InputError, write_report
from isolux.io.portraits import read_portraits
from isolux.io.run_folder import Receipt
from isolux.io.tables import from_arrow
from isolux.report.page import columns as named
from isolux.report.page.encode import packed, to_json
from isolux.report.page.gather import ORDER, PLACE, count, sample, scrambled, wide_ranging
from isolux.report.page.histogram import EXACT, FINE, Histogram
from isolux.report.page.picture import largest_side
from isolux.report.page.png import png
from isolux.report.page.speed import speed
from isolux.report.page.truth import Compared, compared
from isolux.report.page.write import HERE, SCRIPTS, bundle
from report.pages import HOSTILE, hostile, synthetic, write_catalogue
from survey.made_run import make_run


def content_of(path):
    """Return the data of a page."""
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL
    )
    return json.loads(found[1])


def in_pieces(table, size=700):
    """Return the pieces of a catalogue as the page asks for them."""
    starts = range(0, len(table), size)
    return lambda wanted: iter(
        [(table if wanted is None else table.select(wanted)).slice(k, size) for k in starts]
    )


@pytest.mark.parametrize("count", [1, 10, 1000, EXACT + 2000])
@pytest.mark.parametrize("log", [False, True])
def test_quantiles_are_those_of_the_values(count, log):
    values = np.random.default_rng(1).lognormal(0, 0.5, count)
    made = Histogram.around(values[: min(count, 20000)], log)
    for piece in np.array_split(values, 5):
        made.add(piece)
    assert made.total == count
    width = (made.high - made.low) / FINE  # interpolated within a bin where they are not exact
    for share in (0.1, 0.5, 0.9):
        exact = np.quantile(np.log10(values) if log else values, share)
        got = np.log10(made.quantile(share)) if log else made.quantile(share)
        assert got == pytest.approx(exact, abs=2 * width if count > EXACT else 1e-12)


def test_histograms_leave_out_what_is_no_number():
    made = Histogram.around(np.array([1.0, 2.0]), log=True)
    made.add(np.array([np.nan, np.inf, -1.0, 0.0, 1.5, 1e9]))
    assert made.total == 2
    assert made.counts[-1] == 1
    empty = Histogram.around(np.array([np.nan]))
    assert np.isnan(empty.quantile(0.5))


def test_coarse_bins_hold_every_value_once():
    made = Histogram.around(np.linspace(0, 1, 5000))
    made.add(np.random.default_rng(2).normal(0.5, 2, 10000))
    counts, below, above = made.coarse(0.2, 0.6, 17)
    assert counts.sum() + below + above == 10000


def test_scrambling_repeats_nothing_and_has_no_order():
    mixed = scrambled(np.arange(100_000))
    assert len(np.unique(mixed)) == 100_000
    first = np.argsort(mixed)[:10_000]
    # The mean of 10,000 of 100,000 numbers at random is 50,000 to 274 (one standard deviation).
    assert first.mean() == pytest.approx(50_000, abs=5 * 274)


@pytest.mark.parametrize("size", [10, 333, 5000])
def test_the_sample_does_not_depend_on_the_pieces(size):
    table = synthetic(5000)
    names = table.column_names
    whole = sample(in_pieces(table, 5000), names, 400, 30, None)
    cut = sample(in_pieces(table, size), names, 400, 30, None)
    assert whole.total == cut.total == 5000
    assert len(whole.points) == 400
    assert whole.points[PLACE].equals(cut.points[PLACE])
    assert whole.points["id"].equals(cut.points["id"])
    assert whole.status == cut.status
    status = table["status"].to_numpy()
    assert whole.status == {code: int((status == code).sum()) for code in (0, 4)}
    assert whole.flags == {256: int((table["flags"].to_numpy() == 256).sum())}
    assert (np.diff(whole.shown[PLACE].to_numpy()) > 0).all()
    assert set(whole.shown["id"].to_pylist()) <= set(whole.points["id"].to_pylist())
    assert ORDER in whole.points.column_names


def test_the_gallery_has_galaxies_with_images_and_some_that_failed():
    table = synthetic(2000)
    fitted = [
        name
        for name, code in zip(table["id"].to_pylist(), table["status"].to_pylist(), strict=True)
        if not code
    ]
    found = sample(in_pieces(table), table.column_names, 500, 40, frozenset(fitted[:300]))
    status = found.shown["status"].to_pylist()
    assert len(status) == 40
    assert sum(code != 0 for code in status) == 4


def test_numbers_against_the_truth_are_those_of_all_galaxies():
    table = synthetic(3000)
    columns = named.columns_of(table.schema)
    pairs = compared(columns)
    assert {pair.column.removeprefix("sersic_") for pair in pairs} == {
        "magnitude",
        "effective_radius",
        "sersic_index",
        "axis_ratio",
    }
    points = sample(in_pieces(table), table.column_names, 200, 0, None).points
    found = count(in_pieces(table), points, ["sersic_magnitude"], frozenset(), pairs)
    good = table["status"].to_numpy() == 0
    values = {name: table[name].to_numpy()[good] for name in table.column_names[3:-4]}
    off = values["sersic_magnitude"] - values["truth_sersic_magnitude"]
    pull = off / values["sersic_magnitude_err"]
    assert found.differences["sersic_magnitude"].quantile(0.5) == pytest.approx(np.median(off), rel=1e-9)
    assert found.pulls["sersic_magnitude"].total == good.sum()
    low, high = np.quantile(pull, [0.15865, 0.84135])
    assert found.pulls["sersic_magnitude"].scatter() == pytest.approx((high - low) / 2, rel=1e-6)
    assert found.values["sersic_magnitude"].total == good.sum()


def test_angles_differ_the_short_way_round_and_sizes_in_per_cent():
    table = pyarrow.table({"a": [89.0], "t": [-89.0], "e": [1.0]})
    away, _ = Compared("a", "t", "e", relative=False, period=180.0).difference(table)
    assert away[0] == pytest.approx(-2)
    away, error = Compared("a", "t", "e", relative=True, period=0.0).difference(
        pyarrow.table({"a": [3.0], "t": [2.0], "e": [0.1]})
    )
    assert (away[0], error[0]) == (pytest.approx(50), pytest.approx(5))


def test_wide_ranges_are_logarithmic():
    table = synthetic(1000)
    columns = [c for c in named.columns_of(table.schema) if c.name.startswith("sersic_")]
    assert wide_ranging(table, columns) == {"sersic_effective_radius", "sersic_sersic_index"}


def test_main_parameters_and_short_names():
    columns = named.columns_of(synthetic(3).schema)
    main = named.main_parameters(columns)
    assert main == [
        f"sersic_{name}" for name in ("magnitude", "effective_radius", "sersic_index", "axis_ratio")
    ]
    aliases = named.aliases(main)
    assert aliases["n"] == aliases["sersic_n"] == "sersic_sersic_index"
    words = named.labels(columns)
    assert words["sersic_effective_radius_err"] == "effective radius err"
    two = [
        named.Column(f"{c}_magnitude{e}", "mag", "", "number")
        for c in ("bulge", "disc")
        for e in ("", "_err")
    ]
    assert "mag" not in named.aliases(named.main_parameters(two))
    assert named.labels(two)["bulge_magnitude"] == "bulge magnitude"


@pytest.mark.parametrize("text", HOSTILE)
def test_json_cannot_end_the_script(text):
    made = to_json({text: [text]})
    assert not set(made) & set("<>&\u2028\u2029")
    assert json.loads(made) == {text: [text]}


def test_json_has_no_nan():
    with pytest.raises(ValueError, match="JSON"):
        to_json([float("nan")])


def test_packed_columns_keep_every_flag():
    flags = [0, 1 << 27, (1 << 27) + 1]
    found = packed(pyarrow.table({"flags": flags}), named.Column("flags", "", "", "whole"))
    assert np.frombuffer(base64.b64decode(found["data"]), "<i4").tolist() == flags


def test_png_is_read_back():
    codes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    palette = np.arange(36, dtype=np.uint8).reshape(12, 3)
    read = mpl_image.imread(io.BytesIO(png(codes, palette)), format="png")
    assert np.rint(255 * read[..., :3]).astype(int).tolist() == palette[codes].tolist()


def test_larger_galleries_have_smaller_images():
    sides = [largest_side(n) for n in (1, 100, 400, 5000, 10**6)]
    assert sides == sorted(sides, reverse=True)
    assert sides[2] > 100


def receipt(part, finished, seconds, rows=10):
    """Return a receipt of a part."""
    return Receipt(
        part,
        rows,
        1,
        "",
        seconds,
        seconds,
        seconds,
        1 << 20,
        {},
        {},
        (),
        1 + part % 2,
        f"h{part}, process 1",
        finished,
    )


def test_time_at_work_counts_overlaps_once_and_pauses_not():
    parts = [receipt(0, "2026-01-01T00:01:40+00:00", 100), receipt(1, "2026-01-01T00:01:50+00:00", 100)]
    parts.append(receipt(2, "2026-01-02T00:00:00+00:00", 30))
    found = speed(iter(parts))
    assert found.working == pytest.approx(140)
    assert (found.galaxies, found.parts, found.again, found.hosts) == (30, 3, 1, 3)
    assert speed(iter(())) is None


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a survey's run with a part that was given up."""
    return make_run(tmp_path_factory.mktemp("run"), galaxies=18, parts=3, portraits=3, lost=1)


def test_a_survey_is_shown_with_its_images_and_what_is_missing(run, tmp_path):
    done = write_report(run.path, tmp_path / "page.html")
    assert (done.galaxies, done.points, done.gallery, done.pictures) == (12, 12, 6, 6)
    content = content_of(done.path)
    rows = {row["id"]: row for table in run.rows() for row in table.to_pylist()}
    for k, name in enumerate(content["full"]["id"]):
        assert content["full"]["sersic_magnitude"][k] == pytest.approx(
            rows[name]["sersic_magnitude"], rel=1e-7
        )
        curve = content["pictures"][k]["profile"]
        assert len(curve["radius"]) == len(curve["data"]) == len(curve["model"]) > 4
    text = done.path.read_text()
    assert "the disk is full" in text
    assert "of 18 planned" in text
    assert content["histograms"]["sersic_magnitude"]["total"] == 12
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg|http-equiv", "", text)


def test_the_profile_is_that_of_the_portrait(run, tmp_path):
    """The first point of a profile is the mean of the central pixels above the fitted sky."""
    portrait = next(iter(read_portraits(run.path / "portraits")))
    sky = next(r["sky_level"] for t in run.rows() for r in t.to_pylist() if r["id"] == portrait.id)
    content = content_of(write_report(run.path, tmp_path / "page.html").path)
    curve = content["pictures"][content["full"]["id"].index(portrait.id)]["profile"]
    y, x = (round(v) for v in (portrait.y, portrait.x))
    flux = portrait.image[y - 1 : y + 2, x - 1 : x + 2] - sky
    bright, faint = (22.5 - 2.5 * np.log10(f / portrait.pixel_scale**2) for f in (flux.max(), flux.min()))
    assert bright - 0.01 <= curve["data"][0] <= faint + 0.01


def test_a_catalogue_alone_and_with_a_truth(tmp_path):
    table = synthetic(50)
    bare = table.select([name for name in table.column_names if not name.startswith("truth_")])
    folder = write_catalogue(tmp_path / "run", bare)
    pyarrow.csv.write_csv(table.select(["id", "truth_sersic_magnitude"]).slice(0, 40), tmp_path / "truth.csv")
    done = write_report(folder, truth=tmp_path / "truth.csv")
    assert done.path == folder / "report.html"
    (pair,) = content_of(done.path)["compared"]
    assert pair["column"] == "sersic_magnitude"
    assert pair["n"] == int((table["status"].to_numpy()[:40] == 0).sum())


@pytest.mark.parametrize("ending", ["fits", "csv", "ecsv", "parquet"])
def test_catalogues_of_every_format(ending, tmp_path):
    table = synthetic(12)
    if ending == "parquet":
        write_catalogue(tmp_path, table)
    else:
        kind = "ascii.ecsv" if ending == "ecsv" else ending
        from_arrow(table).write(tmp_path / f"catalogue.{ending}", format=kind)
    done = write_report(tmp_path / f"catalogue.{ending}", tmp_path / "page.html")
    assert content_of(done.path)["full"]["id"][0] == "g000000"


def test_what_cannot_be_shown_is_said(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(InputError, match="neither"):
        write_report(tmp_path)
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "catalogue.parquet")
    with pytest.raises(InputError, match="no catalogue of Isolux"):
        write_report(tmp_path)
    (tmp_path / "catalogue.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="cannot be read"):
        write_report(tmp_path)
    write_catalogue(tmp_path, synthetic(3).slice(0, 0))
    with pytest.raises(InputError, match="no galaxy"):
        write_report(tmp_path)
    write_catalogue(tmp_path, synthetic(3))
    for options in ({"gallery": -1}, {"points": 3}):
        with pytest.raises(InputError, match=next(iter(options))):
            write_report(tmp_path, **options)
    pyarrow.csv.write_csv(pyarrow.table({"name": ["g"]}), tmp_path / "t.csv")
    with pytest.raises(InputError, match="column id"):
        write_report(tmp_path, truth=tmp_path / "t.csv")
    pyarrow.csv.write_csv(pyarrow.table({"id": ["g"], "z": [1.0]}), tmp_path / "t.csv")
    with pytest.raises(InputError, match="none of its columns"):
        write_report(tmp_path, truth=tmp_path / "t.csv")
    write_report(tmp_path)
    with pytest.raises(InputError, match="there already"):
        write_report(tmp_path)


def test_many_galaxies_make_no_large_page(tmp_path):
    table = synthetic(30_000)
    done = write_report(write_catalogue(tmp_path, table), points=2000)
    assert (done.galaxies, done.points, done.gallery) == (30_000, 2000, 400)
    assert done.size < 2e6
    text = done.path.read_text()
    assert "2\u202f000 of the 30\u202f000" in text
    good = table["status"].to_numpy() == 0
    median = content_of(done.path)["histograms"]["sersic_magnitude"]["quantiles"][1]
    assert median == pytest.approx(np.median(table["sersic_magnitude"].to_numpy()[good]), rel=1e-5)


def test_no_text_of_a_catalogue_is_markup(tmp_path):
    done = write_report(write_catalogue(tmp_path / "<script>alert(0)<", hostile()), tmp_path / "page.html")
    text = done.path.read_text()
    assert text.count("<script") == 2
    assert text.count("</script") == 2
    assert "<img" not in text.split("<script>")[0]


def test_every_script_is_in_the_page_once():
    assert sorted(SCRIPTS) == sorted(path.stem for path in (HERE / "js").glob("*.js"))
    assert not re.search(r"^(import|export)\b", bundle(), re.MULTILINE)
    assert "</script" not in bundle()
