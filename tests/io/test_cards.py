"""What is written as text must be read back by astropy, to the bit, as FITS says."""

import math

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from isolux.io.cards import card, header_bytes, image_bytes, plain, primary_bytes


def read(cards):
    assert len(cards) % 80 == 0
    header = fits.Header.fromstring(header_bytes(cards).decode("ascii"))
    header_of_hdu = fits.ImageHDU(header=header)
    header_of_hdu.verify("exception")
    return header


ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=400)


@given(ASCII)
def test_text_of_any_length_comes_back(text):
    assert read(card("STATTEXT", text, "a comment"))["STATTEXT"] == text.rstrip()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back_to_the_bit(value):
    found = read(card("VAL1", value, "pixel"))["VAL1"]
    assert isinstance(found, float)
    assert (found, math.copysign(1, found)) == (value, math.copysign(1, value))


@given(st.integers(-(2**63), 2**63))
def test_whole_numbers_come_back(value):
    assert read(card("NDOF", value))["NDOF"] == value


def test_truth_values_and_comments():
    header = read(card("A", True, "yes") + card("B", False))
    assert (header["A"], header["B"], header.comments["A"]) == (True, False, "yes")
    assert len(card("A", 1.5, "long " * 40)) == 80


def test_long_keywords():
    assert read(card("KIND1234567", "free"))["KIND1234567"] == "free"
    assert read(card("VAL12345678", 0.1))["VAL12345678"] == 0.1


def test_text_that_fits_cannot_hold():
    assert plain("façade\n– β") == "fa?ade ? ?"
    assert read(card("OBJECT", "NGC\t1°"))["OBJECT"] == "NGC 1?"


@pytest.mark.parametrize("shape", [(1, 1), (3, 240), (31, 57)])
def test_hdus_are_whole(tmp_path, rng, shape):
    pixels = rng.normal(size=shape).astype(np.float32)
    path = tmp_path / "a.fits"
    path.write_bytes(primary_bytes() + image_bytes(card("EXTNAME", "disc"), pixels))
    assert path.stat().st_size % 2880 == 0
    with fits.open(path) as opened:
        opened.verify("exception")
        np.testing.assert_array_equal(opened["disc"].data, pixels)
        assert opened[0].data is None
