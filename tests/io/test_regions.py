"""A DS9 region file says where a source is, how large, how turned, and what became of it."""

import re

import numpy as np
import pytest
from astropy.table import QTable
from astropy.units import Quantity
from astropy.wcs import WCS

from isolux.errors import InputError
from isolux.field.image import FieldImage
from isolux.io.regions import colour, label, write_regions
from isolux.status import Flag, Status

SCALE = 0.5
LINE = re.compile(
    r"ellipse\(([-\d.]+),([-\d.]+),([\d.]+)(\"?),([\d.]+)\"?,([\d.]+)\) # color=(\w+) text=\{(.*)\}"
)


def wcs(turn: float = 0.0, mirrored: bool = False) -> WCS:
    """Return one with north turned from up towards the left."""
    found = WCS(naxis=2)
    found.wcs.ctype, found.wcs.crval, found.wcs.crpix = ["RA---TAN", "DEC--TAN"], [150.0, 20.0], [51.0, 51.0]
    sin, cos = np.sin(np.radians(turn)), np.cos(np.radians(turn))
    cd = np.array([[-cos, -sin], [-sin, cos]]) * SCALE / 3600
    found.wcs.cd = cd @ np.diag([-1.0, 1.0]) if mirrored else cd
    found.wcs.set()
    return found


def field(projection: WCS | None = None) -> FieldImage:
    return FieldImage.from_arrays(np.ones((100, 100)), wcs=projection, pixel_scale=SCALE, source="f.fits")


def table(on_sky: bool = False, **changed) -> QTable:
    found = QTable()
    found["id"] = ["1", "2", "3"]
    found["x"], found["y"] = Quantity([10.0, 50.0, 80.0], "pix"), Quantity([20.0, 50.0, 70.0], "pix")
    found["effective_radius"] = Quantity([4.0, 3.0, 0.0], "arcsec")
    found["axis_ratio"] = [0.5, 0.8, np.nan]
    found["position_angle"] = Quantity([30.0, -70.0, np.nan], "deg")
    found["model"] = ["sersic", "bulge+disc", "point"]
    found["status"], found["flags"] = [0, 0, 0], [0, 0, 0]
    if on_sky:
        found["ra"], found["dec"] = Quantity([150.1, 150.0, np.nan], "deg"), Quantity([20.1, -1e-6, 1], "deg")
        found["pa_sky"] = Quantity([30.0, -70.0, np.nan], "deg")
    for name, values in changed.items():
        found[name] = values
    return found


def regions(tmp_path, rows: QTable, image: FieldImage) -> tuple[str, list[tuple[str, ...]]]:
    """Return the system of coordinates and what stands in each line."""
    text = write_regions(tmp_path / "sources.reg", rows, image).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(("#", "global"))]
    return lines[0], [LINE.fullmatch(line).groups() for line in lines[1:]]


def test_without_a_wcs_places_are_pixels_from_one(tmp_path):
    system, (first, second, third) = regions(tmp_path, table(), field())
    assert system == "image"
    x, y, major, unit, minor, angle, hue, name = first
    assert (float(x), float(y), unit, hue, name) == (11.0, 21.0, "", "green", "1")
    assert (float(major), float(minor)) == (8.0, 4.0)
    assert float(angle) == 120.0  # from +x, where the position angle is from +y
    assert float(second[5]) == 20.0
    # A point is a small circle.
    assert (float(third[2]), float(third[4]), third[6]) == (2.0, 2.0, "cyan")


def test_with_a_wcs_places_are_on_the_sky(tmp_path):
    system, (first, second) = regions(tmp_path, table(on_sky=True), field(wcs()))
    assert system == "icrs"
    x, y, major, unit, minor, angle, _, _ = first
    assert (float(x), float(y), unit) == (150.1, 20.1, '"')
    assert (float(major), float(minor), float(angle)) == (4.0, 2.0, 120.0)
    assert float(second[1]) == pytest.approx(-1e-6)
    assert "1 of 3 sources have no position" in (tmp_path / "sources.reg").read_text()


@pytest.mark.parametrize("turn", [0.0, 35.0, -120.0])
def test_the_angle_on_the_sky_is_that_of_the_image(tmp_path, turn):
    """An ellipse along the line from one pixel to another points from west through north by DS9's angle."""
    projection = wcs(turn)
    pa_sky = -25.0
    here = np.array([50.0, 50.0])
    # East of north is counter-clockwise from north, which is turned from up to the left.
    step = 20 * np.array([-np.sin(np.radians(pa_sky + turn)), np.cos(np.radians(pa_sky + turn))])
    one, two = projection.all_pix2world([here, here + step], 0)
    west, north = -(two[0] - one[0]) * np.cos(np.radians(one[1])), two[1] - one[1]
    rows = table(on_sky=True, pa_sky=Quantity([pa_sky] * 3, "deg"))
    _, (first, _) = regions(tmp_path, rows, field(projection))
    expected = np.degrees(np.arctan2(north, west)) % 180
    assert float(first[5]) == pytest.approx(expected, abs=0.1)


def test_mirrored_images_get_pixels(tmp_path):
    system, lines = regions(tmp_path, table(on_sky=True), field(wcs(mirrored=True)))
    assert system == "image"
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("status", "flags", "model", "hue"),
    [
        (Status.CONVERGED, 0, "sersic", "green"),
        (Status.CONVERGED, Flag.LOW_SIGNAL | Flag.BLENDED, "sersic", "green"),
        (Status.CONVERGED, 0, "point", "cyan"),
        (Status.CONVERGED, Flag.AT_BOUND, "point", "yellow"),
        (Status.CONVERGED, Flag.SATURATED | Flag.AT_BOUND, "sersic", "orange"),
        (Status.STEP_LIMIT, Flag.SATURATED, "sersic", "red"),
        (Status.FAILED, 0, "", "red"),
    ],
)
def test_colours(status, flags, model, hue):
    assert colour(int(status), int(flags), model) == hue


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("NGC 1300", "{NGC 1300}"),
        ("a}b{c", "{a)b(c}"),
        ("two\nlines\tand \x07 bell", "{two lines and   bell}"),
        ('it\'s "M31"; # & é', '{it\'s "M31"; # & é}'),
        ("", "{}"),
    ],
)
def test_names_cannot_end_their_braces(name, text):
    assert label(name) == text


def test_what_is_missing(tmp_path):
    few = table()["id", "x", "y"]
    _, lines = regions(tmp_path, few, field())
    assert len(lines) == 3
    assert all(line[6] == "green" for line in lines)
    with pytest.raises(InputError, match="regions need"):
        write_regions(tmp_path / "sources.reg", table()["id", "x"], field())


def test_no_source_and_nonsense_values(tmp_path):
    system, lines = regions(tmp_path, table()[:0], field())
    assert system == "image"
    assert not lines
    odd = table(axis_ratio=[np.inf, -1.0, 7.0], effective_radius=Quantity([np.nan, -3.0, 1.0], "arcsec"))
    _, lines = regions(tmp_path, odd, field())
    assert [float(line[2]) for line in lines] == [2.0, 2.0, 2.0]
    assert all(0 < float(line[4]) <= 2 for line in lines)


def test_detected_size_stands_in(tmp_path):
    rows = table(
        effective_radius=Quantity([np.nan] * 3, "arcsec"), detected_radius=Quantity([3.0] * 3, "arcsec")
    )
    _, lines = regions(tmp_path, rows, field())
    assert [float(line[2]) for line in lines] == [6.0, 6.0, 6.0]
