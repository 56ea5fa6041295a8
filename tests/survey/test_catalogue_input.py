import os
import re
import tracemalloc
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

import isolux
from isolux.errors import InputError
from isolux.io.rows import digest
from isolux.options import RunOptions
from isolux.status import Flag, Status
from survey.stamp_samples import (
    PLANES,
    batches,
    ids,
    made,
    mocks,
    nested,
    pixels,
    planned,
    stamp,
    write_files,
    write_parquet,
)

NAMES = [f"g{k:02d}" for k in range(11)]


@pytest.fixture
def planes(rng):
    return pixels(NAMES, rng)


def flat(arrays, kind):
    return pa.array(
        [np.ravel(a).tolist() for a in arrays], pa.list_(pa.uint8() if kind == "mask" else pa.float32())
    )


def same_pixels(found, planes, names=NAMES):
    """Compare every galaxy with its planes, bit by bit."""
    assert list(found) == list(names)
    for name in names:
        image, sigma, mask = stamp(found, name)
        bad = planes["mask"][name] != 0
        assert np.array_equal(mask, bad)
        assert np.array_equal(image[~bad], planes["image"][name][~bad])
        assert np.array_equal(sigma[~bad], planes["sigma"][name][~bad])
        batch, k, _ = found[name]
        assert batch.status[k] is Status.RUNNING
        assert batch.psf[k if len(batch.psf) > 1 else 0].sum() == pytest.approx(1)
    return True


def test_rows_are_bitwise_those_of_files(tmp_path):
    planes, names = mocks(7)
    write_files(tmp_path / "s", planes)
    truth = pa.array(np.arange(7.0))
    paths = {kind: [f"s/{n}_{kind}.fits" for n in names] for kind in PLANES}
    pq.write_table(pa.table({"id": names, **paths, "truth_n": truth}), tmp_path / "paths.parquet")
    write_parquet(tmp_path / "images.parquet", planes, names, 4, truth_n=truth)
    turned = {kind: flat([planes[kind][n] for n in names], kind) for kind in PLANES}
    pq.write_table(pa.table({"id": names, **turned, "truth_n": truth}), tmp_path / "flat.parquet")
    options = RunOptions(batch_size=4)
    inputs = [made(tmp_path, None, options, catalogue=f"{n}.parquet") for n in ("paths", "images", "flat")]
    inputs.append(made(tmp_path, None, options, table="paths.parquet"))
    rows = [source.measure(planned(source)[0], frozenset()).rows for source in inputs]
    assert rows[0]["status"].to_pylist() == [0] * 7
    assert rows[0]["truth_n"].to_pylist() == list(range(7))
    assert len({digest(table) for table in rows}) == 1
    # Cut where batches end, the same again.
    pieces = [inputs[1].measure(part, frozenset()).rows for part in planned(inputs[1], 4)]
    assert digest(pa.concat_tables(pieces)) == digest(
        inputs[1].measure(planned(inputs[1])[0], frozenset()).rows
    )


@pytest.mark.parametrize("group", [1, 4, 100])
@pytest.mark.parametrize(("galaxies", "most"), [(3, 1 << 26), (1000, 480 * 4), (1, 1), (1000, 1 << 26)])
def test_parts_are_neighbouring_rows_within_the_limits(tmp_path, planes, group, galaxies, most):
    write_parquet(tmp_path / "a.parquet", planes, NAMES, group)
    source = made(tmp_path, catalogue="a.parquet")
    parts = planned(source, galaxies, most)
    assert list(chain(*ids(parts))) == NAMES
    assert all(len(part) <= galaxies and (len(part) == 1 or part.pixels <= most) for part in parts)
    assert sum(part.pixels for part in parts) == 11 * 480
    assert same_pixels(batches(source, parts), planes)
    assert source.files(parts[0]) == [str(tmp_path / "a.parquet")]


