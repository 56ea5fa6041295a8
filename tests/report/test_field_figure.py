"""The figure of a measured field."""

import numpy as np
from astropy import units as u
from astropy.table import QTable

from isolux.report.field import COLOURS, LARGEST, field_figure


def table(count, model="sersic"):
    rng = np.random.default_rng(1)
    made = QTable()
    made["x"], made["y"] = rng.uniform(0, 60, (2, count)) * u.pix
    made["magnitude"] = rng.uniform(18, 22, count) * u.mag
    made["effective_radius"] = np.full(count, 0.8) * u.arcsec
    made["axis_ratio"], made["position_angle"] = np.full(count, 0.5), np.full(count, 30.0) * u.deg
    made["model"] = np.full(count, model, dtype="U12")
    made.meta["pixel_scale"] = 0.2
    return made


def draw(rows, shape=(60, 80)):
    rng = np.random.default_rng(2)
    image = rng.standard_normal(shape).astype(np.float32)
    image[2, 12] = 500
    mask = np.zeros(shape, bool)
    mask[:, -3:] = True
    return field_figure(image, np.zeros(shape, np.float32), np.ones(shape, np.float32), mask, rows, "a field")


def test_three_panels_with_an_ellipse_a_source_in_its_models_colour():
    figure = draw(table(5))
    assert [axes.get_title() for axes in figure.axes] == [
        "image",
        "models",
        "residual over sky noise, -5 to 5",
    ]
    ellipses = figure.axes[0].patches
    assert len(ellipses) == 5
    assert ellipses[0].height == 2 * 2 * 0.8 / 0.2  # along the major axis, twice the half-light ellipse
    assert ellipses[0].width == ellipses[0].height / 2
    assert ellipses[0].angle == 30  # from the long axis along y, counter-clockwise
    assert any(
        text.get_text() == "sersic 5" and text.get_color() == COLOURS["sersic"] for text in figure.texts
    )


def test_masked_pixels_are_blank_and_large_fields_are_binned():
    figure = draw(table(0))
    assert np.isnan(np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)[:, -3:]).all()
    wide = draw(table(1, ""), (4, LARGEST + 2))
    assert wide.axes[0].images[0].get_array().shape == (2, (LARGEST + 2) // 2)
