"""pysersic draws: ``--renderer hybrid``, its default, or ``pixel``; in float32, its default."""

import functools
import sys

import jax.numpy as jnp
import numpy as np
from drawing import Galaxy, run
from pysersic import rendering

RENDERERS = {"hybrid": rendering.HybridRenderer, "pixel": rendering.PixelRenderer}


@functools.cache
def renderer(size: int, shape: tuple[int, int], content: bytes) -> rendering.BaseRenderer:
    psf = np.frombuffer(content).reshape(shape)
    return RENDERERS[kind]((size, size), jnp.array(psf))


def draw(galaxy: Galaxy, psf: np.ndarray, size: int) -> np.ndarray:
    parameters = {
        "xc": galaxy.x,
        "yc": galaxy.y,
        "flux": 1.0,
        "r_eff": galaxy.re,
        "n": galaxy.n,
        "ellip": 1 - galaxy.q,
        "theta": np.deg2rad(galaxy.pa),
    }
    drawing = renderer(size, psf.shape, np.ascontiguousarray(psf, float).tobytes())
    return np.asarray(drawing.render_source(parameters, "sersic"))


kind = sys.argv.pop(sys.argv.index("--renderer") + 1)
sys.argv.remove("--renderer")
run(("pysersic", "jax", "numpy"), draw)