def test_any_piece_of_a_part_is_read(tmp_path, planes):
    write_parquet(tmp_path / "a.parquet", planes, NAMES, 4)
    source = made(tmp_path, catalogue="a.parquet")
    part = planned(source)[0]
    assert same_pixels(batches(source, [part.rows(5, 8)]), planes, NAMES[5:8])


def test_parts_do_not_cross_files(tmp_path, planes):
    write_parquet(tmp_path / "c/b.parquet", planes, NAMES[:5])
    write_parquet(tmp_path / "c/a/x.parquet", planes, NAMES[5:])
    source = made(tmp_path, catalogue="c")
    parts = planned(source)
    assert ids(parts) == [NAMES[5:], NAMES[:5]]
    assert [part.place for part in parts] == ["a/x, rows 0 to 5", "b, rows 0 to 4"]


def test_hats_is_read_in_its_order_without_its_margin(tmp_path, planes):
    root = tmp_path / "cat"
    for cell, names in ((17, NAMES[5:]), (3, NAMES[:5])):
        columns = {"RA": np.arange(len(names)) + 0.5, "DEC": np.full(len(names), 1.0)}
        write_parquet(root / f"dataset/Norder=2/Dir=0/Npix={cell}.parquet", planes, names, **columns)
    (root / "hats.properties").write_text("dataproduct_type=object\nhats_col_ra=RA\nhats_col_dec=DEC\n")
    (root / "partition_info.csv").write_text("Norder,Npix\n2,17\n2,3\n")
    parts = planned(made(tmp_path, catalogue="cat"))
    assert ids(parts) == [NAMES[:5], NAMES[5:]]
    assert parts[0].place.startswith("Norder=2/Npix=3")
    assert parts[1].listing["ra"].to_pylist() == [k + 0.5 for k in range(6)]
    (root / "dataset/Norder=2/Dir=0/Npix=3.parquet").unlink()
    with pytest.raises(InputError, match="1 of its 2 partitions are missing"):
        planned(made(tmp_path, catalogue="cat"))


def multimodal(planes, kind, bands=("DES-G", "DES-R")):
    """Return a table as the Multimodal Universe has them; the second band is the planes' own."""
    good = {name: (mask == 0).tolist() for name, mask in planes["mask"].items()}
    rows = []
    for name in NAMES:
        both = [np.zeros((20, 24)), planes["image"][name]]
        ivar = (1 / planes["sigma"][name] ** 2).tolist()
        rows.append(
            [
                {
                    "band": band,
                    "flux": np.asarray(flux).tolist(),
                    "ivar": ivar,
                    "mask": good[name],
                    "psf_fwhm": width,
                    "scale": 0.4,
                }
                for band, flux, width in zip(bands, both, (1.5, 1.2), strict=True)
            ]
        )
    lists = pa.list_(pa.list_(pa.float32()))
    fields = {"band": pa.string(), "flux": lists, "ivar": lists, "mask": pa.list_(pa.list_(pa.bool_()))}
    fields |= {"psf_fwhm": pa.float32(), "scale": pa.float32()}
    if kind == "list of structures":
        return pa.table(
            {"object_id": NAMES, "image": pa.array(rows, pa.list_(pa.struct(list(fields.items()))))}
        )
    turned = [{key: [band[key] for band in row] for key in fields} for row in rows]
    structure = pa.struct([(name, pa.list_(kind)) for name, kind in fields.items()])
    return pa.table({"object_id": NAMES, "image": pa.array(turned, structure)})


