import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isolux.errors import InputError
from isolux.io.hats_catalogue import check_same, find_catalogue, read_properties, read_schema


def write(path, count=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": [f"{path.stem}{k}" for k in range(count)]}), path)


def hats(root, cells=((0, 4), (1, 17), (0, 11)), suffix=".parquet", **properties):
    """Write a HATS catalogue by hand."""
    for order, cell in cells:
        place = root / f"dataset/Norder={order}/Dir=0/Npix={cell}"
        write(place / "part0.parquet" if suffix == "/" else Path(f"{place}{suffix}"))
    said = {"obs_collection": "x", "dataproduct_type": "object", "hats_npix_suffix": suffix, **properties}
    lines = ["#HATS catalog", *(f"{key} = {value}" for key, value in said.items())]
    root.mkdir(exist_ok=True, parents=True)
    (root / "hats.properties").write_text("\n".join(lines))
    rows = "\n".join(f"{order},{cell}" for order, cell in cells)
    (root / "partition_info.csv").write_text(f"Norder,Npix\n{rows}\n")
    write(root / "dataset/data_thumbnail.parquet")
    return root


def names(found):
    return [file.name for file in found.files]


def test_one_file(tmp_path):
    write(tmp_path / "a.parquet")
    found = find_catalogue(tmp_path / "a.parquet")
    assert names(found) == ["a"]
    assert found.root == str(tmp_path)


def test_a_folder_in_the_order_of_names(tmp_path):
    for name in (
        "b.parquet",
        "a/2.pq",
        "a/10.parquet",
        "_metadata.parquet",
        ".hidden.parquet",
        "_tmp/c.parquet",
    ):
        write(tmp_path / name)
    (tmp_path / "README").write_text("no catalogue")
    assert names(find_catalogue(tmp_path)) == ["a/10", "a/2", "b"]


@pytest.mark.parametrize("suffix", [".parquet", ".parq", "/"])
def test_hats_in_the_order_of_the_sky(tmp_path, suffix):
    found = find_catalogue(hats(tmp_path, suffix=suffix, hats_col_ra="RA", hats_col_dec="DEC"))
    ending = "/part0" if suffix == "/" else ""
    assert names(found) == [
        f"{cell}{ending}" for cell in ("Norder=0/Npix=4", "Norder=1/Npix=17", "Norder=0/Npix=11")
    ]
    assert (found.ra, found.dec) == ("RA", "DEC")


def test_hats_without_a_list_of_partitions(tmp_path):
    root = hats(tmp_path, hats_nrows=6)
    (root / "partition_info.csv").unlink()
    assert len(find_catalogue(root).files) == 3
    (root / "dataset/Norder=1/Dir=0/Npix=17.parquet").unlink()
    with pytest.raises(InputError, match=r"partitions are missing: 4 rows are there, hats.properties says 6"):
        find_catalogue(root)


def test_missing_partitions_are_named(tmp_path):
    root = hats(tmp_path, cells=[(3, k) for k in range(8)])
    for k in (2, 5):
        (root / f"dataset/Norder=3/Dir=0/Npix={k}.parquet").unlink()
    with pytest.raises(
        InputError, match=r"2 of its 8 partitions are missing: dataset/Norder=3/Dir=0/Npix=2, .*Npix=5"
    ):
        find_catalogue(root)


@pytest.mark.parametrize("kind", ["margin", "index", "association", "map"])
def test_what_is_no_catalogue_of_galaxies_is_refused(tmp_path, kind):
    with pytest.raises(InputError, match=f"HATS of type .*{kind}.*allowed: object, source"):
        find_catalogue(hats(tmp_path, dataproduct_type=kind))


def test_margins_are_no_part_of_a_catalogue(tmp_path):
    hats(tmp_path / "whole/main")
    hats(tmp_path / "whole/main_10arcs", dataproduct_type="margin")
    (tmp_path / "whole/collection.properties").write_text(
        "hats_primary_table_url=main\nall_margins=main_10arcs\n"
    )
    assert len(find_catalogue(tmp_path / "whole").files) == 3
    (tmp_path / "whole/collection.properties").write_text("hats_primary_table_url=mian\n")
    with pytest.raises(InputError, match="hats_primary_table_url names no folder"):
        find_catalogue(tmp_path / "whole")
    (tmp_path / "whole/collection.properties").unlink()
    with pytest.raises(InputError, match="is a HATS catalogue within a folder"):
        find_catalogue(tmp_path / "whole")
    hats(tmp_path / "files/margin", dataproduct_type="margin")
    write(tmp_path / "files/a.parquet")
    assert names(find_catalogue(tmp_path / "files")) == ["a"]


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        find_catalogue(tmp_path / "x")
    with pytest.raises(InputError, match="no Parquet files in it"):
        find_catalogue(tmp_path)
    with pytest.raises(InputError, match="has no partitions"):
        find_catalogue(hats(tmp_path / "none", cells=()))
    (tmp_path / "none/partition_info.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no columns Norder and Npix"):
        find_catalogue(tmp_path / "none")
    (tmp_path / "bad.parquet").write_text("no Parquet")
    with pytest.raises(InputError, match=r"bad.parquet: cannot be read as Parquet"):
        read_schema(str(tmp_path / "bad.parquet"))


def test_properties_are_lines(tmp_path):
    (tmp_path / "p").write_text("# c = 1\n a = b = c \n\nempty=\nnonsense\n")
    assert read_properties(tmp_path / "p") == {"a": "b = c", "empty": ""}


ALIKE = [
    (pa.string(), pa.large_string()),
    (pa.string(), pa.dictionary(pa.int32(), pa.string())),
    (pa.null(), pa.float32()),
    (pa.list_(pa.field("item", pa.float32())), pa.list_(pa.field("element", pa.float32()))),
    (pa.list_(pa.list_(pa.float32())), pa.large_list(pa.list_(pa.float32()))),
]
DIFFERENT = [
    (pa.float32(), pa.float64()),
    (pa.list_(pa.float32()), pa.list_(pa.list_(pa.float32()))),
    (pa.string(), pa.int64()),
]


def test_how_columns_are_stored_is_of_no_account():
    for kinds in (*ALIKE, *DIFFERENT):
        first, second = (pa.schema([("a", kind)]) for kind in kinds)
        if kinds in ALIKE:
            check_same("one", first, "two", second, ["a"])
        else:
            with pytest.raises(InputError, match="two: column a is"):
                check_same("one", first, "two", second, ["a"])
        check_same("one", first, "two", second, [])


def test_written_by_lsdb_is_read(tmp_path, rng):
    lsdb = pytest.importorskip("lsdb")
    import pandas as pd

    frame = pd.DataFrame(
        {"id": [f"g{k}" for k in range(60)], "ra": rng.uniform(0, 360, 60), "dec": rng.uniform(-60, 60, 60)}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whatever lsdb, pandas and dask say of each other
        options = {"margin_threshold": 3600.0, "lowest_order": 1, "highest_order": 2}
        catalogue = lsdb.from_dataframe(frame, ra_column="ra", dec_column="dec", **options)
        catalogue.write_catalog(tmp_path / "cat", catalog_name="cat")
    found = find_catalogue(tmp_path / "cat")
    ids = [name for file in found.files for name in pq.read_table(file.path)["id"].to_pylist()]
    assert sorted(ids) == sorted(frame["id"])
    assert (found.ra, found.dec) == ("ra", "dec")
    assert all(np.array([read_schema(file.path)[1].num_rows for file in found.files]) > 0)
