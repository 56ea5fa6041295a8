"""Small samples of galaxies as files and as Parquet, for tests of a survey's inputs."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

import isolux
from isolux.io.wcs import tangent_wcs
from isolux.options import RunOptions
from isolux.simulate import Observation, mock_stamps
from isolux.survey.inputs import read_input

PLANES = ("image", "sigma", "mask", "psf")
TYPES = {"mask": pa.uint8()}
NUMBERS = {"zero_point": 22.5, "pixel_scale": 0.4}


def pixels(names, rng, shape=(20, 24)):
    """Return planes that look like galaxies enough to be read, by kind and name."""
    v, u = np.mgrid[-4:5, -4:5]
    psf = np.exp(-(u**2 + v**2) / 4.0).astype(np.float32)
    return {
        "image": {name: rng.normal(1.0, 0.1, shape).astype(np.float32) for name in names},
        "sigma": {name: np.full(shape, 0.1, np.float32) for name in names},
        "mask": {name: (rng.uniform(size=shape) < 0.02).astype(np.uint8) for name in names},
        "psf": {name: psf for name in names},
    }


def mocks(count, size=32):
    """Return the planes of mock galaxies that can be fitted, and their names."""
    batch, _ = mock_stamps(count, seed=3, observation=Observation(size=size, psf_size=15))
    psf = batch.psf.expand(count, -1, -1).numpy()
    planes = {
        "image": batch.image.numpy(),
        "sigma": batch.sigma.numpy(),
        "mask": batch.mask.numpy(),
        "psf": psf,
    }
    planes["mask"] = planes["mask"].astype(np.uint8)
    return {kind: dict(zip(batch.id, arrays, strict=True)) for kind, arrays in planes.items()}, list(batch.id)


def write_files(folder, planes, places=None):
    """Write ``<name>_<kind>.fits`` with a WCS in the image where there is a place."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, arrays in planes.items():
        for k, (name, array) in enumerate(arrays.items()):
            header = fits.Header()
            if kind == "image" and places is not None and np.isfinite(places[k]).all():
                middle = ((array.shape[1] - 1) / 2, (array.shape[0] - 1) / 2)
                header = tangent_wcs(*places[k], 0.4, *middle).to_header()
            fits.writeto(folder / f"{name}_{kind}.fits", array, header, overwrite=True)


def nested(arrays, kind="image"):
    """Return a column of lists of rows of pixels."""
    values = [None if a is None else np.asarray(a).tolist() for a in arrays]
    return pa.array(values, pa.list_(pa.list_(TYPES.get(kind, pa.float32()))))


def write_parquet(path, planes, names, rows=4, **columns):
    """Write images as lists of rows, with further columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {
        "id": names,
        **{kind: nested([planes[kind][n] for n in names], kind) for kind in planes},
        **columns,
    }
    pq.write_table(pa.table(table), path, row_group_size=rows)


def made(where, scene=None, options=None, /, **table):
    """Return the input of a section ``[input]``."""
    scene = scene or isolux.Scene(galaxy=isolux.Sersic())
    return read_input({**NUMBERS, **table}, where, scene, options or RunOptions())


def planned(source, galaxies=1000, pixels=1 << 26):
    return list(source.plan(galaxies, pixels))


def ids(parts):
    """Return the names in a plan, part by part."""
    return [part.listing["id"].to_pylist() for part in parts]


def batches(source, parts):
    """Return every galaxy of some parts with its batch, its place there, and what is carried over."""
    found = {}
    for part in parts:
        for portion in source.portions(part):
            for k, name in enumerate(portion.batch.id):
                assert name not in found
                found[name] = (portion.batch, k, portion.carried.slice(k, 1).to_pylist()[0])
    return found


def stamp(found, name):
    """Return image, sigma and mask of a galaxy before padding."""
    batch, k, _ = found[name]
    cut = (k, slice(batch.height[k]), slice(batch.width[k]))
    return batch.image[cut].numpy(), batch.sigma[cut].numpy(), batch.mask[cut].numpy()
