"""Real fields, with nothing given but the file's name."""

import numpy as np
import pytest

from isolux.field.detect import Detections, detect
from isolux.field.stars import psf_from_stars, star_likeness
from isolux.io.field_image import read_field

FIELDS = {
    # file: shape, pixel scale, band, least and most sources, range of the PSF's width in pixels
    "sep-image.fits.gz": ((256, 256), 1.0, "", 60, 150, (1.7, 2.6)),
    "mystery_VIKING_Z.fits.gz": ((356, 356), 0.339, "Z", 30, 110, (2.5, 5.5)),
    "gama-profound-g.fits.gz": ((2600, 2600), 1.0, "g", 2000, 4500, (2.9, 3.4)),
    "gama-profound-r.fits.gz": ((2600, 2600), 1.0, "r", 2500, 5500, (2.3, 2.8)),
    "gama-profound-i.fits.gz": ((2600, 2600), 1.0, "i", 2000, 4500, (2.6, 3.0)),
}
pytestmark = pytest.mark.real


@pytest.mark.parametrize("name", FIELDS)
def test_a_real_field(real_data, name):
    shape, scale, band, least, most, widths = FIELDS[name]
    field = read_field(real_data / "fields" / name)
    assert (field.shape, field.band) == (shape, band)
    assert field.pixel_scale == pytest.approx(scale, abs=1e-3)
    assert (field.wcs is not None) == ("VIKING" in name)
    found = detect(field)
    assert least < len(found) < most
    assert np.isfinite(found.flux).all()
    assert found.segmentation.max() == len(found)
    psf = psf_from_stars(field, found)
    assert widths[0] < psf.fwhm < widths[1]
    image = psf.at(shape[1] / 2, shape[0] / 2)[0]
    assert image.min() > -0.01 * image.max()
    likely = star_likeness(found, psf.fwhm)
    assert np.nanmin(likely) >= 0
    assert np.nanmax(likely) <= 1
    if "gama" in name:
        bright = found.snr > 100
        assert 30 < np.count_nonzero(likely[bright] > 0.5) < 400


def test_forced_photometry_in_another_band(real_data):
    red, green = (read_field(real_data / "fields" / f"gama-profound-{band}.fits.gz") for band in "rg")
    found = detect(red)
    forced = Detections.at(green, found.x, found.y)
    assert len(forced) == len(found)
    bright = (found.snr > 50) & ~found.blended & ~found.edge
    colour = -2.5 * np.log10(forced.flux[bright] / found.flux[bright])
    # g - r of stars and galaxies.
    assert 0.2 < np.nanmedian(colour) < 1.5
