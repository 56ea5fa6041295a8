"""Whether two runs have the same catalogue: rows lost, rows doubled, rows that differ in any bit of any column."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
from astropy.io import fits

from isolux.io.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Difference:
    """How a catalogue differs from the reference."""

    lost: int
    doubled: int
    different: int
    largest: float = 0.0
    """Of the rows that differ, the largest relative difference of a number."""

    @property
    def none(self) -> bool:
        """Whether they are the same."""
        return not (self.lost or self.doubled or self.different)


def table_of(folder: RunFolder) -> pa.Table:
    """The catalogue of a run."""
    pieces = list(folder.rows())
    return pa.concat_tables(pieces)


def compared(made: pa.Table, reference: pa.Table, but: tuple[str, ...] = ()) -> Difference:
    """Compare row by row, by id; NaN equals NaN, all else bit for bit. Galaxies named in ``but`` are left out."""
    if made.schema.names != reference.schema.names:
        raise SystemExit(f"columns differ: {set(made.schema.names) ^ set(reference.schema.names)}")
    ids, wanted = (t["id"].to_pylist() for t in (made, reference))
    count = Counter(ids)
    lost = sum(1 for name in wanted if not count[name]) + sum(1 for name in count if name not in set(wanted))
    doubled = sum(number - 1 for number in count.values())
    place = {name: k for k, name in enumerate(ids)}
    common = [k for k, name in enumerate(wanted) if name in place and name not in but]
    left = made.take([place[wanted[k]] for k in common])
    right = reference.take(common)
    wrong, largest = np.zeros(len(common), bool), 0.0
    for name in reference.schema.names:
        a, b = (t[name].combine_chunks() for t in (left, right))
        unequal = _unequal(a, b)
        wrong |= unequal
        if unequal.any() and pa.types.is_floating(a.type):
            x, y = (np.asarray(v.to_numpy(zero_copy_only=False), float)[unequal] for v in (a, b))
            with np.errstate(all="ignore"):
                off = np.abs(x - y) / np.maximum(np.abs(y), 1e-30)
            largest = max(largest, float(np.nanmax(np.where(np.isnan(x) != np.isnan(y), np.inf, off))))
    order = ids == [name for name in wanted if name in place]
    return Difference(lost, doubled, int(wrong.sum()) + (not order and not lost and not doubled), largest)


def _unequal(a: pa.Array, b: pa.Array) -> np.ndarray:
    if a.type != b.type:
        return np.ones(len(a), bool)
    if pa.types.is_floating(a.type) and not (a.null_count or b.null_count):
        x, y = (v.to_numpy() for v in (a, b))
        bits = f"u{x.dtype.itemsize}"
        return (x.view(bits) != y.view(bits)) & ~(np.isnan(x) & np.isnan(y))
    return np.array([x != y for x, y in zip(a.to_pylist(), b.to_pylist(), strict=True)], bool)


def same_exports(made: Path, reference: Path) -> bool:
    """Whether the exports of two runs hold the same rows: FITS byte by byte, HATS id by id."""
    with fits.open(made / "catalogue.fits") as one, fits.open(reference / "catalogue.fits") as other:
        alike = one[1].data.tobytes() == other[1].data.tobytes()
    tables = [
        pyarrow.dataset.dataset(
            sorted(map(str, (folder / "catalogue_hats").glob("catalogue_hats/dataset/Norder*/**/*.parquet")))
        )
        .to_table()
        .sort_by("id")
        for folder in (made, reference)
    ]
    difference = compared(tables[0], tables[1])
    return alike and difference.none
