"""Images of known isophotes, for tests."""

import numpy as np
import torch

import isolux
from isolux.isophotes.ellipses import Ellipses, nodes, shape_of

SCALE, ZERO = 0.4, 25.0


def disc(size=64, x=31.7, y=31.2, q=0.6, angle=30.0, scale=5.0, level=100.0, shape=None) -> np.ndarray:
    """An exponential disc of elliptical isophotes, sampled at the pixels' centres; ``shape`` (node, 2) twists them."""
    sma = nodes((size, size))
    if shape is None:
        one = torch.ones(1, dtype=torch.float64)
        shape = shape_of(q * one, angle * one).expand(len(sma), 2)
    centre = (torch.tensor([c], dtype=torch.float64) for c in (x, y))
    radius = Ellipses(*centre, shape[None].double()).semi_major_axis((size, size))[0].numpy()
    return level * np.exp(-np.asarray(radius, float) / scale)


def noisy(image, sigma=0.5, seed=1) -> np.ndarray:
    """The image with noise."""
    return image + sigma * np.random.default_rng(seed).standard_normal(image.shape)


def batch_of(images, sigma=0.5, **more) -> isolux.Batch:
    """A batch of stamps."""
    given = {"zero_point": ZERO, "pixel_scale": SCALE, **more}
    return isolux.Batch.from_arrays(images, sigma=[sigma] * len(images), **given)
