"""A small field of galaxies and stars with its truth, measured once."""

import dataclasses

import numpy as np
import pytest
import torch

from isolux import Exponential, PointSource, Scene, Sersic
from isolux.field.image import FieldImage
from isolux.field.options import FieldOptions
from isolux.field.survey import measure_sources
from isolux.psf_model import PsfModel
from isolux.simulate import draw, moffat_psf

ZERO_POINT, SCALE, NOISE, GAIN = 25.0, 0.2, 1.0, 20.0
PSF = moffat_psf(3.2, size=33)


@dataclasses.dataclass(frozen=True, eq=False)
class Sky:
    """Components with their true numbers, and the image that they make."""

    components: dict
    image: np.ndarray

    def field(self, seed=1, **others) -> FieldImage:
        rng = np.random.default_rng(seed)
        sigma = np.sqrt(NOISE**2 + self.image / GAIN)
        data = self.image + sigma * rng.standard_normal(self.image.shape)
        known = {"zero_point": ZERO_POINT, "pixel_scale": SCALE, "gain": GAIN, "source": "mock.fits"} | others
        return FieldImage.from_arrays(data, **known)


def make_sky(shape=(220, 260)) -> Sky:
    components = {
        "big": Sersic(
            x=70,
            y=90,
            magnitude=16.0,
            effective_radius=9,
            sersic_index=2.5,
            axis_ratio=0.6,
            position_angle=30,
        ),
        "disc": Exponential(
            x=180.3, y=60.4, magnitude=17.6, scale_radius=4, axis_ratio=0.5, position_angle=-60
        ),
        "one": Sersic(
            x=170,
            y=160,
            magnitude=18.0,
            effective_radius=4,
            sersic_index=1.5,
            axis_ratio=0.8,
            position_angle=10,
        ),
        "two": Sersic(
            x=181,
            y=163,
            magnitude=18.5,
            effective_radius=3,
            sersic_index=1.0,
            axis_ratio=0.6,
            position_angle=80,
        ),
        "star": PointSource(x=120.4, y=180.7, magnitude=17.5),
        "faint": PointSource(x=40.2, y=190.1, magnitude=19.5),
    }
    image, _ = draw(Scene(**components), shape, psf=PSF, zero_point=ZERO_POINT)
    return Sky(components, image[0].numpy())


@pytest.fixture(scope="session")
def sky():
    return make_sky()


@pytest.fixture(scope="session")
def measured(sky):
    torch.set_num_threads(1)
    return measure_sources(sky.field(), psf=PsfModel.constant(PSF), options=FieldOptions(workers=1))
