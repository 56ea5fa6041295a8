import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isolux.survey.sky_parts import DEEPEST, Piece, cut, healpix_cells, runs

EVERYWHERE = (0.0, 360.0, -90.0, 90.0)
FIELD = (149.0, 151.0, 1.0, 3.0)


def sky(rng, count, box=EVERYWHERE):
    """Return positions that are even on the sphere."""
    low, high = np.sin(np.radians(box[2:]))
    return rng.uniform(*box[:2], count), np.degrees(np.arcsin(rng.uniform(low, high, count)))


@pytest.mark.parametrize("order", [0, 1, 5, 13, DEEPEST])
def test_cells_are_those_of_another_code(rng, order):
    nested = pytest.importorskip("cdshealpix.nested")
    from astropy.coordinates import Latitude, Longitude

    ra, dec = sky(rng, 100_000)
    theirs = nested.lonlat_to_healpix(Longitude(ra, "deg"), Latitude(dec, "deg"), order)
    assert np.array_equal(healpix_cells(ra, dec, order), theirs.astype(np.int64))


@pytest.mark.parametrize("dec", [-90.0, -89.9999999999, -41.8103148957786, 0.0, 41.8103148957786, 90.0])
def test_seams_and_poles_have_cells_that_hold_together(dec):
    ra = np.array([-360.0, -1e-14, 0.0, 45.0, 90.0, 180.0, 270.0, 359.9999999999999, 360.0])
    deep = healpix_cells(ra, np.full(len(ra), dec))
    assert ((deep >= 0) & (deep < 12 << 2 * DEEPEST)).all()
    for order in (0, 7):
        assert np.array_equal(deep >> 2 * (DEEPEST - order), healpix_cells(ra, np.full(len(ra), dec), order))


def test_cells_have_equal_areas(rng):
    ra, dec = sky(rng, 120_000)
    counts = np.bincount(healpix_cells(ra, dec, 1), minlength=48)
    assert np.abs(counts - 2500).max() < 5 * 50  # five standard deviations


def cut_sky(ra, dec, galaxies, pixels=None, most_pixels=1 << 60):
    cells = np.sort(healpix_cells(ra, dec))
    pixels = np.ones(len(ra), np.int64) if pixels is None else pixels
    return cut(cells, pixels, galaxies, most_pixels)


@settings(max_examples=40)
@given(
    count=st.integers(1, 3000),
    galaxies=st.integers(1, 200),
    most=st.integers(1, 5000),
    clumps=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_pieces_hold_every_galaxy_once_within_the_limits(count, galaxies, most, clumps, seed):
    rng = np.random.default_rng(seed)
    ra, dec = sky(rng, count)
    ra[: count // clumps], dec[: count // clumps] = 150.0, 2.0  # as many at one place
    pixels = rng.integers(0, 200, count)
    pieces = cut_sky(ra, dec, galaxies, pixels, most)
    assert [p.first for p in pieces] == [0, *(p.last for p in pieces[:-1])]
    assert pieces[-1].last == count
    for piece in pieces:
        size = piece.last - piece.first
        assert 1 <= size <= galaxies
        assert size == 1 or pixels[piece.first : piece.last].sum() <= most


@pytest.mark.parametrize("box", [EVERYWHERE, FIELD])
@pytest.mark.parametrize("count", [1_000, 20_000, 33_333])
def test_parts_are_compact_and_not_tiny(rng, box, count):
    ra, dec = sky(rng, count, box)
    cells = healpix_cells(ra, dec)
    order = np.argsort(cells)
    pieces = cut(cells[order], np.ones(count, np.int64), 1000, 1 << 60)
    sizes = np.array([p.last - p.first for p in pieces])
    assert sizes.mean() > 400
    assert (sizes < 1000 / 8).sum() <= 1 + len(pieces) // 50
    middle = np.radians(np.stack([ra, dec], 1)[order])
    points = np.stack(
        [
            np.cos(middle[:, 1]) * np.cos(middle[:, 0]),
            np.cos(middle[:, 1]) * np.sin(middle[:, 0]),
            np.sin(middle[:, 1]),
        ]
    ).T
    area = 4 * np.pi if box is EVERYWHERE else np.radians(2) ** 2
    spreads = [
        np.sqrt(((points[p.first : p.last] - points[p.first : p.last].mean(0)) ** 2).sum(1).mean())
        for p in pieces
    ]
    # Scatter of a square of the same area: its side / sqrt(6); more for small ones that were put together.
    square = np.sqrt(area * sizes / count / 6)
    assert np.median(spreads / square) < 1.5
    assert np.percentile(spreads / square, 90) < 2.5


def test_pieces_say_where_they_are():
    ra, dec = np.array([150.0, 150.0]), np.array([2.0, 2.0])
    whole = cut_sky(ra, dec, 10)
    assert whole == [Piece(0, 2, DEEPEST, int(healpix_cells(ra, dec)[0]))]
    near = cut_sky(np.array([150.0, 150.01]), np.array([2.0, 2.01]), 10)
    assert 8 <= near[0].order <= 13
    assert near[0].cell == healpix_cells(np.array([150.0]), np.array([2.0]), near[0].order)
    assert [p.order for p in cut_sky(ra, dec, 1)] == [DEEPEST, DEEPEST]
    assert near[0].place == f"HEALPix order {near[0].order}, cell {near[0].cell}"
    spread = cut_sky(np.array([0.0, 180.0]), np.array([80.0, -80.0]), 10)
    assert [p.place for p in spread] == ["over the whole sky"]


def test_runs_are_even():
    assert runs(np.ones(2001, int), 1000, 1 << 30) == [(0, 667), (667, 1334), (1334, 2001)]
    assert runs(np.array([5, 5, 5, 50, 1]), 10, 10) == [(0, 2), (2, 3), (3, 4), (4, 5)]
    assert runs(np.array([], int), 10, 10) == []
