import numpy as np
import pyarrow as pa
import pytest

from isolux.errors import InputError
from isolux.io.parquet_bands import check_band, values_of
from isolux.io.parquet_layout import Place, find_layout, form_of
from isolux.io.parquet_rows import leaves, read_rows, spans_of, stream_spans
from isolux.io.parquet_stamps import pixels_of, round_psf
from isolux.io.source import StampSource
from isolux.simulate import moffat_psf

SHAPE = (3, 4)
IMAGES = np.arange(24, dtype=np.float32).reshape(2, *SHAPE)
TENSOR = pa.fixed_shape_tensor(pa.float32(), SHAPE)
TURNED = pa.fixed_shape_tensor(pa.float32(), SHAPE[::-1], permutation=[1, 0])


def tensor(kind, arrays):
    flat = pa.FixedSizeListArray.from_arrays(pa.array(arrays.reshape(-1)), 12)
    return pa.ExtensionArray.from_storage(kind, flat)


FORMS = {
    "lists": (pa.array(IMAGES.tolist(), pa.list_(pa.list_(pa.float32()))), None),
    "large lists": (pa.array(IMAGES.tolist(), pa.large_list(pa.large_list(pa.float32()))), None),
    "fixed lists of lists": (pa.array(IMAGES.tolist(), pa.list_(pa.list_(pa.float32(), 4), 3)), None),
    "flat, rows given": (pa.array(IMAGES.reshape(2, 12).tolist(), pa.list_(pa.float32())), 3),
    "flat, shape given": (pa.array(IMAGES.reshape(2, 12).tolist(), pa.list_(pa.float32(), 12)), [3, 4]),
    "tensor": (tensor(TENSOR, IMAGES), None),
    "turned tensor": (tensor(TURNED, np.ascontiguousarray(IMAGES.transpose(0, 2, 1))), None),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_pixels(form):
    column, shape = FORMS[form]
    assert form_of(column.type) == "pixels"
    for k in range(2):
        found = pixels_of(column, k, shape)
        assert found.dtype == np.float32
        assert np.array_equal(found, IMAGES[k])


def test_square_lists_need_no_shape():
    found = pixels_of(pa.array([list(range(9))], pa.list_(pa.int16())), 0)
    assert np.array_equal(found, np.arange(9).reshape(3, 3))


def test_empty_pixels_are_not_numbers():
    found = pixels_of(pa.array([[[1.0, None], [3.0, 4.0]]], pa.list_(pa.list_(pa.float32()))), 0)
    assert np.isnan(found[0, 1])
    assert found[1, 0] == 3
    whole = pixels_of(pa.array([[[1, None], [3, 4]]], pa.list_(pa.list_(pa.int32()))), 0)
    assert np.isnan(whole[0, 1])
    assert pixels_of(pa.array([None], pa.list_(pa.float32())), 0) is None


WRONG = {
    "ragged": (pa.array([[[1.0, 2.0], [3.0]]]), None, "rows of 1 to 2 pixels"),
    "no square": (pa.array([[1.0, 2.0, 3.0]]), None, "3 pixels, which are no square"),
    "other rows": (pa.array([[1.0] * 6]), 4, "6 pixels, which do not make 4 rows"),
    "other shape": (pa.array([[1.0] * 6]), [3, 3], r"do not make \[3, 3\] rows and columns"),
    "no rows": (pa.array([[1.0] * 6]), 0, "do not make 0 rows"),
    "empty row": (pa.array([[[1.0], None]]), None, "1 rows of pixels that are empty"),
    "empty": (pa.array([[]], pa.list_(pa.list_(pa.float32()))), None, "no pixels"),
    "many": (pa.array([[[[1.0]], [[2.0]]]]), None, "2 images without names"),
    "four axes": (pa.array([[[[[1.0]]]]]), None, "4 axes"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_image_is_said(what):
    column, shape, text = WRONG[what]
    with pytest.raises(ValueError, match=text):
        pixels_of(column, 0, shape)


def banded(flux, names, kind):
    """Return a column of images of several bands: lists of structures, or structures of lists."""
    rows = [
        None if n is None else [{"band": b, "flux": f} for b, f in zip(n, fs, strict=True)]
        for n, fs in zip(names, flux, strict=True)
    ]
    if kind == "list of structures":
        return pa.array(
            rows, pa.list_(pa.struct([("band", pa.string()), ("flux", pa.list_(pa.list_(pa.float32())))]))
        )
    structure = pa.struct(
        [("band", pa.list_(pa.string())), ("flux", pa.list_(pa.list_(pa.list_(pa.float32()))))]
    )
    turned = [r if r is None else {key: [item[key] for item in r] for key in ("band", "flux")} for r in rows]
    return pa.array(turned, structure)


@pytest.mark.parametrize("kind", ["list of structures", "structure of lists"])
def test_one_band_of_several(kind):
    flux = [[[[1.0, 1.0]], [[2.0, 2.0]]], [[[3.0, 3.0]], [[4.0, 4.0]]], [[[5.0, 5.0]]], []]
    names = [["DES-G", "DES-R"], ["DES-R", "DES-G"], ["DES-G"], None]
    table = pa.table({"image": banded(flux, names, kind)})
    place = Place(("image", "flux"), "pixels")
    for rows in (table, table.combine_chunks().to_batches()[0]):
        red = values_of(rows, place, "des-r")
        assert red.to_pylist() == [[[2.0, 2.0]], [[3.0, 3.0]], None, None]
        assert values_of(rows, place, 0).to_pylist() == [[[1.0, 1.0]], [[3.0, 3.0]], [[5.0, 5.0]], None]
    sliced = table.slice(1, 2)
    assert values_of(sliced, place, "DES-G").to_pylist() == [[[4.0, 4.0]], [[5.0, 5.0]]]
    layout = find_layout("cat", table.schema, StampSource(table="cat", sigma=1.0), band="des-r")
    assert check_band("cat", table, layout) == 2
    for band, text in (
        (None, "2 bands; give band; allowed: DES-G, DES-R"),
        ("DES-Z", "unknown band of cat 'DES-Z'; did you mean"),
        (2, r"band \(got 2\)"),
    ):
        layout = find_layout("cat", table.schema, StampSource(table="cat", sigma=1.0), band=band)
        with pytest.raises(InputError, match=text):
            check_band("cat", table, layout)


def test_only_what_is_wanted_is_read(tmp_path):
    import pyarrow.parquet as pq

    fields = [{"band": "r", "flux": [[1.0]], "other": [[9.0]]}]
    pq.write_table(
        pa.table({"image": [fields] * 3, "image.x": [1, 2, 3], "n": [1, 2, 3]}), tmp_path / "a.parquet"
    )
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        found = leaves(file.metadata, [("image", "flux"), ("n",)])
        assert len(found) == 2
        assert not any("other" in path for path in found)
        assert list(leaves(file.metadata, [("image.x",)])) == ["image.x"]
        assert {k for path, k in leaves(file.metadata, [("image",)]).items() if path != "image.x"} == {
            0,
            1,
            2,
        }


@pytest.mark.parametrize("group", [1, 4, 100])
def test_rows_are_found_in_any_row_group(tmp_path, group):
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": np.arange(23), "m": -np.arange(23)}), path, row_group_size=group)
    for rows in ([0], [22], [5, 3, 21, 4], list(range(23)), []):
        found = dict.fromkeys(range(len(rows)))
        for places, batch in read_rows(str(path), ["n"], np.array(rows, np.int64)):
            assert batch.schema.names == ["n"]
            found.update(zip(places.tolist(), batch["n"].to_pylist(), strict=True))
        assert list(found.values()) == rows
    with pytest.raises(InputError, match="has 23 rows, but row 23 is wanted"):
        list(read_rows(str(path), ["n"], np.array([23])))
    spans = [(0, 7), (7, 8), (8, 23)]
    assert [t["n"].to_pylist() for t in stream_spans(str(path), ["n"], spans)] == [
        list(range(a, b)) for a, b in spans
    ]
    assert [len(t) for t in stream_spans(str(path), [], spans)] == [7, 1, 15]


@pytest.mark.parametrize(
    ("groups", "galaxies", "pixels", "spans"),
    [
        ([(10, 1)] * 4, 20, 1000, [(0, 20), (20, 40)]),
        ([(10, 1)] * 3, 25, 1000, [(0, 20), (20, 30)]),
        ([(10, 1), (101, 1), (10, 1)], 50, 1000, [(0, 10), (10, 43), (43, 77), (77, 111), (111, 121)]),
        ([(10, 100)], 50, 300, [(0, 2), (2, 5), (5, 7), (7, 10)]),
        ([(2, 100)], 50, 10, [(0, 1), (1, 2)]),
        ([(0, 0), (3, 0)], 2, 10, [(0, 1), (1, 3)]),
        ([], 5, 5, []),
    ],
)
def test_spans_are_row_groups_or_even_pieces(groups, galaxies, pixels, spans):
    assert spans_of(groups, galaxies, pixels) == spans


def schema_of(**columns):
    return pa.schema(list(columns.items()))


LISTS = pa.list_(pa.list_(pa.float32()))
UNUSABLE = {
    "no image": (schema_of(a=LISTS), {}, "column of cat for image 'image'"),
    "misspelt": (schema_of(image=LISTS), {"sigma": "sigam"}, "column of cat for sigma 'sigam'"),
    "misspelt field": (
        schema_of(image=pa.struct([("flux", LISTS)])),
        {"image": "image.flix"},
        "did you mean 'image.flux'",
    ),
    "numbers": (schema_of(image=pa.float32()), {}, "one number a row"),
    "dates": (schema_of(image=pa.date32()), {}, "column image cannot be used for image .*date32"),
    "list of ids": (schema_of(image=LISTS), {"id": ["a"]}, "id is the name of a column"),
    "id": (schema_of(image=LISTS), {"id": "name"}, "column of cat for id 'name'"),
    "keyword": (schema_of(image=LISTS), {"zero_point": "MAGZPT"}, "column of cat for zero_point 'MAGZPT'"),
    "words": (
        schema_of(image=LISTS, zp=pa.string()),
        {"zero_point": "zp"},
        "zp for zero_point does not hold numbers",
    ),
    "mask": (
        schema_of(image=pa.struct([("flux", LISTS), ("mask", LISTS)])),
        {},
        "which values of image.mask are bad",
    ),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_columns_that_cannot_be_meant_are_refused(what):
    schema, options, text = UNUSABLE[what]
    with pytest.raises(InputError, match=text):
        find_layout("cat", schema, StampSource(table="cat", **options))


def test_names_with_dots_are_columns_first():
    schema = schema_of(**{"im.r": LISTS, "im": pa.struct([("r", LISTS)])})
    layout = find_layout("cat", schema, StampSource(table="cat", image="im.r", sigma=1.0))
    assert layout.planes["image"].parts == ("im.r",)


@pytest.mark.parametrize("fwhm", [2.0, 3.3, 7.0])
def test_round_psf_has_its_width(fwhm):
    psf = round_psf(fwhm)
    assert psf.sum() == pytest.approx(1)
    assert psf.shape[0] == psf.shape[1]
    assert psf.shape[0] % 2 == 1
    row = psf[len(psf) // 2]
    x = np.arange(len(row)) - len(row) // 2
    width = 2 * np.interp(-row.max() / 2, -row[x >= 0], x[x >= 0])
    assert width == pytest.approx(fwhm, rel=0.1)  # straight lines between pixels
    wide = moffat_psf(fwhm, size=psf.shape[0])
    assert np.abs(psf - wide).max() < 0.2 * psf.max()  # that one is averaged over pixels once more