@pytest.mark.parametrize("kind", ["list of structures", "structure of lists"])
def test_multimodal_universe(tmp_path, planes, kind):
    pq.write_table(multimodal(planes, kind), tmp_path / "a.parquet", row_group_size=4)
    section = {"catalogue": "a.parquet", "band": "des-r", "mask_bad": 0, "pixel_scale": None}
    source = made(tmp_path, **{k: v for k, v in section.items() if v is not None})
    parts = planned(source)
    assert sum(part.pixels for part in parts) == 11 * 480
    found = batches(source, parts)
    for name in NAMES:
        image, sigma, mask = stamp(found, name)
        bad = planes["mask"][name] != 0
        assert np.array_equal(mask, bad)
        assert np.array_equal(image[~bad], planes["image"][name][~bad])
        assert sigma[~bad] == pytest.approx(0.1)
    batch, _, _ = found["g00"]
    psf = batch.psf[0].numpy()
    middle = len(psf) // 2
    assert psf.shape == (19, 19)  # 1.2 arcsec are 3 pixels
    assert psf[middle, middle + 1] / psf[middle, middle] == pytest.approx(
        (1 + (2 ** (1 / 3.5) - 1) * (2 / 3) ** 2) ** -3.5
    )
    with pytest.raises(InputError, match="2 bands; give band; allowed: DES-G, DES-R"):
        planned(made(tmp_path, catalogue="a.parquet", mask_bad=0))
    with pytest.raises(InputError, match=r"which values of image\.mask are bad"):
        planned(made(tmp_path, catalogue="a.parquet", band="DES-R"))


def test_scale_comes_from_the_structure(tmp_path, planes):
    pq.write_table(multimodal(planes, "list of structures"), tmp_path / "a.parquet")
    from isolux.survey.inputs import read_input

    scene = isolux.Scene(galaxy=isolux.Sersic())
    table = {"catalogue": "a.parquet", "band": 1, "mask_bad": 0}
    source = read_input(table, tmp_path, scene, RunOptions())
    batch = next(source.portions(planned(source)[0])).batch
    assert batch.pixel_scale.tolist() == pytest.approx([0.4] * 11)


def test_images_with_bands_as_first_axis(tmp_path, planes):
    cubes = [[np.zeros((20, 24)).tolist(), planes["image"][n].tolist()] for n in NAMES]
    table = pa.table({"id": NAMES, "image_flux": pa.array(cubes, pa.list_(pa.list_(pa.list_(pa.float32()))))})
    pq.write_table(table, tmp_path / "a.parquet")
    source = made(tmp_path, catalogue="a.parquet", image="image_flux", sigma=0.1, band=1)
    parts = planned(source)
    assert parts[0].pixels == 11 * 480
    assert np.array_equal(stamp(batches(source, parts), "g03")[0], planes["image"]["g03"])
    for band, text in (
        (None, "2 images without names"),
        ("r", "2 images without names"),
        (2, r"got 2\); allowed: 0 to 1"),
    ):
        extra = {} if band is None else {"band": band}
        with pytest.raises(InputError, match=text):
            planned(made(tmp_path, catalogue="a.parquet", image="image_flux", sigma=0.1, **extra))
    write_parquet(tmp_path / "b.parquet", planes, NAMES)
    with pytest.raises(InputError, match="no bands to choose from"):
        planned(made(tmp_path, catalogue="b.parquet", band="r"))


def test_what_is_wrong_with_one_galaxy_is_its_own(tmp_path, planes):
    columns = {kind: [planes[kind][n].tolist() for n in NAMES] for kind in PLANES}
    columns["image"][1] = None
    columns["image"][2] = [[1.0, 2.0], [3.0]]
    columns["image"][3] = []
    columns["sigma"][4] = columns["sigma"][4][:-1]
    columns["psf"][5] = [[1.0, 1.0], [1.0, 1.0]]
    columns["sigma"][6] = None
    columns["mask"][7] = None
    columns["image"][8][0][0] = None
    table = {kind: pa.array(values, pa.list_(pa.list_(pa.float32()))) for kind, values in columns.items()}
    names = [*NAMES[:9], None, ""]
    pq.write_table(pa.table({"id": names, **table}), tmp_path / "a.parquet", row_group_size=5)
    source = made(tmp_path, catalogue="a.parquet")
    found = batches(source, planned(source))
    assert list(sorted(found)) == ["a:10", "a:9", *NAMES[:9]]
    texts = {
        "g01": "galaxy g01: image is empty",
        "g02": "rows of 1 to 2 pixels",
        "g03": "no pixels",
        "g04": r"sigma has shape \(19, 24\)",
        "g05": "both must be odd",
        "g06": "no uncertainty",
        "a:9": "row 9 of a has no id",
        "a:10": "row 10 of a has no id",
    }
    for name, text in texts.items():
        batch, k, _ = found[name]
        assert batch.status[k] in (Status.BAD_INPUT, Status.BAD_PSF)
        assert re.search(text, batch.message[k])
    for name in ("g00", "g07", "g08"):
        batch, k, _ = found[name]
        assert batch.status[k] is Status.RUNNING
    batch, k, _ = found["g08"]
    assert Flag.PIXELS_REPAIRED in batch.flags[k]
    whole = source.measure(planned(source)[0], frozenset()).rows
    assert whole["id"].to_pylist() == [*NAMES[:9], "a:9", "a:10"]


