"""Pieces of one source made one again."""

import numpy as np

from isolux.field.deblend import borders, rejoined
from isolux.field.extract import Extracted, extract, gaussian_kernel


def found_in(labels, image):
    import sep

    table, _ = sep.extract(image, 1.0, segmentation_map=labels)
    return Extracted(table, labels)


def scene(dip):
    y, x = np.mgrid[:40, :60]
    one, two = (np.exp(-0.5 * ((x - c) ** 2 + (y - 20) ** 2) / 9) for c in (24, 36))
    image = (50 * one + 30 * two + 5).astype(np.float32)
    image[:, 29:31] = np.maximum(image[:, 29:31], 35 - dip)  # the saddle, so far below the lower peak
    labels = np.zeros(image.shape, np.int32)
    labels[10:30, 10:30], labels[10:30, 30:50] = 1, 2
    return image, labels


def test_saddles_are_the_highest_places_on_borders():
    labels = np.array([[1, 1, 2], [1, 3, 2], [0, 3, 3]], np.int32)
    smooth = np.array([[9.0, 5, 7], [4, 8, 3], [0, 6, 2]], np.float32)
    pairs, saddles = borders(labels, smooth)
    assert {tuple(pair): value for pair, value in zip(pairs.tolist(), saddles.tolist(), strict=True)} == {
        (1, 2): 5,  # pixels of 5 and 7
        (1, 3): 5,  # of 5 and 8; of 4 and 8
        (2, 3): 3,  # of 3 and 8; of 3 and 2
    }
    assert (np.diff(saddles) <= 0).all()


def test_a_peak_that_stands_out_stays_and_one_that_does_not_is_joined():
    for dip, sources in ((12.0, 2), (1.0, 1)):
        image, labels = scene(dip)
        joined = rejoined(found_in(labels, image), image, image, np.full(image.shape, 2.0, np.float32))
        assert len(joined) == sources
        assert set(np.unique(joined.segmentation)) == set(range(sources + 1))
        assert joined.segmentation.astype(bool).sum() == labels.astype(bool).sum()


def test_sources_that_do_not_touch_are_left():
    image, labels = scene(0.0)
    labels[:, 29:31] = 0
    found = found_in(labels, image)
    assert rejoined(found, image, image, np.full(image.shape, 100.0, np.float32)) is found


def test_the_plateau_of_a_bright_galaxy_is_one_source():
    from isolux.field.detect import detect
    from isolux.field.image import FieldImage

    rng = np.random.default_rng(5)
    y, x = np.mgrid[:200, :200]
    light = 25 * np.exp(-((np.hypot(x - 100, y - 100) / 30) ** 4))
    data = light + np.sqrt(1 + light / 0.5) * rng.standard_normal(light.shape)
    found = detect(FieldImage.from_arrays(data, sigma=1.0, gain=0.5))
    inside = np.hypot(found.x - 100, found.y - 100) < 35
    assert inside.sum() == 1


def test_extract_still_splits_a_clear_pair():
    rng = np.random.default_rng(6)
    y, x = np.mgrid[:80, :80]
    pair = sum(80 * np.exp(-0.5 * ((x - c) ** 2 + (y - 40) ** 2) / 6) for c in (34, 44))
    data = (pair + rng.standard_normal(pair.shape)).astype(np.float32)
    noise = np.ones_like(data)
    kernel = gaussian_kernel(3.0)
    raw = extract(data, noise, noise < 0, threshold=4.0, kernel=kernel, min_area=5, contrast=0.003)
    from scipy import ndimage

    smooth = ndimage.convolve(data, kernel)
    joined = rejoined(raw, data, smooth, np.full(data.shape, 0.3, np.float32))
    assert len(joined) == len(raw) == 2
