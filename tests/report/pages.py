"""Catalogues for the tests of the page: made quickly, of any length, with names that mean harm."""

from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

HOSTILE = [
    '"><script>alert(1)</script>',
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "../../etc/passwd",
    "'; alert(4); //",
    "line\u2028separator\u2029 and\nnew line",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(5)",
    "%3Cscript%3E & &lt;b&gt; 100%",
    "ünï©ode ☄ 银河 \U0001f30c",
    "x" * 1500,
    "",
]
UNITS = {"magnitude": "mag", "effective_radius": "arcsec", "ra": "deg", "dec": "deg", "position_angle": "deg"}


def synthetic(galaxies: int, seed: int = 1, *, whole_sky: bool = False) -> pyarrow.Table:
    """A catalogue of made-up numbers with truth; one galaxy in twenty has no fit."""
    rng = np.random.default_rng(seed)
    error = {"magnitude": 0.02, "effective_radius": 0.05, "sersic_index": 0.1, "axis_ratio": 0.01}
    truth = {
        "magnitude": rng.uniform(16, 22, galaxies),
        "effective_radius": 10 ** rng.uniform(-0.5, 1, galaxies),
        "sersic_index": rng.uniform(0.5, 6, galaxies),
        "axis_ratio": rng.uniform(0.2, 0.95, galaxies),
    }
    lost = rng.uniform(size=galaxies) < 0.05
    lost[:2] = False
    columns = {"id": [f"g{k:06d}" for k in range(galaxies)]}
    columns["ra"] = rng.uniform(0, 360, galaxies) if whole_sky else 150 + rng.uniform(0, 1, galaxies)
    columns["dec"] = (
        np.degrees(np.arcsin(rng.uniform(-1, 1, galaxies))) if whole_sky else rng.uniform(1, 2, galaxies)
    )
    for name, width in error.items():
        found = truth[name] + width * rng.standard_normal(galaxies)
        columns[f"sersic_{name}"] = np.where(lost, np.nan, found)
        columns[f"sersic_{name}_err"] = np.where(lost, np.nan, width)
        columns[f"truth_sersic_{name}"] = truth[name]
    columns["dof"] = np.full(galaxies, 1000.0)
    columns["reduced_chi2"] = np.where(lost, np.nan, rng.chisquare(1000, galaxies) / 1000)
    columns["status"] = np.where(lost, 4, 0).astype(np.int32)
    columns["message"] = np.where(lost, "every pixel is masked", "converged").tolist()
    columns["flags"] = np.where(rng.uniform(size=galaxies) < 0.3, 256, 0).astype(np.int32)
    return with_units(columns)


def with_units(columns: dict) -> pyarrow.Table:
    """A table with the metadata that catalogues have."""
    fields, arrays = [], []
    for name, values in columns.items():
        array = pyarrow.array(values)
        unit = next(
            (unit for ending, unit in UNITS.items() if name.removesuffix("_err").endswith(ending)), ""
        )
        fields.append(
            pyarrow.field(name, array.type, metadata={"unit": unit, "description": f"what {name} is"})
        )
        arrays.append(array)
    return pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))


def write_catalogue(folder: Path, table: pyarrow.Table) -> Path:
    """A folder with a catalogue."""
    folder.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, folder / "catalogue.parquet")
    return folder


def hostile() -> pyarrow.Table:
    """A catalogue whose texts mean harm, names of columns too."""
    table = synthetic(len(HOSTILE)).set_column(0, "id", pyarrow.array(HOSTILE))
    bad = pyarrow.field(
        "<b>bad</b>", pyarrow.string(), metadata={"description": "</script><script>alert(6)</script>"}
    )
    table = table.append_column(bad, pyarrow.array(HOSTILE))
    return table.append_column("__proto__", pyarrow.array(np.arange(len(HOSTILE), dtype=float)))