def test_rows_and_shapes_of_flat_lists(tmp_path, planes):
    table = {"id": NAMES, "image": flat([planes["image"][n] for n in NAMES], "image")}
    pq.write_table(pa.table({**table, "rows": [20] * 10 + [7]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({**table, "shape": [[20, 24]] * 11}), tmp_path / "b.parquet")
    pq.write_table(pa.table(table), tmp_path / "c.parquet")
    found = batches(source := made(tmp_path, catalogue="a.parquet", sigma=0.1), planned(source))
    assert np.array_equal(stamp(found, "g00")[0], planes["image"]["g00"])
    batch, k, _ = found["g10"]
    assert "480 pixels, which do not make 7 rows" in batch.message[k]
    found = batches(source := made(tmp_path, catalogue="b.parquet", sigma=0.1), planned(source))
    assert np.array_equal(stamp(found, "g10")[0], planes["image"]["g10"])
    found = batches(source := made(tmp_path, catalogue="c.parquet", sigma=0.1), planned(source))
    assert "no square" in found["g00"][0].message[0]


def test_numbers_come_from_columns(tmp_path, planes):
    pair = [planes["image"][n] for n in NAMES]
    columns = {"zp": np.arange(11) + 20.0, "noise": np.full(11, 0.2), "pixel_scale": np.full(11, 0.7)}
    pq.write_table(
        pa.table({"object_id": np.arange(11), "image": nested(pair), **columns}), tmp_path / "a.parquet"
    )
    from isolux.survey.inputs import read_input

    table = {"catalogue": "a.parquet", "zero_point": "zp", "sigma": "noise"}
    source = read_input(table, tmp_path, isolux.Scene(galaxy=isolux.Sersic()), RunOptions())
    batch = next(source.portions(planned(source)[0])).batch
    assert batch.id == tuple(map(str, range(11)))
    assert batch.zero_point.tolist() == (np.arange(11) + 20.0).tolist()
    assert float(batch.sigma[0, 0, 0]) == pytest.approx(0.2)
    assert batch.pixel_scale.tolist() == [0.7] * 11


def test_one_psf_for_all_is_a_file(tmp_path, planes):
    fits.writeto(tmp_path / "psf.fits", planes["psf"]["g00"])
    pq.write_table(
        pa.table({"id": NAMES, "image": nested([planes["image"][n] for n in NAMES])}), tmp_path / "a.parquet"
    )
    source = made(tmp_path, catalogue="a.parquet", sigma=0.1, psf="psf.fits")
    part = planned(source)[0]
    assert source.files(part) == [str(tmp_path / "a.parquet"), str(tmp_path / "psf.fits")]
    batch = next(source.portions(part)).batch
    assert len(batch.psf) == 1
    assert Flag.NO_PSF not in batch.flags[0]
    source = made(tmp_path, catalogue="a.parquet", sigma=0.1, psf_fwhm=1.2)
    assert next(source.portions(planned(source)[0])).batch.psf.shape == (1, 19, 19)


def test_starts_and_carried_columns(tmp_path, planes):
    size = pa.field("size", pa.float32(), metadata={"unit": "arcsec"})
    table = pa.table({"id": NAMES, "image": nested([planes["image"][n] for n in NAMES])})
    table = table.append_column(size, pa.array([*range(10), None], pa.float32()))
    table = table.append_column("truth_q", pa.array([0.5] * 11)).append_column(
        "text", pa.array(["é", None] + ["x"] * 9)
    )
    table = table.append_column("count", pa.array([None, *range(10)], pa.int64()))
    pq.write_table(table, tmp_path / "a.parquet")
    scene = isolux.Scene(galaxy=isolux.Sersic(effective_radius=isolux.Column("size")))
    source = made(tmp_path, scene, catalogue="a.parquet", sigma=0.1, carry=["text", "count"])
    parts = planned(source, 6)
    portion = next(source.portions(parts[0]))
    assert portion.start["size"] == pytest.approx(np.arange(5) / 0.4)
    assert portion.carried.column_names == ["ra", "dec", "text", "count", "truth_q"]
    assert portion.carried["text"].to_pylist()[:3] == ["é", "", "x"]
    assert portion.carried["count"].to_pylist()[:2] == [None, 0]
    assert np.isnan(next(source.portions(parts[1])).start["size"][-1])
    lost = source.lost(parts[0].rows(0, 1), "gone")
    assert lost.schema.equals(source.measure(parts[0].rows(0, 1), frozenset()).rows.schema)
    for section, text in (({"carry": ["texts"]}, "'texts'; did you mean 'text'"),):
        with pytest.raises(InputError, match=text):
            planned(made(tmp_path, scene, catalogue="a.parquet", sigma=0.1, **section))
    wrong = isolux.Scene(galaxy=isolux.Sersic(effective_radius=isolux.Column("text")))
    with pytest.raises(InputError, match="column text does not hold numbers"):
        planned(made(tmp_path, wrong, catalogue="a.parquet", sigma=0.1))


def test_mixed_schemas_are_refused(tmp_path, planes):
    write_parquet(tmp_path / "c/a.parquet", planes, NAMES[:5], flux=np.arange(5.0))
    write_parquet(tmp_path / "c/b.parquet", planes, NAMES[5:], fluxes=np.arange(6.0))
    with pytest.raises(
        InputError, match=r"b.parquet: its columns differ .*flux \(only in .*a.parquet\), fluxes \(only in"
    ):
        planned(made(tmp_path, catalogue="c"))
    write_parquet(tmp_path / "c/b.parquet", planes, NAMES[5:], flux=[str(k) for k in range(6)])
    assert len(planned(made(tmp_path, catalogue="c"))) == 2  # a column that nobody reads
    with pytest.raises(InputError, match=r"b.parquet: column flux is string, but double in .*a.parquet"):
        planned(made(tmp_path, catalogue="c", carry=["flux"]))


def test_empty_files_and_catalogues(tmp_path, planes):
    write_parquet(tmp_path / "c/a.parquet", planes, [])
    with pytest.raises(InputError, match="no galaxies in it"):
        planned(made(tmp_path, catalogue="c"))
    write_parquet(tmp_path / "c/b.parquet", planes, NAMES)
    assert ids(planned(made(tmp_path, catalogue="c"))) == [NAMES]


def test_places_that_make_no_sense_are_unknown(tmp_path, planes):
    ra = [1.0, None, np.nan, 400.0, 1.0] + [2.0] * 6
    dec = [1.0, 1.0, 1.0, 1.0, -99.0] + [2.0] * 6
    write_parquet(tmp_path / "a.parquet", planes, NAMES, ra=ra, dec=dec)
    rows = planned(made(tmp_path, catalogue="a.parquet"))[0].listing
    known = [True, False, False, False, False] + [True] * 6
    assert np.isfinite(rows["ra"].to_numpy()).tolist() == known
    assert np.isfinite(rows["dec"].to_numpy()).tolist() == known


@pytest.mark.parametrize("harm", ["gone", "cut off", "other rows", "other columns"])
def test_a_file_that_changes_later_is_a_fault_of_its_galaxies(tmp_path, planes, harm):
    path = tmp_path / "a.parquet"
    write_parquet(path, planes, NAMES)
    source = made(tmp_path, catalogue="a.parquet")
    parts = planned(source)
    if harm == "gone":
        path.unlink()
    elif harm == "cut off":
        path.write_bytes(path.read_bytes()[:-100])
    elif harm == "other rows":
        write_parquet(path, planes, NAMES[:4])
    else:
        pq.write_table(pa.table({"a": [1]}), path)
    found = batches(source, parts)
    assert list(found) == NAMES
    assert {batch.status[k] for batch, k, _ in found.values()} == {Status.BAD_INPUT}
    assert all(batch.message[k].startswith(f"galaxy {name}: ") for name, (batch, k, _) in found.items())


def test_names_of_any_kind_are_text(tmp_path, planes):
    strange = ["../../x", "a/b", "'\"", "<script>", "ñ ☃", "0012", " blank ", "\u202eabc", "g", "h", "i"]
    table = {kind: nested([planes[kind][n] for n in NAMES], kind) for kind in PLANES}
    pq.write_table(pa.table({"name": strange, **table}), tmp_path / "a.parquet")
    before = sorted(Path(tmp_path).rglob("*"))
    source = made(tmp_path, catalogue="a.parquet")
    assert list(batches(source, planned(source))) == [name.strip() for name in strange]
    assert sorted(Path(tmp_path).rglob("*")) == before
    pq.write_table(pa.table({"key": strange, **table}), tmp_path / "a.parquet")
    assert ids(planned(made(tmp_path, catalogue="a.parquet")))[0][:2] == ["a:0", "a:1"]


def test_paths_in_a_catalogue(tmp_path, planes, rng):
    write_files(tmp_path / "s", planes, np.stack([np.linspace(10, 11, 11), np.linspace(-1, 1, 11)], 1))
    write_files(tmp_path / "s", pixels(["g10"], rng, (40, 40)))
    (tmp_path / "s/g02_image.fits").unlink()
    paths = {kind: [f"s/{n}_{kind}.fits" for n in NAMES] for kind in PLANES}
    paths["image"][4] = None
    pq.write_table(pa.table({"id": NAMES, **paths}), tmp_path / "a.parquet")
    source = made(tmp_path, catalogue="a.parquet")
    parts = planned(source, 1000, 480 * 4)
    assert list(chain(*ids(parts))) == NAMES
    assert all(part.pixels <= 480 * 4 or len(part) == 1 for part in parts)
    found = batches(source, parts)
    assert "g02_image.fits: no such file" in found["g02"][0].message[found["g02"][1]]
    assert "no image is named" in found["g04"][0].message[found["g04"][1]]
    assert np.array_equal(stamp(found, "g00")[2], planes["mask"]["g00"] != 0)
    assert found["g00"][2]["ra"] == pytest.approx(10)
    assert all(os.path.exists(path) for part in parts for path in source.files(part))


def test_planning_needs_no_memory_for_the_catalogue(tmp_path):
    def peak(count):
        image = pa.array([[1.0] * 4] * 2000, pa.list_(pa.float32()))
        schema = pa.schema([("id", pa.int64()), ("image", image.type)])
        with pq.ParquetWriter(tmp_path / "a.parquet", schema) as writer:
            for first in range(0, count, 2000):
                writer.write_table(pa.table({"id": np.arange(first, first + 2000), "image": image}))
        source = made(tmp_path, catalogue="a.parquet", sigma=1.0)
        galaxies = 0
        tracemalloc.start()
        for part in source.plan(1000, 1 << 26):
            galaxies += len(part)
        most = tracemalloc.get_traced_memory()[1] + pa.total_allocated_bytes()
        tracemalloc.stop()
        assert galaxies == count
        return most

    small = peak(2_000)
    # Row numbers of 8 bytes are all that may grow.
    assert peak(10_000) < 1.5 * small + 8_000 * 16
